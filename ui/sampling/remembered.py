"""Uploads cannot stand in an address, but their codes can: with them a page opens where it was left."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.pictures import as_bytes
from ui.components.canvas import Pin
from ui.inputs import Input
from ui.sampling.views import Painter

LONGEST = 30_000  # characters: servers and proxies refuse addresses that are much longer
MOST = 3  # pictures, as many as span a plane
NEXT_RUN, NEXT_CODE, NAME = "!", ",", "~"


@dataclass(frozen=True, eq=False)
class Remembered(Input):
    """A picture of which only codes are left; its pixels are decoded from the first of them."""

    codes: dict[str, Tensor] = field(default_factory=dict)  # by run id, (Z,) each

    def code_by(self, run: str) -> Tensor | None:
        return self.codes.get(run)


def written(painters: Sequence[Painter], pictures: Sequence[Input]) -> str:
    """The codes of the first pictures by every run, in half precision, as an address takes them; empty where it would not."""
    parts = []
    for painter in painters:
        codes = painter.encode(pictures[:MOST]).half().numpy().astype("<f2")
        parts.append(
            painter.run.id + NAME + NEXT_CODE.join(urlsafe_b64encode(one.tobytes()).decode() for one in codes)
        )
    text = NEXT_RUN.join(parts)
    return text if len(text) <= LONGEST else ""


def read(text: str, painters: Sequence[Painter]) -> list[Remembered]:
    """What an address remembers for these runs; nothing where it is not whole, or not meant for them."""
    told: dict[str, list[Tensor]] = {}
    sizes = {painter.run.id: painter.dim for painter in painters}
    for part in text.split(NEXT_RUN)[: 2 * len(sizes)]:
        id, _, rest = part.partition(NAME)
        codes = [code_in(one, sizes.get(id, 0)) for one in rest.split(NEXT_CODE)[:MOST]]
        if id in sizes and all(code is not None for code in codes):
            told[id] = [code for code in codes if code is not None]
    counts = {len(codes) for codes in told.values()}
    if set(told) != set(sizes) or len(counts) != 1:
        return []
    found = []
    for place in range(counts.pop()):
        by_run = {id: some[place] for id, some in told.items()}
        first = painters[0]
        with torch.inference_mode():
            pixels = as_bytes(first.model.decode(by_run[first.run.id][None]))[0]
        found.append(Remembered(f"remembered {place + 1}", pixels, codes=by_run))
    return found


def pinned(painters: Sequence[Painter], pins: Sequence[Pin]) -> list[Remembered]:
    """Pins as pictures: their codes by every run, their pixels decoded by the first."""
    found = []
    for place, pin in enumerate(pins, 1):
        by_run = {
            painter.run.id: torch.tensor(code) for painter, code in zip(painters, pin.codes, strict=True)
        }
        first = painters[0]
        with torch.inference_mode():
            pixels = as_bytes(first.model.decode(by_run[first.run.id][None]))[0]
        found.append(Remembered(f"pin {place}", pixels, codes=by_run))
    return found


def code_in(text: str, size: int) -> Tensor | None:
    try:
        numbers = np.frombuffer(urlsafe_b64decode(text.encode()), "<f2").astype(np.float32)
    except (binascii.Error, ValueError, UnicodeEncodeError):
        return None
    return (
        torch.from_numpy(numbers)
        if size and numbers.shape == (size,) and np.isfinite(numbers).all()
        else None
    )
