"""The Denoise page in a real browser: a large photograph in, cleaned, compared, and out again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from playwright.sync_api import Page, expect

from core.store import Store
from tests.photographs import denoiser, jpeg, scene
from tests.serving import serving, settle, visit

MINUTE = 60_000  # milliseconds


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    store = Store(tmp_path_factory.mktemp("denoise"))
    denoiser(store, name="White noise")
    denoiser(store, "camera", "Camera noise")
    with serving(BOTTLENECK_STORE=str(store.root)) as server:
        yield server.url


def test_twelve_megapixels_lying_on_their_side(url: str, page: Page) -> None:
    taken = jpeg(scene(4000, 3000), orientation=6)
    visit(page, f"{url}/denoise?source=Upload")
    page.locator('input[type="file"]').set_input_files(
        [{"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": taken}]
    )
    download = page.get_by_role("button", name="Download · 3000×4000 JPG")
    expect(download).to_be_visible(timeout=2 * MINUTE)
    settle(page)

    divider = page.get_by_role("slider", name="Divider")
    before = divider.get_attribute("aria-valuenow")
    box = page.locator(".frame").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 3, steps=5)
    page.mouse.up()
    assert divider.get_attribute("aria-valuenow") != before

    with page.expect_download(timeout=MINUTE) as coming:
        download.click()
    assert coming.value.suggested_filename == "holiday-denoised.jpg"
    with Image.open(coming.value.path()) as image:
        assert (image.format, image.size) == ("JPEG", (3000, 4000))
        exif = image.getexif()
        assert exif.get(ExifTags.Base.Orientation, 1) == 1
        assert (
            exif[ExifTags.Base.Make] == "Bottleneck" and exif[ExifTags.Base.DateTime] == "2026:11:25 12:00:00"
        )
        assert np.asarray(image.resize((30, 40))).std() > 10


def test_a_test_on_a_clean_picture_tells_who_is_best(url: str, page: Page) -> None:
    visit(
        page, f"{url}/denoise?purpose=Test+on+a+clean+picture&methods=Doing+nothing&methods=Median+3%C3%973"
    )
    expect(page.get_by_text("Look closely at")).to_be_visible(timeout=MINUTE)
    settle(page)
    expect(page.locator(".pane")).to_have_count(3)
    with page.expect_download() as coming:
        page.get_by_role("button", name="This picture").click()
    with Image.open(io.BytesIO(Path(coming.value.path()).read_bytes())) as image:
        assert image.format == "PNG" and image.size == (451, 300)


def test_a_broken_file_is_refused_in_words(url: str, page: Page) -> None:
    visit(page, f"{url}/denoise?source=Upload")
    page.locator('input[type="file"]').set_input_files(
        [{"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}]
    )
    expect(page.get_by_text("that can be read, whatever its name says")).to_be_visible(timeout=MINUTE)
    expect(page.get_by_text("Choose a picture.")).to_be_visible()
