"""The choice of pictures to learn from: published sets, folders, and what people have kept of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from core import folders, own
from core.data import BY_NAME, DataError, Dataset, is_local, load
from core.errors import Explained
from core.jobs import Jobs
from ui.html import block, strip
from ui.words import data_title

SHOWN = 12  # pictures of a dataset
SIZES = (32, 64, 96, 128)
MOST_MEGABYTES = 200  # of a zip
PROBLEMS = 20  # that are listed


@dataclass(frozen=True, eq=False)
class Look:
    """What the page shows and needs of a dataset, without keeping all of it in mind."""

    name: str
    title: str
    shape: tuple[int, int, int]
    counts: tuple[int, int, int]  # train, validation, test
    classes: int
    licence: str
    problems: tuple[str, ...]
    tiles: np.ndarray  # uint8 (n,C,H,W)
    names: tuple[str, ...]  # of the tiles


def pick() -> Look | None:
    """Draw the choice. None, and what to do, where the data are not to be had."""
    titles = choices()
    start = "mnist" if is_local("mnist") else "digits"
    name = st.selectbox(
        "Pictures",
        list(titles),
        index=list(titles).index(start),
        format_func=titles.get,
        key="data",
        bind="query-params",
    )
    if name not in BY_NAME:
        name += size_and_colour()
    elif not is_local(name):
        offer_download(name)
        return None
    try:
        with st.spinner("Reading the pictures…"):
            look = look_at(name)
    except DataError as error:
        st.warning(str(error), icon=":material/folder_off:")
        return None
    show(look)
    return look


def choices() -> dict[str, str]:
    """Title by name."""
    sets = {source.name: data_title(source.title, source.shape) for source in BY_NAME.values()}
    mine = {f"{own.PREFIX}{one.name}": f"{one.title} · {one.pictures:,} own pictures" for one in own.kept()}
    below = {f"{folders.PREFIX}{path}": f"{path} · folder" for path in folders.below_data()}
    return sets | mine | below


def size_and_colour() -> str:
    """What follows the name of a folder: "@64gray"."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    size = left.segmented_control(
        "Cropped to", SIZES, default=64, required=True, format_func="{0}×{0}".format, key="size", bind="query-params"
    )  # fmt: skip
    gray = right.toggle("Gray", key="gray", bind="query-params")
    return f"@{size}{'gray' if gray else ''}"


def look_at(name: str) -> Look:
    """Raises DataError."""
    return _look(load(name))


@st.cache_data(
    show_spinner=False, max_entries=16, hash_funcs={Dataset: lambda data: (data.name, data.fingerprint)}
)
def _look(data: Dataset) -> Look:
    spread = np.linspace(0, len(data.train) - 1, min(SHOWN, len(data.train))).round().astype(int)
    labels = data.train.labels
    names = ["" if labels is None else data.class_names[labels[index]] for index in spread]
    counts = (len(data.train), len(data.validation), len(data.test))
    return Look(
        data.name,
        data.title,
        data.shape,
        counts,
        len(data.class_names),
        data.licence,
        data.problems,
        np.array(data.train.images[spread]),
        tuple(names),
    )


def show(look: Look) -> None:
    st.html(block(strip(look.tiles, (name or "a picture to learn from" for name in look.names), SHOWN)))
    train, validation, test = look.counts
    classes = f", {look.classes} classes" if look.classes else ""
    st.caption(
        f"{train:,} to learn from, {validation:,} to watch progress, {test:,} for the scores{classes}. "
        f"Licence: {look.licence}."
    )
    if look.problems:
        with st.expander(f"{len(look.problems):,} files were left out", icon=":material/report:"):
            st.text("\n".join(look.problems[:PROBLEMS]))


# --- downloads --------------------------------------------------------------------------------------------------


def offer_download(name: str) -> None:
    source, jobs = BY_NAME[name], Jobs()
    fetching = [job for job in jobs.all() if job.arguments[:2] == ("fetch", name)]
    if fetching and fetching[-1].active:
        follow_download(fetching[-1].id)
        return
    st.info(
        f"{source.title} is not on this machine yet ({source.download_bytes / 2**20:.0f} MB, {source.licence}).",
        icon=":material/cloud_download:",
    )
    if fetching and fetching[-1].state in ("failed", "died"):
        st.warning(fetching[-1].message or "The download broke off. Try again.", icon=":material/cloud_off:")
    if st.button(f"Download {source.title}", icon=":material/download:"):
        jobs.start(["fetch", name], f"Download of {source.title}")
        st.rerun()


@st.fragment(run_every=0.5)
def follow_download(id: str) -> None:
    job = Jobs().job(id)
    if not job.active:
        st.rerun()
    fraction, text = job.progress()
    st.progress(fraction, text or "Connecting…")
    if st.button("Cancel", icon=":material/close:"):
        job.stop()


# --- own pictures -----------------------------------------------------------------------------------------------


def keep_own() -> None:
    """Take a zip of pictures, show what is in it, and keep it where that is asked for."""
    st.markdown(
        "A zip of pictures becomes a dataset; folders in it become classes. "
        "It is kept on this machine until you delete it, and only once you say so."
    )
    file = st.file_uploader("Zip with pictures", type=["zip"], max_upload_size=MOST_MEGABYTES, key="zip")
    if file is not None:
        try:
            survey(file)
        except Explained as error:
            st.warning(str(error), icon=":material/block:")
    for one in own.kept():
        text, button = st.columns([4, 1], vertical_alignment="center")
        text.markdown(f"**{one.title}** · {one.pictures:,} pictures")
        if button.button("Delete", key=f"delete-{one.name}", icon=":material/delete:"):
            own.remove(one.name)
            st.toast(f"{one.title} is deleted. Runs that learnt from it stay.")
            st.rerun()


def survey(file: object) -> None:
    """Raises Explained."""
    raise NotImplementedError
