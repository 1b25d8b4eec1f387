"""Codes on planes, side by side under one pointer that shows what is decoded where it stands."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ui.components import declared

HTML = '<div class="maps"></div>'
MIDDLE = (0.5, 0.5)
MARGIN = 0.08
OUTLIERS = 0.002  # share of the codes on either side that a window may leave out
PRIOR_REACH = 3.5  # standard deviations, where there are no codes to go by

# For classes, which have no order: after Okabe & Ito 2008, as far as it goes. Names stand on the clusters as well.
CLASS_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#b8a900", "#7a5195", "#8c564b", "#7f7f7f",
)  # fmt: skip

_maps = declared("maps", HTML, addressed=True)


@dataclass(frozen=True)
class Ellipse:
    """One standard deviation of a cloud, along the axes of the plane."""

    x: float
    y: float
    rx: float
    ry: float


@dataclass(frozen=True, eq=False)
class Map:
    """Places of codes in a window of a plane, and what a grid of its places decodes to."""

    title: str
    places: np.ndarray  # (N,2)
    labels: np.ndarray | None  # (N,)
    class_names: Sequence[str]
    window: tuple[tuple[float, float], tuple[float, float]]  # x and y, each from and to
    tiles: str  # a sheet of side·side pictures as a data URI, rows from the top
    side: int
    ellipse: Ellipse | None = None
    marks: Sequence[tuple[float, float]] = field(default=())  # draws
    path: Sequence[tuple[float, float]] = field(default=())
    whole: bool = True  # so that classes can be named, and a place without codes is a hole

    def share(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the plane lies in the window, from 0 to 1; at its edge where it lies outside."""
        shares = [(v - low) / (high - low) for v, (low, high) in zip((x, y), self.window, strict=True)]
        return min(1.0, max(0.0, shares[0])), min(1.0, max(0.0, shares[1]))

    def as_data(self) -> dict[str, Any]:
        names = list(self.class_names) if self.labels is not None else []
        ellipse = self.ellipse and vars(self.ellipse)
        return {
            "title": self.title, "count": len(self.places), "names": names, "window": self.window, "tiles": self.tiles,
            "side": self.side, "ellipse": ellipse, "marks": list(self.marks), "path": list(self.path),
            "points": self.packed(), "whole": self.whole,
        }  # fmt: skip

    def packed(self) -> str:
        """N pairs of float32, then N labels of a byte, as base64; classes from the 255th on share a colour."""
        labels = np.zeros(len(self.places)) if self.labels is None else np.minimum(self.labels, 254)
        return b64encode(self.places.astype("<f4").tobytes() + labels.astype(np.uint8).tobytes()).decode()


def window_of(places: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """A square around nearly all places; around the prior where there are none."""
    if not len(places):
        return (-PRIOR_REACH, PRIOR_REACH), (-PRIOR_REACH, PRIOR_REACH)
    low, high = np.quantile(places, [OUTLIERS, 1 - OUTLIERS], axis=0)
    half = max(float((high - low).max()) * (0.5 + MARGIN), 1e-3)
    x, y = ((low + high) / 2).tolist()
    return (x - half, x + half), (y - half, y + half)


def maps(panels: Sequence[Map], key: str, start: tuple[float, float] = MIDDLE) -> tuple[float, float]:
    """Draw them, and give where the pointer was set down last, in the unit square from the lower left."""
    data: dict[str, Any] = {
        "panels": [panel.as_data() for panel in panels],
        "colours": CLASS_COLOURS,
        "start": start,
    }
    return checked(_maps(data=data, key=key, on_at_change=lambda: None).get("at"), start)


def checked(at: Any, otherwise: tuple[float, float]) -> tuple[float, float]:
    """What a browser or an address says, if it is a place in the unit square."""
    numbers = isinstance(at, list | tuple) and len(at) == 2 and all(type(v) in (int, float) for v in at)
    if not numbers or not all(math.isfinite(v) and 0 <= v <= 1 for v in at):
        return otherwise
    return float(at[0]), float(at[1])
