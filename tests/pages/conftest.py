"""A store with a small run of every family on the embedded digits, and pages opened on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import training
from core.data import Dataset, load
from core.evaluation import summarise
from core.families import FAMILIES
from core.family import Autoencoder
from core.store import Run, Store
from core.training import Plan

APP = Path(__file__).parents[2] / "app.py"
PAGES = Path(__file__).parents[2] / "pages"

CODES = 200  # of training pictures

Open = Callable[..., AppTest]


def trained(
    store: Store, Family: type[Autoencoder], data: Dataset, epochs: int = 2, **settings: object
) -> Run:
    """A finished run in `store`, small and quick: few codes stand behind what it draws from."""
    config = Family.Config(**{"width": 8, "hidden": (16,)} | settings)
    run = store.create(Family(config, data.shape), Plan(epochs=epochs, threads=1, previews=1), data)
    begun = run.begin(torch.device("cpu"))
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(training, "FIT_CODES", CODES)
        quick.setattr(training, "PREVIEW_CODES", CODES)
        for _ in run.record_events(training.train(begun, data), begun):
            pass
    summarise(run, begun.model, data)
    return run


@pytest.fixture(scope="session")
def six(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run of each family. Shared by all tests: do not change it."""
    store = Store(tmp_path_factory.mktemp("store"))
    for Family in FAMILIES:
        trained(store, Family, load("digits"))
    return store


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Open:
    """open_page("explore/reconstruct.py", store, data="digits"): the page, run once, with its URL parameters."""

    def opened(file: str, store: Store, **parameters: str) -> AppTest:
        monkeypatch.setenv("BOTTLENECK_STORE", str(store.root))
        monkeypatch.delenv("BOTTLENECK_DATA", raising=False)
        monkeypatch.setenv("BOTTLENECK_CACHE", str(store.root / "no-cache"))
        app = AppTest.from_file(str(APP), default_timeout=120)
        app.query_params.update(parameters)
        return app.switch_page(str(PAGES / file)).run()

    return opened


def shown(app: AppTest) -> str:
    """All HTML of our own on the page."""
    return "".join(element.proto.body for element in app.get("html"))


def carried(app: AppTest) -> set[str]:
    """What links say behind the addresses of other pages, less the names of this page's widgets: Streamlit drops those."""
    widgets = [*app.segmented_control, *app.multiselect, *app.selectbox, *app.text_input, *app.toggle]
    said = {name for element in app.get("page_link") for name in parse_qs(element.proto.query_string)}
    return said - {one.key for one in widgets}


def links(app: AppTest) -> list[str]:
    """The words of the links to other pages."""
    return [element.proto.label for element in app.get("page_link")]
