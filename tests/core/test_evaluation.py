from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from sklearn.decomposition import PCA as Reference

from core import evaluation
from core.data import Split
from core.families.vanilla import Vanilla
from core.pictures import as_floats
from tests import toy


def noisy(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize(("mse", "decibels"), [(1.0, 0.0), (0.1, 10.0), (0.01, 20.0), (1e-6, 60.0)])
def test_psnr_is_ten_times_the_decimal_logarithm(mse: float, decibels: float) -> None:
    assert evaluation.psnr(mse) == pytest.approx(decibels)


def test_identical_pictures_are_infinitely_alike() -> None:
    x = noisy((3, 9, 9))
    assert evaluation.scores(x, x) == evaluation.Scores(0.0, 0.0, math.inf, 1.0)


def test_scores_are_of_all_channels_together() -> None:
    x, y = noisy((3, 12, 10)), noisy((3, 12, 10), seed=1)
    found = evaluation.scores(x.astype(np.float32), y.astype(np.float32))
    assert found.mse == pytest.approx(np.mean((x - y) ** 2))
    assert found.sse == pytest.approx(np.sum((x - y) ** 2))
    assert found.psnr == pytest.approx(-10 * math.log10(np.mean((x - y) ** 2)))


@pytest.mark.parametrize(
    ("shape", "window"), [((1, 28, 28), 7), ((1, 8, 8), 7), ((3, 6, 20), 5), ((1, 3, 3), 3)]
)
def test_the_window_of_ssim_fits_the_picture(shape: tuple[int, int, int], window: int) -> None:
    x, y = noisy(shape), noisy(shape, seed=1)
    expected = structural_similarity(x, y, data_range=1.0, channel_axis=0, win_size=window)
    assert evaluation.ssim(x, y) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 9), (3, 6, 20), (1, 3, 3)])
def test_of_a_batch_the_similarities_are_those_of_its_pictures(shape: tuple[int, int, int]) -> None:
    x, y = noisy((5, *shape)), noisy((5, *shape), seed=1)
    y[0] = x[0]
    found = evaluation.ssim_of_each(torch.tensor(x), torch.tensor(y))
    assert found.tolist() == pytest.approx(
        [evaluation.ssim(a, b) for a, b in zip(x, y, strict=True)], abs=1e-10
    )
    with pytest.raises(ValueError, match="at least 3x3"):
        evaluation.ssim_of_each(torch.zeros(1, 1, 2, 9), torch.zeros(1, 1, 2, 9))


def test_ssim_refuses_what_holds_no_window() -> None:
    with pytest.raises(ValueError, match="at least 3x3, not 2x9"):
        evaluation.ssim(noisy((1, 2, 9)), noisy((1, 2, 9)))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 9)])
def test_pca_is_scikit_learns(shape: tuple[int, int, int]) -> None:
    data = toy.dataset(shape, train=200)
    pca = evaluation.PCA(data, 5)
    rows = data.train.images.reshape(200, -1) / 255
    reference = Reference(5).fit(rows)
    held_out = data.test.images.reshape(len(data.test), -1) / 255
    expected = reference.inverse_transform(reference.transform(held_out))
    np.testing.assert_allclose(pca.reconstruct(data.test.images).reshape(expected.shape), expected, atol=1e-9)
    assert pca.sse(data.test) == pytest.approx(((expected - held_out) ** 2).sum(1).mean())
    np.testing.assert_allclose(np.abs((pca.axes * reference.components_).sum(1)), 1)  # axes in order


def test_more_components_keep_more_of_the_training_pictures() -> None:
    data = toy.dataset()
    left = [evaluation.PCA(data, count).sse(data.train) for count in (1, 4, 16, 64)]
    assert left == sorted(left, reverse=True) and left[-1] == pytest.approx(0, abs=1e-12)


def test_percentile_is_the_share_of_smaller_errors() -> None:
    errors = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert [evaluation.percentile(e, errors) for e in (0.05, 0.25, 0.9)] == [0, 50, 100]


# --- a model and a split ----------------------------------------------------------------------------------------


