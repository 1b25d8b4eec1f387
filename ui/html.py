"""Pictures as HTML: small ones enlarged without blur, many in one element instead of one request each."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

import numpy as np

from core.pictures import png, sheet

STYLE = """<style>
.bn { font-variant-numeric: tabular-nums; }
.bn img { display: block; width: 100%; image-rendering: pixelated; border-radius: 3px; background: #000; }
.bn .row { display: grid; gap: 3px; margin-bottom: 3px; }
.bn .sum { font-size: 1.15rem; margin: 0.2rem 0 0.4rem; }
.bn .share { display: flex; height: 0.7rem; border-radius: 3px; overflow: hidden; margin: 0.2rem 0 0.3rem; }
.bn .shares { display: grid; grid-template-columns: max-content 1fr max-content; gap: 0.35rem 0.6rem; }
.bn .shares { align-items: center; font-size: 0.85rem; }
.bn .shares i { height: 0.8rem; border-radius: 2px; display: block; }
.bn .glance { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
.bn img.smooth, .bn .smooth img { image-rendering: auto; }
.bn .captioned { gap: 0.7rem; }
.bn small { opacity: 0.72; font-size: 0.8rem; line-height: 1.35; display: block; }
.bn img + small { margin-top: 0.15rem; }
.bn .scroll { overflow-x: auto; padding-bottom: 0.4rem; }
.bn .board { display: grid; gap: 0.9rem 0.7rem; align-items: start; }
.bn .board .first { position: sticky; left: 0; z-index: 1; height: 100%; }
.bn .board .first { background: var(--ground); box-shadow: 0.7rem 0 var(--ground); }
.bn .head { font-weight: 600; line-height: 1.25; border-top: 3px solid; padding-top: 0.35rem; }
.bn .best { font-weight: 700; }
.bn .far { color: light-dark(#b34d00, #e8731a); opacity: 1; }
.bn .label { opacity: 0.72; font-size: 0.8rem; margin: 0.5rem 0 0.25rem; }
.bn .diagram { font-size: 0.72rem; line-height: 1.5; margin: 0; white-space: pre-wrap; opacity: 0.85; }
</style>"""


def picture(pixels: np.ndarray, alt: str) -> str:
    """uint8 (C,H,W) -> an <img> as wide as its container."""
    return f'<img alt="{escape(alt)}" title="{escape(alt)}" src="{data_uri(sheet(pixels[None], 1))}">'


def data_uri(pixels: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def strip(tiles: np.ndarray, alts: Iterable[str], columns: int) -> str:
    """uint8 (n,C,H,W) -> a row of pictures, wrapped after `columns`."""
    cells = "".join(picture(pixels, alt) for pixels, alt in zip(tiles, alts, strict=False))
    return f'<div class="row" style="grid-template-columns: repeat({columns}, 1fr)">{cells}</div>'


def captioned(pictures: Iterable[tuple[str, np.ndarray]], width: str = "8.5rem", smooth: bool = False) -> str:
    """Pictures (C,H,W) in a row that wraps, each about `width` wide, with words below; `smooth` are enlarged photographs."""
    kind = "row captioned smooth" if smooth else "row captioned"
    cells = "".join(
        f"<div>{picture(pixels, words)}<small>{escape(words)}</small></div>" for words, pixels in pictures
    )
    columns = f"repeat(auto-fill, minmax(min(28%, {width}), 1fr))"
    return f'<div class="{kind}" style="grid-template-columns: {columns}">{cells}</div>'


def intensity(values: np.ndarray, top: float) -> np.ndarray:
    """(H,W) from 0 to `top` -> uint8 (1,H,W), black to white."""
    return (255 * (values / top if top > 0 else values)).clip(0, 255).round().astype(np.uint8)[None]


def block(*parts: str) -> str:
    """What `st.html` takes."""
    return f'{STYLE}<div class="bn">{"".join(parts)}</div>'


def difference(values: np.ndarray) -> np.ndarray:
    """(H,W) in [-1,1] -> uint8 (3,H,W): black where nothing differs, blue where light was added, orange where it was lost."""
    added, lost = np.array([86, 180, 233.0]), np.array([255, 140, 0.0])
    strength = np.sqrt(np.abs(values))[..., None]  # small errors are what one looks for
    colours = np.where(values[..., None] > 0, added, lost) * strength
    return colours.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
