"""The icon of a family where a page writes HTML of its own; in Markdown it is `:material/…:`."""

from __future__ import annotations

from core.families import family

STYLE = (
    "font-family: 'Material Symbols Rounded'; font-feature-settings: 'liga'; font-weight: 400; font-size: 1rem; "
    "line-height: 1; vertical-align: -0.15rem; margin-right: 0.2rem; white-space: nowrap"
)


def symbol(key: str) -> str:
    return f'<span aria-hidden="true" style="{STYLE}">{family(key).symbol}</span>'
