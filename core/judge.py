"""The judge: a small classifier of a dataset's own pictures, by whose features and certainty generated ones are measured.

    picture ──5x5 and 3x3 convolutions, halved until the grid is at most 4x4──▶ 64 features ──linear──▶ classes
    minimise  -log p(class | picture)         over training pictures, each shifted a little, by Adam along a cosine

A distance in these features tells models of one dataset apart. It is no distance in the features of anybody else's net:
numbers from other papers cannot be set beside it. Judges are kept beside the runs, by the fingerprint of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core import nets
from core.dataset import Dataset, Split
from core.family import Shape, adam
from core.files import check_file, writing
from core.tensors import read_tensors, write_tensors
from core.training import Pixels

VERSION = 1  # of net and training; judges of another one are made anew
FEATURES = 64
WIDTHS = (24, 48, 96)  # channels after each convolution
LARGE = 16  # pixels a side from which on the first convolution halves, too
LARGEST_GRID = 4
PEAK_RATE = 3e-3
BATCH = 64
AT_ONCE = 500  # where nothing is learnt
TELL_EVERY = 20  # batches
PIXELS_SEEN = 2.6e8  # in training: six times the 55,000 training pictures of MNIST
EPOCHS = (2, 60)  # at least and at most
SHIFT = 1 / 14  # of a side, at most: two pixels of 28
MOST_BYTES = 2**23  # of a kept file
BOX = Path(__file__).resolve().parent.parent / "models_store"

Teller = Callable[[float, str], None]


def silent(fraction: float, text: str) -> None:
    """Tell nobody."""


class Judge(nn.Module):
    """A classifier of pictures of one shape, and what is known of it. No picture's features depend on its batch mates."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.accuracy = 0.0  # on test pictures, once trained
        self.epochs = self.seed = 0
        channels, height, width = shape
        stride = 2 if max(height, width) > LARGE else 1
        layers: list[nn.Module] = []
        for wider, size in zip(WIDTHS, (5, 3, 3), strict=True):
            layers.append(nn.Conv2d(channels, wider, size, stride, size // 2))
            if max(height, width) > LARGEST_GRID:
                layers += [nn.MaxPool2d(2, ceil_mode=True)] if stride == 1 else []
                height, width = math.ceil(height / 2), math.ceil(width / 2)
            layers += [*nets.norm(wider), nn.GELU()]
            channels, stride = wider, 1
        grid = min(height, LARGEST_GRID), min(width, LARGEST_GRID)
        layers += [nn.AdaptiveAvgPool2d(grid), nn.Flatten()]
        self.body = nn.Sequential(*layers, *nets.dense(channels * math.prod(grid), (FEATURES,)))
        self.head = nn.Linear(FEATURES, classes)

    def initialise(self, rng: torch.Generator) -> None:
        """Draw fresh weights: those of the body as families do (He et al. 2015); the head starts undecided."""
        for module in self.body.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=rng)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=0.05, generator=rng)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor) -> Tensor:
        """(B,C,H,W) in [0,1] -> (B,64)."""
        return self.body(x.contiguous(memory_format=torch.channels_last))  # a third faster

    def probabilities(self, x: Tensor) -> Tensor:
        """(B,C,H,W) in [0,1] -> (B,K), summing to 1."""
        return self.seen(x)[1]

    def seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and probabilities at once."""
        features = self.features(x)
        return features, self.head(features).softmax(1)


# --- training ---------------------------------------------------------------------------------------------------


def trained(data: Dataset, seed: int = 0, tell: Teller = silent) -> Judge:
    """A judge of data whose pictures have classes: two or three minutes on one core for MNIST. The same seed, the same judge."""
    assert data.train.labels is not None
    rng = torch.Generator().manual_seed(seed)
    judge = Judge(data.shape, len(data.class_names))
    judge.initialise(rng)
    judge.seed, judge.epochs = seed, epochs_for(data.train)
    pixels, labels = Pixels(data.train.images, torch.device("cpu")), torch.tensor(data.train.labels)
    optimiser = adam(PEAK_RATE)(judge.parameters())
    batches = max(1, len(pixels) // BATCH)
    for epoch in range(judge.epochs):
        order = torch.randperm(len(pixels), generator=rng)
        for batch in range(batches):
            done = (epoch + batch / batches) / judge.epochs
            if batch % TELL_EVERY == 0:
                tell(done, f"Training the judge, epoch {epoch + 1} of {judge.epochs}")
            some = order[batch * BATCH : (batch + 1) * BATCH]
            logits = judge.head(judge.features(shifted(pixels[some], rng)))
            optimiser.param_groups[0]["lr"] = PEAK_RATE * 0.5 * (1 + math.cos(math.pi * done))
            optimiser.zero_grad()
            F.cross_entropy(logits, labels[some]).backward()
            optimiser.step()
    judge.half().float()  # as it is kept, so that it judges the same when it is read again
    judge.requires_grad_(False)
    judge.accuracy = accuracy(judge, data.test)
    return judge


def epochs_for(split: Split) -> int:
    """So many that training takes about as long whatever the data."""
    fewest, most = EPOCHS
    return min(most, max(fewest, round(PIXELS_SEEN / math.prod(split.images[:, 0].shape))))


def shifted(x: Tensor, rng: torch.Generator) -> Tensor:
    """Every picture of x (B,C,H,W) moved on its own by up to a fourteenth of a side; its edge repeats where it leaves."""
    height, width = x.shape[2:]
    far = max(1, round(SHIFT * max(height, width)))
    windows = F.pad(x, (far, far, far, far), mode="replicate").unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * far + 1, (2, len(x)), generator=rng)
    return windows[torch.arange(len(x)), :, down, right]


@torch.inference_mode()
def accuracy(judge: Judge, split: Split) -> float:
    """The share of a split's pictures whose class the judge names."""
    assert split.labels is not None
    pixels = Pixels(split.images, torch.device("cpu"))
    named = torch.cat([judge.probabilities(x).argmax(1) for x in pixels.batches(AT_ONCE)])
    return (named == torch.tensor(split.labels)).double().mean().item()


