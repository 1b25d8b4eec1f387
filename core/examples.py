"""Pictures of our own, so that every page has something to show without any data: drawings, and photographs.

The digits are strokes through a few points in the unit square (x to the right, y down), drawn at any size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from core import intake
from core.data import load, sample_photos
from core.drawings import FINE, GARMENTS, SIGNS, painted, read

STROKES = (  # in hundredths
    (((55, 8), (32, 20), (24, 50), (34, 82), (54, 90), (72, 72), (76, 42), (68, 16), (55, 8)),),
    (((60, 8), (54, 36), (48, 64), (43, 92)),),
    (((28, 26), (40, 10), (62, 12), (66, 32), (50, 58), (27, 86)), ((27, 86), (50, 83), (76, 86))),
    (
        ((30, 16), (50, 8), (68, 20), (62, 38), (44, 46)),
        ((44, 46), (66, 54), (70, 76), (50, 91), (28, 82)),
    ),
    (((36, 10), (30, 34), (28, 54), (50, 54), (74, 50)), ((66, 16), (62, 50), (57, 92))),
    (
        ((72, 10), (52, 12), (36, 12)),
        ((36, 12), (31, 44), (52, 41), (69, 57), (64, 80), (44, 91), (26, 82)),
    ),
    (((62, 8), (42, 28), (29, 58), (35, 84), (54, 90), (68, 74), (60, 56), (44, 56), (31, 70)),),
    (((26, 14), (50, 13), (74, 12)), ((74, 12), (60, 42), (48, 68), (42, 92))),
    (
        ((52, 47), (36, 34), (36, 16), (52, 8), (68, 18), (64, 34), (52, 47)),
        ((52, 47), (34, 62), (32, 82), (50, 92), (67, 80), (66, 62), (52, 47)),
    ),
    (((68, 28), (54, 10), (36, 20), (34, 40), (50, 48), (66, 36), (69, 26)), ((69, 26), (64, 60), (56, 92))),
)  # fmt: skip
DIGITS = tuple(tuple(tuple((x / 100, y / 100) for x, y in stroke) for stroke in digit) for digit in STROKES)
INK = 0.085  # width of a stroke, as a share of the side
SMALLEST_DRAWING = 16  # pixels a side; below, strokes run together and scikit-learn's digits serve


def pictures(shape: tuple[int, int, int], dataset: str = "") -> np.ndarray:
    """At most ten examples for models of `shape` (C,H,W) that learnt from this dataset: uint8 (n,C,H,W)."""
    return np.stack(list(named(shape, dataset).values()))


def named(shape: tuple[int, int, int], dataset: str = "") -> dict[str, np.ndarray]:
    """Examples by name: what the dataset shows, else digits for gray models and photographs for those that see colour."""
    if dataset == "fashion-mnist":
        return {name: painted(forms, shape, "black") for name, forms in read(GARMENTS).items()}
    if dataset.startswith("folder:emoji"):
        return {name: painted(forms, shape, "white") for name, forms in read(SIGNS).items()}
    if shape[0] == 1 and min(shape[1:]) < SMALLEST_DRAWING:
        digits = load("digits").validation
        first = [int(np.argmax(digits.labels == digit)) for digit in range(10)]
        scans = {f"digit {i}": digits.images[index].transpose(1, 2, 0) for i, index in enumerate(first)}
        return {
            name: intake.to_shape(intake.Picture(name, pixels, "PNG"), shape)
            for name, pixels in scans.items()
        }
    if shape[0] == 1:
        return {f"digit {i}": drawn(strokes, shape[1:]) for i, strokes in enumerate(DIGITS)}
    photos = sample_photos().items()
    return {name: intake.to_shape(intake.Picture(name, pixels, "PNG"), shape) for name, pixels in photos}


def drawn(strokes: tuple[tuple[tuple[float, float], ...], ...], size: tuple[int, int]) -> np.ndarray:
    """Strokes in the unit square -> uint8 (1,H,W), light on dark, centred as MNIST's digits are."""
    height, width = size
    side = max(2, FINE // min(height, width)) * min(height, width)
    image = Image.new("L", (side, side))
    pen, radius = ImageDraw.Draw(image), INK * side / 2
    for stroke in strokes:
        for x, y in through(np.array(stroke) * side):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    small = np.asarray(image.resize((width, height), Image.Resampling.BOX))[None]
    return intake.centre_ink(small)


def through(points: np.ndarray, per_segment: int = 40) -> np.ndarray:
    """Points (n,2) -> a smooth curve (m,2) through them: Catmull & Rom 1974's spline. A single one stays as it is."""
    if len(points) == 1:
        return points
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, per_segment)[None, :, None]
    curve = (
        2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return 0.5 * curve.reshape(-1, 2)
