"""What all charts share, and numbers on logarithmic axes: few enough to be read, and never none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

LAYOUT: dict[str, Any] = dict(margin=dict(l=10, r=10, t=10, b=10), showlegend=False)
CONFIG = {"displaylogo": False, "displayModeBar": False}
FADED = "#9a9a9a"
FEWEST = 3  # numbers on an axis
STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))  # within a decade, from coarse to fine


def ticks(values: Iterable[float | None]) -> list[float] | None:
    """For positive values, those that are none left out. None, which is the chart's own choice, where they lie too close."""
    known = [value for value in values if value is not None]
    if not known or min(known) <= 0:
        return None
    low, high = min(known), max(known)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in STEPS:
        found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        if len(inside := [one for one in found if low <= one <= high]) >= FEWEST:
            return inside
    return None
