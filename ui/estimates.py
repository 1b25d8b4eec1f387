"""How long a training would take here, measured in a process of its own while the visitor still thinks about it."""

from __future__ import annotations

import json
import time

import streamlit as st

from core.estimate import Estimate
from core.files import StoreError
from core.jobs import Job, Jobs
from core.record import planned
from core.training import Plan
from ui.jobs import stop
from ui.words import as_written, duration

EVERY = 0.5  # seconds between two looks
LATELY = 600.0  # seconds: the machine may be busier now
Known = dict[tuple[str, ...], Estimate | str]


def tell(model: list[str], plan: Plan, dataset: str, device: str) -> None:
    """Say how long it takes to train what these flags describe, once that has been measured."""
    arguments = ["estimate", *model, *planned(plan, dataset, device), "--json"]
    # what an epoch's seconds depend on
    key = (*model, dataset, str(plan.batch_size), str(plan.threads), device)
    known: Known = st.session_state.setdefault("estimates", {})
    st.fragment(measure, run_every=None if key in known else EVERY)(key, arguments, plan)


def measure(key: tuple[str, ...], arguments: list[str], plan: Plan) -> None:
    known: Known = st.session_state["estimates"]
    if key not in known:
        try:
            job = measuring(key, arguments)
        except StoreError as error:
            known[key] = str(error)
        else:
            if job.active:
                st.caption(":material/timer: Measuring on a few steps how long this takes…")
                return
            known[key] = outcome(job)
        st.session_state.pop("measuring", None)
        st.rerun()
    found = known[key]
    if isinstance(found, str):
        st.warning(f"How long it takes cannot be told: {as_written(found)}", icon=":material/timer_off:")
        return
    pace = f"{found.images_per_second:,.0f} pictures a second, measured on a few steps"
    if plan.epochs:
        st.caption(f":material/timer: About **{duration(found.seconds(plan))}** here: {pace}.")
    else:
        st.caption(f":material/timer: Room for about **{found.epochs(plan):,.0f} epochs** here: {pace}.")


def measuring(key: tuple[str, ...], arguments: list[str]) -> Job:
    """The job that measures this, or has lately; one that measures what is no longer asked for is stopped."""
    jobs = Jobs()
    before: tuple[tuple[str, ...], str] | None = st.session_state.get("measuring")
    found = {job.id: job for job in jobs.all()}
    if before and before[0] == key and before[1] in found:
        return found[before[1]]
    if before and before[1] in found:
        stop(found[before[1]])
    lately = time.time() - LATELY
    for job in found.values():
        if job.arguments == tuple(arguments) and job.created > lately and job.state == "done":
            return job
    job = jobs.start(arguments, "Measurement of the time a training takes")
    st.session_state["measuring"] = key, job.id
    return job


def outcome(job: Job) -> Estimate | str:
    """The estimate, or why there is none."""
    try:
        told = json.loads(job.output())
        return Estimate(told["epoch_seconds"], told["preview_seconds"], told["images_per_second"])
    except (OSError, ValueError, TypeError, KeyError):
        return job.reason or "the measurement broke off."
