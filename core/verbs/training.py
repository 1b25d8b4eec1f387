"""Training: how long it would take, the data it needs, the thing itself, and its end."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.jobs import Job, Jobs, Work
from core.verbs.console import BadInput, json_line, say, terms, typed
from core.verbs.declaring import Parser, Verbs

if TYPE_CHECKING:
    import torch

    from core.data import Dataset
    from core.family import Family
    from core.store import Run, Store
    from core.training import Plan

EPOCHS = 20  # where neither epochs nor seconds are given


def declare(verbs: Verbs) -> None:
    one = verbs.add(
        train, "Train a model, or resume a run. The last line of stdout is the run's id.", job=True
    )
    describe(one)
    one.add_argument("--name", metavar="TEXT")
    one.add_argument("--resume", metavar="RUN", help="go on where it was interrupted or stopped")
    one = verbs.add(estimate, "Measure on a few steps how long a training would take.", job=True, json=True)
    describe(one)
    one = verbs.add(fetch, "Download a dataset.", job=True)
    one.add_argument("dataset", metavar="D")
    one = verbs.add(stop, "Stop a job: within two seconds, and what it has learnt is kept.")
    one.add_argument("of", metavar="JOB", help="a job, or the run that it trains")


def describe(one: Parser) -> None:
    """The flags that say what is to be trained, and how."""
    one.add_argument("--family", metavar="F")
    one.add_argument(
        "--dataset",
        metavar="D",
        help="a name; own:NAME or folder:PATH, then [@SIZE][gray]; pieces:PATH for photo models",
    )
    one.add_argument("--from", dest="origin", metavar="RUN", help="start from the weights of this run")
    budget = one.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=int, metavar="N", help=f"default: {EPOCHS}")
    budget.add_argument("--seconds", type=float, metavar="S")
    one.add_argument("--seed", type=int, metavar="N", help="default: 0")
    one.add_argument("--batch-size", type=int, metavar="N")
    one.add_argument("--threads", type=int, metavar="N", help="of torch on a CPU; default: all cores but one")
    one.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        help="a resumed run stays where it was; default: auto",
    )
    one.add_argument("--set", nargs="+", action="extend", metavar="NAME=VALUE", help="settings of the family")


def train(options: argparse.Namespace) -> None:
    from core.data import is_local

    work: Work = options.work
    # what is unknown or missing should not have to wait for its turn
    if options.dataset:
        is_local(options.dataset)
    if not options.resume:
        check_named(options)
    with work.lane(f"train-{device_kind(options)}", waiting=say_who_is_ahead):
        import sklearn.mixture  # noqa: F401  (takes a second, and the end needs it: now, so that no stop has to wait)
        import torch

        torch.optim.SGD([torch.zeros(1)])  # likewise: the first optimiser imports for seconds

        from core.evaluation import summarise
        from core.store import Store
        from core.training import Diverged, EpochEnded, Finished, take_threads
        from core.training import train as events

        store = Store(options.store)
        run, data, device = resumed(options, store) if options.resume else created(options, store)
        work.stop.heed()
        work.stop.at_once = False
        with run.held():
            training = run.resume(device, data) if options.resume else run.begin(device)
            work.tell(run=run.id)  # not before: where it cannot be resumed, this job is none of the run's
            threads = take_threads(training.plan)
            say(f"{run.id}: training on {data.title}, {len(data.train)} pictures, {device.type}")
            if threads < training.plan.threads:
                say(
                    f"with {threads} threads instead of {training.plan.threads}: there are no more cores here"
                )
            for event in run.record_events(events(training, data, work.stop), training):
                match event:
                    case EpochEnded():
                        pace = f"{event.seconds:6.0f} s  {event.images_per_second:6.0f} pictures/s"
                        shown = f"{event.progress:4.0%}  {pace}  {terms(event.validation)}"
                        say(f"epoch {event.epoch:4}  {shown}")
                    case Diverged():
                        say(f"diverged at step {event.step} ({event.player}); the last good weights are kept")
                    case Finished(reason="stopped"):
                        say(f"stopped; `python -m core train --resume {run.id}` goes on")
        work.stop.at_once = True
        try:
            if run.status == "completed" and not work.stop.asked:
                summarise(run, training.model, data)
        finally:
            print(run.id)


def check_named(options: argparse.Namespace) -> None:
    """Raises BadInput where it is not said what to train, or nobody knows the family. Imports torch only to say so."""
    from core.glance import FAMILIES_FOLDER

    if not (options.origin or (options.family and options.dataset)):
        raise BadInput(
            "train needs --family and --dataset, or --resume RUN, or --from RUN (see `python -m core train --help`)"
        )
    if options.family and not (FAMILIES_FOLDER / f"{options.family}.py").is_file():
        from core.families import family

        with typed():
            family(options.family)


def say_who_is_ahead(job: Job) -> None:
    say(f"waiting for {job.title} (job {job.id}) to end")


def device_kind(options: argparse.Namespace) -> str:
    """Of the device that `train` will use; asks torch only where nothing else tells."""
    from core.glance import recorded_device

    if options.device and options.device != "auto":
        return str(options.device)
    if options.resume and not options.device and (kind := recorded_device(options.store, options.resume)):
        return kind
    from core.training import device_named

    return device_named("auto").type


def created(options: argparse.Namespace, store: Store) -> tuple[Run, Dataset, torch.device]:
    """A new run as the options describe it."""
    model, plan, data, device = described(options, store)
    origin = store.run(options.origin) if options.origin else None
    return store.create(model, plan, data, options.name or "", device.type, origin), data, device


def described(options: argparse.Namespace, store: Store) -> tuple[Family, Plan, Dataset, torch.device]:
    """Outline, plan, data and device of a training that is to begin."""
    from core.data import load
    from core.families import family
    from core.record import outline
    from core.training import Plan, device_named

    if options.origin:
        record = store.run(options.origin).record
        if options.family or options.set:
            raise BadInput(
                "--from goes on with the family and settings of that run: leave out --family and --set"
            )
        family_key, dataset = record.family, options.dataset or record.dataset["name"]
    else:
        family_key, dataset = options.family, options.dataset
    with typed():
        device = device_named(options.device or "auto")
        kind = family(family_key)
        config = record.settings() if options.origin else kind.Config.parse(options.set or ())
        plan = Plan(**({"epochs": EPOCHS} if options.seconds is None else {}) | given(options))
        data = load(dataset)
        if options.origin and data.shape != record.shape:
            raise BadInput(f"{options.origin} sees pictures of {record.shape}, {data.name} has {data.shape}")
        return outline(kind, config, data.shape), plan, data, device


def resumed(options: argparse.Namespace, store: Store) -> tuple[Run, Dataset, torch.device]:
    """A run to go on with, which it does as it began."""
    from core.data import load
    from core.training import device_named

    fixed = [
        *given(options),
        *(name for name in ("family", "dataset", "set", "name") if getattr(options, name)),
        *(["from"] if options.origin else []),
    ]
    if fixed:
        raise BadInput(f"a resumed run goes on as it began: leave out --{fixed[0].replace('_', '-')}")
    run = store.run(options.resume)
    with typed():
        device = device_named(options.device or run.record.device)
    return run, load(run.record.dataset["name"]), device


def given(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of the plan."""
    values = {name: getattr(options, name) for name in ("epochs", "seconds", "batch_size", "seed", "threads")}
    return {name: value for name, value in values.items() if value is not None}


