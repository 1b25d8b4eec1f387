"""Datasets: a name -> uint8 pictures, labels, splits, fingerprint and licence.

    digits, photos                     inside scikit-learn and scikit-image: no network
    mnist, fashion-mnist, cifar10      in $BOTTLENECK_DATA, else in the cache folder, else downloaded into it
    folder:PATH[@[SIZE][gray]]         anyone's pictures
    own:NAME[@[SIZE][gray]]            pictures that somebody has kept from a zip
    pieces:PATH[@SIZE]                 photographs cut up at their own resolution

$BOTTLENECK_CACHE moves the cache folder.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from core import embedded, folders, own, pieces, published
from core.dataset import SPLITS, DataError, Dataset, Progress, Source, Split, assembled

__all__ = ["BY_NAME", "SOURCES", "SPLITS", "DataError", "Dataset", "Progress", "Source", "Split"]
__all__ += ["is_local", "load", "sample_photos"]

SOURCES: tuple[Source, ...] = embedded.SOURCES + published.SOURCES
BY_NAME: dict[str, Source] = {source.name: source for source in SOURCES}


def load(name: str, *, progress: Progress | None = None) -> Dataset:
    """Load a dataset; a published one is downloaded where it is not on this machine. The same data is read once per process.

    Args:
        name: one of `BY_NAME`, or `folder:PATH`, `folder:PATH@SIZE`, `folder:PATH@SIZEgray`, or the same with
            `own:NAME`, or `pieces:PATH@SIZE`. A relative PATH is looked up below $BOTTLENECK_DATA, then in the working
            directory. Pictures of a folder are cropped to SIZE × SIZE, 64 unless told, and have colour unless every one
            of them is gray.
        progress: where a download is shown instead of on stderr.

    Raises:
        DataError: an unknown name, no network, a damaged file, a folder without enough pictures.
    """
    if name.startswith(folders.PREFIX):
        return folders.load(name)
    if name.startswith(own.PREFIX):
        return own.load(name)
    if name.startswith(pieces.PREFIX):
        return pieces.load(name)
    if not is_local(name):
        published.download(BY_NAME[name], progress)
    return _read(name, () if BY_NAME[name].embedded else published.places())


def is_local(name: str) -> bool:
    """Whether `load(name)` needs no network. Only looks whether the files, or the folder, are there."""
    if name.startswith(folders.PREFIX):
        return folders.is_there(name)
    if name.startswith(own.PREFIX):
        return own.is_there(name)
    if name.startswith(pieces.PREFIX):
        return pieces.is_there(name)
    if name not in BY_NAME:
        known = ", ".join(BY_NAME)
        raise DataError(
            f"There is no dataset “{name}”. Choose one of {known}, or folder:PATH for own pictures."
        )
    return BY_NAME[name].embedded or published.is_there(name)


def is_offered(name: str) -> bool:
    """Whether its pictures are here and for every visitor: a published set, one that was kept, or a folder in $BOTTLENECK_DATA.

    The names in imported runs are somebody else's, and open no other folder of this machine.
    """
    try:
        if name.startswith(folders.PREFIX):
            return folders.frame(name.removeprefix(folders.PREFIX)).path in folders.below_data()
        return not name.startswith(pieces.PREFIX) and is_local(name)
    except DataError:
        return False


def sample_photos() -> dict[str, np.ndarray]:
    """Photographs that ship inside scikit-image, by name: read-only uint8 (H, W, 3), of full size."""
    return dict(embedded.photographs())


@functools.lru_cache(maxsize=len(SOURCES))
def _read(name: str, places: tuple[Path, ...]) -> Dataset:
    source = BY_NAME[name]
    splits = embedded.splits(name) if source.embedded else published.splits(name, places)
    return assembled(name, source.title, splits, source.class_names, source.licence)
