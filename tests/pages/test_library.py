from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import transfer
from core.store import Run, Store
from tests.pages.conftest import Open, links, shown

PAGE = "build/library.py"


@pytest.fixture
def store(six: Store, tmp_path: Path) -> Store:
    """A copy of the six, to be changed."""
    return Store(shutil.copytree(six.root, tmp_path / "store"))


def only(store: Store, run: Run) -> Store:
    for other in store.runs():
        if other.id != run.id:
            shutil.rmtree(other.folder)
    return store


def click(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_it_opens_on_runs_curves_pictures_and_a_comparison(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    assert not page.exception
    assert set(page.dataframe[0].value["status"]) == {"completed"} and len(page.dataframe[0].value) == 6
    assert page.get("plotly_chart") and "best of these runs" in shown(page)


def test_an_empty_store_leads_to_train(open_page: Open, tmp_path: Path) -> None:
    page = open_page(PAGE, Store(tmp_path / "nothing"))
    assert not page.exception and "Train the first" in links(page)


def test_a_run_is_named_deleted_and_brought_back(open_page: Open, store: Store) -> None:
    run = store.runs()[0]
    page = open_page(PAGE, only(store, run))
    page.text_input(key=f"name-{run.id}").set_value("Mine")
    page.text_input(key=f"tags-{run.id}").set_value("good, first")
    page = click(page.run(), "Save")
    assert (store.run(run.id).record.name, store.run(run.id).record.tags) == ("Mine", ("good", "first"))
    assert any("core train --family" in code.value for code in page.code)
    page = click(page, "Delete")
    assert not page.exception and store.runs() == []
    page = click(page, "Undo")
    assert not page.exception and [one.id for one in store.runs()] == [run.id]


def test_damaged_runs_are_listed_with_their_reason_and_can_go(open_page: Open, store: Store) -> None:
    run = store.runs()[0]
    (run.folder / "run.json").write_text("{")
    page = open_page(PAGE, store)
    assert not page.exception and "run.json is not JSON" in page.warning[0].value
    page.button(key=f"delete-{run.id}").click().run()
    assert run.id not in store.folders() and [one.id for one in store.deleted()] == [run.id]
    click(page.run(), "Erase")
    assert store.deleted() == ()


def test_a_zip_comes_in_and_a_hostile_one_does_not(open_page: Open, six: Store, tmp_path: Path) -> None:
    store = Store(tmp_path / "other")
    run = six.runs()[0]
    page = open_page(PAGE, store)
    page.file_uploader(key="import-zip").upload("evil.zip", b"no zip")
    page = click(page, "Import")
    assert not page.exception and "This is no zip" in page.warning[0].value and store.list() == []
    page.file_uploader(key="import-zip").upload("run.zip", io.BytesIO(transfer.export(run)).getvalue())
    page = click(page, "Import")
    assert not page.exception and [one.id for one in store.runs()] == [run.id]