def estimate(options: argparse.Namespace) -> None:
    from core.estimate import measured
    from core.store import Store

    check_named(options)
    model, plan, data, device = described(options, Store(options.store))
    found = measured(type(model)(model.config, model.shape).to(device), plan, data)
    numbers = {"seconds": found.seconds(plan), "epochs": found.epochs(plan), **asdict(found)}
    print(json_line(numbers) if options.json else terms(numbers))


def fetch(options: argparse.Namespace) -> None:
    from core.data import is_local, load

    if is_local(options.dataset):
        say(f"{options.dataset} is on this machine already")
    data = load(options.dataset, progress=Download(options.work))
    print(
        f"{data.title}: {len(data.train)} + {len(data.validation)} + {len(data.test)} pictures of {data.shape}"
    )


class Download:
    """Progress of downloads as pooch drives it, told to whoever follows the job."""

    total: float = 0.0

    def __init__(self, work: Work) -> None:
        self.work, self.done, self.told = work, 0, 0.0

    def update(self, n: int, /) -> None:
        self.done += n
        fraction = self.done / self.total if self.total else 0.0
        if fraction - self.told >= 0.01 or fraction == 1:
            self.told = fraction
            self.work.progress(fraction, f"{self.done / 1e6:.0f} of {self.total / 1e6:.0f} MB")
            say(f"{fraction:4.0%} of {self.total / 1e6:.0f} MB")

    def reset(self) -> None:
        self.done, self.told = 0, 0.0

    def close(self) -> None:
        pass


def stop(options: argparse.Namespace) -> None:
    known = Jobs(options.store)
    job = known.training(options.of)
    if job is None or not job.active:
        job = known.resuming(options.of) or job or known.job(options.of)
    if not job.active:
        raise BadInput(f"{job.id} has ended already ({job.state})")
    job.stop()
    print(job.id)
