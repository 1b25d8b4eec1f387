"""One picture through all variants while it is damaged more and more, decoded as one looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.corruption import BY_NAME, LEVELS, Amount, corrupt, in_words, scale_for, severity
from core.evaluation import psnr
from core.family import Autoencoder
from core.pictures import as_bytes, as_floats, png, sheet
from core.robustness import median, randomness
from core.store import Run
from ui.downloads import download
from ui.html import block, captioned
from ui.inputs import Input

Models = Mapping[str, tuple[Run, Autoencoder]]  # by title


def pick_picture(pictures: Sequence[Input]) -> Input | None:
    """Draw the choice of the one that is damaged step by step, where there are several."""
    by_name = {one.name: one for one in pictures}
    if len(pictures) < 2:
        return next(iter(pictures), None)
    return by_name[st.selectbox(f"Shown, of {len(pictures)}", list(by_name), key="damaged")]


def pick_damage() -> str:
    """Draw the choice of a corruption."""
    return st.selectbox(
        "Damage", list(BY_NAME), format_func=lambda name: BY_NAME[name].title, key="corruption", bind="query-params"
    )  # fmt: skip


def show(picture: Input, models: Models, name: str) -> None:
    shape = picture.pixels.shape
    scale = scale_for(name, (shape[0], shape[1], shape[2]))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        level = st.slider("Level", 0, LEVELS[-1], 3, key="level", bind="query-params", width=320)
        every = st.toggle("All levels", value=False, key="every", bind="query-params")
        st.button(
            "Other noise", icon=":material/casino:", on_click=draw_again, disabled=not (level and BY_NAME[name].random)
        )  # fmt: skip
    seed = st.session_state.get("noise", 0)
    amount = severity(name, level, scale) if level else None
    words = (
        "undamaged"
        if amount is None
        else f"{BY_NAME[name].unit} {in_words(amount)}, level {level} of {scale}"
    )
    st.caption(
        f"{BY_NAME[name].title}: {words}. Below each picture its PSNR against the clean one: higher is better."
    )
    x = as_floats(picture.pixels)[None]
    damaged = spoiled(x, name, amount, seed)
    cells = [(picture.name, picture.pixels), (f"damaged · {decibels(damaged, x)}", as_bytes(damaged)[0])]
    for title, back in everything(damaged, models).items():
        cells.append((f"{title} · {decibels(back, x)}", as_bytes(back)[0]))
    st.html(block(captioned(cells, "8.5rem")))
    if every:
        columns = [
            spoiled(x, name, severity(name, one, scale) if one else None, seed) for one in (0, *LEVELS)
        ]
        st.html(block(ladder(columns, models)))
    strip = np.stack([pixels for _, pixels in cells])
    download("Pictures", lambda: png(sheet(strip, len(strip))), f"{name}-{level}.png", "image/png", "photo_library")  # fmt: skip


def draw_again() -> None:
    st.session_state["noise"] = st.session_state.get("noise", 0) + 1


def spoiled(x: Tensor, name: str, amount: Amount | None, seed: int) -> Tensor:
    return x if amount is None else corrupt(x, name, amount, [randomness(name, seed, 0)])


@torch.inference_mode()
def everything(damaged: Tensor, models: Models) -> dict[str, Tensor]:
    """What comes back, by title."""
    found = {title: model.reconstruct(damaged) for title, (_, model) in models.items()}
    return found | {"Median 3×3": median().rebuild(damaged)[0]}


def decibels(back: Tensor, x: Tensor) -> str:
    value = psnr((back - x).square().mean().item())
    return f"{value:.1f} dB" if np.isfinite(value) else "identical"


def ladder(columns: list[Tensor], models: Models) -> str:
    """A row for the damage and one for every variant, a column for every level."""
    batch = torch.cat(columns)
    rows = {"the damage": batch, **everything(batch, models)}
    parts = []
    for title, tiles in rows.items():
        cells = [
            (f"{title}, level {level}" if level else title, pixels)
            for level, pixels in enumerate(as_bytes(tiles))
        ]
        parts.append(captioned(cells, "6rem"))
    return "".join(parts)
