"""Files from visitors. What was brought stays while they look at other pages, where Streamlit's uploader forgets it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core import intake
from ui.words import as_written

# With those of HEIC and AVIF, which are refused in words of ours: the uploader has but "not allowed".
SUFFIXES = ["png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "tif", "tiff", "gif", "heic", "heif", "avif"]
KEPT = 2**28  # bytes that a session keeps of them


def files(
    label: str,
    key: str,
    *,
    most: int = intake.MAX_BYTES,
    single: bool = False,
    arrived: Callable[[], None] = lambda: None,
) -> list[tuple[bytes, str]]:
    """Draw the uploader: content and name of what lies in it, else of what lay in it before. `arrived` hears of every change.

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
    if here:
        st.session_state[kept_as(key)] = here if sum(len(data) for data, _ in here) <= KEPT else []
    if here:
        return here
    with beneath:
        return from_before(key, arrived)


def from_before(key: str, arrived: Callable[[], None]) -> list[tuple[bytes, str]]:
    kept: list[tuple[bytes, str]] = st.session_state.get(kept_as(key), [])
    if kept:
        names = ", ".join(as_written(intake.clean_name(name)) for _, name in kept[:3])
        more = f" and {len(kept) - 3} more" if len(kept) > 3 else ""
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Still here: {names}{more}.", width="content")
            st.button(
                "Remove",
                key=f"forget-{key}",
                icon=":material/close:",
                type="tertiary",
                on_click=changed,
                args=[key, arrived],
            )
    return kept


def changed(key: str, arrived: Callable[[], None]) -> None:
    st.session_state.pop(kept_as(key), None)
    arrived()


def kept_as(key: str) -> str:
    return f"kept {key}"
