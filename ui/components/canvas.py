"""A window into the space of codes: drag, and the pictures follow the pointer. Decoders run in the browser where they can."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st

from ui.components import declared
from ui.components.maps import CLASS_COLOURS
from ui.components.scatter import packed

HTML = '<div class="canvas"></div>'
MOST_PINS = 24

_canvas = declared("canvas", HTML, addressed=True)


@dataclass(frozen=True, eq=False)
class View:
    """One run on the canvas."""

    id: str
    title: str
    colour: str
    shape: tuple[int, int, int]
    origin: np.ndarray  # (Z,)
    across: np.ndarray
    up: np.ndarray
    mean: np.ndarray  # of the region that data or prior cover
    sd: np.ndarray
    limit: float
    region: str  # "the prior" or "the data"
    draws: np.ndarray | None  # (K,Z) samples for the plane of seeds; None: N(0, I)
    points: np.ndarray  # (N,2) codes of the data on the window
    labels: np.ndarray | None
    marks: Sequence[tuple[float, float, str]]  # named places
    dials: Sequence[tuple[int, str, float, float]]  # numbers of the code to turn: which, its name, from, to
    decoder: str  # address of an ONNX file; empty where there is none
    socket: str  # address of one that decodes on the server

    @cached_property
    def data(self) -> dict[str, Any]:
        """As the browser gets it; made once, since a fragment asks for every picture."""
        names = ("id", "title", "colour", "shape", "limit", "region", "marks", "dials", "decoder", "socket")
        arrays = {
            name: packed(getattr(self, name), "<f4") for name in ("origin", "across", "up", "mean", "sd")
        }
        return (
            {name: getattr(self, name) for name in names}
            | arrays
            | {
                "points": packed(self.points, "<f4"),
                "labels": "" if self.labels is None else packed(np.minimum(self.labels, 254), "u1"),
                "draws": "" if self.draws is None else packed(self.draws, "<f4"),
            }
        )


@dataclass(frozen=True)
class Pin:
    """A place that was kept, with the code of every run there."""

    at: tuple[float, float]
    codes: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Held:
    """Where the pointer was set down, and what was pinned."""

    at: tuple[float, float] | None
    pins: tuple[Pin, ...]


def canvas(
    views: Sequence[View],
    *,
    endless: bool,
    seed: int,
    start: tuple[float, float],
    pins: Sequence[Pin],
    engines: Sequence[str],
    runtime: tuple[str, str],
    key: str,
    decode: Callable[[int, np.ndarray], bytes],
) -> Held:
    """`pins` are there when the canvas opens.

    `decode` maps the number of a view and a code (Z,) to the bytes of its picture: the way without browser and socket.
    """
    frame: dict[str, Any] = {}
    wish = wished(st.session_state.get(key, {}), [len(view.origin) for view in views])
    if wish is not None:
        pictures = [decode(number, code) for number, code in enumerate(wish[1])]
        frame = {"n": wish[0], "pictures": [packed(np.frombuffer(one, np.uint8), "u1") for one in pictures]}
    data = {
        "views": [view.data for view in views],
        "endless": endless,
        "seed": seed,
        "start": start,
        "pins": [vars(pin) for pin in pins],
        "engines": list(engines),
        "runtime": list(runtime),
        "colours": CLASS_COLOURS,
        "frame": frame,
    }
    found = _canvas(
        data=data,
        key=key,
        on_at_change=lambda: None,
        on_pins_change=lambda: None,
        on_want_change=lambda: None,
    )
    told = found.get("pins")
    sizes = [len(view.origin) for view in views]
    return Held(checked_at(found.get("at")), tuple(pins) if told is None else checked_pins(told, sizes))


def checked_at(at: Any) -> tuple[float, float] | None:
    """What a browser or an address says, if it is a place not too far off."""
    fits = isinstance(at, list | tuple) and len(at) == 2 and all(type(v) in (int, float) for v in at)
    return (
        (float(at[0]), float(at[1])) if fits and all(math.isfinite(v) and abs(v) <= 1e4 for v in at) else None
    )


def checked_code(code: Any, size: int) -> tuple[float, ...] | None:
    fits = isinstance(code, list | tuple) and len(code) == size and all(type(v) in (int, float) for v in code)
    return tuple(map(float, code)) if fits and all(math.isfinite(v) and abs(v) <= 1e6 for v in code) else None


def checked_codes(codes: Any, sizes: Sequence[int]) -> tuple[tuple[float, ...], ...] | None:
    if not isinstance(codes, list | tuple) or len(codes) != len(sizes):
        return None
    found = [checked_code(code, size) for code, size in zip(codes, sizes, strict=True)]
    return (
        tuple(code for code in found if code is not None) if all(code is not None for code in found) else None
    )


def checked_pins(pins: Any, sizes: Sequence[int]) -> tuple[Pin, ...]:
    """Of what a browser sent only what can be a pin."""
    kept = []
    for pin in pins[:MOST_PINS] if isinstance(pins, list) else []:
        if isinstance(pin, dict):
            at, codes = checked_at(pin.get("at")), checked_codes(pin.get("codes"), sizes)
            if at is not None and codes is not None:
                kept.append(Pin(at, codes))
    return tuple(kept)


def wished(state: Any, sizes: Sequence[int]) -> tuple[int, list[np.ndarray]] | None:
    """The codes that a browser without another engine asks to have decoded."""
    want = state.get("want") if hasattr(state, "get") else None
    if not isinstance(want, dict) or type(want.get("n")) is not int:
        return None
    codes = checked_codes(want.get("codes"), sizes)
    return None if codes is None else (want["n"], [np.array(code, np.float32) for code in codes])
