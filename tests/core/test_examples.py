from __future__ import annotations

import numpy as np
import pytest

from core import examples


def test_ten_digits_are_drawn_and_lie_where_mnists_do() -> None:
    tiles = examples.pictures((1, 28, 28))
    assert tiles.shape == (10, 1, 28, 28) and tiles.dtype == np.uint8
    y, x = np.indices((28, 28))
    for tile in tiles[:, 0].astype(float):
        centre = (tile * y).sum() / tile.sum(), (tile * x).sum() / tile.sum()
        assert np.allclose(centre, 14, atol=0.7)  # centred by mass, to a whole pixel
        rows, columns = np.nonzero(tile > 32)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20, 21)  # LeCun's box of 20
    assert len({tile.tobytes() for tile in tiles}) == 10


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 64, 64), (3, 32, 32), (1, 20, 40)])
def test_there_are_examples_for_every_shape(shape: tuple[int, int, int]) -> None:
    tiles = examples.pictures(shape)
    assert tiles.shape[1:] == shape and 1 <= len(tiles) <= 10
    assert all(np.ptp(tile) > 100 for tile in tiles)


def test_a_curve_goes_through_its_points() -> None:
    points = np.array([[0.1, 0.2], [0.5, 0.9], [0.8, 0.3]])
    curve = examples.through(points)
    assert all(np.abs(curve - point).sum(1).min() < 1e-9 for point in points)


def test_a_dot_is_drawn() -> None:
    line, dot = ((0.5, 0.4), (0.5, 0.9)), ((0.5, 0.1),)
    assert examples.drawn((dot,), (28, 28)).any()
    inked = examples.drawn((line, dot), (28, 28))[0].max(1) > 64
    assert np.diff(inked.astype(int)).tolist().count(1) == 2, "a dot, a gap and a line"


@pytest.mark.parametrize(
    ("dataset", "shape", "ground"), [("fashion-mnist", (1, 28, 28), 0), ("folder:emoji@48", (3, 48, 48), 255)]
)
def test_datasets_that_stay_at_home_are_stood_in_for_by_drawings(
    dataset: str, shape: tuple[int, int, int], ground: int
) -> None:
    named = examples.named(shape, dataset)
    assert 8 <= len(named) <= 10 and len({tile.tobytes() for tile in named.values()}) == len(named)
    for tile in named.values():
        assert tile.shape == shape and tile.dtype == np.uint8 and np.ptp(tile) > 100
        assert np.mean(tile[:, 0] == ground) > 0.5  # it stands in the middle, on the ground of its kind


def test_a_drawing_keeps_its_proportions_in_any_frame() -> None:
    wide = examples.named((3, 20, 40), "folder:emoji@48")["heart"]
    assert (wide[:, :, :10] == 255).all() and (wide[:, :, 30:] == 255).all()
    assert (
        np.abs(wide[:, :, 10:30].astype(int) - examples.named((3, 20, 20), "folder:emoji@48")["heart"]).max()
        <= 1
    )
