"""All that a VAE can draw, laid out by the quantiles of its prior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator
from torch import Tensor

from core.pictures import as_floats, gif, png, sheet
from core.sampling import decoded, quantiles
from ui import work
from ui.choices import choice
from ui.components.tiles import tiles
from ui.downloads import download
from ui.html import data_uri
from ui.inputs import pick_one
from ui.inside.subject import Subject, equation, subscript

SIDES = (8, 12, 16, 20, 28)
ZOOMS = (1, 2, 4, 8, 16, 32, 64)
MIDDLE = 0.5
FRAME, REST = 90, 900  # milliseconds
MOST_FRAMES = 400


@st.fragment
def show(subject: Subject) -> None:
    st.subheader("The manifold: what every place of the code draws", anchor=False)
    if subject.model.config.latent_dim < 2:
        st.info("A code of one number has no plane to lay out.", icon=":material/linear_scale:")
        return
    go_where_asked()
    left, right = st.columns([3, 2], gap="large")
    grid, below = left.container(), left.container()
    with right:
        codes, side = ask(subject, below)
    pixels = decoded(subject.model, codes)
    with grid:
        chosen = tiles(
            data_uri(sheet(pixels, side)), side, f"{side} by {side} decoded codes", key=f"manifold-{subject.run.id}-{side}"
        )  # fmt: skip
    if chosen is not None:
        look_closer(chosen, side)
    with right:
        with st.container(horizontal=True):
            download(
                "Picture",
                lambda: png(sheet(pixels, side)),
                f"{subject.run.id}-manifold.png",
                "image/png",
                "photo_library",
            )
            download("Walk", lambda: walk(pixels, side), f"{subject.run.id}-walk.gif", "image/gif", "movie")
        st.caption("The walk is a GIF that goes through the grid row by row, back and forth.")


def ask(subject: Subject, below: DeltaGenerator) -> tuple[Tensor, int]:
    """Draw the controls and give the codes of the grid (side·side,Z); a picture is asked for `below` it, where one is used."""
    dim = subject.model.config.latent_dim
    st.markdown(
        "Each step across or up is an equal share of the prior's probability, so what fills much of the square is drawn often. "
        "Choose a picture to look closer."
    )
    side = st.select_slider("Pictures a side", SIDES, 16, key="side", bind="query-params")
    temperature = st.slider(
        "Temperature", 0.25, 3.0, 1.0, 0.05, key="temperature", bind="query-params",
        help="Stretches the prior: below 1 only what is typical, above 1 what is hardly ever drawn.",
    )  # fmt: skip
    zoom = st.select_slider("Zoom", ZOOMS, 1, format_func=lambda z: f"{z}×", key="zoom", bind="query-params")
    across = up = MIDDLE
    if zoom > 1:
        left, right = st.columns(2)
        across = left.slider("Across", 0.0, 1.0, MIDDLE, 0.01, key="across", bind="query-params")
        up = right.slider("Up", 0.0, 1.0, MIDDLE, 0.01, key="up", bind="query-params")
    base = torch.zeros(dim)
    if dim > 2:
        first, second = (f"z{subscript(number + 1)}" for number in subject.order[:2])
        st.caption(f"Across: {first}. Up: {second}. These two say most.")
        base = the_others(subject, below)
    equation(
        r"z_{ij} = T \cdot \big(\Phi^{-1}(u_i),\; \Phi^{-1}(u_j)\big)",
        "Φ is the distribution function of N(0, 1), u runs through the unit square at equal steps. Kingma & Welling "
        "2014, fig. 4.",
    )
    codes = base.repeat(side * side, 1)
    codes[:, subject.order[:2]] = quantiles(side, (across, up), zoom, temperature).view(-1, 2)
    return codes, side


def the_others(subject: Subject, below: DeltaGenerator) -> Tensor:
    """The code (Z,) whose first two numbers are laid out."""
    dim = subject.model.config.latent_dim
    kind = choice(
        f"The other {dim - 2} numbers", ("at 0", "as in the picture"), "at 0", key="others",
    )  # fmt: skip
    if kind == "at 0":
        return torch.zeros(dim)
    with below:
        picture = pick_one(subject.run.record.shape, subject.run.record.dataset["name"])
    if picture is None:
        return torch.zeros(dim)
    return replace(subject, picture=picture, x=as_floats(picture.pixels)[None]).posterior[0]


def look_closer(cell: tuple[int, int], side: int) -> None:
    """Zoom in once more, around the chosen picture or as near to it as the square allows."""
    zoom = st.session_state["zoom"]
    closer = ZOOMS[min(ZOOMS.index(zoom) + 1, len(ZOOMS) - 1)]
    centre = []
    for name, place in (("across", cell[1]), ("up", side - 1 - cell[0])):
        middle = inside(st.session_state.get(name, MIDDLE), zoom) + ((place + 0.5) / side - 0.5) / zoom
        centre.append(inside(middle, closer))
    st.session_state["look at"] = (closer, *centre)
    st.rerun(scope="fragment")


def inside(middle: float, zoom: float) -> float:
    """The middle of a 1/zoom part of the unit interval that lies within it."""
    half = 0.5 / zoom
    return min(max(middle, half), 1 - half)


def go_where_asked() -> None:
    """Before the controls are drawn: afterwards nobody may move them."""
    if (asked := st.session_state.pop("look at", None)) is not None:
        zoom, across, up = asked
        if "across" not in st.session_state:  # of sliders that are new the address hears only from here
            st.query_params.update({"across": f"{across:.2f}", "up": f"{up:.2f}"})
        st.session_state.update({"zoom": zoom, "across": round(across, 2), "up": round(up, 2)})


def walk(pixels: np.ndarray, side: int) -> bytes:
    """Through the grid row by row, back and forth, so that no step is a jump. It takes seconds."""
    rows = pixels.reshape(side, side, *pixels.shape[1:])
    path = np.concatenate([row if place % 2 == 0 else row[::-1] for place, row in enumerate(rows)])
    with work.turn:
        return gif([sheet(one[None], 1) for one in path[:MOST_FRAMES]], FRAME, REST)
