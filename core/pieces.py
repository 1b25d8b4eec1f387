"""Photographs cut into squares at their own resolution: pieces:PATH[@SIZE], SIZE 160 unless told.

For restorers: what a net is to know of noise and texture, a resize would have smoothed away. Pieces tile each photograph, and
pictures are held out whole: no photograph has pieces in two splits. What cannot be read is left out and listed.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core import intake
from core.dataset import DataError, Dataset, Split, assembled
from core.errors import printable
from core.folders import PictureFile, find_folder, frame, located, picture_files

OWN = "that of your own pictures"
PREFIX = "pieces:"
DEFAULT_SIZE = 160
HELD = 20  # every so many photographs one is for validation, and one for the test
MOST_BYTES = 2**32  # of pieces to learn from: 55,000 of 160 pixels a side


def load(name: str) -> Dataset:
    """Pieces (N,3,SIZE,SIZE) of the training photographs; of the others the middle one. Raises DataError."""
    asked = frame(name.removeprefix(PREFIX), DEFAULT_SIZE)
    if asked.gray:
        raise DataError(f"Pieces keep their colours: write {PREFIX}PATH or {PREFIX}PATH@{asked.size}.")
    root, path = located(asked.path)
    if path != asked.path:
        name = f"{PREFIX}{path}@{asked.size}"
    return _read(name, root, asked.size, picture_files(root))


def is_there(name: str) -> bool:
    return find_folder(frame(name.removeprefix(PREFIX), DEFAULT_SIZE).path) is not None


@functools.lru_cache(maxsize=1)
def _read(name: str, root: Path, size: int, files: tuple[PictureFile, ...]) -> Dataset:
    problems: list[str] = []
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for number, photo in enumerate(photographs(root, size, files, problems)):
        held = {HELD // 2 - 1: 1, HELD - 1: 2}.get(number % HELD, 0)
        parts[held].extend([middle(photo, size)] if held else pieces(photo, size))
        if len(parts[0]) * 3 * size**2 > MOST_BYTES:
            raise DataError(
                f"{root} holds more than {MOST_BYTES / 2**30:.0f} GB of pieces. Take fewer photographs."
            )
    if not all(parts):
        first = f" The first problem: {min(problems)}" if problems else ""
        raise DataError(
            f"{root} holds too few photographs of at least {size} × {size} pixels; {HELD} are needed.{first}"
        )
    splits = [Split(np.stack(part).transpose(0, 3, 1, 2).copy(), None) for part in parts]
    return assembled(name, root.name, (splits[0], splits[1], splits[2]), (), OWN, tuple(problems))


def photographs(
    root: Path, size: int, files: tuple[PictureFile, ...], problems: list[str]
) -> Iterator[np.ndarray]:
    """uint8 (H,W,3), in the order of their paths."""
    for file in files:
        try:
            with (root / file.path).open("rb") as opened:
                pixels = intake.read(opened.read(intake.MAX_BYTES + 1), file.path).pixels
        except intake.Refused as refusal:
            problems.append(f"{printable(file.path)}: {refusal.reason}")
        except OSError as error:
            problems.append(f"{printable(file.path)}: cannot be opened ({error.strerror}).")
        else:
            if min(pixels.shape[:2]) >= size:
                yield np.broadcast_to(pixels, (*pixels.shape[:2], 3))
            else:
                problems.append(f"{printable(file.path)}: is smaller than {size} × {size} pixels.")


def pieces(photo: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """(H,W,3) -> as many (size,size,3) as fit beside each other, in the middle of the photograph."""
    height, width = photo.shape[:2]
    rows, columns = height // size, width // size
    top, left = (height - rows * size) // 2, (width - columns * size) // 2
    for row, column in np.ndindex(rows, columns):
        y, x = top + row * size, left + column * size
        yield photo[y : y + size, x : x + size]


def middle(photo: np.ndarray, size: int) -> np.ndarray:
    height, width = photo.shape[:2]
    y, x = (height - size) // 2, (width - size) // 2
    return photo[y : y + size, x : x + size]
