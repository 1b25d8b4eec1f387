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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core import intake
from core.dataset import SPLITS, DataError, Dataset, Split, assembled, data_folder, fixed_rng, writing_cache
from core.errors import is_text, printable
from core.files import allocate, unborn

_IN_MEMORY = 256 * 2**20  # a folder with more bytes of pixels is memory-mapped
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
_SIZES = range(4, 1025)
_NO_CLASS = "(no sub-folder)"
PREFIX = "folder:"
DEFAULT_SIZE = 64


def load(name: str) -> Dataset:
    """Raises DataError where there is no such folder, or too little in it."""
    return read(_parse_folder(name))


def read(folder: Folder) -> Dataset:
    """Raises DataError likewise. Read anew only where a file has changed."""
    return _read_folder(folder, picture_files(folder.root))


def is_there(name: str) -> bool:
    return find_folder(frame(name.removeprefix(PREFIX)).path) is not None


def below_data() -> list[str]:
    """Folders of pictures in $BOTTLENECK_DATA, as they follow `PREFIX`."""
    data = data_folder()
    try:
        found = sorted(path for path in data.iterdir() if path.is_dir()) if data else []
    except OSError:
        return []
    names = {path.name: path for path in found if not path.name.startswith(".") and is_text(path.name)}
    return [name for name, path in names.items() if _has_pictures(path)]


def _has_pictures(folder: Path) -> bool:
    """Whether a picture lies in it or in one of its sub-folders; a look at the first few names has to do."""
    names = itertools.chain(folder.glob("*"), folder.glob("*/*"))
    found = sum(path.suffix.lower() in SUFFIXES for path in itertools.islice(names, 1_000))
    return found > len(SPLITS)


class Frame(NamedTuple):
    """What a dataset's name says after its prefix."""

    path: str
    size: int
    gray: bool

    def __str__(self) -> str:
        return f"{self.path}@{self.size}{'gray' if self.gray else ''}"


@dataclass(frozen=True)
class Folder:
    name: str  # that finds it from any working directory
    root: Path
    title: str
    size: int
    gray: bool


@dataclass(frozen=True)
class PictureFile:
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


def frame(text: str, default: int = DEFAULT_SIZE) -> Frame:
    """Of PATH, PATH@SIZE or PATH@SIZEgray. Raises DataError."""
    spec = re.fullmatch(r"(?P<path>.+?)(?:@(?=.)(?P<size>\d{1,4})?(?P<gray>gray)?)?", text)
    size = int(spec["size"] or default) if spec else 0
    if not spec or size not in _SIZES:
        raise DataError(
            f"“{text}” cannot be understood. Write folder:PATH, folder:PATH@32 or folder:PATH@32gray; "
            f"sizes go from {_SIZES[0]} to {_SIZES[-1]}."
        )
    return Frame(spec["path"], size, spec["gray"] is not None)


def _parse_folder(name: str) -> Folder:
    asked = frame(name.removeprefix(PREFIX))
    root, path = located(asked.path)
    if path != asked.path:
        name = f"{PREFIX}{asked._replace(path=path)}"
    return Folder(name, root, root.name, asked.size, asked.gray)


def located(path: str) -> tuple[Path, str]:
    """The folder, and a path that finds it from any working directory. Raises DataError."""
    root = find_folder(path)
    if root is None:
        raise DataError(
            f"There is no folder “{printable(path)}”. It was looked for in BOTTLENECK_DATA "
            f"({data_folder() or 'which is not set'}) and in {Path.cwd()}."
        )
    if not is_text(str(root)):
        raise DataError(
            f"The path {printable(str(root))} is no text, so that no run can name it. Rename the folder."
        )
    data = data_folder()
    found_below = data is not None and root.is_relative_to(data.resolve())
    return root, path if os.path.isabs(path) or found_below else str(root)


def find_folder(path: str) -> Path | None:
    for base in filter(None, (data_folder(), Path.cwd())):
        candidate = os.path.join(base, os.path.expanduser(path))
        if os.path.isdir(candidate):  # unlike Path.is_dir, never raises, whatever the text is
            return Path(candidate).resolve()
    return None


