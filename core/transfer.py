"""Runs on the move: out as one zip, and in again, checked like anything from outside.

mnist-vae-7f3a/run.json, weights.safetensors (or checkpoint.safetensors), metrics.jsonl, steps.jsonl,
               previews/ with pictures and places by epoch, cache/ or shipped/ with what was computed of it
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import BinaryIO

from core.archives import Archive, ArchiveError, Entry
from core.errors import one_line
from core.export import MOST_BYTES as MAX_ONNX_BYTES
from core.files import StoreError, unborn, writing
from core.intake import MAX_BYTES as MAX_PICTURE_BYTES
from core.run import MAX_METRICS_BYTES, Run
from core.store import Store, stem
from core.tensors import MAX_TENSOR_BYTES

KNOWN = {
    r"run\.json": 2**20,
    r"(weights|checkpoint)\.safetensors": MAX_TENSOR_BYTES,
    r"(metrics|steps)\.jsonl": MAX_METRICS_BYTES,
    r"previews/(epoch-[0-9]{5,9}|originals)\.png": MAX_PICTURE_BYTES,
    r"previews/places-[0-9]{5,9}\.safetensors": MAX_PICTURE_BYTES,
    r"(cache|shipped)/(codes|elbo|map|robustness-[0-9a-f]{12})\.safetensors": MAX_TENSOR_BYTES,
    r"(cache|shipped)/decoder-[0-9a-f]{16}\.onnx": MAX_ONNX_BYTES,
    r"(cache|shipped)/examples\.png": MAX_PICTURE_BYTES,
}  # what is taken in, and with how many bytes at most
NEEDED = ("run.json", "weights.safetensors", "checkpoint.safetensors")  # without which there is no run
MARK = "imported"  # in the folder of what came from elsewhere
STORED = (".safetensors", ".png")  # hardly gets smaller
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same run gives the same bytes


def limit_of(name: str) -> int | None:
    """The most bytes that a file of a run may have; None where runs have no such file."""
    return next((limit for pattern, limit in KNOWN.items() if re.fullmatch(pattern, name)), None)


def export(run: Run) -> bytes:
    """A run as one zip. Raises StoreError where it was deleted, has no weights, or cannot be read."""
    run.check_there()
    if not run.has_weights:
        raise StoreError(f"{run.id} has no weights yet. Wait for its first epoch, or resume it.")
    buffer = io.BytesIO()
    try:
        with zipfile.ZipFile(buffer, "w") as file:
            for path in sorted(
                path for path in run.folder.rglob("*") if path.is_file() and not path.is_symlink()
            ):
                name = path.relative_to(run.folder).as_posix()
                limit = limit_of(name)
                if limit is not None and path.stat().st_size > limit:
                    if name in NEEDED:
                        raise StoreError(
                            f"{run.id} cannot be exported: {name} has more than {limit / 2**20:,.0f} MB."
                        )
                elif limit is not None:
                    info = zipfile.ZipInfo(f"{run.id}/{name}", EPOCH)
                    info.external_attr = 0o644 << 16
                    packing = zipfile.ZIP_STORED if path.suffix in STORED else zipfile.ZIP_DEFLATED
                    file.writestr(info, path.read_bytes(), packing)
    except OSError as error:
        raise StoreError(f"{run.id} cannot be read: {error.strerror}.") from error
    return buffer.getvalue()


def is_from_elsewhere(run: Run) -> bool:
    """Whether it was taken in. The name of its dataset is somebody else's then, and may be that of a private folder here."""
    return (run.folder / MARK).exists()


def is_run(archive: Archive) -> bool:
    """Whether a zip looks like a run that was exported."""
    return sum(map(is_record, archive.entries)) == 1


def receive(file: BinaryIO, store: Store) -> Run:
    """Take a run in. Raises ArchiveError or StoreError in words; nothing is left behind then.

    Only files that runs have are taken, whatever else is in the zip. What was in training when it was exported was
    interrupted, as far as this store can know.
    """
    archive = Archive(file)
    if not is_run(archive):
        raise ArchiveError(
            "There is no run in this zip: it would hold one run.json. Export one in the Library."
        )
    with writing(store.root), unborn(store.root) as folder:
        id = unpack(archive, folder)
        run = checked(folder, id)
        (folder / MARK).touch()
        taken = not id or (store.root / id).exists()
        free = store.free(stem(run.record.dataset["name"], run.record.family)) if taken else store.root / id
        run.folder = folder.rename(free)
    return run


def unpack(archive: Archive, folder: Path) -> str:
    """Write the files of the run that lie in the zip; give its id as far as one can be told."""
    (root,) = (entry.parts[:-1] for entry in archive.entries if is_record(entry))
    for entry in archive.entries:
        name = "/".join(entry.parts[len(root) :])
        limit = limit_of(name) if entry.parts[: len(root)] == root else None
        if limit is not None:
            place = folder / name.replace("shipped/", "cache/")  # here it is nobody's box
            with writing(folder):
                place.parent.mkdir(exist_ok=True)
                with place.open("wb") as file:
                    file.writelines(archive.pieces(entry, limit))
    id = root[0] if root else ""
    return id if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}", id) else ""


def is_record(entry: Entry) -> bool:
    return entry.parts[-1] == "run.json" and len(entry.parts) <= 2


def checked(folder: Path, id: str) -> Run:
    """Raises StoreError where the folder is no run, or its weights do not fit it."""
    try:
        run = Run.open(folder)
        run.loaded("cpu")
    except StoreError as error:
        reason, _, _ = str(error).rpartition(". ")  # what follows is advice on runs that are in the store
        reason = one_line(reason.replace(folder.name, id or "The run in this zip"), 500)
        raise StoreError(f"{reason}. Export it once more where it comes from.") from None
    if run.record.status in ("created", "running"):
        run.update(status="interrupted")
    return run
