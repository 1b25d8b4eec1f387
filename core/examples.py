"""Pictures of our own, so that every page has something to show without any data: ten drawn digits, and photographs.

The digits are strokes through a few points in the unit square (x to the right, y down), drawn at any size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from core import intake
from core.data import load, sample_photos

DIGITS: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = (
    (((0.55, 0.08), (0.32, 0.2), (0.24, 0.5), (0.34, 0.82), (0.54, 0.9), (0.72, 0.72), (0.76, 0.42), (0.68, 0.16), (0.55, 0.08)),),
    (((0.6, 0.08), (0.54, 0.36), (0.48, 0.64), (0.43, 0.92)),),
    (((0.28, 0.26), (0.4, 0.1), (0.62, 0.12), (0.66, 0.32), (0.5, 0.58), (0.27, 0.86)), ((0.27, 0.86), (0.5, 0.83), (0.76, 0.86))),
    (
        ((0.3, 0.16), (0.5, 0.08), (0.68, 0.2), (0.62, 0.38), (0.44, 0.46)),
        ((0.44, 0.46), (0.66, 0.54), (0.7, 0.76), (0.5, 0.91), (0.28, 0.82)),
    ),
    (((0.36, 0.1), (0.3, 0.34), (0.28, 0.54), (0.5, 0.54), (0.74, 0.5)), ((0.66, 0.16), (0.62, 0.5), (0.57, 0.92))),
    (
        ((0.72, 0.1), (0.52, 0.12), (0.36, 0.12)),
        ((0.36, 0.12), (0.31, 0.44), (0.52, 0.41), (0.69, 0.57), (0.64, 0.8), (0.44, 0.91), (0.26, 0.82)),
    ),
    (((0.62, 0.08), (0.42, 0.28), (0.29, 0.58), (0.35, 0.84), (0.54, 0.9), (0.68, 0.74), (0.6, 0.56), (0.44, 0.56), (0.31, 0.7)),),
    (((0.26, 0.14), (0.5, 0.13), (0.74, 0.12)), ((0.74, 0.12), (0.6, 0.42), (0.48, 0.68), (0.42, 0.92))),
    (
        ((0.52, 0.47), (0.36, 0.34), (0.36, 0.16), (0.52, 0.08), (0.68, 0.18), (0.64, 0.34), (0.52, 0.47)),
        ((0.52, 0.47), (0.34, 0.62), (0.32, 0.82), (0.5, 0.92), (0.67, 0.8), (0.66, 0.62), (0.52, 0.47)),
    ),
    (((0.68, 0.28), (0.54, 0.1), (0.36, 0.2), (0.34, 0.4), (0.5, 0.48), (0.66, 0.36), (0.69, 0.26)), ((0.69, 0.26), (0.64, 0.6), (0.56, 0.92))),
)  # fmt: skip
INK = 0.085  # width of a stroke, as a share of the side
SMALLEST_DRAWING = 16  # pixels a side; below, strokes run together and scikit-learn's digits serve
FINE = 16  # drawn this much larger, then averaged down


def pictures(shape: tuple[int, int, int]) -> np.ndarray:
    """At most ten examples for models of `shape` (C,H,W): uint8 (n,C,H,W), digits for gray ones, photographs for colour."""
    if shape[0] == 1 and min(shape[1:]) < SMALLEST_DRAWING:
        digits = load("digits").validation
        first = np.unique(digits.labels, return_index=True)[1]
        scans = [intake.Picture(str(i), pixels.transpose(1, 2, 0), "PNG") for i, pixels in enumerate(digits.images[first])]
        return np.stack([intake.to_shape(scan, shape) for scan in scans])
    if shape[0] == 1:
        return np.stack([drawn(strokes, shape[1:]) for strokes in DIGITS])
    photos = [intake.Picture(name, pixels, "PNG") for name, pixels in sample_photos().items()]
    return np.stack([intake.to_shape(photo, shape) for photo in photos])


def drawn(strokes: tuple[tuple[tuple[float, float], ...], ...], size: tuple[int, int]) -> np.ndarray:
    """Strokes in the unit square -> uint8 (1,H,W), light on dark, centred as MNIST's digits are."""
    height, width = size
    side = FINE * min(height, width)
    image = Image.new("L", (side, side))
    pen, radius = ImageDraw.Draw(image), INK * side / 2
    for stroke in strokes:
        for x, y in through(np.array(stroke) * side):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    small = np.asarray(image.resize((width, height), Image.Resampling.BOX))[None]
    return intake.centre_ink(small)


def through(points: np.ndarray, per_segment: int = 40) -> np.ndarray:
    """Points (n,2) -> a smooth curve (m,2) through them: Catmull & Rom 1974's spline."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, per_segment)[None, :, None]
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    return 0.5 * curve.reshape(-1, 2)
