"""Between tensors and picture files: floats to bytes, tiles to one sheet and back, PNG. Imports no torch by itself."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

MOST_TILES = 20  # side by side, or one below the other
FILM_WIDTH = 840  # pixels


def as_bytes(x: Tensor) -> np.ndarray:
    """Floats in [0,1] -> uint8 of the same shape, rounded."""
    return (x.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()


def as_floats(pixels: np.ndarray) -> Tensor:
    """uint8 -> float32 in [0,1] of the same shape."""
    import torch

    return torch.tensor(np.ascontiguousarray(pixels)).float() / 255


def gray_as_one(pixels: np.ndarray) -> np.ndarray:
    """(H,W,C) with one channel where there is no colour."""
    return pixels[:, :, :1] if (pixels == pixels[:, :, :1]).all() else pixels


def sheet(tiles: np.ndarray, columns: int | None = None) -> np.ndarray:
    """uint8 (n,C,H,W) -> one (rows·H, columns·W) or (…,3) picture, row by row; as square as can be without `columns`."""
    count, channels, height, width = tiles.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    full = np.zeros((rows * columns, channels, height, width), np.uint8)
    full[:count] = tiles
    pixels = full.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    pixels = pixels.reshape(rows * height, columns * width, channels)
    return pixels[..., 0] if channels == 1 else pixels


def tiles(sheet: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The inverse of `sheet`: (rows·H, columns·W[,C]) -> (rows·columns,C,H,W)."""
    channels, height, width = shape
    pixels = sheet.reshape(sheet.shape[0] // height, height, sheet.shape[1] // width, width, channels)
    return pixels.transpose(0, 2, 4, 1, 3).reshape(-1, channels, height, width)


def png(pixels: np.ndarray) -> bytes:
    """uint8 (H,W) or (H,W,3) -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def gif(frames: Sequence[np.ndarray], pause: int, rest: int) -> bytes:
    """uint8 pictures (H,W) or (H,W,3) of one size -> an animated GIF that begins anew for ever.

    Enlarged by whole pixels until the longer side has about `FILM_WIDTH`. Each is shown for `pause` milliseconds, the last one
    for `rest`; a line below tells how far the film is.
    """
    factor = max(1, round(FILM_WIDTH / max(frames[0].shape[:2])))
    drawn = []
    for number, pixels in enumerate(frames, 1):
        large = np.repeat(np.repeat(pixels, factor, 0), factor, 1)
        line = np.zeros((4, *large.shape[1:]), np.uint8)
        line[:, : round(large.shape[1] * number / len(frames))] = 255
        drawn.append(Image.fromarray(np.concatenate([large, line])))
    buffer = io.BytesIO()
    pauses = [pause] * (len(drawn) - 1) + [rest]
    drawn[0].save(buffer, "GIF", save_all=True, append_images=drawn[1:], duration=pauses, loop=0)
    return buffer.getvalue()
