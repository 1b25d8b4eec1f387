"""Points that move from epoch to epoch under a slider, without asking the server."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ui.components import declared
from ui.components.maps import CLASS_COLOURS
from ui.components.scatter import packed

HTML = """<div class="lapse">
  <div class="bar">
    <button type="button" class="play" aria-label="Play">▶</button>
    <input type="range" min="0" step="0.01" aria-label="Epoch">
    <output></output>
  </div>
  <canvas role="img"></canvas>
</div>"""

_lapse = declared("lapse", HTML)


def lapse(
    frames: Sequence[tuple[int, np.ndarray]], labels: np.ndarray | None, class_names: Sequence[str], key: str
) -> None:
    """`frames` are epochs and places (n,2) of the same pictures, in order."""
    data = {
        "epochs": [epoch for epoch, _ in frames],
        "frames": [packed(places, "<f4") for _, places in frames],
        "labels": "" if labels is None else packed(np.minimum(labels, 254), "u1"),
        "names": list(class_names) if labels is not None else [],
        "colours": CLASS_COLOURS,
    }
    _lapse(data=data, key=key)