@pytest.fixture
def model() -> Vanilla:
    model = Vanilla(Vanilla.Config(latent_dim=6, width=4, hidden=(12,)), (1, 8, 8))
    model.initialise(torch.Generator().manual_seed(0))
    return model


def test_scores_of_a_split_are_means_over_its_pictures(
    model: Vanilla, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 9)  # the last batch is smaller
    monkeypatch.setattr(evaluation, "SSIM_PICTURES", 13)
    split = toy.strokes(20, (1, 8, 8))
    x = as_floats(split.images)
    with torch.no_grad():
        back = model.reconstruct(x)
    each = [evaluation.scores(a.numpy(), b.numpy()) for a, b in zip(back, x, strict=True)]
    expected = {name: np.mean([getattr(one, name) for one in each]) for name in ("mse", "sse", "psnr")}
    expected |= {"ssim": np.mean([one.ssim for one in each[:13]]), "n": 20, "ssim_n": 13}
    assert evaluation.evaluate(model, split) == pytest.approx(expected, rel=1e-5)


def test_codes_come_with_labels_and_the_error_of_each_picture(model: Vanilla) -> None:
    split = toy.strokes(11, (1, 8, 8))
    found, x = evaluation.codes(model, split), as_floats(split.images)
    with torch.no_grad():
        torch.testing.assert_close(found.codes, model.encode(x))
        torch.testing.assert_close(found.errors, (model.reconstruct(x) - x).square().mean((1, 2, 3)))
    assert found.labels is not None and found.labels.tolist() == split.labels.tolist()
    unlabelled: Split = dataclasses.replace(split, labels=None)
    assert evaluation.codes(model, unlabelled).labels is None


def test_a_picture_is_rebuilt_with_its_scores_and_place(model: Vanilla) -> None:
    x = as_floats(toy.strokes(evaluation.ENOUGH, (1, 8, 8)).images)
    with torch.no_grad():
        back = model.reconstruct(x)
    errors = (back - x).square().mean((1, 2, 3))
    for number, one in enumerate(evaluation.rebuild(model, x, errors=errors)):
        assert one.scores == evaluation.scores(back[number].numpy(), x[number].numpy())
        np.testing.assert_array_equal(one.pixels, (back[number] * 255).round().byte().numpy())
        np.testing.assert_allclose(one.difference, (back[number] - x[number]).mean(0).numpy())
        assert one.percentile == pytest.approx(100 * (errors < one.scores.mse).float().mean().item())


def test_among_few_pictures_none_has_a_place(model: Vanilla) -> None:
    """An ordinary one would have the largest error once in n + 1."""
    x = as_floats(toy.strokes(3, (1, 8, 8)).images)
    errors = torch.zeros(evaluation.ENOUGH - 1)
    assert [one.percentile for one in evaluation.rebuild(model, x, errors=errors)] == [None] * 3


def test_another_code_can_stand_in_for_the_encoders(model: Vanilla) -> None:
    x, z = as_floats(toy.strokes(2, (1, 8, 8)).images), torch.ones(2, 6)
    (first, _), (plain, _) = evaluation.rebuild(model, x, codes=z), evaluation.rebuild(model, x)
    with torch.no_grad():
        expected = model.decode(z)
    np.testing.assert_array_equal(first.pixels, (expected[0] * 255).round().byte().numpy())
    assert first.percentile is None and first.scores != plain.scores


def test_the_nearest_picture_is_found_with_its_error_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 7)
    split = toy.strokes(40, (1, 8, 8))
    x = as_floats(split.images[[33, 2, 17]])
    index, error = evaluation.nearest(x, split)
    assert index.tolist() == [33, 2, 17] and error.abs().max() < 1e-12
    noisy = (x + 0.1).clamp(0, 1)
    index, error = evaluation.nearest(noisy, split)
    every = (noisy[:, None].double() - as_floats(split.images).double()[None]).square().mean((2, 3, 4))
    assert index.tolist() == every.argmin(1).tolist()
    torch.testing.assert_close(error.double(), every.min(1).values, rtol=1e-5, atol=1e-7)
