"""Every objective against a closed form, a float64 reference or a numeric integral."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from core import objectives

DOUBLE = torch.float64


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def gaussian(mean: float, sd: float) -> Normal:
    return Normal(torch.tensor(mean, dtype=DOUBLE), torch.tensor(sd, dtype=DOUBLE))


def assert_mean(draws: Tensor, expected: float) -> None:
    """Within four standard errors; the seeds are fixed."""
    assert draws.mean().item() == pytest.approx(expected, abs=4 * draws.std().item() / math.sqrt(len(draws)))


# --- reconstruction ---------------------------------------------------------------------------------------------


def test_squared_error_sums_over_a_picture() -> None:
    back, x = uniform(2, 3, 4, 5), uniform(2, 3, 4, 5, seed=1)
    first = sum((a - b) ** 2 for a, b in zip(back[0].flatten(), x[0].flatten(), strict=True))
    found = objectives.squared_error(back, x)
    assert found.shape == (2,)
    torch.testing.assert_close(found[0], first)


def test_bernoulli_nll_is_the_formula_and_survives_large_logits() -> None:
    logits, x = 3 * normal(4, 1, 5, 5), uniform(4, 1, 5, 5)
    p = logits.sigmoid()
    expected = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    torch.testing.assert_close(objectives.bernoulli_nll(logits, x), expected)
    extreme = objectives.bernoulli_nll(torch.tensor([[-200.0], [200.0]]), torch.tensor([[1.0], [1.0]]))
    assert extreme.tolist() == [200, 0]


def test_bernoulli_nll_is_least_where_the_probability_is_the_pixel() -> None:
    x = uniform(1, 20).clamp(0.01, 0.99)
    logits = x.logit().requires_grad_(True)
    (gradient,) = torch.autograd.grad(objectives.bernoulli_nll(logits, x).sum(), logits)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient))


def test_reconstruction_error_is_the_one_named() -> None:
    logits, x = normal(2, 1, 3, 3), uniform(2, 1, 3, 3)
    squared = objectives.reconstruction_error("squared error", logits, x)
    torch.testing.assert_close(squared, (logits.sigmoid() - x).square().sum((1, 2, 3)))
    crossed = objectives.reconstruction_error("cross-entropy", logits, x)
    torch.testing.assert_close(crossed, objectives.bernoulli_nll(logits, x))


def test_gaussian_nll_is_minus_the_log_density() -> None:
    mean, x, log_sigma = uniform(3, 1, 4, 4), uniform(3, 1, 4, 4, seed=1), torch.tensor(-0.7, dtype=DOUBLE)
    expected = -Normal(mean, log_sigma.exp()).log_prob(x).sum((1, 2, 3))
    torch.testing.assert_close(
        objectives.gaussian_nll_by_pixel(mean, x, log_sigma).flatten(1).sum(1), expected
    )


# --- codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mu", "log_var"), [(0.0, 0.0), (1.3, -2.0), (-0.4, 1.1), (3.0, 0.5)])
def test_gaussian_kl_is_the_integral(mu: float, log_var: float) -> None:
    z = torch.linspace(-25, 25, 200_001, dtype=DOUBLE)
    q, p = gaussian(mu, math.exp(0.5 * log_var)), gaussian(0, 1)
    integral = torch.trapezoid(q.log_prob(z).exp() * (q.log_prob(z) - p.log_prob(z)), z)
    found = objectives.gaussian_kl(
        torch.tensor([[mu]], dtype=DOUBLE), torch.tensor([[log_var]], dtype=DOUBLE)
    )
    assert found.item() == pytest.approx(integral.item(), abs=1e-10)


def test_log_densities_sum_over_the_code() -> None:
    z, mu, log_var = normal(3, 2, 4), normal(3, 2, 4, seed=1), normal(3, 2, 4, seed=2)
    torch.testing.assert_close(
        objectives.gaussian_log_density(z, mu, log_var), Normal(mu, (0.5 * log_var).exp()).log_prob(z).sum(-1)
    )
    prior = Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(objectives.standard_normal_log_density(z), prior)


class LinearGaussian:
    """z ~ N(0, 1), x|z ~ N(z, S^2): then x ~ N(0, 1 + S^2), and z|x is Gaussian, too."""

    S, x = 0.5, 1.5
    evidence = gaussian(0, math.sqrt(1 + S**2)).log_prob(torch.tensor(x)).item()
    posterior = gaussian(x / (1 + S**2), S / math.sqrt(1 + S**2))

    @classmethod
    def log_weights(cls, q: Normal, z: Tensor) -> Tensor:
        return Normal(z, cls.S).log_prob(torch.tensor(cls.x)) + gaussian(0, 1).log_prob(z) - q.log_prob(z)


@pytest.mark.parametrize("k", [1, 7])
def test_importance_bound_is_the_evidence_for_the_true_posterior(k: int) -> None:
    z = LinearGaussian.posterior.mean + normal(k, 20)  # wherever it falls
    bound = objectives.importance_bound(LinearGaussian.log_weights(LinearGaussian.posterior, z))
    torch.testing.assert_close(
        bound, torch.full((20,), LinearGaussian.evidence, dtype=DOUBLE), rtol=1e-12, atol=0
    )


def test_importance_bound_rises_from_the_elbo_to_the_evidence() -> None:
    # q is the prior: the ELBO, E log p(x|z), is then a Gaussian integral
    elbo = -((LinearGaussian.x**2 + 1) / (2 * LinearGaussian.S**2)) - math.log(
        LinearGaussian.S * math.sqrt(2 * math.pi)
    )
    log_weights = LinearGaussian.log_weights(gaussian(0, 1), normal(256, 4_000))
    bounds = {k: objectives.importance_bound(log_weights[:k]) for k in (1, 2, 8, 64, 256)}
    assert_mean(bounds[1], elbo)
    for fewer, more in itertools.pairwise(bounds.values()):
        assert more.mean() > fewer.mean()
    assert_mean(bounds[256].exp(), math.exp(LinearGaussian.evidence))  # the mean weight is unbiased
    assert LinearGaussian.evidence - 0.02 < bounds[256].mean() < LinearGaussian.evidence


def test_activity_is_the_share_of_pictures_for_which_a_unit_is_on_at_any_scale() -> None:
    code = torch.zeros(10, 3, dtype=DOUBLE)
    code[:1, 0], code[:5, 1], code[:, 2] = 1.0, 1.0, 1.0
    expected = torch.tensor([0.1, 0.5, 1.0], dtype=DOUBLE)
    torch.testing.assert_close(objectives.activity(code), expected)
    torch.testing.assert_close(objectives.activity(code * 1e-3), expected)
    assert objectives.activity(torch.zeros(4, 2)).tolist() == [0, 0]


@pytest.mark.parametrize("rho", [0.01, 0.05, 0.5])
def test_bernoulli_kl_is_that_of_two_coins(rho: float) -> None:
    activity = torch.tensor([0.001, rho, 0.3, 0.98], dtype=DOUBLE)
    coin = Bernoulli(torch.tensor(rho, dtype=DOUBLE))
    torch.testing.assert_close(
        objectives.bernoulli_kl(rho, activity), kl_divergence(coin, Bernoulli(activity))
    )
    assert objectives.bernoulli_kl(rho, torch.tensor([0.0, 1.0])).isfinite().all()


def test_sigmoid_layer_jacobian_is_exact() -> None:
    weight, x = normal(5, 7), normal(3, 7, seed=1)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: (weight @ one).sigmoid()))(x)
    found = objectives.sigmoid_layer_jacobian_squared((x @ weight.T).sigmoid(), weight)
    torch.testing.assert_close(found, jacobian.square().sum((1, 2)))


class Encoder:
    """A small curved map (B,1,2,3) -> (B,4), and its Jacobian."""

    first, second = normal(5, 6), normal(4, 5, seed=1)

    def __call__(self, x: Tensor) -> Tensor:
        return (x.flatten(-3) @ self.first.T).tanh() @ self.second.T

    def jacobian(self, x: Tensor) -> Tensor:
        """(1,2,3) -> (4,6)."""
        return torch.func.jacrev(self)(x).flatten(1)


def test_estimated_jacobian_is_exact_in_the_mean_over_all_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, x = Encoder(), normal(1, 2, 3, seed=2)
    every = torch.tensor(list(itertools.product((0, 1), repeat=4)))  # the 16 draws there can be
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **_: every[: size[0]])
    pictures = x.expand(16, -1, -1, -1).clone().requires_grad_(True)
    found = objectives.estimated_jacobian_squared(encoder(pictures), pictures, torch.Generator())
    torch.testing.assert_close(found.mean(), encoder.jacobian(x).square().sum())


def test_estimated_jacobian_varies_as_little_as_signs_allow(rng: torch.Generator) -> None:
    encoder, x = Encoder(), normal(1, 2, 3, seed=2)
    pictures = x.expand(20_000, -1, -1, -1).clone().requires_grad_(True)
    found = objectives.estimated_jacobian_squared(encoder(pictures), pictures, rng).detach()
    assert_mean(found, encoder.jacobian(x).square().sum().item())
    # of v'Av with signs v: twice the squares off A's diagonal; A = J J'
    outer = encoder.jacobian(x) @ encoder.jacobian(x).T
    variance = 2 * (outer.square().sum() - outer.diagonal().square().sum()).item()
    assert found.var().item() == pytest.approx(variance, rel=0.05)


def test_estimated_jacobian_can_be_minimised(monkeypatch: pytest.MonkeyPatch) -> None:
    every = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    monkeypatch.setattr(torch, "randint", lambda low, high, size, **_: every)
    weight = normal(4, 6).requires_grad_(True)
    x = normal(16, 6, seed=1).requires_grad_(True)
    found = objectives.estimated_jacobian_squared(x @ weight.T, x, torch.Generator()).mean()
    (gradient,) = torch.autograd.grad(found, weight)
    torch.testing.assert_close(gradient, 2 * weight.detach())  # of ||W||^2


def test_relative_l1_ignores_the_scale_of_each_code() -> None:
    code = normal(6, 9)
    scaled = code * torch.logspace(-4, 4, 6, dtype=DOUBLE)[:, None]
    torch.testing.assert_close(objectives.relative_l1(scaled), objectives.relative_l1(code))


def test_relative_l1_lies_between_one_unit_and_all_alike() -> None:
    assert objectives.relative_l1(torch.eye(5) * 3).item() == pytest.approx(1)
    assert objectives.relative_l1(torch.full((2, 16), -0.2)).item() == pytest.approx(4)
    assert 1 < objectives.relative_l1(normal(50, 16)).item() < 4


def test_relative_l1_of_a_silent_code_has_no_pull() -> None:
    code = torch.zeros(2, 4, requires_grad=True)
    found = objectives.relative_l1(code)
    (gradient,) = torch.autograd.grad(found, code)
    assert found.item() == 0 and not gradient.any()


def test_spread_is_the_total_variance() -> None:
    code = normal(40, 3) * torch.tensor([1.0, 2.0, 5.0]) + 7
    torch.testing.assert_close(objectives.spread(code), code.var(0, correction=0).sum())


# --- two players ------------------------------------------------------------------------------------------------


def test_nonsaturating_losses_are_the_formulas_and_survive_large_scores() -> None:
    real, fake = 2 * normal(30), 2 * normal(30, seed=1)
    critic = -(real.sigmoid().log() + (1 - fake.sigmoid()).log()).mean()
    torch.testing.assert_close(objectives.nonsaturating_critic(real, fake), critic)
    torch.testing.assert_close(objectives.nonsaturating_generator(fake), -fake.sigmoid().log().mean())
    undecided = torch.zeros(3)
    assert objectives.nonsaturating_critic(undecided, undecided).item() == pytest.approx(2 * math.log(2))
    assert objectives.nonsaturating_generator(torch.tensor([-500.0])).item() == 500


class Critic:
    """(B,1,2,2) -> (B,), curved."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.weight.T).tanh().sum(1)


