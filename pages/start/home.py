"""Home: each family in one row, from what the runs have stored, so that it is there before torch is."""

from __future__ import annotations

import streamlit as st

from core import glance
from ui import cards, meanings, shell
from ui.choices import choice
from ui.downloads import download
from ui.words import as_written, data_title, unlike


def main() -> None:
    st.title("See what a model keeps of a picture")
    st.markdown(
        "An **autoencoder** squeezes a picture through a narrow code and rebuilds it from nothing else. "
        "These families differ in what each is asked to keep."
    )
    shelves = cards.shelves()
    if not shelves:
        without_runs()
        return
    titles = unlike({name: data_title(shelf.title, shelf.shape) for name, shelf in shelves.items()})
    name = choice(
        "Trained on",
        list(shelves),
        next(iter(shelves)),
        format_func=lambda name: as_written(titles[name]),
        key="on",
    )
    shelf = shelves[name]
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        shown = cards.pick(shelf)
        with st.container(width="content", gap=None):
            asked = {"data": data_title(shelf.title, shelf.shape), "source": "Upload"}
            shell.set_up("explore/reconstruct.py", "Try your own pictures", ":material/upload:", asked)
            st.page_link(
                shell.to("explore/denoise.py"),
                label="Clean a noisy photograph",
                icon=":material/auto_fix_high:",
            )
            st.space(6)  # a choice ends that much above its row's end
    with st.container(horizontal=True):
        tell_what_numbers_mean(shelf)
        download("Table", lambda: cards.csv(shelf), "families.csv", "text/csv", "table", quiet=True)
    for card in glance.cards():
        cards.row(card, shelf, shown)


def tell_what_numbers_mean(shelf: cards.Shelf) -> None:
    counts, seen = (
        {int(run.test[name]) for run in shelf.runs.values() if name in run.test} for name in ("n", "ssim_n")
    )
    if not counts:
        return
    first = f", SSIM over the first {max(seen):,} of them" if seen and max(seen) < max(counts) else ""
    with st.popover("What the numbers mean", icon=":material/help:", type="tertiary"):
        st.markdown(
            f"{meanings.listed('PSNR, SSIM', 'SSE', 'NLL', 'Probe error', 'Sure', 'Classifier-Fréchet')}\n\n"
            f"Means are over {max(counts):,} test pictures that no model has seen{first}. One training run each: the numbers "
            "speak of these runs, not of the families."
        )


def without_runs() -> None:
    st.info("No model is trained yet.", icon=":material/model_training:")
    shell.offer_training("Train the first")
    for card in glance.cards():
        with st.container(border=True):
            cards.tell(card)


main()
