from __future__ import annotations

import io
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.data import load
from core.evaluation import summarise
from core.families import Vanilla
from core.pictures import tiles
from core.store import Run, Store
from core.training import Plan
from tests.asgi import get
from tests.serving import ROOT
from ui import runs, sheets
from ui.latent import ground


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    data = load("digits")
    model = Vanilla(Vanilla.Config(latent_dim=4, width=8, hidden=(16,)), data.shape)
    made = Store(tmp_path).create(model, Plan(epochs=1, threads=1), data)
    training = made.begin(torch.device("cpu"))
    made.save_weights(training.model)
    summarise(made, training.model, data)
    return made


def test_a_sheet_holds_the_test_pictures_in_order(run: Run) -> None:
    answer = get([sheets.route], sheets.address(run.id, "1").format(0).partition("?")[0])
    assert answer.status == 200 and answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.body)) as image:
        pixels = np.asarray(image.convert("L"))
    found = tiles(pixels, (1, 8, 8))
    np.testing.assert_array_equal(found[:300], load("digits").test.images)


def test_a_sheet_that_was_decoded_gives_way_when_the_data_come(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sheet() -> bytes:
        return get([sheets.route], f"/api/pictures/{run.id}/0").body

    with monkeypatch.context() as without:
        without.setattr(runs, "data_of", lambda run: None)
        decoded, before = sheet(), ground.version(known(run))
    assert sheet() != decoded and ground.version(known(run)) != before


def known(run: Run) -> ground.Ground:
    place = ground.ground(run)
    assert place is not None
    return place


VERY_LONG = "1" * 5_000  # digits, of which Python makes no number


@pytest.mark.parametrize(
    "path",
    ["nobody/0", "..%2F..%2Fetc/0", "../0", ".jobs/0", "{run}/1", "{run}/-1", "{run}/x", "{run}/99999", "{run}/{long}"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(run: Run, path: str) -> None:
    assert get([sheets.route], f"/api/pictures/{path.format(run=run.id, long=VERY_LONG)}").status == 404


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("cross-site", 403), ("same-site", 403)]
)
def test_other_sites_may_not_show_them(run: Run, site: str, status: int) -> None:
    assert get([sheets.route], f"/api/pictures/{run.id}/0", sec_fetch_site=site).status == status


def test_the_app_listens_on_this_machine_only() -> None:
    server = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["server"]
    assert server["address"] == "127.0.0.1" and server["allowedHosts"] == ["127.0.0.1", "localhost"]


def test_a_name_that_somebody_else_gave_this_machine_is_refused(run: Run) -> None:
    """A page that rebinds its own name to 127.0.0.1 is of this origin to a browser."""
    assert get([sheets.route], f"/api/pictures/{run.id}/0", host="rebound.example:8501").status == 403


def test_a_run_whose_weights_are_broken_has_none(run: Run) -> None:
    run.weights_file.write_bytes(b"\x80\x04")
    assert get([sheets.route], f"/api/pictures/{run.id}/0").status == 404
