from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from core.gradients import WAYS, Estimates, estimate

MU, SIGMA = torch.tensor([0.5, -1.0]), torch.tensor([0.8, 1.5])
SCALE, CENTRE = torch.tensor([1.0, 0.3]), torch.tensor([-0.2, 0.4])


def bowl(z: Tensor) -> Tensor:
    """E_q[bowl] = sum a ((mu - c)^2 + sigma^2): a gradient in closed form."""
    return (SCALE * (z - CENTRE).square()).sum(1) + 7


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_unbiased(way: str) -> None:
    draws = 40_000
    estimates = estimate(bowl, MU, SIGMA, draws, seeded()).by_way[way]
    exact = torch.cat([2 * SCALE * (MU - CENTRE), 2 * SCALE * SIGMA]).double()
    error = estimates.std(0) / math.sqrt(draws)
    assert ((estimates.mean(0) - exact).abs() < 4 * error).all()


def test_of_a_slope_the_variances_are_known() -> None:
    """f(z) = 3z under N(0, 1): by mu and sigma 0 and 9 when reparametrised, 18 and 90 by the score function."""
    found = estimate(lambda z: 3 * z[:, 0], torch.zeros(1), torch.ones(1), 200_000, seeded())
    reparametrised, _, score = (found.by_way[way].var(0).tolist() for way in WAYS)
    assert reparametrised == [pytest.approx(0, abs=1e-9), pytest.approx(9, rel=0.02)]
    assert score == [pytest.approx(18, rel=0.03), pytest.approx(90, rel=0.06)]
    assert found.needed("score function") == pytest.approx(12, rel=0.06)


def test_a_baseline_takes_out_what_is_equal_for_all_draws() -> None:
    found = estimate(lambda z: bowl(z) + 1_000, MU, SIGMA, 2_000, seeded())
    plain = estimate(bowl, MU, SIGMA, 2_000, seeded())
    with_baseline = "score function with a baseline"
    torch.testing.assert_close(found.by_way[with_baseline], plain.by_way[with_baseline], rtol=1e-3, atol=2e-2)
    assert found.needed("score function") > 100 * plain.needed(with_baseline)


def test_the_baseline_of_a_draw_is_the_mean_of_the_others() -> None:
    draws = 3
    found = estimate(bowl, MU, SIGMA, draws, seeded())
    eps = torch.randn(draws, 2, generator=seeded())
    values = bowl(MU + SIGMA * eps)
    others = torch.stack([values[[1, 2]].mean(), values[[0, 2]].mean(), values[[0, 1]].mean()])
    expected = (values - others)[:, None] * torch.cat([eps / SIGMA, (eps.square() - 1) / SIGMA], 1)
    torch.testing.assert_close(found.by_way["score function with a baseline"], expected.double())


def test_scatter_falls_with_the_root_of_the_draws() -> None:
    found = estimate(bowl, MU, SIGMA, 32_768, seeded())
    for way in WAYS:
        assert found.scatter(way, 1) / found.scatter(way, 16) == pytest.approx(4, rel=0.1)


def test_scatter_is_relative_to_the_truth() -> None:
    """Two draws 1 and 3 around a gradient of 2: half of it away, more for the way whose own mean that is."""
    found = Estimates(dict.fromkeys(WAYS, torch.tensor([[1.0], [3.0]]).double()))
    assert found.truth.tolist() == [2]
    assert found.scatter(WAYS[1], 1) == pytest.approx(0.5)
    assert found.scatter(WAYS[1], 2) == 0
    assert found.scatter(WAYS[0], 1) == pytest.approx(torch.tensor([1.0, 3.0]).std().item() / 2)


def test_weights_of_the_decoder_are_left_alone() -> None:
    layer = torch.nn.Linear(2, 1)
    estimate(lambda z: layer(z)[:, 0], MU, SIGMA, 4, seeded())
    assert layer.weight.grad is None
