"""Training as a person sees it: it runs on whatever happens to pages, tabs and servers."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.jobs import Job, Jobs
from core.store import Store
from tests.browser.conftest import Serve
from tests.serving import visit

PATIENCE = 60_000  # milliseconds
DIGITS = "?budget=Epochs&epochs=100000"  # the digits, being the only data here, for as long as it takes
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no signals to speak of")


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    """Of the store in `tmp_path`; none of them outlives the test."""
    found = Jobs(tmp_path)
    yield found
    for job in found.active():
        job.stop()


def trainings(jobs: Jobs) -> list[Job]:
    return [job for job in jobs.active() if job.arguments[0] == "train"]


def epoch(page: Page) -> int:
    """What the page tells now."""
    words = page.get_by_text(re.compile(r"^Epoch [\d,]+ ·")).first.inner_text()
    return int(re.sub(r"\D", "", words.split("·")[0]))


def moves(page: Page) -> None:
    expect(page.get_by_text(re.compile(r"^Epoch [\d,]+ ·")).first).to_be_visible(timeout=PATIENCE)
    before, deadline = epoch(page), time.monotonic() + 30
    while epoch(page) <= before:
        assert time.monotonic() < deadline, "the page stands still"
        time.sleep(0.2)


@posix
def test_a_training_survives_page_tab_and_server(
    serve: Serve, page: Page, page_errors: list[str], jobs: Jobs, tmp_path: Path
) -> None:
    first = serve(BOTTLENECK_STORE=str(tmp_path))
    visit(page, f"{first.url}/train{DIGITS}")
    page.get_by_role("button", name="Train Vanilla").click()
    moves(page)
    expect(page.get_by_alt_text("the same pictures rebuilt")).to_be_visible(timeout=PATIENCE)
    address = page.url.split("?")[1]

    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="See what a model keeps")).to_be_visible(timeout=PATIENCE)

    tab = page.context.new_page()
    visit(tab, f"{first.url}/train?{address}")
    moves(tab)
    (job,) = trainings(jobs)
    tab.close()
    page.goto("about:blank")

    first.kill()
    assert job.active
    second = serve(BOTTLENECK_STORE=str(tmp_path))
    visit(page, f"{second.url}/train?{address}")
    moves(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)
    (run,) = Store(tmp_path).runs()
    assert run.status == "stopped" and run.has_weights
    done = len(run.metrics())

    page.get_by_role("button", name="Resume").click()
    moves(page)
    assert epoch(page) > done
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)

    visit(page, f"{second.url}/reconstruct")
    expect(page.get_by_alt_text("digit 2, Vanilla", exact=True)).to_be_visible(timeout=PATIENCE)
    page_errors.clear()  # those of the server that was killed


@posix
def test_two_queue_two_tabs_agree_and_a_killed_one_goes_on(
    serve: Serve, page: Page, jobs: Jobs, tmp_path: Path
) -> None:
    server = serve(BOTTLENECK_STORE=str(tmp_path))
    visit(page, f"{server.url}/train{DIGITS}")
    page.get_by_role("button", name="Train Vanilla").click()
    moves(page)
    tab = page.context.new_page()
    visit(tab, f"{server.url}/train{DIGITS}&family=Denoising")
    expect(tab.get_by_text("At work")).to_be_visible(timeout=PATIENCE)
    tab.get_by_role("button", name="Train Denoising").click()
    expect(tab.get_by_text("Waiting for Vanilla on Digits 8×8 to end, 1 ahead.")).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_text("Denoising on Digits 8×8").first).to_be_visible(timeout=PATIENCE)  # there as well

    first, _ = trainings(jobs)
    os.kill(process_of(first.id), signal.SIGKILL)
    began = time.monotonic()
    expect(page.get_by_text("The process ended without a word")).to_be_visible(timeout=PATIENCE)
    assert time.monotonic() - began < 3.0
    moves(tab)  # the lane is free
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Waiting for Denoising on Digits 8×8 to end, 1 ahead.")).to_be_visible(
        timeout=PATIENCE
    )
    tab.get_by_role("button", name="Stop").last.click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)
    moves(page)


def process_of(job: str) -> int:
    """By what stands in its environment."""
    mark = f"BOTTLENECK_JOB={job}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError(f"no process works on {job}")


def test_the_slider_goes_through_the_epochs_without_the_server(
    serve: Serve, page: Page, tmp_path: Path
) -> None:
    server = serve(BOTTLENECK_STORE=str(tmp_path))
    visit(page, f"{server.url}/train?budget=Epochs&epochs=6")
    page.get_by_role("button", name="Train Vanilla").click()
    expect(page.get_by_role("button", name="Train further")).to_be_visible(timeout=PATIENCE)
    rebuilt = page.get_by_alt_text("the same pictures rebuilt")
    last = rebuilt.get_attribute("src")
    expect(page.locator(".timelapse output")).to_have_text("epoch 6")
    slider = page.get_by_role("slider", name="Epoch")
    slider.focus()
    slider.press("Home")
    expect(page.locator(".timelapse output")).to_have_text("epoch 1")
    assert rebuilt.get_attribute("src") != last
    with page.expect_download() as download:
        page.get_by_role("button", name="Film").click()
    assert Path(download.value.path()).read_bytes().startswith(b"GIF89a")
