"""Tens of thousands of codes on a map that one can walk: pictures under the pointer, a lasso, neighbours."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ui.components import declared
from ui.components.maps import CLASS_COLOURS

HTML = '<div class="scatter"></div>'
MOST_CORNERS = 400  # of a lasso

Window = tuple[tuple[float, float], tuple[float, float]]

_scatter = declared("scatter", HTML, addressed=True)


@dataclass(frozen=True, eq=False)
class Panel:
    """The places of codes on one map, and what a grid of its places decodes to."""

    title: str
    places: np.ndarray  # (N,2)
    window: Window
    tiles: str = ""  # a sheet of side·side pictures as a data URI, rows from the top
    side: int = 0
    marks: Sequence[tuple[float, float]] = ()  # visitors' pictures


@dataclass(frozen=True, eq=False)
class Points:
    """What panels share: the same pictures in the same order."""

    labels: np.ndarray | None  # (N,)
    class_names: Sequence[str]
    values: np.ndarray | None  # (N,) to be coloured by; None: by label
    value_name: str
    sheets: str  # address of sheet 0, with {} for the number
    per_sheet: int
    columns: int  # of a sheet
    tile: tuple[int, int]  # width and height in pixels
    decoded: bool  # pictures are decoded from codes, not those of the data


@dataclass(frozen=True)
class Answer:
    """What the visitor did last."""

    picked: int | None  # a point
    lasso: tuple[int, np.ndarray] | None  # panel, and corners (n,2) on its map


def scatter(panels: Sequence[Panel], points: Points, key: str, start: int = 0) -> Answer:
    """Draw them; point `start` is chosen as long as the visitor has chosen nothing."""
    count = len(panels[0].places)
    sheets = {name: getattr(points, name) for name in ("sheets", "per_sheet", "columns", "tile", "decoded")}
    data = {
        "panels": [
            {name: getattr(one, name) for name in ("title", "window", "tiles", "side")}
            | {"places": packed(one.places, "<f4"), "marks": list(one.marks)}
            for one in panels
        ],
        "count": count,
        "start": start,
        "labels": "" if points.labels is None else packed(np.minimum(points.labels, 254), "u1"),
        "names": list(points.class_names),
        "values": "" if points.values is None else packed(points.values, "<f4"),
        "valueName": points.value_name,
        "sheets": sheets,
        "colours": CLASS_COLOURS,
    }
    answer = _scatter(data=data, key=key, on_picked_change=lambda: None, on_lasso_change=lambda: None)
    picked = answer.get("picked")
    picked = start if picked is None else checked_point(picked, count)  # -1: nothing any more
    return Answer(picked, checked_lasso(answer.get("lasso"), len(panels)))


def packed(values: np.ndarray, kind: str) -> str:
    return b64encode(np.ascontiguousarray(values, dtype=np.dtype(kind)).tobytes()).decode()


def checked_point(value: Any, count: int) -> int | None:
    """What a browser sent, if it is a point."""
    return value if type(value) is int and 0 <= value < count else None


def checked_lasso(value: Any, panels: int) -> tuple[int, np.ndarray] | None:
    """What a browser sent, if it is a polygon on one of the panels."""
    if not isinstance(value, dict) or type(value.get("panel")) is not int or not 0 <= value["panel"] < panels:
        return None
    corners = value.get("corners")
    if not isinstance(corners, list) or not 3 <= len(corners) <= MOST_CORNERS:
        return None
    for corner in corners:
        fits = isinstance(corner, list | tuple) and len(corner) == 2
        if not fits or not all(type(v) in (int, float) and math.isfinite(v) for v in corner):
            return None
    return value["panel"], np.array(corners, np.float64)
