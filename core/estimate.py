"""How long a training would take here, measured on a few of its steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from core.dataset import Dataset, Split
from core.family import Family
from core.training import Pixels, Plan, Training, preview, validate

SECONDS = 2.0  # of steps; some families do more at every sixteenth, so at least twice as many are taken
LEAST_STEPS = 32
WARM_UP = 3


@dataclass(frozen=True)
class Estimate:
    """What one epoch and one look at pictures take here, in seconds."""

    epoch_seconds: float
    preview_seconds: float
    images_per_second: float

    def seconds(self, plan: Plan) -> float:
        """Of the whole training."""
        if plan.epochs:
            return plan.epochs * self.epoch_seconds + min(plan.epochs, plan.previews) * self.preview_seconds
        return plan.seconds or 0.0

    def epochs(self, plan: Plan) -> float:
        if plan.epochs:
            return plan.epochs
        return max(0.0, (plan.seconds or 0.0) - plan.previews * self.preview_seconds) / self.epoch_seconds


def measured(model: Family, plan: Plan, data: Dataset) -> Estimate:
    """Train a few steps, validate on a few pictures, make previews once."""
    torch.set_num_threads(plan.threads)
    training = Training(model, plan)
    pixels = Pixels(data.train.images, training.device)
    size = min(plan.batch_size, len(pixels))
    epoch = step_seconds(training, pixels, size) * (len(pixels) // size) + validation_seconds(training, data)
    started = time.monotonic()
    preview(training, data, pixels)
    return Estimate(epoch, time.monotonic() - started, len(pixels) / epoch)


def step_seconds(training: Training, pixels: Pixels, size: int) -> float:
    """Of one step of all players, in the mean over whole rounds of what the lazier ones do."""
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    started = 0.0
    for step in range(1_000_000):
        if step == WARM_UP:
            started = time.monotonic()
        first = step * size % max(1, len(pixels) - size + 1)
        for _ in training.play(pixels[order[first : first + size]]):
            pass
        training.step += 1
        done = step + 1 - WARM_UP
        if done >= LEAST_STEPS and time.monotonic() - started > SECONDS:
            break
    return (time.monotonic() - started) / done


def validation_seconds(training: Training, data: Dataset) -> float:
    """Of a whole validation, from a part of it."""
    split = data.validation
    part = Split(split.images[:500], None if split.labels is None else split.labels[:500])
    started = time.monotonic()
    validate(training.model, part, training.plan.seed)
    return (time.monotonic() - started) * math.ceil(len(split) / len(part))
