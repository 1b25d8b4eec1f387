"""Fixtures for tests in a real Chromium.

    def test_something(app, page):           app: a server with the runs in the box, shared by all tests
        visit(page, app.url + "/reconstruct")

    def test_first_start(serve, page, tmp_path):
        server = serve(BOTTLENECK_STORE=str(tmp_path))    a server of this test's own, with another environment

A test fails when the page logged an error, shows an exception, or asked for anything beyond this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from tests.serving import Server, chromium, serving

Serve = Callable[..., Server]

ELSEWHERE = re.compile(r"^(?!(https?|wss?)://(127\.0\.0\.1|localhost)[:/]|data:|blob:|about:)")

# On a deep link Streamlit first tries whether the app itself lives below that path.
PROBING = re.compile(r"://[^/]+/.+/_stcore/(host-config|health)$")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="session")
def app() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as running:
        yield lambda **environment: running.enter_context(serving(**environment))


@pytest.fixture
def page_errors() -> list[str]:
    """What went wrong on the page of this test. A test that provokes an error checks it here and clears the list."""
    return []


@pytest.fixture
def page(browser: Browser, page_errors: list[str]) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        watch(context, page_errors)
        yield context.new_page()
        for tab in context.pages:
            page_errors += shown_errors(tab)
    assert page_errors == []


def watch(context: BrowserContext, page_errors: list[str]) -> None:
    """Cut its tabs off from other machines, and note what goes wrong in any of them."""
    context.on("console", lambda message: page_errors.extend(errors_in(message)))
    context.on("weberror", lambda error: page_errors.append(f"uncaught: {error.error}"))

    def refuse(route: Route) -> None:
        page_errors.append(f"asked for {route.request.url}")
        route.abort()

    context.route(ELSEWHERE, refuse)


def errors_in(message: ConsoleMessage) -> list[str]:
    if message.type != "error" or PROBING.search(message.location["url"]):
        return []
    return [f"console: {message.text} ({message.location['url']})"]


def shown_errors(page: Page) -> list[str]:
    exceptions = [f"shown: {text}" for text in page.locator('[data-testid="stException"]').all_inner_texts()]
    traces = ["shown: a traceback"] if page.get_by_text("Traceback (most recent call last)").count() else []
    return exceptions + traces
