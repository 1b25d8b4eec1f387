"""What pickers call a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from core.data import load
from core.evaluation import summarise
from core.families import VAE, Vanilla
from core.store import Run, Store
from core.training import Plan
from ui import runs
from ui.inside.plane import decoded_plane
from ui.runs import groups, label


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def made(store: Store, seed: int = 0, name: str = "", **config: Any) -> Run:
    data = load("digits")
    return store.create(VAE(VAE.Config(**config), data.shape), Plan(epochs=1, seed=seed), data, name)


def test_pictures_of_ones_own_are_known_to_pages(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "mine").mkdir(parents=True)
    for number in range(20):
        Image.new("L", (8, 8), 10 * number).save(tmp_path / "data" / "mine" / f"{number}.png")
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path / "data"))
    data = load("folder:mine@8gray")
    run = store.create(Vanilla(Vanilla.Config(net="mlp"), data.shape), Plan(epochs=1), data)
    found = runs.data_of(run)
    assert found is not None and found.fingerprint == data.fingerprint
    run.update(dataset={**run.record.dataset, "fingerprint": "of other pictures"})
    assert runs.data_of(run) is None


def test_data_that_come_are_there_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(store)
    with monkeypatch.context() as before:
        before.setattr(runs, "is_offered", lambda name: False)
        assert runs.data_of(run) is None
    assert runs.data_of(run) is not None


def test_what_is_remembered_of_a_run_in_training_goes_with_its_weights(store: Store) -> None:
    run = made(store)
    stamps = [runs.stamp(run)]
    for nanoseconds in (10**18, 10**18 + 1):
        run.checkpoint_file.touch()
        os.utime(run.checkpoint_file, ns=(nanoseconds, nanoseconds))
        stamps.append(runs.stamp(run))
    assert len(set(stamps)) == 3


def labels(store: Store, *runs: Run) -> list[str]:
    (group,) = groups(store.runs(), usable=False)
    return [label(run, group) for run in runs]


def test_the_only_run_of_a_family_is_called_by_it(store: Store) -> None:
    data = load("digits")
    other = store.create(Vanilla(Vanilla.Config(), data.shape), Plan(epochs=1), data)
    assert labels(store, made(store, name="any"), other) == ["Variational", "Vanilla"]


def test_runs_that_differ_in_their_seed_are_told_apart_by_it(store: Store) -> None:
    runs = [made(store, seed) for seed in (0, 1, 2)]
    assert labels(store, *runs) == [f"Variational · seed {seed}" for seed in (0, 1, 2)]


def test_a_name_goes_before_a_seed(store: Store) -> None:
    runs = [made(store), made(store, 1), made(store, name="broad", beta=4.0)]
    assert labels(store, *runs) == ["Variational · seed 0", "Variational · seed 1", "Variational · broad"]


def test_of_two_with_one_name_the_ids_are_told(store: Store) -> None:
    runs = [made(store, name="broad"), made(store, 1, "broad"), made(store, name="narrow")]
    twins = [f"Variational · broad · {run.id}" for run in runs[:2]]
    assert labels(store, *runs) == [*twins, "Variational · narrow"]


@pytest.mark.parametrize("other", [dict(seed=0), dict(seed=1, beta=4.0)])
def test_nameless_runs_that_differ_in_more_or_in_nothing_keep_their_ids(store: Store, other: dict) -> None:
    runs = [made(store), made(store, **other)]
    assert labels(store, *runs) == [f"Variational · {run.id}" for run in runs]


def test_what_is_measured_later_is_seen_at_once_and_other_weights_are_drawn_anew(store: Store) -> None:
    run, data = made(store, latent_dim=3, width=8, hidden=(16,)), load("digits")
    model = run.begin(torch.device("cpu")).model
    run.save_weights(model)
    assert runs.codes(run) is None and runs.survey(run) is None and decoded_plane(run) is None
    summarise(run, model, data)
    assert runs.codes(run) is not None and runs.survey(run) is not None
    before = decoded_plane(run)
    assert before is not None and before is decoded_plane(run)
    run.save_weights(model)
    assert decoded_plane(run) is not before


def test_only_runs_with_weights_are_usable(store: Store) -> None:
    made(store)
    assert groups(store.runs()) == [] and len(groups(store.runs(), usable=False)) == 1


def test_seeds_are_preferred_where_they_leave_no_family_out(store: Store) -> None:
    data = load("digits")

    def vanilla(seed: int, epochs: int) -> Run:
        return store.create(Vanilla(Vanilla.Config(), data.shape), Plan(epochs=epochs, seed=seed), data)

    def replicated() -> set[str]:
        (group,) = groups(store.runs(), usable=False)
        return {run.id for run in group.replicated}

    thrice = [made(store, seed) for seed in (1, 2, 0)]
    lone = vanilla(0, epochs=2)
    assert lone.id in replicated() and len(replicated()) == 2  # else the plain one would be missing
    both = [vanilla(seed, epochs=1) for seed in (1, 2, 0)]
    assert replicated() <= {run.id for run in (*thrice, *both)} and len(replicated()) == 2
