"""Components of our own (Streamlit's components v2): one .py, .js and .css each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent


def declared(name: str, html: str) -> ComponentRenderer:
    """What draws the component of this name, whose .css and .js lie here."""
    css, js = ((HERE / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return st.components.v2.component(f"bottleneck_{name}", html=html, css=css, js=js)
