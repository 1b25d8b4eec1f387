"""Robustness: which variant keeps its head when pictures come damaged, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.family import Autoencoder
from core.store import Run, Store, StoreError
from ui import inputs, runs, shell
from ui.robust import live, measuring, own, results, wish
from ui.words import as_written


def main() -> None:
    st.title("Robustness lab")
    st.markdown(
        "Damage a picture step by step, and see which variant still gives it back: on one picture, and on a thousand "
        "with intervals."
    )
    try:
        found = [run for run in Store().list() if isinstance(run, Run)]
    except StoreError as error:
        st.error(as_written(str(error)), icon=":material/folder_off:")
        return
    groups = {group.key: group for group in runs.groups(found)}
    if not groups:
        st.info(
            "There are no trained models yet. The first takes less than a minute.",
            icon=":material/model_training:",
        )
        st.page_link(shell.to("build/train.py"), label="Train the first", icon=":material/play_arrow:")
        return
    left, right = st.columns(2, gap="large")
    with right:
        key = st.selectbox(
            "Models trained on", list(groups), format_func=lambda one: groups[one].title, key="data", bind="query-params"
        )  # fmt: skip
        group = groups[key]
        chosen = runs.choose(group)
    with left:
        pictures = inputs.pick(group.shape, group.runs[0].record.dataset["name"], arrived=lambda: None)
        corruption = live.pick_damage()
    variants = loaded([run for run in group.runs if run.id in chosen], group)
    if not pictures or not variants:
        st.info(
            "Choose a picture." if not pictures else "Choose at least one variant.",
            icon=":material/touch_app:",
        )
        return
    live.show(pictures[0], len(pictures) - 1, variants, corruption)
    st.divider()
    wanted = wish.ask(group, [run for run, _ in variants.values()])
    entries, missing = wanted.entries()
    measuring.show(wanted, missing)
    if entries:
        results.show(wanted, entries, corruption)
    own.show(pictures, variants, corruption)


def loaded(chosen: Sequence[Run], group: runs.Group) -> dict[str, tuple[Run, Autoencoder]]:
    """By title; whatever cannot be loaded is said and left out."""
    found = {}
    shown = runs.Group(group.key, group.title, group.shape, tuple(chosen))
    for run in chosen:
        try:
            found[runs.label(run, shown)] = run, runs.model(run)
        except StoreError as error:
            st.warning(as_written(str(error)), icon=":material/broken_image:")
    return found


main()
