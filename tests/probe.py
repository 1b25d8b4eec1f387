"""Starts the app as `streamlit run app.py` does, visits every page, and prints what can only be seen inside the server.

`python -m tests.probe PORT` -> one line of JSON
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import os
import socket
import sys
import threading
import time
from typing import Any

START_SECONDS = 60


def main(port: int) -> None:
    from streamlit.web import cli

    threading.Thread(target=report, args=(port,), daemon=True).start()
    cli.main(
        ["run", "app.py", "--server.headless=true", f"--server.port={port}", "--server.enableAgentApi=true"]
    )


def report(port: int) -> None:
    from ui.server import WARM_UP
    from ui.shell import MENU

    connection = connect(port)
    pages = [entry.path for entries in MENU.values() for entry in entries]
    statuses = {path: ask(connection, {"page": path} if path else {})["status"] for path in pages}
    while any(thread.name == WARM_UP for thread in threading.enumerate()):
        time.sleep(0.05)
    fresh = connect(port)  # what was there before the freeze is invisible to gc.get_objects
    ask(fresh, {})
    print(json.dumps(facts() | {"pages": statuses}), flush=True)
    os._exit(0)


def connect(port: int) -> http.client.HTTPConnection:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.connect()
            return connection
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def ask(connection: http.client.HTTPConnection, request: dict[str, Any]) -> dict[str, Any]:
    """Visit a page without a browser, over a connection that stays open."""
    connection.request(
        "POST", "/_stcore/agent/interact", json.dumps(request), {"Content-Type": "application/json"}
    )
    answer: dict[str, Any] = json.load(connection.getresponse())
    return answer


def facts() -> dict[str, Any]:
    import torch

    transports = [one for one in gc.get_objects() if isinstance(one, asyncio.Transport)]
    accepted = [one.get_extra_info("socket") for one in transports if one.get_extra_info("peername")]
    return {
        "frozen": gc.get_freeze_count(),
        "threads": torch.get_num_threads(),
        "modules": sorted(name for name in sys.modules if "." not in name),
        "nodelay": [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0 for one in accepted],
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
