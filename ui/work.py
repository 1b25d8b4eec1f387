"""Heavy work in the server itself, one visitor at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

T = TypeVar("T")

turn = threading.Semaphore(1)  # `alone` with no page to wait on, as in a download
_waiting: list[object] = []


@contextmanager
def alone() -> Iterator[None]:
    """Wait for the turn, saying how many are ahead. Left on a rerun or a closed tab as well."""
    ticket = object()
    _waiting.append(ticket)
    message = st.empty()
    try:
        while not turn.acquire(timeout=0.5):
            ahead = max(1, _waiting.index(ticket))  # a download has a turn and no ticket
            message.info(f"Waiting: {ahead} ahead of you.", icon=":material/hourglass:")
        try:
            message.empty()  # where a rerun is due, this is where the visitor leaves
            yield
        finally:
            turn.release()
    finally:
        _waiting.remove(ticket)


@contextmanager
def on_free_cores() -> Iterator[None]:
    """For photographs, whose nets are large enough to gain from it."""
    import torch

    from core.training import free_cores

    torch.set_num_threads(free_cores())
    try:
        yield
    finally:
        torch.set_num_threads(1)


def stage(ready: bool) -> tuple[DeltaGenerator, Callable[[], DeltaGenerator]]:
    """Where work shows how far it is, and below that a place for what comes of it, to be opened then.

    What stood there goes at once where that is not `ready`: else it would linger, looking as if it belonged to the new.
    """
    doing, place = st.container(), st.container() if ready else st.empty()
    return doing, (lambda: place) if ready else place.container


def through(work: Generator[float, None, T], bar: DeltaGenerator, text: str) -> T:
    """What work gives at its end, while the shares that it yields move a bar."""
    while True:
        try:
            bar.progress(next(work), text)
        except StopIteration as end:
            return end.value


def steps(events: Iterable[Any], total: int, text: str) -> Iterator[Any]:
    """Pass events on under a progress bar."""
    bar = st.progress(0.0, text)
    for count, event in enumerate(events, 1):
        if count % max(1, total // 50) == 0:
            bar.progress(min(1.0, count / total), text)
        yield event
    bar.empty()
