"""A pad to draw on with mouse, pen or finger."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from ui.components import declared

HTML = """<div class="pad">
  <canvas role="img" aria-label="Drawing pad: draw a light shape on the dark ground"></canvas>
  <div><button type="button" class="undo">Undo</button><button type="button" class="clear">Clear</button></div>
</div>"""
MAX_STROKES, MAX_POINTS = 60, 400

Strokes = tuple[tuple[tuple[float, float], ...], ...]

_pad = declared("pad", HTML)


def pad(start: Strokes, key: str) -> Strokes:
    """What the visitor has drawn, as strokes in the unit square; `start` is on the pad at first."""
    drawn = st.session_state.get(key, {}).get("strokes")
    if drawn is not None:
        st.session_state[kept_as(key)] = checked(drawn)  # the component forgets it where it is not drawn
    strokes: Strokes = st.session_state.get(kept_as(key), start)
    # data, so that a pad that is made anew has them, too
    _pad(data={"strokes": strokes, "most": MAX_STROKES}, key=key, on_strokes_change=lambda: None)
    return strokes


def was_drawn_on(key: str) -> bool:
    """Whether this visitor has, on whichever page."""
    return kept_as(key) in st.session_state


def kept_as(key: str) -> str:
    return f"drawn on {key}"


def checked(strokes: Any) -> Strokes:
    """Keep of what a browser sent only what can be drawn: points in the unit square, not too many."""
    if not isinstance(strokes, list):
        return ()
    kept = (
        tuple(filter(None, map(point, stroke[:MAX_POINTS])))
        for stroke in strokes[:MAX_STROKES]
        if isinstance(stroke, list)
    )
    return tuple(stroke for stroke in kept if stroke)


def point(value: Any) -> tuple[float, float] | None:
    if (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(type(v) in (int, float) and math.isfinite(v) for v in value)
    ):
        return min(1.0, max(0.0, float(value[0]))), min(1.0, max(0.0, float(value[1])))
    return None
