"""A family in one row of Home. Needs no torch until a visitor picks pictures that no run has stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
import streamlit as st

from core import examples, glance
from core.data import DataError, is_offered, load
from core.intake import Picture, to_shape
from ui import datasets, shell
from ui.choices import choice
from ui.html import block, strip
from ui.theme import colour
from ui.words import as_written, paper

SHOWN = 8  # pictures in a strip, so that each is larger than its pixels
EXAMPLES, SCANS, TESTS = "Examples", "Scanned digits", "Test pictures"


@dataclass(frozen=True)
class Shelf:
    """A finished run of each family on one dataset: such as can be compared, where there are some."""

    dataset: str
    title: str
    shape: tuple[int, int, int]
    runs: dict[str, glance.Glance]


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures to rebuild; the runs have stored what they make of the examples."""

    tiles: np.ndarray  # uint8 (n,C,H,W)
    source: str


def shelves() -> dict[str, Shelf]:
    """By dataset, those with most families first, then the larger pictures."""
    found: dict[str, list[glance.Glance]] = {}
    families = {card.key for card in glance.cards()}
    for run in glance.finished(glance.store_root()):
        if run.family in families:
            found.setdefault(run.dataset, []).append(run)
    made = []
    for dataset, runs in found.items():
        first = runs[0]
        alike = [run for run in runs if run.shape == first.shape]
        chosen = glance.comparable(alike, lambda run: (run.family, run.plan, run.created))
        made.append(Shelf(dataset, first.title, first.shape, chosen))
    ordered = sorted(made, key=lambda shelf: (-len(shelf.runs), -shelf.shape[1]))
    return {shelf.dataset: shelf for shelf in ordered}


def pick(shelf: Shelf) -> Shown:
    """Draw the choice of pictures and give at most ten."""
    sources = [EXAMPLES]
    if shelf.dataset == "mnist":
        sources.append(SCANS)
    if is_offered(shelf.dataset):
        sources.append(TESTS)
    source = choice("Pictures", sources, EXAMPLES, key="pictures")
    try:
        return Shown(_tiles(source, shelf.dataset, shelf.shape), source)
    except DataError as error:
        st.warning(as_written(str(error)))
        return Shown(_tiles(EXAMPLES, shelf.dataset, shelf.shape), EXAMPLES)


@st.cache_data(show_spinner=False, max_entries=16)
def _tiles(source: str, dataset: str, shape: tuple[int, int, int]) -> np.ndarray:
    if source == EXAMPLES:
        return examples.pictures(shape, dataset)[:SHOWN]
    images = load(dataset if source == TESTS else "digits").test.images[:SHOWN]
    return np.stack([to_shape(Picture("", image.transpose(1, 2, 0), "PNG"), shape) for image in images])


# --- one row ----------------------------------------------------------------------------------------------------


def row(card: glance.Card, shelf: Shelf, shown: Shown) -> None:
    with st.container(border=True):
        words, pictures = st.columns(2, gap="medium")
        with words:
            tell(card)
        run = shelf.runs.get(card.key)
        with pictures:
            if run is None:
                offer_training(card, shelf)
            else:
                show(run, card, shown)


def offer_training(card: glance.Card, shelf: Shelf) -> None:
    """A link to Train, where that can open on the same pictures."""
    st.caption(f"No {card.title} model has been trained on {as_written(shelf.title)} yet.")
    if data := datasets.address(shelf.dataset):
        asked = {"family": card.title} | data
        shell.set_up("build/train.py", f"Train {card.title}", ":material/model_training:", asked)


def tell(card: glance.Card) -> None:
    """Idea, objective, diagram, and when to choose it."""
    st.html(block(f'<div class="head" style="border-color: {colour(card.key)}"></div>'))
    st.markdown(f"#### :material/{card.symbol}: {card.title}\n{card.idea}\n\n${card.objective}$")
    st.html(block(f'<pre class="diagram">{escape(card.diagram)}</pre>'))
    st.caption(f"Choose it when {card.choose}. {paper(card.paper)}")


