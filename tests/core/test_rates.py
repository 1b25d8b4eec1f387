from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.evaluation import ssim
from core.families.photo_autoencoder import PhotoAutoencoder
from core.packing import pack, unpack
from core.rates import FORMATS, QUALITIES, compared, compressed, expanded, largest_below, written


@pytest.fixture(scope="module")
def model() -> PhotoAutoencoder:
    config = PhotoAutoencoder.Config(rates=(2, 8, 24), width=12, fine=8, blocks=(1, 1))
    made = PhotoAutoencoder(config, (3, 48, 48))
    made.initialise(torch.Generator().manual_seed(0))
    return made.eval()


def photograph(height: int, width: int) -> np.ndarray:
    """Soft colours with some grain: uint8 (H,W,3)."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 40
    soft = np.stack([np.sin(x + y), np.cos(x * 0.7), np.sin(y * 1.3 - x)], -1)
    return np.clip(128 + 70 * soft + draw.normal(0, 12, soft.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("k", [2, 8, 24])
def test_three_ways_stand_beside_each_other_at_the_same_bytes(model: PhotoAutoencoder, k: int) -> None:
    picture = photograph(150, 203)
    ours, *others = compared(picture, model, k)
    assert [row.title for row in (ours, *others)] == [model.title, "JPEG", "WebP"]
    assert ours.size == len(compressed(picture, model, k)) and not ours.larger
    for row in (ours, *others):
        assert row.picture.shape == picture.shape and row.picture.dtype == np.uint8
        error = np.square((row.picture.astype(float) - picture) / 255).mean()
        assert row.psnr == pytest.approx(-10 * math.log10(error))
        assert row.ssim == pytest.approx(ssim(*(p.transpose(2, 0, 1) / 255 for p in (row.picture, picture))))
    for row in others:
        assert row.larger == (row.size > ours.size)


@pytest.mark.parametrize("title", FORMATS)
@settings(max_examples=25, deadline=None)
@given(allowed=st.integers(1, 40_000))
def test_no_file_is_above_what_is_allowed_unless_none_is_smaller(title: str, allowed: int) -> None:
    file = written(photograph(90, 120), title)
    chosen = largest_below(allowed, file)
    assert len(chosen) <= allowed or chosen == file(QUALITIES[0])


def test_the_search_finds_the_largest_of_rising_sizes() -> None:
    for allowed in range(25, 1_100, 7):
        chosen = largest_below(allowed, lambda quality: bytes(20 + 10 * quality))
        assert len(chosen) == min(1_020, max(20, 20 + (allowed - 20) // 10 * 10))


def test_a_way_that_cannot_get_so_small_says_so(model: PhotoAutoencoder) -> None:
    gray = np.full((64, 64, 3), 128, np.uint8)
    ours, jpeg, _ = compared(gray, model, 2)
    assert jpeg.larger and jpeg.size > ours.size
    assert jpeg.size == len(written(gray, "JPEG")(0))


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3), (8, 17)], ids=str)
def test_the_smallest_pictures_have_rows(model: PhotoAutoencoder, size: tuple[int, int]) -> None:
    rows = compared(photograph(*size), model, 8)
    assert all(row.picture.shape == (*size, 3) for row in rows)
    assert all((row.ssim is None) == (min(size) < 3) for row in rows)


def test_a_picture_that_a_format_cannot_hold_has_no_such_row(model: PhotoAutoencoder) -> None:
    rows = compared(photograph(3, 16_384), model, 2)
    assert [row.title for row in rows] == [model.title, "JPEG"]


def test_the_bytes_are_all_that_the_picture_needs(model: PhotoAutoencoder) -> None:
    picture = photograph(61, 83)
    file = compressed(picture, model, 8)
    x = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float() / 255
    assert np.array_equal(unpack(file).code, model.encode(x, 8)[0].numpy())
    back = model.decode(model.encode(x, 8), 61, 83).clamp(0, 1)[0]
    assert np.array_equal(expanded(file, model), (back * 255).round().byte().permute(1, 2, 0).numpy())


def test_bytes_that_are_no_code_of_this_model_are_refused(model: PhotoAutoencoder) -> None:
    with pytest.raises(ValueError, match="not the packed code"):
        expanded(b"\xff\xd8\xff" + bytes(40), model)
    with pytest.raises(ValueError, match="has 2, 8, 24 numbers, not 3"):
        expanded(pack(np.zeros((3, 2, 2), np.int8), 16, 16), model)
    with pytest.raises(ValueError, match="has 2, 8, 24 numbers, not 5"):
        compared(photograph(16, 16), model, 5)


def test_files_are_of_their_format() -> None:
    for title in FORMATS:
        assert Image.open(io.BytesIO(written(photograph(20, 30), title)(50))).format == title.upper()
