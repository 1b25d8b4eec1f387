"""`python -m core <verb>`: what the app can do, without a browser. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import argparse
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from core.errors import Explained, one_line

if TYPE_CHECKING:
    import torch

    from core.data import Dataset
    from core.family import Autoencoder
    from core.store import Run, Store

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
EPOCHS = 20  # where neither epochs nor seconds are given


class BadInput(Explained):
    """What was typed cannot be done."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see `{self.prog} --help`)")


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        options = parser().parse_args(arguments)
        options.verb(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough; Python would complain when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Explained as error:
        say(f"error: {one_line(str(error), 2_000)}")
        return EXIT_BAD_INPUT
    return 0


@contextmanager
def typed() -> Iterator[None]:
    """A ValueError in words from below is about what was typed."""
    try:
        yield
    except ValueError as error:
        raise BadInput(str(error)) from None


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="python -m core", description=__doc__)
    store: Any = dict(metavar="FOLDER", help="the runs; default BOTTLENECK_STORE, else models_store/")
    top.add_argument("--store", **store)
    verbs = top.add_subparsers(required=True, metavar="VERB", parser_class=Parser)

    def verb(run: Callable[[argparse.Namespace], None], help: str, *, json: bool = False) -> Parser:
        one = verbs.add_parser(run.__name__, help=help, description=help)
        one.set_defaults(verb=run)
        one.add_argument("--store", default=argparse.SUPPRESS, **store)  # before the verb or after it
        if json:
            one.add_argument("--json", action="store_true", help="print JSON")
        return one

    verb(families, "List the families.", json=True)
    verb(datasets, "List the datasets.", json=True)
    verb(runs, "List the runs in the store.", json=True)
    one = verb(show, "Show how a run was made and how it went.", json=True)
    one.add_argument("run", metavar="RUN")

    one = verb(train, "Train a model, or resume a run. The last line of stdout is the run's id.")
    one.add_argument("--family", metavar="F")
    one.add_argument("--dataset", metavar="D", help="a name, or folder:PATH[@SIZE][gray]")
    budget = one.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=int, metavar="N", help=f"default: {EPOCHS}")
    budget.add_argument("--seconds", type=float, metavar="S")
    one.add_argument("--seed", type=int, metavar="N", help="default: 0")
    one.add_argument("--batch-size", type=int, metavar="N")
    one.add_argument("--threads", type=int, metavar="N", help="of torch on a CPU; default: all cores but one")
    one.add_argument("--device", help="auto, cpu, cuda or mps; a resumed run stays where it was")
    one.add_argument("--set", nargs="+", action="extend", metavar="NAME=VALUE", help="settings of the family")
    one.add_argument("--name", metavar="TEXT")
    one.add_argument("--resume", metavar="RUN")

    one = verb(evaluate, "Score a run's reconstructions of its test pictures.", json=True)
    one.add_argument("run", metavar="RUN")
    one = verb(reconstruct, "Put pictures through runs: a PNG per run and picture, and metrics.json.")
    one.add_argument("run", nargs="+", metavar="RUN")
    one.add_argument("--images", nargs="+", required=True, type=Path, metavar="FILE")
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    one = verb(sample, "Draw new pictures into one PNG.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("-n", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", required=True, type=Path, metavar="FILE.png")
    one = verb(codes, "Write the codes of a split as arrays `codes` (N,Z) and `labels` (N,).")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the run was trained on")
    one.add_argument("--split", default="test", choices=("train", "validation", "test"))
    one.add_argument("--out", required=True, type=Path, metavar="FILE.npz")
    return top


# --- what there is ----------------------------------------------------------------------------------------------


def families(options: argparse.Namespace) -> None:
    from core.families import FAMILIES

    rows = [
        dict(key=one.key, title=one.title, paper=one.paper, idea=one.idea, settings=one.Config().to_json())
        for one in FAMILIES
    ]
    answer(options, rows, ("key", "title", "paper", "idea"))


def datasets(options: argparse.Namespace) -> None:
    from core.data import SOURCES, is_local

    rows = [asdict(source) | {"local": is_local(source.name)} for source in SOURCES]
    answer(options, rows, ("name", "title", "shape", "local", "licence"))


