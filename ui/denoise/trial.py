"""A test on a clean picture: spoilt in a known way, given back by every method, with the clean one as the judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
import torch

from core import denoisers, original, photos
from core.corruption import BY_NAME, CORRUPTIONS, LEVELS, Corruption, corrupt, in_words, scale_for, severity
from core.denoisers import Denoiser, Result
from core.original import Original
from core.pictures import as_floats, gray_as_one
from ui import work
from ui.components.compare import compare
from ui.denoise.models import Models
from ui.denoise.pictures import Photo, encoded, shown
from ui.downloads import csv, download
from ui.html import block, captioned
from ui.memory import remembered
from ui.words import as_written

SIDE = 512  # pixels; the middle of a larger picture is taken: some methods need a minute for a megapixel
CLOSE = 128  # pixels a side of the part that stands side by side
KINDS = ("noise", "blur", "file")  # what leaves every pixel in its place
USUAL = {"gaussian": 0.1, "shot": 40.0, "impulse": 0.05, "speckle": 0.2, "masking": 0.1}
SLOW = ("bm3d",)
TRANSPARENT = " What is wholly transparent was filled with what surrounds it."
REMEMBERED = 64  # results
KEPT = 2**25  # bytes of spoilt pictures: ten of 512×512
SEED = 0


def show(models: Models, photo: Photo) -> None:
    spoiling = [one for one in CORRUPTIONS if one.kind in KINDS]
    left, middle, right = st.columns([2, 2, 1], gap="medium")
    name = left.selectbox(
        "Damage",
        [one.name for one in spoiling],
        format_func=lambda name: BY_NAME[name].title,
        key="spoilt",
        bind="query-params",
    )
    with middle:
        amount = pick_amount(BY_NAME[name])
    draw = right.number_input(
        "Seed", 0, 10_000, SEED, key="draw", bind="query-params", help="Another one is other noise.",
        disabled=not BY_NAME[name].random,
    )  # fmt: skip
    seed = int(draw)
    ours = {id: f"Ours, {models.titles[id]}" for id in models.restorers}
    automatic = [denoisers.automatic(models.restorers)] if models.restorers else []
    several = [*denoisers.classical(), *automatic, *denoisers.learnt(models.restorers, ours)]
    titles = {one.key: one.title for one in several}
    chosen = st.pills(
        "Methods", list(titles), selection_mode="multi", default=[key for key in titles if key not in SLOW],
        format_func=lambda key: as_written(titles[key]), key="methods", bind="query-params", wrap=True,
    )  # fmt: skip
    if not chosen:
        st.info("Choose at least one method.", icon=":material/touch_app:")
        return
    clean = middle_of(original.seen(cut(photo.original)) if photo.clean is None else photo.clean)
    which = photo.key, name, amount, seed
    noisy = remembered(
        "spoilt",
        which,
        lambda: spoilt(clean, name, amount, seed),
        lambda one: one.element_size() * one.numel(),
        KEPT,
    )
    key = *which, models.state
    wanted = [one for one in several if one.key in chosen]
    doing, done = work.stage(all((key, one.key) in st.session_state.get("trials", {}) for one in wanted))
    with doing:
        results = measured(clean, noisy, key, wanted)
    with done():
        report(photo, name, clean, noisy, results)


def pick_amount(chosen: Corruption) -> float | tuple[float, ...]:
    """In the published unit, or as a published level where several numbers make it."""
    if isinstance(chosen.low, tuple):
        scale = scale_for(chosen.name, (3, SIDE, SIDE))
        level = st.slider(
            f"Level of {scale}", LEVELS[0], LEVELS[-1], 2, key=f"level-{chosen.name}", bind="query-params"
        )
        amount = severity(chosen.name, int(level), scale)
        st.caption(f"{chosen.unit}: {in_words(amount)}")
        return amount
    default, low, high = chosen.span
    step, form = (1.0, "%.0f") if high > 20 else (0.01, "%.2f")
    start = USUAL.get(chosen.name, default)
    return float(
        st.slider(
            chosen.unit.capitalize(),
            low,
            high,
            start,
            step,
            form,
            key=f"amount-{chosen.name}",
            bind="query-params",
        )
    )


def cut(came: Original) -> Original:
    """Its middle, of which alone anything is seen here."""
    return replace(
        came, pixels=inmost(came.pixels, SIDE), alpha=None if came.alpha is None else inmost(came.alpha, SIDE)
    )


def middle_of(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H,W,C) -> (h,w,C), at most SIDE a side; one channel where there is no colour."""
    return np.ascontiguousarray(gray_as_one(inmost(pixels, SIDE)))


