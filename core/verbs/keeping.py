"""What comes in and goes out: runs and pictures as zips. And what is to stop."""

from __future__ import annotations

import argparse

from core.verbs.console import BadInput, opened, say


def stop(options: argparse.Namespace) -> None:
    from core.jobs import Jobs

    known = Jobs(options.store)
    job = known.training(options.of) or known.job(options.of)
    if not job.active:
        raise BadInput(f"{job.id} has ended already ({job.state})")
    job.stop()
    print(job.id)


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
