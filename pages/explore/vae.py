"""Inside the VAE: from a picture to a distribution to pictures, and what each part of the objective does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from core import examples
from core.families.vae import VAE
from core.pictures import as_floats
from core.store import Run, StoreError
from ui import inputs, runs, shell
from ui.choices import choice
from ui.inside import draw, ladder, manifold, objective, plain, trick
from ui.inside.ladder import beta
from ui.inside.subject import Subject, numbers
from ui.runs import is_vae
from ui.words import as_written, unlike

MANIFOLD = "The manifold"
CHAPTERS = {
    "A picture's cloud": draw.show,
    "The objective": objective.show,
    "What β does": ladder.show,
    "Why not a plain one": plain.show,
    MANIFOLD: manifold.show,
    "The trick": trick.show,
}


def main() -> None:
    st.title("Inside the VAE")
    st.markdown(
        "A variational autoencoder keeps of a picture not a point but a cloud. Here every step of it is on view."
    )
    found = runs.found()
    if found is None:
        return
    groups = runs.groups(found)
    vaes = [run for group in groups for run in group.runs if is_vae(run)]
    say_what_was_asked_for(found, vaes)
    if not vaes:
        st.info("There is no variational autoencoder yet.", icon=":material/model_training:")
        shell.offer_training(f"Train {VAE.title}", family=VAE.title)
        return
    chapter = choice(
        "Chapter", list(CHAPTERS), next(iter(CHAPTERS)), key="chapter",
        label_visibility="collapsed", width="stretch",
    )  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left if chapter == MANIFOLD else right:
        run = pick(vaes)
    group = next(one for one in groups if run in one.runs)
    with left:
        picture = example(run) if chapter == MANIFOLD else pick_picture(run)
    try:
        model = runs.model(run)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    if picture is None:
        st.info("Choose a picture.", icon=":material/touch_app:")
        return
    assert isinstance(model, VAE)
    CHAPTERS[chapter](Subject(run, model, group, picture, as_floats(picture.pixels)[None]))


def pick_picture(run: Run) -> inputs.Input | None:
    return inputs.pick_one(run.record.shape, run.record.dataset["name"])


def example(run: Run) -> inputs.Input:
    """For the chapter that asks for a picture itself, where it takes one."""
    named = examples.named(run.record.shape, run.record.dataset["name"])
    return inputs.Input(*next(iter(named.items())))


def say_what_was_asked_for(found: list[Run], vaes: list[Run]) -> None:
    """Where the address names a run that this page cannot open."""
    asked = st.query_params.get("run")
    if asked is None or asked in [run.id for run in vaes]:
        return
    other = next((run for run in found if run.id == asked), None)
    if other is None:
        st.warning("There is no run of the name in the address. Choose one below.", icon=":material/search_off:")  # fmt: skip
    elif is_vae(other):
        st.warning(
            f"{as_written(other.title)} has no weights yet. Choose another run below.",
            icon=":material/hourglass:",
        )
    else:
        st.warning(
            f"{as_written(other.title)} is no variational autoencoder: its code is a point, and there is no cloud to look at. "
            "Choose a VAE below.",
            icon=":material/block:",
        )


def pick(vaes: list[Run]) -> Run:
    """What the address names, else a code of two numbers, which can be seen whole, with the usual weight of the KL."""
    by_id = {run.id: run for run in vaes}
    ids = list(by_id)
    if (asked := st.query_params.get("run")) in by_id:
        st.session_state["vae"] = asked  # also after a step back
    elif st.session_state.get("vae") not in by_id:
        usual = min(range(len(ids)), key=lambda i: (numbers(vaes[i]) != 2, abs(beta(vaes[i]) - 1)))
        st.session_state["vae"] = ids[usual]
    titles = told_apart(by_id)
    id = st.selectbox("Model", ids, format_func=titles.__getitem__, key="vae", on_change=into_the_address)
    st.caption(f"{len(vaes)} variational autoencoders are here. Type to search.")
    return by_id[id]


def into_the_address() -> None:
    st.query_params["run"] = st.session_state["vae"]


def told_apart(by_id: Mapping[str, Run]) -> dict[str, str]:
    """Titles by id: those of equal models with their names, and of equal names with their ids."""
    words = {id: described(run) for id, run in by_id.items()}
    counts = Counter(words.values())
    return unlike(
        {id: told if counts[told] == 1 else f"{told} · {by_id[id].title}" for id, told in words.items()}
    )


def described(run: Run) -> str:
    return f"{run.record.data_title} · {numbers(run)} numbers · β = {beta(run):g}"


main()