def picture_files(
    root: Path,
    unread: Callable[[OSError], object] | None = None,
    other: Callable[[str], object] = lambda _: None,
) -> tuple[PictureFile, ...]:
    """Every file below `root` named like a picture, sorted by path, without links that lead outside.

    `unread` hears of folders that cannot be read, `other` of the endings of files that are named otherwise.
    """
    found = []
    for folder, subfolders, files in os.walk(root, onerror=unread):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for path in (Path(folder, file) for file in files):
            if path.name.startswith(".") or not os.path.isfile(path):
                continue
            if path.suffix.lower() not in SUFFIXES:
                other(path.suffix.lower())
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            status = path.stat()
            relative = path.relative_to(root).as_posix()
            found.append(PictureFile(relative, status.st_size, status.st_mtime_ns))
    return tuple(sorted(found, key=lambda file: file.path))


@functools.lru_cache(maxsize=2)
def _read_folder(folder: Folder, files: tuple[PictureFile, ...]) -> Dataset:
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
    return assembled(folder.name, folder.title, splits, class_names, "that of your own pictures", problems)


def _decode_into(images: np.ndarray, folder: Folder, paths: list[str]) -> _Decoded:
    """Fill `images` (N, C, H, W) from the front with every picture that can be read."""
    kept: list[str] = []
    problems: list[str] = []
    coloured = False
    for path in paths:
        try:
            with (folder.root / path).open("rb") as file:
                picture = intake.read(file.read(intake.MAX_BYTES + 1), path)
        except intake.Refused as refusal:
            problems.append(f"{printable(path)}: {refusal.reason}")
        except OSError as error:
            problems.append(f"{printable(path)}: cannot be opened ({error.strerror}).")
        else:
            images[len(kept)] = intake.to_shape(picture, (images.shape[1], folder.size, folder.size))
            kept.append(path)
            coloured |= not folder.gray and picture.pixels.shape[2] == 3
    return _Decoded(kept, problems, coloured)


def _check_enough(folder: Folder, decoded: _Decoded) -> None:
    if len(decoded.kept) > len(SPLITS):
        return
    first = f" The first problem: {min(decoded.problems)}" if decoded.problems else ""
    raise DataError(
        f"{folder.root} holds {len(decoded.kept)} readable pictures; training needs two, validation and test one each. "
        f"Add {', '.join(sorted(SUFFIXES))} files; links that lead outside are not followed.{first}"
    )


def _labels(paths: list[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Classes are the first-level sub-folders."""
    folders = [path.split("/")[0] if "/" in path else _NO_CLASS for path in paths]
    names = sorted(set(folders))
    if names == [_NO_CLASS]:
        return None, ()
    labels = np.array([names.index(folder) for folder in folders], dtype=np.int64)
    return labels, tuple(printable(name) for name in names)


def _eighty_ten_ten(images: np.ndarray, labels: np.ndarray | None) -> tuple[Split, Split, Split]:
    held = max(1, len(images) // 10)
    ends = (0, len(images) - 2 * held, len(images) - held, len(images))
    whole = Split(images, labels)
    train, validation, test = (whole.part(slice(*both)) for both in itertools.pairwise(ends))
    return train, validation, test


def _memory_mapped(
    folder: Folder, files: tuple[PictureFile, ...], paths: list[str], shape: tuple[int, ...]
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


def _store(folder: Folder, paths: list[str], shape: tuple[int, ...], stored: Path, record: Path) -> None:
    with unborn(stored.parent) as scratch:
        pixels, notes = scratch / "pixels.npy", scratch / "record.json"
        images = np.lib.format.open_memmap(pixels, mode="w+", dtype=np.uint8, shape=shape)
        allocate(pixels)
        decoded = _decode_into(images, folder, paths)
        images.flush()
        del images
        notes.write_text(json.dumps(asdict(decoded)))
        os.replace(pixels, stored)
        os.replace(notes, record)  # last: where there is a record, the pixels are complete


def _check_room(home: Path, needed: int) -> None:
    free = shutil.disk_usage(home).free
    if free < needed:
        raise DataError(
            f"{home} has {free / 2**30:.1f} GB free and {needed / 2**30:.1f} GB are needed. "
            "Make room, set BOTTLENECK_CACHE to another folder, or choose a smaller size after the @."
        )


def _short_hash(value: object) -> str:
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=8).hexdigest()
