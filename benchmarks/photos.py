"""Train the photo models in the box: `python -m benchmarks.photos PHOTOS [--only ID]`, each in the rounds that it had.

A further round goes on from a run and with its settings: `--only ID --from RUN --seconds S [--batch-size N] [--seed N]
[--threads N] [--settings JSON]`, where JSON is what differs, as in `'{"crop": 96, "lr": 7e-4, "half": false}'`. Where its net has
more blocks than that of the run, it begins as its equal. What `core.camera` does to pictures has grown since the first rounds.

PHOTOS is a folder with photographs of BSDS500 that are in none of the usual test sets. Two more are left out, since they are in
Set12 and very likely in RNI15. Weights are put away in half precision, after a look at what that costs; pictures of the
photographs are not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.box import learn
from core.data import Dataset, load
from core.evaluation import summarise
from core.families import family
from core.family import Family
from core.run import Run
from core.store import Store
from core.tensors import read_tensors, write_tensors
from core.training import Plan, validate

LEFT_OUT = ("12003.jpg", "100075.jpg")
LICENCE = "BSDS500: for non-commercial research and education; Arbelaez et al. 2011"
OF_A_ROUND = ("batch_size", "settings", "seed", "threads")
LOSS = 0.01  # dB that half precision may cost


@dataclass(frozen=True)
class Round:
    """One training: from nothing, or from the weights of the round before. Settings are what differs from the model's."""

    seconds: float
    batch_size: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0  # of its crops and its noise
    threads: int = 1


@dataclass(frozen=True)
class Shipped:
    id: str
    name: str
    family: str
    seconds: float  # of the first round
    settings: Mapping[str, Any]
    further: tuple[Round, ...] = ()


BOX = {
    one.id: one
    for one in (
        Shipped(
            "photos-white-noise",
            "White noise",
            "photo_denoiser",
            5_100,
            {"half": True},
            (
                Round(7_200, 4, {"crop": 96, "lr": 7e-4, "half": False}),
                Round(7_500, 4, {"crop": 96, "lr": 5e-4, "half": False}),
                Round(7_200, 4, {"crop": 96, "lr": 5e-4, "half": False}),
                Round(7_600, 4, {"crop": 128, "lr": 5e-4}),
                Round(7_300, 4, {"crop": 128, "lr": 5e-4}),
                Round(7_500, 4, {"crop": 128, "lr": 5e-4}, seed=6),
                Round(7_500, 4, {"crop": 128, "lr": 5e-4}, seed=7),
                Round(8_300, 4, {"crop": 128, "lr": 5e-4}, seed=8),
                Round(
                    6_100,
                    4,
                    {"crop": 128, "lr": 5e-4, "blocks": (2, 3, 5), "midst": 0.5},
                    seed=9,
                    threads=2,
                ),
                Round(
                    7_800,
                    4,
                    {"crop": 128, "lr": 5e-4, "blocks": (2, 3, 5), "midst": 0.5},
                    seed=10,
                    threads=2,
                ),
                Round(
                    7_600,
                    4,
                    {"crop": 128, "lr": 3e-4, "blocks": (2, 3, 5), "midst": 0.5},
                    seed=11,
                    threads=2,
                ),
                Round(
                    7_000,
                    4,
                    {"crop": 128, "lr": 2e-4, "blocks": (2, 3, 5), "midst": 0.5},
                    seed=12,
                    threads=2,
                ),
            ),
        ),
        Shipped(
            "photos-camera-noise",
            "Camera noise",
            "photo_denoiser",
            2_500,
            {"half": True, "noise": "camera"},
            (
                Round(2_400),
                Round(8_400, 4, {"crop": 96, "lr": 7e-4, "half": False}),
                Round(7_000, 4, {"crop": 96, "lr": 5e-4, "half": False}),
                Round(4_000, 4, {"crop": 96, "lr": 5e-4, "half": False}),
                Round(6_300, 4, {"crop": 96, "lr": 5e-4, "half": False}),
                Round(7_200, 4, {"crop": 128, "lr": 5e-4}, seed=6),
            ),
        ),
        Shipped(
            "photos-autoencoder",
            "Photo autoencoder",
            "photo_autoencoder",
            5_000,
            {"half": True, "width": 192, "crop": 128},
            (Round(2_500, settings={"lr": 5e-4}), Round(4_500, settings={"lr": 5e-4}, seed=2)),
        ),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photos", description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--only", choices=list(BOX), metavar="ID")
    parser.add_argument("--from", dest="origin", metavar="RUN", help="one more round, from these weights")
    parser.add_argument("--seconds", type=float, help="of that round; without --from, of the only one")
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="of that round, as all that follows"
    )
    parser.add_argument(
        "--settings", type=json.loads, default={}, metavar="JSON", help="what differs from the run's"
    )
    parser.add_argument("--seed", type=int, default=0, help="of crops and noise")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument(
        "--ship", type=Path, metavar="FOLDER", help="only put away a run that has been trained elsewhere"
    )
    options = parser.parse_args()
    if (options.ship or options.origin) and not options.only:
        parser.error("--ship and --from go with --only: which of the models it is")
    if options.origin and not options.seconds:
        parser.error("--from goes with --seconds: how long the round is")
    plain = parser.parse_args([str(options.photos)])
    if not options.seconds and any(getattr(options, name) != getattr(plain, name) for name in OF_A_ROUND):
        parser.error("the settings of a round go with --seconds: without, every round is as it was")
    with tempfile.TemporaryDirectory() as scratch:
        data = photographs(options.photos, Path(scratch))
        for one in BOX.values():
            if options.only in (None, one.id):
                run = Run.open(options.ship) if options.ship else trained(one, data, Store(scratch), options)
                ship(run, one.id, data, Store())


