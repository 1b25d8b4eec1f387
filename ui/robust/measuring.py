"""Measuring as a job: start, follow, stop."""

from __future__ import annotations

import streamlit as st

from core.data import BY_NAME, is_local
from core.files import StoreError
from core.jobs import ANALYSIS, Job, Jobs
from core.lab import command
from ui.robust.wish import Wish
from ui.watch import stop
from ui.words import as_written

TITLE = "Robustness of"


def show(wish: Wish, missing: list[str]) -> None:
    """Say what is missing, and offer to measure it."""
    job = at_work(wish)
    if job is not None and job.active:
        follow(job.id)
        return
    if missing:
        shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        st.info(f"Not measured yet: {as_written(shown)}.", icon=":material/science:")
        if job is not None and job.state in ("failed", "died"):
            st.warning(
                as_written(job.message) or "The measurement broke off. Start it again.",
                icon=":material/error:",
            )
        name = wish.runs[0].record.dataset["name"]
        if name in BY_NAME and not is_local(name):
            st.caption(
                f"This takes the test pictures of {BY_NAME[name].title}, which are not on this machine: Train offers to "
                f"download them."
            )
        elif st.button("Measure", icon=":material/play_arrow:", type="primary"):
            start(wish)
    with st.expander("The command line that makes this table", icon=":material/terminal:"):
        st.code(
            command(wish.runs, wish.protocol, wish.classical, wish.search), language="bash", wrap_lines=True
        )


def start(wish: Wish) -> None:
    titles = " and ".join(run.title for run in wish.runs[:2])
    more = f" and {len(wish.runs) - 2} more" if len(wish.runs) > 2 else ""
    try:
        Jobs().start(words(wish), f"{TITLE} {titles}{more}", lane=ANALYSIS)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/folder_off:")
    else:
        st.rerun()


def words(wish: Wish) -> list[str]:
    """What the command line says after `python -m core`."""
    protocol = wish.protocol
    amounts = ["--pictures", str(protocol.pictures), "--noise-seeds", str(protocol.seeds)]
    flags = ["--classical"] * wish.classical + ["--search"] * wish.search
    return ["robustness", *(run.id for run in wish.runs), *amounts, *flags]


def at_work(wish: Wish) -> Job | None:
    """The latest job that measures just this."""
    try:
        same = [job for job in Jobs().all() if list(job.arguments) == words(wish)]
    except StoreError:
        return None
    return same[-1] if same else None


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