def spoilt(clean: np.ndarray, name: str, amount: float | tuple[float, ...], seed: int) -> torch.Tensor:
    """uint8 (H,W,C) -> (C,H,W): a gray picture is spoilt as one."""
    x = as_floats(clean.transpose(2, 0, 1))[None]
    return corrupt(x, name, amount, torch.Generator().manual_seed(seed))[0]


def measured(
    clean: np.ndarray, noisy: torch.Tensor, key: object, several: Sequence[Denoiser]
) -> list[Result]:
    """Each method once for each picture; what has been measured is remembered."""
    memory: dict[object, Result] = st.session_state.setdefault("trials", {})
    wanted = [one for one in several if (key, one.key) not in memory]
    if wanted:
        with work.alone(), work.on_free_cores():
            for result in work.steps(
                denoisers.contest(clean, noisy, None, wanted), len(wanted), "Every method on this picture…"
            ):
                memory[key, result.key] = result
    for one in several:  # what is looked at is younger than what is not
        memory[key, one.key] = memory.pop((key, one.key))
    for old in list(memory)[:-REMEMBERED]:
        del memory[old]
    return [memory[key, one.key] for one in several]


def report(
    photo: Photo, damage: str, clean: np.ndarray, noisy: torch.Tensor, results: Sequence[Result]
) -> None:
    st.dataframe(marked(results), hide_index=True)
    height, width = clean.shape[:2]
    st.caption(
        f"{'All' if (width, height) == photo.size else 'The middle'} {width}×{height} pixels of "
        f"{as_written(photo.name)}. PSNR over all pixels and channels, SSIM with an 11×11 Gaussian window; "
        "higher is better, ★ is best in its column. No method is told how strong the noise is: NL-means, total "
        "variation and wavelets go by an estimate, the first and last set as in scikit-image's examples. Seconds are those of "
        "this machine just now."
        + (TRANSPARENT if photo.clean is None and photo.original.alpha is not None else "")
    )
    best = max(results, key=lambda one: one.psnr)
    titles = {one.key: one.title for one in results}
    keys = list(titles)
    looked_at = st.selectbox(
        "Look closely at",
        keys,
        keys.index(best.key),
        format_func=titles.__getitem__,
        key=f"closely-{damage}",  # another is best at another
    )
    one = next(result for result in results if result.key == looked_at)
    compare(
        shown(photos.as_pixels(noisy, clean.shape[2]), "spoilt"), shown(one.pixels, "method"), (width, height),
        ("spoilt", one.title), f"The spoilt picture and what {one.title} makes of it", key="trial", truth=shown(clean, "clean"),
    )  # fmt: skip
    cells = [
        (f"{result.title}: {result.psnr:.2f} dB", inmost(result.pixels).transpose(2, 0, 1))
        for result in results
    ]
    st.caption("The same small part of each, enlarged: noise does not survive being made smaller.")
    st.html(block(captioned([("clean", inmost(clean).transpose(2, 0, 1)), *cells], "11rem", smooth=True)))
    with st.container(horizontal=True):
        download("Table", lambda: csv(table(results)), "denoisers.csv", "text/csv", "table")
        file = f"{Path(photo.name).stem}-{one.key}.png"
        download("This picture", lambda: encoded(one.pixels, "PNG"), file, "image/png", "download")


def inmost(pixels: np.ndarray, most: int = CLOSE) -> np.ndarray:
    """At most so many a side."""
    top, left = (max(0, length - most) // 2 for length in pixels.shape[:2])
    return pixels[top : top + most, left : left + most]


def table(results: Sequence[Result]) -> pd.DataFrame:
    """A row of numbers for each method."""
    return pd.DataFrame(
        {
            "method": [one.title for one in results],
            "PSNR (dB)": [round(one.psnr, 2) for one in results],
            "SSIM": [round(one.ssim, 4) for one in results],
            "seconds": [round(one.seconds, 2) for one in results],
        }
    )


def marked(results: Sequence[Result]) -> pd.DataFrame:
    """The same in words, the best of each column marked, as far as it is shown."""
    return pd.DataFrame(
        {
            "method": [one.title for one in results],
            "PSNR (dB)": starred([f"{one.psnr:.2f}" for one in results]),
            "SSIM": starred(["–" if math.isnan(one.ssim) else f"{one.ssim:.4f}" for one in results]),
            "seconds": [f"{one.seconds:.2f}" for one in results],
        }
    )


def starred(numbers: Sequence[str]) -> list[str]:
    best = max((float(one) for one in numbers if one != "–"), default=None)
    return [f"{one} ★" if one != "–" and float(one) == best else one for one in numbers]
