"""Components of our own (Streamlit's components v2): one .py, .js and .css each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent


def declared(name: str, html: str, addressed: bool = False) -> ComponentRenderer:
    """What draws the component of this name, whose .css and .js lie here, the latter with `intoTheAddress` where it is wanted."""
    scripts = [*(["address"] if addressed else []), name]
    js = "\n".join((HERE / f"{one}.js").read_text(encoding="utf-8") for one in scripts)
    css = (HERE / f"{name}.css").read_text(encoding="utf-8")
    return st.components.v2.component(f"bottleneck_{name}", html=html, css=css, js=js)
