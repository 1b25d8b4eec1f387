"""Work that a page leaves to a job: what was done of it lately, starting it, and following it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from core.files import StoreError
from core.jobs import ANALYSIS, Job, Jobs
from ui.words import as_written

DOUBLE_CLICK = 5.0  # seconds, on a busy machine


def latest(*commands: Sequence[str]) -> Job | None:
    """The job that does one of these, what stands after `python -m core`: one at work, else the last that ended."""
    wanted = {tuple(command) for command in commands}
    try:
        same = [job for job in Jobs().all() if job.arguments in wanted]
    except StoreError:
        return None
    return next((job for job in same if job.active), same[-1] if same else None)


def just_started(command: Sequence[str], grouped: bool) -> Job | None:
    """The job that the first of two clicks has started."""
    wanted = tuple(command), grouped
    try:
        same = [job for job in Jobs().all() if (job.arguments, bool(job.group)) == wanted and job.active]
    except StoreError:
        return None
    return next((job for job in reversed(same) if time.time() - job.created < DOUBLE_CLICK), None)


def at_work(job: Job | None) -> bool:
    """Follow it where it is at work; where it broke off, say so."""
    if job is None:
        return False
    if job.active:
        follow(job.id)
        return True
    if job.state in ("failed", "died"):
        st.warning(as_written(job.reason) or "It broke off. Start it again.", icon=":material/error:")
    return False


def start(*jobs: tuple[Sequence[str], str], lane: str = ANALYSIS) -> None:
    """Start commands under titles, and draw the page anew."""
    try:
        for command, title in jobs:
            Jobs().start(list(command), title, lane=lane)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/folder_off:")
    else:
        st.rerun()


@st.fragment(run_every=0.7)
def follow(id: str) -> None:
    try:
        job = Jobs().job(id)
    except StoreError:
        st.rerun()
    if not job.active:
        st.rerun()
    fraction, text = job.progress()
    left, right = st.columns([5, 1], vertical_alignment="center")
    ahead = Jobs().ahead(job) if job.state == "waiting" else []
    waiting = f"Waiting for {ahead[-1].title} to end" if ahead else "Starting…"
    left.progress(fraction, as_written(text or waiting))
    asked = job.asked_to_stop
    right.button("Stopping…" if asked else "Stop", icon=":material/stop:", disabled=asked, on_click=stop, args=[job])  # fmt: skip


def stop(*jobs: Job) -> None:
    """Ask those that are at work to end."""
    for job in jobs:
        if job.active:
            try:
                job.stop()
            except StoreError as error:
                st.toast(as_written(str(error)), icon=":material/error:")
