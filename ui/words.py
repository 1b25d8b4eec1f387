"""Words that several pages share. Widgets bound to the address write these words into it, so they have to be the same."""

from __future__ import annotations


def data_title(title: str, shape: tuple[int, int, int]) -> str:
    """What runs were trained on: "MNIST · 28×28 gray"."""
    channels, height, width = shape
    size = f"{width}×{height}"
    kind = "gray" if channels == 1 else "colour"
    return f"{title} · {kind}" if size in title else f"{title} · {size} {kind}"
