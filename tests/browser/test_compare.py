"""The comparison of two photographs in a real browser: a divider, and a lens whose pixels tell where it looks."""

from __future__ import annotations

import io
import shutil
from base64 import b64decode
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Locator, Page, Route, expect

from tests.browser.conftest import watch
from tests.serving import ROOT, Server, serving, settle, until, visit

WIDTH, HEIGHT = 1200, 900

# Red and green of a pixel tell its column and row modulo 256, blue tells the picture.
SCRIPT = f"""
import io

import numpy as np
import streamlit as st
from PIL import Image

from ui.components.compare import compare, served

WIDTH, HEIGHT = {WIDTH}, {HEIGHT}


def picture(blue, place, width=WIDTH):
    pixels = np.full((HEIGHT, width, 3), blue, np.uint8)
    pixels[..., 0] = np.arange(width) % 256
    pixels[..., 1] = np.arange(HEIGHT)[:, None] % 256
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return served(file.getvalue(), "image/png", place)


case = st.query_params.get("case", "")
after = picture(255, "after", WIDTH - 200 if case == "odd" else WIDTH)
label = "denoised"
if st.button("Denoise anew"):
    after, label = picture(180, "after"), "denoised anew"
compare(
    picture(0, "before"),
    "/media/nowhere.png" if case == "gone" else after,
    (WIDTH, HEIGHT),
    ("as it came", label),
    "a street at night",
    "photo",
    truth=picture(120, "truth") if case == "truth" else None,
)
st.html('<div style="height: 2000px">below</div>')
"""

