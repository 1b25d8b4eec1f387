from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from core import generation
from core.data import Dataset
from core.families.sparse import Sparse
from core.families.vae import VAE
from core.families.vanilla import Vanilla
from core.generation import Seen, frechet, precision_recall, rng_of, survey
from core.judge import Judge, trained
from core.pictures import as_floats
from tests import toy


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def with_moments(rows: Tensor, mean: Tensor, root: Tensor) -> Tensor:
    """Rows with exactly this mean and the covariance root·root'."""
    centred = rows - rows.mean(0)
    white = centred @ torch.linalg.inv(torch.linalg.cholesky(centred.T.cov())).T
    return white @ root.T + mean


# --- Fréchet ----------------------------------------------------------------------------------------------------


def test_of_one_feature_it_is_that_of_means_and_deviations() -> None:
    a, b = 3 + 2 * normal(500, 1), -1 + 0.5 * normal(300, 1, seed=1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet(a, b) == pytest.approx(expected.item())


def test_it_is_that_of_gaussians_with_known_moments() -> None:
    """For commuting covariances tr (S S')^(1/2) is the sum of the products of deviations along shared axes."""
    axes, _ = torch.linalg.qr(normal(5, 5))
    one, other = (
        torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.double),
        torch.tensor([2.0, 2, 1, 7, 0], dtype=torch.double),
    )
    mean = torch.arange(5, dtype=torch.double)
    a = with_moments(normal(400, 5), mean, axes * one)
    b = with_moments(normal(300, 5, seed=1), 2 * mean, axes * other)
    assert frechet(a, b) == pytest.approx((mean.square().sum() + (one - other).square().sum()).item())


