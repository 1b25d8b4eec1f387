from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from core import elbo, objectives
from core.data import Split
from core.families.vae import VAE
from core.pictures import as_floats
from core.store import Store
from core.tensors import write_tensors
from core.training import Plan
from tests import toy

SHAPE = (1, 8, 8)


def built(**settings: object) -> VAE:
    model = VAE(VAE.Config(**{"latent_dim": 2, "width": 8, "hidden": (24,)} | settings), SHAPE)
    model.initialise(torch.Generator().manual_seed(0))
    return model


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stroke(count: int = 1) -> Tensor:
    return as_floats(toy.strokes(count, SHAPE).images)


class TwoNumbers:
    """What a VAE with a code of two numbers says of one picture, by sums over a fine grid of codes."""

    @torch.no_grad()
    def __init__(self, model: VAE, x: Tensor) -> None:
        mu, log_var = (t[0].double() for t in model.posterior(x))
        steps = torch.linspace(-16, 16, 401)
        self.area = float(steps[1] - steps[0]) ** 2
        z = torch.cartesian_prod(steps, steps)
        nll = [model.nll(some, x.expand(len(some), -1, -1, -1)) for some in z.split(2_000)]
        self.nll = torch.cat(nll).double()
        self.log_prior = Normal(0.0, 1.0).log_prob(z.double()).sum(1)
        self.log_q = Normal(mu, (0.5 * log_var).exp()).log_prob(z.double()).sum(1)

    def mean(self, values: Tensor) -> float:
        """E_q."""
        return (self.log_q.exp() * values).sum().item() * self.area

    def kl(self) -> float:
        return self.mean(self.log_q - self.log_prior)

    def evidence(self) -> float:
        return (self.log_prior - self.nll).logsumexp(0).item() + math.log(self.area)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_both_parts_of_a_picture_are_those_of_numeric_integration(likelihood: str) -> None:
    model, x = built(likelihood=likelihood), stroke()
    exact, found = TwoNumbers(model, x), elbo.parts(model, x, seeded(), draws=4_000)
    assert found.kl.sum().item() == pytest.approx(exact.kl(), rel=1e-4)
    assert found.reconstruction.item() == pytest.approx(exact.mean(exact.nll), abs=4 * found.error.item())
    total = exact.mean(exact.nll) + exact.kl()
    assert found.negative_elbo.item() == pytest.approx(total, abs=4 * found.error.item())
    spread = math.sqrt(exact.mean((exact.nll - exact.mean(exact.nll)) ** 2))
    assert found.error.item() == pytest.approx(spread / math.sqrt(4_000), rel=0.1)


def test_the_pixels_make_up_the_reconstruction_of_their_picture() -> None:
    found = elbo.parts(built(), stroke(3), seeded(), draws=4)
    assert found.by_pixel.shape == (3, *SHAPE)
    torch.testing.assert_close(objectives.per_picture(found.by_pixel), found.reconstruction)


def test_bounds_rise_from_the_elbo_to_the_evidence() -> None:
    model, x = built(), stroke()
    exact = TwoNumbers(model, x)
    *_, found = elbo.tighten(model, x, seeded(), 4_096)
    assert found.k == tuple(2**power for power in range(13))
    assert (found.bound.diff() >= 0).all()
    assert found.bound[0].item() == pytest.approx(
        -exact.mean(exact.nll) - exact.kl(), abs=4 * found.error[0].item()
    )
    gap = exact.evidence() - found.bound[0].item()
    assert found.bound[-1].item() == pytest.approx(exact.evidence(), abs=0.03 * gap)


@torch.no_grad()
def test_bounds_are_monotone_in_the_mean_over_seeds() -> None:
    model, x = built(), stroke()
    by_k = []
    for k in (1, 4, 16, 64):
        mu, log_var = model.posterior(x.expand(500, -1, -1, -1))
        weights = model.log_weights(x.expand(500, -1, -1, -1), mu, log_var, k, seeded(k))
        by_k.append(objectives.importance_bound(weights.double()))
    for loose, tight in itertools.pairwise(by_k):
        error = math.sqrt((loose.var() + tight.var()).item() / 500)
        assert (tight.mean() - loose.mean()).item() > error


