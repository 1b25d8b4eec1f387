"""The loop: its events, its budgets, how it stops, how it fails, and how it goes on as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import Tensor

from core import training as loop
from core.data import Split
from core.families import FAMILIES, RESTORERS
from core.families.denoising import Denoising
from core.families.gan import GAN
from core.families.photo_denoiser import PhotoDenoiser
from core.families.vanilla import Vanilla
from core.family import Autoencoder, Loss, Player, Restorer, Turn
from core.tensors import read_tensors, write_tensors
from core.training import (
    Diverged,
    EpochEnded,
    Event,
    Finished,
    Pixels,
    Plan,
    Stepped,
    Training,
    device_named,
    fit_sampler,
    seeded,
    showcase,
    train,
)
from tests import toy

DATA = toy.dataset((1, 8, 8), train=96, held_out=24)
BATCHES = 3  # of 32
DEVICES = [
    "cpu",
    *(["cuda"] if torch.cuda.is_available() else []),
    *(["mps"] if torch.backends.mps.is_available() else []),
]


def tiny(family: type[Autoencoder] = Vanilla, device: str = "cpu", **plan: Any) -> Training:
    sparse = {"k": 2} if family.key == "sparse" else {}
    config = family.Config(latent_dim=6, net="mlp", hidden=(16,), **sparse)
    plan = {"epochs": 2, "batch_size": 32, "threads": 1} | plan
    return Training(family(config, DATA.shape).to(device), Plan(**plan))


def history(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """All that the clock has no part in."""
    return [(e.epoch, e.step, e.train, e.validation) for e in events if isinstance(e, EpochEnded)]


def is_finite(model: torch.nn.Module) -> bool:
    return all(value.isfinite().all() for value in model.state_dict().values())


def once(training: Training, steps: int) -> Callable[[], bool]:
    """A `should_stop` for when so many steps are done: in validation, where they complete an epoch."""
    return lambda: training.step >= steps


@pytest.fixture
def every_step_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "READ_EVERY", -1.0)


# --- plans and devices ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "either epochs or seconds"),
        ({"epochs": 1, "seconds": 1}, "either epochs or seconds"),
        ({"epochs": 0}, "epochs takes a whole number from 1 to 100000, not 0"),
        ({"epochs": 1.5}, "epochs takes a whole number"),
        ({"epochs": True}, "epochs takes a whole number"),
        ({"seconds": float("nan")}, "seconds takes a number from 1 to 2592000, not nan"),
        ({"seconds": float("inf")}, "not inf"),
        ({"seconds": "60"}, "not '60'"),
        ({"epochs": 1, "batch_size": 1}, "batch-size takes a whole number from 2 to 65536, not 1"),
        ({"epochs": 1, "seed": -1}, "seed takes"),
        ({"epochs": 1, "threads": -1}, "threads takes"),
        ({"epochs": 1, "previews": None}, "previews takes a whole number from 0 to 1000, not None"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused_in_words(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Plan(**values)


def test_a_plan_settles_on_a_number_of_threads() -> None:
    assert Plan(epochs=1).threads == loop.spare_cores() >= 1
    assert Plan(seconds=1.5, threads=3).threads == 3


def test_auto_is_the_first_device_there_is_and_an_unknown_one_is_named() -> None:
    assert device_named("auto").type in DEVICES
    assert device_named("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="no device 'tpu' here; there is .*cpu, or auto"):
        device_named("tpu")


# --- events -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("every_step_is_read")
@pytest.mark.parametrize("device", DEVICES)
def test_a_training_tells_its_steps_its_epochs_and_its_end(device: str) -> None:
    training = tiny(device=device)
    (optimiser,) = training.optimisers
    (peak,) = training.peak_rates
    events, rates = [], []
    for event in train(training, DATA):
        events.append(event)
        if isinstance(event, Stepped):
            rates.append(optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([peak * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(6)])
    kinds = [type(event) for event in events]
    assert kinds == [*([Stepped] * BATCHES + [EpochEnded]) * 2, Finished]
    steps = [event for event in events if isinstance(event, Stepped)]
    assert [(e.step, e.epoch) for e in steps] == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2)]
    assert [e.progress for e in steps] == pytest.approx([i / 6 for i in range(1, 7)])
    assert set(steps[0].numbers) == {"reconstruction"}
    first, second = (event for event in events if isinstance(event, EpochEnded))
    assert (first.epoch, first.step, second.epoch, second.step) == (1, 3, 2, 6)
    assert first.train["reconstruction"] == pytest.approx(
        np.mean([e.numbers["reconstruction"] for e in steps[:3]])
    )
    assert second.validation["mse"] < first.validation["mse"]
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "completed" and events[-1].seconds >= second.seconds > first.seconds > 0
    assert training.model.mixture.fitted


def test_numbers_are_read_from_the_device_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "READ_EVERY", 3600.0)
    assert sum(isinstance(event, Stepped) for event in train(tiny(epochs=5), DATA)) == 1


class Ticking:
    """A clock on which a tenth of a second passes with every look."""

    def __init__(self, spent: float) -> None:
        self.now = spent

    def seconds(self) -> float:
        self.now += 0.1
        return self.now


def test_a_budget_in_seconds_ends_amid_an_epoch_and_still_validates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "Clock", Ticking)
    training = tiny(epochs=None, seconds=2.0, batch_size=4)  # 24 batches an epoch
    *_, last, end = train(training, DATA)
    assert isinstance(last, EpochEnded)
    assert (last.epoch, last.progress) == (1, 1.0) and 2 < last.step < 24
    assert "mse" in last.validation
    assert isinstance(end, Finished)
    assert end.reason == "completed" and 2.0 <= end.seconds < 3.5


def test_a_batch_is_never_larger_than_the_training_set() -> None:
    training = tiny(batch_size=512, epochs=3)
    assert [event.step for event in train(training, DATA) if isinstance(event, EpochEnded)] == [1, 2, 3]


# --- validation and previews ------------------------------------------------------------------------------------


class Still(Denoising):
    """Learns nothing, so that only the noise could change its numbers."""

    def players(self) -> tuple[Player, ...]:
        return (Player("model", self, lambda weights: torch.optim.SGD(weights, lr=0.0)),)


def test_validation_draws_the_same_noise_in_every_epoch_and_training_does_not() -> None:
    first, second = (event for event in train(tiny(Still), DATA) if isinstance(event, EpochEnded))
    assert first.validation == second.validation
    assert first.train != second.train


def test_validation_weighs_every_picture_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny().model
    whole = loop.validate(model, DATA.validation, 0)
    monkeypatch.setattr(loop, "VALIDATION_BATCH", 10)  # 24 pictures, in threes of 8
    assert loop.validate(model, DATA.validation, 0) == pytest.approx(whole, rel=1e-5)


def test_validation_is_cut_short_by_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    model, answers = tiny().model, iter([False, True])
    monkeypatch.setattr(loop, "VALIDATION_BATCH", 8)
    short = loop.validate(model, DATA.validation, 0, lambda: next(answers))
    assert short == loop.validate(model, Split(DATA.validation.images[:8], None), 0)


def test_previews_come_evenly_over_the_run_and_show_the_same_pictures() -> None:
    events = [event for event in train(tiny(epochs=8, previews=4), DATA) if isinstance(event, EpochEnded)]
    shown = [event.previews for event in events if event.previews]
    assert [event.epoch for event in events if event.previews] == [1, 2, 4, 6, 8]
    for previews in shown:
        assert previews.reconstructions.shape == (10, 1, 8, 8) and previews.samples.shape == (20, 1, 8, 8)
        assert previews.reconstructions.dtype == previews.samples.dtype == np.uint8
    assert not np.array_equal(shown[0].reconstructions, shown[-1].reconstructions)


def test_fewer_than_ten_validation_pictures_are_all_shown() -> None:
    few = toy.dataset((1, 8, 8), train=8, held_out=3)
    ended, _ = (event for event in train(tiny(epochs=1), few) if not isinstance(event, Stepped))
    assert isinstance(ended, EpochEnded)
    assert ended.previews is not None
    assert len(ended.previews.reconstructions) == 3 and len(ended.previews.samples) == 6


def test_the_showcase_begins_with_one_picture_of_each_class() -> None:
    images = np.zeros((12, 1, 8, 8), np.uint8)
    labels = np.array([1, 1, 1, 0, 1, 2, 0, 0, 0, 0, 0, 0])
    assert showcase(Split(images, labels)) == [3, 0, 5, 1, 2, 4, 6, 7, 8, 9]
    assert showcase(Split(images, None)) == list(range(10))
    assert showcase(Split(images[:2], labels[:2])) == [0, 1]
    assert showcase(Split(images, np.arange(12))) == list(range(10))


# --- stopping ---------------------------------------------------------------------------------------------------


def test_a_stop_that_is_already_asked_for_keeps_the_first_weights_ready_for_use() -> None:
    training = tiny()
    before = training.weights()
    assert list(train(training, DATA, lambda: True)) == [Finished("stopped", training.seconds)]
    learnt = {name for name, value in training.weights().items() if not torch.equal(value, before[name])}
    assert all(name.startswith("mixture.") for name in learnt)
    assert training.model.mixture.fitted


def test_a_stop_amid_an_epoch_comes_before_the_next_step() -> None:
    training = tiny()
    *_, last = train(training, DATA, once(training, 4))
    assert last == Finished("stopped", training.seconds)
    assert (training.step, training.epoch, training.position) == (4, 1, 1)


def test_a_stop_in_validation_leaves_the_epoch_open_and_resuming_validates_it_as_a_whole() -> None:
    whole = history(train(tiny(epochs=1), DATA))
    training = tiny(epochs=1)
    events = list(train(training, DATA, once(training, BATCHES)))
    assert history(events) == [] and isinstance(events[-1], Finished)
    assert (training.epoch, training.position) == (0, BATCHES)
    assert history(train(training, DATA)) == whole


# --- going on ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [BATCHES - 1, BATCHES, BATCHES + 2, 2 * BATCHES])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.key)
def test_a_state_from_any_step_goes_on_to_the_same_history_and_weights(
    family: type[Autoencoder], steps: int
) -> None:
    first, second = tiny(family, previews=0), tiny(family, previews=0)
    begun = list(train(first, DATA, once(first, steps)))
    tensors, counters = first.state()
    second.restore({name: value.clone() for name, value in tensors.items()}, counters)
    expected, weights = uninterrupted(family)
    assert history(begun) + history(train(second, DATA)) == expected
    assert all(torch.equal(value, second.weights()[name]) for name, value in weights.items())


@cache
def uninterrupted(family: type[Autoencoder]) -> tuple[list[tuple[Any, ...]], dict[str, Tensor]]:
    training = tiny(family, previews=0)
    return history(train(training, DATA)), training.weights()


@pytest.mark.parametrize("kind", RESTORERS, ids=lambda kind: kind.key)
def test_a_restorer_goes_on_from_a_file_as_if_nothing_had_happened(
    kind: type[Restorer], tmp_path: Path
) -> None:
    data = toy.dataset((3, 32, 32), train=12, held_out=4)
    sizes = {"widths": (8, 12, 16), "blocks": (1, 1, 1)} if kind is PhotoDenoiser else {"width": 8, "fine": 8}
    config = kind.Config(crop=16, **sizes)
    whole, first, second = (
        Training(kind(config, data.shape), Plan(epochs=2, batch_size=4, threads=1)) for _ in range(3)
    )
    list(train(whole, data))
    list(train(first, data, once(first, 3)))
    tensors, counters = first.state()
    write_tensors(tmp_path / "state", tensors, {})  # which knows no order of axes in memory but one
    second.restore(read_tensors(tmp_path / "state")[0], counters)
    list(train(second, data))
    assert all(torch.equal(value, second.weights()[name]) for name, value in whole.weights().items())


def test_a_state_of_another_model_is_refused() -> None:
    tensors, counters = tiny().state()
    with pytest.raises(RuntimeError, match="size mismatch|Missing key"):
        tiny(GAN).restore(tensors, counters)
    with pytest.raises(KeyError):
        tiny().restore(tensors, {"epoch": 1})


def test_pictures_that_stay_memory_mapped_give_the_same_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = history(train(tiny(), DATA))
    mapped = [memory_mapped(tmp_path / f"{name}.npy", DATA.split(name)) for name in ("train", "validation")]
    data = replace(DATA, train=mapped[0], validation=mapped[1])
    monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    assert Pixels(data.train.images, torch.device("cpu")).resident is None
    assert history(train(tiny(), data)) == expected


def memory_mapped(path: Path, split: Split) -> Split:
    np.save(path, split.images)
    return Split(np.load(path, mmap_mode="r"), split.labels)


@pytest.mark.parametrize("device", DEVICES)
def test_the_first_weights_depend_on_the_seed_and_not_on_the_device(device: str) -> None:
    assert all(
        torch.equal(value.cpu(), tiny().weights()[name])
        for name, value in tiny(device=device).weights().items()
    )
    assert not torch.equal(tiny(seed=1).weights()["encoder.1.weight"], tiny().weights()["encoder.1.weight"])


# --- failing ----------------------------------------------------------------------------------------------------


class Breaking(Vanilla):
    """Its fifth loss is no number."""

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        loss = super().loss(x, turn)
        broken = torch.is_grad_enabled() and turn.step == 4
        return Loss({name: value * torch.nan if broken else value for name, value in loss.minimise.items()})


@pytest.mark.usefixtures("every_step_is_read")
@pytest.mark.parametrize("device", DEVICES)
def test_a_loss_that_is_no_number_ends_the_run_with_the_last_weights_that_gave_one(device: str) -> None:
    training = tiny(Breaking, device, epochs=3)
    events = [(event, training.weights()) for event in train(training, DATA)]
    assert events[-1][0] == Diverged(4, "model")
    kept = training.weights()
    assert is_finite(training.model) and training.model.mixture.fitted
    _, before_the_last_good_step = events[3]  # events: three steps, an epoch, the fourth step, the end
    assert all(
        torch.equal(kept[n], value) for n, value in before_the_last_good_step.items() if "mixture" not in n
    )


class Exploding(GAN):
    """Its generator is lost in the very last step, after the last loss has been looked at."""

    def after_step(self, turn: Turn) -> None:
        super().after_step(turn)
        if turn.player == "generator" and turn.step == 2 * BATCHES - 1:
            with torch.no_grad():
                next(self.generator.parameters()).mul_(torch.inf)


def test_weights_lost_in_the_last_step_are_noticed_too() -> None:
    training = tiny(Exploding)
    *_, last = train(training, DATA)
    assert last == Diverged(2 * BATCHES, "generator")
    assert is_finite(training.model)


class Absurd(Vanilla):
    """A learning rate beyond all bounds."""

    def players(self) -> tuple[Player, ...]:
        return (Player("model", self, lambda weights: torch.optim.SGD(weights, lr=1e30)),)


def test_an_absurd_learning_rate_diverges_and_leaves_usable_weights() -> None:
    training = tiny(Absurd, epochs=20)
    *_, last = train(training, DATA)
    assert isinstance(last, Diverged)
    assert is_finite(training.model)
    assert training.model.sample(4, torch.Generator().manual_seed(0)).isfinite().all()


def test_codes_that_are_no_numbers_leave_the_sampler_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    training = tiny()
    monkeypatch.setattr(training.model, "encode", lambda x: torch.full((len(x), 6), torch.inf))
    fit_sampler(training, Pixels(DATA.train.images, training.device), 96)
    assert not training.model.mixture.fitted


def test_the_sampler_is_fitted_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    training = tiny()
    monkeypatch.setattr(training.model, "fit", lambda *_: seen.extend(blas_threads()))
    with threadpool_limits(2):
        fit_sampler(training, Pixels(DATA.train.images, training.device), 96)
        assert max(blas_threads()) == 2
    assert seen and max(seen) == 1


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_every_seed_and_every_epoch_has_an_order_of_its_own() -> None:
    orders = [torch.randperm(20, generator=seeded(seed, epoch)) for seed in (0, 1, 2, 77) for epoch in (1, 2)]
    assert len({tuple(order.tolist()) for order in orders}) == 8
    assert torch.equal(orders[3], torch.randperm(20, generator=seeded(1, 2)))
