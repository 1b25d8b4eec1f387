"""Asking a route of the server without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.routing import BaseRoute


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def get(routes: Sequence[BaseRoute], path: str, **headers: str) -> Answer:
    """What is answered to a GET; underscores in the names of headers stand for hyphens."""
    found: list[dict[str, Any]] = []
    scope = {"type": "http", "method": "GET"} | common(path, headers)

    asked = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not asked:
            await asyncio.Event().wait()  # nobody hangs up
        return asked.pop()

    async def send(message: dict[str, Any]) -> None:
        found.append(message)

    apart(Starlette(routes=list(routes))(scope, receive, send))
    told = {name.decode(): value.decode() for name, value in found[0]["headers"]}
    return Answer(found[0]["status"], told, b"".join(one.get("body", b"") for one in found[1:]))


def talk(routes: Sequence[BaseRoute], path: str, messages: Sequence[bytes], **headers: str) -> list[Any]:
    """What comes back over a socket for these messages: bytes, or the number of the code it was closed with."""
    found: list[Any] = []
    left = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "bytes": one} for one in messages)]
    left.append({"type": "websocket.disconnect", "code": 1000})
    scope = {"type": "websocket", "subprotocols": [], "extensions": {}} | common(path, headers)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            found.append(message["bytes"])
        if message["type"] == "websocket.close":
            found.append(message["code"])

    apart(Starlette(routes=list(routes))(scope, receive, send))
    return found


def common(path: str, headers: dict[str, str]) -> dict[str, Any]:
    headers = {"host": "127.0.0.1:8501"} | headers
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": named}


def apart(work: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the browser tests keep an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()
