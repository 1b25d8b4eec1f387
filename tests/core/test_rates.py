from __future__ import annotations

import io
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core import rates
from core.evaluation import decibels, ssim
from core.families.photo_autoencoder import PhotoAutoencoder
from core.packing import pack, unpack
from core.photos import finished
from core.rates import (
    FORMATS,
    STEPS,
    compared,
    comparison,
    largest_below,
    similarity,
    written,
)


@pytest.fixture(scope="module")
def model() -> PhotoAutoencoder:
    config = PhotoAutoencoder.Config(rates=(2, 8, 24), width=12, fine=8, blocks=(1, 1))
    made = PhotoAutoencoder(config, (3, 48, 48))
    made.initialise(torch.Generator().manual_seed(0))
    return made.eval()


def compressed(picture: np.ndarray, model: PhotoAutoencoder, k: int) -> bytes:
    return finished(rates.squeezed(picture, model, k))


def expanded(file: bytes, model: PhotoAutoencoder) -> np.ndarray:
    return finished(rates.rebuilt(file, model))


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
    chosen = finished(largest_below(allowed, file, STEPS[title]))
    assert len(chosen) <= allowed or chosen == file(0)


def test_the_search_finds_the_largest_of_rising_sizes() -> None:
    for allowed in range(25, 1_100, 7):
        chosen = finished(largest_below(allowed, lambda step: bytes(20 + 10 * step), 100))
        assert len(chosen) == min(1_020, max(20, 20 + (allowed - 20) // 10 * 10))


def test_webp_has_a_file_of_nearly_every_size() -> None:
    """Whole qualities leave up to a third of the bytes unused, which would be a handicap and no comparison."""
    file = written(photograph(240, 320), "WebP")
    low, high = len(file(0)), len(file(STEPS["WebP"]))
    for allowed in np.geomspace(1.05 * low, 0.9 * high, 12).astype(int):
        assert 0.92 * allowed < len(finished(largest_below(allowed, file, STEPS["WebP"]))) <= allowed


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


def test_tiles_leave_no_seam(model: PhotoAutoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the trained model, over three megapixels, tiles and the whole picture gave the same bytes and the same pixels."""
    picture = photograph(157, 235)
    file = compressed(picture, model, 24)
    whole = expanded(file, model)
    monkeypatch.setattr(rates, "TILE", 7)
    assert len(rates.tiling(157, 235, model.reach)) == 15
    tiled = compressed(picture, model, 24)
    assert np.mean(unpack(tiled).code != unpack(file).code) < 1e-4
    assert np.abs(expanded(file, model).astype(int) - whole).max() <= 1
    assert np.mean(expanded(tiled, model) != whole) < 1e-2


@pytest.mark.parametrize("length", [1, 6, 7, 8, 40, 41])
def test_tiles_lie_beside_each_other_and_see_their_neighbours(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "TILE", 7)
    tiles, places = rates.spans(length, 3), np.arange(length)
    assert np.concatenate([places[tile.kept] for tile in tiles]).tolist() == places.tolist()
    for tile in tiles:
        assert places[tile.seen][tile.inner].tolist() == places[tile.kept].tolist()
        wanted = {place + step for place in places[tile.kept].tolist() for step in range(-3, 4)}
        assert set(places[tile.seen].tolist()) == wanted & set(places.tolist())
        assert len(places[tile.kept]) <= 7


def test_whoever_waits_sees_the_share_rise(model: PhotoAutoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "TILE", 7)
    shares = list(comparison(photograph(100, 120), model, 8))
    assert shares[0] == 0 and shares == sorted(shares) and 0.9 < shares[-1] < 1
    assert max(b - a for a, b in itertools.pairwise(shares)) < 0.25


def test_a_picture_that_is_too_large_is_refused_before_any_work(model: PhotoAutoencoder) -> None:
    endless = np.broadcast_to(np.zeros(3, np.uint8), (30_001, 8, 3))
    with pytest.raises(ValueError, match="too large"):
        next(comparison(endless, model, 2))


@pytest.mark.parametrize(
    "size", [(3, 200), (5, 4), (6, 90), (7, 7), (69, 8), (70, 9), (71, 30), (200, 31)], ids=str
)
def test_strips_measure_what_the_whole_picture_measures(size: tuple[int, int]) -> None:
    a, b = photograph(*size), np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    assert similarity(a, b) == pytest.approx(ssim(*(one.transpose(2, 0, 1) / 255 for one in (a, b))))
    assert decibels(a, b) == pytest.approx(-10 * math.log10(np.square(a / 255 - b / 255).mean()))
    assert decibels(a, a) == math.inf and similarity(a, a) == pytest.approx(1)


def test_a_photograph_without_colours_comes_back_without_any_for_a_byte(model: PhotoAutoencoder) -> None:
    gray = np.repeat(photograph(90, 120)[..., :1], 3, 2)
    file = compressed(gray, model, 8)
    code = unpack(file[1:]).code
    assert len(file) == len(pack(code, 90, 120)) + 1
    back = expanded(file, model)
    assert (back == back[..., :1]).all()
    coloured = expanded(file[1:], model)
    assert not (coloured == coloured[..., :1]).all() and decibels(back, gray) > decibels(coloured, gray)


def test_jpeg_spends_nothing_on_colours_that_are_not_there() -> None:
    gray = np.repeat(photograph(90, 120)[..., :1], 3, 2)
    file = written(gray, "JPEG")(10)
    assert Image.open(io.BytesIO(file)).mode == "L"
    buffer = io.BytesIO()
    Image.fromarray(gray).save(buffer, "JPEG", quality=10, **FORMATS["JPEG"])
    assert len(file) < len(buffer.getvalue())


def test_bytes_that_are_no_code_of_this_model_are_refused(model: PhotoAutoencoder) -> None:
    with pytest.raises(ValueError, match="not the packed code"):
        expanded(b"\xff\xd8\xff" + bytes(40), model)
    with pytest.raises(ValueError, match="not the packed code"):
        expanded(b"G\xff\xd8\xff" + bytes(40), model)
    with pytest.raises(ValueError, match="has 2, 8, 24 numbers, not 3"):
        expanded(pack(np.zeros((3, 2, 2), np.int8), 16, 16), model)
    with pytest.raises(ValueError, match="has 2, 8, 24 numbers, not 5"):
        compared(photograph(16, 16), model, 5)


def test_files_are_of_their_format() -> None:
    for title in FORMATS:
        assert Image.open(io.BytesIO(written(photograph(20, 30), title)(50))).format == title.upper()
