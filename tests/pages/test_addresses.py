"""Addresses that name a choice and give it nothing: what is usual is chosen then."""

from __future__ import annotations

import pytest

from core.store import Store
from tests.pages.conftest import PAGES, Open

FILES = sorted(str(file.relative_to(PAGES)) for file in PAGES.glob("*/*.py"))


@pytest.mark.parametrize("file", FILES)
def test_a_choice_without_a_value_is_the_usual_one(open_page: Open, six: Store, file: str) -> None:
    page = open_page(file, six)
    asked = {group.key: group.value for group in page.button_group if group.proto.required and group.key}
    left_open = open_page(file, six, **dict.fromkeys(asked, ""))
    assert not left_open.exception
    assert [title.value for title in left_open.title] == [title.value for title in page.title]
    assert len(left_open.get("html")) == len(page.get("html"))
