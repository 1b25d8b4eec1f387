"""How fast the map of 70,000 codes is in Chromium, beside Plotly's scattergl; and how well it places pictures.

`python -m benchmarks.map [browser] [placing]`, both by default. Placing takes MNIST in $BOTTLENECK_DATA or the cache.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from playwright.sync_api import Locator, Page, expect

from core import latent
from core.codes import Codes
from core.data import load
from core.store import Store
from tests.serving import ROOT, chromium, serving, settle, visit

POINTS = 70_000
RUN = "mnist-vae-2-beta-1"
SECONDS = 3.0  # of panning
PATIENCE = 120_000  # milliseconds
PLOTLY_APP = Path(__file__).with_name("plotly_app.py")
AROUND_HALF = [(0.15, 0.03), (0.51, 0.03), (0.51, 0.97), (0.15, 0.97), (0.15, 0.03)]


def main() -> None:
    wanted = sys.argv[1:] or ["browser", "placing"]
    if "browser" in wanted:
        with tempfile.TemporaryDirectory() as folder:
            in_a_browser(Path(folder))
    if "placing" in wanted:
        placing()


# --- in a browser -----------------------------------------------------------------------------------------------


def in_a_browser(folder: Path) -> None:
    points = many(folder / "store")
    assert points.labels is not None
    np.savez(folder / "points.npz", places=points.codes.numpy(), labels=points.labels.numpy())
    print(f"{POINTS:,} points, Chromium without GPU")
    with chromium() as browser:
        with serving(BOTTLENECK_STORE=str(folder / "store")) as server:
            page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
            report("ours", ours(page, f"{server.url}/latent?run={RUN}"))
        with serving(PLOTLY_APP, POINTS=str(folder / "points.npz")) as server:
            page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
            report("plotly scattergl", plotly(page, server.url))


def many(root: Path) -> Codes:
    """A store with one run that has 70,000 codes: those of the box, and neighbours drawn around them."""
    root.mkdir()
    shutil.copytree(ROOT / "models_store" / RUN, root / RUN)
    run = Store(root).run(RUN)
    known = run.codes()
    assert known is not None and known.labels is not None
    rng = torch.Generator().manual_seed(0)
    again = torch.randint(0, len(known.codes), (POINTS,), generator=rng)
    z = known.codes[again] + 0.05 * torch.randn(POINTS, known.codes.shape[1], generator=rng)
    made = Codes(z, known.labels[again], known.errors[again])
    run.save_codes(made)
    return made


def ours(page: Page, url: str) -> dict[str, float]:
    visit(page, url)  # warm: torch is there, and the map has been decoded
    page.locator("canvas.top").wait_for(timeout=PATIENCE)
    settle(page)
    began = time.perf_counter()
    page.goto(url)
    page.locator("canvas.top").wait_for(timeout=PATIENCE)
    while not page.locator(".scatter").evaluate("e => e.frames ?? 0"):
        pass
    found = {"first paint, s": time.perf_counter() - began}
    settle(page)
    top = page.locator("canvas.top")
    top.scroll_into_view_if_needed()
    found["frames a second, panning"] = panning(page, top, "e => e.frames", page.locator(".scatter"))
    page.get_by_role("button", name="Whole map").click()
    found["hover to picture, ms"] = hovering(page, top)
    found["click to neighbours, ms"] = clicking(page, top)
    found["lasso to result, ms"] = lasso(page, top)
    return found


def panning(page: Page, top: Locator, frames: str, counter: Locator) -> float:
    """Real mouse moves at about 60 Hz; frames drawn by the component a second."""
    box = top.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    before, began, moves = counter.evaluate(frames), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        moves += 1
        page.mouse.move(x + 60 * np.sin(moves / 12), y + 40 * np.cos(moves / 15))
        time.sleep(max(0.0, began + moves / 62 - time.perf_counter()))
    seconds = time.perf_counter() - began
    drawn = counter.evaluate(frames) - before
    page.mouse.up()
    return drawn / seconds


def hovering(page: Page, top: Locator) -> float:
    """From the end of the wait to the picture on the card, where its sheet is there; median."""
    times = []
    box = top.bounding_box()
    assert box
    for step in range(40):
        page.mouse.move(box["x"] + box["width"] * (0.42 + 0.004 * step), box["y"] + box["height"] * 0.5)
        page.wait_for_timeout(220)
        if (shown := page.locator(".scatter").evaluate("e => e.shownIn ?? null")) is not None:
            times.append(shown)
    return median(times)


def clicking(page: Page, top: Locator) -> float:
    times = []
    box = top.bounding_box()
    assert box
    for step in range(6):
        heading = page.locator('.bn img[alt^="picture"], .bn img[alt*="picture"]').first
        before = heading.get_attribute("alt")
        page.mouse.move(box["x"] + box["width"] * (0.44 + 0.02 * step), box["y"] + box["height"] * 0.45)
        began = time.perf_counter()
        page.mouse.down()
        page.mouse.up()
        while heading.get_attribute("alt") == before and time.perf_counter() - began < 5:
            pass
        times.append(1_000 * (time.perf_counter() - began))
    return median(times)


def lasso(page: Page, top: Locator) -> float:
    """Around about half of the points: from letting go to the answer."""
    box = top.bounding_box()
    assert box
    page.keyboard.down("Shift")
    draw(page, box, AROUND_HALF)
    page.mouse.up()
    began = time.perf_counter()
    page.get_by_text("What is this?").wait_for(timeout=PATIENCE)
    seconds = time.perf_counter() - began
    page.keyboard.up("Shift")
    print(f"    {page.get_by_text('What is this?').text_content()}")
    return 1_000 * seconds


def draw(page: Page, box: Any, corners: list[tuple[float, float]]) -> None:
    for number, (across, down) in enumerate(corners):
        page.mouse.move(
            box["x"] + across * box["width"], box["y"] + down * box["height"], steps=1 if number == 0 else 15
        )
        if number == 0:
            page.mouse.down()


def plotly(page: Page, url: str) -> dict[str, float]:
    drag = page.locator(".nsewdrag")
    visit(page, url)
    drag.wait_for(timeout=PATIENCE)
    began = time.perf_counter()
    page.goto(url)
    drag.wait_for(timeout=PATIENCE)
    found = {"first paint, s": time.perf_counter() - began}
    settle(page)
    page.evaluate(
        "window.frames_ = 0; document.querySelector('.js-plotly-plot').on('plotly_relayouting', () => window.frames_++)"
    )
    found["frames a second, panning"] = panning(page, drag, "e => window.frames_", drag)
    page.evaluate("document.querySelector('[data-attr=dragmode][data-val=lasso]').click()")
    box = drag.bounding_box()
    began = time.perf_counter()
    draw(page, box, AROUND_HALF)
    page.mouse.up()
    expect(page.get_by_text("chosen: ")).not_to_have_text("chosen: 0", timeout=PATIENCE)
    found["lasso, drag and result, ms"] = 1_000 * (time.perf_counter() - began)
    print(f"    {page.get_by_text('chosen: ').text_content()}")
    return found


def report(title: str, found: dict[str, float]) -> None:
    print(title)
    for name, value in found.items():
        print(f"    {name:28} {value:8.2f}")


# --- placing ----------------------------------------------------------------------------------------------------


def placing() -> None:
    """1,000 held-out test digits on a UMAP of the other 9,000: by our rule and by the library's own transform."""
    import warnings

    from sklearn.neighbors import KNeighborsClassifier

    run = Store(ROOT / "models_store").run("mnist-vanilla")
    codes = run.codes()
    assert codes is not None and codes.labels is not None
    assert load("mnist").fingerprint == run.record.dataset["fingerprint"]
    order = torch.randperm(len(codes.codes), generator=torch.Generator().manual_seed(0))
    held, kept = order[:1_000], order[1_000:]
    indices, distances = latent.graph(codes.codes[kept], latent.NEAREST)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import umap

        reducer = umap.UMAP(
            random_state=0, init="pca", precomputed_knn=(indices, distances.astype(np.float32))
        )
        places = reducer.fit_transform(codes.codes[kept].numpy())
        plain = umap.UMAP(random_state=0, init="pca").fit(codes.codes[kept].numpy())
        began = time.perf_counter()
        theirs = plain.transform(codes.codes[held].numpy())
        their_seconds = time.perf_counter() - began
    began = time.perf_counter()
    mine = latent.place(codes.codes[kept], torch.from_numpy(places), codes.codes[held]).numpy()
    seconds = time.perf_counter() - began
    same = latent.place(
        codes.codes[kept], torch.from_numpy(np.asarray(plain.embedding_)), codes.codes[held]
    ).numpy()
    labels = codes.labels.numpy()
    scores = {}
    for name, ground, placed in (
        ("ours", places, mine),
        ("ours, on the map of transform", plain.embedding_, same),
        ("UMAP.transform", plain.embedding_, theirs),
    ):
        voters = KNeighborsClassifier(10).fit(ground, labels[kept])
        scores[name] = voters.score(placed, labels[held])
    print(
        "placing 1,000 of 10,000 MNIST test codes (vanilla, 32 numbers): accuracy of ten neighbours on the map"
    )
    for name, score in scores.items():
        print(f"    {name:32} {score:.4f}")
    print(f"    ours {seconds:.2f} s, transform {their_seconds:.2f} s for 1,000, the first call of each")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
