"""What the rows of published tables rest on: the cut of the data, trainings that survive, and the linear classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from benchmarks.papers import likelihood, protocol
from benchmarks.papers.features import KSparse
from benchmarks.papers.protocol import Terms, classifier_error, logistic_error, packed, spread
from benchmarks.papers.reconstruction import Bent, Linear, bent
from core.data import Dataset
from core.evaluation import PCA
from core.families.sparse import SparseConfig
from core.families.vae import VAE, VAEConfig
from core.families.vanilla import Vanilla, VanillaConfig
from core.family import Turn
from core.training import Event, Plan, Training, train
from tests import toy


@pytest.fixture
def terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terms:
    data = toy.dataset((1, 8, 8), train=300, held_out=60)
    monkeypatch.setattr(protocol, "load", lambda name: data)
    monkeypatch.setattr(protocol, "HELD_OUT", 60)
    return Terms(1.0, (0,), False, torch.device("cpu"), tmp_path)


def names(data: Dataset, split: str) -> set[bytes]:
    return {image.tobytes() for image in data.split(split).images}


def test_a_reported_row_learns_from_all_and_choosing_leaves_the_test_set_alone(terms: Terms) -> None:
    reported, choosing = terms.mnist(), replace(terms, choosing=True).mnist()
    assert (len(reported.train), len(reported.test)) == (360, 60)
    assert (len(choosing.train), len(choosing.test)) == (300, 60)
    assert not names(reported, "train") & names(reported, "test")
    assert not names(choosing, "train") & names(choosing, "test")
    assert not names(reported, "test") & (names(choosing, "train") | names(choosing, "test"))


def linear() -> Linear:
    return Linear(VanillaConfig(latent_dim=4, error="squared error", lr=1e-2), (1, 8, 8))


def test_an_interrupted_training_goes_on_and_a_finished_one_is_read(
    terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(*arguments: object) -> Iterator[Event]:
        yield from islice(train(*arguments), 4)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    steps: list[int] = []

    def counted(of: Callable[..., Iterator[Event]]) -> Callable[..., Iterator[Event]]:
        def run(training: object, *rest: object) -> Iterator[Event]:
            steps.append(training.step)  # type: ignore[attr-defined]
            return of(training, *rest)

        return run

    data = terms.mnist()
    monkeypatch.setattr(protocol, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(protocol, "train", counted(cut_short))
    with pytest.raises(KeyboardInterrupt):
        terms.learnt("linear", linear(), data, seed=0)
    monkeypatch.setattr(protocol, "train", counted(train))
    found = terms.learnt("linear", linear(), data, seed=0)
    again = terms.learnt("linear", linear(), data, seed=0)
    assert len(steps) == 2 and steps[0] == 0 < steps[1]
    for one, other in zip(found.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    terms.learnt("linear", linear(), data, seed=0, batch_size=64)  # of the same name, but another training
    assert len(steps) == 3 and steps[2] == 0


def test_a_linear_autoencoder_comes_to_what_pca_keeps() -> None:
    data = toy.dataset((1, 8, 8), train=300, held_out=60)
    training = Training(linear(), Plan(epochs=600, batch_size=60, previews=0, threads=1))
    for _ in train(training, data):
        pass
    found = protocol.sse(training.model, data.train, torch.device("cpu"))
    assert found == pytest.approx(PCA(data, 4).sse(data.train), rel=0.02)


def test_a_picture_is_bent_around_its_centre_and_no_two_alike() -> None:
    square = torch.zeros(64, 1, 29, 29)
    square[:, :, 11:18, 11:18] = 1
    moved = bent(square, torch.Generator().manual_seed(0))
    assert moved.min() >= 0 and moved.max() <= 1 and len(moved.unique(dim=0)) == 64
    ink = moved.sum((1, 2, 3))
    rows, columns = moved.sum((1, 3)), moved.sum((1, 2))
    for line in (rows, columns):
        assert torch.allclose(line @ torch.arange(29.0) / ink, torch.full((64,), 14.0), atol=0.1)
    assert ink.mean() == pytest.approx(49, rel=0.05) and ink.std() > 2


def test_the_last_fifth_of_training_sees_pictures_as_they_are() -> None:
    model = Bent(VanillaConfig(latent_dim=4), (1, 28, 28))
    x = torch.rand(4, 1, 28, 28)
    plain = Vanilla.loss(model, x, Turn(torch.Generator())).total
    assert model.loss(x, Turn(torch.Generator(), progress=0.81)).total == plain
    assert model.loss(x, Turn(torch.Generator(), progress=0.79)).total != plain


def test_a_linear_classifier_reads_what_lies_in_features_and_nothing_from_noise() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(3, size=600)
    told = torch.tensor(np.eye(3)[labels] + draw.normal(0, 0.1, (600, 3)), dtype=torch.float32)
    silent = torch.tensor(draw.normal(size=(600, 3)), dtype=torch.float32)
    assert logistic_error(told[:500], labels[:500], told[500:], labels[500:]) == 0
    assert 50 < logistic_error(silent[:500], labels[:500], silent[500:], labels[500:]) < 80


def test_the_published_sparse_layer_is_linear_to_the_end() -> None:
    mean = torch.rand(1, 4, 4)
    model = KSparse(SparseConfig(net="tied", latent_dim=6, k=2), mean)
    x = torch.rand(5, 1, 4, 4)
    weight = model.encoder.layer.weight
    bias = model.encoder.layer.bias - weight @ mean.flatten()  # the published layer, of another first bias
    a = x.flatten(1) @ weight.T + bias
    z = a * (a >= a.topk(2).values[:, 1:]) * (a > 0)
    rebuilt = z @ weight + model.encoder.pixel_bias + mean.flatten()
    error = (rebuilt - x.flatten(1)).square().sum(1)
    assert torch.allclose(model.reconstruct(x).flatten(1), rebuilt, atol=1e-6)
    loss = model.loss(x, Turn(torch.Generator(), progress=1.0))
    assert torch.allclose(loss.minimise["reconstruction"], error.mean())
    assert torch.allclose(loss.minimise["decay"], 2.5e-4 * weight.square().sum())
    dense = torch.autograd.grad(error.mean(), list(model.encoder.parameters()), retain_graph=True)
    here = torch.autograd.grad(loss.minimise["reconstruction"], list(model.encoder.parameters()))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(dense, here, strict=True))


def test_a_classifier_reads_the_same_from_features_without_their_zeros() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(3, size=600)
    features = np.eye(30)[labels] + draw.normal(0, 1, (600, 30)) * (draw.random((600, 30)) < 0.1)
    sparse, full = csr_matrix(features), features
    errors = [
        classifier_error((one[:500], labels[:500]), (one[500:], labels[500:]), 1e-3) for one in (sparse, full)
    ]
    assert errors[0] == errors[1] < 20
    assert isinstance(packed(torch.tensor(features)), csr_matrix)
    assert isinstance(packed(torch.rand(4, 3)), np.ndarray)


def test_one_value_has_no_spread() -> None:
    assert spread([1.234]) == "1.23" and spread([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"


def test_what_bfloat16_multiplies_gives_nearly_the_same_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function: function)  # a C++ compiler is not everywhere
    config = VAEConfig(net="mlp", hidden=(16, 16), latent_dim=4, binarise=True, importance_samples=50)
    exact, quick = VAE(config, (1, 8, 8)), likelihood.Compiled(config, (1, 8, 8))
    exact.initialise(torch.Generator().manual_seed(0))
    quick.load_state_dict(exact.state_dict())
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    bounds = [model.loss(x, Turn(torch.Generator().manual_seed(2))).total for model in (exact, quick)]
    assert bounds[0] != bounds[1] and bounds[1].item() == pytest.approx(bounds[0].item(), rel=0.01)
