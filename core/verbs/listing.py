"""What there is: families, datasets, runs and jobs."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict
from typing import Any

from core.errors import one_line
from core.verbs.console import answer, json_line, say, terms
from core.verbs.declaring import Verbs


def declare(verbs: Verbs) -> None:
    verbs.add(families, "List the families.", json=True)
    verbs.add(datasets, "List the datasets.", json=True)
    verbs.add(runs, "List the runs in the store.", json=True)
    verbs.add(jobs, "List what runs, waits or has ended lately.", json=True)
    one = verbs.add(show, "Show how a run was made and how it went.", json=True)
    one.add_argument("run", metavar="RUN")


def families(options: argparse.Namespace) -> None:
    from core.families import FAMILIES, RESTORERS

    rows = [
        dict(
            key=one.key,
            title=one.title,
            pictures=pictures,
            paper=one.paper,
            idea=one.idea,
            settings=one.Config().to_json(),
        )
        for pictures, some in (("of one size", FAMILIES), ("of any size", RESTORERS))
        for one in some
    ]
    answer(options, rows, ("key", "title", "pictures", "paper", "idea"))


def datasets(options: argparse.Namespace) -> None:
    from core import own
    from core.data import SOURCES, is_local

    rows = [asdict(source) | {"local": is_local(source.name)} for source in SOURCES]
    rows += [
        dict(
            name=f"{own.PREFIX}{one.name}",
            title=one.title,
            shape=None,  # as one asks for: own:NAME@32, own:NAME@64gray
            licence="that of your own pictures",
            citation="",
            class_names=None,
            download_bytes=0,
            local=True,
        )
        for one in own.kept()
    ]
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


def jobs(options: argparse.Namespace) -> None:
    from core.jobs import Jobs

    rows = []
    for job in Jobs(options.store).all():
        fraction, doing = job.progress()
        rows.append(
            dict(
                id=job.id,
                state=job.state,
                title=job.title,
                run=job.run,
                lane=job.lane,
                progress=fraction,
                doing=doing,
                message=job.reason or (job.last_words() if job.state == "died" else ""),
                command=shlex.join(["python", "-m", "core", *job.arguments]),
            )
        )
    answer(options, rows, ("id", "state", "title", "run", "message"))
