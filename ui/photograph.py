"""Reconstruct, for photographs of any size: through a bottleneck of chosen size, beside files of as many bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import intake, packing, rates
from core.families.photo_autoencoder import PhotoAutoencoder
from core.rates import Row
from core.store import StoreError
from ui import charts, inputs, runs, work
from ui.components.compare import compare
from ui.denoise.pictures import encoded, show_the_newest, shown, which
from ui.downloads import download
from ui.memory import kept, remembered
from ui.runs import Group
from ui.words import as_written, duration, unlike

MOST_PIXELS = 2_100_000  # that are squeezed without being asked, in some ten seconds: as many as 1920×1080
REMEMBERED = 600_000_000  # bytes that the server keeps: the largest picture and reduced ones beside it
COLOURS = ("#2ba287", "#d37812", "#9781da")  # ours, JPEG, WebP


@dataclass(frozen=True, eq=False)
class Chosen:
    """A picture, and the bottleneck of which size it is to go through."""

    picture: intake.Picture
    trained: tuple[str, int]  # run id, and when its weights were written
    model: PhotoAutoencoder
    k: int


@dataclass(frozen=True, eq=False)
class Squeezed:
    """What came back, and how long that took here."""

    rows: list[Row]
    seconds: float


def choose(group: Group, left: DeltaGenerator) -> Chosen | None:
    """Draw the choice of a model and of the size of its bottleneck here, of a picture on the left."""
    ids = {run.id: run for run in group.runs}
    id = next(iter(ids))
    if len(ids) > 1:
        titles = unlike({id: run.title for id, run in ids.items()})
        id = st.selectbox(
            "Model",
            list(ids),
            len(ids) - 1,
            format_func=titles.__getitem__,
            key="photo-model",
            bind="query-params",
        )
    try:
        model = runs.restorer(ids[id])
        trained = id, runs.weights_changed(ids[id])
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
        pictures = inputs.photographs(show_the_newest)
        if not pictures:
            st.info("Choose a picture.", icon=":material/touch_app:")
            return None
        picture = pictures[which([picture.name for picture in pictures])]
    return Chosen(picture, trained, model, k)


def present(chosen: Chosen) -> None:
    """Over the whole width: what comes back, and the table."""
    picture = chosen.picture
    for note in picture.notes:
        st.caption(f":material/info: {as_written(picture.name)}: {as_written(note)}.")
    asked = st.session_state.get("whole") == digest(picture.pixels)
    whole = not is_large(picture) or (asked and has_code(picture, chosen.k))
    pixels = rates.coloured(picture.pixels) if whole else reduced(picture)
    doing, done = work.stage(name_of(pixels, chosen) in kept("squeezed"))
    with doing:
        rows = squeezed(chosen, pixels, whole)
    with done():
        came_back(chosen, pixels, rows)


def came_back(chosen: Chosen, pixels: np.ndarray, rows: list[Row]) -> None:
    """What went through, uint8 (H,W,3), beside what came back."""
    picture = chosen.picture
    titles = [row.title for row in rows]
    looked_at = st.segmented_control(
        "Beside the original", titles, default=titles[0], required=True, key="beside"
    )
    one = rows[titles.index(looked_at)]
    height, width = pixels.shape[:2]
    saved_as = f"{Path(picture.name).stem}-{one.title.lower().replace(' ', '-')}.png"
    compare(
        shown(pixels, "original"), shown(one.picture, "rebuilt"), (width, height),
        ("original", f"{one.title}, {size(one.size)}"), f"{picture.name} and what {one.title} keeps", key="photograph-compare",
    )  # fmt: skip
    st.dataframe(table(rows, width * height), hide_index=True)
    st.caption(said(rows))
    every_size(chosen)
    download(
        "Download what came back", lambda: encoded(one.picture, "PNG"), saved_as, "image/png", "download"
    )


# --- the work ---------------------------------------------------------------------------------------------------


def squeezed(chosen: Chosen, pixels: np.ndarray, whole: bool) -> list[Row]:
    """What comes back of pixels (H,W,3), which are the picture at its own size where that is quick, or was asked for."""
    asked = whole and is_large(chosen.picture)
    found = measured(pixels, chosen, may_stop=asked)
    if asked:
        st.caption(f":material/check: At its own size, {by(pixels)} pixels.")
    elif not whole:
        offer_its_own_size(chosen, pixels, found.seconds)
    return found.rows


def offer_its_own_size(chosen: Chosen, small: np.ndarray, seconds: float) -> None:
    """Under the name of how long it will take, by how long the reduced picture took."""
    picture = chosen.picture
    if not has_code(picture, chosen.k):
        st.caption(
            f":material/info: Reduced to {by(small)} pixels: {chosen.k} numbers for 8×8 of {by(picture.pixels)} pixels are "
            "more than a file of ours holds. A smaller bottleneck takes it at its own size."
        )
        return
    expected = seconds * picture.pixels[..., 0].size / small[..., 0].size
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f":material/info: Reduced to {by(small)} pixels, for a quick answer.", width="content")
        st.button(
            f"At its own size, {by(picture.pixels)}: about {duration(max(10, round(expected, -1)))}",
            icon=":material/open_in_full:",
            on_click=ask_for_the_whole,
            args=[digest(picture.pixels)],
        )


def has_code(picture: intake.Picture, k: int) -> bool:
    return packing.fits(k, *picture.pixels.shape[:2])


def ask_for_the_whole(which: str) -> None:
    st.session_state["whole"] = which


def ask_no_more() -> None:
    st.session_state.pop("whole", None)


def is_large(picture: intake.Picture) -> bool:
    return picture.pixels[..., 0].size > MOST_PIXELS


def reduced(picture: intake.Picture) -> np.ndarray:
    """uint8 (H,W,3) of at most MOST_PIXELS."""
    if not is_large(picture):
        return rates.coloured(picture.pixels)
    height, width = picture.pixels.shape[:2]
    scale = (MOST_PIXELS / (height * width)) ** 0.5
    smaller = max(1, int(height * scale)), max(1, int(width * scale))
    return intake.to_shape(picture, (3, *smaller)).transpose(1, 2, 0).copy()


def measured(pixels: np.ndarray, chosen: Chosen, may_stop: bool = False) -> Squeezed:
    """From memory, else under a progress bar."""
    place = st.empty()
    with place.container(horizontal=True, vertical_alignment="center"):
        found = remembered(
            "squeezed",
            name_of(pixels, chosen),
            lambda: worked(pixels, chosen, may_stop),
            lambda one: sum(row.picture.nbytes for row in one.rows),
            REMEMBERED,
        )
    place.empty()
    return found


def name_of(pixels: np.ndarray, chosen: Chosen) -> tuple[object, ...]:
    return digest(pixels), chosen.trained, chosen.k


def worked(pixels: np.ndarray, chosen: Chosen, may_stop: bool) -> Squeezed:
    height, width = pixels.shape[:2]
    told = f"Squeezing {height * width / 1e6:.1f} megapixels through {chosen.k} numbers for 8×8 pixels…"
    with work.alone(), work.on_free_cores():
        bar = st.progress(0.0, told)
        if may_stop:
            st.button("Stop", icon=":material/stop:", on_click=ask_no_more)
        started = time.perf_counter()
        rows = work.through(rates.comparison(pixels, chosen.model, chosen.k), bar, told)
        return Squeezed(rows, time.perf_counter() - started)


def digest(pixels: np.ndarray) -> str:
    """The same for the same picture alone."""
    return f"{by(pixels)} {hashlib.blake2b(pixels.data, digest_size=8).hexdigest()}"


# --- what came of it --------------------------------------------------------------------------------------------


def table(rows: Sequence[Row], pixels: int) -> pd.DataFrame:
    """A row for each way, the best of each column marked, as far as it is shown."""
    fair = [row for row in rows if not row.larger] or rows
    psnr, ssim = max(as_shown(row.psnr) for row in fair), max(round(row.ssim or 0.0, 4) for row in fair)
    return pd.DataFrame(
        {
            "kept as": [row.title for row in rows],
            "bytes": [f"{row.size:,}{' (no smaller file exists)' if row.larger else ''}" for row in rows],
            "bits per pixel": [f"{8 * row.size / pixels:.3f}" for row in rows],
            "PSNR (dB)": [f"{row.psnr:.2f}{' ★' if as_shown(row.psnr) == psnr else ''}" for row in rows],
            "SSIM": [
                "" if row.ssim is None else f"{row.ssim:.4f}{' ★' if round(row.ssim, 4) == ssim else ''}"
                for row in rows
            ],
        }
    )


def as_shown(psnr: float) -> float:
    """As the table shows it: who has no more there keeps no more."""
    return round(psnr, 2)


def said(rows: Sequence[Row]) -> str:
    """Who wins, in one sentence, and what the bytes are."""
    ours, *others = rows
    better = [row.title for row in others if as_shown(row.psnr) > as_shown(ours.psnr) and not row.larger]
    verdict = (
        f"{' and '.join(better)} {'keep' if len(better) > 1 else 'keeps'} more at this size"
        if better
        else "No other file of this size comes closer"
    )
    return (
        f"{verdict}, by PSNR. The bytes of the code are real: whole numbers, packed without loss, from which alone the picture "
        "is rebuilt. JPEG and WebP have the highest quality whose file is no larger."
    )


def every_size(chosen: Chosen) -> None:
    """PSNR against bytes, on demand: it takes as long as all sizes together, and so is never of more than MOST_PIXELS."""
    if not st.toggle("Compare at every size", key="every-size", bind="query-params"):
        return
    pixels = reduced(chosen.picture)
    found = [measured(pixels, replace(chosen, k=k)).rows for k in chosen.model.config.rates]
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
        legend={"orientation": "h", "yanchor": "bottom", "y": 1, "x": 0},
        xaxis={
            "title": "bits per pixel", "type": "log", "tickformat": "~g",
            "tickvals": charts.ticks(x for line in figure.data for x in line.x),
        },
        yaxis_title="PSNR (dB)",
    )  # fmt: skip
    st.plotly_chart(figure, config=charts.CONFIG, alt="PSNR against bits per pixel, a line for each way")
    if is_large(chosen.picture):
        st.caption(f"Of the picture reduced to {by(pixels)} pixels.")


def size(count: int) -> str:
    return f"{count / 1000:.1f} kB" if count >= 1000 else f"{count} bytes"


def by(pixels: np.ndarray) -> str:
    """As "1920×1080"."""
    height, width = pixels.shape[:2]
    return f"{width}×{height}"
