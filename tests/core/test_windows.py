from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from core.windows import CORNERS, Region, Sheet, spherical


def codes(dim: int = 6, count: int = 2_000) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(0)) * torch.arange(1.0, dim + 1)


@pytest.mark.parametrize("dim", [2, 6])
def test_a_window_over_codes_holds_nearly_all_of_them(dim: int) -> None:
    sheet = Sheet.over(codes(dim))
    places = sheet.place(codes(dim))
    assert (places.abs() <= 1).all(1).float().mean() > 0.98
    assert places.abs().max() > 0.9
    where = torch.tensor([[0.3, -0.8], [1.0, 1.0]])
    torch.testing.assert_close(sheet.place(sheet.code(where)), where, atol=1e-4, rtol=0)


def test_three_codes_lie_at_the_corners_of_their_window() -> None:
    three = codes(5, 3)
    sheet = Sheet.through(*three)
    torch.testing.assert_close(sheet.code(torch.tensor(CORNERS)), three, atol=1e-4, rtol=1e-4)


def test_a_direction_runs_from_left_to_right_and_up_is_at_a_right_angle() -> None:
    a, b = codes(5, 2)
    sheet = Sheet.along(a, b, codes(5))
    torch.testing.assert_close(
        sheet.code(torch.tensor([[-0.7, 0.0], [0.7, 0.0]])), torch.stack([a, b]), atol=1e-4, rtol=1e-4
    )
    assert abs(float(sheet.across @ sheet.up)) < 1e-3 * float(sheet.across.norm() * sheet.up.norm())
    assert Sheet.along(a, a, codes(5)).across.isfinite().all()


def test_a_region_covers_all_but_a_thousandth() -> None:
    found = Region.of(codes())
    norms = ((codes() - found.mean) / found.sd).square().mean(1).sqrt()
    assert (norms <= found.limit).float().mean() == pytest.approx(0.999, abs=0.001)
    assert Region.of(codes()[:1]).limit == 0
    prior = Region.of_prior(32)
    assert prior.limit == pytest.approx(math.sqrt(stats.chi2.ppf(0.999, 32) / 32))


def test_along_the_sphere_lengths_stay_between_those_of_the_ends() -> None:
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.0])
    line = spherical(a, b, 5)
    torch.testing.assert_close(line[[0, -1]], torch.stack([a, b]))
    torch.testing.assert_close(line.norm(dim=1), torch.tensor([3.0, 2.5, 2.0, 1.5, 1.0]))
    angles = torch.atan2(line[:, 1], line[:, 0])
    torch.testing.assert_close(angles, torch.linspace(0, math.pi / 2, 5))
    torch.testing.assert_close(spherical(a, 2 * a, 3), torch.stack([a, 1.5 * a, 2 * a]))
    assert spherical(a, -a, 3).isfinite().all() and spherical(0 * a, b, 3).isfinite().all()
