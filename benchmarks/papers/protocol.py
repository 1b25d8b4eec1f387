"""What the rows share: MNIST cut as the papers cut it, trainings that can be interrupted, a linear classifier on top.

Settings were chosen on the last 10,000 of the 60,000 training pictures (`--choose` holds them out and reads them in the place
of the test set). A reported row learns from all 60,000 and reads the 10,000 test pictures once.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias, TypeVar
from zlib import crc32

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from core.data import Dataset, Split, load
from core.dataset import fingerprint
from core.family import Family
from core.files import check_file
from core.tensors import read_tensors, write_tensors
from core.training import Diverged, EpochEnded, Pixels, Plan, Stepped, Training, train

HELD_OUT = 10_000
SAVE_EVERY = 60.0  # seconds of training that an interruption may cost
TELL_EVERY = 60.0
BATCH = 500
T = TypeVar("T", bound=Family)
Labelled: TypeAlias = tuple[np.ndarray | csr_matrix, np.ndarray]  # features (N,F) and labels (N,)


@dataclass(frozen=True)
class Terms:
    """Under which a row is made."""

    seconds: float  # for each training
    seeds: tuple[int, ...]
    choosing: bool
    device: torch.device
    folder: Path  # of trainings, finished and interrupted

    def mnist(self) -> Dataset:
        """`test` is the test set, or while choosing the held-out pictures; of `validation` nothing depends."""
        data = load("mnist")
        whole = joined(data.train, data.validation)
        known, held_out = cut(whole, 0, len(whole) - HELD_OUT), cut(whole, len(whole) - HELD_OUT, len(whole))
        if self.choosing:  # other data: what judges them must not have learnt from what is held out
            few = cut(held_out, 0, 1_000)
            other = fingerprint((known, few, held_out))
            return replace(data, train=known, validation=few, test=held_out, fingerprint=other)
        return replace(data, train=whole, validation=cut(whole, 0, 1_000))

    def learnt(self, name: str, model: T, data: Dataset, *, seed: int, batch_size: int = 128) -> T:
        """`model` trained for `seconds`, going on where a run of the same name and the same make was interrupted.

        Finished ones are read. Delete the folder to train anew. Raises SystemExit where training diverges.
        """
        plan = Plan(
            seconds=self.seconds,
            batch_size=batch_size,
            seed=seed,
            threads=torch.get_num_threads(),
            previews=0,
        )
        model.to(self.device)
        training = Training(model, plan)
        kind = "choosing" if self.choosing else "whole"
        file = self.folder / f"{name}-{self.seconds:g}s-{kind}-seed{seed}-{make(training)}.safetensors"
        with suppress(FileNotFoundError):
            check_file(file, 2**31)
            tensors, header = read_tensors(file)
            training.restore(tensors, json.loads(header["counters"]))
        if training.seconds < self.seconds:
            self.go_on(name, training, data, file)
        epochs = training.step * batch_size / len(data.train)
        say(f"{name}: seed {seed}, {epochs:.0f} epochs, {training.seconds:.0f} s")
        return model.eval()

    def go_on(self, name: str, training: Training, data: Dataset, file: Path) -> None:
        saved = told = time.monotonic()
        for event in train(training, data):
            now = time.monotonic()
            if isinstance(event, Diverged):
                sys.exit(f"{name} diverged at step {event.step}")
            if isinstance(event, EpochEnded) and now - told > TELL_EVERY:
                told = now
                say(f"{name}: epoch {event.epoch}, {event.progress:.0%}, {dict(event.train)}")
            if isinstance(event, Stepped) and now - saved > SAVE_EVERY:
                saved = now
                save(training, file)
        save(training, file)


def make(training: Training) -> str:
    """Tells trainings apart that go by one name: family, settings, batch and the weights that they begin with."""
    model = training.model
    told = [type(model).__name__, json.dumps(model.config.to_json()), str(training.plan.batch_size)]
    weights = (value.detach().cpu().numpy().tobytes() for value in model.state_dict().values())
    return f"{crc32(b''.join([*map(str.encode, told), *weights])):08x}"


def save(training: Training, file: Path) -> None:
    tensors, counters = training.state()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(file, tensors, {"counters": json.dumps(counters)})


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# --- pictures ---------------------------------------------------------------------------------------------------


def joined(a: Split, b: Split) -> Split:
    assert a.labels is not None and b.labels is not None
    return Split(np.concatenate([a.images, b.images]), np.concatenate([a.labels, b.labels]))


def cut(split: Split, first: int, end: int) -> Split:
    return split.part(slice(first, end))


@torch.inference_mode()
def each(split: Split, what: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """`what` of all pictures of a split, in batches (B,C,H,W) -> (B,...)."""
    return torch.cat([what(x).cpu() for x in Pixels(split.images, device).batches(BATCH)])


def sse(model: Family, split: Split, device: torch.device) -> float:
    """Squared error summed over a picture's pixels, in the mean over pictures."""
    return (
        each(split, lambda x: (model.reconstruct(x) - x).square().flatten(1).sum(1).double(), device)
        .mean()
        .item()
    )


# --- numbers ----------------------------------------------------------------------------------------------------


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and standard deviation, or the one value there is."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


# --- a linear classifier on features ----------------------------------------------------------------------------


PENALTIES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # L2, beside the mean cross-entropy
STEPS = 200


def logistic_error(train: Tensor, labels: np.ndarray, test: Tensor, test_labels: np.ndarray) -> float:
    """Test error in % of multinomial logistic regression on features (N,F), scaled by one number for all of them.

    Its L2 penalty is chosen on the last sixth of the training pictures; the classifier then learns from all of them.
    """
    scale = train.std()
    seen, unseen = packed(train / scale), packed(test / scale)
    kept = len(labels) * 5 // 6
    known, held_out = (seen[:kept], labels[:kept]), (seen[kept:], labels[kept:])
    by_penalty = {penalty: classifier_error(known, held_out, penalty) for penalty in PENALTIES}
    best = min(by_penalty, key=by_penalty.__getitem__)
    say(f"  error by L2 on the held-out sixth: {by_penalty}")
    return classifier_error((seen, labels), (unseen, test_labels), best)


def packed(features: Tensor) -> np.ndarray | csr_matrix:
    """Without its zeros where these are most of it: a classifier learns from it in a third of the time."""
    return (
        csr_matrix(features.numpy()) if features.count_nonzero() < features.numel() / 5 else features.numpy()
    )


def classifier_error(train: Labelled, test: Labelled, penalty: float) -> float:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, labels = train
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last digits of the weights decide nothing
        fitted = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=STEPS).fit(features, labels)
    return 100 * float(np.mean(fitted.predict(test[0]) != test[1]))
