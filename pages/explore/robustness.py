"""Robustness: which variant keeps its head when pictures come damaged, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from core.family import Autoencoder
from core.store import Run
from ui import inputs, runs
from ui.robust import live, measuring, own, results, wish


def main() -> None:
    st.title("Robustness lab")
    st.markdown(
        "Damage a picture step by step, and see which variant still gives it back: on one picture, and on a thousand "
        "with intervals."
    )
    groups = runs.offered()
    if not groups:
        return
    left, right = st.columns(2, gap="large")
    with right:
        group = runs.pick_group(groups)
        chosen = runs.choose(group, group.replicated, page="damaged-")
        if group.replicated != group.proposed:
            st.caption(
                "These were trained with several seeds, so that what is found can hold for a family. "
                "Longer trained ones are among the further runs."
            )
    with left:
        pictures = inputs.pick(group.shape, group.runs[0].record.dataset["name"], arrived=lambda: None)
        picture = live.pick_picture(pictures)
        corruption = live.pick_damage()
    variants = titled([run for run in group.runs if run.id in chosen], group)
    if picture is None or not variants:
        st.info(
            "Choose a picture." if picture is None else "Choose at least one variant.",
            icon=":material/touch_app:",
        )
        return
    live.show(picture, variants, corruption)
    st.divider()
    measured(group, variants, corruption)
    own.show(pictures, variants, corruption)


@runs.while_there
def measured(group: runs.Group, variants: live.Models, corruption: str) -> None:
    wanted = wish.ask(group, [run for run, _ in variants.values()])
    entries, missing = wanted.entries()
    measuring.show(wanted, missing)
    if entries:
        results.show(wanted, entries, corruption)
    measuring.tell_command(wanted)


def titled(chosen: Sequence[Run], group: runs.Group) -> dict[str, tuple[Run, Autoencoder]]:
    """By what tells them apart."""
    shown = replace(group, runs=tuple(chosen))
    return {runs.label(run, shown): (run, model) for run, model in runs.loaded(chosen).values()}


main()
