"""Trains families on the digits, kills them at a chosen moment and resumes them, each in a process of its own.

`python -m tests.core.killed STORE` -> one JSON object a line: family, moment, how the killed process ended, how the
resumed one did, and the run's id; a run that nobody killed has the moment "never". Processes are forks of this one, so
that torch is imported once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import skimage.metrics  # noqa: F401  (here, and not in every fork)
import sklearn.mixture  # noqa: F401
import torch

from core import evaluation, files, run, training
from core.__main__ import main
from core.data import load
from core.families import FAMILIES, GAN, Vanilla
from core.store import Run
from core.tensors import read_tensors
from core.training import EpochEnded

SETTINGS = {"sparse": ["k=2"]}


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at(call: int, original: Callable[..., Any], instead: Callable[..., Any] = die) -> Callable[..., Any]:
    """`original` until its `call`-th call, which is `instead`."""
    calls = iter(range(1, call))
    return lambda *args, **kwargs: (original if next(calls, None) else instead)(*args, **kwargs)


def half_a_line(run: Run, event: EpochEnded) -> None:
    with run.metrics_file.open("a") as file:
        file.write('{"epoch": 2, "st')
    die()


def inside_an_epoch() -> None:
    training.Training.play = at(8, training.Training.play)  # type: ignore[method-assign]


def in_validation() -> None:
    training.validate = at(2, training.validate)


def while_a_file_is_written() -> None:
    files.os.fsync = at(9, os.fsync)  # type: ignore[attr-defined]


def before_a_file_gets_its_name() -> None:
    files.replace = at(10, files.replace)


def while_a_line_is_written() -> None:
    Run.append_metrics = at(2, Run.append_metrics, half_a_line)  # type: ignore[method-assign]


def between_a_line_and_its_checkpoint() -> None:
    Run.save_previews = at(2, Run.save_previews)  # type: ignore[method-assign]


MOMENTS: tuple[Callable[[], None], ...] = (
    inside_an_epoch,
    in_validation,
    while_a_file_is_written,
    before_a_file_gets_its_name,
    while_a_line_is_written,
    between_a_line_and_its_checkpoint,
)

# Every family has a state of its own to go on from. Which file was half written is a question to the store, asked with the
# family that keeps most: players who take turns, averages, noise in every loss. And with one that fits a mixture.
CASES = [
    (family.key, moment)
    for family in FAMILIES
    for moment in (MOMENTS if family in (Vanilla, GAN) else MOMENTS[:1])
]


def fork(arguments: list[str], prepare: Callable[[], None] = lambda: None) -> int:
    """The exit status of the command line in a fork; negative where a signal ended it."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    prepare()
    os._exit(main(arguments))


def only_run(root: Path) -> str:
    (folder,) = root.glob("[!.]*")
    return folder.name


def checkpointed(folder: Path) -> int:
    """The step that a run would go on from."""
    file = folder / "checkpoint.safetensors"
    return int(json.loads(read_tensors(file)[1]["counters"])["step"]) if file.exists() else 0


def report(**row: Any) -> None:
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.optim.SGD([torch.zeros(1)])  # the first one imports for seconds, which no fork should have to
    load("digits")
    run.CHECKPOINT_EVERY = run.STEP_EVERY = (
        training.READ_EVERY
    ) = -1.0  # a checkpoint and a line at every step
    training.FIT_CODES = evaluation.SSIM_PICTURES = 20  # neither enters the history
    for family in FAMILIES:
        settings = ["--set", "net=mlp", "hidden=16", "latent_dim=8", *SETTINGS.get(family.key, [])]
        plan = ["--epochs", "2", "--batch-size", "256", "--threads", "1"]  # five steps an epoch
        begin = ["train", "--family", family.key, "--dataset", "digits", *plan, *settings]
        for moment in (None, *(moment for key, moment in CASES if key == family.key)):
            name = moment.__name__ if moment else "never"
            root = Path(sys.argv[1], f"{family.key}-{name}")
            ended = fork(["--store", str(root), *begin], moment or (lambda: None))
            left = checkpointed(root / only_run(root))
            resumed = fork(["--store", str(root), "train", "--resume", only_run(root)]) if moment else 0
            report(family=family.key, moment=name, ended=ended, left=left, resumed=resumed, id=only_run(root))
