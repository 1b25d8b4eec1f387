"""Measuring as a job."""

from __future__ import annotations

import shlex

import streamlit as st

from core.data import is_offered
from core.lab import arguments
from ui import datasets, jobs
from ui.robust.wish import Wish
from ui.words import as_written

TITLE = "Robustness of"


def show(wish: Wish, missing: list[str]) -> None:
    """Say what is missing, and offer to measure it."""
    if not missing or jobs.at_work(jobs.latest(words(wish))):
        return
    shown = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
    st.info(f"Not measured yet: {as_written(shown)}.", icon=":material/science:")
    name = wish.runs[0].record.dataset["name"]
    if not is_offered(name):
        st.caption(f"This takes the test pictures. {datasets.where_from(name)}")
    elif st.button("Measure", icon=":material/play_arrow:", type="primary"):
        start(wish)


def tell_command(wish: Wish) -> None:
    with st.expander("The command line that makes this table", icon=":material/terminal:"):
        whole = shlex.join(["python", "-m", "core", *words(wish), "--out", "robustness.csv"])
        st.code(whole, language="bash", wrap_lines=True)


def start(wish: Wish) -> None:
    titles = " and ".join(run.title for run in wish.runs[:2])
    more = f" and {len(wish.runs) - 2} more" if len(wish.runs) > 2 else ""
    jobs.start((words(wish), f"{TITLE} {titles}{more}"))


def words(wish: Wish) -> list[str]:
    """What the command line says after `python -m core`."""
    return arguments(wish.runs, wish.protocol, wish.classical, wish.search)
