"""One out of a few, and never none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")


def choice(
    label: str,
    options: Iterable[T],
    default: T,
    *,
    key: str,
    place: DeltaGenerator | None = None,
    **look: Any,
) -> T:
    """Draw a segmented control that the address knows as `key`. Of `?key=` Streamlit would make no choice at all.

    Where it is too narrow it wraps: what lies in a row that only scrolls is never found.
    """
    look.setdefault("wrap", True)
    chosen: T | None = (place or st).segmented_control(
        label, list(options), default=default, required=True, key=key, bind="query-params", **look
    )
    return default if chosen is None else chosen