def photographs(photos: Path, scratch: Path) -> Dataset:
    """Named so that the name says nothing of this machine."""
    folder = scratch / "photos_train"
    folder.mkdir()
    for photo in photos.glob("*.jpg"):
        if photo.name not in LEFT_OUT:
            shutil.copy(photo, folder / photo.name)
    os.environ["BOTTLENECK_DATA"] = str(scratch)
    return replace(load("pieces:photos_train"), title="BSDS500 photographs")


def trained(one: Shipped, data: Dataset, store: Store, options: argparse.Namespace) -> Run:
    """The run of the last round."""
    kind = family(one.family)
    run = Store().run(options.origin) if options.origin else None
    for each in rounds(one, options):
        usual = run.record.config if options.origin and run else one.settings
        config = kind.Config(**{**usual, **each.settings})
        plan = Plan(seconds=each.seconds, batch_size=each.batch_size, seed=each.seed, threads=each.threads)
        model = kind(config, data.shape)
        run = store.create(model, plan, data, one.name, origin=run)
        if run.record.origin:
            deepen(run, model)
        training = run.begin(torch.device("cpu"))
        learn(one.id, run, training, data)
        summarise(run, training.model, data)
    assert run is not None
    return run


def deepen(run: Run, model: Family) -> None:
    """Blocks that the origin of a run has not begin as identities: their last convolution is zero."""
    model.initialise(torch.Generator().manual_seed(run.record.training_plan().seed))
    fresh = {name: value.zero_() if ".last." in name else value for name, value in model.state_dict().items()}
    write_tensors(run.origin_file, fresh | read_tensors(run.origin_file)[0], {})


def rounds(one: Shipped, options: argparse.Namespace) -> list[Round]:
    if options.seconds:
        terms = (getattr(options, name) for name in OF_A_ROUND)
        return [Round(options.seconds, *terms)]
    return [Round(one.seconds), *one.further]


def ship(run: Run, id: str, data: Dataset, store: Store) -> None:
    """Put a trained run into the box: record, history and weights in half precision."""
    model = run.restorer()
    exact = validate(model, data.test, 0)["decibels"]
    halved = {name: value.half() for name, value in model.state_dict().items()}
    model.load_state_dict({name: value.float() for name, value in halved.items()})
    cost = exact - validate(model, data.test, 0)["decibels"]
    print(f"{id}: {exact:.3f} dB, half precision costs {cost:.4f} dB")
    if cost > LOSS:
        raise SystemExit(f"That is more than {LOSS} dB: keep {id} in single precision.")
    place = store.root / id
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    shutil.copy(run.metrics_file, place / run.metrics_file.name)
    shipped = Run(place, run.record)
    write_tensors(shipped.weights_file, halved, {})
    shipped.save_record(replace(run.record, dataset={**run.record.dataset, "licence": LICENCE}))


if __name__ == "__main__":
    main()
