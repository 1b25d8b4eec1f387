"""Beside the canvas: from picture to picture, samples in a grid, and sums of codes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st
import torch
from PIL import Image
from torch import Tensor

from core import sampling
from core.data import load
from core.evaluation import nearest
from core.pictures import as_floats, gif, png, sheet
from core.windows import spherical
from ui import runs, work
from ui.choices import choice
from ui.downloads import download
from ui.html import block, captioned, strip
from ui.inputs import Input
from ui.memory import remembered
from ui.sampling.views import Painter, class_means, dials, draws, shared_classes
from ui.words import as_written, signed

STEPS = 13
FILM = 25
SEARCH = 150  # steps of descent
FOUND = 1_000_000  # bytes of codes that the server keeps
PAUSE = 90  # milliseconds
MOST_SEED = 2**31 - 1
SHOWN_NEAREST = 8
TRAVERSED = 6  # numbers of a code, those that say most


def offer(file: str, tiles: Sequence[np.ndarray], columns: int, label: str = "Picture") -> None:
    """To take away, all below each other."""
    download(
        label,
        lambda: png(np.concatenate([sheet(one, columns) for one in tiles])),
        file,
        "image/png",
        "photo_library",
    )


# --- from picture to picture ------------------------------------------------------------------------------------


@st.fragment
def between(painters: Sequence[Painter], pictures: Sequence[Input]) -> None:
    names = [one.name for one in pictures]
    if len(names) < 2:
        st.caption("Choose two pictures above, or pin two places of the canvas with a double click.")
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    first = row.selectbox("From", names, 0, key="way-from", bind="query-params", width=180)
    second = row.selectbox("To", names, 1, key="way-to", bind="query-params", width=180)
    way = choice(
        "Way", ("Straight", "Along the sphere"), "Straight", key="way",
        help="Along the sphere keeps the length of codes typical of a Gaussian prior.", place=row
    )  # fmt: skip
    search = row.toggle(
        "Search better codes",
        key="better-codes",
        bind="query-params",
        help="Descends the error from the encoder's codes on: for the GAN above all.",
    )
    path = sampling.between if way == "Straight" else spherical
    films: dict[str, np.ndarray] = {}
    chosen = [next(one for one in pictures if one.name == name) for name in (first, second)]
    for painter in painters:
        ends = [end(painter, one, search) for one in chosen]
        (a, _), (b, _) = ends
        films[painter.title] = sampling.decoded(painter.model, path(a, b, FILM))
        residual = " · ".join(words for _, words in ends if words)
        some = films[painter.title][np.linspace(0, FILM - 1, STEPS).round().astype(int)]
        alts = [f"{painter.title}, step {step + 1}" for step in range(STEPS)]
        head = f"{painter.title}{f' · {residual}' if residual else ''}"
        st.html(block(f'<div class="label">{escape(head)}</div>', strip(some, alts, STEPS)))
    frames = [sheet(np.stack(pair), len(pair)) for pair in zip(*films.values(), strict=True)]
    there_and_back = [*frames, *frames[-2:0:-1]]
    with st.container(horizontal=True):
        download("GIF", lambda: moving(there_and_back, "GIF"), "between.gif", "image/gif", "movie")
        download("WebP", lambda: moving(there_and_back, "WebP"), "between.webp", "image/webp", "animation")
        offer("between.png", list(films.values()), FILM, "Strip")


def end(painter: Painter, chosen: Input, search: bool) -> tuple[Tensor, str]:
    """The code of a picture, and what of it the decoder does not give back; of a pin its code."""
    code = painter.encode([chosen])[0]
    if chosen.code_by(painter.run.id) is not None:
        return code, ""
    x = as_floats(chosen.pixels)[None]
    if search:
        code = searched(painter, x)
    with torch.inference_mode():
        residual = float((painter.model.decode(code[None]) - x).square().mean())
    return code, f"{chosen.name}: MSE {residual:.4f}"


def searched(painter: Painter, x: Tensor) -> Tensor:
    """The code (Z,) that descent finds for a picture (1,C,H,W): from memory, else under a progress bar."""

    def search() -> Tensor:
        with work.alone():
            events = sampling.refine(painter.model, x, SEARCH)
            *_, found = work.steps(events, SEARCH + 1, "Searching…")
        code: Tensor = found.codes[0]
        return code

    key = painter.run.id, runs.stamp(painter.run), hash(x.numpy().tobytes())
    return remembered("searched", key, search, lambda code: code.nbytes, FOUND)


def moving(frames: Sequence[np.ndarray], kind: str) -> bytes:
    with work.turn:
        return gif(frames, PAUSE, PAUSE) if kind == "GIF" else webp(frames)


def webp(frames: Sequence[np.ndarray]) -> bytes:
    large = [Image.fromarray(np.repeat(np.repeat(one, 6, 0), 6, 1)) for one in frames]
    file = io.BytesIO()
    large[0].save(file, "WEBP", save_all=True, append_images=large[1:], duration=PAUSE, loop=0, lossless=True)
    return file.getvalue()


# --- samples ----------------------------------------------------------------------------------------------------


@st.fragment
def grid(painters: Sequence[Painter]) -> None:
    cells = st.columns(3)
    side = cells[0].select_slider(
        "Pictures a side", (4, 6, 8, 10, 12), 8, key="samples-side", bind="query-params"
    )
    temperature = cells[1].slider(
        "Temperature",
        0.1,
        2.0,
        1.0,
        0.05,
        key="samples-temperature",
        bind="query-params",
        help="Scales the distance of the codes from the middle: below 1 only what is typical.",
    )
    seed = int(cells[2].number_input("Seed", 0, MOST_SEED, 0, key="samples-seed", bind="query-params"))
    columns = st.columns(len(painters), gap="medium")
    for painter, column in zip(painters, columns, strict=True):
        z = draws(painter.model, side * side, seed)
        middle = torch.zeros(painter.dim) if painter.model.from_prior else painter.known().mean(0)
        tiles = sampling.decoded(painter.model, middle + temperature * (z - middle))
        with column:
            st.html(
                block(
                    f'<div class="label">{escape(painter.title)}: {escape(painter.model.sampling)}</div>',
                    strip(tiles, [f"{painter.title}, sample {k + 1}" for k in range(len(tiles))], side),
                )
            )
            offer(f"{painter.run.id}-samples.png", [tiles], side)
            memorised(painter, tiles[:SHOWN_NEAREST])


def memorised(painter: Painter, tiles: np.ndarray) -> None:
    """The nearest training picture of the first samples, where the data are here."""
    data = runs.data_of(painter.run)
    if data is None:
        st.caption(
            "Whether these were learnt by heart is shown where the training pictures are on this machine."
        )
        return
    index, distance = _nearest(tiles.tobytes(), tiles.shape, data.name)
    known = data.train.images[index]
    st.html(
        block(
            '<div class="label">Is it memorised? The first samples, and the training picture nearest to each</div>',
            strip(tiles, [f"sample {k + 1}" for k in range(len(tiles))], SHOWN_NEAREST),
            strip(known, [f"nearest to sample {k + 1}" for k in range(len(tiles))], SHOWN_NEAREST),
        )
    )
    st.caption(f"Mean squared distance {float(np.mean(distance)):.4f} per pixel.")


@st.cache_data(show_spinner="Looking through the training pictures…", max_entries=32)
def _nearest(pixels: bytes, shape: tuple[int, ...], name: str) -> tuple[np.ndarray, np.ndarray]:
    index, distance = nearest(as_floats(np.frombuffer(pixels, np.uint8).reshape(shape)), load(name).train)
    return index.numpy(), distance.numpy()


# --- one number at a time ---------------------------------------------------------------------------------------


@st.fragment
def traversals(painters: Sequence[Painter], pictures: Sequence[Input]) -> None:
    """A picture decoded while one number of its code goes through the values that the data give it; those that say most first."""
    start = pictures[0].name if pictures else "the mean code"
    st.caption(
        f"From {as_written(start)}: each row turns one number from where 1% of the data lie below it to where 99% do."
    )
    rows: list[np.ndarray] = []
    for painter in painters:
        code = painter.encode(pictures[:1])[0] if pictures else painter.known().mean(0)
        parts = [f'<div class="label">{escape(painter.title)}</div>']
        for number, name, low, high in dials(painter)[:TRAVERSED]:
            codes = code.repeat(STEPS, 1)
            codes[:, number] = torch.linspace(low, high, STEPS)
            alts = [f"{painter.title}, {name} = {signed(float(value))}" for value in codes[:, number]]
            rows.append(sampling.decoded(painter.model, codes))
            parts.append(
                f"<small>{name}: {signed(low)} to {signed(high)}</small>{strip(rows[-1], alts, STEPS)}"
            )
        st.html(block(*parts))
    offer("one-number-at-a-time.png", rows, STEPS)


# --- sums -------------------------------------------------------------------------------------------------------


@st.fragment
def sums(painters: Sequence[Painter], pictures: Sequence[Input]) -> None:
    """A − B + C of pictures and class means."""
    means = [class_means(painter) for painter in painters]
    classes = [f"mean of {name}" for name in shared_classes(painters)]
    names = [one.name for one in pictures] + classes
    if len(names) < 2:
        st.caption("Choose pictures above: sums take at least two.")
        return
    cells = st.columns(3)
    usual = (0, min(len(names) - 1, len(pictures)), min(len(names) - 1, len(pictures) + 1))
    terms = [
        cell.selectbox(label, names, start, key=f"term-{label[-1]}", bind="query-params")
        for cell, label, start in zip(cells, ("A", "− B", "+ C"), usual, strict=True)
    ]
    rows: list[np.ndarray] = []
    for painter, own in zip(painters, means, strict=True):
        a, b, c = (
            own[name.removeprefix("mean of ")]
            if name in classes
            else painter.encode([next(one for one in pictures if one.name == name)])[0]
            for name in terms
        )
        rows.append(sampling.decoded(painter.model, torch.stack([a, b, c, a - b + c])))
        words = [f"A: {terms[0]}", f"B: {terms[1]}", f"C: {terms[2]}", "A − B + C"]
        st.html(
            block(
                f'<div class="label">{escape(painter.title)}</div>',
                captioned(list(zip(words, rows[-1], strict=True)), "8rem"),
            )
        )
    offer("sums-of-codes.png", rows, len(words))
