"""What was chosen on the map: a picture with its neighbours, or all that a lasso holds."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import streamlit as st
import torch
from skimage.measure import points_in_poly

from core import latent
from core.codes import spread
from core.family import Autoencoder
from core.pictures import png, sheet
from core.sampling import between, decoded
from ui.components.maps import CLASS_COLOURS
from ui.downloads import csv, download
from ui.html import block, captioned, picture, strip
from ui.latent.ground import Ground, pictures
from ui.words import counted, signed

NEIGHBOURS = 9
GRID = "grid-template-columns: repeat(3, 1fr); margin-top: 0.7rem"
SHOWN = 8
STEPS = 9
AVERAGED = 500  # pictures behind a mean
MOST_CLASSES = 12


def marked(place: Ground) -> str:
    return (
        ""
        if place.images() is not None
        else " Pictures are decoded from their codes: the data are not on this machine."
    )


def name(place: Ground, index: int) -> str:
    labels = place.labels
    return f"picture {index}" if labels is None else f"{place.class_names[labels[index]]} · picture {index}"


# --- one picture ------------------------------------------------------------------------------------------------


def neighbours(place: Ground, model: Autoencoder, index: int | None) -> None:
    """Beside the map, so that a click is answered in sight."""
    st.markdown("**The nearest in code space**")
    if index is None:
        st.caption(
            "Click a picture on the map: it stands here with those whose codes are nearest to its own."
        )
        return
    codes = place.codes.codes
    found, far = latent.neighbours(codes, codes[index : index + 1], NEIGHBOURS + 1)
    distance = dict(zip(found[0].tolist(), far[0].tolist(), strict=True))
    some = [one for one in distance if one != index][:NEIGHBOURS]
    tiles = pictures(place, model, [index, *some])
    itself = [(name(place, index), tiles[0])]
    if not marked(place):  # else it is what comes back already
        itself.append(("what comes back", decoded(model, codes[index : index + 1])[0]))
    near = [near_one(place, one, tile, distance[one]) for one, tile in zip(some, tiles[1:], strict=True)]
    st.html(
        block(
            captioned(itself, "6rem"),
            f'<div class="row captioned" style="{GRID}">{"".join(near)}</div>',
        )
    )
    st.caption(
        f"Numbers are distances between codes. Its reconstruction error is {place.codes.errors[index]:.4f} per "
        f"pixel.{marked(place)}"
    )


def near_one(place: Ground, index: int, tile: np.ndarray, distance: float) -> str:
    words = f"{name(place, index)} · {distance:.2f}"
    brief = words.replace(f"picture {index} · ", "")
    return f"<div>{picture(tile, words)}<small>{escape(brief)}</small></div>"


# --- a lasso ----------------------------------------------------------------------------------------------------


def within(place: Ground, kind: str, corners: np.ndarray) -> np.ndarray:
    """The points inside a polygon on a map."""
    return np.flatnonzero(points_in_poly(place.maps[kind].places.numpy().astype(np.float64), corners))


def held(some: np.ndarray) -> str:
    """How many a lasso holds, in words."""
    if not len(some):
        return "The lasso holds no picture. Draw it around some."
    return f"The lasso holds {counted(len(some), 'picture')}. What is in it stands below the map."


def group(place: Ground, model: Autoencoder, some: np.ndarray) -> None:
    """What they have in common, who stands for them, and who does not."""
    st.subheader(f"What is this? {counted(len(some), 'picture')}", anchor=False)
    codes = place.codes.codes[some]
    centre = codes.mean(0)
    far = torch.linalg.vector_norm(codes - centre, dim=1)
    order = far.argsort().numpy()
    left, right = st.columns([2, 3], gap="large")
    with left:
        if place.labels is not None:
            st.html(block(shares(place, some)))
        scatter = spread(codes)
        apart = (centre - place.codes.codes.mean(0)).abs() / spread(place.codes.codes).clamp_min(1e-9)
        telling = apart.argsort(descending=True)[:3].tolist()
        st.caption(
            "Most unlike the rest: "
            + ", ".join(f"z{i + 1} = {signed(float(centre[i]))} ± {scatter[i]:.2f}" for i in telling)
            + "."
        )
    with right:
        averaged = some[:AVERAGED].tolist()
        mean = pictures(place, model, averaged).mean(0).round().astype(np.uint8)
        title = "their mean picture" if len(averaged) == len(some) else f"the mean of {AVERAGED} of them"
        middle = decoded(model, centre[None])[0]
        st.html(block(captioned([(title, mean), ("decoded from their mean code", middle)], "8rem")))
        rows = {
            "Most typical": some[order[:SHOWN]],
            "Most extreme": some[order[::-1][:SHOWN]],
            "Worst rebuilt": some[np.argsort(-place.codes.errors.numpy()[some])[:SHOWN]],
        }
        parts = []
        for title, chosen in rows.items():
            tiles = pictures(place, model, chosen.tolist())
            parts.append(
                f'<div class="label">{title}</div>'
                + strip(tiles, [name(place, int(i)) for i in chosen], SHOWN)
            )
        st.html(block(*parts))
        st.caption(f"Typical and extreme by the distance of a code from their mean.{marked(place)}")
    save(place, model, some)
    keep_ends(place, model, centre, len(some))


def shares(place: Ground, some: np.ndarray) -> str:
    """A bar for each class; HTML, because the first chart of a page costs its library."""
    labels = place.labels
    assert labels is not None
    counts = np.bincount(labels[some], minlength=len(place.class_names))
    most = counts.max()
    rows = []
    for index in [int(i) for i in np.argsort(-counts) if counts[i]][:MOST_CLASSES]:
        bar = f"width: {100 * counts[index] / most:.1f}%; background: {CLASS_COLOURS[index % len(CLASS_COLOURS)]}"
        share = f"{counts[index] / len(some):.1%}"
        rows.append(f'<b>{escape(place.class_names[index])}</b><i style="{bar}"></i><span>{share}</span>')
    return f'<div class="shares">{"".join(rows)}</div>'


def save(place: Ground, model: Autoencoder, some: np.ndarray) -> None:
    with st.container(horizontal=True):
        download("Table", lambda: csv(table(place, some)), "lasso.csv", "text/csv", "table")
        download(
            "Pictures",
            lambda: png(sheet(pictures(place, model, some[:2_500].tolist()))),
            "lasso.png",
            "image/png",
            "photo_library",
        )


def table(place: Ground, some: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"picture": some})
    if place.labels is not None:
        frame["class"] = [place.class_names[i] for i in place.labels[some]]
    frame["error"] = place.codes.errors.numpy()[some]
    codes = place.codes.codes[some]
    for number in range(min(codes.shape[1], 256)):
        frame[f"z{number + 1}"] = codes[:, number].numpy()
    return frame


def keep_ends(place: Ground, model: Autoencoder, centre: torch.Tensor, count: int) -> None:
    """Two lassos make a direction, which the session keeps for other pages."""
    ends = st.session_state.setdefault("ends", {})
    if ends.get("run") != place.run.id:
        ends.clear()
        ends["run"] = place.run.id
    with st.container(horizontal=True):
        for end in "AB":
            known = f" ({ends[end][1]:,})" if end in ends else ""
            if st.button(f"Keep as {end}{known}", icon=":material/flag:", key=f"keep-{end}"):
                ends[end] = centre, count
                st.rerun()
    if "A" in ends and "B" in ends:
        a, b = ends["A"][0], ends["B"][0]
        st.session_state.setdefault("directions", {})[place.run.id] = (b - a).tolist()
        film = decoded(model, between(a, b, STEPS))
        names = [f"from A to B, step {step}" for step in range(1, STEPS + 1)]
        st.html(
            block(
                '<div class="label">From A to B: the mean codes, and the straight line between them</div>',
                strip(film, names, STEPS),
            )
        )
        rows = pd.DataFrame(
            {"number": range(1, len(a) + 1), "a": a.tolist(), "b": b.tolist(), "direction": (b - a).tolist()}
        )
        download(
            "Direction",
            lambda: csv(rows),
            f"{place.run.id}-direction.csv",
            "text/csv",
            "arrow_forward",
        )
