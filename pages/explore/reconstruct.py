"""Reconstruct: pictures through every chosen variant at once."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st
import torch

from core.evaluation import rebuild
from core.family import Autoencoder
from core.pictures import as_floats
from core.sampling import refine
from core.store import Run
from ui import board, inputs, photograph, runs, shell, work
from ui.choices import choice
from ui.downloads import download
from ui.words import as_written

REFINEMENTS = 200  # steps of descent


def main() -> None:
    shell.forget_if_set_up(lambda key: key in ("data", "source"))
    st.title("What does each model keep?")
    about = st.empty()
    about.markdown("Every picture goes through every variant; what comes back is all that its code has kept.")
    groups = runs.offered()
    if not groups:
        return
    photographs = runs.of_photographs()
    left, right = st.columns(2, gap="large")
    with right:
        group = runs.pick_group([*groups, *photographs])
        squeezed = photograph.choose(group, left) if group in photographs else None
        chosen = [] if group in photographs else runs.choose(group, group.proposed)
    if group in photographs:
        st.session_state["photographs"] = brought_photographs()
        about.markdown(
            "A photograph goes through a bottleneck of the size that you choose, beside JPEG and WebP of as many bytes."
        )
        if squeezed:
            photograph.present(squeezed)
        return
    with left:
        dataset = group.runs[0].record.dataset["name"]
        pictures = inputs.pick(group.shape, dataset, arrived=lambda: open_fitting_group(groups, photographs))
    say_what_photographs_need(pictures, group, for_photographs(groups, photographs))
    if not pictures or not chosen:
        st.info(
            "Choose at least one picture." if not pictures else "Choose at least one variant.",
            icon=":material/touch_app:",
        )
        return
    variants = runs.loaded([run for run in group.runs if run.id in chosen])
    if variants:
        show(pictures, variants, group)


def for_photographs(groups: list[runs.Group], photographs: list[runs.Group]) -> runs.Group | None:
    """Models that take one at its own size, else models that see colour, where there are some."""
    return next((group for group in [*photographs, *groups] if group.shape[0] == 3), None)


def open_fitting_group(groups: list[runs.Group], photographs: list[runs.Group]) -> None:
    """Where a photograph has arrived, on the models for photographs; not once more where another file comes or goes."""
    fitting = for_photographs(groups, photographs)
    found = brought_photographs()
    known: set[object] = st.session_state.get("photographs", set())
    if fitting and found - known:
        st.session_state["data"] = fitting.key
    st.session_state["photographs"] = found


def brought_photographs() -> set[object]:
    return {(one.name, one.pixels.shape) for one in inputs.brought() if inputs.is_photograph(one)}


def say_what_photographs_need(
    pictures: list[inputs.Input], group: runs.Group, fitting: runs.Group | None
) -> None:
    found = {one.photograph for one in pictures if one.photograph}
    if not found:
        return
    colours, height, width = group.shape
    said = f"These models were made for {group.title.split(' · ')[0]}: they see your photograph at {width}×{height} pixels"
    if "colour" in found:
        said += ", in colour" if colours == 3 else ", without its colours"
    other = f" For photographs choose “{fitting.title}”." if fitting and fitting.key != group.key else ""
    st.info(as_written(f"{said}.{other}"), icon=":material/photo_camera:")


def show(
    pictures: list[inputs.Input], variants: dict[str, tuple[Run, Autoencoder]], group: runs.Group
) -> None:
    x = torch.stack([as_floats(one.pixels) for one in pictures])
    columns = []
    group = replace(group, runs=tuple(run for run, _ in variants.values()))  # titles tell apart what is shown
    for run, model in variants.values():
        stored, refined = runs.codes(run), st.session_state.get("refined", {}).get(refinement_key(run, x))
        rebuilt = rebuild(model, x, None if stored is None else stored.errors, refined)
        columns.append(board.Column.of(run, model, group, rebuilt, refined is not None))
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    metric = choice(
        "Number below each picture",
        board.METRICS,
        "PSNR",
        key="metric",
        help="PSNR and SSIM: higher is better. MSE: lower is better. ★ marks the best of a row.",
        place=left,
    )
    errors = right.toggle("Error maps", value=True, key="errors", bind="query-params")
    st.html(board.html(pictures, columns, metric, errors))
    maps = (
        "Error maps are black where nothing differs, orange where light was lost, blue where it was added. "
    )
    st.caption(f"{maps if errors else ''}{board.BETTER}")
    offer_refinement(columns, variants, x)
    with st.expander("All numbers"):
        st.dataframe(board.table(pictures, columns), hide_index=True)
        st.caption(board.READING)
    with st.container(horizontal=True):
        download("Table", lambda: board.csv(pictures, columns), "reconstructions.csv", "text/csv", "table")
        download(
            "Pictures", lambda: board.archive(pictures, columns), "reconstructions.zip", "application/zip",
            "photo_library",
        )  # fmt: skip


def offer_refinement(
    columns: list[board.Column], variants: dict[str, tuple[Run, Autoencoder]], x: torch.Tensor
) -> None:
    """Search better codes than the encoder's; the loosest variant, as a rule the GAN, is proposed first."""
    with st.expander("Search a better code", icon=":material/travel_explore:"):
        st.markdown(
            "An encoder answers at once, but not always with the best code its decoder has. "
            f"This descends the error for {REFINEMENTS} steps from the encoder's answer, picture by picture."
        )
        loosest = max(range(len(columns)), key=lambda i: columns[i].mean_mse)
        titles = {column.id: column.title for column in columns}
        id = st.selectbox("Variant", list(titles), index=loosest, format_func=titles.__getitem__)
        if st.button("Search", icon=":material/play_arrow:"):
            run, model = variants[id]
            with work.alone():
                found = list(work.steps(refine(model, x, REFINEMENTS), REFINEMENTS + 1, "Searching…"))
            first, last = found[0].residual.mean().item(), found[-1].residual.mean().item()
            said = (
                f"{titles[id]}: mean squared error {first:.4f} by the encoder, {last:.4f} after the search."
            )
            st.session_state["refined"] = {refinement_key(run, x): found[-1].codes}
            st.session_state["refinement"] = refinement_key(run, x), said
            st.rerun()
        key, said = st.session_state.get("refinement", (None, ""))
        if key in [refinement_key(one, x) for one, _ in variants.values()]:
            st.success(as_written(said), icon=":material/check:")


def refinement_key(run: Run, x: torch.Tensor) -> tuple[str, tuple[int, ...], int]:
    """A run that goes on gets other weights, whose codes are others."""
    return run.id, runs.stamp(run), hash(x.numpy().tobytes())


main()
