"""How directly pictures follow the pointer on the sampling canvas: by engine and decoder, in Chromium, mouse moves at 60 Hz.

Distinct pictures drawn a second, and the time from asking for a picture to having drawn it.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from playwright.sync_api import Page

from core import export
from core.evaluation import summarise
from core.families.vae import VAE
from core.family import Shape
from core.store import Run, Store
from core.training import Plan, train
from tests import toy
from tests.serving import chromium, serving, settle, visit

SECONDS = 4.0
PATIENCE = 60_000  # milliseconds
ENGINES = ("browser", "socket", "fragment")
DECODERS: dict[str, tuple[Shape, dict[str, Any]]] = {
    "MLP, 28x28": ((1, 28, 28), {"net": "mlp", "latent_dim": 2}),
    "convolutional, 28x28": ((1, 28, 28), {"latent_dim": 32}),
    "convolutional, 64x64x3": ((3, 64, 64), {"latent_dim": 64}),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        for title, (shape, settings) in DECODERS.items():
            root = Path(folder) / title.replace(" ", "-")
            made(Store(root), shape, settings)
            with serving(BOTTLENECK_STORE=str(root)) as server:
                print(title)
                for engine in ENGINES:
                    page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
                    pictures, latency = followed(page, f"{server.url}/sample?engine={engine}")
                    print(f"    {engine:10} {pictures:6.1f} distinct pictures a second, {latency:6.1f} ms")
                    page.context.close()


def made(store: Store, shape: Shape, settings: Mapping[str, Any]) -> Run:
    """A VAE that has hardly learnt: its speed is that of any."""
    data = toy.dataset(shape, train=64, held_out=32)
    model = VAE(VAE.Config(**settings), shape)
    run = store.create(model, Plan(epochs=1, threads=1, previews=1), data)
    training = run.begin(torch.device("cpu"))
    for _ in run.record_events(train(training, data), training):
        pass
    summarise(run, model, data)
    export.keep(run, model)
    return run


def followed(page: Page, url: str) -> tuple[float, float]:
    visit(page, url)
    page.locator(".engine").filter(has_text="a picture").wait_for(timeout=PATIENCE)
    settle(page)
    canvas = page.locator(".canvas")
    box = page.locator(".pad").bounding_box()
    assert box
    page.evaluate("window.scrollTo(0, 0)")
    seen: list[float] = []
    before, began, moves = canvas.evaluate("e => e.drawn"), time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        moves += 1
        across, down = 0.5 + 0.4 * math.sin(moves / 25), 0.5 + 0.4 * math.cos(moves / 31)
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        if moves % 10 == 0:
            seen.append(canvas.evaluate("e => e.latency"))
        time.sleep(max(0.0, began + moves / 60 - time.perf_counter()))
    seconds = time.perf_counter() - began
    return (canvas.evaluate("e => e.drawn") - before) / seconds, median(seen)


if __name__ == "__main__":
    main()
