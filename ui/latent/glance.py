"""All variants' maps at a glance."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from core.pictures import png
from core.store import Run
from ui.components.maps import CLASS_COLOURS, window_of
from ui.downloads import csv, download
from ui.html import block, data_uri
from ui.latent.ground import TITLES, Ground, ground
from ui.latent.walk import as_title
from ui.words import as_written

SIDE = 320  # pixels
SHEER = "background: color-mix(in srgb, currentColor 6%, transparent)"
LEGEND = """<style>
.bn .legend { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; margin-bottom: 0.8rem; font-size: 0.85rem; }
.bn .legend i { width: 0.7rem; height: 0.7rem; border-radius: 50%; display: inline-block; }
</style>"""


def show(runs: Sequence[Run]) -> None:
    st.markdown(
        "The same test pictures, as each variant lays them out. Where colours mix, the code does not tell "
        "the classes apart, or the map has folded what the code keeps apart: the numbers below say which."
    )
    cells, missing, shown = [], [], []
    for run in runs:
        place = ground(run)
        if place is None:
            missing.append(run.title)
            continue
        shown.append(place)
        kind = next(iter(place.maps))
        cells.append(
            f"<div>{small(place, kind, as_title(run))}<small>{escape(words(place, kind, as_title(run)))}</small></div>"
        )
    st.html(block(legend(shown), f'<div class="glance">{"".join(cells)}</div>'))
    if missing:
        st.caption(f"Without codes of test pictures: {as_written(', '.join(missing))}.")
    if shown:
        download("Pictures", lambda: archive(shown), "maps.zip", "application/zip", "photo_library")


def legend(places: Sequence[Ground]) -> str:
    """Which colour is which class."""
    names = next((place.class_names for place in places if place.class_names), ())
    entries = (
        f'<span><i style="background: {CLASS_COLOURS[label % len(CLASS_COLOURS)]}"></i> {escape(name)}</span>'
        for label, name in enumerate(names)
    )
    return f'{LEGEND}<div class="legend" aria-label="Colours">{"".join(entries)}</div>' if names else ""


def words(place: Ground, kind: str, title: str) -> str:
    judged = place.maps[kind].quality
    if judged is None:
        return f"{title} · {TITLES[kind]}"
    told = f"{title} · {TITLES[kind]} · trustworthiness {judged.trustworthiness:.3f}"
    if judged.map_accuracy is None or judged.code_accuracy is None:
        return told
    return f"{told} · class by neighbours: map {judged.map_accuracy:.1%}, code {judged.code_accuracy:.1%}"


def archive(places: Sequence[Ground]) -> bytes:
    """A zip of all maps and of what is said below them."""
    rows = []
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for place in places:
            kind, found = next(iter(place.maps.items()))
            name = f"{place.run.id}-{kind}.png"
            file.writestr(name, png(drawn(place, kind)))
            told = {"file": name, "variant": as_title(place.run), "map": TITLES[kind]}
            rows.append(told | (vars(found.quality) if found.quality else {}))
        file.writestr("maps.csv", csv(pd.DataFrame(rows)))
    return buffer.getvalue()


def small(place: Ground, kind: str, title: str) -> str:
    return f'<img class="smooth" style="{SHEER}" alt="{escape(f"map of {title}")}" src="{data_uri(drawn(place, kind))}">'


def drawn(place: Ground, kind: str) -> np.ndarray:
    """Points on a ground that shows through, light or dark as the page is: uint8 (SIDE,SIDE,4)."""
    places = place.maps[kind].places.numpy()
    (left, right), (bottom, top) = window_of(places)
    x = ((places[:, 0] - left) / (right - left) * (SIDE - 2)).astype(int)
    y = ((top - places[:, 1]) / (top - bottom) * (SIDE - 2)).astype(int)
    seen = (x >= 0) & (y >= 0) & (x < SIDE - 1) & (y < SIDE - 1)
    palette = np.array([[*bytes.fromhex(one[1:]), 255] for one in CLASS_COLOURS])
    labels = place.labels
    colours = palette[np.zeros(len(places), int) if labels is None else labels % len(palette)]
    pixels = np.zeros((SIDE, SIDE, 4), np.uint8)
    for across in (0, 1):
        for down in (0, 1):
            pixels[y[seen] + down, x[seen] + across] = colours[seen]
    return pixels