BLUES = (0, 255, 120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("compare")
    shutil.copytree(ROOT / "ui" / "static", folder / "static")  # the theme's fonts
    (folder / "page.py").write_text(SCRIPT, encoding="utf-8")
    with serving(folder / "page.py") as server:
        yield server


@pytest.fixture
def finger(browser: Browser, page_errors: list[str]) -> Iterator[Page]:
    """A tab of a telephone."""
    with browser.new_context(
        viewport={"width": 400, "height": 800}, device_scale_factor=2, has_touch=True, is_mobile=True
    ) as context:
        watch(context, page_errors)
        yield context.new_page()
    assert page_errors == []


def opened(page: Page, site: Server, case: str = "") -> Locator:
    visit(page, f"{site.url}/?case={case}")
    expect(page.locator(".compare")).to_have_attribute("data-state", "open")
    return page.locator(".stage")


def spot(stage: Locator, across: float, down: float) -> tuple[float, float]:
    box = stage.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def divided(page: Page) -> int:
    return int(page.get_by_role("slider").get_attribute("aria-valuenow") or "")


def panes(page: Page) -> list[np.ndarray]:
    """What the lens shows: (side, side, 3) of each picture, in device pixels."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    shown = page.locator(".pane:visible canvas").evaluate_all("all => all.map(one => one.toDataURL())")
    return [pixels_of(b64decode(one.partition(",")[2])) for one in shown]


def pixels_of(file: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB"))


def centre(page: Page) -> tuple[int, int]:
    """The column and row modulo 256 in the middle of the lens, which has to show the same of every picture, unscaled."""
    shown = panes(page)
    for pane, blue in zip(shown, BLUES, strict=False):
        assert (pane[..., 2] == blue).all()
        np.testing.assert_array_equal(pane[..., :2], shown[0][..., :2])
    middle = len(shown[0]) // 2
    column, row, _ = shown[0][middle, middle]
    return int(column), int(row)


def away(found: tuple[int, int], across: float, down: float) -> int:
    """By how many pixels a spot differs from a place of the picture, in the worse direction."""
    wanted = (across * WIDTH, down * HEIGHT)
    return max(
        abs((value - round(want) + 128) % 256 - 128) for value, want in zip(found, wanted, strict=True)
    )


def test_a_drag_moves_the_divider_with_one_picture_on_either_side(site: Server, page: Page) -> None:
    stage = opened(page, site)
    assert divided(page) == 50
    page.mouse.move(*spot(stage, 0.8, 0.4))
    page.mouse.down()
    page.mouse.move(*spot(stage, 0.3, 0.4), steps=5)
    page.mouse.up()
    assert divided(page) == 30
    pixels = pixels_of(stage.screenshot())
    row, width = len(pixels) * 3 // 4, pixels.shape[1]
    blue = [int(pixels[row, int(share * width), 2]) for share in (0.1, 0.28, 0.32, 0.9)]
    np.testing.assert_allclose(blue, [0, 0, 255, 255], atol=3)


def test_a_handle_taken_at_its_edge_does_not_jump(site: Server, page: Page) -> None:
    stage = opened(page, site)
    box = page.locator(".divider svg").bounding_box()
    assert box
    x, y = box["x"] + 3, box["y"] + box["height"] / 2
    width = (stage.bounding_box() or {})["width"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 0.1 * width, y, steps=5)
    page.mouse.up()
    assert divided(page) == 60


def test_keys_move_the_divider(site: Server, page: Page) -> None:
    opened(page, site)
    divider = page.get_by_role("slider")
    divider.focus()
    for key, expected in (
        ("ArrowRight", 51),
        ("ArrowLeft", 50),
        ("Shift+ArrowLeft", 40),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("End", 100),
        ("Shift+ArrowDown", 90),
    ):
        page.keyboard.press(key)
        assert divided(page) == expected
    assert divider.get_attribute("aria-valuetext") == "90% “as it came”"


@pytest.mark.parametrize("zoom", [1, 2, 4])
def test_the_lens_opens_in_the_middle_and_shows_pixels_as_they_are(
    site: Server, page: Page, zoom: int
) -> None:
    opened(page, site, "truth")
    page.get_by_role("button", name=f"{zoom}×").click()
    assert away(centre(page), 0.5, 0.5) <= 1
    shown = panes(page)
    assert len(shown) == 3
    line = shown[0][0, :, 0].astype(int)
    assert len(line) > 200
    steps = line[0] + np.arange(len(line)) // zoom
    np.testing.assert_array_equal(line, steps % 256)


def test_a_click_lets_the_lens_follow_and_another_pins_it(site: Server, page: Page) -> None:
    stage = opened(page, site)
    page.mouse.move(*spot(stage, 0.3, 0.3))
    assert away(centre(page), 0.5, 0.5) <= 1  # pinned at first
    page.mouse.click(*spot(stage, 0.3, 0.3))
    assert away(centre(page), 0.3, 0.3) <= 2
    page.mouse.move(*spot(stage, 0.6, 0.7))
    assert away(centre(page), 0.6, 0.7) <= 2
    page.mouse.click(*spot(stage, 0.6, 0.7))
    page.mouse.move(*spot(stage, 0.3, 0.3))
    assert away(centre(page), 0.6, 0.7) <= 2
    assert divided(page) == 50


def test_the_rectangle_lies_where_the_lens_looks_up_to_the_edges(site: Server, page: Page) -> None:
    stage = opened(page, site)
    page.mouse.click(*spot(stage, 0.99, 0.01))
    shown = panes(page)[0]
    assert tuple(shown[0, -1, :2]) == ((WIDTH - 1) % 256, 0)
    inner, outer = page.locator(".spot").bounding_box(), stage.bounding_box()
    assert inner and outer
    assert inner["y"] == pytest.approx(outer["y"], abs=1)
    assert inner["x"] + inner["width"] == pytest.approx(outer["x"] + outer["width"], abs=1)
    assert inner["width"] / outer["width"] == pytest.approx(len(shown) / WIDTH, abs=0.01)


def test_keys_and_a_drag_in_the_lens_move_it(site: Server, page: Page) -> None:
    stage = opened(page, site)
    stage.focus()
    side = len(panes(page)[0])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert away(centre(page), 0.5 + 0.1 * side / WIDTH, 0.5 - 0.1 * side / HEIGHT) <= 1
    assert divided(page) == 50
    before = centre(page)
    box = page.locator(".pane").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 130, steps=4)
    page.mouse.up()
    assert centre(page) == ((before[0] + 40) % 256, (before[1] - 30) % 256)


def test_the_lens_goes_and_comes_by_key_button_and_double_click(site: Server, page: Page) -> None:
    stage = opened(page, site)
    pane, button = page.locator(".pane").first, page.get_by_role("button", name="Lens")
    smaller = (stage.bounding_box() or {})["height"]
    button.click()
    expect(pane).to_be_hidden()
    expect(page.locator(".spot")).to_be_hidden()
    assert (stage.bounding_box() or {})["height"] > smaller
    page.keyboard.press("m")
    expect(pane).to_be_visible()
    page.mouse.dblclick(*spot(stage, 0.5, 0.5))
    expect(pane).to_be_hidden()
    page.mouse.dblclick(*spot(stage, 0.7, 0.3))
    expect(pane).to_be_visible()
    assert away(centre(page), 0.7, 0.3) <= 2


def test_moving_asks_the_server_nothing(site: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: asked.append("a message")))
    stage = opened(page, site)
    page.on("request", lambda request: asked.append(request.url))
    asked.clear()
    page.mouse.click(*spot(stage, 0.4, 0.4))
    page.mouse.move(*spot(stage, 0.6, 0.6), steps=10)
    page.mouse.down()
    page.mouse.move(*spot(stage, 0.2, 0.6), steps=10)
    page.mouse.up()
    page.get_by_role("button", name="4×").click()
    assert away(centre(page), 0.6, 0.6) <= 2
    assert asked == []


def when_blue_is(page: Page, blue: int) -> list[np.ndarray]:
    """What the lens shows once the second picture is the one with this blue."""
    for _ in range(100):
        shown = panes(page)
        if (shown[1][..., 2] == blue).all():
            return shown
        page.wait_for_timeout(100)
    raise AssertionError(f"the second picture never came: blue is {shown[1][0, 0, 2]} and not {blue}")


def test_another_result_is_seen_in_the_same_place(site: Server, page: Page) -> None:
    stage = opened(page, site)
    page.mouse.click(*spot(stage, 0.3, 0.3))
    page.get_by_role("slider").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.get_by_role("button", name="Denoise anew").click()
    settle(page)
    before, after = when_blue_is(page, 180)
    assert (before[..., 2] == 0).all()
    middle = len(after) // 2
    column, row, _ = after[middle, middle]
    assert away((int(column), int(row)), 0.3, 0.3) <= 2
    assert divided(page) == 40


def test_what_is_open_keeps_its_label_until_the_other_picture_takes_its_place(
    site: Server, page: Page
) -> None:
    opened(page, site)
    label = page.locator(".layer.after .label")
    held: list[Route] = []
    page.route("**/media/**", lambda route: held.append(route))
    page.get_by_role("button", name="Denoise anew").click()
    while not held:
        page.wait_for_timeout(50)
    assert label.inner_text() == "denoised"
    for route in held:
        route.continue_()
    expect(label).to_have_text("denoised anew")


def swipe(session: CDPSession, start: tuple[float, float], end: tuple[float, float]) -> None:
    points = np.linspace(start, end, 12).tolist()
    for kind, places in (("touchStart", points[:1]), ("touchMove", points[1:]), ("touchEnd", [None])):
        for place in places:
            at = [{"x": place[0], "y": place[1]}] if place else []
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})


def test_a_finger_taps_drags_and_scrolls(site: Server, finger: Page) -> None:
    stage = opened(finger, site)
    session = finger.context.new_cdp_session(finger)
    finger.touchscreen.tap(*spot(stage, 0.3, 0.6))
    assert away(centre(finger), 0.3, 0.6) <= 4
    swipe(session, spot(stage, 0.8, 0.5), spot(stage, 0.25, 0.5))
    assert divided(finger) == pytest.approx(25, abs=1)
    assert away(centre(finger), 0.3, 0.6) <= 4
    top = spot(stage, 0.5, 0.0)[1]
    swipe(session, spot(stage, 0.6, 0.9), spot(stage, 0.6, 0.2))
    until(finger, lambda: spot(stage, 0.5, 0.0)[1] < top - 50)  # the page has scrolled
    assert divided(finger) == pytest.approx(25, abs=1)


@pytest.mark.parametrize("case", ["", "truth"])
def test_a_narrow_window_holds_frame_and_lens_side_by_side(site: Server, page: Page, case: str) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    opened(page, site, case)
    boxes = [one.bounding_box() or {} for one in page.locator(".pane:visible").all()]
    assert len(boxes) == (3 if case else 2)
    assert len({box["y"] for box in boxes}) == 1
    assert all(box["width"] > 100 and box["x"] + box["width"] <= 400 for box in boxes)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_frame_wears_the_theme(site: Server, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    opened(page, site)
    look = "e => { const s = getComputedStyle(e); return [s.backgroundColor, s.color].map(c => c.match(/\\d+/g).map(Number)) }"
    ground, ink = page.locator(".frame").evaluate(look)
    darker, brighter = (ground, ink) if scheme == "dark" else (ink, ground)
    assert max(darker[:3]) < 60 and min(brighter[:3]) > 200


def test_pictures_of_two_sizes_are_refused_in_words(site: Server, page: Page) -> None:
    visit(page, f"{site.url}/?case=odd")
    expect(page.get_by_role("status")).to_have_text(
        "The picture “denoised” has 1000 × 900 pixels and not 1200 × 900. Only pictures of one size can be compared."
    )
    expect(page.locator(".stage")).to_be_hidden()
    expect(page.locator(".pane").first).to_be_hidden()


def test_a_picture_that_is_gone_is_told(site: Server, page: Page, page_errors: list[str]) -> None:
    visit(page, f"{site.url}/?case=gone")
    expect(page.get_by_role("status")).to_contain_text("The picture “denoised” did not open")
    (error,) = page_errors
    assert "404" in error and "/media/nowhere.png" in error
    page_errors.clear()
