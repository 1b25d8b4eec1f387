"""One photograph, as many bytes: through a bottleneck, and as the JPEG and WebP files that are largest but not larger.

compared(picture, model, k) -> [ours, JPEG, WebP]
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.evaluation import psnr, ssim
from core.families.photo_autoencoder import PhotoAutoencoder
from core.packing import pack, unpack
from core.pictures import as_bytes, as_floats

QUALITIES = (0, 100)  # as Pillow counts
LONGEST = {"JPEG": 65_500, "WebP": 16_383}  # pixels a side that a format can hold
SMALLEST_SEEN = 3  # pixels a side that SSIM needs
FORMATS: Mapping[str, Mapping[str, Any]] = {"JPEG": dict(optimize=True), "WebP": dict(method=6)}


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
    file = compressed(picture, model, k)
    rows = [row(model.title, len(file), len(file), picture, expanded(file, model))]
    for title in FORMATS:
        if max(picture.shape[:2]) > LONGEST[title]:
            continue
        other = largest_below(len(file), written(picture, title))
        with Image.open(io.BytesIO(other)) as opened:
            back = np.asarray(opened.convert("RGB"))
        rows.append(row(title, len(other), len(file), picture, back))
    return rows


@torch.inference_mode()
def compressed(picture: np.ndarray, model: PhotoAutoencoder, k: int) -> bytes:
    """uint8 (H,W,3) -> the packed code, which is all that `expanded` needs."""
    device = next(model.parameters()).device
    x = as_floats(picture.transpose(2, 0, 1))[None].to(device)
    return pack(model.encode(x, k)[0].cpu().numpy(), *picture.shape[:2])


@torch.inference_mode()
def expanded(file: bytes, model: PhotoAutoencoder) -> np.ndarray:
    """uint8 (H,W,3). Raises ValueError where these bytes are no code, or none of this model."""
    code, height, width = unpack(file)
    device = next(model.parameters()).device
    back = model.decode(torch.from_numpy(code)[None].to(device), height, width)[0]
    return as_bytes(back).transpose(1, 2, 0)


def row(title: str, size: int, allowed: int, picture: np.ndarray, back: np.ndarray) -> Row:
    a, b = (pixels.transpose(2, 0, 1) / 255 for pixels in (back, picture))
    alike = ssim(a, b) if min(picture.shape[:2]) >= SMALLEST_SEEN else None
    return Row(title, size, size > allowed, psnr(float(np.square(a - b).mean())), alike, back)


def written(picture: np.ndarray, title: str) -> Callable[[int], bytes]:
    """The file of uint8 (H,W,3) in one of `FORMATS` at a quality."""

    def file(quality: int) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, title, quality=quality, **FORMATS[title])
        return buffer.getvalue()

    return file


def largest_below(allowed: int, file: Callable[[int], bytes]) -> bytes:
    """The largest file of at most that many bytes; where there is none, the smallest of all."""
    low, high = QUALITIES
    best = file(low)
    if len(best) > allowed:
        return best
    while low < high:
        middle = (low + high + 1) // 2
        tried = file(middle)
        if len(tried) <= allowed:
            low, best = middle, tried
        else:
            high = middle - 1
    return best
