"""Training as a person sees it: it runs on whatever happens to pages, tabs and servers."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from core.jobs import Job, Jobs
from core.pictures import png
from core.store import Store
from tests.browser.conftest import Serve
from tests.conftest import Alone
from tests.core.test_archives import zipped
from tests.serving import Server, visit

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
    """Whoever is listed as at work beside the one watched tells epochs, too, for a moment after its end."""
    expect(page.get_by_text("At work")).to_have_count(0, timeout=PATIENCE)
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
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)
    (run,) = Store(tmp_path).runs()
    assert run.status == "stopped" and run.has_weights
    done = len(run.metrics())

    page.get_by_role("button", name="Resume").click()
    moves(page)
    assert epoch(page) > done
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)

    visit(page, f"{second.url}/reconstruct")
    expect(page.get_by_alt_text("digit 2, Vanilla", exact=True)).to_be_visible(timeout=PATIENCE)
    page_errors.clear()  # those of the server that was killed


@posix
def test_two_queue_two_tabs_agree_and_a_killed_one_goes_on(
    serve: Serve, page: Page, jobs: Jobs, tmp_path: Path, alone: Alone
) -> None:
    server = serve(BOTTLENECK_STORE=str(tmp_path))
    visit(page, f"{server.url}/train{DIGITS}")
    name = secrets.token_hex(8)
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
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

    assert len(trainings(jobs)) == 2
    with alone():
        os.kill(process_of(name), signal.SIGKILL)
        began = time.monotonic()
        expect(page.get_by_text("The process ended without a word")).to_be_visible(timeout=PATIENCE)
        assert time.monotonic() - began < 3.0
    moves(tab)  # the lane is free
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Waiting for Denoising on Digits 8×8 to end, 1 ahead.")).to_be_visible(
        timeout=PATIENCE
    )
    tab.get_by_test_id("stMain").get_by_role("button", name="Stop").last.click()
    expect(tab.get_by_role("button", name="Resume")).to_be_visible(timeout=PATIENCE)
    moves(page)


def process_of(name: str) -> int:
    """The job whose command line gives its run this name."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    (line,) = (line for line in listed.splitlines() if f"--name={name}" in line)
    return int(line.split()[0])


def test_the_slider_goes_through_the_epochs_without_the_server(app: Server, page: Page) -> None:
    visit(page, f"{app.url}/train?watch=digits-vanilla")
    expect(page.locator(".timelapse output", has_text="epoch 300")).to_be_visible(timeout=PATIENCE)
    rebuilt = page.get_by_alt_text("the same pictures rebuilt")
    last = rebuilt.get_attribute("src")
    slider = page.get_by_role("slider", name="Epoch")
    slider.focus()
    slider.press("Home")
    expect(page.locator(".timelapse output")).to_have_text("epoch 1")
    assert rebuilt.get_attribute("src") != last
    with page.expect_download() as download:
        page.get_by_role("button", name="Film").click()
    assert Path(download.value.path()).read_bytes().startswith(b"GIF89a")


def test_a_zip_of_ones_own_is_kept_and_learnt_from(
    serve: Serve, page: Page, jobs: Jobs, tmp_path: Path
) -> None:
    server = serve(BOTTLENECK_STORE=str(tmp_path), BOTTLENECK_CACHE=str(tmp_path / "cache"))
    visit(page, f"{server.url}/train?budget=Epochs&epochs=6")
    page.get_by_text("Your own pictures", exact=True).click()
    shades = {
        f"{place}/{n}.png": png(np.full((20, 30, 3), 25 * n, np.uint8))
        for place in ("Sea", "Land")
        for n in range(8)
    }
    upload = {
        "name": "Our trip.zip",
        "mimeType": "application/zip",
        "buffer": zipped(shades | {"../evil.png": b"x"}),
    }
    page.locator("input[type=file]").set_input_files([upload])  # type: ignore[list-item]
    expect(page.get_by_text("16 pictures · Land 8 · Sea 8")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("1 file is left out")).to_be_visible()
    page.get_by_role("button", name="Keep as dataset").click()
    expect(page.get_by_text("14 to learn from, 1 to watch progress, 1 for the scores")).to_be_visible(
        timeout=PATIENCE
    )
    before = page.evaluate("history.length")
    page.get_by_role("button", name="Train Vanilla").click()
    expect(page.get_by_role("button", name="Train further")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("history.length") == before + 1  # one step back leads to the settings
    expect(page.locator(".timelapse output", has_text="epoch 6")).to_be_visible(timeout=PATIENCE)
    # for a moment the one of the training under way is there, too
    expect(page.locator(".timelapse")).to_have_count(1)
    # the last of those that were shown meanwhile has gone
    expect(page.get_by_alt_text("the same pictures rebuilt")).to_have_count(1, timeout=PATIENCE)
    (run,) = Store(tmp_path).runs()
    assert run.status == "completed" and run.record.dataset["name"] == "own:our-trip@64"
