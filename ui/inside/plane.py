"""The plane on which chapters draw: codes of a run's test pictures, and what the places between them decode to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core.codes import Codes
from core.family import Autoencoder
from core.pictures import sheet
from core.plane import Plane
from core.sampling import decoded
from core.store import Run
from ui import runs
from ui.components.maps import Ellipse, Map, window_of
from ui.html import data_uri

WIDEST_SHEET = 1_150  # pixels of the decoded places of a map
MOST_TILES, CLOSE_TILES = 40, 24


@dataclass(frozen=True, eq=False)
class DecodedPlane:
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


def decoded_plane(run: Run) -> DecodedPlane | None:
    """None where the codes are longer than two numbers and those of the test pictures are not known, or there is one number."""
    return _decoded_plane(str(run.folder), runs.stamp(run, "codes"))


@st.cache_resource(max_entries=48, show_spinner="Decoding the map…")
def _decoded_plane(folder: str, stamp: tuple[int, ...]) -> DecodedPlane | None:
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
    return DecodedPlane(plane, places, labels_of(known), window, tiles, side)


@st.cache_resource(max_entries=48, show_spinner=False)
def _closeup(folder: str, stamp: tuple[int, ...], centre: tuple[float, float], half: float) -> DecodedPlane:
    run = Run.open(Path(folder))
    model, known = runs.model(run), runs.codes(run)
    (x, y), half = centre, max(half, 1e-6)
    window = (x - half, x + half), (y - half, y + half)
    places = np.zeros((0, 2), np.float32) if known is None else known.codes.numpy()
    labels = labels_of(known)
    seen = (np.abs(places - np.array(centre)) <= half).all(1)
    plane = Plane.of(torch.zeros(1, 2))
    tiles = data_uri(decoded_grid(model, plane, window, CLOSE_TILES))
    return DecodedPlane(
        plane, places[seen], None if labels is None else labels[seen], window, tiles, CLOSE_TILES, whole=False
    )


def closeup(run: Run, centre: list[float], half: float) -> DecodedPlane:
    """Of a code of two numbers, the square of this half width around a place."""
    x, y = centre
    return _closeup(str(run.folder), runs.stamp(run, "codes"), (x, y), half)


def labels_of(known: Codes | None) -> np.ndarray | None:
    return None if known is None or known.labels is None else known.labels.numpy()


@torch.inference_mode()
def decoded_grid(
    model: Autoencoder, plane: Plane, window: tuple[tuple[float, float], tuple[float, float]], side: int
) -> np.ndarray:
    """The pictures at the middles of side·side cells of a window, as one sheet, rows from the top."""
    steps = (torch.arange(side) + 0.5) / side
    (left, right), (bottom, top) = window
    y, x = torch.meshgrid(top + steps * (bottom - top), left + steps * (right - left), indexing="ij")
    return sheet(decoded(model, plane.code(torch.stack([x, y], -1).view(-1, 2))), side)
