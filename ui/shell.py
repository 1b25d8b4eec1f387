"""The frame around every page: title, wordmark, menu."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import streamlit as st

from ui import server
from ui.words import data_title

HERE = Path(__file__).parent
ANEW = "anew"  # in an address that decides what a page opens on, each time that somebody follows a link to it
PAGES = HERE.parent / "pages"
BRAND = HERE / "static" / "brand"
STYLE = (HERE / "static" / "frame.css").read_text(encoding="utf-8")


class Entry(NamedTuple):
    """A page in the menu."""

    file: str  # below pages/
    path: str  # of its address; the page without one opens first
    title: str
    icon: str
    help: str

    @property
    def exists(self) -> bool:
        return (PAGES / self.file).is_file()


MENU: dict[str, tuple[Entry, ...]] = {
    "Start": (
        Entry(
            "start/home.py",
            "",
            "Home",
            ":material/home:",
            "The families side by side: the idea, the objective, a reconstruction and a sample of each.",
        ),
    ),
    "Build": (
        Entry(
            "build/train.py",
            "train",
            "Train",
            ":material/model_training:",
            "Choose pictures, a family and a budget, and watch what it learns to keep.",
        ),
        Entry(
            "build/library.py",
            "library",
            "Library",
            ":material/inventory_2:",
            "All runs: compare, name, export, import and delete them.",
        ),
    ),
    "Explore": (
        Entry(
            "explore/reconstruct.py",
            "reconstruct",
            "Reconstruct",
            ":material/compare:",
            "Put your own pictures through every trained model at once and see what each of them keeps.",
        ),
        Entry(
            "explore/denoise.py",
            "denoise",
            "Denoise",
            ":material/auto_fix_high:",
            "Photographs without their noise, at their own size and in their own format.",
        ),
        Entry(
            "explore/latent.py",
            "latent",
            "Latent space",
            ":material/scatter_plot:",
            "A map of all test pictures by their codes: walk it, ask who is near, add your own.",
        ),
        Entry(
            "explore/sample.py",
            "sample",
            "Sampling canvas",
            ":material/draw:",
            "Drag over a plane of codes, and the pictures of VAE and GAN follow the pointer.",
        ),
        Entry(
            "explore/robustness.py",
            "robustness",
            "Robustness",
            ":material/storm:",
            "Damage pictures step by step and see which variant still gives them back, with intervals.",
        ),
        Entry(
            "explore/vae.py",
            "vae",
            "Inside the VAE",
            ":material/bubble_chart:",
            "From a picture to a distribution to pictures, and what each part of the objective does.",
        ),
    ),
}


def show() -> None:
    st.set_page_config(page_title="Bottleneck", page_icon=BRAND / "mark.svg", layout="wide")
    st.logo(BRAND / "wordmark.svg", size="large", icon_image=BRAND / "mark.svg")
    colours = {name: themed(f"{name.lower()}Color") for name in ("BACKGROUND", "TEXT", "LINK")}
    st.html(f"<style>{re.sub('|'.join(colours), lambda found: colours[found[0]], STYLE)}</style>")
    try:
        chosen = st.navigation(sections())
        forget_infinite_numbers()
        chosen.run()
    finally:
        server.page_drawn.set()


def themed(option: str) -> str:
    """A colour of the theme in CSS, for either scheme."""
    light, dark = (st.get_option(f"theme.{scheme}.{option}") or "inherit" for scheme in ("light", "dark"))
    return f"light-dark({light}, {dark})"


# What has a name at random is no number, though one in eighty reads as 12e45678; nor is what somebody looks for.
NAMED = ("watch", "group", "run", "find", "tags")


def forget_infinite_numbers() -> None:
    """Start a page anew without the 1e999 that its address may ask for: Streamlit makes no whole number of it, but an error."""
    numbers = [name for name in st.query_params if name not in NAMED]
    found = [name for name in numbers if any(map(is_infinite, st.query_params.get_all(name)))]
    for name in found:
        del st.query_params[name]
    if found:
        st.rerun()


def is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def sections() -> dict[str, list[st.Page]]:
    """The menu, less what is not there."""
    found = {title: [page(entry) for entry in entries if entry.exists] for title, entries in MENU.items()}
    return {title: pages for title, pages in found.items() if pages}


def page(entry: Entry) -> st.Page:
    address = entry.path or None
    return st.Page(
        PAGES / entry.file,
        title=entry.title,
        icon=entry.icon,
        help=entry.help,
        url_path=address,
        default=address is None,
    )


def to(file: str) -> st.Page:
    """The page in this file below pages/, for links from other pages."""
    return next(page(entry) for entries in MENU.values() for entry in entries if entry.file == file)


def set_up(file: str, label: str, icon: str, asked: Mapping[str, str]) -> None:
    """A link that sets a page up: what `asked` leaves out is to stand at its default there, whatever was chosen before."""
    st.page_link(to(file), label=label, icon=icon, query_params={**asked, ANEW: uuid4().hex[:8]})


def forget_if_set_up(decided: Callable[[str], bool]) -> None:
    """Where such a link has led here, what stood in the widgets whose keys it decides; once, whatever the address keeps."""
    asked = st.query_params.get(ANEW)
    if asked and st.session_state.get(ANEW) != asked:
        st.session_state[ANEW] = asked
        for key in list(filter(decided, map(str, st.session_state))):
            del st.session_state[key]


def offer_training(label: str, **asked: str) -> None:
    """A link to Train, which opens on the pictures that are learnt soonest."""
    from core.data import BY_NAME

    digits = BY_NAME["digits"]
    st.caption("Small digits are learnt in a minute or two.")
    asked = {"dataset": data_title(digits.title, digits.shape), **asked}
    set_up("build/train.py", label, ":material/play_arrow:", asked)


if __name__ == "__main__":
    show()
