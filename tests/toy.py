"""A small synthetic dataset of any shape: soft strokes whose direction is their class."""

from __future__ import annotations

import numpy as np

from core.data import Dataset, Split
from core.family import Autoencoder, Shape
from core.training import EpochEnded, Plan, Training, train

CLASSES = ("flat", "falling", "rising")
QUICK = {"net": "mlp", "hidden": (128,), "lr": 5e-3}  # settings that learn strokes of 16x16 in 320 steps


def strokes(count: int, shape: Shape, seed: int = 0) -> Split:
    """One stroke a picture: uint8 (count,C,H,W) and labels (count,), read-only as from `load`."""
    channels, height, width = shape
    draw = np.random.default_rng(seed)
    labels = draw.integers(len(CLASSES), size=count)
    angle = (np.pi / 3 * labels + draw.normal(0, 0.12, count))[:, None, None]
    x0, y0 = draw.uniform(-0.4, 0.4, (2, count, 1, 1))
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    along = np.cos(angle) * (x - x0) + np.sin(angle) * (y - y0)
    across = np.cos(angle) * (y - y0) - np.sin(angle) * (x - x0)
    ink = np.exp(-((along / 0.6) ** 2) - (across / 0.22) ** 2)[:, None]  # (count,1,H,W)
    colour = draw.uniform(0.35, 1.0, (count, channels, 1, 1)) if channels > 1 else 1.0
    images = np.round(255 * ink * colour).astype(np.uint8)
    for array in (images, labels):
        array.flags.writeable = False
    return Split(images, labels)


def dataset(shape: Shape = (1, 8, 8), *, train: int = 256, held_out: int = 64, seed: int = 0) -> Dataset:
    """Three disjoint splits: `train` pictures, and `held_out` each for validation and test."""
    whole = strokes(train + 2 * held_out, shape, seed)
    labels = whole.labels
    assert labels is not None

    def cut(first: int, count: int) -> Split:
        return Split(whole.images[first : first + count], labels[first : first + count])

    return Dataset(
        name="toy",
        title="Soft strokes",
        train=cut(0, train),
        validation=cut(train, held_out),
        test=cut(train + held_out, held_out),
        class_names=CLASSES,
        licence="CC0",
        fingerprint=f"{seed:016x}",
    )


def strokes_to_learn() -> Dataset:
    """512 pictures of 16x16: 16 batches of `train_quickly`."""
    return dataset((1, 16, 16), train=512, held_out=128)


def train_quickly(model: Autoencoder, data: Dataset, seed: int = 0, epochs: int = 20) -> dict[str, float]:
    """Train a model, with `QUICK` settings in about a second; its last validation."""
    training = Training(model, Plan(epochs=epochs, batch_size=32, seed=seed, previews=0, threads=1))
    *_, ended, _ = train(training, data)
    assert isinstance(ended, EpochEnded)
    return dict(ended.validation)
