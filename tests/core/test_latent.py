from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch import Tensor

from core import latent
from core.__main__ import main
from core.codes import Codes
from core.data import load
from core.evaluation import summarise
from core.families import Vanilla
from core.store import Run, Store
from core.tensors import write_tensors
from core.training import Plan


def blobs(count: int = 120, dim: int = 5, classes: int = 3) -> Codes:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    centres = 6 * torch.randn(classes, dim, generator=rng)
    z = centres[labels] + torch.randn(count, dim, generator=rng)
    return Codes(z, labels, torch.rand(count, generator=rng))


# --- neighbours -------------------------------------------------------------------------------------------------


def test_neighbours_are_scikit_learns() -> None:
    z = blobs().codes
    reference = NearestNeighbors(n_neighbors=7).fit(z.numpy())
    distances, indices = reference.kneighbors(z[:20].numpy() + 0.1)
    found, far = latent.neighbours(z, z[:20] + 0.1, 7)
    assert found.tolist() == indices.tolist()
    np.testing.assert_allclose(far.numpy(), distances, rtol=1e-5)
    assert latent.neighbours(z, z[:0], 7)[0].shape == (0, 7)
    assert latent.neighbours(z[:3], z[:1], 7)[0].shape == (1, 3)


def test_pictures_are_placed_alike_one_by_one_or_together_to_the_last_bit() -> None:
    codes = blobs()
    places = torch.randn(120, 2, generator=torch.Generator().manual_seed(1))
    new = torch.randn(40, 5, generator=torch.Generator().manual_seed(2))
    together = latent.place(codes.codes, places, new)
    apart = torch.cat([latent.place(codes.codes, places, one[None]) for one in new])
    backwards = latent.place(codes.codes, places, new.flip(0)).flip(0)
    assert torch.equal(together, apart) and torch.equal(together, backwards)


def test_a_place_is_the_mean_of_the_neighbours_weighted_by_nearness() -> None:
    z = torch.tensor([[0.0], [1.0], [100.0]])
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]])
    weights = torch.tensor([1 / 0.25, 1 / 0.75, 1 / 99.75]).double()
    expected = (weights / weights.sum()) @ places.double()
    torch.testing.assert_close(latent.place(z, places, torch.tensor([[0.25]]))[0], expected.float())
    torch.testing.assert_close(latent.place(z, places, z), places, atol=1e-5, rtol=0)  # what is known stays
    torch.testing.assert_close(latent.inverse(z, places, places), z, atol=1e-3, rtol=0)


def test_what_is_far_from_all_data_is_like_nothing_and_the_data_are_at_home() -> None:
    z = blobs(600).codes
    familiar = latent.Familiarity.of(z)
    assert familiar.percentile(z, z + 1_000 * torch.ones(5)) == [100.0] * 600
    for same in (z, z.half().float()):  # as codes are kept
        ranks = familiar.percentile(z, same)
        assert np.allclose(np.sort(ranks), np.arange(600) / 6, atol=1), "no picture is a neighbour of its own"
    assert familiar.percentile(z, z.mean(0, keepdim=True) + 30)[0] == 100


def test_among_few_pictures_none_is_unusual() -> None:
    few = blobs(99).codes
    assert latent.Familiarity.of(few).percentile(few, few[:2] + 1_000) == [None, None]


def test_codes_that_coincide_are_each_their_own_first_neighbour() -> None:
    z = blobs(40).codes.repeat(4, 1)
    indices, distances = latent.graph(z, 6)
    assert (indices[:, 0] == np.arange(160)).all() and (distances[:, :4] == 0).all()
    assert all(len(set(row)) == 6 for row in indices.tolist())
    assert latent.graph(z[:1], 6)[0].tolist() == [[0]]


def test_agreement_is_the_jaccard_of_neighbours() -> None:
    z = blobs(60).codes
    assert (latent.agreement(z, 3 * z + 1, k=5) == 1).all()  # moved and scaled: the same neighbours
    other = torch.randn(60, 5, generator=torch.Generator().manual_seed(3))
    found = latent.agreement(z, other, k=5)
    near = [
        NearestNeighbors(n_neighbors=6).fit(one.numpy()).kneighbors(one.numpy())[1][:, 1:]
        for one in (z, other)
    ]
    expected = [len(set(a) & set(b)) / len(set(a) | set(b)) for a, b in zip(*near, strict=True)]
    assert found.tolist() == pytest.approx(expected)


# --- maps and their quality -------------------------------------------------------------------------------------


def test_short_codes_are_their_own_map_and_longer_ones_lie_on_principal_axes() -> None:
    assert latent.at_once(blobs(dim=2)).kind == "raw"
    torch.testing.assert_close(latent.at_once(blobs(dim=2)).places, blobs(dim=2).codes)
    line = latent.at_once(blobs(dim=1))
    assert line.kind == "raw" and (line.places[:, 1] == 0).all()
    flat = latent.at_once(blobs())
    assert flat.kind == "pca" and flat.places.std(0)[0] > flat.places.std(0)[1]


