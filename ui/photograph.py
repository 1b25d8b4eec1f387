"""Reconstruct, for photographs of any size: through a bottleneck of chosen size, beside files of as many bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import intake, rates
from core.families.photo_autoencoder import PhotoAutoencoder
from core.rates import Row
from core.store import StoreError
from ui import inputs, runs, work
from ui.components.compare import compare
from ui.denoise.pictures import encoded, shown
from ui.runs import Group
from ui.words import as_written

MOST_PIXELS = 2_000_000
REMEMBERED = 32  # results that a visitor's session keeps
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)  # bits per pixel
COLOURS = ("#2ba287", "#d37812", "#9781da")  # ours, JPEG, WebP


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture, and the bottleneck of which size it is to go through."""

    picture: intake.Picture
    id: str
    model: PhotoAutoencoder
    k: int


def choose(group: Group, left: DeltaGenerator) -> Chosen | None:
    """Draw the choice of a model and of the size of its bottleneck here, of a picture on the left."""
    ids = {run.id: run for run in group.runs}
    id = next(iter(ids))
    if len(ids) > 1:
        id = st.selectbox("Model", list(ids), len(ids) - 1, format_func=lambda id: ids[id].title)
    try:
        model = runs.restorer(ids[id])
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return None
    assert isinstance(model, PhotoAutoencoder)
    sizes = model.config.rates
    k = st.select_slider(
        "Size of the bottleneck",
        sizes,
        sizes[len(sizes) // 2],
        format_func=lambda k: f"{k} numbers",
        key="rate",
        bind="query-params",
        help="How many whole numbers stand for 8×8 pixels, which have 192.",
    )
    with left:
        pictures = inputs.photographs()
        if not pictures:
            st.info("Choose a picture.", icon=":material/touch_app:")
            return None
        names = [f"{number}. {picture.name}" for number, picture in enumerate(pictures, 1)]
        name = st.selectbox(f"Shown, of {len(names)}", names, key="shown") if len(names) > 1 else names[0]
    return Chosen(pictures[names.index(name)], id, model, k)


def present(chosen: Chosen) -> None:
    """Over the whole width: what comes back, and the table."""
    picture, id, model, k = chosen.picture, chosen.id, chosen.model, chosen.k
    pixels = reduced(picture)
    rows = measured(pixels, id, model, k)
    titles = [row.title for row in rows]
    looked_at = st.segmented_control(
        "Beside the original", titles, default=titles[0], required=True, key="beside"
    )
    one = rows[titles.index(looked_at)]
    height, width = pixels.shape[:2]
    compare(
        shown(pixels, "original"), shown(one.picture, "rebuilt"), (width, height),
        ("original", f"{one.title}, {size(one.size)}"), f"{picture.name} and what {one.title} keeps", key="photograph-compare",
    )  # fmt: skip
    st.dataframe(table(rows, width * height), hide_index=True)
    st.caption(said(rows))
    every_size(pixels, id, model)
    st.download_button(
        "Download what came back", lambda: encoded(one.picture, "PNG"), "reconstruction.png", "image/png",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def reduced(picture: intake.Picture) -> np.ndarray:
    """uint8 (H,W,3) of at most MOST_PIXELS; that a picture was larger is said."""
    height, width = picture.pixels.shape[:2]
    if height * width <= MOST_PIXELS:
        return np.ascontiguousarray(np.broadcast_to(picture.pixels, (height, width, 3)))
    scale = (MOST_PIXELS / (height * width)) ** 0.5
    height, width = int(height * scale), int(width * scale)
    st.caption(
        f":material/info: Reduced to {width}×{height} pixels, so that this takes seconds and not minutes."
    )
    return intake.to_shape(picture, (3, height, width)).transpose(1, 2, 0)


def measured(pixels: np.ndarray, id: str, model: PhotoAutoencoder, k: int) -> list[Row]:
    memory: dict[object, list[Row]] = st.session_state.setdefault("rates", {})
    key = hashlib.blake2b(pixels.tobytes(), digest_size=8).hexdigest(), pixels.shape, id, k
    if key not in memory:
        with work.alone(), st.spinner("Squeezing it through…"):
            memory[key] = rates.compared(pixels, model, k)
        for old in list(memory)[:-REMEMBERED]:
            del memory[old]
    return memory[key]


def table(rows: Sequence[Row], pixels: int) -> pd.DataFrame:
    """A row for each way, the best of each column marked."""
    fair = [row for row in rows if not row.larger] or rows
    psnr, ssim = max(row.psnr for row in fair), max((row.ssim or 0.0) for row in fair)
    return pd.DataFrame(
        {
            "kept as": [row.title for row in rows],
            "bytes": [f"{row.size:,}{' (no smaller file exists)' if row.larger else ''}" for row in rows],
            "bits per pixel": [f"{8 * row.size / pixels:.3f}" for row in rows],
            "PSNR (dB)": [f"{row.psnr:.2f}{' ★' if row.psnr == psnr else ''}" for row in rows],
            "SSIM": [
                "" if row.ssim is None else f"{row.ssim:.4f}{' ★' if row.ssim == ssim else ''}"
                for row in rows
            ],
        }
    )


def said(rows: Sequence[Row]) -> str:
    """Who wins, in one sentence, and what the bytes are."""
    ours, *others = rows
    better = [row.title for row in others if row.psnr > ours.psnr and not row.larger]
    verdict = (
        f"{' and '.join(better)} {'keep' if len(better) > 1 else 'keeps'} more at this size"
        if better
        else "No other file of this size comes closer"
    )
    return (
        f"{verdict}, by PSNR. The bytes of the code are real: whole numbers, packed without loss, from which alone the picture "
        "is rebuilt. JPEG and WebP have the highest quality whose file is no larger."
    )


def every_size(pixels: np.ndarray, id: str, model: PhotoAutoencoder) -> None:
    """PSNR against bytes, on demand: it takes as long as all sizes together."""
    if not st.toggle("Compare at every size", key="every-size", bind="query-params"):
        return
    found = [measured(pixels, id, model, k) for k in model.config.rates]
    figure = go.Figure()
    for place, (title, colour) in enumerate(zip([row.title for row in found[0]], COLOURS, strict=False)):
        rows = [several[place] for several in found]
        figure.add_scatter(
            x=[8 * row.size / pixels.shape[0] / pixels.shape[1] for row in rows], y=[row.psnr for row in rows],
            name=title, mode="lines+markers", line={"color": colour},
        )  # fmt: skip
    figure.update_layout(
        height=340,
        margin={"t": 20},
        xaxis={"title": "bits per pixel", "type": "log", "tickvals": TICKS},
        yaxis_title="PSNR (dB)",
    )
    st.plotly_chart(
        figure, config={"displaylogo": False}, alt="PSNR against bits per pixel, a line for each way"
    )


def size(count: int) -> str:
    return f"{count / 1000:.1f} kB" if count >= 1000 else f"{count} bytes"
