"""How verbs speak: progress to stderr, results to stdout, and files where they were asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import Explained, one_line


class BadInput(Explained):
    """What was typed cannot be done."""


@contextmanager
def typed() -> Iterator[None]:
    """A ValueError in words from below is about what was typed."""
    try:
        yield
    except ValueError as error:
        raise BadInput(str(error)) from None


def say(text: str) -> None:
    """Progress, as long as there is somebody to read it."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def read_file(path: Path, limit: int) -> bytes:
    """At most `limit` bytes and one more, so that whoever decodes them can say what is too large."""
    from core.files import check_file

    try:
        check_file(path, sys.maxsize)
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BadInput(str(error)) from None


def opened(path: Path) -> BinaryIO:
    """A file to read from. Raises BadInput where there is none; a pipe would block."""
    try:
        if not path.is_file():
            raise BadInput(f"{path} cannot be read: there is no such file")
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None


def save(path: Path, data: bytes) -> None:
    """Where a link leads, if it is one. Pipes and devices, as /dev/null, take the data and stay what they are."""
    from core.files import write_bytes, writing

    with writing(path):
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
            return
        path = Path(os.path.realpath(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data)


def save_picture(path: Path, x: Any) -> None:
    """(n,C,H,W) in [0,1] as one PNG, in a grid as square as can be."""
    from core.pictures import as_bytes, png, sheet

    save(path, png(sheet(as_bytes(x))))


def json_line(value: Any, indent: int | None = None) -> str:
    """JSON in which an infinite number is a text: "inf"."""
    from core.files import json_text

    return json_text(value, indent=indent, infinite=str)


def terms(numbers: Mapping[str, float | None]) -> str:
    return "  ".join(
        f"{one_line(name, 40)} {value:.4g}" for name, value in numbers.items() if value is not None
    )


def answer(options: argparse.Namespace, rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    """A JSON list, or a table of some columns."""
    if options.json:
        print(json_line(list(rows)))
        return
    cells = [
        columns,
        *(["" if row[name] is None else one_line(str(row[name]), 100) for name in columns] for row in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    for row in cells:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
