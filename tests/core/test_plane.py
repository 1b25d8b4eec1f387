from __future__ import annotations

import torch
from sklearn.decomposition import PCA

from core.plane import Plane, aligned, flattened


def test_a_code_of_two_numbers_is_its_own_plane(rng: torch.Generator) -> None:
    codes = torch.randn(10, 2, generator=rng) + 3
    plane = Plane.of(codes)
    assert plane.is_whole
    torch.testing.assert_close(plane.place(codes), codes)
    torch.testing.assert_close(plane.code(codes), codes)


def test_longer_codes_are_seen_along_their_principal_axes(rng: torch.Generator) -> None:
    codes = torch.randn(500, 5, generator=rng) * torch.tensor([1.0, 5.0, 0.3, 3.0, 0.1]) + 2
    plane = Plane.of(codes)
    assert not plane.is_whole
    expected = torch.tensor(PCA(2).fit_transform(codes.numpy()))
    places = plane.place(codes)
    signs = (places * expected).sum(0).sign()
    torch.testing.assert_close(places * signs, expected, rtol=1e-3, atol=1e-3)


def test_places_on_the_plane_come_back(rng: torch.Generator) -> None:
    plane = Plane.of(torch.randn(50, 7, generator=rng))
    places = torch.randn(4, 2, generator=rng)
    torch.testing.assert_close(plane.place(plane.code(places)), places)


def test_codes_lie_flat_whatever_their_length(rng: torch.Generator) -> None:
    one, two, five = (torch.randn(20, size, generator=rng) for size in (1, 2, 5))
    assert torch.equal(flattened(one)[:, 0], one[:, 0]) and (flattened(one)[:, 1] == 0).all()
    torch.testing.assert_close(flattened(two), two)
    torch.testing.assert_close(flattened(five), Plane.of(five).place(five))
    assert flattened(torch.full((4, 5), torch.nan)).isfinite().all()


def test_turned_and_mirrored_places_come_back(rng: torch.Generator) -> None:
    target = torch.randn(50, 2, generator=rng)
    for matrix in ([[0.6, -0.8], [0.8, 0.6]], [[1.0, 0.0], [0.0, -1.0]]):
        turned = target @ torch.tensor(matrix) + 3
        found = aligned(turned, target)
        torch.testing.assert_close(found - found.mean(0), target - target.mean(0), atol=1e-5, rtol=0)
        torch.testing.assert_close(found.mean(0), turned.mean(0))  # not moved
    stretched = aligned(5 * target, target)
    torch.testing.assert_close(stretched.std(0), 5 * target.std(0))  # nor stretched
