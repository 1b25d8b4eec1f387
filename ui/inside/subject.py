"""What the page is about: a VAE, a picture, and what is known of both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core import elbo, objectives
from core.codes import Codes
from core.families import family
from core.families.vae import VAE
from core.family import Autoencoder
from core.pictures import sheet
from core.plane import Plane
from core.sampling import decoded
from core.store import Run
from ui import runs
from ui.components.maps import Ellipse, Map
from ui.html import data_uri
from ui.inputs import Input
from ui.theme import colour

WIDEST_SHEET = 1_150  # pixels of the decoded places of a map
MOST_TILES, CLOSE_TILES = 40, 24
MARGIN = 0.08
OUTLIERS = 0.002  # share of the codes on either side that a window may leave out
PRIOR_REACH = 3.5  # standard deviations, where there are no codes to go by

TINT = colour(VAE.key)


@dataclass(frozen=True, eq=False)
class Subject:
    """A VAE and the picture that is put into it."""

    run: Run
    model: VAE
    group: runs.Group
    picture: Input
    x: Tensor  # (1,C,H,W)

    @cached_property
    def posterior(self) -> tuple[Tensor, Tensor]:
        """mu and sigma, each (Z,)."""
        with torch.inference_mode():
            mu, log_var = self.model.posterior(self.x)
        return mu[0], (0.5 * log_var[0]).exp()

    @cached_property
    def kl(self) -> Tensor:
        """(Z,) of this picture."""
        mu, sigma = self.posterior
        return objectives.gaussian_kl(mu[None], 2 * sigma[None].log())[0]

    @property
    def survey(self) -> elbo.Survey | None:
        return runs.survey(self.run)

    @cached_property
    def order(self) -> list[int]:
        """The numbers of the code, those that say most first: over the test pictures where they were measured."""
        told = self.survey.kl_by_dimension if self.survey else self.kl
        return told.argsort(descending=True).tolist()

    def active(self, number: int) -> bool:
        return self.survey is None or bool(self.survey.active[number])

    @cached_property
    def fingerprint(self) -> str:
        """Of model and picture."""
        digest = hashlib.sha256(self.x.numpy().tobytes() + f"{self.run.id}/{changed(self.run)}".encode())
        return digest.hexdigest()[:16]


def is_vae(run: Run) -> bool:
    return issubclass(family(run.record.family), VAE)


def numbers(run: Run) -> int:
    """How long the code of a run is."""
    return int(run.record.settings().latent_dim)  # type: ignore[attr-defined]


def changed(run: Run) -> int:
    return run.weights_file.stat().st_mtime_ns if run.weights_file.exists() else 0


# --- maps -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ground:
    """The codes of a run's test pictures on a plane, and what a grid of its places decodes to."""

    plane: Plane
    places: np.ndarray  # (N,2)
    labels: np.ndarray | None
    window: tuple[tuple[float, float], tuple[float, float]]
    tiles: str
    side: int
    whole: bool = True

    def map(
        self,
        title: str,
        class_names: Iterable[str],
        ellipse: Ellipse | None = None,
        marks: Tensor | None = None,
        path: Tensor | None = None,
    ) -> Map:
        """`marks` and `path` are codes (n,Z)."""
        dots, line = ([] if codes is None else self.plane.place(codes).tolist() for codes in (marks, path))
        return Map(
            title, self.places, self.labels, tuple(class_names), self.window, self.tiles, self.side, ellipse, dots, line,
            self.whole,
        )  # fmt: skip


def ground(run: Run) -> Ground | None:
    """None where the codes are longer than two numbers and those of the test pictures are not known, or there is one number."""
    return _ground(str(run.folder), changed(run))


