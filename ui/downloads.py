"""Files to take away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from ui.words import as_written

if TYPE_CHECKING:  # Home imports this module, and neither pandas nor torch
    import pandas as pd


def download(
    label: str, data: Callable[[], bytes | str], file: str, kind: str, icon: str, quiet: bool = False
) -> None:
    """A button that saves what `data` makes as `file`, of MIME type `kind`; `icon` is the name of a Material symbol."""
    st.download_button(
        label, data, file, kind, icon=f":material/{icon}:", on_click="ignore", key=f"save-{file}",
        type="tertiary" if quiet else "secondary", help=f"Download {as_written(file)}",
    )  # fmt: skip


def csv(frame: pd.DataFrame) -> bytes:
    """In which a spreadsheet finds no formulas: names of files, runs and classes may begin like one."""
    from core.findings import harmless

    plain = frame.map(lambda value: harmless(value) if isinstance(value, str) else value)
    return plain.rename(columns=lambda name: harmless(str(name))).to_csv(index=False).encode()
