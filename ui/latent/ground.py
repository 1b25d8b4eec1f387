"""A run's codes, its maps, and the pictures behind them, computed once for all visitors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import streamlit as st
import torch

from core import latent
from core.codes import Codes
from core.family import Autoencoder
from core.files import written
from core.latent import Map
from core.pictures import sheet
from core.sampling import decoded
from core.store import Run
from ui import runs
from ui.html import data_uri

WIDEST_SHEET = 1_400  # pixels
MOST_ROWS = 50
CELLS = 32  # of a decoded map, on either side
MARGIN, OUTLIERS = 0.05, 0.0005
TITLES = {"umap": "UMAP", "pca": "Principal axes", "raw": "The code itself"}


@dataclass(frozen=True, eq=False)
class Ground:
    """Codes of test pictures, and the maps there are of them by kind, the best first."""

    run: Run
    codes: Codes
    maps: dict[str, Map]

    @property
    def class_names(self) -> Sequence[str]:
        return self.run.record.dataset.get("class_names", []) if self.codes.labels is not None else []

    @property
    def labels(self) -> np.ndarray | None:
        return None if self.codes.labels is None else self.codes.labels.numpy()

    def images(self) -> np.ndarray | None:
        """The test pictures that were encoded; None where the data are not here, or others than the codes are of."""
        data = runs.data_of(self.run)
        if data is None or min(len(data.test), latent.MOST) != len(self.codes.codes):
            return None
        return data.test.images

    def best(self, kind: str) -> str:
        """This kind of map where there is one, else the best there is."""
        return kind if kind in self.maps else next(iter(self.maps))

    @cached_property
    def familiarity(self) -> latent.Familiarity:
        return latent.Familiarity.of(self.codes.codes)


def ground(run: Run) -> Ground | None:
    """None where no codes of test pictures are known."""
    if not run.weights_file.exists():
        return None
    told = written(run.folder / "run.json")  # another one when the run is renamed
    return _ground(str(run.folder), (*stamp(run), told))


def stamp(run: Run) -> tuple[int, ...]:
    """Changes when the codes or maps do. Raises StoreError where there can be none."""
    run.check_finished()
    return runs.stamp(run, "codes", latent.KEPT_AS)


@st.cache_resource(max_entries=12, show_spinner="Reading codes…")
def _ground(folder: str, stamp: tuple[int, ...]) -> Ground | None:
    run = Run.open(Path(folder))
    known = run.codes()
    if known is None or not len(known.codes):
        return None
    codes = latent.sampled(known)
    made = latent.kept(run, codes)
    plain = latent.at_once(codes)
    maps: dict[str, Map] = {kind: made[kind] for kind in ("umap", "raw", "pca") if kind in made}
    maps.setdefault(plain.kind, plain)
    return Ground(run, codes, maps)


# --- pictures ---------------------------------------------------------------------------------------------------


def pictures(place: Ground, model: Autoencoder, some: Sequence[int]) -> np.ndarray:
    """Of these points: (n,C,H,W), those of the data, else decoded from the codes."""
    images = place.images()
    if images is None:
        return decoded(model, place.codes.codes[list(some)])
    chosen = latent.chosen(len(images), latent.MOST).numpy()
    return images[chosen[list(some)]]


def version(place: Ground) -> str:
    """Of its sheets: another one when the run is trained on, or when the data come or go."""
    return "-".join(map(str, (*stamp(place.run), int(place.images() is not None))))


def tiling(run: Run) -> tuple[int, int]:
    """Columns of a sheet, and pictures on it."""
    _, height, width = run.record.shape
    columns = max(1, WIDEST_SHEET // width)
    return columns, columns * max(1, min(MOST_ROWS, WIDEST_SHEET // height))


def sheet_of(run: Run, number: int) -> np.ndarray | None:
    """The pictures of a sheet, as one; None where there is no such sheet."""
    place = ground(run)
    if place is None:
        return None
    columns, per = tiling(run)
    some = range(number * per, min((number + 1) * per, len(place.codes.codes)))
    if not some:
        return None
    return sheet(pictures(place, runs.model(run), list(some)), columns)


def bounds(places: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """A window around nearly all places (N,2): x and y, each from and to."""
    low, high = np.quantile(places, [OUTLIERS, 1 - OUTLIERS], axis=0)
    reach = np.maximum((high - low) * MARGIN, 1e-3)
    (left, bottom), (right, top) = (low - reach).tolist(), (high + reach).tolist()
    return (left, right), (bottom, top)


# --- what is decoded between the points -------------------------------------------------------------------------


def tiles(run: Run, kind: str) -> str:
    """What a grid of places on a map decodes to, as a data URI."""
    return _tiles(str(run.folder), kind, stamp(run))


@st.cache_resource(max_entries=24, show_spinner="Decoding the map…")
def _tiles(folder: str, kind: str, stamp: tuple[int, ...]) -> str:
    run = Run.open(Path(folder))
    place = ground(run)
    assert place is not None
    found = place.maps[kind]
    (left, right), (bottom, top) = bounds(found.places.numpy())
    steps = (torch.arange(CELLS) + 0.5) / CELLS
    y, x = torch.meshgrid(top + steps * (bottom - top), left + steps * (right - left), indexing="ij")
    where = torch.stack([x, y], -1).view(-1, 2)
    itself = kind == "raw" and place.codes.codes.shape[1] == 2
    codes = where if itself else latent.inverse(place.codes.codes, found.places, where)
    return data_uri(sheet(decoded(runs.model(run), codes), CELLS))


@st.cache_resource(max_entries=12, show_spinner="Finding neighbours…")
def _distances(folder: str, stamp: tuple[int, ...]) -> np.ndarray:
    place = ground(Run.open(Path(folder)))
    assert place is not None
    _, distances = latent.graph(place.codes.codes, latent.PLACED_BY + 1)
    return np.asarray(distances[:, 1:].mean(1), np.float32)


def distances(run: Run) -> np.ndarray:
    """The mean distance of every code to its nearest neighbours (N,)."""
    return _distances(str(run.folder), stamp(run))


@st.cache_resource(max_entries=12, show_spinner="Comparing neighbours…")
def _agreement(folders: tuple[str, str], stamps: tuple[tuple[int, ...], ...]) -> np.ndarray:
    one, other = (ground(Run.open(Path(folder))) for folder in folders)
    assert one is not None and other is not None
    return latent.agreement(one.codes.codes, other.codes.codes).numpy()


def agreement(one: Run, other: Run) -> np.ndarray:
    """Of every picture's neighbours in two codings: Jaccard (N,)."""
    return _agreement((str(one.folder), str(other.folder)), (stamp(one), stamp(other)))