def test_it_is_that_of_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (SS')^(1/2) = sqrt(tr SS' + 2 sqrt(det SS'))."""
    a = with_moments(normal(100, 2), torch.zeros(2).double(), normal(2, 2, seed=2))
    b = with_moments(normal(80, 2, seed=1), torch.ones(2).double(), normal(2, 2, seed=3))
    s, t = a.T.cov(), b.T.cov()
    crossed = torch.sqrt((s @ t).trace() + 2 * torch.linalg.det(s @ t).sqrt())
    assert frechet(a, b) == pytest.approx((2 + s.trace() + t.trace() - 2 * crossed).item())


def test_equal_sets_are_at_no_distance_even_with_fewer_rows_than_features() -> None:
    for rows in (normal(500, 20), normal(10, 64), torch.ones(5, 8)):
        assert frechet(rows, rows) == pytest.approx(0, abs=1e-9)


def test_singular_covariances_give_the_distance_within_their_span() -> None:
    a, b = normal(50, 3), 2 * normal(60, 3, seed=1) + 1
    lift, _ = torch.linalg.qr(normal(40, 3, seed=2))
    assert frechet(a @ lift.T, b @ lift.T) == pytest.approx(frechet(a, b))


def test_it_is_symmetric_and_does_not_change_under_rotation_and_shift() -> None:
    a, b = normal(200, 6) * torch.arange(1, 7), normal(150, 6, seed=1) @ normal(6, 6, seed=2)
    turn, _ = torch.linalg.qr(normal(6, 6, seed=3))
    expected = frechet(a, b)
    assert frechet(b, a) == pytest.approx(expected)
    assert frechet(a @ turn + 7, b @ turn + 7) == pytest.approx(expected)


def test_what_has_no_covariance_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 pictures, not 1"):
        frechet(normal(1, 3), normal(5, 3))
    with pytest.raises(ValueError, match="not numbers"):
        frechet(normal(5, 3), torch.full((5, 3), math.nan))


# --- precision and recall ---------------------------------------------------------------------------------------


def naive(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    def share(points: Tensor, by: Tensor) -> float:
        radii = [sorted((a - b).norm().item() for b in by)[k] for a in by]
        inside = [
            any((p - b).norm().item() <= radius for b, radius in zip(by, radii, strict=True)) for p in points
        ]
        return sum(inside) / len(points)

    return share(fake, real), share(real, fake)


@pytest.mark.parametrize("k", [1, 3])
def test_they_are_those_of_a_double_loop(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "BATCH", 7)
    real, fake = normal(40, 3), 0.5 * normal(30, 3, seed=1) + 0.7
    precision, recall = precision_recall(real, fake, k)
    assert (precision, recall) == naive(real, fake, k)
    assert 0 < recall < precision < 1


def test_identical_sets_cover_each_other() -> None:
    assert precision_recall(normal(100, 5), normal(100, 5)) == (1, 1)


def test_sets_far_apart_cover_nothing() -> None:
    assert precision_recall(normal(100, 5), normal(100, 5, seed=1) + 100) == (0, 0)


def test_a_generator_that_collapsed_is_precise_and_recalls_little() -> None:
    real = normal(300, 4)
    precision, recall = precision_recall(real, real[:1] + 1e-3 * normal(300, 4, seed=1))
    assert precision == 1 and recall < 0.05
    assert precision_recall(real, real[:1].expand(300, -1))[1] == pytest.approx(1 / 300)


def test_without_a_third_neighbour_there_are_none() -> None:
    with pytest.raises(ValueError, match="neighbour number 3"):
        precision_recall(normal(3, 2), normal(10, 2))


def test_the_spread_is_the_mean_over_pairs_of_different_rows() -> None:
    rows = normal(50, 3)
    assert generation.spread(rows) == pytest.approx(torch.pdist(rows).mean().item())


# --- one Gaussian over codes ------------------------------------------------------------------------------------


def test_the_gaussian_has_mean_and_covariance_of_the_codes(rng: torch.Generator) -> None:
    codes = (normal(500, 4) @ normal(4, 4, seed=1) + 3).float()
    drawn = generation.Gaussian(codes).draw(100_000, rng)
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.T.cov(), codes.T.cov(), rtol=0.05, atol=0.05)


def test_a_gaussian_over_few_wide_codes_stays_in_their_span(rng: torch.Generator) -> None:
    codes = normal(5, 300).float()
    drawn = generation.Gaussian(codes).draw(7, rng) - codes.mean(0)
    assert torch.linalg.matrix_rank(torch.cat([drawn, codes - codes.mean(0)]), rtol=1e-4) == 4


# --- a model beside its test pictures ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> Dataset:
    return toy.dataset((1, 16, 16), train=512, held_out=300)


@pytest.fixture(scope="module")
def judge(data: Dataset) -> Judge:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.judge.EPOCHS", (1, 8))
        return trained(data)


@pytest.fixture(scope="module")
def vanilla(data: Dataset) -> Vanilla:
    model = Vanilla(Vanilla.Config(latent_dim=8, **toy.QUICK), data.shape)
    toy.train_quickly(model, data)
    return model


SOURCES = ("gaussian", "mixture", "reconstructions", "interpolations")
MEASURES = {"frechet", "precision", "recall", "sure", "diversity", "classes"}


def test_the_survey_has_every_section_and_the_same_numbers_again(
    data: Dataset, judge: Judge, vanilla: Vanilla
) -> None:
    told: list[float] = []
    found = survey(vanilla, data, judge, n=200, tell=lambda fraction, text: told.append(fraction))
    assert tuple(found) == ("judge", *SOURCES)
    assert set(found["judge"]) == {"accuracy", "floor", "n", "classes"} and found["judge"]["n"] == 200
    assert told == sorted(told) and told[0] >= 0 and told[-1] < 1
    for name in SOURCES:
        assert set(found[name]) == MEASURES
        assert sum(found[name]["classes"]) == pytest.approx(1)
        assert all(0 <= found[name][share] <= 1 for share in ("precision", "recall", "sure"))
    assert survey(vanilla, data, judge, n=200) == found
    assert survey(vanilla, data, judge, n=200, seed=1) != found


def test_every_seed_draws_pictures_of_its_own() -> None:
    draws = [torch.randn(4, generator=rng_of(seed, source)) for seed in (0, 1, 2) for source in "ab"]
    assert len({tuple(draw.tolist()) for draw in draws}) == 6
    assert torch.equal(draws[2], torch.randn(4, generator=rng_of(1, "a")))


def test_pictures_that_are_all_alike_have_no_diversity_to_compare_with(
    data: Dataset, judge: Judge, vanilla: Vanilla
) -> None:
    black = replace(data, test=replace(data.test, images=np.zeros_like(data.test.images)))
    assert math.isnan(survey(vanilla, black, judge, n=50)["reconstructions"]["diversity"])


def test_more_pictures_than_there_are_is_all_of_them(data: Dataset, judge: Judge, vanilla: Vanilla) -> None:
    found = survey(vanilla, data, judge)["judge"]
    assert found == {
        "accuracy": pytest.approx(judge.accuracy),
        "n": 300,
        "floor": pytest.approx(1.1, abs=0.5),  # of few pictures: with many it falls to 0
        "classes": found["classes"],
    }
    with torch.inference_mode():
        seen = judge.seen(as_floats(data.test.images))[1].argmax(1).bincount(minlength=len(found["classes"]))
    assert found["classes"] == pytest.approx((seen / 300).tolist())


def test_what_comes_back_is_nearer_than_what_is_made_up(
    data: Dataset, judge: Judge, vanilla: Vanilla
) -> None:
    found = survey(vanilla, data, judge)
    assert found["reconstructions"]["frechet"] < found["mixture"]["frechet"] < found["gaussian"]["frechet"]
    assert found["interpolations"]["frechet"] > found["judge"]["floor"]


class Parrot(Vanilla):
    """Gives test pictures back, whatever it is asked for: those of some classes."""

    heard: Tensor

    def decode(self, z: Tensor) -> Tensor:
        return self.heard[torch.arange(len(z)) % len(self.heard)]


def parrot(data: Dataset, pictures: Tensor) -> Parrot:
    model = Parrot(Vanilla.Config(latent_dim=8, **toy.QUICK), data.shape)
    model.heard = pictures
    return model


def test_a_generator_of_one_class_shows_in_classes_diversity_and_recall(data: Dataset, judge: Judge) -> None:
    images, labels = torch.tensor(data.test.images).float() / 255, torch.tensor(data.test.labels)
    everything = survey(parrot(data, images), data, judge)["gaussian"]
    one = survey(parrot(data, images[labels == 1]), data, judge)["gaussian"]
    assert everything["diversity"] == pytest.approx(1, abs=0.05) and everything["recall"] > 0.9
    assert max(everything["classes"]) < 0.5 < 0.9 < one["classes"][1]
    assert one["diversity"] < 0.7 and one["recall"] < 0.6 and one["frechet"] > 3 * everything["frechet"]


def test_one_picture_over_and_over_has_no_diversity(data: Dataset, judge: Judge) -> None:
    picture = torch.tensor(data.test.images[:1]).float() / 255
    found = survey(parrot(data, picture), data, judge)["reconstructions"]
    assert found["diversity"] == pytest.approx(0, abs=1e-5) and max(found["classes"]) == 1
    assert found["recall"] < 0.05


def test_without_a_fitted_mixture_there_is_no_such_section(
    data: Dataset, judge: Judge, rng: torch.Generator
) -> None:
    model = VAE(VAE.Config(latent_dim=4, **toy.QUICK), data.shape)
    model.initialise(rng)
    assert tuple(survey(model, data, judge, n=50)) == (
        "judge",
        "gaussian",
        "reconstructions",
        "interpolations",
    )


def batches(pictures: Iterator[Tensor]) -> Tensor:
    with torch.no_grad():
        return torch.cat([*pictures])


def test_a_prior_is_drawn_from_and_its_mixture_decoded(
    data: Dataset, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = VAE(VAE.Config(latent_dim=4, **toy.QUICK), data.shape)
    model.initialise(rng)
    model.fit(50 + normal(100, 4).float(), rng)
    asked: dict[str, Tensor] = {}
    monkeypatch.setattr(model, "decode", lambda z: z)
    for name in ("gaussian", "mixture"):
        asked[name] = batches(generation.sources(model, data, torch.arange(200), 0)[name])
    assert asked["gaussian"].mean().abs() < 0.2 and asked["mixture"].mean() == pytest.approx(50, abs=0.5)


def test_drawn_codes_are_made_sparse(
    data: Dataset, rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Sparse(Sparse.Config(latent_dim=64, k=5, **toy.QUICK), data.shape)
    model.initialise(rng)
    with torch.no_grad():
        codes = model.encode(torch.tensor(data.train.images).float() / 255)
        model.fit(codes, rng)
    monkeypatch.setattr(Sparse, "decode", lambda self, z: z)
    for name in ("gaussian", "mixture"):
        drawn = batches(generation.sources(model, data, torch.arange(100), 0)[name])
        assert ((drawn != 0).sum(1) <= 5).all() and (drawn != 0).any()
    between = batches(generation.sources(model, data, torch.arange(100), 0)["interpolations"])
    assert 5 < (between != 0).sum(1).max() <= 10


def test_a_model_of_no_numbers_is_refused_in_words(
    data: Dataset, judge: Judge, vanilla: Vanilla, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vanilla, "decode", lambda z: torch.full((len(z), *data.shape), math.nan))
    with pytest.raises(ValueError, match="not numbers"):
        survey(vanilla, data, judge, n=50)


def test_too_few_test_pictures_are_refused(data: Dataset, judge: Judge, vanilla: Vanilla) -> None:
    assert data.test.labels is not None
    alone = replace(data, test=replace(data.test, images=data.test.images[:1], labels=data.test.labels[:1]))
    with pytest.raises(ValueError, match="at least 2"):
        survey(vanilla, alone, judge)


def test_certainty_and_classes_are_counted() -> None:
    seen = Seen(torch.zeros(4, 2), torch.tensor([[0.95, 0.05], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    assert seen.sure() == 0.5 and seen.classes() == [0.75, 0.25]
