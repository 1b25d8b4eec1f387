from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core import examples, intake
from core.data import sample_photos
from core.pictures import png
from tests.photographs import scene
from ui import inputs, memory
from ui.inputs import PHOTOS, WHITE, Input, is_photograph, renamed


def brought(image: Image.Image) -> intake.Picture:
    pixels = np.asarray(image)
    return intake.Picture("brought", pixels if pixels.ndim == 3 else pixels[..., None], "PNG")


def drawn(digit: int, side: int, width: float, ink: int = 0, paper: int = 255) -> Image.Image:
    """As in a paint program, with a brush of that share of the side."""
    image = Image.new("L", (side, side), paper)
    for stroke in examples.DIGITS[digit]:
        points = [(x * side, y * side) for x, y in examples.through(np.array(stroke))]
        ImageDraw.Draw(image).line(points, ink, max(1, round(width * side)), joint="curve")
    return image


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(64, 96), (700, 500)], ids=str)
@pytest.mark.parametrize("name", PHOTOS)
def test_photographs_are_known_with_and_without_colours(name: str, size: tuple[int, int], mode: str) -> None:
    assert is_photograph(brought(Image.fromarray(sample_photos()[name]).resize(size).convert(mode)))


def test_one_that_has_hardly_any_colour_is_a_photograph() -> None:
    weak = Image.blend(
        Image.fromarray(scene(200, 150)).convert("L").convert("RGB"), Image.fromarray(scene(200, 150)), 0.1
    )
    assert is_photograph(brought(weak))


def test_what_is_as_small_as_the_models_see_is_none() -> None:
    assert not is_photograph(brought(Image.fromarray(scene(63, 200))))


@pytest.mark.parametrize("digit", range(10))
@pytest.mark.parametrize("side", [64, 280, 1200])
@pytest.mark.parametrize("width", [0.015, 0.06, 0.15])
def test_drawings_are_none_of_any_size_and_brush(digit: int, side: int, width: float) -> None:
    for ink, paper in ((0, 255), (255, 0), (60, 200)):
        assert not is_photograph(brought(drawn(digit, side, width, ink, paper)))


@pytest.mark.parametrize("digit", range(10))
def test_scans_are_none_of_uneven_paper_with_grain(digit: int) -> None:
    sheet = np.asarray(drawn(digit, 600, 0.05, 60, 190)).astype(float)
    wide = np.pad(sheet, ((0, 0), (200, 100)), constant_values=190) * np.linspace(0.88, 1.12, 900)
    scan = (wide + np.random.default_rng(0).normal(0, 8, wide.shape)).clip(0, 255).astype(np.uint8)
    assert not is_photograph(brought(Image.fromarray(scan)))


@pytest.mark.parametrize("digit", [2, 5, 8])
def test_drawings_are_none_in_blue_ink_on_paper_in_warm_light(digit: int) -> None:
    inked = np.asarray(drawn(digit, 400, 0.05))[..., None] == 0
    pixels = np.where(inked, [35, 40, 90], [226, 222, 205]).astype(np.uint8)
    assert not is_photograph(brought(Image.fromarray(pixels)))


def test_files_of_one_name_stay_apart_whatever_they_are_called() -> None:
    flat = np.zeros((1, 8, 8), np.uint8)
    found = renamed([Input(name, flat) for name in ("a (2)", "a", "a", "a (2)")])
    assert [one.name for one in found] == ["a (2)", "a", "a (3)", "a (2) (2)"]


def test_the_pictures_that_were_read_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [png(scene(20, 20, seed=seed)) for seed in (0, 1)]
    first = inputs._read(files[0], "a.png", WHITE)
    assert inputs._read(files[0], "a.png", WHITE) is first
    monkeypatch.setattr(inputs, "READ", 1)
    inputs._read(files[1], "b.png", WHITE)
    assert len(memory.kept("read")) == 1 and inputs._read(files[0], "a.png", WHITE) is not first
    assert "can be read" in str(inputs._read(b"x", "c.png", WHITE))
