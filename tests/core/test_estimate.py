from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from core import estimate
from core.data import load
from core.estimate import Estimate, measured
from core.families import GAN, Vanilla
from core.training import BUDGETS, MOST_EPOCHS, Plan, epochs_for

FOUND = Estimate(epoch_seconds=2.0, preview_seconds=0.5, images_per_second=100.0)


def test_a_plan_of_epochs_takes_its_epochs_and_its_previews() -> None:
    assert FOUND.seconds(Plan(epochs=10, previews=4)) == 10 * 2 + 5 * 0.5  # one after the first epoch
    assert FOUND.seconds(Plan(epochs=2, previews=24)) == 2 * 2 + 2 * 0.5  # never more than one an epoch
    assert FOUND.epochs(Plan(epochs=10)) == 10


def test_a_plan_of_seconds_holds_the_epochs_that_previews_leave_room_for() -> None:
    assert FOUND.seconds(Plan(seconds=60)) == 60
    assert FOUND.epochs(Plan(seconds=60, previews=24)) == pytest.approx((60 - 25 * 0.5) / 2)
    assert FOUND.epochs(Plan(seconds=1, previews=24)) == 0


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def passing(self, seconds: float, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*words: Any, **options: Any) -> Any:
            self.now += seconds
            return act(*words, **options)

        return acted


@pytest.mark.parametrize("players", [1, 3])
def test_every_step_validation_and_preview_is_counted_as_often_as_it_happens(
    players: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    Family = {1: Vanilla, 3: GAN}[players]
    monkeypatch.setattr(estimate, "time", clock)
    monkeypatch.setattr(Family, "loss", clock.passing(0.01, Family.loss))  # once for each player
    monkeypatch.setattr(estimate, "validate", clock.passing(3.0, lambda *_: None))
    monkeypatch.setattr(estimate, "preview", clock.passing(0.5, lambda *_: None))
    data = load("digits")
    model = Family(Family.Config(width=8, hidden=(16,)), data.shape)
    found = measured(model, Plan(epochs=1, threads=1), data)
    steps, validations = len(data.train) // 64, 1  # 200 pictures are looked at in one go
    assert found.epoch_seconds == pytest.approx(steps * 0.01 * players + validations * 3.0)
    assert found.preview_seconds == 0.5
    assert found.images_per_second == pytest.approx(len(data.train) / found.epoch_seconds)


def test_measuring_draws_from_no_global_generator() -> None:
    data = load("digits")
    model = Vanilla(Vanilla.Config(width=8, hidden=(16,)), data.shape)
    before = torch.get_rng_state()
    measured(model, Plan(epochs=1, threads=1), data)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_budget_is_a_number_of_pictures_seen() -> None:
    assert [epochs_for(budget, 55_000) for budget in BUDGETS] == [5, 25, 100]
    assert epochs_for("quick", 10**9) == 1
    assert epochs_for("best", 10) == epochs_for("best", 0) == MOST_EPOCHS
