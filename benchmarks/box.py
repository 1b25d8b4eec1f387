"""Train the models in the box: `python -m benchmarks.box [ID ...]`, all of them without names.

Runs on one dataset that differ in family alone share backbone, numbers per code and budget. A run that was interrupted goes
on; a finished one is left alone. Emoji lie in $BOTTLENECK_DATA/emoji, where `benchmarks.emoji` writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from core.data import Dataset, load
from core.evaluation import nearest, summarise
from core.families import FAMILIES, family
from core.family import Autoencoder
from core.pictures import as_floats
from core.store import Run, Store
from core.training import EpochEnded, Plan, Training, train

EMOJI = "folder:emoji@48"
SAMPLES = 1_000
SMALL: Mapping[str, Any] = {"hidden": (96,)}  # two fifths of the default net's weights
EMOJI_LICENCE = "Apache 2.0 (Google, Noto Emoji)"
# the last holds pictures of the dataset
MADE_WHILE_TRAINING = ("steps.jsonl", "lock", "record.lock", "previews/originals.png")


@dataclass(frozen=True)
class Shipped:
    id: str
    family: str
    dataset: str
    epochs: int | None = None
    seconds: float | None = None
    batch_size: int = 64
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    previews: int = 24

    def data(self) -> Dataset:
        data = load(self.dataset)
        return replace(data, title="Emoji", licence=EMOJI_LICENCE) if self.dataset == EMOJI else data


def all_six(dataset: str, suffix: str = "", **terms: Any) -> list[Shipped]:
    return [Shipped(f"{dataset}-{one.key}{suffix}", one.key, dataset, **terms) for one in FAMILIES]


def best(dataset: str, seconds: float) -> list[Shipped]:
    """The six after the same time on the same core. A likelihood can be quoted of black and white pictures only."""
    six = all_six(dataset, seconds=seconds, batch_size=128, settings={"lr": 3e-3, "hidden": ()})
    return [
        replace(one, settings={**one.settings, "binarise": True}) if one.family == "vae" else one
        for one in six
    ]


def inside(dataset: str) -> list[Shipped]:
    """What the page on the inside of the VAE compares: codes of 2 and of 16 numbers under five weights of the KL term."""
    small = {"width": 16, "hidden": (128, 128, 64)}
    plain = Shipped(
        f"{dataset}-vanilla-2",
        "vanilla",
        dataset,
        20,
        settings={"latent_dim": 2, **small},
        name="2 numbers",
        previews=8,
    )
    ladder = [
        Shipped(
            f"{dataset}-vae-{numbers}-beta-{beta:g}", "vae", dataset, 20,
            settings={"latent_dim": numbers, "beta": beta, **small}, name=f"{numbers} numbers, β = {beta:g}", previews=8,
        )
        for numbers in (2, 16)
        for beta in (0.0, 0.5, 1.0, 4.0, 10.0)
    ]  # fmt: skip
    return [plain, *ladder]


BOX = [
    *inside("fashion-mnist"),
    *inside("mnist"),
    *all_six("digits", epochs=300, settings=SMALL),
    *(run for seed in (2, 1, 0) for run in all_six("mnist", f"-seed{seed}", epochs=25, seed=seed, settings=SMALL)),
    *best("mnist", 600),  # pages propose the youngest
    *all_six("fashion-mnist", epochs=25, settings=SMALL),
    *(Shipped(f"cifar10-{key}", key, "cifar10", 25, settings={"latent_dim": 128, **SMALL}) for key in ("vanilla", "vae")),
    *(Shipped(f"emoji-{key}", key, EMOJI, 300, settings={"latent_dim": 64, **SMALL}) for key in ("vanilla", "vae")),
    Shipped("emoji-gan", "gan", EMOJI, 600, settings={"latent_dim": 64, "lr": 1e-3, "augment": True, **SMALL}),
]  # fmt: skip


def make(one: Shipped, store: Store) -> None:
    """Train a shipped run and put it away."""
    data = one.data()
    if one.id in store.folders():
        run = store.run(one.id)
        if run.status == "completed":
            if not (run.folder / "shipped").exists():
                put_away(run, data)
            return
        training = run.resume(torch.device("cpu"), data)
    else:
        Family = family(one.family)
        model = Family(Family.Config(**one.settings), data.shape)
        plan = {name: getattr(one, name) for name in ("epochs", "seconds", "batch_size", "seed", "previews")}
        run = store.create(model, Plan(threads=1, **plan), data, one.name)
        run.folder = run.folder.rename(store.root / one.id)
        training = run.begin(torch.device("cpu"))
    learn(one.id, run, training, data)
    put_away(run, data)


def put_away(run: Run, data: Dataset) -> None:
    """Scored, with what was computed of it under shipped/, and without pictures of the dataset."""
    model = run.load()
    summarise(run, model, data)
    if data.name == EMOJI:
        run.add_metrics(nearest=nearness(model, data))
    for name in MADE_WHILE_TRAINING:
        (run.folder / name).unlink(missing_ok=True)
    (run.folder / "cache").rename(run.folder / "shipped")  # last: where it is, nothing is left to do


def learn(id: str, run: Run, training: Training, data: Dataset) -> None:
    """Train to the end of the plan, telling of every epoch."""
    torch.set_num_threads(training.plan.threads)
    for event in run.record_events(train(training, data), training):
        if isinstance(event, EpochEnded):
            numbers = {name: round(value, 4) for name, value in event.validation.items()}
            print(id, event.epoch, round(event.seconds), numbers, flush=True)


def nearness(model: Autoencoder, data: Dataset) -> dict[str, float]:
    """How like a training picture samples are, beside how like one the test pictures are: few pictures are soon learnt by heart.

    Median MSE per pixel to the nearest training picture; `closer`: the share of samples nearer to one than the nearest
    twentieth of the test pictures, which is 0.05 where samples are as new as test pictures.
    """
    with torch.inference_mode():
        samples = model.sample(SAMPLES, torch.Generator().manual_seed(0))
    _, of_samples = nearest(samples, data.train)
    _, of_test = nearest(as_floats(data.test.images), data.train)
    closer = (of_samples < of_test.quantile(0.05)).float().mean()
    medians = {"samples": of_samples.median().item(), "test": of_test.median().item()}
    return {"n": SAMPLES, **medians, "closer": closer.item()}


if __name__ == "__main__":
    by_id = {one.id: one for one in BOX}
    for id in sys.argv[1:] or by_id:
        make(by_id[id], Store())
