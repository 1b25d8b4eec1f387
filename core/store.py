"""The runs that there are: a folder of folders, each of which `core.run` explains."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.codes import Codes
from core.dataset import Dataset
from core.errors import escaped, is_text, one_line
from core.family import Family
from core.files import StoreError, held, unborn, write_bytes, writing
from core.glance import store_root
from core.record import MAX_NAME, Record
from core.run import Run, lock
from core.tensors import write_tensors
from core.training import Plan, showcase

__all__ = ["Codes", "Damaged", "Deleted", "Record", "Run", "Store", "StoreError", "write_bytes"]


@dataclass(frozen=True)
class Damaged:
    """A folder in the store that cannot be used as a run."""

    id: str
    reason: str


@dataclass(frozen=True)
class Deleted:
    """A run that was put away."""

    key: str
    id: str


def stem(dataset: str, family_key: str) -> str:
    """How the ids of such runs begin."""
    kind = "".join(c for c in dataset.partition(":")[0] if c.isascii() and (c.isalnum() or c == "-"))
    return f"{kind.strip('-') or 'data'}-{family_key}"


class Store:
    """A folder of runs."""

    def __init__(self, root: str | Path | None = None) -> None:
        """`root` defaults to BOTTLENECK_STORE, else to models_store/ beside this package."""
        self.root = store_root(root)

    def create(
        self,
        model: Family,
        plan: Plan,
        data: Dataset,
        name: str = "",
        device: str = "",
        origin: Run | None = None,
    ) -> Run:
        """A new run for a model that is about to be trained, by default where it is; `origin` lends its weights.

        Raises StoreError where the store cannot be written or `origin` has no weights.
        """
        record = Record(
            family=model.key,
            shape=model.shape,
            config=model.config.to_json(),
            plan=asdict(plan),
            dataset={
                "name": data.name,
                "title": data.title,
                "fingerprint": data.fingerprint,
                "licence": data.licence,
                "class_names": list(data.class_names),
            },
            device=device or model.device.type,
            name=one_line(name, MAX_NAME),
            origin=origin.id if origin else "",
        )
        with writing(self.root), unborn(self.root) as folder:
            run = Run(folder, record)
            run.save_record(record)
            run.save_originals(data.validation.images[showcase(data.validation)])
            if origin is not None:
                write_tensors(run.origin_file, origin.loaded("cpu").state_dict(), {})
            return Run(folder.rename(self.free(stem(data.name, model.key))), record)

    def free(self, stem: str) -> Path:
        """A folder for a new run that does not exist yet."""
        folder = self.root / f"{stem}-{secrets.token_hex(2)}"
        while folder.exists():
            folder = self.root / f"{stem}-{secrets.token_hex(4)}"
        return folder

    def folders(self) -> dict[str, Path]:
        """Of runs, sound and damaged, by id, which is text. Raises StoreError where the store itself cannot be read."""
        try:
            found = [path for path in self.root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        except FileNotFoundError:
            found = []
        except OSError as error:
            raise StoreError(
                f"The store {self.root} cannot be read: {error.strerror}. Choose another folder."
            ) from None
        return {escaped(path.name): path for path in sorted(found)}

    def runs(self) -> list[Run]:
        """Those that are not damaged."""
        return [run for run in self.list() if isinstance(run, Run)]

    def list(self) -> list[Run | Damaged]:
        """Every run, oldest first, then what is damaged. A missing folder is an empty store."""
        sound: list[Run] = []
        damaged: list[Damaged] = []
        for id, folder in self.folders().items():
            try:
                sound.append(Run.open(folder))
            except StoreError as error:
                damaged.append(Damaged(id, str(error)))
        return [*sorted(sound, key=lambda run: run.record.created), *damaged]

    def run(self, id: str) -> Run:
        """Raises StoreError where there is no such run, or a damaged one."""
        return Run.open(self.folder(id))

    def folder(self, id: str) -> Path:
        """Asked of the listing, so that no text from outside becomes a path. Raises StoreError."""
        folders = self.folders()
        if id not in folders:
            listed = ", ".join([*folders][:12]) + (", …" if len(folders) > 12 else "") or "none yet"
            raise StoreError(
                f"There is no run {one_line(id, MAX_NAME)!r} in {self.root.name}/. Runs there: {listed}."
            )
        return folders[id]

    # --- deleting, and thinking better of it ---

    def delete(self, id: str) -> str:
        """Put a run away, damaged or not, and give the key by which `restore` brings it back; a link is gone, and has none.

        Raises StoreError where it is being trained.
        """
        folder = self.folder(id)
        with writing(folder):
            if folder.is_symlink():
                folder.unlink()
                return ""
            self.deleted_root.mkdir(exist_ok=True)
            stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
            away = self.deleted_root / f"{stamp}.{id}"
            while away.exists():
                away = away.with_name(f"{stamp}-{secrets.token_hex(2)}.{id}")
            trained = (folder / "lock").is_file()
            with held(lock(folder), f"{id} is being trained; stop it first.") if trained else nullcontext():
                if os.name == "posix":
                    folder.rename(away)
            if os.name != "posix":  # there the lock, being open, kept it where it was
                folder.rename(away)
        return away.name

    @property
    def deleted_root(self) -> Path:
        return self.root / ".deleted"

    def deleted(self) -> tuple[Deleted, ...]:
        """What was put away, the latest first."""
        try:
            folders = [path for path in self.deleted_root.iterdir() if path.is_dir() and is_text(path.name)]
        except OSError:
            return ()
        return tuple(
            Deleted(path.name, path.name.partition(".")[2]) for path in sorted(folders, reverse=True)
        )

    def restore(self, key: str) -> str:
        """Bring back what was put away, and give its id. Raises StoreError."""
        one = self.put_away(key)
        folder = self.root / one.id
        if folder.exists():
            folder = self.free(one.id)
        with writing(folder):
            (self.deleted_root / one.key).rename(folder)
        return folder.name

    def erase(self, key: str) -> None:
        """Remove what was put away, for good. Raises StoreError."""
        folder = self.deleted_root / self.put_away(key).key
        with writing(folder):
            shutil.rmtree(folder)

    def put_away(self, key: str) -> Deleted:
        """Asked of the listing, so that no text from outside becomes a path."""
        for one in self.deleted():
            if one.key == key:
                return one
        raise StoreError(f"{one_line(key, MAX_NAME)!r} is not among the deleted runs any more.")
