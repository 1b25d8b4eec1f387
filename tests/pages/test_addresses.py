"""Addresses that name a choice and give it nothing: what is usual is chosen then."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from core.store import Store
from tests.pages.conftest import PAGES, Open

FILES = sorted(str(file.relative_to(PAGES)) for file in PAGES.glob("*/*.py"))


def words(page: AppTest) -> list[str]:
    """What it says, and the pictures that it shows; not how long anything took."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.subheader, page.get("html"))
    said = [getattr(one, "value", None) or one.proto.body for kind in kinds for one in kind]
    return [re.sub(r"[0-9.]+ m?s\b", "", one) for one in said]


@pytest.mark.parametrize("file", FILES)
def test_a_choice_without_a_value_is_the_usual_one(open_page: Open, six: Store, file: str) -> None:
    page = open_page(file, six)
    asked = {group.key: group.value for group in page.button_group if group.proto.required and group.key}
    left_open = open_page(file, six, **dict.fromkeys(asked, ""))
    assert not left_open.exception
    assert [title.value for title in left_open.title] == [title.value for title in page.title]
    assert words(left_open) == words(page)