def show(run: glance.Glance, card: glance.Card, shown: Shown) -> None:
    """What comes back of pictures, with scores, and new pictures."""
    tiles, samples = rebuilt_by(run, shown), run.samples()
    parts = []
    if tiles is not None:
        parts += [
            '<div class="label">Pictures, and what comes back</div>',
            pair(shown.tiles, tiles, card.title),
        ]
        parts += [f"<small>{scores(run)}</small>"]
    if samples is not None:
        names = [f"new picture {i + 1} by {card.title}" for i in range(2 * SHOWN)]
        parts += [
            f'<div class="label">New pictures, {escape(card.sampling)}</div>',
            strip(samples[: 2 * SHOWN], names, SHOWN),
            f"<small>{clarity(run, card)}</small>",
        ]
    st.html(block(*parts))


def pair(pictures: np.ndarray, rebuilt: np.ndarray, title: str) -> str:
    above = strip(pictures, [f"picture {i + 1}" for i in range(len(pictures))], SHOWN)
    return above + strip(rebuilt, [f"picture {i + 1} rebuilt by {title}" for i in range(len(rebuilt))], SHOWN)


def rebuilt_by(run: glance.Glance, shown: Shown) -> np.ndarray | None:
    """Stored or live; None where the run is broken, which is then said."""
    stored = run.examples() if shown.source == EXAMPLES else None
    if stored is not None and stored.shape[1:] == shown.tiles.shape[1:] and len(stored) >= len(shown.tiles):
        return stored[: len(shown.tiles)]
    with st.spinner("Rebuilding…"):
        from ui.live import StoreError, rebuilt

        try:
            return rebuilt(run.folder, shown.tiles)
        except StoreError as error:
            st.warning(as_written(str(error)), icon=":material/broken_image:")
            return None


def scores(run: glance.Glance) -> str:
    """What can be said of its test pictures and their codes, in one line."""
    test, report = run.test, run.report
    parts = []
    if {"n", "psnr", "ssim", "sse"} <= set(test):
        parts += [f"PSNR {test['psnr']:.1f} dB", f"SSIM {test['ssim']:.3f}", f"SSE {test['sse']:.2f}"]
    vae = report.get("vae", {})
    if {"nll", "importance_samples", "binarised"} <= set(vae):
        pixels = ", binarised" if vae["binarised"] else ""
        parts.append(f"NLL {vae['nll']:.1f} nats (k = {vae['importance_samples']:,.0f}{pixels})")
    if "probe_error" in report.get("codes", {}):
        parts.append(f"probe error {report['codes']['probe_error']:.1%}")
    return " · ".join(parts)


def clarity(run: glance.Glance, card: glance.Card) -> str:
    """What a classifier says of its new pictures."""
    drawn = new_pictures(run, card)
    if "sure" not in drawn or "frechet" not in drawn:
        return ""
    return f"A classifier is sure of {drawn['sure']:.0%} of them · classifier-Fréchet {drawn['frechet']:.2f}"


def new_pictures(run: glance.Glance, card: glance.Card) -> Mapping[str, float]:
    return run.report.get("gaussian" if card.from_prior else "mixture", {})


def csv(shelf: Shelf) -> bytes:
    """The numbers of all rows."""
    import pandas as pd

    from ui import downloads

    rows = [numbers(shelf.runs[card.key], card) for card in glance.cards() if card.key in shelf.runs]
    return downloads.csv(pd.DataFrame(rows))


def numbers(run: glance.Glance, card: glance.Card) -> dict[str, str | float | None]:
    drawn = new_pictures(run, card)
    return {
        "family": card.title,
        "run": run.id,
        "PSNR (dB)": run.test.get("psnr"),
        "SSIM": run.test.get("ssim"),
        "SSE": run.test.get("sse"),
        "NLL (nats)": run.report.get("vae", {}).get("nll"),
        "probe error": run.report.get("codes", {}).get("probe_error"),
        "sure": drawn.get("sure"),
        "classifier-Fréchet": drawn.get("frechet"),
    }
