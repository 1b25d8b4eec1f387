"""Inside the VAE in a real browser: pointers that decode, pictures that are looked at closer, a bound that climbs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.serving import Server, settle, until, visit

PATIENCE = 60_000  # milliseconds; the first visit waits for torch

PIXELS = """all => all.map(canvas => {
    const { width, height } = canvas
    const pixels = width ? [...canvas.getContext("2d").getImageData(0, 0, width, height).data] : []
    return pixels.join()
})"""


def chapter(page: Page, app: Server, name: str, more: str = "") -> None:
    visit(page, f"{app.url}/vae?chapter={quote(name)}{more}")


def hover(page: Page, canvas: Locator, across: float, up: float) -> None:
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + across * box["width"], box["y"] + (1 - up) * box["height"])


def test_one_pointer_decodes_in_both_maps(app: Server, page: Page) -> None:
    chapter(page, app, "Why not a plain one")
    decoded, planes = page.locator("canvas.decoded"), page.locator("canvas.plane")
    expect(decoded).to_have_count(2, timeout=PATIENCE)
    seen = []
    for across, up in ((0.3, 0.4), (0.7, 0.6)):
        hover(page, planes.first, across, up)
        until(page, lambda: decoded.evaluate_all(PIXELS) not in seen)
        page.wait_for_timeout(200)
        seen.append(decoded.evaluate_all(PIXELS))
    assert all(before != after for before, after in zip(*seen, strict=True))
    assert seen[0][0] != seen[0][1]  # two models


def test_a_place_that_was_set_down_stands_in_the_address_and_comes_back(app: Server, page: Page) -> None:
    chapter(page, app, "Why not a plain one")
    plane = page.locator("canvas.plane").last
    expect(plane).to_be_visible(timeout=PATIENCE)
    hover(page, plane, 0.25, 0.75)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**at=0.2*")
    where = page.locator(".where").last.text_content()
    visit(page, page.url)
    expect(page.locator(".where").last).to_have_text(where or "", timeout=PATIENCE)


def test_the_last_of_two_places_that_were_set_down_is_shown(app: Server, page: Page) -> None:
    chapter(page, app, "Why not a plain one")
    plane, where = page.locator("canvas.plane").last, page.locator(".where").last
    expect(plane).to_be_visible(timeout=PATIENCE)
    for across, up in ((0.25, 0.75), (0.6, 0.4)):
        hover(page, plane, across, up)
        told = where.text_content() or ""
        page.mouse.down()
        page.mouse.up()
        page.wait_for_url(f"**at={str(across)[:3]}*")
    settle(page)
    page.mouse.move(0, 0)
    expect(where).to_have_text(told)
    page.mouse.click(*[sum(pair) for pair in zip(hovered(plane), (20, 20), strict=True)], button="right")
    page.wait_for_timeout(500)
    page.mouse.move(0, 0)
    expect(where).to_have_text(told)  # a menu sets nothing down


def hovered(canvas: Locator) -> tuple[float, float]:
    box = canvas.bounding_box()
    assert box
    return box["x"], box["y"]


def test_far_from_every_code_is_said_and_keys_move_the_pointer(app: Server, page: Page) -> None:
    chapter(page, app, "Why not a plain one", "&at=0.01,0.99")
    near = page.locator(".near").last
    expect(near).to_have_text("No code near here: a hole", timeout=PATIENCE)
    before = page.locator(".where").last.text_content()
    page.locator("canvas.plane").last.focus()
    for _ in range(25):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    expect(near).to_contain_text("codes of test pictures")
    assert page.locator(".where").last.text_content() != before


def test_a_picture_of_the_manifold_is_looked_at_closer(app: Server, page: Page) -> None:
    chapter(page, app, "The manifold")
    image = page.locator(".tiles img")
    expect(image).to_be_visible(timeout=PATIENCE)
    before = image.get_attribute("src")
    box = image.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + 0.1 * box["height"])
    page.wait_for_url("**zoom=2*")
    expect(image).not_to_have_attribute("src", before or "")
    assert "across=0.75" in page.url and "up=0.75" in page.url  # as far out as half of the square goes


def test_keys_mark_and_name_the_picture_that_enter_looks_at(app: Server, page: Page) -> None:
    chapter(page, app, "The manifold")
    tiles, cell, told = (page.locator(name) for name in (".tiles", ".tiles .cell", ".tiles .told"))
    expect(tiles).to_be_visible(timeout=PATIENCE)
    expect(cell).to_be_hidden()
    tiles.focus()
    expect(cell).to_be_visible()
    expect(told).to_have_text("row 1, column 1")
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text("row 1, column 2")
    hover(page, tiles, 0.9, 0.1)
    page.mouse.move(0, 0)
    expect(cell).to_be_visible()  # where the pointer left it, which is where keys go on
    page.keyboard.press("Enter")
    page.wait_for_url("**zoom=2*")
    settle(page)
    expect(told).to_contain_text("Looking closer at row 15, column 15")
    expect(cell).to_be_visible()
    page.keyboard.press("Tab")
    expect(cell).to_be_hidden()


def test_the_bound_climbs_above_the_elbo(app: Server, page: Page) -> None:
    chapter(page, app, "The objective")
    told = page.get_by_text("above the ELBO")
    expect(told).to_contain_text("k = 1,024", timeout=PATIENCE)
    page.get_by_test_id("stButtonGroup").get_by_text("4,096", exact=True).click()
    expect(told).to_contain_text("k = 4,096", timeout=PATIENCE)


def test_the_ladder_goes_from_pictures_to_collapse(app: Server, page: Page) -> None:
    chapter(page, app, "What β does", "&run=mnist-vae-16-beta-1")
    expect(page.get_by_text("The codes at β = 1", exact=True)).to_be_visible(timeout=PATIENCE)
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Partial collapse")).to_be_visible()
    expect(page.get_by_text("The codes at β = 10")).to_be_visible()


@pytest.mark.parametrize("name", ["A picture's cloud", "Why not a plain one"])
def test_a_narrow_window_holds_the_page(app: Server, page: Page, name: str) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    chapter(page, app, name)
    expect(page.locator("canvas.plane").first).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [360, 768])
def test_in_a_narrow_window_nothing_is_cut_or_one_below_the_other(
    app: Server, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    chapter(page, app, "A picture's cloud")
    numbers, pictures = (
        page.get_by_role("button", name=name, exact=True) for name in ("Numbers", "Pictures")
    )
    expect(pictures).to_be_visible(timeout=PATIENCE)
    (left, top), (right, beside) = hovered(numbers), hovered(pictures)
    assert top == beside and right - left < width / 2
    label = page.get_by_text("Keep ε", exact=True).locator("..")
    assert label.evaluate("e => e.scrollWidth <= e.clientWidth")