def test_the_quality_is_scikit_learns() -> None:
    codes = blobs()
    places = latent.at_once(codes).places
    found = latent.quality(codes, places)
    assert found.trustworthiness == pytest.approx(
        trustworthiness(codes.codes.numpy(), places.numpy(), n_neighbors=15)
    )
    voters = KNeighborsClassifier(10)
    for points, accuracy in ((places, found.map_accuracy), (codes.codes, found.code_accuracy)):
        scores = cross_val_score(voters, points.numpy(), codes.labels.numpy(), cv=LeaveOneOut())
        assert accuracy == pytest.approx(scores.mean(), abs=0.02)  # ties are broken elsewhere
    assert found.n == 120


def test_no_picture_votes_for_itself() -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(20, 2)), 10, 0).astype(np.float32)
    alone = np.arange(200) % 10  # of every ten equal points each has a class of its own
    assert latent.accuracy(points, alone) < 0.1


def test_one_class_or_none_has_no_accuracy() -> None:
    codes = blobs()
    for labels in (None, torch.zeros(120, dtype=torch.long)):
        found = latent.quality(Codes(codes.codes, labels, codes.errors), codes.codes[:, :2])
        assert found.map_accuracy is None and found.code_accuracy is None and 0 < found.trustworthiness < 1


def test_a_million_codes_are_a_fixed_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "MOST", 50)
    codes = blobs()
    some = latent.sampled(codes)
    assert len(some.codes) == len(some.labels) == len(some.errors) == 50
    assert torch.equal(some.codes, codes.codes[latent.chosen(120, 50)])
    assert latent.sampled(some) is some


def test_umap_keeps_neighbours_and_the_same_seed_gives_the_same_map() -> None:
    codes, told = blobs(150), []
    one = latent.umap(codes, seed=3, tell=lambda fraction, text: told.append(fraction))
    again = latent.umap(codes, seed=3)
    assert one.kind == "umap" and torch.equal(one.places, again.places)
    assert one.quality.map_accuracy > 0.95 and one.quality.trustworthiness > 0.85
    assert told == sorted(told) and told[0] > 0 and told[-1] < 1


# --- keeping, and the verb --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """With codes of two numbers. No test may change it."""
    return trained(tmp_path_factory.mktemp("made"), 2)


@pytest.fixture
def run(made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of `made` in a store of its own."""
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    return Run.open(shutil.copytree(made.folder, tmp_path / made.id))


def trained(folder: Path, dim: int) -> Run:
    data = load("digits")
    model = Vanilla(Vanilla.Config(latent_dim=dim, width=8, hidden=(16,)), data.shape)
    made = Store(folder).create(model, Plan(epochs=1, threads=1), data)
    training = made.begin(torch.device("cpu"))
    made.save_weights(training.model)
    summarise(made, training.model, data)
    made.update(status="completed")
    return made


def test_maps_are_kept_for_the_weights_they_were_made_of(run: Run) -> None:
    codes = run.codes()
    assert latent.kept(run, codes) == {}
    plain = latent.at_once(codes)
    latent.keep(run, latent.Map("raw", codes, plain.places, latent.quality(codes, plain.places)))
    (found,) = latent.kept(run, codes).values()
    assert torch.equal(found.places, plain.places) and found.quality == latent.quality(codes, plain.places)
    model = run.load()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    run.save_weights(model)
    assert latent.kept(run, codes) == {}


@pytest.mark.parametrize(
    "change",
    [
        {"raw.places": torch.zeros(3, 2)},
        {"raw.places": torch.full((300, 2), math.nan)},
        {"raw.quality": torch.zeros(9).double()},
        {"raw.quality": torch.zeros(()).double()},
        {"raw.quality": torch.tensor([1.0, 1.0, 1.0, math.inf])},
        {"raw.quality": torch.tensor([1.0, 1.0, 1.0, 301.0])},
        {"raw.places": torch.full((300, 2), 1e38)},
    ],
)
def test_what_is_no_map_of_these_codes_is_none(run: Run, change: dict[str, Tensor]) -> None:
    codes = run.codes()
    good = {"raw.places": torch.zeros(300, 2), "raw.quality": torch.zeros(4).double()}
    file = run.folder / "cache" / "map.safetensors"
    write_tensors(file, good, {"weights": run.weights_hash()})
    assert set(latent.kept(run, codes)) == {"raw"}
    write_tensors(file, good | change, {"weights": run.weights_hash()})
    assert latent.kept(run, codes) == {}


def test_the_verb_writes_and_keeps_the_map(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["map", run.id, "--out", str(tmp_path / "map.npz")]) == 0
    told = json.loads(capsys.readouterr().out)
    with np.load(tmp_path / "map.npz", allow_pickle=False) as arrays:
        assert arrays["xy"].shape == (300, 2) and arrays["labels"].shape == (300,)
        assert float(arrays["trustworthiness"]) == pytest.approx(told["trustworthiness"])
    assert told["kind"] == "raw" and set(latent.kept(run, run.codes())) == {"raw"}
    assert main(["map", run.id, "--split", "validation", "--out", str(tmp_path / "other.npz")]) == 0
    with np.load(tmp_path / "other.npz", allow_pickle=False) as arrays:
        assert len(arrays["xy"]) == len(load("digits").validation)


def test_longer_codes_get_a_umap_without_their_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    run = trained(tmp_path, 6)
    run.update(dataset={**run.record.dataset, "name": "nowhere"})
    assert main(["map", run.id]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "umap"
    assert set(latent.kept(run, run.codes())) == {"pca", "umap"}
