"""What the server's own routes have in common: where they lie, and who is answered.

They get no check of origin from Streamlit, so each makes its own: nothing is answered to another site's page.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st
from starlette.requests import Request
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

FROM_HERE = ("same-origin", "none")


def below_base(path: str) -> str:
    """An address of ours where Streamlit has its own: below `server.baseUrlPath`, behind a proxy that serves several apps."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{path}" if base else path


def from_here(request: Request) -> bool:
    """Whether a page of this server asks, or a program: neither another site's page, nor one under a name that it gave us."""
    headers = request.headers
    return headers.get("sec-fetch-site", "none") in FROM_HERE and is_host_allowed(headers.get("host"))


def same_origin(origin: str | None, host: str | None) -> bool:
    """The same for a socket. Programs without a browser send no origin."""
    return is_host_allowed(host) and (origin is None or urlsplit(origin).netloc == host)
