"""Train the models in the box: `python -m benchmarks.box [DATASET-FAMILY ...]`, all of them without names.

One backbone, 32 numbers per code, one budget. A run that was interrupted goes on; a finished one is left alone.
"""

from __future__ import annotations

import sys

import torch

from core.data import load
from core.evaluation import summarise
from core.families import FAMILIES, family
from core.store import Store
from core.training import EpochEnded, Plan, train

EPOCHS = {"digits": 300, "mnist": 25}


def make(id: str, store: Store) -> None:
    """A shipped run: trained, scored, and with its codes under shipped/."""
    dataset, _, key = id.rpartition("-")
    data, Family = load(dataset), family(key)
    if id in store.folders():
        run = store.run(id)
        if run.status == "completed":
            return
        training = run.resume(torch.device("cpu"), data)
    else:
        model = Family(Family.Config(), data.shape)
        run = store.create(model, Plan(epochs=EPOCHS[dataset], threads=1), data)
        run.folder = run.folder.rename(store.root / id)
        training = run.begin(torch.device("cpu"))
    torch.set_num_threads(training.plan.threads)
    for event in run.record_events(train(training, data), training):
        if isinstance(event, EpochEnded):
            print(
                id,
                event.epoch,
                round(event.seconds),
                {k: round(v, 4) for k, v in event.validation.items()},
                flush=True,
            )
    summarise(run, training.model, data)
    (run.folder / "cache").rename(run.folder / "shipped")


if __name__ == "__main__":
    names = sys.argv[1:] or [f"{dataset}-{one.key}" for dataset in EPOCHS for one in FAMILIES]
    for name in names:
        make(name, Store())
