"""Anyone's pictures as a dataset: folder:PATH[@[SIZE][gray]], so folder:pics, folder:pics@32, folder:pics@64gray.

Classes are the first-level sub-folders. What cannot be read is left out and listed.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from core import intake
from core.dataset import SPLITS, DataError, Dataset, Split, assembled, data_folder, fixed_rng, writing_cache

_IN_MEMORY = 256 * 2**20  # a folder with more bytes of pixels is memory-mapped
_SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
_SIZES = range(4, 1025)
_NO_CLASS = "(no sub-folder)"
PREFIX = "folder:"


def load(name: str) -> Dataset:
    """Raises DataError where there is no such folder, or too little in it."""
    folder = _parse_folder(name)
    return _read_folder(folder, _picture_files(folder.root))


def is_there(name: str) -> bool:
    return _find_folder(_parse_spec(name)[0]) is not None


@dataclass(frozen=True)
class _Folder:
    name: str  # that finds it from any working directory
    root: Path
    size: int
    gray: bool


@dataclass(frozen=True)
class _PictureFile:
    """A file as it was when the folder was listed: what a cache must compare to be honest."""

    path: str  # below the root, with /
    bytes: int
    modified_ns: int


@dataclass(frozen=True)
class _Decoded:
    """Which files became pictures, in order; why the others did not; whether any picture has colour."""

    kept: list[str]
    problems: list[str]
    coloured: bool


def _parse_spec(name: str) -> tuple[str, int, bool]:
    spec = re.fullmatch(r"folder:(?P<path>.+?)(?:@(?=.)(?P<size>\d{1,4})?(?P<gray>gray)?)?", name)
    size = int(spec["size"] or 64) if spec else 0
    if not spec or size not in _SIZES:
        raise DataError(
            f"“{name}” cannot be understood. Write folder:PATH, folder:PATH@32 or folder:PATH@32gray; "
            f"sizes go from {_SIZES[0]} to {_SIZES[-1]}."
        )
    return spec["path"], size, spec["gray"] is not None


def _parse_folder(name: str) -> _Folder:
    path, size, gray = _parse_spec(name)
    root = _find_folder(path)
    if root is None:
        raise DataError(
            f"There is no folder “{path}”. It was looked for in BOTTLENECK_DATA "
            f"({data_folder() or 'which is not set'}) and in {Path.cwd()}."
        )
    data = data_folder()
    if not os.path.isabs(path) and not (data and root.is_relative_to(data.resolve())):
        name = f"{PREFIX}{root}@{size}{'gray' if gray else ''}"
    return _Folder(name, root, size, gray)


def _find_folder(path: str) -> Path | None:
    for base in filter(None, (data_folder(), Path.cwd())):
        candidate = os.path.join(base, os.path.expanduser(path))
        if os.path.isdir(candidate):  # unlike Path.is_dir, never raises, whatever the text is
            return Path(candidate).resolve()
    return None


def _picture_files(root: Path) -> tuple[_PictureFile, ...]:
    """Every file below `root` named like a picture, sorted by path, without links that lead outside."""
    found = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for path in (Path(folder, file) for file in files):
            if path.name.startswith(".") or path.suffix.lower() not in _SUFFIXES or not os.path.isfile(path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            status = path.stat()
            relative = path.relative_to(root).as_posix()
            found.append(_PictureFile(relative, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found, key=lambda file: file.path))


@functools.lru_cache(maxsize=2)
def _read_folder(folder: _Folder, files: tuple[_PictureFile, ...]) -> Dataset:
    # Shuffled before they are stored, so that a split is a slice, which a memory map can give without a copy.
    order = fixed_rng().permutation(len(files))
    paths = [files[i].path for i in order]
    shape = (len(paths), 1 if folder.gray else 3, folder.size, folder.size)
    if math.prod(shape) <= _IN_MEMORY:
        images = np.empty(shape, np.uint8)
        decoded = _decode_into(images, folder, paths)
    else:
        images, decoded = _memory_mapped(folder, files, paths, shape)
    _check_enough(folder, decoded)
    images = images[: len(decoded.kept), : 3 if decoded.coloured else 1]
    labels, class_names = _labels(decoded.kept)
    splits = _eighty_ten_ten(images, labels)
    problems = tuple(sorted(decoded.problems))
    return assembled(
        folder.name, folder.root.name, splits, class_names, "that of your own pictures", problems
    )


def _decode_into(images: np.ndarray, folder: _Folder, paths: list[str]) -> _Decoded:
    """Fill `images` (N, C, H, W) from the front with every picture that can be read."""
    kept: list[str] = []
    problems: list[str] = []
    coloured = False
    for path in paths:
        try:
            with (folder.root / path).open("rb") as file:
                picture = intake.read(file.read(intake.MAX_BYTES + 1), path)
        except intake.Refused as refusal:
            problems.append(f"{_printable(path)}: {refusal.reason}")
        except OSError as error:
            problems.append(f"{_printable(path)}: cannot be opened ({error.strerror}).")
        else:
            images[len(kept)] = intake.to_shape(picture, (images.shape[1], folder.size, folder.size))
            kept.append(path)
            coloured |= not folder.gray and picture.pixels.shape[2] == 3
    return _Decoded(kept, problems, coloured)


def _printable(path: str) -> str:
    """A file system may hold names that are no text."""
    return path.encode("utf-8", "replace").decode()


def _check_enough(folder: _Folder, decoded: _Decoded) -> None:
    if len(decoded.kept) > len(SPLITS):
        return
    first = f" The first problem: {min(decoded.problems)}" if decoded.problems else ""
    raise DataError(
        f"{folder.root} holds {len(decoded.kept)} readable pictures; training needs two, validation and test one each. "
        f"Add {', '.join(sorted(_SUFFIXES))} files; links that lead outside are not followed.{first}"
    )


def _labels(paths: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Classes are the first-level sub-folders."""
    folders = [path.split("/")[0] if "/" in path else _NO_CLASS for path in paths]
    names = sorted(set(folders))
    if names == [_NO_CLASS]:
        return None, ()
    labels = np.array([names.index(folder) for folder in folders], dtype=np.int64)
    return labels, tuple(_printable(name) for name in names)


