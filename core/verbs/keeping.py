"""What comes in and goes out: runs and pictures as zips."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.verbs.console import opened, say
from core.verbs.declaring import Verbs


def declare(verbs: Verbs) -> None:
    one = verbs.add(export, "Write a run into one zip.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--out", required=True, type=Path, metavar="FILE.zip")
    one = verbs.add(
        receive, "Take in a zip: a run that was exported, or pictures as a dataset.", name="import"
    )
    one.add_argument("file", type=Path, metavar="FILE.zip")
    one.add_argument("--name", metavar="TEXT", default="", help="of the dataset")


def export(options: argparse.Namespace) -> None:
    from core import transfer
    from core.store import Store
    from core.verbs.console import save

    save(options.out, transfer.export(Store(options.store).run(options.run)))
    print(options.out)


def receive(options: argparse.Namespace) -> None:
    """A run into the store, or pictures among the datasets: whichever the zip holds."""
    from core import own, transfer
    from core.archives import Archive
    from core.store import Store

    with opened(options.file) as file:
        archive = Archive(file)
        if transfer.is_run(archive):
            name, problems = transfer.receive(file, Store(options.store)).id, tuple(archive.problems)
        else:
            kept = own.keep(archive, options.name or options.file.stem)
            name, problems = f"{own.PREFIX}{kept.name}", kept.problems
    for problem in problems:
        say(f"left out: {problem}")
    print(name)
