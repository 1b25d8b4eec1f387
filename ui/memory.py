"""What a visitor's session keeps of large things, so that looking back costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

T = TypeVar("T")


def remembered(name: str, key: object, make: Callable[[], T], size: Callable[[T], int], most: int) -> T:
    """What is kept of this name under `key`, else what `make` gives. The latest stay, up to `most` bytes; the last one always."""
    memory: dict[object, T] = st.session_state.setdefault(name, {})
    memory[key] = memory.pop(key) if key in memory else make()
    while len(memory) > 1 and sum(map(size, memory.values())) > most:
        del memory[next(iter(memory))]
    return memory[key]
