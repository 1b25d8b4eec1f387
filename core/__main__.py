"""`python -m core <verb>`: what the app can do, without a browser. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from core.errors import Explained, one_line
from core.verbs.console import BadInput, say
from core.verbs.denoising import AUTO, denoise
from core.verbs.keeping import export, receive, stop
from core.verbs.listing import datasets, families, jobs, runs, show
from core.verbs.training import EPOCHS, estimate, fetch, train
from core.verbs.using import codes, decoder, evaluate, lay_out, reconstruct, robustness, sample

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} (see `{self.prog} --help`)")


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = parser().parse_args(words)
        perform(options, words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough; Python would complain when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Explained as error:
        say(f"error: {one_line(str(error), 2_000)}")
        return EXIT_BAD_INPUT
    return 0


def perform(options: argparse.Namespace, words: Sequence[str]) -> None:
    """Run the verb: as a job, which others can follow and stop, where it takes its time."""
    if not options.job:
        options.verb(options)
        return
    from core.jobs import at_work

    with at_work(options.store, words, f"{options.verb.__name__} in a terminal") as options.work:
        options.verb(options)


def parser() -> argparse.ArgumentParser:
    top = Parser(prog="python -m core", description=__doc__)
    store: Any = dict(metavar="FOLDER", help="the runs; default BOTTLENECK_STORE, else models_store/")
    top.add_argument("--store", **store)
    verbs = top.add_subparsers(required=True, metavar="VERB", parser_class=Parser)

    def verb(
        run: Callable[[argparse.Namespace], None],
        help: str,
        *,
        name: str = "",
        job: bool = False,
        json: bool = False,
    ) -> Parser:
        one = verbs.add_parser(name or run.__name__, help=help, description=help)
        one.set_defaults(verb=run, job=job)
        one.add_argument("--store", default=argparse.SUPPRESS, **store)  # before the verb or after it
        if json:
            one.add_argument("--json", action="store_true", help="print JSON")
        return one

    verb(families, "List the families.", json=True)
    verb(datasets, "List the datasets.", json=True)
    verb(runs, "List the runs in the store.", json=True)
    verb(jobs, "List what runs, waits or has ended lately.", json=True)
    one = verb(show, "Show how a run was made and how it went.", json=True)
    one.add_argument("run", metavar="RUN")

    one = verb(train, "Train a model, or resume a run. The last line of stdout is the run's id.", job=True)
    describe(one)
    one.add_argument("--name", metavar="TEXT")
    one.add_argument("--resume", metavar="RUN", help="go on where it was interrupted or stopped")
    one = verb(estimate, "Measure on a few steps how long a training would take.", job=True, json=True)
    describe(one)
    one = verb(fetch, "Download a dataset.", job=True)
    one.add_argument("dataset", metavar="D")
    one = verb(stop, "Stop a job: within two seconds, and what it has learnt is kept.")
    one.add_argument("of", metavar="JOB", help="a job, or the run that it trains")

    one = verb(
        evaluate,
        "Measure a run on its test pictures: what it gives back, what its codes are worth, what it draws.",
        job=True,
        json=True,
    )
    one.add_argument("run", metavar="RUN")
    one.add_argument("--keep", action="store_true", help="write measures, codes and examples into the run")
    one.add_argument(
        "--importance-samples",
        type=int,
        default=500,
        metavar="K",
        help="draws for the likelihood of a picture under a VAE, after dynamic binarisation; up to 5000, default: 500",
    )
    one.add_argument(
        "--pictures", type=int, default=1_000, metavar="N", help="whose likelihood is measured; default: 1000"
    )
    one = verb(reconstruct, "Put pictures through runs: a PNG per run and picture, and metrics.json.")
    one.add_argument("run", nargs="+", metavar="RUN")
    one.add_argument("--images", nargs="+", required=True, type=Path, metavar="FILE")
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    one = verb(sample, "Draw new pictures into one PNG.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("-n", type=int, default=64)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--out", required=True, type=Path, metavar="FILE.png")
    one = verb(
        decoder, "Export a run's decoder as ONNX, for browsers and for programs without torch.", job=True
    )
    one.add_argument("run", metavar="RUN")
    one.add_argument("--out", type=Path, metavar="FILE.onnx", help="a copy; it is kept in the run")
    one = verb(codes, "Write the codes of a split as arrays `codes` (N,Z) and `labels` (N,).")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the run was trained on")
    one.add_argument("--split", default="test", choices=("train", "validation", "test"))
    one.add_argument("--out", required=True, type=Path, metavar="FILE.npz")

    one = verb(
        lay_out,
        "Lay a run's codes out on a map, by UMAP where they are longer than two.",
        name="map",
        job=True,
    )
    one.add_argument("run", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the run was trained on")
    one.add_argument("--split", default="test", choices=("train", "validation", "test"))
    one.add_argument("--seed", type=int, default=0, metavar="N", help="of UMAP; default: 0")
    one.add_argument(
        "--out", type=Path, metavar="FILE.npz", help="arrays xy (N,2), labels (N,), and the quality"
    )
    one = verb(robustness, "Damage test pictures and measure what runs give back.", job=True)
    one.add_argument("run", nargs="+", metavar="RUN")
    one.add_argument("--dataset", metavar="D", help="default: the one the first run was trained on")
    one.add_argument("--pictures", type=int, default=1_000, metavar="N", help="default: 1000")
    one.add_argument("--noise-seeds", type=int, default=3, metavar="N", help="default: 3")
    one.add_argument("--corruptions", metavar="A,B", help="default: all")
    one.add_argument(
        "--classical",
        action="store_true",
        help="NL-means, total variation and wavelets, too, on 100 pictures",
    )
    one.add_argument("--search", action="store_true", help="codes searched by descent, too, on 100 pictures")
    one.add_argument("--out", type=Path, metavar="FILE.csv", help="the table")

    one = verb(denoise, "Clean noisy photographs, each at its own size and in its own format.")
    one.add_argument("file", nargs="+", type=Path, metavar="FILE", help="pictures, or folders of them")
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER")
    one.add_argument("--model", default=AUTO, metavar="RUN", help="default: auto, by the kind of noise")
    one.add_argument("--strength", type=float, default=1.0, metavar="X", help="0 to 1.5; default: 1")
    one.add_argument(
        "--texture",
        type=float,
        default=0.0,
        metavar="X",
        help="share of light and dark, grain and all, to give back, 0 to 1",
    )

    one = verb(export, "Write a run into one zip.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--out", required=True, type=Path, metavar="FILE.zip")
    one = verb(receive, "Take in a zip: a run that was exported, or pictures as a dataset.", name="import")
    one.add_argument("file", type=Path, metavar="FILE.zip")
    one.add_argument("--name", metavar="TEXT", default="", help="of the dataset")
    return top


def describe(one: argparse.ArgumentParser) -> None:
    """The flags that say what is to be trained, and how."""
    one.add_argument("--family", metavar="F")
    one.add_argument("--dataset", metavar="D", help="a name, own:NAME or folder:PATH, then [@SIZE][gray]")
    one.add_argument("--from", dest="origin", metavar="RUN", help="start from the weights of this run")
    budget = one.add_mutually_exclusive_group()
    budget.add_argument("--epochs", type=int, metavar="N", help=f"default: {EPOCHS}")
    budget.add_argument("--seconds", type=float, metavar="S")
    one.add_argument("--seed", type=int, metavar="N", help="default: 0")
    one.add_argument("--batch-size", type=int, metavar="N")
    one.add_argument("--threads", type=int, metavar="N", help="of torch on a CPU; default: all cores but one")
    one.add_argument("--device", help="auto, cpu, cuda or mps; a resumed run stays where it was")
    one.add_argument("--set", nargs="+", action="extend", metavar="NAME=VALUE", help="settings of the family")


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        gc.freeze()  # else Python looks through all of torch once more before it ends, for a second or two
