from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from core import intake
from core.profiles import is_profile
from tests.core.test_intake import COLOUR, GRAY, encoded

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NOTE = "colours turned from the picture's own profile into sRGB"


def exchanged() -> bytes:
    """sRGB whose red and blue have changed places."""
    (count,) = struct.unpack_from(">I", SRGB, 128)
    places = {SRGB[at : at + 4]: at for at in range(132, 132 + 12 * count, 12)}
    table = bytearray(SRGB)
    red, blue = places[b"rXYZ"], places[b"bXYZ"]
    table[red + 4 : red + 12], table[blue + 4 : blue + 12] = (
        SRGB[blue + 4 : blue + 12],
        SRGB[red + 4 : red + 12],
    )
    return bytes(table)


@pytest.mark.parametrize("transparent", [False, True])
def test_colours_are_those_that_the_profile_means(transparent: bool) -> None:
    layers = [COLOUR, np.full((*GRAY.shape, 1), 255, np.uint8)] if transparent else [COLOUR]
    found = intake.read(encoded(np.concatenate(layers, 2), icc_profile=exchanged()), "x")
    assert np.abs(found.pixels.astype(int) - COLOUR[..., ::-1]).max() <= 2
    assert found.notes[0] == NOTE


@pytest.mark.parametrize(("mode", "format"), [("P", "PNG"), ("PA", "TIFF")])
def test_a_palette_has_the_colours_of_its_profile_and_no_others(mode: str, format: str) -> None:
    colours = Image.new("RGB", (4, 3), (204, 51, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    found = intake.read(encoded(colours.convert(mode), format, icc_profile=exchanged()), "x")
    assert np.abs(found.pixels.astype(int) - [0, 51, 204]).max() <= 2 and found.notes == (NOTE,)
    gray = Image.fromarray(GRAY).convert("P")
    assert np.array_equal(intake.read(encoded(gray, icc_profile=SRGB), "x").pixels, GRAY[..., None])
    lighter = SRGB.replace(struct.pack(">l", 0x26666), struct.pack(">l", 0x1CCCD))  # exponents 2.4 and 1.8
    shown = intake.read(encoded(gray, icc_profile=lighter), "x")
    assert shown.notes == (NOTE,) and shown.pixels.shape == (*GRAY.shape, 1)


@pytest.mark.parametrize("profile", [SRGB, b"", b"nonsense", SRGB[:200], SRGB[:16] + b"GRAY" + SRGB[20:]])
def test_nothing_is_changed_by_srgb_or_by_what_is_no_profile_of_colours(profile: bytes) -> None:
    found = intake.read(encoded(COLOUR, "TIFF", icc_profile=profile), "x")
    assert np.array_equal(found.pixels, COLOUR) and found.notes == ()
    assert np.array_equal(intake.read(encoded(GRAY, icc_profile=exchanged()), "x").pixels[..., 0], GRAY)


@given(st.lists(st.tuples(st.integers(0, len(SRGB) - 1), st.integers(0, 255)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_a_profile_says_a_picture_comes_out(changes: list[tuple[int, int]]) -> None:
    profile = bytearray(exchanged())
    for place, value in changes:
        profile[place] = value
    file = io.BytesIO()
    Image.fromarray(COLOUR).save(file, "TIFF", icc_profile=bytes(profile))
    assert intake.read(file.getvalue(), "x").pixels.shape == COLOUR.shape


def test_a_profile_has_a_whole_table() -> None:
    assert is_profile(SRGB) and is_profile(exchanged())
    assert (
        not is_profile(SRGB[:-1]) and not is_profile(b"") and not is_profile(SRGB[:36] + b"none" + SRGB[40:])
    )
