"""The frame around the pages, as a visitor's browser shows it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.serving import Server, visit
from ui.shell import MENU, Entry

ENTRIES = [entry for entries in MENU.values() for entry in entries]
LOADED_FONTS = """
    [...document.fonts].filter(face => face.status === "loaded").map(face => face.family.replaceAll('"', ""))
"""
FONTS = ("Atkinson Hyperlegible Next", "Bricolage Grotesque")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.title)
def test_every_page_opens_from_a_cold_link(app: Server, page: Page, entry: Entry) -> None:
    visit(page, f"{app.url}/{entry.path}")

    expect(page.get_by_role("heading", level=1).first).to_be_visible()
    expect(page).to_have_title("Bottleneck")
    for other in ENTRIES:
        expect(page.get_by_test_id("stSidebarNav").get_by_text(other.title, exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_fonts_come_from_this_server(app: Server, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    visit(page, app.url)

    page.evaluate("document.fonts.ready")
    assert set(FONTS) <= set(page.evaluate(LOADED_FONTS))


def test_a_request_beyond_this_machine_is_refused_and_noticed(
    app: Server, page: Page, page_errors: list[str]
) -> None:
    visit(page, app.url)

    assert page.evaluate("fetch('https://example.com/').then(() => 'arrived', () => 'refused')") == "refused"
    assert "asked for https://example.com/" in page_errors
    page_errors.clear()
