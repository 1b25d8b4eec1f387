"""What a visitor does first, in a real browser, with the models in the box, no data folder and no network."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core import examples
from core.families import FAMILIES
from core.pictures import png
from tests.browser.conftest import Serve
from tests.serving import Server, serving, visit

BOARD = ".bn .board"
PATIENCE = 60_000  # milliseconds; the first visit waits for torch


def digit(number: int) -> bytes:
    return png(examples.pictures((1, 28, 28))[number][0])


def test_home_shows_every_family_with_pictures_that_have_loaded(app: Server, page: Page) -> None:
    visit(page, app.url)
    for family in FAMILIES:
        expect(page.get_by_role("heading", name=family.title)).to_be_visible()
        expect(page.get_by_alt_text(f"picture 1 rebuilt by {family.title}")).to_be_visible()
        expect(page.get_by_alt_text(f"new picture 1 by {family.title}", exact=True)).to_be_visible()
    assert page.evaluate("[...document.querySelectorAll('.bn img')].every(image => image.naturalWidth > 0)")


def test_below_another_path_pictures_and_decoders_are_found(serve: Serve, page: Page) -> None:
    """As behind a proxy that serves several apps."""
    server = serve(base="/lab")
    visit(page, server.url + "/sample")
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)
    visit(page, server.url + "/sample?engine=socket")
    expect(page.locator(".engine")).to_contain_text("by socket", timeout=PATIENCE)
    visit(page, server.url + "/latent")
    with page.expect_response("**/lab/api/pictures/**") as answer:
        page.locator(".scatter .top").first.hover()
    assert answer.value.ok


def test_from_home_to_ones_own_pictures_through_every_variant(app: Server, page: Page) -> None:
    visit(page, app.url)
    page.get_by_role("link", name="Try your own pictures").click()
    page.get_by_text("Upload", exact=True).click()
    files = [
        {"name": "three.png", "mimeType": "image/png", "buffer": digit(3)},
        {"name": "broken.png", "mimeType": "image/png", "buffer": b"not a picture"},
    ]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    expect(page.get_by_alt_text("three.png, GAN", exact=True)).to_be_visible(timeout=PATIENCE)
    for family in FAMILIES:
        expect(page.get_by_alt_text(f"three.png, {family.title}", exact=True)).to_be_visible()
        expect(page.get_by_alt_text(f"error map of three.png, {family.title}")).to_be_visible()
    expect(page.get_by_text("broken.png").first).to_be_visible()


def test_the_chosen_data_go_along_to_the_next_page(app: Server, page: Page) -> None:
    visit(page, app.url)
    page.get_by_text("Digits 8×8 · gray").click()
    page.get_by_role("button", name="What the numbers mean").click()
    expect(page.get_by_text("300 test pictures")).to_be_visible(timeout=PATIENCE)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Try your own pictures").click()
    expect(page.get_by_text("Choose at least one picture.")).to_be_visible(timeout=PATIENCE)
    page.get_by_test_id("stMain").get_by_text("Examples", exact=True).click()
    expect(page.locator(BOARD)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("no compression").first).to_be_visible()  # 32 numbers for 64 pixels


def test_pictures_can_be_taken_away(app: Server, page: Page) -> None:
    visit(page, app.url + "/reconstruct")
    expect(page.locator(BOARD)).to_be_visible(timeout=PATIENCE)
    with page.expect_download() as download:
        page.get_by_role("button", name="Pictures").click()
    with zipfile.ZipFile(Path(download.value.path())) as file:
        assert len(file.namelist()) == 3 * (1 + 2 * len(FAMILIES))
        assert Image.open(io.BytesIO(file.read(file.namelist()[0]))).size == (28, 28)


def test_a_drawing_is_rebuilt_as_the_pen_lifts(app: Server, page: Page) -> None:
    visit(page, app.url + "/reconstruct?source=Draw")
    rebuilt = page.get_by_alt_text("drawing, Vanilla", exact=True)
    expect(rebuilt).to_be_visible(timeout=PATIENCE)
    before = rebuilt.get_attribute("src")
    page.get_by_role("button", name="Clear").click()
    expect(rebuilt).to_have_count(0)
    box = page.locator("canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] - 30, steps=12)
    page.mouse.up()
    expect(rebuilt).to_be_visible(timeout=PATIENCE)
    assert rebuilt.get_attribute("src") != before


def test_the_address_brings_back_what_one_saw(app: Server, page: Page) -> None:
    visit(page, app.url + "/reconstruct")
    expect(page.locator(BOARD)).to_be_visible(timeout=PATIENCE)
    page.get_by_test_id("stButtonGroup").get_by_text("SSIM", exact=True).click()
    page.get_by_test_id("stButtonGroup").get_by_text("digit 8", exact=True).click()
    expect(page.get_by_alt_text("digit 8, Vanilla", exact=True)).to_have_count(0)
    visit(page, page.url)
    expect(page.get_by_alt_text("digit 5, Vanilla", exact=True)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_alt_text("digit 8, Vanilla", exact=True)).to_have_count(0)
    assert "metric=SSIM" in page.url


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(BOTTLENECK_STORE=str(tmp_path_factory.mktemp("empty"))) as server:
        yield server


@pytest.mark.parametrize("path", ["/", "/reconstruct"])
def test_with_an_empty_store_every_page_says_how_to_begin(empty: Server, page: Page, path: str) -> None:
    visit(page, empty.url + path)
    expect(page.get_by_role("link", name="Train the first")).to_be_visible(timeout=PATIENCE)


def test_a_narrow_window_keeps_the_board_within_reach(app: Server, page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    visit(page, app.url + "/reconstruct")
    expect(page.locator(BOARD)).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(
        "(() => { const s = document.querySelector('.bn .scroll'); return s.scrollWidth > s.clientWidth })()"
    )
