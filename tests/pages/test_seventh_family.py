"""A family that no page has heard of appears on all of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core import families
from core.data import load
from core.store import Store
from tests.pages.conftest import Open, shown, trained
from tests.rae import RAE


@pytest.fixture
def seven(six: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, RAE))
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    trained(Store(tmp_path), RAE, load("digits"))
    return Store(tmp_path)


def test_on_home(open_page: Open, seven: Store) -> None:
    home = open_page("start/home.py", seven)
    assert not home.exception
    assert any(RAE.title in text.value and RAE.idea in text.value for text in home.markdown)
    assert f"picture 1 rebuilt by {RAE.title}" in shown(home)


def test_on_reconstruct(open_page: Open, seven: Store) -> None:
    page = open_page("explore/reconstruct.py", seven)
    assert not page.exception
    assert f"digit 2, {RAE.title}" in shown(page)