def test_r1_is_the_squared_slope_at_real_pictures() -> None:
    critic, x, step = Critic(normal(3, 4)), normal(5, 1, 2, 2, seed=1), 1e-5
    slopes = [
        (critic(x + step * e) - critic(x - step * e)) / (2 * step) for e in torch.eye(4).view(4, 1, 2, 2)
    ]
    expected = torch.stack(slopes).square().sum(0).mean()
    with torch.no_grad():  # validation shows it, too
        torch.testing.assert_close(objectives.r1_penalty(critic, x), expected, rtol=1e-7, atol=0)


def test_r1_trains_the_critic() -> None:
    x = normal(5, 1, 2, 2, seed=1)
    weight = normal(3, 4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda w: objectives.r1_penalty(Critic(w), x), weight)


def test_gradient_penalty_of_a_linear_critic_is_its_slope_minus_one_squared(rng: torch.Generator) -> None:
    weight = normal(4).requires_grad_(True)
    real, fake = uniform(6, 1, 2, 2), uniform(6, 1, 2, 2, seed=1)
    penalty = objectives.gradient_penalty(lambda x: x.flatten(1) @ weight, real, fake, rng)
    length = weight.detach().norm()
    torch.testing.assert_close(penalty.detach(), (length - 1).square())
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, 2 * (length - 1) * weight.detach() / length)


