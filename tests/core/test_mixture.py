from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core.mixture import COMPONENTS, MAX_AXES, Mixture


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_clouds(count: int = 2_000) -> Tensor:
    """A round cloud at (0, 0) with a third of the codes, and a slanted one at (8, 0)."""
    noise = torch.randn(count, 2, generator=seeded(5))
    slanted = noise @ torch.tensor([[1.0, 0.9], [0.0, 0.3]]) + torch.tensor([8.0, 0.0])
    return torch.where((torch.arange(count) % 3 == 0)[:, None], noise, slanted)


def fitted(codes: Tensor, seed: int = 0) -> Mixture:
    mixture = Mixture(codes.shape[1])
    mixture.fit(codes, seeded(seed))
    return mixture


def test_draws_are_distributed_as_the_codes() -> None:
    codes, drawn = two_clouds(), fitted(two_clouds()).draw(20_000, seeded(1))
    for part in (lambda z: z[z[:, 0] < 4], lambda z: z[z[:, 0] > 4]):
        there, found = part(codes), part(drawn)
        assert len(found) / len(drawn) == pytest.approx(len(there) / len(codes), abs=0.02)
        torch.testing.assert_close(found.mean(0), there.mean(0), atol=0.1, rtol=0)
        torch.testing.assert_close(found.T.cov(), there.T.cov(), atol=0.1, rtol=0.05)


def test_a_component_has_the_covariance_of_its_factor() -> None:
    mixture, factor = Mixture(2), torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    mixture.weights.zero_()[3] = 1
    mixture.factors[3] = factor
    drawn = mixture.draw(20_000, seeded())
    torch.testing.assert_close(drawn.T.cov(), factor @ factor.T, atol=0.1, rtol=0)


def test_before_it_is_fitted_it_draws_a_standard_normal() -> None:
    mixture = Mixture(3)
    drawn = mixture.draw(20_000, seeded())
    assert not mixture.fitted
    torch.testing.assert_close(drawn.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), torch.eye(3), atol=0.05, rtol=0)


def test_wide_codes_are_drawn_in_their_first_principal_components() -> None:
    rank = MAX_AXES + 8
    codes = torch.randn(500, rank, generator=seeded()) * torch.linspace(5, 0.5, rank)
    codes = torch.nn.functional.pad(codes, (0, 60)) + 3  # of 100 numbers, 40 vary
    drawn = fitted(codes).draw(300, seeded(1)) - codes.mean(0)
    axes = torch.linalg.svd(codes - codes.mean(0), full_matrices=False).Vh[:MAX_AXES]
    torch.testing.assert_close(drawn @ axes.T @ axes, drawn, atol=1e-3, rtol=0)
    assert torch.linalg.matrix_rank(drawn, rtol=1e-3) == MAX_AXES


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_codes_does_not_matter(scale: float) -> None:
    codes = two_clouds(300)
    drawn, scaled = fitted(codes).draw(50, seeded()), fitted(codes * scale).draw(50, seeded())
    torch.testing.assert_close(scaled / scale, drawn, atol=1e-2, rtol=1e-2)


def test_the_rng_decides_fit_and_draw_and_nothing_else_does() -> None:
    codes = torch.randn(200, 5, generator=seeded())
    before = torch.get_rng_state()
    one, same, other = fitted(codes, 1), fitted(codes, 1), fitted(codes, 2)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in one.state_dict().items())
    assert not torch.equal(one.centres, other.centres)
    assert torch.equal(one.draw(9, seeded(3)), same.draw(9, seeded(3)))
    assert torch.equal(torch.get_rng_state(), before)


def test_few_codes_use_as_many_components_as_there_are() -> None:
    codes = torch.eye(3, 6) * 10
    mixture = fitted(codes)
    assert (mixture.weights > 0).sum() == 3 < COMPONENTS
    nearest = torch.cdist(mixture.draw(200, seeded()), codes).min(1)
    assert nearest.values.max() < 1 and set(nearest.indices.tolist()) == {0, 1, 2}


def test_refitting_forgets_the_earlier_codes() -> None:
    mixture = fitted(torch.randn(200, 6, generator=seeded()) - 50)
    mixture.fit(torch.eye(3, 6) * 10, seeded())
    assert mixture.draw(200, seeded()).min() > -5


def test_codes_that_are_all_alike_are_drawn_as_they_are() -> None:
    drawn = fitted(torch.full((40, 4), 2.5)).draw(100, seeded())
    torch.testing.assert_close(drawn, torch.full((100, 4), 2.5), atol=1e-5, rtol=0)


def test_one_code_is_too_few() -> None:
    with pytest.raises(ValueError, match="needs at least 2 codes, got 1"):
        Mixture(3).fit(torch.zeros(1, 3), seeded())
