"""Zips of strangers: judged before anything is unpacked, and never read beyond what was allowed.

No name in a zip ever becomes a path: who unpacks chooses names of its own from the `parts` given here.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from core.errors import Explained, one_line

MAX_ENTRIES = 60_000
MAX_BYTES = 4 * 2**30  # unpacked, in all
MAX_DIRECTORY = 32 * 2**20  # bytes of the list of entries
PIECE = 2**20  # bytes read at once
UNDER_ANY_NAME = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # what systems leave in zips
ORDINARY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # bzip2 and LZMA unpack whole whatever is asked for
END = struct.Struct("<4s4H2LH")  # of central directory, APPNOTE.TXT 4.3.16
WIDE_END = struct.Struct("<4sQ2H2L4Q4sLQL")  # of ZIP64, with its locator, 4.3.14 and 4.3.15: just before END
MOST_COMMENT = 2**16


class ArchiveError(Explained):
    """A zip that cannot be taken, or an entry in it."""


@dataclass(frozen=True)
class Entry:
    """A file in a zip that may be read."""

    parts: tuple[str, ...]  # of its path, none of them empty, "." or ".."
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return "/".join(self.parts)


class Archive:
    """The files in a zip, and why some are left out.

    Raises ArchiveError where it is no zip, damaged, encrypted, or too much: nothing has been unpacked then.
    """

    def __init__(self, file: BinaryIO) -> None:
        check_directory(file)
        with refusing("This is no zip that can be read"):
            self.zip = zipfile.ZipFile(file)
        infos = [info for info in self.zip.infolist() if not info.is_dir()]
        check_whole(infos)
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        seen: set[str] = set()
        for info in infos:
            parts = tuple(
                part for part in info.filename.replace("\\", "/").split("/") if part not in ("", ".")
            )
            if any((part.startswith(".") and part != "..") or part in UNDER_ANY_NAME for part in parts):
                continue
            reason = fault(info, parts) or (
                "there are several of this name" if info.filename in seen else None
            )
            seen.add(info.filename)
            if reason:
                self.problems.append(f"{one_line(info.filename, 100)}: {reason}.")
            else:
                self.entries.append(Entry(parts, info))

    def read(self, entry: Entry, limit: int) -> bytes:
        """The bytes of an entry. Raises ArchiveError where they are damaged or more than `limit`."""
        return b"".join(self.pieces(entry, limit))

    def pieces(self, entry: Entry, limit: int) -> Iterator[bytes]:
        """The same, a piece at a time: damage may show only in the last."""
        name = one_line(entry.name, 100)
        if entry.info.file_size > limit:
            raise ArchiveError(f"{name}: it has more than {limit / 2**20:.0f} MB.")
        if entry.info.compress_type not in ORDINARY:
            raise ArchiveError(
                f"{name}: it is packed in an unusual way. Zip it again with ordinary compression."
            )
        with refusing(f"{name}: it is damaged"), self.zip.open(entry.info) as file:
            while piece := file.read(PIECE):  # no more than was declared, and its sum is checked
                yield piece


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Whatever zipfile and its decompressors raise is said in words."""
    try:
        yield
    except NotImplementedError:
        raise ArchiveError(
            f"{what}: it is packed in an unusual way. Zip it again with ordinary compression."
        ) from None
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
        *(ValueError, RuntimeError, OverflowError, KeyError, struct.error),
    ) as error:
        raise ArchiveError(f"{what} ({one_line(str(error), 100)}). Copy or download it again.") from None


def check_directory(file: BinaryIO) -> None:
    """Count the entries before zipfile lists them, which would take far more memory than the zip."""
    size = file.seek(0, 2)
    begin = max(0, size - END.size - MOST_COMMENT - WIDE_END.size)
    file.seek(begin)
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < END.size:
        raise ArchiveError("This is no zip, or its end is missing. Copy or download it again.")
    *_, count, directory, _, _ = END.unpack_from(tail, place)
    if place >= WIDE_END.size:
        wide = WIDE_END.unpack_from(tail, place - WIDE_END.size)
        if (wide[0], wide[10]) == (b"PK\x06\x06", b"PK\x06\x07"):  # then zipfile believes it, and not END
            place -= WIDE_END.size
            count, directory = wide[7:9]
    if directory <= MAX_DIRECTORY:  # what is declared may be too little: each entry begins with these bytes
        file.seek(max(0, begin + place - directory))
        count = max(count, file.read(directory).count(b"PK\x01\x02"))
    if count > MAX_ENTRIES or directory > MAX_DIRECTORY:
        raise ArchiveError(
            f"This zip has more than {MAX_ENTRIES:,} entries. Make several smaller ones of it."
        )


def check_whole(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_ENTRIES:
        raise ArchiveError(
            f"This zip has more than {MAX_ENTRIES:,} entries. Make several smaller ones of it."
        )
    if any(info.flag_bits & 1 for info in infos):
        raise ArchiveError("This zip is encrypted. Unpack it and zip it again without a password.")
    if sum(info.file_size for info in infos) > MAX_BYTES:
        raise ArchiveError(
            f"This zip unpacks to more than {MAX_BYTES / 2**30:.0f} GB. Make several smaller ones of it."
        )
    ordered = sorted(infos, key=lambda info: info.header_offset)
    if any(one.header_offset + one.compress_size > other.header_offset for one, other in pairwise(ordered)):
        raise ArchiveError("Entries of this zip lie over each other: it is damaged, or made to do harm.")


def fault(info: zipfile.ZipInfo, parts: tuple[str, ...]) -> str | None:
    """Why an entry is left out."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "it is a link, or no ordinary file"
    absolute = info.filename.startswith(("/", "\\")) or info.filename[1:2] == ":"
    if absolute or ".." in parts or "\0" in info.filename:
        return "its name leads outside"
    return None
