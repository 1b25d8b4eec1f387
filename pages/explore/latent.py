"""Latent space: a map of codes that one can walk, question and add to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data import BY_NAME
from core.errors import one_line
from core.files import StoreError
from core.store import Run
from ui import inputs, jobs, runs, shell
from ui.choices import choice
from ui.components.scatter import Answer
from ui.latent import chosen, glance, here, history, units, walk
from ui.latent.ground import Ground, ground
from ui.words import as_written, command

MAP, VARIANTS, NUMBERS, HISTORY = CHAPTERS = ("Map", "All variants", "Numbers of the code", "While it learnt")


def main() -> None:
    st.title("Latent space")
    st.markdown(
        "A code is a place. Here are the places of all test pictures: walk among them, ask who is near, and add your own."
    )
    groups = runs.offered()
    if not groups:
        return
    open_on_the_run(groups)
    chapter = choice(
        "Chapter",
        CHAPTERS,
        MAP,
        key="chapter",
        label_visibility="collapsed",
        width="stretch",
    )
    cells = st.columns(2, gap="medium")
    with cells[0]:
        group = runs.pick_group(groups)
    keep_to(group, groups)
    if chapter == VARIANTS:
        glance.show(group.proposed)
        return
    run = pick(group, cells[1])
    if chapter == HISTORY:
        history.show(run)
        return
    place = ground(run)
    if place is None:
        offer_codes(run)
        return
    try:
        model = runs.model(run)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    if chapter == NUMBERS:
        units.show(place, model)
        return
    the_map(run, group, place)


def open_on_the_run(groups: list[runs.Group]) -> None:
    """Where the address names a run and nothing else says whose pictures, those that it was trained on."""
    asked = st.query_params.get("run")
    holding = next((group for group in groups if asked in [run.id for run in group.runs]), None)
    if asked and holding is None:
        said = f"The run {one_line(asked, 80)} is not among the trained models here. This is another one."
        st.caption(f":material/search_off: {as_written(said)}")
    if holding and "data" not in st.query_params and "data" not in st.session_state:
        st.session_state["data"] = holding.key


def keep_to(group: runs.Group, groups: Sequence[runs.Group]) -> None:
    """A run that the address still names, though other pictures have been chosen since, would lead back to its own."""
    others = {run.id for other in groups if other.key != group.key for run in other.runs}
    if st.query_params.get("run") in others:
        del st.query_params["run"]


def pick(group: runs.Group, cell: DeltaGenerator) -> Run:
    """The run that the address names, else the first that is proposed."""
    by_id = {run.id: run for run in group.runs}
    key = f"variant-{group.key}"
    if (asked := st.query_params.get("run")) in by_id:
        st.session_state[key] = asked  # also after a step back
    elif st.session_state.get(key) not in by_id:
        st.session_state[key] = group.proposed[0].id
    id = cell.selectbox(
        "Variant", list(by_id), format_func=lambda one: runs.label(by_id[one], group), key=key,
        on_change=into_the_address, args=[group.key],
    )  # fmt: skip
    return by_id[id]


def into_the_address(key: str) -> None:
    st.query_params["run"] = st.session_state[f"variant-{key}"]


@st.fragment
@runs.while_there
def the_map(run: Run, group: runs.Group, place: Ground) -> None:
    model = runs.model(run)
    cells = st.columns(3 if len(place.maps) > 1 else 2, gap="medium", vertical_alignment="bottom")
    with cells[0]:
        kind = walk.pick_kind(place)
    with cells[-2]:
        other = walk.pick_beside(run, group)
    beside = ground(other) if other else None
    if other and beside is None:
        st.caption(f"The codes of test pictures are not known for {as_written(runs.label(other, group))}.")
    if beside is not None and len(beside.codes.codes) != len(place.codes.codes):
        st.caption("The other variant coded other pictures, so the two cannot be linked.")
        beside = None
    with cells[-1]:
        colour = walk.pick_colour(place, beside)
    above = st.container()
    with st.expander("Where am I? Put your own pictures on the map", icon=":material/my_location:"):
        mine = (
            inputs.pick(run.record.shape, run.record.dataset["name"], arrived=lambda: None)
            if st.toggle("Show them", key="mine", bind="query-params")
            else []
        )
    codes = here.codes_of(mine, model) if mine else None
    with above:
        on_the_map, near = st.columns([5, 2], gap="medium")
        with on_the_map:
            answer = walk.show(place, beside, kind, colour, codes)
        held = in_the_lasso(place, beside, kind, answer)
        with near:
            if held is not None:
                st.info(chosen.held(held))
            chosen.neighbours(place, model, answer.picked)
        walk.tell(place, beside, kind)
        walk.save(place, kind, colour)
        offer_map(run, place)
    if mine and codes is not None:
        here.show(place, model, kind, mine, codes)
    if held is not None and len(held):
        chosen.group(place, model, held)


def in_the_lasso(place: Ground, beside: Ground | None, kind: str, answer: Answer) -> np.ndarray | None:
    """The pictures that were drawn around, on whichever of the two maps."""
    if answer.lasso is None:
        return None
    on, corners = answer.lasso
    drawn_on = beside if on == 1 and beside is not None else place
    return chosen.within(drawn_on, drawn_on.best(kind), corners)


# --- what is missing --------------------------------------------------------------------------------------------


def offer_codes(run: Run) -> None:
    if run.status == "running":
        st.info("This run is in training. Its codes come with its end.", icon=":material/hourglass:")
        return
    if not run.weights_file.exists():
        st.info(
            "This run was stopped. Its codes come with its end: resume it.", icon=":material/scatter_plot:"
        )
        st.page_link(
            shell.to("build/train.py"),
            label="To the run",
            icon=":material/movie:",
            query_params={"watch": run.id},
        )
        return
    if not runs.loaded([run]):
        return
    name = run.record.dataset["name"]
    where = BY_NAME[name].title if name in BY_NAME else name
    st.info(
        "The codes of test pictures are not known for this run. Examine it in the Library, or have "
        f"{command('evaluate', run.id, '--keep')} compute them, with {as_written(where)} at hand.",
        icon=":material/scatter_plot:",
    )


def offer_map(run: Run, place: Ground) -> None:
    """A UMAP is made by a job; until then principal axes serve."""
    if "umap" in place.maps or place.codes.codes.shape[1] <= 2:
        return
    making = ["map", run.id]
    if jobs.at_work(jobs.latest(making)):
        return
    if st.button(
        "Make a UMAP",
        icon=":material/map:",
        help="A minute or so, in the background: neighbours in code space stay neighbours.",
    ):
        jobs.start((making, f"Map of {run.title}"))


main()
