"""How long a training would take here, measured on a few of its steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from core.dataset import Dataset
from core.family import Family
from core.training import Pixels, Plan, Training, preview, take_threads, validate

SECONDS = 2.0  # of steps
ROUND = 32  # steps; some families do more at every sixteenth
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
            looks = min(plan.epochs, plan.previews + 1)
            return plan.epochs * self.epoch_seconds + looks * self.preview_seconds
        return plan.seconds or 0.0

    def epochs(self, plan: Plan) -> float:
        if plan.epochs:
            return plan.epochs
        left = (plan.seconds or 0.0) - (plan.previews + 1) * self.preview_seconds
        return max(0.0, left) / self.epoch_seconds


def measured(model: Family, plan: Plan, data: Dataset) -> Estimate:
    """Train a few steps, validate on a few pictures, make previews once."""
    take_threads(plan)
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

    def take(steps: int) -> None:
        for _ in range(steps):
            first = training.step * size % max(1, len(pixels) - size + 1)
            for _ in training.play(pixels[order[first : first + size]]):
                pass
            training.step += 1

    take(WARM_UP)
    started, done = time.monotonic(), 0
    while done == 0 or time.monotonic() - started <= SECONDS:
        take(ROUND)
        done += ROUND
    return (time.monotonic() - started) / done


def validation_seconds(training: Training, data: Dataset) -> float:
    """Of a whole validation, from a part of it."""
    split = data.validation
    part = split.part(slice(500))
    started = time.monotonic()
    validate(training.model, part, training.plan.seed)
    return (time.monotonic() - started) * math.ceil(len(split) / len(part))
