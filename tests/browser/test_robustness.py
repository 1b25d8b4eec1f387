"""The robustness lab in a real browser: measure, stop, measure on, read, take away; and the page answers meanwhile."""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Serve
from tests.conftest import Alone
from tests.serving import ROOT, Server, settle, visit

PATIENCE = 60_000  # milliseconds; the first visit waits for torch


@pytest.fixture
def digits(serve: Serve, tmp_path: Path) -> Server:
    """A server with two runs on the embedded digits that nobody has measured."""
    for name in ("digits-vanilla", "digits-denoising"):
        shutil.copytree(ROOT / "models_store" / name, tmp_path / name)
        for kept in tmp_path.glob(f"{name}/*/robustness-*"):
            kept.unlink()
    return serve(BOTTLENECK_STORE=str(tmp_path))


def test_measure_stop_measure_on_read_and_take_away(digits: Server, page: Page, alone: Alone) -> None:
    visit(page, digits.url + "/robustness?noise-seeds=10")  # long enough to be stopped
    measure = page.get_by_role("button", name="Measure", exact=True)
    expect(measure).to_be_visible(timeout=PATIENCE)
    measure.click()
    stop = page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible(timeout=PATIENCE)

    with alone():
        begun = time.perf_counter()
        page.get_by_role("link", name="Home").click()
        expect(page.get_by_role("heading", name="Vanilla")).to_be_visible(timeout=PATIENCE)
        assert time.perf_counter() - begun < 10  # nobody waits for the measurement

    visit(page, digits.url + "/robustness?noise-seeds=10")
    expect(page.get_by_text("of 10").first).to_be_visible(timeout=PATIENCE)  # where the job has come to
    stop.click()
    expect(measure).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Not measured yet")).to_be_visible()

    visit(page, digits.url + "/robustness?noise-seeds=1")
    measure.click()
    expect(page.get_by_text("What was found")).to_be_visible(timeout=2 * PATIENCE)
    expect(page.get_by_text("Not measured yet")).to_have_count(0)
    settle(page)  # a click while the page is drawn may go to a button that is drawn anew
    with page.expect_download() as download:
        page.get_by_role("button", name="Table", exact=True).click()
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {
        "digits-vanilla",
        "digits-denoising",
        "nothing",
        "pca-32",
        "median",
    }
    assert {row["noise_seeds"] for row in rows} == {"1"}


def test_what_is_in_the_box_is_read_at_once_and_follows_the_slider(app: Server, page: Page) -> None:
    visit(page, app.url + "/robustness")
    best = page.get_by_text("has the best PSNR at level 3 of Gaussian noise")
    expect(best).to_contain_text("Denoising", timeout=PATIENCE)
    expect(best).to_contain_text("It was trained on this damage")
    expect(best).to_contain_text("Over 3 training seeds")
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_text("On clean pictures")).to_be_visible(timeout=PATIENCE)
    settle(page)
    assert "level=0" in page.url


def test_the_contractive_code_drifts_least_under_a_little_noise(app: Server, page: Page) -> None:
    visit(page, app.url + "/robustness?number=Code+drift&level=1")
    told = page.get_by_text("has the best code drift at level 1 of Gaussian noise")
    expect(told).to_contain_text("Contractive", timeout=PATIENCE)
    expect(told).to_contain_text("is ahead of")


def test_a_narrow_window_holds_the_lab(app: Server, page: Page) -> None:
    page.set_viewport_size({"width": 420, "height": 800})
    visit(page, app.url + "/robustness")
    expect(page.get_by_text("What was found")).to_be_visible(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
