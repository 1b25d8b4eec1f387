"""The colours can be told apart and read, by everyone, on either background, and are the same everywhere."""

from __future__ import annotations

import itertools
import tomllib

import numpy as np
import pytest

from core.families import FAMILIES, RESTORERS
from tests.serving import ROOT
from ui.theme import COLOURS, colour

THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
SIX = len(FAMILIES)
OKABE_ITO = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9")

# Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}
# Ottosson 2020, Oklab
TO_CONES = np.array(
    [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.6806995, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
)
TO_LAB = np.array(
    [
        [0.21045426, 0.7936178, -0.00407205],
        [1.9779985, -2.4285922, 0.4505937],
        [0.0259040, 0.78277177, -0.80867577],
    ]
)


def linear(text: str) -> np.ndarray:
    channels = np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(linear(text) @ (0.2126, 0.7152, 0.0722)) for text in (one, other))
    return (light + 0.05) / (dark + 0.05)


def closest(colours: tuple[str, ...], vision: str) -> float:
    """The smallest distance in Oklab between any two, as this vision sees them."""
    seen = [np.clip(VISIONS[vision] @ linear(text), 0, 1) for text in colours]
    labs = [TO_LAB @ np.cbrt(TO_CONES @ rgb) for rgb in seen]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(labs, 2))


def surfaces(theme: dict[str, str]) -> tuple[str, str]:
    return theme["backgroundColor"], theme["secondaryBackgroundColor"]


@pytest.mark.parametrize("vision", VISIONS)
def test_families_look_different_to_every_eye(vision: str) -> None:
    worst_of_the_usual_palette = min(closest(OKABE_ITO, one) for one in VISIONS)
    assert closest(COLOURS[:SIX], vision) > 1.3 * worst_of_the_usual_palette


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("family", COLOURS)
def test_families_stand_out_from_the_background(family: str, scheme: str) -> None:
    assert contrast(family, THEME[scheme]["backgroundColor"]) >= 3  # WCAG 1.4.11, graphical objects


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(scheme: str) -> None:
    theme = THEME[scheme]
    for surface in (*surfaces(theme), *surfaces(theme["sidebar"])):
        assert contrast(theme["textColor"], surface) >= 7  # WCAG 1.4.6
        assert contrast(theme["linkColor"], surface) >= 4.5  # WCAG 1.4.3
    assert contrast("#ffffff", theme["primaryColor"]) >= 4.5  # on a button


def test_charts_and_pages_use_the_same_colours() -> None:
    assert tuple(THEME["chartCategoricalColors"]) == COLOURS
    assert tuple(colour(family.key) for family in FAMILIES) == COLOURS[:SIX]
    assert {colour(restorer.key) for restorer in RESTORERS} == set(COLOURS[SIX:])


def test_every_font_named_is_here_with_its_licence() -> None:
    for face in THEME["fontFaces"]:
        file = ROOT / "ui" / face["url"].removeprefix("app/")
        assert file.is_file()
        assert "SIL Open Font License" in file.with_name(f"{file.stem}-OFL.txt").read_text(encoding="utf-8")
