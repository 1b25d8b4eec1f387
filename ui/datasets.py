"""The choice of pictures to learn from: published sets, folders, and what people have kept of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core import folders, intake, own
from core.archives import Archive
from core.data import BY_NAME, DataError, Dataset, is_local, load
from core.errors import Explained
from ui import jobs
from ui.choices import choice
from ui.html import block, strip
from ui.words import as_written, data_title, unlike

SHOWN = 12  # pictures of a dataset
TILE = 48  # pixels a side, of pictures in a zip
SIZES = (32, 64, 96, 128)
CROPPED = "{0}×{0}"
MOST_MEGABYTES = 200  # of a zip
KEEPING = "keeping"  # the upload whose keeping has begun and not ended
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
    if (arrived := st.session_state.pop("arrived", None)) in titles:
        st.session_state["dataset"] = arrived
    start = "mnist" if is_local("mnist") else "digits"
    name = st.selectbox(
        "Pictures",
        list(titles),
        index=list(titles).index(start),
        format_func=titles.__getitem__,
        key="dataset",
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
        st.warning(as_written(str(error)), icon=":material/folder_off:")
        return None
    show(look)
    return look


def choices() -> dict[str, str]:
    """Title by name."""
    sets = {source.name: data_title(source.title, source.shape) for source in BY_NAME.values()}
    mine = {f"{own.PREFIX}{one.name}": f"{one.title} · {one.pictures:,} own pictures" for one in own.kept()}
    below = {
        f"{folders.PREFIX}{path}": f"{path} · folder" for path in folders.below_data() if path not in sets
    }
    return unlike(sets | mine | below)


def address(name: str) -> dict[str, str]:
    """What opens the choice on this dataset; nothing where it is not offered here."""
    titles = choices()
    if name in titles and name in BY_NAME:
        return {"dataset": titles[name]}
    try:
        asked = folders.frame(name)
    except DataError:
        return {}
    if asked.path not in titles or asked.size not in SIZES:
        return {}
    return {
        "dataset": titles[asked.path],
        "size": CROPPED.format(asked.size),
        "gray": str(asked.gray).lower(),
    }


def size_and_colour() -> str:
    """What follows the name of a folder: "@64gray"."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        size = choice("Cropped to", SIZES, 64, format_func=CROPPED.format, key="size")
        gray = st.toggle("Gray", key="gray", bind="query-params", width="content")
    return f"@{size}{'gray' if gray else ''}"


def look_at(name: str) -> Look:
    """Raises DataError."""
    return _look(load(name))


@st.cache_data(
    show_spinner=False,
    max_entries=16,
    hash_funcs={Dataset: lambda data: (data.name, data.fingerprint, data.problems)},
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
    list_problems(look.problems)


# --- downloads --------------------------------------------------------------------------------------------------


def offer_download(name: str) -> None:
    """A button, or how far the download is."""
    source, fetching = BY_NAME[name], ["fetch", name]
    if jobs.at_work(jobs.latest(fetching)):
        return
    st.info(
        f"{source.title} is not on this machine yet ({source.download_bytes / 2**20:.0f} MB, {source.licence}).",
        icon=":material/cloud_download:",
    )
    if st.button(f"Download {source.title}", icon=":material/download:"):
        jobs.start((fetching, f"Download of {source.title}"), lane="")


# --- own pictures -----------------------------------------------------------------------------------------------


def keep_own() -> None:
    """Take a zip of pictures, show what is in it, and keep it where that is asked for."""
    st.markdown(
        "A zip of pictures becomes a dataset; folders in it become classes. Nothing is kept before you say so, "
        "and then it stays on this machine until you delete it."
    )
    file = st.file_uploader(
        "Zip with pictures",
        type=["zip"],
        max_upload_size=MOST_MEGABYTES,
        key=f"zip-{st.session_state.get('kept', 0)}",  # empty again once it has been kept
    )
    if file is not None:
        try:
            offer_to_keep(file)
        except Explained as error:
            st.session_state.pop(KEEPING, None)
            st.warning(as_written(str(error)), icon=":material/block:")
    for one in own.kept():
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f"**{as_written(one.title)}** · {one.pictures:,} pictures", width="content")
            with st.popover("Delete", icon=":material/delete:"):
                st.markdown("The pictures are gone for good then. Runs that learnt from them stay.")
                st.button("Delete for good", key=f"delete-{one.name}", on_click=remove, args=[one])


def offer_to_keep(file: UploadedFile) -> None:
    """Raises Explained."""
    archive = Archive(file)
    found = surveyed(file.file_id, archive)
    tiles = [intake.to_shape(picture, (3, TILE, TILE)) for picture in found.shown[:SHOWN]]
    st.html(block(strip(np.stack(tiles), (picture.name for picture in found.shown), SHOWN)))
    classes = "".join(f" · {name or 'without a folder'} {count:,}" for name, count in found.classes.items())
    st.caption(f"{found.files:,} pictures{as_written(classes)}")
    list_problems(found.problems)
    title = st.text_input(
        "Name",
        Path(file.name).stem[: own.MOST_TITLE],
        max_chars=own.MOST_TITLE,
        key=f"zip-name-{file.file_id}",
    )
    if st.session_state.pop(KEEPING, None) == file.file_id:
        st.warning(
            "Keeping was broken off by another choice on this page, and nothing was kept. Press it again and wait for its end.",
            icon=":material/power_off:",
        )
    if st.button("Keep as dataset", icon=":material/save:", type="primary"):
        st.session_state[KEEPING] = file.file_id
        bar = st.progress(0.0, "Keeping…")
        every = max(1, found.files // 50)
        kept = own.keep(
            archive,
            title,
            lambda done, whole: done % every or bar.progress(done / whole, f"{done:,} of {whole:,}"),
        )
        del st.session_state[KEEPING]
        st.session_state["kept"] = st.session_state.get("kept", 0) + 1
        st.session_state["arrived"] = f"{own.PREFIX}{kept.name}"
        left_out = f", {len(kept.problems):,} files were left out" if kept.problems else ""
        st.toast(
            f"{as_written(kept.title)} is kept: {kept.pictures:,} pictures{left_out}.",
            icon=":material/check:",
        )
        st.rerun()


def surveyed(id: str, archive: Archive) -> own.Survey:
    """Looked into once for each upload, and not again while its name is typed. Raises ArchiveError."""
    before, found = st.session_state.get("survey", (None, None))
    if before != id:
        found = own.survey(archive)
        st.session_state["survey"] = id, found
    return found


def where_from(name: str) -> str:
    """What to do where the pictures of a run are not to be had, in Markdown."""
    if name in BY_NAME:
        return f"{BY_NAME[name].title} is not on this machine: Train offers to download it."
    return f"“{as_written(name)}” is not among those that Train offers here."


def list_problems(problems: Sequence[str]) -> None:
    if problems:
        count = "1 file is" if len(problems) == 1 else f"{len(problems):,} files are"
        with st.expander(f"{count} left out", icon=":material/report:"):
            st.text("\n".join(problems[:PROBLEMS]) + ("\n…" if len(problems) > PROBLEMS else ""))


def remove(one: own.Own) -> None:
    try:
        own.remove(one.name)
    except Explained as error:
        st.toast(as_written(str(error)), icon=":material/error:")
    else:
        st.toast(
            f"{as_written(one.title)} is deleted. Runs that learnt from it stay.", icon=":material/delete:"
        )