def test_bounds_are_the_means_of_disjoint_groups() -> None:
    weights = torch.randn(8, generator=seeded())
    found = elbo.bounds(weights)
    assert found.draws == 8 and found.k == (1, 2, 4, 8)
    pairs = [math.log((math.exp(a) + math.exp(b)) / 2) for a, b in weights.double().view(4, 2).tolist()]
    assert found.bound[1].item() == pytest.approx(sum(pairs) / 4)
    assert found.bound[0].item() == pytest.approx(weights.mean().item())
    assert found.error[0].item() == pytest.approx(weights.double().std().item() / math.sqrt(8))
    assert math.isnan(found.error[3])


def test_weights_beyond_the_range_of_floats_are_no_trouble() -> None:
    found = elbo.bounds(torch.tensor([-9_000.0, -9_001.0]))
    assert found.bound[1].item() == pytest.approx(-9_000 + math.log((1 + math.exp(-1)) / 2))


def test_bounds_come_at_each_doubling_and_end_with_all_draws() -> None:
    found = list(elbo.tighten(built(), stroke(), seeded(), 1_024))
    assert [one.draws for one in found] == [128, 256, 512, 1_024]
    assert [one.draws for one in elbo.tighten(built(), stroke(), seeded(), 16)] == [16]


# --- many pictures ----------------------------------------------------------------------------------------------


def split(count: int = 40) -> Split:
    return toy.dataset(SHAPE, train=count).train


@torch.no_grad()
def test_a_survey_has_the_parts_of_every_picture() -> None:
    model, pictures = built(), split()
    found, x = elbo.survey(model, pictures), as_floats(pictures.images)
    mu, log_var = model.posterior(x)
    kl = objectives.gaussian_kl(mu, log_var)
    torch.testing.assert_close(found.kl, kl.sum(1))
    torch.testing.assert_close(found.kl_by_dimension, kl.mean(0))
    torch.testing.assert_close(found.variance, mu.var(0, correction=0))
    expected = elbo.parts(model, x, seeded(1), draws=500)
    assert found.reconstruction.mean().item() == pytest.approx(
        expected.reconstruction.mean().item(), rel=0.02
    )
    torch.testing.assert_close(found.negative_elbo, found.reconstruction + found.kl)


class Linear:
    """z ~ N(0, I), x ~ N(Wz, s^2 I): what a VAE of which log p(x) is known, and whose q is too wide, says of pictures."""

    def __init__(self, width: float) -> None:
        self.weight = torch.randn(64, 2, generator=seeded(), dtype=torch.double) / 4
        self.model, variance, log_sigma = built(likelihood="gaussian"), 0.5**2, torch.tensor(math.log(0.5))
        inverse = torch.linalg.inv(self.weight.T @ self.weight + variance * torch.eye(2))
        log_var = (variance * inverse).diagonal().log() + 2 * math.log(width)

        def posterior(x: Tensor) -> tuple[Tensor, Tensor]:
            mu = (x.flatten(1).double() @ self.weight @ inverse).float()
            return mu, log_var.float().expand_as(mu)

        def nll(z: Tensor, x: Tensor) -> Tensor:
            return objectives.gaussian_nll_by_pixel(
                z.double() @ self.weight.T, x.flatten(1).double(), log_sigma
            ).sum(1)

        self.model.posterior, self.model.nll = posterior, nll
        covariance = self.weight @ self.weight.T + variance * torch.eye(64)
        self.exact = torch.distributions.MultivariateNormal(torch.zeros(64).double(), covariance)

    def nll(self, pictures: Split) -> Tensor:
        return -self.exact.log_prob(as_floats(pictures.images).flatten(1).double())


@pytest.mark.parametrize("draws", [50, 700])  # in one block, and in two
def test_the_likelihood_of_a_linear_vae_is_its_closed_form(draws: int) -> None:
    linear, pictures = Linear(width=1.5), split(60)
    found, exact = elbo.importance_nll(linear.model, pictures, draws), linear.nll(pictures)
    assert found.shape == (60,) and found.dtype == torch.double
    off = found - exact
    assert off.mean().item() == pytest.approx(0, abs=4 * off.std().item() / math.sqrt(60) + 1 / draws)
    assert off.abs().max() < 8 / math.sqrt(draws)


