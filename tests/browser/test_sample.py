"""The sampling canvas in a real browser: three engines, decoders that agree with torch, drag, pin, and back by the address."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Locator, Page, Route, WebSocket, expect

from core import examples, export
from core.pictures import png
from core.store import Store
from tests.serving import ROOT, Server, settle, until, visit
from ui.decoding import address_of_decoder, addresses_of_runtime

HEADER = 60  # pixels that the page's own bar covers
PATIENCE = 60_000  # milliseconds; the first visit waits for torch
BOX = Store(ROOT / "models_store")
SHIPPED = [run for run in BOX.runs() if export.kept(run) is not None]

RUN_ALL = """async ({ script, machine, decoders }) => {
    const ort = await import(new URL(script, location.origin).href)
    ort.env.wasm.wasmPaths = { wasm: new URL(machine, location.origin).href }
    ort.env.wasm.numThreads = 1
    const found = []
    for (const { url, z } of decoders) {
        const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer())
        const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] })
        const input = new ort.Tensor("float32", Float32Array.from(z), [1, z.length])
        const result = await session.run({ [session.inputNames[0]]: input })
        found.push([...result[session.outputNames[0]].data])
    }
    return found
}"""


WAYS = {"browser": "in the browser", "socket": "by socket", "fragment": "by rerun"}


def opened(page: Page, app: Server, more: str = "", engine: str = "browser") -> Locator:
    visit(page, f"{app.url}/sample{more}")
    expect(page.locator(".engine")).to_contain_text(WAYS[engine], timeout=PATIENCE)
    settle(page)
    pad = page.locator(".pad")
    pad.scroll_into_view_if_needed()
    return pad


def spot(pad: Locator, across: float, down: float) -> tuple[float, float]:
    box = pad.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def drawn(page: Page) -> int:
    return int(page.locator(".canvas").evaluate("e => e.drawn"))


def seen(page: Page) -> list[str]:
    return page.locator(".view canvas").evaluate_all("all => all.map(one => one.toDataURL())")


def still(page: Page) -> list[str]:
    """The pictures, once they no longer change."""
    found: list[str] = []
    while found != (found := seen(page)):
        page.wait_for_timeout(300)
    return found


def developed(page: Page) -> list[str]:
    """The pictures of the first pin."""
    return (
        page.locator(".tray > div")
        .first.locator("canvas")
        .evaluate_all("all => all.map(one => one.toDataURL())")
    )


def test_every_decoder_in_the_box_agrees_with_torch(app: Server, page: Page) -> None:
    visit(page, app.url + "/sample")
    rng = torch.Generator().manual_seed(0)
    codes = [torch.randn(1, run.record.outline().config.latent_dim, generator=rng) for run in SHIPPED]
    decoders = [
        {"url": address_of_decoder(run.id, export.NAME.format(run.weights_hash())), "z": z[0].tolist()}
        for run, z in zip(SHIPPED, codes, strict=True)
    ]
    runtime = dict(zip(("script", "machine"), addresses_of_runtime(), strict=True))
    found = page.evaluate(RUN_ALL, runtime | {"decoders": decoders})
    assert len(SHIPPED) >= 14
    for run, z, values in zip(SHIPPED, codes, found, strict=True):
        with torch.inference_mode():
            expected = run.load().decode(z).flatten().numpy()
        assert np.abs(np.array(values) - expected).max() <= 1e-5, run.id


@pytest.mark.parametrize("engine", ["browser", "socket", "fragment"])
def test_pictures_follow_the_pointer(app: Server, page: Page, engine: str) -> None:
    pad = opened(page, app, f"?engine={engine}", engine)
    assert page.locator(".canvas").evaluate("e => e.engine") == engine
    count, told = page.locator(".canvas").evaluate("e => [e.drawn, e.querySelector('.engine').textContent]")
    assert ("ms a picture" in told) == (count > 2)  # the first two warm up
    shots = [still(page)]
    for across, down in ((0.3, 0.3), (0.7, 0.6)):
        page.mouse.move(*spot(pad, across, down))
        until(page, lambda: all(a != b for a, b in zip(shots[-1], seen(page), strict=True)))
        shots.append(still(page))
    assert [len(shot) for shot in shots] == [2] * 3
    expect(page.locator(".engine")).to_contain_text("ms a picture")


def test_without_a_network_the_browser_goes_on(app: Server, page: Page, page_errors: list[str]) -> None:
    pad = opened(page, app)
    assert page.locator(".canvas").evaluate("e => e.engine") == "browser"
    page.context.set_offline(True)
    before, shot = drawn(page), seen(page)
    page.mouse.move(*spot(pad, 0.2, 0.2))
    page.mouse.move(*spot(pad, 0.8, 0.7), steps=20)
    until(page, lambda: drawn(page) > before and seen(page) != shot)
    page.context.set_offline(False)
    page_errors.clear()  # what Streamlit says of its own connection


def test_drag_pin_go_between_two_uploads_and_come_back_by_the_address(app: Server, page: Page) -> None:
    pad = opened(page, app, "?source=Upload")
    page.mouse.move(*spot(pad, 0.5, 0.5))
    page.mouse.down()
    page.mouse.move(*spot(pad, 0.25, 0.3), steps=10)
    page.mouse.up()
    page.wait_for_url("**at=-0.5*")
    page.mouse.dblclick(*spot(pad, 0.25, 0.3))
    expect(page.get_by_role("button", name="Take pin 1 out")).to_be_visible()

    page.get_by_text("Pictures: examples, uploads").click()
    files = [
        {"name": f"{n}.png", "mimeType": "image/png", "buffer": png(examples.pictures((1, 28, 28))[n][0])}
        for n in (3, 4)
    ]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    expect(page.get_by_alt_text("Variational, step 13")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("3.png: MSE").first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="GIF").click()
    with Image.open(io.BytesIO(Path(download.value.path()).read_bytes())) as film:
        assert film.n_frames == 48  # there and back

    shot = still(page)
    visit(page, page.url)
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)
    until(page, lambda: seen(page) == shot)


@pytest.mark.parametrize("plane", ["Codes", "Seeds&at=1234.567,3"])
def test_who_leaves_the_pad_leaves_the_place_that_was_set_down(app: Server, page: Page, plane: str) -> None:
    pad = opened(page, app, f"?plane={plane}")
    before = page.url
    page.mouse.click(*spot(pad, 0.737, 0.41))
    page.wait_for_url(lambda url: url != before)
    shot = still(page)
    page.mouse.move(*spot(pad, 0.6, 0.1), steps=5)
    until(page, lambda: seen(page) != shot)
    page.mouse.move(*spot(pad, 0.6, -0.1), steps=5)
    until(page, lambda: seen(page) == shot)
    visit(page, page.url)
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)
    until(page, lambda: seen(page) == shot)


def test_a_step_there_and_back_ends_in_the_address_where_it_began(app: Server, page: Page) -> None:
    opened(page, app).focus()
    steps = page.evaluate("history.length")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**at=0.02*")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url("**at=0%2C0*")
    settle(page)
    assert page.evaluate("history.length") == steps, "Back would not leave the page"


def test_keys_move_and_pin_and_the_plane_of_seeds_has_no_end(app: Server, page: Page) -> None:
    pad = opened(page, app, "?plane=Seeds&plane-seed=3")
    pad.focus()
    shot = seen(page)
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    page.wait_for_url("**at=3*")
    until(page, lambda: seen(page) != shot)
    expect(page.get_by_role("application", name="Plane of codes.")).to_be_focused()
    spoken, lines = page.locator(".spoken"), page.locator(".view p").all_inner_texts()
    expect(spoken).to_have_text(f"3.00, 0.00. Variational: {lines[0]}. GAN: {lines[1]}")
    page.keyboard.down("ArrowDown")
    page.wait_for_timeout(300)
    expect(spoken).to_contain_text("3.00, 0.00.")
    page.keyboard.up("ArrowDown")
    expect(spoken).to_contain_text("3.00, −0.05.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Take pin 1 out")).to_be_visible()
    page.get_by_role("button", name="Take pin 1 out").click()
    expect(page.get_by_role("button", name="Take pin 1 out")).to_have_count(0)


def test_a_pin_is_shown_by_a_click_and_is_still_there_after_another_plane(app: Server, page: Page) -> None:
    pad = opened(page, app)
    page.mouse.dblclick(*spot(pad, 0.25, 0.3))
    expect(page.get_by_role("button", name="Show pin 1")).to_be_visible()
    pinned = still(page)
    page.mouse.dblclick(*spot(pad, 0.8, 0.8))
    expect(page.get_by_role("button", name="Show pin 2")).to_be_visible()
    settle(page)
    shown = page.get_by_role("button", name="Show pin 1")
    shown.click()
    expect(shown).to_have_attribute("aria-pressed", "true")
    page.wait_for_url("**at=-0.5*")
    until(page, lambda: seen(page) == pinned == developed(page))
    assert page.get_by_role("button", name="Show pin").count() == 2
    page.mouse.move(*spot(pad, 0.6, 0.6))
    expect(shown).to_have_attribute("aria-pressed", "false")
    page.mouse.move(*spot(pad, -0.1, 0.6))
    expect(shown).to_have_attribute("aria-pressed", "true")
    page.emulate_media(forced_colors="active")
    grounds = page.get_by_role("group", name="pinned pictures").get_by_role("button", name="Show pin")
    one, other = grounds.evaluate_all("all => all.map(e => getComputedStyle(e).backgroundColor)")
    assert one != other
    page.emulate_media(forced_colors="none")

    page.get_by_test_id("stButtonGroup").get_by_text("Seeds", exact=True).click()
    expect(page.get_by_role("button", name="Show pin")).to_have_count(0, timeout=PATIENCE)
    page.get_by_test_id("stButtonGroup").get_by_text("Codes", exact=True).click()
    expect(page.get_by_role("button", name="Show pin")).to_have_count(2, timeout=PATIENCE)
    settle(page)  # until then the canvas of the plane before may be there, too
    expect(page.locator(".engine")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)
    until(page, lambda: developed(page) == pinned)
    page.get_by_role("button", name="Take pin 1 out").click()
    expect(page.get_by_role("button", name="Show pin")).to_have_count(1)


def test_before_the_decoders_come_nothing_is_black_and_a_pin_waits_for_its_picture(
    app: Server, page: Page
) -> None:
    held: list[Route] = []
    page.route("**/api/decoder/**", lambda route: held.append(route))
    visit(page, app.url + "/sample?engine=browser")
    expect(page.locator(".engine")).to_have_text("Getting the decoders…", timeout=PATIENCE)
    page.locator(".pad").dblclick()
    expect(page.get_by_role("button", name="Show pin 1")).to_be_visible()
    pixels = (
        "all => all.map(e => [...e.getContext('2d').getImageData(0, 0, e.width, e.height).data].some(v => v))"
    )
    assert page.locator(".view canvas, .tray canvas").evaluate_all(pixels) == [False] * 4
    ground = page.locator(".view canvas").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert ground != "rgb(0, 0, 0)"
    page.wait_for_timeout(500)
    for route in held:
        route.continue_()
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)
    until(page, lambda: page.locator(".view canvas, .tray canvas").evaluate_all(pixels) == [True] * 4)


def test_the_server_decodes_until_the_browser_can(app: Server, page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/decoder/**", lambda route: held.append(route))
    pad = opened(page, app, engine="socket")
    shot = still(page)
    page.mouse.move(*spot(pad, 0.3, 0.3))
    until(page, lambda: all(a != b for a, b in zip(shot, seen(page), strict=True)))
    for route in held:
        route.continue_()
    expect(page.locator(".engine")).to_contain_text("in the browser", timeout=PATIENCE)


def test_a_socket_that_closed_while_nobody_asked_gives_way(
    app: Server, page: Page, page_errors: list[str]
) -> None:
    """As after a sleep of the laptop, or a restart of the server."""
    page.add_init_script("""
        const Plain = WebSocket
        window.decoders = []
        window.WebSocket = class extends Plain {
            constructor(...all) {
                super(...all)
                if (String(all[0]).includes("/api/decode/")) window.decoders.push(this)
            }
        }""")
    page.route("**/api/decoder/**", lambda route: route.abort())
    pad = opened(page, app, engine="socket")
    page.evaluate("decoders.forEach(one => one.close())")
    shot = still(page)
    page.mouse.move(*spot(pad, 0.3, 0.3))
    expect(page.locator(".engine")).to_contain_text("by rerun", timeout=PATIENCE)
    until(page, lambda: all(a != b for a, b in zip(shot, seen(page), strict=True)))
    page_errors[:] = [one for one in page_errors if "/api/decoder/" not in one]  # those that were kept back


def test_a_number_can_be_turned_and_leaving_the_prior_is_said(app: Server, page: Page) -> None:
    opened(page, app)
    shot = still(page)
    dial = page.get_by_role("slider", name=re.compile(r"^Variational: added to z\d+$")).first
    dial.evaluate("e => { e.value = e.max; e.oninput() }")
    until(page, lambda: seen(page) != shot)
    after = still(page)
    assert after[0] != shot[0] and after[1] == shot[1]  # the first variant's number
    words = dial.get_attribute("aria-valuetext")
    assert words == f"{float(dial.evaluate('e => e.value')):.2f}" != "0.00"
    expect(page.locator(".dials label").first).to_contain_text(words)
    dial.press("ArrowLeft")
    expect(dial).not_to_have_attribute("aria-valuetext", words)
    dial.press("Delete")
    expect(dial).to_have_attribute("aria-valuetext", "0.00")
    until(page, lambda: seen(page) == shot)
    dial.press("Tab")
    expect(dial).not_to_be_focused()
    names = page.locator(".dials input").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert len(set(names)) == len(names) == 64
    for other in page.locator(".dials input").all()[:6]:
        other.evaluate("e => { e.max = 50; e.value = 50; e.oninput() }")
    expect(page.locator(".view p").first).to_contain_text("Beyond what the prior covers")


def test_numbers_that_say_less_are_folded_away(app: Server, page: Page) -> None:
    opened(page, app)
    folded = page.locator("details .dials input")
    assert page.locator(".dials input:visible").count() == 12 and folded.count() == 52  # of twice 32 numbers
    assert page.locator("h5:visible").all_inner_texts() == ["Variational", "GAN"]
    shot = still(page)
    page.get_by_text("52 more numbers, which say less").click()
    folded.first.evaluate("e => { e.value = e.max; e.oninput() }")
    until(page, lambda: seen(page) != shot)


@pytest.mark.parametrize(("width", "height"), [(360, 640), (420, 800), (700, 450)])
def test_a_narrow_window_holds_the_canvas(app: Server, page: Page, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    pad = opened(page, app)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    pad.dblclick()
    together = "all => all.map(e => e.getBoundingClientRect()).flatMap(box => [box.top, box.bottom])"
    ends = page.locator(".pad, .view canvas").evaluate_all(together)
    assert max(ends) - min(ends) < height - HEADER
    shown, out = (
        page.get_by_role("button", name=f"{name} pin 1").bounding_box() for name in ("Show", "Take")
    )
    assert shown and out and shown["x"] + shown["width"] <= out["x"]
    pressed = page.locator(".tray button, .dials input:visible, summary")
    assert min(pressed.evaluate_all("all => all.map(e => Math.min(e.offsetWidth, e.offsetHeight))")) >= 24


def test_who_leaves_the_page_leaves_no_socket_open(app: Server, page: Page) -> None:
    sockets: list[WebSocket] = []
    page.on("websocket", lambda one: sockets.append(one) if "/api/decode/" in one.url else None)
    opened(page, app, "?engine=socket", "socket")
    assert sockets and not any(one.is_closed() for one in sockets)
    page.get_by_role("link", name="Home").first.click()
    expect(page.get_by_role("heading", name="See what a model keeps of a picture")).to_be_visible(
        timeout=PATIENCE
    )
    until(page, lambda: all(one.is_closed() for one in sockets))
