"""What a dataset is, whoever provides it, and where its files are kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.errors import Explained

SPLITS = ("train", "validation", "test")


class DataError(Explained):
    """A dataset that cannot be had."""


class Progress(Protocol):
    """A progress bar the way pooch drives it, once per downloaded file: sets `total` bytes, then updates."""

    total: float

    def update(self, n: int, /) -> object: ...
    def reset(self) -> object: ...
    def close(self) -> object: ...


@dataclass(frozen=True)
class Source:
    """What `load(name)` would give, known without loading it. `shape` is (C, H, W)."""

    name: str
    title: str
    shape: tuple[int, int, int]
    licence: str
    citation: str
    class_names: tuple[str, ...]
    download_bytes: int = 0

    @property
    def embedded(self) -> bool:
        """Ships inside an installed library."""
        return self.download_bytes == 0


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures, uint8 (N, C, H, W), and their labels, int64 (N,) or None.

    From `load` both are read-only, being shared by all callers: copy with `torch.tensor(images)`, as
    `torch.from_numpy` would warn. A large folder is memory-mapped: copy batch by batch.
    """

    images: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.images)

    def part(self, which: slice | np.ndarray) -> Split:
        return Split(self.images[which], None if self.labels is None else self.labels[which])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits of pictures of one shape.

    Labels index `class_names`. `fingerprint`, 16 hex digits, changes with any pixel, label or split.
    `problems` lists what was left out of a folder, as "path: reason".
    """

    name: str
    title: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    licence: str
    fingerprint: str
    problems: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every picture."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def split(self, name: str) -> Split:
        """The split called `name`, one of `SPLITS`."""
        if name not in SPLITS:
            raise DataError(f"There is no split “{name}”. Choose one of {', '.join(SPLITS)}.")
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]


def assembled(
    name: str,
    title: str,
    splits: tuple[Split, Split, Split],
    class_names: tuple[str, ...],
    licence: str,
    problems: tuple[str, ...] = (),
) -> Dataset:
    for split in splits:
        frozen(split.images)
        if split.labels is not None:
            frozen(split.labels)
    return Dataset(name, title, *splits, class_names, licence, fingerprint(splits), problems)


def frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def fingerprint(splits: Iterable[Split]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for split in splits:
        digest.update(repr(split.images.shape).encode())
        for start in range(0, len(split), 4096):  # in pieces: the pictures may be memory-mapped
            digest.update(split.images[start : start + 4096].tobytes())
        if split.labels is not None:
            digest.update(split.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def fixed_rng() -> np.random.RandomState:
    """NumPy promises never to change this stream (NEP 19), so splits and fingerprints stay what they are."""
    return np.random.RandomState(0)


# --- where files are ---


def data_folder() -> Path | None:
    folder = os.environ.get("BOTTLENECK_DATA")
    return Path(folder) if folder else None


def cache_folder() -> Path:
    if folder := os.environ.get("BOTTLENECK_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_path

    return user_cache_path("bottleneck")


def own_folder() -> Path:
    """Where kept pictures are: never where a system may think it can make room."""
    if folder := os.environ.get("BOTTLENECK_CACHE"):
        return Path(folder) / "own"
    from platformdirs import user_data_path

    return user_data_path("bottleneck") / "own"


@contextmanager
def writing_cache(name: str) -> Iterator[Path]:
    """The folder `name` in the cache folder. What the system refuses there is raised as a DataError."""
    home = cache_folder() / name
    try:
        home.mkdir(parents=True, exist_ok=True)
        yield home
    except OSError as error:
        raise DataError(
            f"The cache folder {home} cannot be written: {error.strerror}. "
            "Make room or set BOTTLENECK_CACHE to another folder."
        ) from error
