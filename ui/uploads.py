"""Files from visitors. What was brought stays while they look at other pages, where Streamlit's uploader forgets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from core import intake
from ui.words import as_written, counted

# With those of HEIC and AVIF, which are refused in words of ours: the uploader has but "not allowed".
SUFFIXES = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff", "gif", "heic", "heif", "avif"]
TOLD = 2  # refusals at once
KEPT = 2**28  # bytes that a session keeps of them

File = tuple[bytes, str]  # content and name
NOTHING: tuple[list[File], list[File]] = ([], [])


def files(
    label: str,
    key: str,
    *,
    most: int = intake.MAX_BYTES,
    single: bool = False,
    arrived: Callable[[], None] = lambda: None,
) -> list[File]:
    """Draw the uploader: what lay in it before, and what lies in it. `arrived` hears of every change.

    Of each file it takes `most` bytes.
    """
    found = st.file_uploader(
        label,
        type=SUFFIXES,
        accept_multiple_files=not single,
        max_upload_size=most // 2**20,
        key=key,
        on_change=changed,
        args=[key, arrived],
    )
    several = found if isinstance(found, list) else [found] if found else []
    # always there: else all below would move, and what stood there linger while a page works
    beneath = st.empty()
    here = [(file.getvalue(), file.name) for file in several]
    before = remaining(key, here, single)
    if before:
        with beneath:
            tell(before, key, arrived)
    return before + here


def remaining(key: str, here: list[File], single: bool) -> list[File]:
    """What was brought before the uploader forgot it, which it has where nothing changed and yet nothing lies in it.

    It is written down with what lies there now, and makes room where there is too much.
    """
    before, last = st.session_state.get(kept_as(key), NOTHING)
    if not here:
        before = before + last
    elif single:
        before = []
    if before and size(before + here) > KEPT:
        before = []
        st.toast(
            f"What was still here is gone: all together has more than {KEPT // 2**20} MB.",
            icon=":material/delete:",
        )
    st.session_state[kept_as(key)] = before, here if size(here) <= KEPT else []
    return before


def size(files: list[File]) -> int:
    """In bytes."""
    return sum(len(data) for data, _ in files)


def tell(before: list[File], key: str, arrived: Callable[[], None]) -> None:
    names = ", ".join(as_written(intake.clean_name(name)) for _, name in before[:3])
    more = f" and {len(before) - 3} more" if len(before) > 3 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Still here: {names}{more}.", width="content")
        st.button(
            "Remove", key=f"forget-{key}", icon=":material/close:", type="tertiary", on_click=forget, args=[key, arrived]
        )  # fmt: skip


def tell_refusals(refusals: Sequence[str]) -> None:
    """Why files are no pictures. Of many on demand: what was taken is to stay in sight."""
    for one in refusals[:TOLD]:
        st.warning(as_written(one), icon=":material/block:")
    if more := refusals[TOLD:]:
        with st.expander(f"{counted(len(more), 'more file')} could not be taken", icon=":material/block:"):
            st.markdown("\n".join(f"- {as_written(one)}" for one in more))


def changed(key: str, arrived: Callable[[], None]) -> None:
    before, _ = st.session_state.get(kept_as(key), NOTHING)
    st.session_state[kept_as(key)] = before, []  # it has not forgotten: files were added to it, or taken out
    arrived()


def forget(key: str, arrived: Callable[[], None]) -> None:
    _, here = st.session_state.get(kept_as(key), NOTHING)
    st.session_state[kept_as(key)] = [], here
    arrived()


def kept_as(key: str) -> str:
    return f"kept {key}"
