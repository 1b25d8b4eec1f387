"""What is said of a picture stays text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ui import html

EVIL = '<img src=x onerror="alert(1)">'
TILE = np.zeros((1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: html.picture(TILE, EVIL),
        lambda: html.strip(TILE[None], [EVIL], 1),
        lambda: html.captioned([(EVIL, TILE)]),
    ],
    ids=("picture", "strip", "captioned"),
)
def test_words_from_outside_make_no_elements(drawn: Callable[[], str]) -> None:
    found = drawn()
    assert "&lt;img src=x" in found and "<img src=x" not in found and 'onerror="' not in found
