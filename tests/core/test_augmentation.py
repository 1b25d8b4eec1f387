from __future__ import annotations

import pytest
import torch

from core.augmentation import GRAY, augment, cutout, translated

SHAPE = (200, 3, 16, 24)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> torch.Tensor:
    return torch.rand(SHAPE, generator=seeded(9))


@pytest.mark.parametrize("change", [augment, translated, cutout])
def test_shape_stays_and_the_seed_decides(change) -> None:
    x = pictures()
    assert change(x, seeded()).shape == x.shape
    assert torch.equal(change(x, seeded()), change(x, seeded()))
    assert not torch.equal(change(x, seeded()), change(x, seeded(1)))


def test_translation_moves_whole_pixels_up_to_an_eighth_and_uncovers_gray() -> None:
    x = pictures()
    y = translated(x, seeded())
    moved = set()
    for before, after in zip(x, y, strict=True):
        found = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-3, 4)
            if torch.allclose(after, shifted(before, down, right))
        ]
        assert len(found) == 1
        moved |= set(found)
    assert len(moved) > 30  # of 35


def shifted(picture: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """Rolled, and what came round the edge turned gray."""
    out = picture.roll((down, right), (1, 2))
    _, height, width = picture.shape
    rows, columns = torch.arange(height) - down, torch.arange(width) - right
    covered = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    return out.masked_fill(~covered, GRAY)


def test_cutout_turns_a_box_of_half_the_sides_gray() -> None:
    y = cutout(torch.ones(SHAPE), seeded())
    hidden = y[:, 0] == GRAY
    assert torch.equal(hidden, (y == GRAY).all(1)) and ((y == 1) | (y == GRAY)).all()
    rows, columns = hidden.any(2).sum(1), hidden.any(1).sum(1)
    assert torch.equal(hidden.sum((1, 2)), rows * columns)  # a box
    assert rows.max() == 8 and columns.max() == 12
    assert rows.min() >= 4 and columns.min() >= 6  # at an edge half of it sticks out
    assert hidden.float().mean(0).min() > 0.02  # no place is safe


def test_gradients_flow_through_all_of_it() -> None:
    x = pictures()[:4].double().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: augment(x, seeded()), (x[:, :, :8, :8],))
