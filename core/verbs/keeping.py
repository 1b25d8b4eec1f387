"""What comes in and goes out: runs and pictures as zips. And what is to stop."""

from __future__ import annotations

import argparse

from core.verbs.console import BadInput


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

    run = Store(options.store).run(options.run)
    save(options.out, transfer.export(run))
    print(options.out)


def receive(options: argparse.Namespace) -> None:
    raise NotImplementedError