def runs(options: argparse.Namespace) -> None:
    from core.store import Damaged, Store

    rows = []
    for run in Store(options.store).list():
        if isinstance(run, Damaged):
            made: dict[str, Any] = dict(
                family=None, dataset=None, status="damaged", name="", reason=run.reason
            )
            say(run.reason)
        else:
            told = run.record
            made = dict(family=told.family, dataset=told.dataset["name"], status=run.status, name=told.name)
        rows.append({"id": run.id, **made})
    answer(options, rows, ("id", "family", "dataset", "status", "name"))


def show(options: argparse.Namespace) -> None:
    from core.store import Store

    run = Store(options.store).run(options.run)
    rows = {"id": run.id, **asdict(run.record), "status": run.status, "epochs": run.metrics()}
    if options.json:
        print(json_line(rows))
        return
    for name, value in rows.items():
        if name != "epochs":
            print(f"{name:9} {one_line(value if isinstance(value, str) else json_line(value), 400)}")
    for epoch in run.metrics():
        print(f"epoch {epoch['epoch']:4}  " + terms(epoch["validation"]))


# --- training ---------------------------------------------------------------------------------------------------


def train(options: argparse.Namespace) -> None:
    with Stop() as stop:
        import sklearn.mixture  # noqa: F401  (takes a second, and the end needs it: now, so that no stop has to wait)
        import torch

        torch.optim.SGD([torch.zeros(1)])  # likewise: the first optimiser imports for seconds

        from core.evaluation import summarise
        from core.store import Store
        from core.training import Diverged, EpochEnded, Finished
        from core.training import train as events

        store = Store(options.store)
        run, data, device = resumed(options, store) if options.resume else created(options, store)
        stop.at_once = False
        with run.held():
            training = run.resume(device, data) if options.resume else run.begin(device)
            torch.set_num_threads(training.plan.threads)
            say(f"{run.id}: training on {data.title}, {len(data.train)} pictures, {device.type}")
            for event in run.record_events(events(training, data, stop), training):
                match event:
                    case EpochEnded():
                        pace = f"{event.seconds:6.0f} s  {event.images_per_second:6.0f} pictures/s"
                        shown = f"{event.progress:4.0%}  {pace}  {terms(event.validation)}"
                        say(f"epoch {event.epoch:4}  {shown}")
                    case Diverged():
                        say(f"diverged at step {event.step} ({event.player}); the last good weights are kept")
                    case Finished(reason="stopped"):
                        say(f"stopped; `python -m core train --resume {run.id}` goes on")
        stop.at_once = True
        try:
            if run.status == "completed":
                summarise(run, training.model, data)
        finally:
            print(run.id)


def created(options: argparse.Namespace, store: Store) -> tuple[Run, Dataset, torch.device]:
    """A new run as the options describe it."""
    from core.data import load
    from core.families import family
    from core.record import outline
    from core.training import Plan, device_named

    if not (options.family and options.dataset):
        raise BadInput(
            "train needs --family and --dataset, or --resume RUN (see `python -m core train --help`)"
        )
    with typed():
        device = device_named(options.device or "auto")
        Family = family(options.family)
        config = Family.Config.parse(options.set or ())
        plan = Plan(**({"epochs": EPOCHS} if options.seconds is None else {}) | given(options))
        data = load(options.dataset)
        model = outline(Family, config, data.shape)
    return store.create(model, plan, data, options.name or "", device.type), data, device


