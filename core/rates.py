"""One photograph, as many bytes: through a bottleneck, and as JPEG and WebP files that are as large as can be but not larger.

compared(picture, model, k) -> [ours, JPEG, WebP]

A large picture goes through in tiles and is measured in strips: in bounded memory, without seams, and while whoever waits sees
the share that is done. A tile sees as far beyond its edges as the nets do, so that it becomes what it is in the whole picture.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from PIL import Image

from core.evaluation import STRIP, decibels, ssim
from core.families.photo_autoencoder import PhotoAutoencoder
from core.packing import STRIDE, check, pack, places, unpack
from core.photos import finished
from core.pictures import as_bytes, as_floats

T = TypeVar("T")

COLOURLESS = b"G"  # before the code of a photograph that has no colours: it is to come back without any
TILE = 192  # places a side, at most, that go through the nets at once
WINDOW = 7  # pixels a side of the window of SSIM, where it fits
STEPS = {"JPEG": 100, "WebP": 250}  # from the lowest quality to the highest
LONGEST = {"JPEG": 65_500, "WebP": 16_383}  # pixels a side that a format can hold
SMALLEST_SEEN = 3  # pixels a side that SSIM needs
FORMATS: Mapping[str, Mapping[str, Any]] = {"JPEG": dict(optimize=True), "WebP": dict(method=6)}
SHARES = {"JPEG": (0.6, 0.65), "WebP": (0.7, 0.95)}  # of the time, from when to when each is searched


@dataclass(frozen=True, eq=False)
class Row:
    """What one way makes of a photograph."""

    title: str
    size: int  # bytes of the file
    larger: bool  # than allowed: even the lowest quality takes more
    psnr: float  # dB; infinite for identical pictures
    ssim: float | None  # of pictures of at least 3x3
    picture: np.ndarray  # uint8 (H,W,3)


def compared(picture: np.ndarray, model: PhotoAutoencoder, k: int) -> list[Row]:
    """uint8 (H,W,3) through the bottleneck of k numbers, then JPEG and WebP, where they can hold it, with no more bytes.

    Raises ValueError where k is not one of the model's rates, or the picture is too large for one code.
    """
    return finished(comparison(picture, model, k))


def comparison(picture: np.ndarray, model: PhotoAutoencoder, k: int) -> Generator[float, None, list[Row]]:
    """`compared` for whoever waits: yields the share that is done."""
    file = yield from between(0.0, 0.25, squeezed(picture, model, k))
    back = yield from between(0.25, 0.5, rebuilt(file, model))
    rows = [row(model.title, len(file), len(file), picture, back)]
    for title, (start, end) in SHARES.items():
        if max(picture.shape[:2]) > LONGEST[title]:
            continue
        other = yield from between(
            start, end, largest_below(len(file), written(picture, title), STEPS[title])
        )
        with Image.open(io.BytesIO(other)) as opened:
            back = np.asarray(opened.convert("RGB"))
        rows.append(row(title, len(other), len(file), picture, back))
    return rows


def between(start: float, end: float, work: Generator[float, None, T]) -> Generator[float, None, T]:
    """The share of a part, as the share of the whole."""
    while True:
        try:
            yield start + (end - start) * next(work)
        except StopIteration as stop:
            return stop.value


# --- through the bottleneck -------------------------------------------------------------------------------------


@torch.inference_mode()
def squeezed(picture: np.ndarray, model: PhotoAutoencoder, k: int) -> Generator[float, None, bytes]:
    """uint8 (H,W,3) -> the packed code, which is all that `rebuilt` needs."""
    height, width = picture.shape[:2]
    check(k, height, width)
    device = model.device
    code = np.zeros((k, *places(height, width)), np.int8)
    tiles = tiling(height, width, model.reach)
    for number, (rows, columns) in enumerate(tiles):
        yield number / len(tiles)
        seen = picture[pixels(rows.seen), pixels(columns.seen)].transpose(2, 0, 1)
        found = model.encode(as_floats(seen)[None].to(device), k)[0].cpu().numpy()
        code[:, rows.kept, columns.kept] = found[:, rows.inner, columns.inner]
    packed = pack(code, height, width)
    return COLOURLESS + packed if is_colourless(picture) else packed


@torch.inference_mode()
def rebuilt(file: bytes, model: PhotoAutoencoder) -> Generator[float, None, np.ndarray]:
    """-> uint8 (H,W,3). Raises ValueError where these bytes are no code, or none of this model."""
    code, height, width = unpack(file.removeprefix(COLOURLESS))
    device = model.device
    back = np.zeros((height, width, 3), np.uint8)
    tiles = tiling(height, width, model.reach)
    for number, (rows, columns) in enumerate(tiles):
        yield number / len(tiles)
        seen = torch.from_numpy(code[:, rows.seen, columns.seen])[None].to(device)
        size = back[pixels(rows.seen), pixels(columns.seen)].shape[:2]
        found = model.decode(seen, *size)[0]
        if file.startswith(COLOURLESS):
            found = found.mean(0, keepdim=True)
        inner = found[:, pixels(rows.inner), pixels(columns.inner)]
        back[pixels(rows.kept), pixels(columns.kept)] = as_bytes(inner).transpose(1, 2, 0)
    return back


def coloured(pixels: np.ndarray) -> np.ndarray:
    """uint8 (H,W,1|3) -> (H,W,3)"""
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def is_colourless(picture: np.ndarray) -> bool:
    return bool((picture == picture[..., :1]).all())


class Span(NamedTuple):
    """A tile along one axis, in places of the code."""

    seen: slice
    kept: slice
    inner: slice  # what is kept, counted from where it begins to see


def tiling(height: int, width: int, reach: int) -> list[tuple[Span, Span]]:
    """Rows and columns of each tile of a picture with that many pixels."""
    rows, columns = (spans(length, reach) for length in places(height, width))
    return list(product(rows, columns))


def spans(length: int, reach: int) -> list[Span]:
    """Tiles beside each other, of nearly one size, each of which sees `reach` places of its neighbours."""
    count = -(-length // TILE)
    edges = [number * length // count for number in range(count + 1)]
    found = []
    for first, last in pairwise(edges):
        start = max(0, first - reach)
        seen = slice(start, min(length, last + reach))
        found.append(Span(seen, slice(first, last), slice(first - start, last - start)))
    return found


def pixels(of: slice) -> slice:
    """From places; the last place of a picture may have fewer than there are in the slice."""
    return slice(STRIDE * of.start, STRIDE * of.stop)


# --- measures ---------------------------------------------------------------------------------------------------


def row(title: str, size: int, allowed: int, picture: np.ndarray, back: np.ndarray) -> Row:
    return Row(title, size, size > allowed, decibels(back, picture), similarity(back, picture), back)


def similarity(a: np.ndarray, b: np.ndarray) -> float | None:
    """SSIM of two uint8 pictures (H,W,C), None where they are too small. Strips share rows, so that no window is missed."""
    side = min(WINDOW, *a.shape[:2])
    side -= 1 - side % 2
    if side < SMALLEST_SEEN:
        return None
    windows = len(a) - side + 1  # from top to bottom
    total = 0.0
    for top in range(0, windows, STRIP):
        strip = slice(top, min(top + STRIP, windows) + side - 1)
        pair = (one[strip].transpose(2, 0, 1) / 255 for one in (a, b))
        total += ssim(*pair) * (strip.stop - strip.start - side + 1)
    return total / windows


# --- other files ------------------------------------------------------------------------------------------------


def written(picture: np.ndarray, title: str) -> Callable[[int], bytes]:
    """Files of uint8 (H,W,3) in one of `FORMATS` by step of quality; without colours where there are none, which JPEG can."""
    image = Image.fromarray(picture[..., 0] if is_colourless(picture) else picture)

    def file(step: int) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, title, quality=quality(title, step), **FORMATS[title])
        return buffer.getvalue()

    return file


def quality(title: str, step: int) -> float:
    """As Pillow counts, from 0 to 100. Of WebP's, which need not be whole, what it quantises by is the cube root.

    So steps are even there. From 0 to 1 a file was seen to grow by a third: too coarse a step to fit a size.
    """
    return step if title == "JPEG" else 100 * (step / STEPS[title]) ** 3


def largest_below(allowed: int, file: Callable[[int], bytes], steps: int) -> Generator[float, None, bytes]:
    """The largest file of at most that many bytes; where there is none, the smallest of all. Yields the share that is done.

    As bisection finds it: a better WebP is now and then a smaller file, so that it can be up to 2 % below the largest.
    """
    low, high = 0, steps
    yield 0.0
    best = file(low)
    if len(best) > allowed:
        return best
    while low < high:
        yield 1 - math.log2(1 + high - low) / math.log2(2 + steps)  # a try halves what is left
        middle = (low + high + 1) // 2
        tried = file(middle)
        if len(tried) <= allowed:
            low, best = middle, tried
        else:
            high = middle - 1
    return best
