from __future__ import annotations

import io
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import archives
from core.archives import Archive, ArchiveError


def zipped(files: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def opened(data: bytes) -> Archive:
    return Archive(io.BytesIO(data))


def names(archive: Archive) -> list[str]:
    return [entry.name for entry in archive.entries]


def special(name: str, mode: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        file.writestr(info, b"/etc/passwd")
    return buffer.getvalue()


def test_files_are_read_as_they_were_put_in() -> None:
    files = {
        "a.txt": b"one",
        "folder/b.txt": b"two" * 1_000,
        "folder/./c.txt": b"",
        "back\\slash.txt": b"three",
    }
    archive = opened(zipped(files))
    assert names(archive) == ["a.txt", "folder/b.txt", "folder/c.txt", "back/slash.txt"]
    assert [archive.read(entry, 10_000) for entry in archive.entries] == list(files.values())
    assert archive.problems == []


@pytest.mark.parametrize(
    "name",
    ["../up.png", "a/../../up.png", "/etc/x.png", "\\\\host\\x.png", "C:\\x.png", "C:x.png", "..\\x.png"],
)
def test_names_that_lead_outside_are_left_out(name: str) -> None:
    archive = opened(zipped({name: b"x", "good.png": b"y"}))
    assert names(archive) == ["good.png"]
    assert len(archive.problems) == 1 and "its name leads outside" in archive.problems[0]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_are_left_out(kind: int) -> None:
    archive = opened(special("link.png", kind | 0o777))
    assert archive.entries == [] and "it is a link, or no ordinary file" in archive.problems[0]


def test_what_systems_leave_in_zips_is_not_even_mentioned() -> None:
    left = {"__MACOSX/._a.png": b"", ".DS_Store": b"", "x/.hidden/a.png": b"", "Thumbs.db": b"", "a.png": b""}
    archive = opened(zipped(left))
    assert names(archive) == ["a.png"] and archive.problems == []


def test_of_several_with_one_name_the_first_is_taken() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.png", b"first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("a.png", b"second")
    archive = opened(buffer.getvalue())
    assert [archive.read(entry, 100) for entry in archive.entries] == [b"first"]
    assert "there are several of this name" in archive.problems[0]


# --- refused as a whole -----------------------------------------------------------------------------------------


def encrypted(data: bytes) -> bytes:
    """With the flag set in the list of entries and in the entry itself."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[changed.find(mark) + offset] |= 1
    return bytes(changed)


def overlapping() -> bytes:
    """Two names for one place: the way bombs are made small."""
    changed = bytearray(zipped({"a.png": b"x" * 100, "b.png": b"y" * 100}, zipfile.ZIP_STORED))
    second = changed.rfind(b"PK\x01\x02")
    struct.pack_into("<L", changed, second + 42, 0)
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "This is no zip"),
        (b"not a zip at all" * 100, "This is no zip"),
        (zipped({"a": b"x" * 999})[:-30], "This is no zip, or its end is missing"),
        (b"PK\x05\x06", "This is no zip, or its end is missing"),
        (encrypted(zipped({"a.png": b"x"})), "This zip is encrypted"),
        (overlapping(), "lie over each other"),
    ],
    ids=["empty", "no-zip", "cut-off", "only-an-end", "encrypted", "overlapping"],
)
def test_what_cannot_be_trusted_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        opened(data)


def test_a_hundred_thousand_entries_are_refused_before_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = zipped({f"{number}.png": b"" for number in range(100_000)}, zipfile.ZIP_STORED)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("it was listed"))
    with pytest.raises(ArchiveError, match="more than 60,000 entries. Make several smaller ones"):
        opened(data)


def test_a_list_of_entries_that_understates_their_number_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(zipped({f"{number}.png": b"" for number in range(30)}))
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("it was listed"))
    place = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", data, place + 8, 3, 3)
    with pytest.raises(ArchiveError, match="more than 10 entries"):
        opened(bytes(data))


def wide(data: bytes, counted: int = 0) -> bytes:
    """With a ZIP64 record at its end, which alone tells where the entries are listed."""
    *_, count, size, offset, _ = archives.END.unpack(data[-archives.END.size :])
    listed = counted or count
    record = (b"PK\x06\x06", 44, 45, 45, 0, 0, listed, listed, size, offset)
    locator = (b"PK\x06\x07", 0, len(data) - archives.END.size, 1)
    end = archives.END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    return data[: -archives.END.size] + archives.WIDE_END.pack(*record, *locator) + end


def test_a_zip64_record_is_no_reason_to_refuse_and_none_to_believe(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipped({f"{number}.png": b"x" for number in range(30)})
    assert len(opened(wide(data)).entries) == len(opened(data).entries) == 30
    monkeypatch.setattr(archives, "MAX_ENTRIES", 10)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("it was listed"))
    for one in (wide(data), wide(data, counted=3)):
        with pytest.raises(ArchiveError, match="more than 10 entries"):
            opened(one)


def test_a_bomb_is_refused_by_what_it_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 10**6)
    data = zipped({f"{number}.png": bytes(10**5) for number in range(11)})
    assert len(data) < 5_000
    with pytest.raises(ArchiveError, match="unpacks to more than"):
        opened(data)


# --- refused as it is read --------------------------------------------------------------------------------------


def test_no_more_is_read_than_was_allowed() -> None:
    archive = opened(zipped({"big.png": bytes(10_000)}))
    with pytest.raises(ArchiveError, match="big.png: it has more than"):
        archive.read(archive.entries[0], 9_999)
    assert len(archive.read(archive.entries[0], 10_000)) == 10_000


def understated(data: bytes) -> bytes:
    """An entry that declares ten bytes and holds more."""
    changed = bytearray(data)
    struct.pack_into("<L", changed, changed.rfind(b"PK\x01\x02") + 24, 10)
    return bytes(changed)


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_understates_its_size_is_not_unpacked_to_find_out(packing: int) -> None:
    archive = opened(understated(zipped({"a.png": bytes(2**26)}, packing)))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="a.png: it is (damaged|packed in an unusual way)"):
            archive.read(archive.entries[0], 2**30)
        assert tracemalloc.get_traced_memory()[1] < 2**23
    finally:
        tracemalloc.stop()


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[60] ^= 0xFF
    return bytes(changed)


def unusual(data: bytes) -> bytes:
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", changed, changed.find(mark) + offset, 97)
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "reason"),
    [(understated, "it is damaged"), (flipped, "it is damaged"), (unusual, "packed in an unusual way")],
)
def test_an_entry_that_is_not_what_it_says_is_refused(change: Callable[[bytes], bytes], reason: str) -> None:
    archive = opened(change(zipped({"a.bin": bytes(range(256)) * 40})))
    with pytest.raises(ArchiveError, match=f"a.bin: .*{reason}"):
        archive.read(archive.entries[0], 10**6)


GOOD = zipped({"one/a.png": bytes(range(200)), "two/b.txt": b"words " * 50, "c.json": b"{}"})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, len(GOOD)),
)
def test_no_damage_raises_anything_but_a_sentence(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(GOOD)
    for place, byte in changes:
        data[place] = byte
    try:
        archive = opened(bytes(data[: max(end, 1)] if end % 3 == 0 else data))
        for entry in archive.entries:
            assert ".." not in entry.parts and not entry.name.startswith("/")
            assert len(archive.read(entry, 10_000)) <= 10_000
    except ArchiveError as error:
        assert str(error).endswith(".") and "\n" not in str(error)
