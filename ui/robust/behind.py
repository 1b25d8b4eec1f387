"""The pictures behind a cell: what a method makes of one damage, its best and its worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core import examples
from core.corruption import BY_NAME, corrupt, scale_for, severity
from core.findings import Entry, amidst
from core.pictures import as_bytes, as_floats
from core.robustness import median, randomness
from core.store import StoreError
from ui import runs
from ui.html import block, strip
from ui.robust.wish import Wish
from ui.words import as_written

SHOWN = 8
Rebuild = Callable[[Tensor], Tensor]


def show(wish: Wish, entries: Sequence[Entry], level: int, corruption: str, key: str) -> None:
    entry = next((one for one in entries if one.key == key), None)
    rebuild = rebuilding(wish, key)
    if entry is None:
        return
    undamaged = "" if level else ": undamaged"
    st.markdown(
        f"**{as_written(entry.title)} under {amidst(BY_NAME[corruption].title)}, level {level}{undamaged}**"
    )
    if rebuild is None:
        st.caption(
            "Its pictures are only made while it is measured. Choose a variant, doing nothing or the median."
        )
        return
    pictures = test_pictures(wish)
    if pictures is None:
        drawn = examples.pictures(wish.runs[0].record.shape, wish.runs[0].record.dataset["name"])[:SHOWN]
        st.html(block(rows("Drawn examples", drawn, list(range(len(drawn))), corruption, level, rebuild)))
        st.caption("Its best and worst test pictures are shown where the data are on this machine.")
        return
    place = wish.protocol.corruptions.index(corruption)
    order = entry.measured.mse[place, level, : len(pictures[0])].argsort().tolist()
    parts = []
    for title, chosen in (("Best", order[:SHOWN]), ("Worst", order[: -SHOWN - 1 : -1])):
        names = [int(pictures[0][index]) for index in chosen]
        parts.append(rows(title, pictures[1][names], names, corruption, level, rebuild))
    st.html(block(*parts))
    damaged = "the damaged one with its first noise, " if level else ""
    st.caption(f"Rows: the clean picture, {damaged}and what comes back.")


def rebuilding(wish: Wish, key: str) -> Rebuild | None:
    """How this method gives pictures back, where that is quick."""
    if key == "nothing":
        return lambda x: x
    if key == "median":
        return lambda x: median().rebuild(x)[0]
    run = next((one for one in wish.runs if one.id == key), None)
    if run is None:
        return None
    try:
        return runs.model(run).reconstruct
    except StoreError:
        return None


@torch.inference_mode()
def rows(
    title: str, clean: np.ndarray, names: Sequence[int], corruption: str, level: int, rebuild: Rebuild
) -> str:
    """Rows: clean (n,C,H,W), damaged, and what comes back. Noise is that of these places in the test set."""
    x = as_floats(clean)
    tiles = {"clean": clean}
    if level:
        shape = clean.shape[1:]
        amount = severity(corruption, level, scale_for(corruption, (shape[0], shape[1], shape[2])))
        x = corrupt(x, corruption, amount, [randomness(corruption, 0, name) for name in names])
        tiles["damaged"] = as_bytes(x)
    tiles["what comes back"] = as_bytes(rebuild(x))
    strips = [
        strip(pixels, [f"{title} {number}, {kind}" for number in range(1, len(pixels) + 1)], SHOWN)
        for kind, pixels in tiles.items()
    ]
    return f'<div class="label">{title}</div>{"".join(strips)}'


def test_pictures(wish: Wish) -> tuple[np.ndarray, np.ndarray] | None:
    """Which test pictures were measured, and all of them (N,C,H,W), where they are on this machine and the same."""
    data = runs.data_of(wish.runs[0])
    return None if data is None else (wish.protocol.subset(data.test), data.test.images)