def test_more_draws_lower_the_bound_to_the_likelihood() -> None:
    linear, pictures = Linear(width=2), split(200)
    exact = linear.nll(pictures).mean()
    above = [
        (elbo.importance_nll(linear.model, pictures, k).mean() - exact).item() for k in (1, 4, 16, 64, 512)
    ]
    assert above == sorted(above, reverse=True)
    assert above[0] > 1 and above[-1] == pytest.approx(0, abs=0.02)


def test_one_draw_is_the_elbo() -> None:
    model, pictures = built(), split(400)
    each = elbo.importance_nll(model, pictures, 1)
    survey = elbo.survey(model, pictures, seed=1).negative_elbo
    assert each.mean().item() == pytest.approx(
        survey.mean().item(), abs=4 * each.std().item() / math.sqrt(200)
    )


def test_the_likelihood_of_a_binarised_picture_is_that_of_numeric_integration() -> None:
    model, pictures = built(), elbo.binarised(split(2))
    found = elbo.importance_nll(model, pictures, 4_000)
    for x, nll in zip(as_floats(pictures.images), found.tolist(), strict=True):
        assert nll == pytest.approx(-TwoNumbers(model, x[None]).evidence(), abs=0.05)


def test_the_likelihood_tells_how_far_it_is_and_repeats() -> None:
    model, pictures, told = built(), split(7), []
    found = elbo.importance_nll(model, pictures, elbo.BATCH, 3, told.append)
    assert told == [place / 7 for place in range(7)]
    assert torch.equal(found, elbo.importance_nll(model, pictures, elbo.BATCH, 3))
    assert not torch.equal(found, elbo.importance_nll(model, pictures, elbo.BATCH, 4))


def test_binarised_pixels_are_white_as_often_as_they_are_light() -> None:
    grays = np.repeat(np.array([0, 1, 64, 254, 255], np.uint8), 20_000).reshape(100, 1, 10, 100)
    found = elbo.binarised(Split(grays, None))
    assert set(np.unique(found.images)) == {0, 255} and found.images.dtype == np.uint8
    for gray in (0, 1, 64, 254, 255):
        share, expected = (found.images[grays == gray] == 255).mean(), gray / 255
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 20_000))
    assert np.array_equal(found.images, elbo.binarised(Split(grays, None)).images)
    assert not np.array_equal(found.images, elbo.binarised(Split(grays, None), 1).images)


@torch.no_grad()
def test_a_number_whose_mean_never_moves_is_inactive() -> None:
    model = built(latent_dim=3)
    last = model.encoder[-1]
    last.weight[1] = 0  # mu of the second number
    last.weight[0] *= 10
    found = elbo.survey(model, split())
    assert found.active[0] and not found.active[1]
    assert found.variance[1].item() == pytest.approx(0, abs=1e-9)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def shelved(store: Store):
    model = built()
    data = toy.dataset(SHAPE, train=40)
    run = store.create(model, Plan(epochs=1, threads=1), data)
    training = run.begin(torch.device("cpu"))
    run.save_weights(training.model)
    return run, training.model


def test_a_survey_is_kept_for_the_weights_it_was_made_of(store: Store) -> None:
    run, model = shelved(store)
    assert elbo.kept(run) is None
    found = elbo.survey(model, split())
    elbo.keep(run, found)
    for name, tensor in vars(elbo.kept(run)).items():
        torch.testing.assert_close(tensor, getattr(found, name))
    with torch.no_grad():
        model.encoder[-1].bias += 1
    run.save_weights(model)
    assert elbo.kept(run) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kl": torch.zeros(3)},
        {"kl": torch.zeros(40, 1), "reconstruction": torch.zeros(40, 1)},
        {"kl_by_dimension": torch.zeros(5)},
        {"variance": torch.tensor(1.0)},
        {"kl": torch.full((40,), torch.nan)},
        {"kl": torch.zeros(0), "reconstruction": torch.zeros(0)},
    ],
)
def test_a_survey_that_does_not_fit_is_none(store: Store, change: dict[str, Tensor]) -> None:
    run, model = shelved(store)
    elbo.keep(run, elbo.survey(model, split()))
    file = run.folder / "cache" / "elbo.safetensors"
    write_tensors(file, vars(elbo.kept(run)) | change, {"weights": run.weights_hash()})
    assert elbo.kept(run) is None
    file.write_bytes(b"\x80\x04")
    assert elbo.kept(run) is None
