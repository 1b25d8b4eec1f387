"""Sampling canvas: drag, and the picture follows the pointer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.families import family
from core.family import Autoencoder
from core.store import Run
from ui import inputs, jobs, runs
from ui.choices import choice
from ui.components.pad import was_drawn_on
from ui.sampling import below, remembered, views
from ui.sampling.below import MOST_SEED
from ui.sampling.views import AROUND, CLASSES, ENGINES, SEEDS, THREE, Painter

MOST = 4
BELOW: dict[str, Callable[[Sequence[Painter], Sequence[inputs.Input]], None]] = {
    "From picture to picture": below.between,
    "Samples": lambda painters, _: below.grid(painters),
    "One number at a time": below.traversals,
    "Sums of codes": below.sums,
}


def main() -> None:
    st.title("Sampling canvas")
    st.markdown("Every place on the canvas is a code. Drag, and the pictures follow; a double click pins them.")  # fmt: skip
    groups = runs.offered()
    if not groups:
        return
    left, right = st.columns(2, gap="large")
    with left:
        group = runs.pick_group(groups)
    painters = chosen(group, right)
    if not painters:
        st.info("Choose at least one variant.", icon=":material/touch_app:")
        return
    kinds = views.kinds(painters)
    kind = choice("Plane", kinds, kinds[0], key="plane", width="stretch")
    seed, ends = ask(kind, painters)
    with st.expander(
        "Pictures: examples, uploads, a photo, a drawing",
        icon=":material/image:",
        expanded=kind in (AROUND, THREE),
    ):
        pictures = inputs.pick(group.shape, group.runs[0].record.dataset["name"], arrived=forget_codes)
        pictures = kept_in_the_address(painters, pictures)
    pictures += remembered.pinned(painters, views.all_pins(painters))
    corners = through(pictures) if kind == THREE else pictures
    if lacking(kind, corners):
        return
    shown = views.prepared(painters, kind, corners, ends)
    key, endless = views.key_of(painters, kind), kind == SEEDS
    views.live(painters, shown, endless, seed, views.addressed(endless), engines(), key)
    offer_decoders([painter for painter, one in zip(painters, shown, strict=True) if not one.decoder])
    st.caption(
        "Move or drag; arrow keys; a double click or Enter pins, and a click on a pin shows it again. The sliders add "
        "to single numbers of the code, a double click or Delete takes that back. Faint points are the data's codes."
    )
    what = choice(
        "Below", BELOW, next(iter(BELOW)), key="below", label_visibility="collapsed", width="stretch"
    )
    BELOW[what](painters, pictures)


def lacking(kind: str, corners: list[inputs.Input]) -> bool:
    """Whether a plane of this kind needs more pictures, which is then said."""
    if kind == AROUND and not corners:
        st.info("This plane lies around a picture: choose one.", icon=":material/center_focus_strong:")
        return True
    if kind == THREE and len(corners) < 3:
        st.info("This plane goes through three pictures: choose as many.", icon=":material/change_history:")
        return True
    return False


def kept_in_the_address(painters: list[Painter], pictures: list[inputs.Input]) -> list[inputs.Input]:
    """What was brought leaves its codes in the address; an address with codes and nothing brought gives them back."""
    source = st.session_state.get("source")
    drawn, untouched = source == "Draw", not was_drawn_on("pad")
    if pictures and (source in ("Upload", "Camera") or (drawn and not untouched)):
        codes = remembered.written(painters, pictures)
        if codes:
            st.query_params["codes"] = codes
        else:
            forget_codes()
            st.caption(
                "These codes have too many numbers for an address: opened anew, the page has no pictures."
            )
        return pictures
    if source not in ("Upload", "Camera") and not (drawn and untouched):  # what was drawn was wiped away
        forget_codes()
        return pictures
    found = remembered.read(st.query_params.get("codes", ""), painters)
    if found:
        st.caption(
            "The address remembers the codes of these pictures, not the pictures: what is shown of them is decoded."
        )
    return list(found) or pictures


def forget_codes() -> None:
    """Also when the visitor takes away what was brought: a page that is opened anew has nothing to take away."""
    st.query_params.pop("codes", None)


def through(pictures: list[inputs.Input]) -> list[inputs.Input]:
    """The three pictures of a plane, pins among them, where there are more to choose from."""
    if len(pictures) <= 3:
        return pictures
    by_name = {one.name: one for one in pictures}
    names = st.multiselect("Through", list(by_name), list(by_name)[:3], max_selections=3, key="through")
    return [by_name[name] for name in names]


def offer_decoders(missing: list[Painter]) -> None:
    """A decoder that was not exported is used on the server: a job can change that."""
    if not missing or "browser" not in engines():
        return
    exporting = {one.run.id: ["decoder", one.run.id] for one in missing}
    if jobs.at_work(jobs.latest(*exporting.values())):
        return
    if st.button(
        "Decode in the browser",
        icon=":material/bolt:",
        help="Exports the decoders, in the background: a few seconds.",
    ):
        jobs.start(*((exporting[one.run.id], f"Decoder of {one.title}") for one in missing))


def chosen(group: runs.Group, cell: DeltaGenerator) -> list[Painter]:
    """Up to four runs side by side, at first those with a prior; those that cannot be loaded are said and left out."""
    titles = {run.id: runs.label(run, group) for run in group.runs}
    within_reach = group.proposed
    titles |= {run.id: runs.label(run, replace(group, runs=within_reach)) for run in within_reach}
    usual = [run.id for run in within_reach if from_prior(run)][:MOST]
    usual = usual or [run.id for run in within_reach][:2]
    ids = cell.multiselect(
        "Variants, up to four",
        list(titles),
        usual,
        format_func=titles.__getitem__,
        max_selections=MOST,
        key=f"painters-{group.key}",
        bind="query-params",
    )
    there = runs.loaded(run for run in group.runs if run.id in ids[:MOST])
    return [Painter(run, model, titles[run.id], runs.codes(run)) for run, model in there.values()]


def from_prior(run: Run) -> bool:
    kind = family(run.record.family)
    return issubclass(kind, Autoencoder) and kind.from_prior


def ask(kind: str, painters: list[Painter]) -> tuple[int, tuple[str, str] | None]:
    """What a plane has to be told: the seed of one of seeds, the two classes of one between classes."""
    if kind == CLASSES:
        names = views.shared_classes(painters)
        one, two = st.columns(2)
        first = one.selectbox("From class", names, min(3, len(names) - 2), key="class-a", bind="query-params")
        second = two.selectbox("To class", names, min(8, len(names) - 1), key="class-b", bind="query-params")
        return 0, (first, second)
    if kind != SEEDS:
        return 0, None
    seed = st.number_input("Seed of the plane", 0, MOST_SEED, 0, key="plane-seed", bind="query-params")
    return int(seed), None


def engines() -> tuple[str, ...]:
    """All, best first; the address may name one, for comparison."""
    asked = st.query_params.get("engine")
    return (asked,) if asked in ENGINES else ENGINES


main()