@st.cache_resource(max_entries=48, show_spinner="Decoding the map…")
def _ground(folder: str, _changed: int) -> Ground | None:
    run = Run.open(Path(folder))
    model, known = runs.model(run), runs.codes(run)
    dim = model.config.latent_dim
    if dim < 2 or (known is None and dim > 2):
        return None
    plane = Plane.of(torch.zeros(1, 2) if known is None else known.codes)
    places = np.zeros((0, 2), np.float32) if known is None else plane.place(known.codes).numpy()
    window = window_of(places)
    side = min(MOST_TILES, WIDEST_SHEET // max(model.shape[1:]))
    tiles = data_uri(decoded_grid(model, plane, window, side))
    return Ground(plane, places, labels_of(known), window, tiles, side)


@st.cache_resource(max_entries=48, show_spinner=False)
def _closeup(folder: str, _changed: int, centre: tuple[float, float], half: float) -> Ground:
    run = Run.open(Path(folder))
    model, known = runs.model(run), runs.codes(run)
    (x, y), half = centre, max(half, 1e-6)
    window = (x - half, x + half), (y - half, y + half)
    places = np.zeros((0, 2), np.float32) if known is None else known.codes.numpy()
    labels = labels_of(known)
    seen = (np.abs(places - np.array(centre)) <= half).all(1)
    plane = Plane.of(torch.zeros(1, 2))
    tiles = data_uri(decoded_grid(model, plane, window, CLOSE_TILES))
    return Ground(
        plane, places[seen], None if labels is None else labels[seen], window, tiles, CLOSE_TILES, whole=False
    )


def closeup(run: Run, centre: list[float], half: float) -> Ground:
    """Of a code of two numbers, the square of this half width around a place."""
    x, y = centre
    return _closeup(str(run.folder), changed(run), (x, y), half)


def labels_of(known: Codes | None) -> np.ndarray | None:
    return None if known is None or known.labels is None else known.labels.numpy()


def window_of(places: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """A square around nearly all places; around the prior where there are none."""
    if not len(places):
        return (-PRIOR_REACH, PRIOR_REACH), (-PRIOR_REACH, PRIOR_REACH)
    low, high = np.quantile(places, [OUTLIERS, 1 - OUTLIERS], axis=0)
    half = max(float((high - low).max()) * (0.5 + MARGIN), 1e-3)
    x, y = ((low + high) / 2).tolist()
    return (x - half, x + half), (y - half, y + half)


@torch.inference_mode()
def decoded_grid(
    model: Autoencoder, plane: Plane, window: tuple[tuple[float, float], tuple[float, float]], side: int
) -> np.ndarray:
    """The pictures at the middles of side·side cells of a window, as one sheet, rows from the top."""
    steps = (torch.arange(side) + 0.5) / side
    (left, right), (bottom, top) = window
    y, x = torch.meshgrid(top + steps * (bottom - top), left + steps * (right - left), indexing="ij")
    return sheet_of(model, plane.code(torch.stack([x, y], -1).view(-1, 2)), side)


def sheet_of(model: Autoencoder, codes: Tensor, columns: int) -> np.ndarray:
    return sheet(decoded(model, codes), columns)


# --- what chapters share ----------------------------------------------------------------------------------------


def equation(text: str, words: str) -> None:
    """An equation that is folded until it is asked for."""
    with st.popover("Equation", icon=":material/function:", type="tertiary"):
        st.latex(text)
        st.markdown(words)


def download(label: str, data: Callable[[], bytes | str], file: str, kind: str, icon: str) -> None:
    st.download_button(
        label, data, file, kind, icon=f":material/{icon}:", on_click="ignore", key=f"save-{file}"
    )


def told_of_measuring(run: Run) -> None:
    """Why a number is missing, and how it comes about."""
    st.caption(
        f"The test pictures have not been measured for this run. `python -m core evaluate {run.id} --keep` does it."
    )


LAYOUT: dict[str, Any] = dict(margin=dict(l=10, r=10, t=10, b=10), showlegend=False)
CONFIG = {"displaylogo": False, "displayModeBar": False}
