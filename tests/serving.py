"""The real thing, for tests and benchmarks: a server started as a user starts it, and a Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
START_SECONDS = 60
SETTLE_SECONDS = 60
DEAD_PROXY = "http://127.0.0.1:9"

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Server:
    url: str
    started: float  # time.perf_counter() when the process was started
    log_file: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9: it has no chance to tidy up."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(script: Path = ROOT / "app.py", base: str = "", **environment: str) -> Iterator[Server]:
    """`streamlit run script` on a free port, below `base`, without a data folder and with no way out to the network."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(script),
        "--server.headless=true",
        f"--server.port={port}",
        f"--server.baseUrlPath={base}",
    ]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        surroundings = offline(folder) | environment
        process = subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=log, stderr=log)
        server = Server(f"http://127.0.0.1:{port}{base}", time.perf_counter(), Path(log.name), process)
        try:
            wait_until_healthy(server, process)
            yield server
        finally:
            stop(process)


def offline(folder: str) -> dict[str, str]:
    """This process's environment without settings of our own, with an empty cache and a proxy that does not answer."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BOTTLENECK_")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), DEAD_PROXY)
    own = {"BOTTLENECK_CACHE": folder, "PYTHONPATH": str(ROOT), "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full"}
    return inherited | proxies | {"no_proxy": "127.0.0.1,localhost"} | own


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    while time.perf_counter() - server.started < START_SECONDS:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}:\n{server.log}")
        try:
            with urlopen(f"{server.url}/_stcore/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"the server did not answer within {START_SECONDS} s:\n{server.log}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = next(filter(None, map(shutil.which, CHROMIUM)), None) or (own if own.is_file() else None)
        if found is None:
            raise RuntimeError(
                "The browser tests need Chromium and found none. Install it with `apt-get install chromium` (Debian), "
                "`brew install --cask chromium` (macOS) or `python -m playwright install chromium` (anywhere)."
            )
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


def visit(page: Page, url: str) -> None:
    """Open a page of the app and wait until its script has run to the end."""
    page.goto(url)
    settle(page)


def settle(page: Page) -> None:
    """Wait until no script runs and nothing is left to load."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for(
        timeout=1000 * SETTLE_SECONDS
    )
    page.locator('[data-testid="stSkeleton"]').first.wait_for(state="detached", timeout=1000 * SETTLE_SECONDS)


def until(page: Page, true: Callable[[], bool]) -> None:
    """Wait for what no locator can see. Raises AssertionError where it does not become true."""
    deadline = time.perf_counter() + SETTLE_SECONDS
    while not true():
        assert time.perf_counter() < deadline, f"not true within {SETTLE_SECONDS} s"
        page.wait_for_timeout(50)
