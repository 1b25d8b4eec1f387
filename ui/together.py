"""Trainings side by side: what is at work now, and what was started together."""

from __future__ import annotations

import itertools

import streamlit as st

from core.files import StoreError
from core.jobs import Job, Jobs
from core.store import Run
from ui.html import block, strip
from ui.jobs import stop
from ui.theme import colour
from ui.watch import EVERY, ICONS, Watched, find, go_to, stop_button
from ui.words import as_written

SHOWN = 10  # pictures of each
LATELY = 6


def trainings() -> list[Job]:
    return [job for job in Jobs().all() if job.arguments[:1] == ("train",)]


# --- at work ----------------------------------------------------------------------------------------------------


def at_work() -> None:
    """What runs and waits, whoever started it, except for what the page shows anyway."""
    active = [job for job in trainings() if job.active]
    if active:
        st.fragment(listed, run_every=EVERY)(len(active))


def listed(count: int) -> None:
    active = [job for job in trainings() if job.active]
    if len(active) != count:
        st.rerun()
    shown = {st.query_params.get("watch"), st.query_params.get("group")} - {None}
    others = [job for job in active if not {job.id, job.run, job.group} & shown]
    if not others:
        return
    with st.container(border=True):
        st.markdown(f"**At work** · {len(others)}")
        for job in others:
            line(job)


def line(job: Job) -> None:
    words, bar, buttons = st.columns([3, 4, 2], vertical_alignment="center")
    one = found(job)
    words.markdown(f"{ICONS.get(job.state, '')} {as_written(job.title)}")
    bar.progress(one.progress, as_written(one.told()))
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Watch", key=f"watch-{job.id}", icon=":material/visibility:"):
            go_to("watch", job.id)
        stop_button(job, key=f"stop-{job.id}")


def found(job: Job) -> Watched:
    try:
        return find(job.id)
    except StoreError:  # its run is damaged, or has been deleted meanwhile
        return Watched(job, None)


def lately() -> None:
    """Trainings that have ended, the last first: a way back to what one has closed."""
    ended = [job for job in reversed(trainings()) if not job.active][:LATELY]
    if not ended:
        return
    with st.expander("Recently ended", icon=":material/history:"):
        for job in ended:
            one = found(job)
            words, state, button = st.columns([3, 4, 1], vertical_alignment="center")
            words.markdown(f"{ICONS.get(one.state, '')} {as_written(one.title)}")
            state.caption(f"{one.state.capitalize()}. {as_written(job.reason or one.told())}")
            if button.button("Look", key=f"look-{job.id}", width="stretch"):
                go_to("watch", job.id)


# --- started together -------------------------------------------------------------------------------------------


def group(id: str) -> None:
    jobs = [job for job in trainings() if job.group == id]
    if not jobs:
        st.warning(
            "These trainings are not listed any more; what they trained is in the Library.",
            icon=":material/search_off:",
        )
        return
    active = any(job.active for job in jobs)
    st.fragment(board, run_every=EVERY if active else None)(id, active)


def board(id: str, was_active: bool) -> None:
    jobs = [job for job in trainings() if job.group == id]
    active = any(job.active for job in jobs)
    if active != was_active:
        st.rerun()
    watched = [found(job) for job in jobs]
    done = sum(not one.active for one in watched)
    words, buttons = st.columns([4, 1], vertical_alignment="center")
    words.subheader(f"{len(jobs)} trainings, one after the other", anchor=False)
    with buttons.container(horizontal=True, horizontal_alignment="right"):
        if active:
            st.button("Stop all", icon=":material/stop:", on_click=stop, args=jobs)
    st.progress(
        sum(1.0 if not one.active else one.progress for one in watched) / len(watched),
        f"{done} of {len(jobs)} have ended",
    )
    for one in watched:
        row(one)
    if not active:
        compare([one.run for one in watched if one.run is not None])


def row(one: Watched) -> None:
    """How far one is and what it makes of pictures."""
    assert one.job is not None
    words, pictures = st.columns([1, 2], vertical_alignment="center", gap="medium")
    with words:
        hue = colour(kind) if (kind := family_of(one.job)) else "transparent"
        st.html(block(f'<div class="head" style="border-color: {hue}"></div>'))
        st.markdown(f"{ICONS.get(one.state, '')} **{as_written(one.job.title)}**")
        if one.active:
            st.progress(one.progress, as_written(one.told()))
        else:
            st.caption(f"{one.state.capitalize()}. {as_written(one.job.reason or one.told())}")
    if one.run and (epochs := one.run.preview_epochs()):
        with pictures:
            strips(one.run, epochs[-1])


def family_of(job: Job) -> str:
    """Its key; empty where the arguments name none."""
    return next((word for flag, word in itertools.pairwise(job.arguments) if flag == "--family"), "")


def strips(run: Run, epoch: int) -> None:
    try:
        previews = run.previews(epoch)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    back = strip(previews.reconstructions, (f"picture {i + 1} rebuilt" for i in range(SHOWN)), SHOWN)
    new = strip(previews.samples[:SHOWN], (f"new picture {i + 1}" for i in range(SHOWN)), SHOWN)
    st.html(block(f'<div class="label">What comes back, and new pictures, epoch {epoch}</div>', back, new))


def compare(runs: list[Run]) -> None:
    from ui import comparison

    finished = [run for run in runs if run.status == "completed"]
    if len(finished) > 1:
        comparison.show(finished)