def _eighty_ten_ten(images: np.ndarray, labels: np.ndarray | None) -> tuple[Split, Split, Split]:
    held = max(1, len(images) // 10)
    ends = (0, len(images) - 2 * held, len(images) - held, len(images))
    train, validation, test = (
        Split(images[start:end], None if labels is None else labels[start:end])
        for start, end in itertools.pairwise(ends)
    )
    return train, validation, test


def _memory_mapped(
    folder: _Folder, files: tuple[_PictureFile, ...], paths: list[str], shape: tuple[int, ...]
) -> tuple[np.ndarray, _Decoded]:
    """Like `_decode_into`, but in a file of the cache folder that later processes use again."""
    ours = _short_hash([str(folder.root), folder.size, folder.gray])
    with writing_cache("folders") as home:
        stored = home / f"{ours}-{_short_hash([asdict(file) for file in files])}.npy"
        record = stored.with_suffix(".json")
        if not (stored.exists() and record.exists()):
            _check_room(home, math.prod(shape))
            for stale in home.glob(f"{ours}-*"):
                stale.unlink()
            _store(folder, paths, shape, stored, record)
        decoded = _Decoded(**json.loads(record.read_text()))
        return np.load(stored, mmap_mode="r", allow_pickle=False), decoded


def _store(folder: _Folder, paths: list[str], shape: tuple[int, ...], stored: Path, record: Path) -> None:
    with tempfile.TemporaryDirectory(dir=stored.parent) as scratch:
        pixels, notes = Path(scratch, "pixels.npy"), Path(scratch, "record.json")
        images = np.lib.format.open_memmap(pixels, mode="w+", dtype=np.uint8, shape=shape)
        decoded = _decode_into(images, folder, paths)
        images.flush()
        del images
        notes.write_text(json.dumps(asdict(decoded)))
        os.replace(pixels, stored)
        os.replace(notes, record)  # last: where there is a record, the pixels are complete


def _check_room(home: Path, needed: int) -> None:
    # A mapped file is sparse: written into a full disk, it would end the process instead of raising.
    free = shutil.disk_usage(home).free
    if free < needed:
        raise DataError(
            f"{home} has {free / 2**30:.1f} GB free and {needed / 2**30:.1f} GB are needed. "
            "Make room, set BOTTLENECK_CACHE to another folder, or choose a smaller size after the @."
        )


def _short_hash(value: object) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()
