"""Pictures by epoch, under a slider that shows them without asking the server."""

from __future__ import annotations

from dataclasses import dataclass

from ui.components import declared

HTML = """<div class="timelapse">
  <div class="bar">
    <button type="button" class="play" aria-label="Play">▶</button>
    <input type="range" min="0" step="1" aria-label="Epoch">
    <output></output>
  </div>
  <figure class="put-in"><figcaption>Put in</figcaption><img alt="pictures that are put in"></figure>
  <figure class="back"><figcaption>What comes back</figcaption><img alt="the same pictures rebuilt"></figure>
  <figure class="new"><figcaption></figcaption><img alt="new pictures"></figure>
</div>"""

_timelapse = declared("timelapse", HTML)


@dataclass(frozen=True)
class Frame:
    """What one epoch shows; pictures as data URIs."""

    epoch: int
    rebuilt: str
    samples: str


def timelapse(frames: list[Frame], originals: str, sampling: str, key: str) -> None:
    """Frames under a slider. It follows the newest one, as long as the visitor has not gone back to an earlier one."""
    shown = [{"epoch": one.epoch, "rebuilt": one.rebuilt, "samples": one.samples} for one in frames]
    _timelapse(data={"frames": shown, "originals": originals, "sampling": sampling}, key=key)
