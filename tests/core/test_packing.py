from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import packing
from core.packing import HEADER, SIGNATURE, STRIDE, VERSION, WIDTHS, order, pack, starts, unpack

SIDES = st.integers(1, 70)
TABLES, EDGES = 3793735314, 3374122888


def drawn(seed: int, planes: int, height: int, width: int, spread: float) -> np.ndarray:
    """int8: smooth at first, then ever smaller numbers; some planes are all zero."""
    draw = np.random.default_rng(seed)
    shape = packing.places(height, width)
    ramp = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * draw.normal(0, 5)
    found = [ramp * (n == 0) + draw.laplace(0, spread / (n + 1), shape) for n in range(planes)]
    return np.clip(np.round(np.stack(found)), -128, 127).astype(np.int8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), SIDES, SIDES, st.sampled_from([0.0, 0.3, 3.0, 40.0, 500.0]))
def test_what_is_packed_comes_back(seed: int, planes: int, height: int, width: int, spread: float) -> None:
    code = drawn(seed, planes, height, width, spread)
    back = unpack(pack(code, height, width))
    assert (back.height, back.width) == (height, width)
    assert back.code.dtype == np.int8 and np.array_equal(back.code, code)


@pytest.mark.parametrize("states", [1, 2, 7, 64])
def test_any_number_of_states_gives_the_same_numbers_back(
    states: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "states_for", lambda numbers: states)
    code = drawn(1, 3, 90, 130, 4.0)
    assert np.array_equal(unpack(pack(code, 90, 130)).code, code)


@pytest.mark.parametrize(("mean", "most"), [(0.1, 1.25), (1.0, 1.1), (10.0, 1.05)])
def test_numbers_take_about_as_many_bytes_as_they_carry(mean: float, most: float) -> None:
    """Even where no neighbour tells anything, so that looking at them costs 18, 6 and 3 %."""
    fall = mean / (1 + (1 + mean * mean) ** 0.5)
    numbers = np.random.default_rng(0).geometric(1 - fall, (2, 4, 60, 80))
    code = (numbers[0] - numbers[1]).astype(np.int8)  # two-sided geometric
    bits = np.log2((1 + fall) / (1 - fall)) - mean * np.log2(fall)
    assert 0.95 < 8 * len(pack(code, 480, 640)) / (bits * code.size) < most


def test_it_is_smaller_than_general_compressors_where_neighbours_are_alike() -> None:
    code = drawn(3, 8, 480, 640, 6.0)
    assert len(pack(code, 480, 640)) < 0.9 * len(zlib.compress(code.tobytes(), 9))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 8), (16, 16), (17, 33)], ids=str)
def test_every_place_is_told_once_and_after_its_neighbours(shape: tuple[int, int]) -> None:
    walk = order(*shape)
    known = {0}
    for which in walk.parts:
        part = walk.part(which)
        assert set(part.before.tolist()) | set(part.after.tolist()) <= known
        known |= set(part.here.tolist())
    assert sorted([0, *walk.here.tolist()]) == list(range(shape[0] * shape[1]))
    assert sum(which.stop - which.start for which in walk.parts) == len(walk.here)


def test_distributions_are_whole_and_leave_nothing_out() -> None:
    table = starts()
    assert table.shape == (WIDTHS, 257)
    assert (table[:, 0] == 0).all() and (table[:, -1] == 1 << packing.PRECISION).all()
    assert (np.diff(table) >= 1).all()


def test_distributions_are_the_same_everywhere() -> None:
    """A file that was packed on another machine is read with these very numbers."""
    assert zlib.crc32(starts().astype("<i8").tobytes()) == TABLES
    assert zlib.crc32(packing.edges().astype("<i8").tobytes()) == EDGES


# --- hostile bytes ----------------------------------------------------------------------------------------------


def test_a_code_has_the_size_of_its_picture() -> None:
    for code, words in (
        (np.zeros((2, 3, 4), np.int8), "no code of int8"),
        (np.zeros((2, 2, 2), np.int16), "no code of int16"),
        (np.zeros((0, 2, 2), np.int8), "no code of 0 planes"),
    ):
        with pytest.raises(ValueError, match=words):
            pack(code, 16, 16)


def head(planes: int, height: int, width: int, version: int = VERSION) -> bytes:
    return HEADER.pack(SIGNATURE, version, planes, height, width)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not the packed code"),
        (b"BNC", "not the packed code"),
        (b"\xff\xd8\xff\xe0" + bytes(90), "not the packed code"),
        (head(2, 16, 16, version=9) + bytes(90), "another version"),
        (head(0, 16, 16) + bytes(90), "no code of 0 planes"),
        (head(2, 0, 16) + bytes(90), "no code of 2 planes"),
        (head(255, 16, 16) + bytes(400), "no code of 255 planes"),
        (head(1, 65_535, 65_535) + bytes(90), "too large"),
        (head(192, 7_000, 7_000) + bytes(900), "too large"),
        (head(3, 16, 16) + bytes(2), "does not say"),
        (head(1, 16, 16) + bytes([WIDTHS]) + bytes(90), "does not say"),
        (head(1, 16, 16) + bytes([0]), "too early"),
        (head(1, 16, 16) + bytes([0]) + bytes(5), "too early"),
        (head(1, 16, 16) + bytes([255]) + bytes(4), "does not fit"),
    ],
)
def test_what_is_no_code_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        unpack(data)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 192), st.integers(1, 200), st.integers(1, 200))
def test_no_bytes_do_harm(noise: bytes, planes: int, height: int, width: int) -> None:
    for data in (noise, head(planes, height, width) + noise):
        try:
            back = unpack(data)
        except ValueError as refusal:
            assert str(refusal)
        else:
            assert back.code.shape == (planes, *packing.places(height, width))


def test_a_cut_or_longer_file_is_noticed() -> None:
    whole = pack(drawn(0, 3, 100, 100, 5.0), 100, 100)
    for data in (*(whole[:length] for length in range(0, len(whole), 5)), whole + b"\0", whole + b"\0\0"):
        with pytest.raises(ValueError, match="packed code"):
            unpack(data)


def test_most_flipped_bits_are_noticed() -> None:
    """All of these were; two states that end as they began by chance would not be."""
    whole = pack(drawn(0, 3, 100, 100, 5.0), 100, 100)
    for place in range(HEADER.size + 3, len(whole), 9):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        with pytest.raises(ValueError, match="damaged"):
            unpack(bytes(damaged))


def test_the_stride_is_that_of_the_model() -> None:
    from core.families import photo_autoencoder

    assert STRIDE == photo_autoencoder.STRIDE
