from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from core.families.vae import VAE
from core.family import Turn
from core.pictures import as_floats
from tests import toy

SHAPE = (1, 8, 8)


def built(**settings: object) -> VAE:
    model = VAE(VAE.Config(**{"latent_dim": 1, "width": 8, "hidden": (24,)} | settings), SHAPE)
    model.initialise(torch.Generator().manual_seed(0))
    return model


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stroke() -> Tensor:
    return as_floats(toy.strokes(1, SHAPE).images)


class OneNumber:
    """What a VAE with a code of one number says of one picture, by sums over a fine grid of codes."""

    def __init__(self, model: VAE, x: Tensor) -> None:
        mu, log_var = (t.item() for t in model.posterior(x))
        self.z = torch.linspace(-12, 12, 20_001)[:, None]
        self.dz = 24 / 20_000
        self.log_likelihood = -model.nll(self.z, x.expand(len(self.z), -1, -1, -1)).double()
        self.log_prior = Normal(0.0, 1.0).log_prob(self.z[:, 0].double())
        self.log_q = Normal(mu, math.exp(0.5 * log_var)).log_prob(self.z[:, 0].double())

    def mean(self, values: Tensor) -> float:
        """E_q."""
        return (self.log_q.exp() * values).sum().item() * self.dz

    def sd(self, values: Tensor) -> float:
        """Under q."""
        return math.sqrt(self.mean((values - self.mean(values)) ** 2))

    def log_weights(self) -> Tensor:
        return self.log_likelihood + self.log_prior - self.log_q

    def elbo(self) -> float:
        return self.mean(self.log_weights())

    def evidence(self) -> float:
        return (self.log_likelihood + self.log_prior).logsumexp(0).item() + math.log(self.dz)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@torch.no_grad()
def test_the_loss_is_the_elbo(likelihood: str, rng: torch.Generator) -> None:
    model, x, draws = built(likelihood=likelihood), stroke(), 4_000
    exact = OneNumber(model, x)
    minimise, watch = model.loss(x.expand(draws, -1, -1, -1), Turn(rng))
    error = 4 * exact.sd(exact.log_likelihood) / math.sqrt(draws)
    assert watch["negative_elbo"].item() == pytest.approx(-exact.elbo(), abs=error)
    assert minimise["kl"].item() == pytest.approx(exact.mean(exact.log_q - exact.log_prior), rel=1e-4)
    torch.testing.assert_close(minimise["reconstruction"] + minimise["kl"], watch["negative_elbo"])


@torch.no_grad()
def test_importance_samples_raise_the_bound_to_the_evidence(rng: torch.Generator) -> None:
    x = stroke()
    exact = OneNumber(built(), x)
    bounds = []
    for k in (2, 10, 100):
        minimise, watch = built(importance_samples=k).loss(x.expand(1_000, -1, -1, -1), Turn(rng))
        bounds.append(-minimise["importance_bound"].item())
        error = 4 * exact.sd(exact.log_weights()) / math.sqrt(1_000 * k)
        assert -watch["negative_elbo"].item() == pytest.approx(exact.elbo(), abs=error)
    for fewer, more in itertools.pairwise([exact.elbo(), *bounds, exact.evidence()]):
        assert fewer < more
    assert bounds[-1] > exact.evidence() - 0.05 * (exact.evidence() - exact.elbo())


def test_beta_weighs_the_kl_term_and_rises_over_the_warm_up(rng: torch.Generator) -> None:
    model, x = built(beta=4.0, warmup=0.5, latent_dim=3), stroke()
    for progress, beta in ((0.0, 0.0), (0.25, 2.0), (0.5, 4.0), (1.0, 4.0)):
        minimise, watch = model.loss(x, Turn(rng, progress=progress))
        torch.testing.assert_close(minimise["kl"], beta * watch["kl_nats"])
        torch.testing.assert_close(watch["negative_elbo"], minimise["reconstruction"] + watch["kl_nats"])
    assert built(beta=4.0).beta(0.0) == 4


@pytest.mark.parametrize("settings", [{"beta": 2.0}, {"warmup": 0.1}])
def test_importance_samples_need_a_plain_elbo(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="importance_samples above 1 .* beta=1 and warmup=0"):
        VAE.Config(importance_samples=2, **settings)


def test_sigma_is_learnt_and_best_at_the_error_of_the_means(rng: torch.Generator) -> None:
    model, x = built(likelihood="gaussian", latent_dim=2), as_floats(toy.strokes(9, SHAPE).images)
    with torch.no_grad():
        z = torch.randn(9, 2, generator=rng)
        model.log_sigma.copy_(0.5 * (model.decode(z) - x).square().mean().log())
    (gradient,) = torch.autograd.grad(model.nll(z, x).mean(), model.log_sigma)
    assert gradient.item() == pytest.approx(0, abs=1e-3)
    assert model.log_sigma.requires_grad and not built().log_sigma.requires_grad


@torch.no_grad()
def test_binarised_pixels_are_drawn_anew_with_the_gray_value_as_probability(
    monkeypatch: pytest.MonkeyPatch, rng: torch.Generator
) -> None:
    model, seen = built(binarise=True), []
    nll = model.nll
    monkeypatch.setattr(model, "nll", lambda z, x: seen.append(x) or nll(z, x))
    x = torch.full((400, *SHAPE), 0.3)
    for generator in (rng, rng, seeded(0)):
        model.loss(x, Turn(generator))
    first, second, repeated = seen
    assert set(first.unique().tolist()) == {0, 1}
    assert first.mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / first.numel()))
    assert torch.equal(first, repeated) and not torch.equal(first, second)


@torch.no_grad()
def test_a_picture_is_encoded_as_the_mean_and_drawn_from_the_prior() -> None:
    model, x = built(latent_dim=3), stroke()
    mu, log_var = model.posterior(x)
    assert mu.shape == log_var.shape == (1, 3)
    assert torch.equal(model.encode(x), mu)
    assert torch.equal(model.sample(5, seeded(2)), model.decode(torch.randn(5, 3, generator=seeded(2))))
