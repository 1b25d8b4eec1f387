"""Pictures that people keep as datasets: own:NAME[@[SIZE][gray]], made from a zip, in a folder that outlives caches.

own/holiday/
  own.json                       title, when it was kept, how many pictures, what was left out
  pictures/beach/000001.jpg      the files as they were, under names of ours; folders are classes
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from core import folders, intake
from core.archives import Archive, ArchiveError, Entry
from core.dataset import DataError, Dataset, own_folder
from core.errors import one_line
from core.files import json_text, read_json, unborn, write_bytes, writing

PREFIX = "own:"
RECORD = "own.json"
LEAST = 4  # pictures: two to learn from, one to watch progress, one for the scores
MOST_TITLE, MOST_SLUG = 80, 40
SHOWN = 24
MOST_SIDE = 256  # pixels of what is shown
MOST_PIXELS = 100 * 10**6  # that are decoded for a look
MOST_PROBLEMS = 200  # that are remembered


@dataclass(frozen=True)
class Own:
    """A dataset that was kept."""

    name: str  # after `PREFIX`
    title: str
    pictures: int
    created: str
    problems: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return own_folder() / self.name


@dataclass(frozen=True, eq=False)
class Survey:
    """What a zip holds, before anything of it is kept."""

    files: int  # named like pictures
    classes: dict[str, int]  # files by class; empty where there are none
    shown: list[intake.Picture]  # some of them, spread over all; small
    problems: list[str]


# --- as a dataset -----------------------------------------------------------------------------------------------


def load(name: str) -> Dataset:
    """Raises DataError where nothing is kept under this name, or too little is left of it."""
    asked = folders.frame(name.removeprefix(PREFIX))
    one = find(asked.path)
    return folders.read(
        folders.Folder(f"{PREFIX}{asked}", one.folder / "pictures", one.title, asked.size, asked.gray)
    )


def is_there(name: str) -> bool:
    asked = folders.frame(name.removeprefix(PREFIX)).path
    return any(one.name == asked for one in kept())


def kept() -> tuple[Own, ...]:
    """By name. What cannot be read is left out."""
    try:
        places = sorted(
            path for path in own_folder().iterdir() if path.is_dir() and not path.name.startswith(".")
        )
    except OSError:
        return ()
    return tuple(one for path in places if (one := opened(path)) is not None)


def opened(folder: Path) -> Own | None:
    try:
        told = read_json(folder / RECORD)
        problems = tuple(one_line(str(problem), 300) for problem in told["problems"])
        title = one_line(str(told["title"]), MOST_TITLE) or folder.name
        return Own(folder.name, title, int(told["pictures"]), str(told["created"]), problems)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def find(name: str) -> Own:
    """Asked of the listing, so that no text from outside becomes a path. Raises DataError."""
    for one in kept():
        if one.name == name:
            return one
    listed = ", ".join(one.name for one in kept()) or "none yet"
    raise DataError(f"No pictures are kept as “{one_line(name, MOST_TITLE)}”. Kept are: {listed}.")


def remove(name: str) -> None:
    """Delete kept pictures. Raises DataError where there are none, StoreError where the system refuses."""
    folder = find(name).folder
    with writing(folder):
        gone = folder.rename(folder.with_name(f".{name}.{secrets.token_hex(4)}"))  # vanishes at once
        shutil.rmtree(gone)


# --- from a zip -------------------------------------------------------------------------------------------------


def survey(archive: Archive) -> Survey:
    """Look into a zip. Raises ArchiveError where no picture in it can be read."""
    entries = picture_entries(archive)
    labels = classes(entries)
    shown, problems, decoded = [], list(archive.problems), 0
    several = min(len(entries), SHOWN)
    for entry in (entries[number * len(entries) // several] for number in range(several)):
        if decoded > MOST_PIXELS:
            break
        try:
            picture = intake.read(archive.read(entry, intake.MAX_BYTES), entry.name)
        except (intake.Refused, ArchiveError) as error:
            problems.append(str(error))
        else:
            decoded += picture.pixels.size // picture.pixels.shape[2]
            shown.append(small(picture))
    if not shown:
        raise ArchiveError(no_pictures(problems))
    counts = Counter(labels)
    return Survey(len(entries), {} if set(counts) == {""} else dict(sorted(counts.items())), shown, problems)


def small(picture: intake.Picture) -> intake.Picture:
    """A file of a few kilobytes may hold 150 MB of pixels."""
    height, width, channels = picture.pixels.shape
    scale = min(1.0, MOST_SIDE / max(height, width))
    shape = channels, max(1, round(scale * height)), max(1, round(scale * width))
    return replace(picture, pixels=intake.to_shape(picture, shape).transpose(1, 2, 0))


def keep(
    archive: Archive, title: str, progress: Callable[[int, int], object] = lambda done, whole: None
) -> Own:
    """Keep the pictures of a zip as a dataset. `progress` hears how many of how many files are done.

    Raises ArchiveError where too few can be read, StoreError where the system refuses; nothing is left behind then.
    """
    title = one_line(title, MOST_TITLE) or "Own pictures"
    home = own_folder()
    with writing(home), unborn(home) as folder:
        count, problems = unpack(archive, folder / "pictures", progress)
        if count < LEAST:
            raise ArchiveError(no_pictures(problems, count))
        created = datetime.now(UTC).isoformat(timespec="seconds")
        one = Own(free_name(title), title, count, created, tuple(problems[:MOST_PROBLEMS]))
        told = {key: value for key, value in asdict(one).items() if key != "name"}
        write_bytes(folder / RECORD, (json_text(told, indent=1) + "\n").encode())
        folder.rename(one.folder)
    return one


def unpack(archive: Archive, place: Path, progress: Callable[[int, int], object]) -> tuple[int, list[str]]:
    """Write every picture that can be read; say how many, and why the others were not."""
    entries = picture_entries(archive)
    places = class_folders(classes(entries))
    problems = list(archive.problems)
    count = 0
    for done, (entry, label) in enumerate(zip(entries, classes(entries), strict=True)):
        progress(done, len(entries))
        try:
            data = archive.read(entry, intake.MAX_BYTES)
            picture = intake.read(data, entry.name)
        except (intake.Refused, ArchiveError) as error:
            problems.append(str(error))
            continue
        count += 1
        folder = place / places[label]
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{count:06}.{picture.format.lower()}").write_bytes(data)
    progress(len(entries), len(entries))
    return count, problems


def picture_entries(archive: Archive) -> list[Entry]:
    return [entry for entry in archive.entries if Path(entry.parts[-1]).suffix.lower() in folders.SUFFIXES]


def classes(entries: list[Entry]) -> list[str]:
    """The first-level folder of each, or "". One folder around everything is no class."""
    tops = {entry.parts[0] for entry in entries}
    around = len(tops) == 1 and all(len(entry.parts) > 1 for entry in entries)
    inner = [entry.parts[1:] if around else entry.parts for entry in entries]
    return [parts[0] if len(parts) > 1 else "" for parts in inner]


def class_folders(labels: list[str]) -> dict[str, str]:
    """A folder name for each class, as much like it as any system allows, none twice."""
    found: dict[str, str] = {}
    for label in sorted(set(labels)):
        plain = "".join(c if c.isalnum() or c in " -_" else "-" for c in one_line(label, 60)).strip(" .-")
        name = "" if not label else plain or "class"
        while name.lower() in {other.lower() for other in found.values()}:
            name = f"{name}-{len(found)}"
        found[label] = name
    return found


def free_name(title: str) -> str:
    """For addresses and files: a-z, 0-9 and hyphens, not in use yet."""
    words = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower()).split("-")
    slug = "-".join(filter(None, words))[:MOST_SLUG].strip("-") or "pictures"
    name = slug
    while (own_folder() / name).exists():
        name = f"{slug}-{secrets.token_hex(2)}"
    return name


def no_pictures(problems: list[str], count: int = 0) -> str:
    found = "no picture" if not count else f"{count} picture{'s' if count > 1 else ''}"
    first = f" The first problem: {problems[0]}" if problems else ""
    return (
        f"This zip holds {found} that can be read; a dataset needs {LEAST}. "
        f"It may hold {', '.join(sorted(folders.SUFFIXES))} files.{first}"
    )
