"""Routes of the server that bring decoders to the canvas: as files for the browser, and over a socket where there are none."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui.routes import below_base, from_here, same_origin

if TYPE_CHECKING:
    import numpy as np  # not before the server listens

ENGINE = below_base("/api/runtime/{name}")
DECODER = below_base("/api/decoder/{run}/{file}")
SOCKET = below_base("/api/decode/{run}")
RUNTIME = Path(__file__).parent / "runtime"
SCRIPT, MACHINE = "ort-11e64bd8.mjs", "ort-3398c10d.wasm"  # named by the beginning of their SHA-256
KINDS = {SCRIPT: "text/javascript", MACHINE: "application/wasm"}
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
FASTEST = 400.0  # codes a second
FARTHEST = 1e6  # of a number in a code
REFUSED = 1008


def address_of_decoder(run: str, file: str) -> str:
    return DECODER.format(run=quote(run), file=file)


def address_of_socket(run: str) -> str:
    return SOCKET.format(run=quote(run))


def addresses_of_runtime() -> tuple[str, str]:
    return ENGINE.format(name=SCRIPT), ENGINE.format(name=MACHINE)


async def runtime(request: Request) -> Response:
    name = request.path_params["name"]
    if not from_here(request):
        return Response(status_code=403)
    return (
        FileResponse(RUNTIME / name, media_type=KINDS[name], headers=FOR_EVER)
        if name in KINDS
        else Response(status_code=404)
    )


async def decoder(request: Request) -> Response:
    if not from_here(request):
        return Response(status_code=403)
    file = await run_in_threadpool(decoder_file, request.path_params["run"], request.path_params["file"])
    if file is None:
        return Response(status_code=404)
    return FileResponse(file, media_type="application/octet-stream", headers=FOR_EVER)


def decoder_file(id: str, name: str) -> Path | None:
    from core import export
    from core.store import Store, StoreError

    store = Store()
    try:
        file = export.kept(store.run(id)) if id in store.folders() else None
    except (StoreError, OSError):
        return None
    return file if file is not None and file.name == name else None


# --- over a socket ----------------------------------------------------------------------------------------------


async def decode(socket: WebSocket) -> None:
    """A code as float32 comes in, its picture as bytes (C·H·W) goes out; one after the other, never faster than `FASTEST`."""
    if not same_origin(socket.headers.get("origin"), socket.headers.get("host")):
        await socket.close(REFUSED)
        return
    model = await run_in_threadpool(model_of, socket.path_params["run"])
    if model is None:
        await socket.close(REFUSED)
        return
    await socket.accept()
    size, next_turn = model[1], 0.0
    try:
        while True:
            message = await socket.receive_bytes()
            now = time.monotonic()
            code = checked(message, size)
            if code is None or now < next_turn - 1:  # a second's worth may come at once
                await socket.close(REFUSED)
                return
            next_turn = max(now, next_turn) + 1 / FASTEST
            await socket.send_bytes(await run_in_threadpool(decoded, model[0], code))
    except (WebSocketDisconnect, KeyError):  # gone, or text where bytes belong
        return


def checked(message: bytes, size: int) -> np.ndarray | None:
    """(1,Z) float32, or None where it is no code."""
    import numpy as np

    if len(message) != 4 * size:
        return None
    code = np.frombuffer(message, "<f4")
    return code[None] if np.isfinite(code).all() and np.abs(code).max(initial=0) <= FARTHEST else None


def model_of(id: str) -> tuple[object, int] | None:
    """A model and the length of its codes."""
    from core.store import Store, StoreError

    store = Store()
    try:
        if id not in store.folders():
            return None
        run = store.run(id)
        return loaded(str(store.root), id, run.weights_file.stat().st_mtime_ns)
    except (StoreError, OSError):
        return None


@lru_cache(maxsize=8)
def loaded(root: str, id: str, changed: int) -> tuple[object, int]:
    from core.store import Store

    model = Store(root).run(id).load()
    return model, model.config.latent_dim


def decoded(model: object, code: np.ndarray) -> bytes:
    import torch

    from core.family import Autoencoder
    from core.pictures import as_bytes

    assert isinstance(model, Autoencoder)
    with torch.inference_mode():
        return as_bytes(model.decode(torch.tensor(code)))[0].tobytes()


routes: list[BaseRoute] = [
    Route(ENGINE, runtime),
    Route(DECODER, decoder),
    WebSocketRoute(SOCKET, decode),
]
