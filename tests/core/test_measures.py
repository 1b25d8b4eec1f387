from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from core import measures, objectives
from core.families.contractive import Contractive
from core.families.sparse import Sparse
from core.family import Autoencoder
from core.pictures import as_floats
from tests import toy

SHAPE = (1, 8, 8)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- what can be read from codes --------------------------------------------------------------------------------


def test_the_vote_is_scikit_learns() -> None:
    codes, queries = normal(60, 3), normal(20, 3, seed=1)
    labels, answers = (codes[:, 0] > 0).long().numpy(), (queries[:, 0] > 0).long().numpy()
    expected = KNeighborsClassifier(10).fit(codes.numpy(), labels).score(queries.numpy(), answers)
    assert measures.knn_accuracy(codes, labels, queries, answers) == expected > 0.5
    assert measures.knn_accuracy(codes[:4], labels[:4] * 0, queries, answers * 0) == 1  # fewer than ten


def slow_trustworthiness(pixels: np.ndarray, codes: np.ndarray, k: int) -> float:
    """The formula, picture by picture."""
    n, punished = len(pixels), 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        by_pixels = sorted(others, key=lambda j: float(((pixels[i] - pixels[j]) ** 2).sum()))
        by_code = sorted(others, key=lambda j: float(((codes[i] - codes[j]) ** 2).sum()))
        punished += sum(max(0, by_pixels.index(j) + 1 - k) for j in by_code[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * punished


def test_trustworthiness_is_that_of_venna_and_kaski() -> None:
    pictures, codes = np.random.default_rng(0).integers(256, size=(50, *SHAPE), dtype=np.uint8), normal(50, 2)
    expected = slow_trustworthiness(pictures.reshape(50, -1) / 255, codes.numpy(), 15)
    assert measures.trustworthiness(pictures, codes) == pytest.approx(expected)
    assert measures.trustworthiness(pictures, torch.tensor(pictures).flatten(1).float()) == 1
    assert measures.trustworthiness(pictures[:3], codes[:3]) <= 1


# --- how units are used -----------------------------------------------------------------------------------------


def test_units_are_counted_by_when_they_speak() -> None:
    codes = torch.tensor([[0.0, 1.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.5, 1.0, 9.0]])
    assert measures.l0(codes > 0) == pytest.approx((2 + 1 + 3) / 3)
    assert measures.dead(codes > 0) == 1 / 4
    assert measures.always_on(codes > 0) == 1 / 4


def test_saturated_numbers_lie_where_the_logistic_function_is_flat() -> None:
    codes = torch.tensor([[0.01, 0.5], [0.96, 0.94]])
    assert measures.saturation(codes) == 1 / 2


def test_explained_variance_is_r2_over_all_pixels() -> None:
    pictures = toy.strokes(40, SHAPE).images
    x = pictures.reshape(40, -1) / 255
    back = x + np.random.default_rng(0).normal(0.02, 0.1, x.shape)  # off in the mean, too
    found = measures.explained_variance(float(((x - back) ** 2).sum()), pictures)
    assert found == pytest.approx(r2_score(x, back, multioutput="variance_weighted"), rel=1e-9)
    assert measures.explained_variance(float(((x - x.mean(0)) ** 2).sum()), pictures) == pytest.approx(0)
    assert math.isnan(measures.explained_variance(1.0, np.zeros((3, *SHAPE), np.uint8)))


# --- how codes follow the picture -------------------------------------------------------------------------------


def built(family: type[Autoencoder], **settings: object) -> Autoencoder:
    model = family(family.Config(**{"latent_dim": 6} | settings), SHAPE)
    model.initialise(torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize(
    "model",
    [
        built(Contractive, width=8, hidden=(12,)),
        built(Contractive, net="tied"),
        built(Sparse, net="mlp", hidden=(12,), latent_dim=20, k=3),
        built(Sparse, net="mlp", hidden=(12,), latent_dim=20, sparsity="l1"),
    ],
    ids=["conv", "tied", "topk", "l1"],
)
def test_the_jacobian_is_that_of_torch(model: Autoencoder) -> None:
    x = as_floats(toy.strokes(4, SHAPE).images)
    every = torch.func.vmap(torch.func.jacrev(lambda one: model.encode(one[None])[0]))(x)
    expected = every.double().square().flatten(1).sum(1)
    found = measures.squared_jacobian(model.encode, x)
    assert found.dtype == torch.double and not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-9)
    if isinstance(model, Sparse):
        most = int((model.encode(x) != 0).sum(1).max())
        assert most < 20
        torch.testing.assert_close(measures.squared_jacobian(model.encode, x, most), found)


def test_of_one_logistic_layer_the_jacobian_has_a_closed_form() -> None:
    model, x = built(Contractive, net="tied"), as_floats(toy.strokes(5, SHAPE).images)
    with torch.no_grad():
        expected = objectives.sigmoid_layer_jacobian_squared(model.encode(x), model.encoder.layer.weight)
    torch.testing.assert_close(measures.squared_jacobian(model.encode, x).float(), expected)


# --- what comes back of damage ----------------------------------------------------------------------------------


def test_a_gain_is_the_mean_difference_of_psnr() -> None:
    before, after = torch.tensor([0.1, 0.1, 0.0]), torch.tensor([0.01, 0.1, 0.3])
    assert measures.gain(before, after) == pytest.approx(5)  # 10 dB, 0 dB; the third was not damaged
    assert measures.gain(torch.zeros(2), after[:2]) is None
    assert measures.gain(before[:1], torch.zeros(1)) == math.inf
