from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from core import evaluation, robustness
from core.__main__ import main
from core.data import load
from core.families import GAN, Denoising, Sparse, Vanilla
from core.findings import NOTHING
from core.lab import Lab, arguments, title_of
from core.robustness import Protocol
from core.store import Run, Store
from core.training import Plan

QUICK = Protocol(pictures=10, seeds=1, corruptions=("gaussian", "contrast"))
FLAGS = ["--pictures", "10", "--noise-seeds", "1", "--corruptions", "gaussian,contrast"]


def a_run(store: Store, Family=Vanilla, seed: int = 0, **settings: object) -> Run:
    data = load("digits")
    model = Family(Family.Config(**{"latent_dim": 5, "width": 8, "hidden": (16,)} | settings), data.shape)
    run = store.create(model, Plan(epochs=1, threads=1, seed=seed), data)
    training = run.begin(torch.device("cpu"))
    run.save_weights(training.model)
    return run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    return Store(tmp_path)


def measured(lab: Lab) -> None:
    assert [step.fraction for step in lab.measure(load("digits"))]


def test_what_is_missing_is_measured_once_and_read_afterwards(store: Store) -> None:
    run = a_run(store)
    lab = Lab(store, (run,), QUICK)
    entries, missing = lab.entries(run.record.dataset)
    assert entries == [] and missing == ["Vanilla", "Doing nothing", "PCA, 5 numbers", "Median 3×3"]
    measured(lab)
    entries, missing = lab.entries(run.record.dataset)
    assert missing == [] and [one.key for one in entries] == [run.id, NOTHING, "pca-5", "median"]
    assert list(lab.measure(load("digits"))) == []
    second = a_run(store, Denoising)
    _, missing = Lab(store, (run, second), QUICK).entries(run.record.dataset)
    assert missing == ["Denoising"]


def test_pca_has_as_many_numbers_as_a_code_keeps_and_no_more_than_there_are_pixels(store: Store) -> None:
    run = a_run(store, Sparse, sparsity="l1", latent_dim=100)
    spoken = run.load()
    spoken.active.fill_(6.5)
    run.save_weights(spoken)
    assert "pca-7" in Lab(store, (run,), QUICK).baselines()
    spoken.active.fill_(90.0)
    run.save_weights(spoken)
    assert "pca-64" in Lab(store, (run,), QUICK).baselines()
    run.weights_file.write_bytes(b"broken")
    assert "pca-64" in Lab(store, (run,), QUICK).baselines()


def test_pca_is_left_out_where_it_would_take_minutes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MOST_PIXELS", 63)
    assert list(Lab(store, (a_run(store),), QUICK).baselines()) == [NOTHING, "median"]


def test_numbers_do_not_depend_on_what_is_measured_beside(store: Store) -> None:
    runs = (a_run(store), a_run(store, Denoising))
    measured(Lab(store, runs[:1], QUICK))
    alone = robustness.kept(runs[0], load("digits"), QUICK)
    (runs[0].folder / "cache" / f"{robustness.file_name(load('digits'), QUICK)}.safetensors").unlink()
    measured(Lab(store, runs, QUICK))
    again = robustness.kept(runs[0], load("digits"), QUICK)
    torch.testing.assert_close(alone.mse, again.mse, rtol=0, atol=1e-7)


def test_slow_methods_come_when_asked_for(store: Store) -> None:
    run = a_run(store, GAN)
    lab = Lab(store, (run,), QUICK, classical=True, search=True)
    measured(lab)
    entries, missing = lab.entries(run.record.dataset)
    assert missing == []
    assert [one.key for one in entries] == [
        run.id, f"{run.id}+search", NOTHING, "pca-5", "median", "nl-means", "tv", "wavelet"
    ]  # fmt: skip
    searched, plain = entries[1].measured, entries[0].measured
    assert (searched.mse[:, 0] <= plain.mse[:, 0] + 1e-7).all()  # of clean pictures the search cannot lose


def test_siblings_differ_in_their_training_seed_alone(store: Store) -> None:
    runs = [a_run(store, seed=seed) for seed in (0, 1, 2)]
    other, elsewhere = a_run(store, latent_dim=6), a_run(store, seed=3)
    measured(Lab(store, (*runs, other, elsewhere), QUICK))
    elsewhere.update(dataset={**elsewhere.record.dataset, "fingerprint": "of other pictures"})
    entries, _ = Lab(store, (runs[0], other), QUICK).entries(runs[0].record.dataset, store.runs())
    siblings = {one.key: len(one.siblings) for one in entries}
    assert siblings[runs[0].id] == 3 and siblings[other.id] == 1
    assert entries[0].title == f"Vanilla · {runs[0].id}"


def test_a_family_alone_goes_by_its_title(store: Store) -> None:
    one, two = a_run(store), a_run(store, Denoising)
    assert title_of(one, (one, two)) == "Vanilla"
    one.update(name="mine")
    assert title_of(one, (one, two)) == "Vanilla"
    assert title_of(one, (one, two, a_run(store))) == "Vanilla · mine"


def test_a_name_that_reads_like_a_seed_hides_no_run(store: Store) -> None:
    runs = [a_run(store, seed=seed) for seed in (0, 1, 2)]
    named = a_run(store, seed=5)
    named.update(name="seed 1")
    titles = [title_of(run, (*runs, named)) for run in (*runs, named)]
    twins = [f"Vanilla · seed 1 · {run.id}" for run in (runs[1], named)]
    assert titles == ["Vanilla · seed 0", twins[0], "Vanilla · seed 2", twins[1]]


# --- the verb ---------------------------------------------------------------------------------------------------


def test_the_verb_writes_the_same_table_twice(store: Store, tmp_path: Path) -> None:
    runs = [a_run(store).id, a_run(store, Denoising, noise="gaussian").id]
    files = [tmp_path / name for name in ("one.csv", "two.csv", "fresh.csv")]
    for file in files[:2]:
        assert main(["robustness", *runs, *FLAGS, "--out", str(file)]) == 0
    for cached in [*tmp_path.glob("*/cache/robustness-*"), *tmp_path.glob(".baselines/*")]:
        cached.unlink()
    assert main(["robustness", *runs[::-1], *FLAGS, "--out", str(files[2])]) == 0
    first, second, fresh = (file.read_text() for file in files)
    assert first == second and sorted(first.splitlines()) == sorted(fresh.splitlines())
    table = list(csv.DictReader(first.splitlines()))
    assert {row["method"] for row in table} == {*runs, NOTHING, "pca-5", "median"}
    assert {row["trained_on"] for row in table if row["method"] == runs[1]} == {"gaussian"}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--pictures", "0"], "pictures is a whole number"),
        (["--noise-seeds", "0"], "seeds is a whole number"),
        (["--corruptions", "hail"], "corruptions are one or more"),
        (["--dataset", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_measured_is_said(
    store: Store, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert main(["robustness", a_run(store).id, *flags]) == 2
    assert words in capsys.readouterr().err


def test_the_command_line_is_that_of_the_protocol(store: Store) -> None:
    run = a_run(store)
    words = arguments([run], QUICK, classical=True, search=False)
    assert words == [
        *("robustness", run.id, "--pictures", "10", "--noise-seeds", "1"),
        *("--corruptions", "gaussian,contrast", "--classical"),
    ]