def resumed(options: argparse.Namespace, store: Store) -> tuple[Run, Dataset, torch.device]:
    """A run to go on with, which it does as it began."""
    from core.data import load
    from core.training import device_named

    fixed = [
        *given(options),
        *(name for name in ("family", "dataset", "set", "name") if getattr(options, name)),
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


class Stop:
    """True once a signal has asked to stop. While `at_once`, there is nothing to keep, and the signal ends the process.

    A second Ctrl-C interrupts; the run then has its last checkpoint.
    """

    def __init__(self) -> None:
        self.asked, self.at_once = False, True

    def __enter__(self) -> Self:
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        self.before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in self.before.items():
            if handler is not signal.SIG_IGN:  # nohup, say
                signal.signal(number, self.ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def ask(self, number: int, frame: FrameType | None) -> None:
        if self.at_once:
            raise SystemExit(0)
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


# --- using runs -------------------------------------------------------------------------------------------------


def evaluate(options: argparse.Namespace) -> None:
    from core import evaluation
    from core.store import Store

    run = Store(options.store).run(options.run)
    numbers = evaluation.evaluate(ready(run), fitting(run).test)
    print(json_line(numbers) if options.json else terms(numbers))


def reconstruct(options: argparse.Namespace) -> None:
    import torch

    from core import evaluation, intake
    from core.pictures import as_floats
    from core.store import Store

    store = Store(options.store)
    models = {name: ready(store.run(name)) for name in options.run}
    pictures = [intake.read(read_file(path), path.name) for path in options.images]
    table = []
    for number, picture in enumerate(pictures, 1):
        for name, model in models.items():
            x = as_floats(intake.to_shape(picture, model.shape))[None]
            with torch.inference_mode():
                back = model.reconstruct(x)
            file = options.out / f"{number:03}-{Path(picture.name).stem}-{name}.png"
            save_picture(file, back)
            scored = asdict(evaluation.scores(back[0].numpy(), x[0].numpy()))
            table.append({"image": picture.name, "run": name, "file": file.name, **scored})
            say(f"{file.name}  {terms(scored)}")
    save(options.out / "metrics.json", (json_line(table, indent=1) + "\n").encode())
    print(options.out / "metrics.json")


def sample(options: argparse.Namespace) -> None:
    import torch

    from core.store import Store

    if not 1 <= options.n <= 10_000:
        raise BadInput(f"-n lies between 1 and 10000, not {options.n}")
    if not 0 <= options.seed < 2**31:
        raise BadInput(f"--seed lies between 0 and {2**31 - 1}, not {options.seed}")
    model = ready(Store(options.store).run(options.run))
    with torch.inference_mode():
        pictures = model.sample(options.n, torch.Generator().manual_seed(options.seed))
    save_picture(options.out, pictures)
    print(options.out)


def codes(options: argparse.Namespace) -> None:
    import numpy as np

    from core import evaluation
    from core.store import Store

    run = Store(options.store).run(options.run)
    found = evaluation.codes(ready(run), fitting(run, options.dataset).split(options.split))
    labels = np.full(len(found.codes), -1) if found.labels is None else found.labels.numpy()
    archive = io.BytesIO()
    np.savez_compressed(archive, codes=found.codes.numpy(), labels=labels)
    save(options.out, archive.getvalue())
    print(options.out)


def ready(run: Run) -> Autoencoder:
    import torch

    from core.training import spare_cores

    torch.set_num_threads(spare_cores())
    return run.load()


def fitting(run: Run, name: str | None = None) -> Dataset:
    """The dataset with this name, by default the run's own. Raises BadInput where the run cannot see its pictures."""
    from core.data import load

    data = load(name or run.record.dataset["name"])
    if data.shape != run.record.shape:
        raise BadInput(
            f"{run.id} sees pictures of {run.record.shape}, {data.name} has {data.shape}: name another dataset"
        )
    if not name and data.fingerprint != run.record.dataset.get("fingerprint"):
        say(f"note: {data.name} no longer holds the pictures that {run.id} was trained on")
    return data


# --- in and out -------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Progress, as long as there is somebody to read it."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def read_file(path: Path) -> bytes:
    from core.files import check_file
    from core.intake import MAX_BYTES

    try:
        check_file(path, MAX_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(str(error)) from None


def save(path: Path, data: bytes) -> None:
    from core.files import write_bytes, writing

    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def save_picture(path: Path, x: Any) -> None:
    """(n,C,H,W) in [0,1] as one PNG, in a grid as square as can be."""
    from core.pictures import as_bytes, png, sheet

    save(path, png(sheet(as_bytes(x))))


def json_line(value: Any, indent: int | None = None) -> str:
    """JSON in which an infinite number is a text: "inf"."""
    from core.files import json_text

    return json_text(value, indent=indent, infinite=str)


def terms(numbers: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers.items() if value is not None)


def answer(options: argparse.Namespace, rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    """A JSON list, or a table of some columns."""
    if options.json:
        print(json_line(list(rows)))
        return
    cells = [
        columns,
        *(["" if row[name] is None else one_line(str(row[name]), 100) for name in columns] for row in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # else Python looks through all of torch once more before it ends, for a second or two
