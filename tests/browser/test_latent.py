"""The map in a real browser: hover, click, lasso, keys, a legend that isolates, and pictures that are fetched when needed."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.serving import Server, settle, until, visit

PATIENCE = 60_000  # milliseconds; the first visit waits for torch
RUN = "mnist-vae-2-beta-1"


def opened(page: Page, app: Server, more: str = "") -> Locator:
    visit(page, f"{app.url}/latent?run={RUN}{more}")
    top = page.locator("canvas.top").first
    expect(top).to_be_visible(timeout=PATIENCE)
    settle(page)
    top.scroll_into_view_if_needed()
    page.wait_for_function("() => true")
    return top


def spot(top: Locator, across: float, down: float) -> tuple[float, float]:
    box = top.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def drag(page: Page, top: Locator, corners: list[tuple[float, float]]) -> None:
    page.mouse.move(*spot(top, *corners[0]))
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*spot(top, *corner), steps=6)
    page.mouse.up()


def test_under_the_pointer_is_a_picture_and_a_click_names_its_neighbours(app: Server, page: Page) -> None:
    top = opened(page, app)
    page.mouse.move(*spot(top, 0.5, 0.5))
    card = page.locator(".card").first
    expect(card).to_be_visible()
    expect(card).to_contain_text("decoded from its code")  # there are no data on this machine
    page.mouse.click(*spot(top, 0.5, 0.5))
    told = card.text_content() or ""
    number = told.split("picture ")[1].split(" ")[0]
    expect(page.get_by_alt_text(f"picture {number}", exact=False).first).to_be_visible(timeout=PATIENCE)
    near = page.get_by_text("The nearest in code space")
    expect(near).to_be_in_viewport()  # beside the map: nobody has to scroll for what was asked
    settle(page)
    visit(page, page.url)
    expect(page.get_by_alt_text(f"picture {number}", exact=False).first).to_be_visible(timeout=PATIENCE)
    assert page.locator(".scatter").evaluate("e => e.memory.picked") == int(number)


def test_where_no_picture_is_the_place_is_decoded(app: Server, page: Page) -> None:
    top = opened(page, app)
    page.mouse.move(*spot(top, 0.36, 0.06))
    expect(page.locator(".card").first).to_contain_text("decoded from this place")


@pytest.mark.parametrize("by", ["Shift", "Lasso"])
def test_a_lasso_asks_what_it_holds(app: Server, page: Page, by: str) -> None:
    top = opened(page, app)
    around = [(0.3, 0.2), (0.7, 0.2), (0.7, 0.8), (0.3, 0.8), (0.3, 0.2)]
    if by == "Shift":
        page.keyboard.down("Shift")
    else:
        page.get_by_role("button", name="Lasso").click()
    drag(page, top, around)
    page.keyboard.up("Shift")
    expect(page.get_by_text("The lasso holds")).to_be_in_viewport(timeout=PATIENCE)
    expect(page.get_by_text("What is this?")).to_be_visible()
    expect(page.get_by_alt_text("the mean of 500 of them")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Table", exact=True).click()
    assert download.value.suggested_filename == "lasso.csv"


@pytest.mark.parametrize("by", ["Escape", "a button"])
def test_a_lasso_is_seen_as_long_as_it_holds_and_let_go_last(app: Server, page: Page, by: str) -> None:
    top = opened(page, app)
    inside = "e => e.getContext('2d').getImageData(e.width / 3, e.height / 3, 1, 1).data[3]"
    assert top.evaluate(inside) == 0
    tool = page.get_by_role("button", name="Lasso", exact=True)
    tool.press("Tab")
    expect(tool).not_to_be_focused()
    tool.press("Enter")
    expect(tool).to_have_attribute("aria-pressed", "true")
    drag(page, top, [(0.3, 0.3), (0.4, 0.3), (0.4, 0.4), (0.3, 0.4)])
    holds, free = page.get_by_text("The lasso holds"), page.get_by_role("button", name="Let go of the lasso")
    expect(holds).to_be_visible(timeout=PATIENCE)
    settle(page)
    assert top.evaluate(inside) > 0
    if by == "Escape":
        page.keyboard.press("Escape")  # the picture that was chosen
        expect(page.locator(".told")).to_have_text("Nothing chosen")
        expect(free).to_be_visible()
        page.keyboard.press("Escape")
    else:
        free.click()
    expect(page.locator(".told")).to_have_text("Lasso let go")
    expect(holds).to_be_hidden(timeout=PATIENCE)
    expect(free).to_be_hidden()
    assert top.evaluate(inside) == 0


def test_a_finger_that_stays_after_a_pinch_undoes_nothing(app: Server, page: Page) -> None:
    top = opened(page, app)
    top.evaluate("e => { e.setPointerCapture = () => {} }")  # no finger of this world

    def finger(kind: str, number: int, across: float) -> None:
        x, y = spot(top, across, 0.5)
        told = {"pointerId": number, "pointerType": "touch", "clientX": x, "clientY": y}
        top.evaluate("(e, [kind, told]) => e.dispatchEvent(new PointerEvent(kind, told))", [kind, told])

    def scale() -> float:
        return float(page.locator(".scatter").evaluate("e => e.memory.views[0].scale"))

    before = scale()
    finger("pointerdown", 1, 0.4)
    finger("pointerdown", 2, 0.6)
    finger("pointermove", 2, 0.8)
    until(page, lambda: scale() == pytest.approx(2 * before))
    finger("pointerup", 1, 0.4)
    finger("pointermove", 2, 0.79)
    page.wait_for_timeout(100)
    assert scale() == pytest.approx(2 * before)


def test_the_map_moves_zooms_and_shows_pictures_close_up(app: Server, page: Page) -> None:
    top = opened(page, app)
    scatter = page.locator(".scatter")
    before = scatter.evaluate("e => ({ ...e.memory.views[0] })")
    drag(page, top, [(0.5, 0.5), (0.6, 0.55)])
    moved = scatter.evaluate("e => ({ ...e.memory.views[0] })")
    assert moved["x"] < before["x"] and moved["y"] > before["y"] and moved["scale"] == before["scale"]
    page.mouse.move(*spot(top, 0.5, 0.5))
    with page.expect_response("**/api/pictures/**"):
        for _ in range(16):
            page.mouse.wheel(0, -300)
            page.wait_for_timeout(30)
    close = scatter.evaluate("e => ({ ...e.memory.views[0] })")
    assert close["scale"] > 20 * moved["scale"]
    window = page.viewport_size
    assert window is not None
    page.set_viewport_size({"width": 700, "height": 560})
    until(page, lambda: scatter.evaluate("e => e.memory.views[0].width") != close["width"])
    smaller = scatter.evaluate("e => ({ ...e.memory.views[0] })")
    assert smaller["x"] == close["x"] and smaller["scale"] > 10 * moved["scale"]
    page.set_viewport_size(window)
    until(page, lambda: scatter.evaluate("e => e.memory.views[0].width") == close["width"])
    page.get_by_role("button", name="Whole map").click()
    until(page, lambda: scatter.evaluate("e => e.memory.views[0].scale") == pytest.approx(before["scale"]))


def test_the_legend_isolates_a_class(app: Server, page: Page) -> None:
    opened(page, app)
    button = page.locator(".legend button", has_text="7")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.locator(".scatter").evaluate("e => e.memory.only") == 7
    button.click()
    assert page.locator(".scatter").evaluate("e => e.memory.only") is None


def test_keys_walk_from_picture_to_picture_and_say_which(app: Server, page: Page) -> None:
    top = opened(page, app)
    top.focus()
    heard = []
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        heard.append(page.locator(".told").text_content())
    assert len(set(heard)) == 3 and all("picture" in (one or "") for one in heard)
    page.keyboard.press("Enter")
    number = (heard[-1] or "").split("picture ")[1].split(",")[0]
    expect(page.get_by_alt_text(f"picture {number}", exact=False).first).to_be_visible(timeout=PATIENCE)


def test_escape_lets_go_of_one_thing_at_a_time(app: Server, page: Page) -> None:
    top = opened(page, app)
    card, told, lasso = page.locator(".card").first, page.locator(".told"), page.locator(".tool")
    lasso.click()
    top.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(told).to_contain_text("Chosen")
    settle(page)
    expect(card).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(lasso).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(lasso).to_have_attribute("aria-pressed", "false")
    expect(told).to_have_text("Lasso put away")
    page.keyboard.press("Escape")
    expect(told).to_have_text("Nothing chosen")
    expect(page.get_by_text("Click a picture on the map")).to_be_visible(timeout=PATIENCE)

    lasso.click()  # where the focus stays
    page.keyboard.press("Escape")
    expect(lasso).to_have_attribute("aria-pressed", "false")


def test_a_lasso_that_is_being_drawn_is_let_go(app: Server, page: Page) -> None:
    top = opened(page, app)
    page.get_by_role("button", name="Lasso").click()
    page.mouse.move(*spot(top, 0.3, 0.2))
    page.mouse.down()
    for corner in ((0.7, 0.2), (0.7, 0.8), (0.3, 0.8)):
        page.mouse.move(*spot(top, *corner), steps=6)
    page.keyboard.press("Escape")
    page.mouse.up()
    settle(page)
    expect(page.locator(".tool")).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("The lasso holds")).to_be_hidden()


def test_a_card_goes_with_the_focus_and_wherever_escape_is_pressed(app: Server, page: Page) -> None:
    top = opened(page, app)
    card = page.locator(".card").first
    top.focus()
    page.keyboard.press("ArrowRight")
    expect(card).to_be_visible()
    page.keyboard.press("Tab")
    expect(card).to_be_hidden()
    page.mouse.move(*spot(top, 0.5, 0.5))
    expect(card).to_be_visible()
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(page.locator(".told")).not_to_have_text("Nothing chosen")  # the map itself was not asked


def test_what_is_pressed_shows_in_forced_colours(app: Server, page: Page) -> None:
    page.emulate_media(forced_colors="active")
    opened(page, app)
    button = page.locator(".legend button", has_text="7")
    colour = "e => getComputedStyle(e).backgroundColor"
    before, dot = button.evaluate(colour), button.locator("i").evaluate(colour)
    button.click()
    assert button.evaluate(colour) not in (before, "rgba(0, 0, 0, 0)")
    assert dot == button.locator("i").evaluate(colour) != before


def test_two_variants_are_linked(app: Server, page: Page) -> None:
    visit(page, f"{app.url}/latent?run={RUN}")
    expect(page.locator("canvas.top").first).to_be_visible(timeout=PATIENCE)
    page.get_by_text("Beside it").locator("xpath=following::input[1]").fill("Vanilla · 2 numbers")
    page.keyboard.press("Enter")
    expect(page.locator("canvas.top")).to_have_count(2, timeout=PATIENCE)
    settle(page)
    top = page.locator("canvas.top").first
    top.scroll_into_view_if_needed()
    page.mouse.move(*spot(top, 0.5, 0.5))
    told = page.locator(".card span")
    until(page, lambda: all("picture" in text for text in told.all_text_contents()))
    one, other = told.all_text_contents()
    assert one == other


def test_a_narrow_window_holds_the_map(app: Server, page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    opened(page, app)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_history_plays(app: Server, page: Page) -> None:
    visit(page, f"{app.url}/latent?run={RUN}&chapter=While+it+learnt")
    told = page.locator(".lapse output")
    expect(told).to_have_text("epoch 20", timeout=PATIENCE)
    page.locator(".lapse input").fill("0")
    expect(told).to_have_text("epoch 1")
    page.locator(".lapse input").press("ArrowRight")
    expect(told).not_to_have_text("epoch 1")
    page.locator(".lapse input").press("ArrowLeft")
    expect(told).to_have_text("epoch 1")
    page.get_by_role("button", name="Play").click()
    expect(told).to_have_text("epoch 20", timeout=PATIENCE)


@pytest.mark.parametrize(
    ("chapter", "button", "file"),
    [
        ("All+variants", "Pictures", "maps.zip"),
        ("Numbers+of+the+code", "Table", f"{RUN}-numbers.csv"),
        ("While+it+learnt", "Table", f"{RUN}-epochs.csv"),
    ],
)
def test_what_is_shown_can_be_taken_away(
    app: Server, page: Page, chapter: str, button: str, file: str
) -> None:
    visit(page, f"{app.url}/latent?run={RUN}&chapter={chapter}")
    with page.expect_download(timeout=PATIENCE) as download:
        page.get_by_role("button", name=button, exact=True).click()
    assert download.value.suggested_filename == file
    assert download.value.path().stat().st_size > 100
