"""The server as a user starts it, and the app as a script without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.serving import ROOT, free_port, offline
from ui.shell import MENU, PAGES, Entry

ENTRIES = [entry for entries in MENU.values() for entry in entries]
HEAVY_AT_START = "import sys, app; print([m for m in ('torch', 'pandas', 'sklearn', 'skimage', 'numpy') if m in sys.modules])"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the server sees of itself after its warm-up and a visit to every page."""
    surroundings = offline(str(tmp_path_factory.mktemp("cache")))
    command = [sys.executable, "-m", "tests.probe", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert lines and lines[-1].startswith("{"), done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(lines[-1])
    return facts


def test_every_page_runs_in_the_server(inside: dict[str, Any]) -> None:
    assert inside["pages"] == {entry.path: "ready" for entry in ENTRIES}


def test_what_the_warm_up_loaded_is_no_longer_searched_for_garbage(inside: dict[str, Any]) -> None:
    assert inside["frozen"] > 100_000


def test_the_server_never_imports_umap_or_numba(inside: dict[str, Any]) -> None:
    assert not {"umap", "numba", "llvmlite", "pynndescent"} & set(inside["modules"])


def test_the_server_computes_on_one_thread(inside: dict[str, Any]) -> None:
    assert inside["threads"] == 1


def test_accepted_sockets_send_at_once(inside: dict[str, Any]) -> None:
    assert inside["nodelay"]
    assert all(inside["nodelay"])


def test_nothing_heavy_is_imported_before_the_server_listens() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAVY_AT_START], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_without_a_server_app_py_is_the_script() -> None:
    page = AppTest.from_file(ROOT / "app.py", default_timeout=60).run()
    assert not page.exception
    assert page.title


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title)
def test_every_page_of_the_menu_is_there_and_one_folder_down(entry: Entry) -> None:
    """Flat files in pages/ would wake Streamlit's own, older menu."""
    assert (PAGES / entry.file).is_file()
    assert len(entry.file.split("/")) == 2
    assert not list(PAGES.glob("*.py"))


def test_every_file_below_pages_is_in_the_menu() -> None:
    assert {path.relative_to(PAGES).as_posix() for path in PAGES.rglob("*.py")} == {
        entry.file for entry in ENTRIES
    }


def test_a_page_that_is_missing_is_left_out_of_the_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Entry("explore/gone.py", "gone", "Gone", ":material/help:", "Not written yet.")
    monkeypatch.setitem(MENU, "Explore", (gone, *MENU["Explore"]))
    monkeypatch.setitem(MENU, "Elsewhere", (gone,))
    page = AppTest.from_function(print_menu, default_timeout=60).run()
    assert not page.exception
    assert [title.value for title in page.text] == [entry.title for entry in ENTRIES]


def print_menu() -> None:
    import streamlit as st

    from ui.shell import sections

    for pages in sections().values():
        for page in pages:
            st.text(page.title)
