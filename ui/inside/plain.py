"""Why not a plain autoencoder: both with a code of two numbers, under one pointer."""

from __future__ import annotations

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core import examples
from core.families.vae import VAE
from core.families.vanilla import Vanilla
from core.family import Autoencoder, noise_like
from core.files import written
from core.pictures import as_bytes, as_floats, png, sheet
from core.sampling import between, decoded
from core.store import Run, StoreError
from ui import datasets, forms, runs, shell
from ui.components.maps import checked, maps
from ui.downloads import download
from ui.html import block, strip
from ui.inside.ladder import beta
from ui.inside.plane import decoded_plane
from ui.inside.subject import Subject, equation, numbers
from ui.words import as_written, data_title

STEPS = 11
SAMPLES = 22


@st.fragment
@runs.while_there
def show(subject: Subject) -> None:
    st.subheader("The same two numbers, with and without a prior", anchor=False)
    pair = find(subject)
    if pair is None:
        offer(subject)
        return
    try:
        models = {title: (run, runs.model(run)) for title, run in pair.items()}
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    st.markdown(
        "Move over either map: both decode the same place of their window. The plain autoencoder was only "
        "ever asked to decode the codes of training pictures; between them lies whatever its decoder "
        "makes of it."
    )
    if subject.run not in pair.values():
        st.caption(
            f"The chosen model has a code of {numbers(subject.run)} numbers. One of two stands in for it: "
            f"β = {beta(pair[VAE.title]):g}."
        )
    first, second = ends(subject)
    x = as_floats(np.stack([first, second]))
    lines = {title: line(model, x) for title, (_, model) in models.items()}
    draw_maps(subject, models, lines)
    st.markdown("**From one picture to the other, in a straight line between their codes**")
    films = {title: decoded(model, lines[title]) for title, (_, model) in models.items()}
    st.html(block(*(row(title, film) for title, film in films.items())))
    st.markdown("**New pictures**")
    drawn = new_pictures(models)
    st.html(block(*(row(title, tiles) for title, tiles in drawn.items())))
    equation(
        r"\text{prior: } z \sim \mathcal{N}(0, I) \qquad \text{mixture: } z \sim \sum_k w_k\, \mathcal{N}(m_k, S_k)",
        "A plain autoencoder has no prior. Where its codes lie can be learnt afterwards, by a Gaussian "
        "mixture over training codes: Ghosh et al. 2020, arXiv:1903.12436. With it both draw pictures; "
        "from N(0, I) only the VAE does.",
    )
    everything = [*films.values(), *drawn.values()]
    download(
        "Pictures",
        lambda: png(np.concatenate([sheet(one, STEPS) for one in everything])),
        "plain-and-vae.png",
        "image/png",
        "photo_library",
    )


def find(subject: Subject) -> dict[str, Run] | None:
    """A vanilla and a VAE with two numbers, the latest of each; of VAEs first the one that was chosen, then one with β = 1."""
    flat = [run for run in subject.group.runs if numbers(run) == 2]
    latest = sorted(flat, key=lambda run: (written(run.weights_file), run.id))
    vanilla = [run for run in latest if run.record.family == Vanilla.key]
    vae = [run for run in latest if run.record.family == VAE.key]
    if not vanilla or not vae:
        return None
    ordinary = [run for run in vae if beta(run) == 1] or vae
    return {
        Vanilla.title: vanilla[-1],
        VAE.title: subject.run if subject.run in vae else ordinary[-1],
    }


def offer(subject: Subject) -> None:
    record = subject.run.record
    title = data_title(record.data_title, record.shape)
    st.info(
        f"This takes a vanilla and a variational autoencoder with a code of two numbers on {as_written(title)}.",
        icon=":material/looks_two:",
    )
    data = datasets.address(record.dataset["name"])
    if not data:
        st.caption(datasets.where_from(record.dataset["name"]))
        return
    for family in (Vanilla, VAE):
        settings = {one.name: one.default for one in family.Config.settings()} | {"latent_dim": 2}
        asked = {"family": family.title, **data, **forms.address(family, settings)}
        shell.set_up("build/train.py", f"Train {family.title}", ":material/model_training:", asked)


def ends(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """The two pictures to go between: (C,H,W) each."""
    named = examples.named(subject.run.record.shape, subject.run.record.dataset["name"])
    choices = {"The picture above": subject.picture.pixels, **named}
    names = list(choices)
    left, right, _ = st.columns([2, 2, 3])
    first = left.selectbox("From", names, 0, key="line-from", bind="query-params")
    last = len(names) - 3 if len(names) > 3 else 1
    second = right.selectbox("To", names, last, key="line-to", bind="query-params")
    return choices[first], choices[second]


@torch.inference_mode()
def line(model: Autoencoder, x: Tensor) -> Tensor:
    first, second = model.encode(x)
    return between(first, second, STEPS)


def draw_maps(subject: Subject, models: dict[str, tuple[Run, Autoencoder]], lines: dict[str, Tensor]) -> None:
    names = subject.run.record.dataset.get("class_names", [])
    panels = [
        found.map(
            title if title == Vanilla.title else f"{title}, β = {beta(run):g}", names, path=lines[title]
        )
        for title, (run, _) in models.items()
        if (found := decoded_plane(run)) is not None
    ]
    addressed = checked([number(part) for part in st.query_params.get("at", "").split(",")], (0.5, 0.5))
    at = maps(panels, "maps-plain", opened_at(addressed))
    if at != addressed:
        st.query_params["at"] = f"{at[0]:g},{at[1]:g}"


def opened_at(addressed: tuple[float, float]) -> tuple[float, float]:
    """Where the maps opened. A place that is set down leaves it as it is, or they would be sent again and begin anew."""
    if "maps-plain" not in st.session_state or "maps opened at" not in st.session_state:
        st.session_state["maps opened at"] = addressed
    place: tuple[float, float] = st.session_state["maps opened at"]
    return place


def number(text: str) -> float:
    """nan where it is none, which is no place."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


@torch.inference_mode()
def new_pictures(models: dict[str, tuple[Run, Autoencoder]]) -> dict[str, np.ndarray]:
    drawn = {}
    for title, (_, model) in models.items():
        rng = torch.Generator().manual_seed(0)
        drawn[f"{title}, from the prior N(0, I)"] = as_bytes(model.decode(noise_like(torch.empty(SAMPLES, 2), rng)))  # fmt: skip
        drawn[f"{title}, from a mixture over its codes"] = as_bytes(model.decode(model.mixture.draw(SAMPLES, rng)))  # fmt: skip
    return drawn


def row(title: str, tiles: np.ndarray) -> str:
    names = [f"{title}, {place}" for place in range(1, len(tiles) + 1)]
    return f'<div class="label">{title}</div>{strip(tiles, names, STEPS)}'
