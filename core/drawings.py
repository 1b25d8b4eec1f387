"""Drawings of our own in the manner of datasets that may not come along: garments for Fashion-MNIST, signs for emoji.

A name, then its shapes, painted one over the other: colour, kind, and points in hundredths of the unit square, x to the
right, y down. An ellipse fills the box between its two points.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

FINE = 448  # pixels a side, about, at which shapes are painted before they are averaged down

GARMENTS = """
T-shirt
    #bebebe polygon 30,7 42,12 58,12 70,7 96,24 86,43 75,37 75,95 25,95 25,37 14,43 4,24
trousers
    #a5a5a5 polygon 29,3 71,3 77,97 57,97 50,34 43,97 23,97
pullover
    #969696 polygon 32,6 42,11 58,11 68,6 84,18 97,86 84,91 75,42 75,95 25,95 25,42 16,91 3,86 16,18
    #b9b9b9 polygon 42,11 58,11 50,17
    #787878 polygon 25,89 75,89 75,95 25,95
dress
    #cdcdcd polygon 38,3 44,12 56,12 62,3 64,36 79,97 21,97 36,36
    #787878 polygon 36,35 64,35 64,39 36,39
coat
    #787878 polygon 32,6 42,11 58,11 68,6 84,18 97,86 84,91 75,42 75,95 25,95 25,42 16,91 3,86 16,18
    #3c3c3c polygon 48,16 52,16 52,95 48,95
    #b4b4b4 polygon 38,8 50,30 42,30
    #b4b4b4 polygon 62,8 50,30 58,30
sandal
    #8c8c8c polygon 3,74 60,70 97,80 97,87 3,87
    #d2d2d2 polygon 8,74 20,40 28,42 20,73
    #d2d2d2 polygon 20,40 64,70 54,71 18,48
shirt
    #cdcdcd polygon 32,6 42,11 58,11 68,6 84,18 97,86 84,91 75,42 75,95 25,95 25,42 16,91 3,86 16,18
    #6e6e6e polygon 49,16 51,16 51,95 49,95
    #787878 polygon 32,6 50,20 40,22
    #787878 polygon 68,6 50,20 60,22
sneaker
    #afafaf polygon 4,74 6,42 28,46 44,40 64,58 92,64 97,74
    #5a5a5a polygon 40,48 48,44 64,62 54,64
    #f0f0f0 polygon 3,74 97,74 97,83 3,83
bag
    #6e6e6e polygon 27,42 33,12 67,12 73,42
    #000000 polygon 35,42 39,20 61,20 65,42
    #b4b4b4 polygon 8,40 92,40 96,94 4,94
    #6e6e6e polygon 8,40 92,40 92,52 8,52
boot
    #9b9b9b polygon 22,3 62,3 62,46 88,60 97,74 97,88 20,88
    #505050 polygon 20,88 97,88 97,95 60,95 58,90 46,96 20,96
"""

SIGNS = """
smile
    #ffcc32 ellipse 6,6 94,94
    #3c2d28 ellipse 28,30 38,46
    #3c2d28 ellipse 62,30 72,46
    #3c2d28 polygon 26,58 74,58 66,74 50,79 34,74
heart
    #e1322d ellipse 5,12 54,60
    #e1322d ellipse 46,12 95,60
    #e1322d polygon 9,47 91,47 50,94
tree
    #875537 polygon 43,60 57,60 61,95 39,95
    #55a03c ellipse 14,26 60,70
    #55a03c ellipse 40,26 86,70
    #55a03c ellipse 26,4 74,52
balloon
    #3c2d28 polygon 49,72 51,72 52,97 48,97
    #e1322d polygon 44,78 56,78 50,68
    #e1322d ellipse 22,3 78,74
    #f58c82 ellipse 32,14 46,34
house
    #d2bea5 polygon 16,46 84,46 84,94 16,94
    #e1322d polygon 6,48 50,8 94,48
    #875537 polygon 42,64 58,64 58,94 42,94
    #4696d7 polygon 24,58 36,58 36,70 24,70
    #4696d7 polygon 64,58 76,58 76,70 64,70
traffic light
    #3c2d28 polygon 30,4 70,4 70,96 30,96
    #e1322d ellipse 37,9 63,35
    #ffcc32 ellipse 37,37 63,63
    #55a03c ellipse 37,65 63,91
ball
    #f07d23 ellipse 6,6 94,94
    #3c2d28 polygon 6,48 94,48 94,52 6,52
    #3c2d28 polygon 48,6 52,6 52,94 48,94
square
    #4696d7 polygon 6,6 94,6 94,94 6,94
    #ffffff polygon 26,48 40,62 74,26 82,34 40,78 18,56
"""


class Form(NamedTuple):
    colour: str
    kind: str
    points: tuple[tuple[float, float], ...]


@functools.cache
def read(text: str) -> dict[str, tuple[Form, ...]]:
    """Drawings by name."""
    found: dict[str, tuple[Form, ...]] = {}
    name = ""
    for line in text.strip().splitlines():
        if line.startswith(" "):
            colour, kind, *points = line.split()
            form = Form(
                colour, kind, tuple((float(x), float(y)) for x, y in (point.split(",") for point in points))
            )
            found[name] += (form,)
        else:
            name = line
            found[name] = ()
    return found


def painted(forms: tuple[Form, ...], shape: tuple[int, int, int], ground: str) -> np.ndarray:
    """uint8 (C,H,W) of the given shape, the drawing in its middle, as large as can be."""
    channels, height, width = shape
    scale = max(2, FINE // min(height, width))
    side = scale * min(height, width)
    left, top = (scale * width - side) // 2, (scale * height - side) // 2
    image = Image.new("RGB", (scale * width, scale * height), ground)
    brush = ImageDraw.Draw(image)
    for form in forms:
        points = [(left + x * side / 100, top + y * side / 100) for x, y in form.points]
        paint = {"polygon": brush.polygon, "ellipse": brush.ellipse}[form.kind]
        paint(points, fill=form.colour)
    small = image.resize((width, height), Image.Resampling.BOX).convert("L" if channels == 1 else "RGB")
    return np.asarray(small).reshape(height, width, channels).transpose(2, 0, 1).copy()