def test_gradient_penalty_looks_between_real_and_fake_pictures(rng: torch.Generator) -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    real, fake = torch.full((500, 1, 2, 2), 3.0), torch.ones(500, 1, 2, 2)
    objectives.gradient_penalty(critic, real, fake, rng)
    between = seen[0].flatten(1)
    assert torch.equal(between.amin(1), between.amax(1))  # one share for all pixels of a picture
    assert between.min() >= 1 and between.max() <= 3
    assert_mean(between[:, 0], 2.0)


def test_energy_distance_is_its_definition() -> None:
    a, b = uniform(5, 1, 3, 3), uniform(7, 1, 3, 3, seed=1)

    def mean_distance(pairs: list[tuple[Tensor, Tensor]]) -> float:
        return sum((p - q).square().sum().sqrt().item() for p, q in pairs) / len(pairs)

    expected = (
        2 * mean_distance(list(itertools.product(a, b)))
        - mean_distance(list(itertools.permutations(a, 2)))
        - mean_distance(list(itertools.permutations(b, 2)))
    )
    assert objectives.energy_distance(a, b).item() == pytest.approx(expected)


def test_energy_distance_within_one_distribution_is_zero_in_the_mean() -> None:
    same = torch.stack(
        [objectives.energy_distance(normal(8, 3, seed=s), normal(9, 3, seed=-s)) for s in range(1, 400)]
    )
    assert_mean(same, 0.0)


def test_energy_distance_of_single_pictures_is_finite() -> None:
    a, b = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert objectives.energy_distance(a, b).item() == pytest.approx(4)
