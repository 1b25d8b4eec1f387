"""A square of pictures in which one can be chosen, to look closer."""

from __future__ import annotations

from typing import Any

from ui.components import declared

HTML = '<div class="tiles" tabindex="0" role="application"><img alt=""><span class="cell"></span></div>'

_tiles = declared("tiles", HTML)


def tiles(sheet: str, side: int, alt: str, key: str) -> tuple[int, int] | None:
    """Draw side·side pictures, a sheet as a data URI; row and column of the one that was chosen just now, if one was."""
    result = _tiles(data={"sheet": sheet, "side": side, "alt": alt}, key=key, on_cell_change=lambda: None)
    return checked(result.get("cell"), side)


def checked(cell: Any, side: int) -> tuple[int, int] | None:
    """What a browser sent, if it is a cell."""
    whole = isinstance(cell, list | tuple) and len(cell) == 2 and all(type(v) is int for v in cell)
    return (cell[0], cell[1]) if whole and all(0 <= v < side for v in cell) else None
