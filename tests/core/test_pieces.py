from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import core.pieces
from core.data import DataError, is_local, load
from core.pieces import HELD, middle, pieces


def photograph(seed: int, size: tuple[int, int] = (70, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, elsewhere: None) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(HELD + 2):
        Image.fromarray(photograph(number)).save(tmp_path / "photos" / f"{number:02}.png")
    return tmp_path / "photos"


def test_photographs_are_cut_and_never_scaled(folder: Path) -> None:
    data = load(f"pieces:{folder}@24")
    assert data.shape == (3, 24, 24) and data.train.labels is None
    first = photograph(0)
    assert np.array_equal(data.train.images[0].transpose(1, 2, 0), first[1:25, 11:35])
    assert len(data.train) == HELD * 4  # 22 photographs less two, 2 by 2 pieces each


def test_no_photograph_has_pieces_in_two_splits(folder: Path) -> None:
    data = load(f"pieces:{folder}@24")
    held = [photograph(HELD // 2 - 1), photograph(HELD - 1)]
    for split, photo in zip((data.validation, data.test), held, strict=True):
        assert len(split) == 1
        assert np.array_equal(split.images[0].transpose(1, 2, 0), middle(photo, 24))
        cut = [piece.transpose(2, 0, 1) for piece in pieces(photo, 24)]
        assert not any(np.array_equal(one, piece) for one in data.train.images for piece in cut)


def test_gray_ones_get_three_equal_channels_and_small_and_broken_ones_are_listed(folder: Path) -> None:
    Image.fromarray(photograph(0)[:, :, 0]).save(folder / "00.png")
    Image.fromarray(photograph(0, (20, 30))).save(folder / "zz-small.png")
    (folder / "zz-broken.jpg").write_bytes(b"no picture")
    data = load(f"pieces:{folder}@24")
    assert np.array_equal(data.train.images[0, 0], data.train.images[0, 2])
    assert any("zz-small.png: is smaller than 24 × 24" in problem for problem in data.problems)
    assert any("zz-broken.jpg" in problem for problem in data.problems) and len(data.problems) == 2


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    assert is_local(f"pieces:{folder}") and not is_local(f"pieces:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="There is no folder"):
        load(f"pieces:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="too few photographs of at least 160 × 160 pixels; 20 are needed"):
        load(f"pieces:{folder}")
    with pytest.raises(DataError, match="sizes go from"):
        load(f"pieces:{folder}@2")


def test_a_name_found_in_the_working_directory_is_found_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOTTLENECK_DATA", raising=False)
    monkeypatch.chdir(folder.parent)
    data = load("pieces:photos@24")
    monkeypatch.chdir("/")
    assert load(data.name).fingerprint == data.fingerprint
    monkeypatch.setenv("BOTTLENECK_DATA", str(folder.parent))
    assert load("pieces:photos@24").name == "pieces:photos@24"


def test_no_more_pieces_than_there_is_memory_for_and_none_without_colour(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.pieces, "MOST_BYTES", 10 * 3 * 24**2)
    with pytest.raises(DataError, match="Take fewer photographs"):
        load(f"pieces:{folder}@24")
    with pytest.raises(DataError, match="Pieces keep their colours"):
        load(f"pieces:{folder}@24gray")


def test_the_fingerprint_is_that_of_the_pixels(folder: Path) -> None:
    before = load(f"pieces:{folder}@24").fingerprint
    Image.fromarray(photograph(99)).save(folder / "00.png")
    assert load(f"pieces:{folder}@24").fingerprint != before
