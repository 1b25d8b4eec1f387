from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from core.pictures import as_bytes, as_floats, gif, png, sheet, tiles


def numbered(count: int, channels: int = 1, height: int = 3, width: int = 2) -> np.ndarray:
    pixels = np.arange(count * channels * height * width) % 256
    return pixels.astype(np.uint8).reshape(count, channels, height, width)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns"), [(1, None), (6, 3), (6, 6), (7, None), (5, 2)])
def test_tiles_undo_a_sheet(channels: int, count: int, columns: int | None) -> None:
    pictures = numbered(count, channels)
    back = tiles(sheet(pictures, columns), pictures.shape[1:])
    np.testing.assert_array_equal(back[:count], pictures)
    assert not back[count:].any()  # what fills the last row is black


def test_a_sheet_reads_row_by_row_and_is_nearly_square() -> None:
    pictures = numbered(5)
    page = sheet(pictures)
    assert page.shape == (2 * 3, 3 * 2)
    np.testing.assert_array_equal(page[3:6, 2:4], pictures[4, 0])
    assert sheet(numbered(5, channels=3)).shape == (6, 6, 3)


def test_bytes_survive_floats() -> None:
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(as_bytes(as_floats(every)), every)


def test_floats_are_rounded_and_clipped() -> None:
    assert as_bytes(torch.tensor([-0.2, 0.499 / 255, 0.501 / 255, 1.7])).tolist() == [0, 0, 1, 255]


def test_floats_are_made_of_any_array_and_are_a_copy() -> None:
    pixels = numbered(2)
    pixels.flags.writeable = False  # as `load` gives them
    assert torch.equal(as_floats(pixels[:, :, ::-1]), as_floats(pixels).flip(2))
    as_floats(pixels)[:] = 0
    assert pixels.any()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_same_pixels(channels: int) -> None:
    page = sheet(numbered(4, channels))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(page)))), page)


def test_a_film_shows_every_frame_enlarged_and_how_far_it_is() -> None:
    frames = [np.full((28, 280), shade, np.uint8) for shade in (10, 120, 250)]
    with Image.open(io.BytesIO(gif(frames, 250, 1500))) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (840, 28 * 3 + 4), 0)
        shown = []
        for number in range(3):
            film.seek(number)
            pixels = np.asarray(film.convert("L"))
            assert len(np.unique(pixels[:84])) == 1
            shown.append((int(pixels[0, 0]), int((pixels[-1] == 255).sum()), film.info["duration"]))
    assert shown == [(10, 280, 250), (120, 560, 250), (250, 840, 1500)]


def test_a_film_keeps_colours() -> None:
    frame = np.zeros((8, 16, 3), np.uint8)
    frame[:, 8:] = (200, 30, 90)
    with Image.open(io.BytesIO(gif([frame, frame[:, ::-1]], 100, 100))) as film:
        assert np.abs(np.asarray(film.convert("RGB"))[0, -1].astype(int) - (200, 30, 90)).max() <= 4
