"""What makes the server answer fast: libraries warmed up behind the first page, no long garbage collections, no Nagle."""

from __future__ import annotations

import gc
import importlib
import socket
import threading
from asyncio import base_events
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

# What pages import. Never umap or numba: their objects would make every collection in this process four times as long.
HEAVY = ("torch", "core.store", "core.evaluation", "core.sampling", "scipy.ndimage", "pandas", "pyarrow")
WARM_UP = "warm-up"
FIRST_PAGE_SECONDS = 5.0

page_drawn = threading.Event()


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    threading.Thread(target=warm_up, name=WARM_UP, daemon=True).start()
    yield


def warm_up() -> None:
    page_drawn.wait(FIRST_PAGE_SECONDS)  # imports hold up the interpreter: who is there goes first
    for name in HEAVY:
        importlib.import_module(name)
    use_one_thread()
    freeze()


def use_one_thread() -> None:
    """Visitors share the cores: small nets gain nothing from a second thread, and lose much when it has to wait."""
    import torch

    torch.set_num_threads(1)


def freeze() -> None:
    """Streamlit collects garbage after every rerun; spare it the hundred thousands of objects that live for ever."""
    gc.collect()
    gc.freeze()


def send_at_once() -> None:
    """Switch Nagle's algorithm off for every TCP connection that asyncio accepts.

    It holds a small message back until the one before is acknowledged, 40 ms later. asyncio switches it off by itself,
    but only where the listening socket was made with protocol IPPROTO_TCP, and Streamlit makes it with 0.
    """
    base_events._set_nodelay = set_nodelay  # type: ignore[attr-defined]


def set_nodelay(connection: socket.socket) -> None:
    if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.type == socket.SOCK_STREAM:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
