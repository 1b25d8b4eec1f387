"""Files that are never seen half written, and files of others that are never trusted. Imports no torch."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import Explained

UNFINISHED = ".writing-"  # first letters of the names that files have until they are complete
UNBORN = ".creating-"  # likewise of folders
LONG_DEAD = 86_400.0  # seconds


class StoreError(Explained):
    """Something cannot be read or written."""


# --- writing ----------------------------------------------------------------------------------------------------


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses below here is raised as a StoreError about `path`."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(
            f"{path} cannot be written: a file is where a folder has to be. Choose another folder."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"{path} cannot be written: {reason}. Make room, or choose another folder."
        ) from error


@contextmanager
def unborn(home: Path) -> Iterator[Path]:
    """A new folder in `home` that no listing shows; removed in the end, unless it was renamed, as it is once it is whole.

    What processes left that were killed over theirs goes, too, a day later. Raises OSError.
    """
    folder = home / (UNBORN + secrets.token_hex(8))
    folder.mkdir(parents=True)
    try:
        for left in home.glob(f"{UNBORN}*"):
            if age(left) > LONG_DEAD:
                shutil.rmtree(left, ignore_errors=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def allocate(path: Path) -> None:
    """Give a sparse file its room on disk, where the system can: mapped into memory, it would end the process when the disk is
    full, instead of raising. Raises OSError.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # some file systems cannot
                raise


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file atomically: whoever reads sees the old or the new one, whole. Raises StoreError."""
    unfinished = path.with_name(UNFINISHED + secrets.token_hex(8))
    with writing(path):
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


def replace(source: Path, target: Path) -> None:
    """Rename. Windows refuses while somebody reads the target, so there it is tried for a second."""
    for wait in (0.01, 0.09, 0.9):
        try:
            return os.replace(source, target)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(wait)
    os.replace(source, target)


def written(path: Path) -> int:
    """When, in nanoseconds; 0 where there is no such file, or none any more."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def age(path: Path) -> float:
    """Seconds since it was written; 0 where it is gone: another process may just have given it its name."""
    at = written(path)
    return time.time() - at / 1e9 if at else 0.0


def json_text(
    value: Any, *, indent: int | None = None, infinite: Callable[[float], Any] = lambda _: None
) -> str:
    """JSON, which has neither infinities nor NaN: `infinite` says what stands for them."""

    def finite(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return infinite(value)
        if isinstance(value, Mapping):
            return {name: finite(one) for name, one in value.items()}
        return [finite(one) for one in value] if isinstance(value, list | tuple) else value

    return json.dumps(finite(value), indent=indent, allow_nan=False)


# --- reading ----------------------------------------------------------------------------------------------------


def check_file(path: Path, limit: int) -> None:
    """Raises OSError, or ValueError where `path` is no plain file (a pipe would block) or larger than `limit`."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path.name} is no file")
    if status.st_size > limit:
        raise ValueError(f"{path.name} is larger than {limit} bytes")


def read_text(path: Path, limit: int = 2**20) -> str:
    """Raises OSError or ValueError."""
    check_file(path, limit)
    return path.read_text(encoding="utf-8")


def read_json(path: Path, limit: int = 2**20) -> Any:
    """Raises OSError, ValueError or RecursionError."""
    return parsed(read_text(path, limit))


def parsed(text: str) -> Any:
    """What JSON says. Raises ValueError, too, where it holds half of a surrogate pair, which no page can show."""
    found = json.loads(text)
    if "\\u" in text:
        json.dumps(found, ensure_ascii=False).encode()
    return found


# --- locks ------------------------------------------------------------------------------------------------------


@contextmanager
def held(lock: FileLock, message: str) -> Iterator[None]:
    """Hold a lock, of which the kernel lets go even on kill -9. Raises StoreError(message) where another process has it."""
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(message) from None
    except OSError as error:
        raise StoreError(f"{lock.lock_file} cannot be locked: {error.strerror or error}.") from error
    try:
        yield
    finally:
        lock.release()
