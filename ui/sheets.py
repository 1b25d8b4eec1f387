"""A route of the server for the pictures on a map: sheets of them, fetched by the browser when a pointer first needs one."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from urllib.parse import quote

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui.routes import below_base, from_here

PATH = below_base("/api/pictures/{run}/{number}")
LONGEST = 9  # digits of a number


def address(run: str, version: str) -> str:
    """Of the sheets of a run, with {} for the number; for another version the browser asks again."""
    return PATH.format(run=quote(run), number="{}") + f"?v={version}"


async def answer(request: Request) -> Response:
    """A sheet as lossless WebP; 404 where there is none."""
    if not from_here(request):
        return Response(status_code=403)
    run, number = request.path_params["run"], request.path_params["number"]
    if not re.fullmatch(f"[0-9]{{1,{LONGEST}}}", number):
        return Response(status_code=404)
    made = await run_in_threadpool(made_of, run, int(number))
    if made is None:
        return Response(status_code=404)
    return Response(made, media_type="image/webp", headers={"Cache-Control": "private, max-age=3600"})


def made_of(id: str, number: int) -> bytes | None:
    from core.store import Store, StoreError
    from ui.latent.ground import ground, version

    store = Store()
    try:
        if id not in store.folders():
            return None
        place = ground(store.run(id))
        return None if place is None else encoded(str(store.root), id, version(place), number)
    except (StoreError, OSError):
        return None


@lru_cache(maxsize=64)
def encoded(root: str, id: str, version: str, number: int) -> bytes | None:
    from core.store import Store
    from ui.latent.ground import sheet_of

    pixels = sheet_of(Store(root).run(id), number)
    if pixels is None:
        return None
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=20)
    return file.getvalue()


route = Route(PATH, answer)