# --- keeping ----------------------------------------------------------------------------------------------------


def judge_for(data: Dataset, root: Path, tell: Teller = silent) -> Judge | None:
    """The judge of these data: kept in the store at `root`, else in the box, else trained and kept there.

    None where pictures have no classes to tell apart. Raises StoreError where a new one cannot be written.
    """
    labels = data.train.labels
    if labels is None or data.test.labels is None or len(np.unique(labels)) < 2:
        return None
    for place in (root, BOX):
        if (found := kept(place, data)) is not None:
            return found
    judge = trained(data, tell=tell)
    keep(judge, root, data)
    return judge


def file_of(root: Path, data: Dataset) -> Path:
    return root / ".judges" / f"{data.fingerprint}.safetensors"


def keep(judge: Judge, root: Path, data: Dataset) -> None:
    """Raises StoreError where nothing can be written."""
    file = file_of(root, data)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    told = {name: repr(getattr(judge, name)) for name in ("accuracy", "epochs", "seed", "classes")}
    weights = {name: value.half() for name, value in judge.state_dict().items()}
    write_tensors(file, weights, {"version": str(VERSION), "dataset": data.name, **told})


def kept(root: Path, data: Dataset) -> Judge | None:
    """None where there is none, or none that fits these data: another one takes its place."""
    file = file_of(root, data)
    try:
        check_file(file, MOST_BYTES)
        weights, told = read_tensors(file)
        judge = Judge(data.shape, len(data.class_names))
        judge.load_state_dict(weights)
        judge.accuracy = float(told["accuracy"])
        judge.epochs, judge.seed = int(told["epochs"]), int(told["seed"])
        sound = all(value.isfinite().all() for value in weights.values()) and 0 <= judge.accuracy <= 1
        fits = told["version"] == str(VERSION) and told["classes"] == str(judge.classes)
    except (OSError, ValueError, KeyError, RuntimeError):
        return None
    return judge.requires_grad_(False) if sound and fits else None
