"""All variants' maps at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from core.store import Run
from ui.components.maps import CLASS_COLOURS
from ui.html import block, data_uri
from ui.inside.subject import window_of
from ui.latent.ground import TITLES, Ground, ground
from ui.latent.walk import as_title

SIDE = 320  # pixels


def show(runs: Sequence[Run]) -> None:
    st.markdown(
        "The same test pictures, as each variant lays them out. Where colours mix, the code does not tell "
        "the classes apart, or the map has folded what the code keeps apart: the numbers below say which."
    )
    cells, missing = [], []
    for run in runs:
        place = ground(run)
        if place is None:
            missing.append(run.title)
            continue
        kind = next(iter(place.maps))
        cells.append(
            f"<div>{small(place, kind, as_title(run))}<small>{escape(words(place, kind, as_title(run)))}</small></div>"
        )
    st.html(block(f'<div class="glance">{"".join(cells)}</div>'))
    if missing:
        st.caption(f"Without codes of test pictures: {', '.join(missing)}.")


def words(place: Ground, kind: str, title: str) -> str:
    judged = place.maps[kind].quality
    if judged is None:
        return f"{title} · {TITLES[kind]}"
    told = f"{title} · {TITLES[kind]} · trustworthiness {judged.trustworthiness:.3f}"
    if judged.map_accuracy is None or judged.code_accuracy is None:
        return told
    return f"{told} · class by neighbours: map {judged.map_accuracy:.1%}, code {judged.code_accuracy:.1%}"


def small(place: Ground, kind: str, title: str) -> str:
    return f'<img class="smooth" alt="{escape(f"map of {title}")}" src="{data_uri(drawn(place, kind))}">'


def drawn(place: Ground, kind: str) -> np.ndarray:
    """Points on dark ground: uint8 (SIDE,SIDE,3)."""
    places = place.maps[kind].places.numpy()
    (left, right), (bottom, top) = window_of(places)
    x = ((places[:, 0] - left) / (right - left) * (SIDE - 2)).astype(int)
    y = ((top - places[:, 1]) / (top - bottom) * (SIDE - 2)).astype(int)
    seen = (x >= 0) & (y >= 0) & (x < SIDE - 1) & (y < SIDE - 1)
    palette = np.array([[int(one[i : i + 2], 16) for i in (1, 3, 5)] for one in CLASS_COLOURS], np.uint8)
    labels = place.labels
    colours = palette[np.zeros(len(places), int) if labels is None else labels % len(palette)]
    pixels = np.full((SIDE, SIDE, 3), (20, 28, 27), np.uint8)
    for across in (0, 1):
        for down in (0, 1):
            pixels[y[seen] + down, x[seen] + across] = colours[seen]
    return pixels
