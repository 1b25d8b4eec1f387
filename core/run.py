"""A run on disk: text a person can read, tensors without pickle.

    models_store/mnist-vae-7f3a/
      run.json                 what this is and how it was made; exists from the first second
      weights.safetensors      once training has ended
      checkpoint.safetensors   while it has not: all that resuming needs, in one file
      origin.safetensors       until then: the weights it started from, where it goes on from another run
      metrics.jsonl            one line per epoch, fewer where there are many thousands
      steps.jsonl              now and then the terms of one step: what a live chart shows, no history to rely on
      previews/                pictures by epoch, and those that were put in
      shipped/, cache/         what was computed from the weights, keyed by their hash

Whole files are replaced atomically; metrics.jsonl and steps.jsonl grow by lines, and the checkpoint knows how long the first
was. Nothing is ever unpickled. Whatever lies in a store may be broken or hostile: it is then listed as damaged, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from core import intake
from core.codes import Codes, packed, unpacked
from core.dataset import Dataset
from core.errors import escaped, is_text, one_line
from core.families import family
from core.family import Autoencoder, Family, Restorer
from core.files import (
    UNFINISHED,
    StoreError,
    age,
    check_file,
    held,
    json_text,
    parsed,
    read_text,
    write_bytes,
    writing,
)
from core.mixture import Mixture
from core.pictures import MOST_TILES, png, sheet, tiles
from core.record import Record
from core.tensors import MAX_TENSOR_BYTES, read_tensors, write_tensors
from core.training import (
    LIMITS,
    SCATTERED,
    Diverged,
    EpochEnded,
    Event,
    Finished,
    Previews,
    Stepped,
    Training,
)

T = TypeVar("T")

CHECKPOINT_EVERY = 20.0  # seconds of training that a crash may cost
LOCK_PATIENCE = 1.0  # seconds; whoever asks for a status holds the lock for a moment
REVISION_PATIENCE = 30.0  # seconds; a file is written within that
STEP_EVERY = 0.5  # seconds between two lines of steps.jsonl, growing to a thousandth of the time spent
EPOCHS_KEPT = 2_000  # of a steady training; then one whenever as large a part of its time has passed
MOST_STEPS = 10**12  # what lies in a store may claim more
MOST_PREVIEWS = LIMITS["previews"][2]
MAX_METRICS_BYTES = 2**26
NO_WEIGHTS = "{} has no final weights, by which results are kept. Resume it first."
UNFINAL = "checkpoint"  # in the place of a hash


class Run:
    """One run. Reading is safe at any time; training holds the run's lock."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder, self.record = folder, record
        self.lock: FileLock | None = None
        self.weights_read: str | None = None  # hash of those that results are computed from

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Raises StoreError with reason and remedy where the folder is no usable run."""
        try:
            check_folder(folder)
            return cls(folder, Record.from_json(read_text(folder / "run.json")))
        except FileNotFoundError:
            reason = "there is no run.json"
        except OSError as error:
            reason = f"run.json cannot be read ({error.strerror})"
        except (ValueError, RecursionError) as error:
            reason = str(error)
        raise StoreError(
            f"{escaped(folder.name)} cannot be used: {one_line(reason, 300)}. Delete it, or train it again."
        )

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def title(self) -> str:
        return self.record.name or self.id

    @property
    def status(self) -> str:
        """As recorded, except that a run nobody trains any more was interrupted."""
        if self.record.status not in ("created", "running"):
            return self.record.status
        if not (self.folder / "lock").exists():
            return "interrupted"
        try:
            with FileLock(self.folder / "lock", timeout=0.02, poll_interval=0.01):  # twice: others ask, too
                return "interrupted"
        except Timeout:
            return "running"
        except OSError:  # where nobody may write, nobody trains
            return "interrupted"

    @property
    def has_weights(self) -> bool:
        return self.weights_file.exists() or self.checkpoint_file.exists()

    @property
    def weights_file(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def checkpoint_file(self) -> Path:
        return self.folder / "checkpoint.safetensors"

    @property
    def origin_file(self) -> Path:
        return self.folder / "origin.safetensors"

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def steps_file(self) -> Path:
        return self.folder / "steps.jsonl"

    # --- the model ---

    def load(self, device: str | torch.device = "cpu") -> Autoencoder:
        """The model with its weights, ready for use. Raises StoreError where they are missing or do not fit."""
        model = self.loaded(device)
        if not isinstance(model, Autoencoder):
            raise StoreError(
                f"{self.id} restores photographs and has no codes. Use it with `python -m core denoise`, "
                "or `reconstruct` where it squeezes them."
            )
        return model

    def restorer(self, device: str | torch.device = "cpu") -> Restorer:
        """Likewise."""
        model = self.loaded(device)
        if not isinstance(model, Restorer):
            raise StoreError(
                f"{self.id} sees pictures of one size only. Choose a run that restores photographs."
            )
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    @torch.inference_mode(False)  # weights made within it could never be differentiated through
    def loaded(self, device: str | torch.device) -> Family:
        try:
            model = self.record.outline()
            if self.weights_file.exists():
                check_file(self.weights_file, MAX_TENSOR_BYTES)
                # before they are: what replaces them meanwhile has another one
                self.weights_read = self.weights_hash()
                tensors, _ = read_tensors(self.weights_file)
            else:
                self.weights_read = UNFINAL
                stored, _ = read_tensors(self.checkpoint_file)
                tensors = {k.removeprefix("model."): v for k, v in stored.items() if k.startswith("model.")}
            fill(model, tensors)
            for part in model.modules():
                if isinstance(part, Mixture):
                    part.check()
        except FileNotFoundError:
            raise StoreError(
                f"{self.id} has no weights yet. Wait for its first epoch, or resume it."
            ) from None
        except (OSError, ValueError, RuntimeError) as error:
            reason = one_line(str(error), 300)
            raise StoreError(
                f"{self.id} cannot be loaded: {reason}. Resume or retrain it, or delete it."
            ) from None
        return model.to(device).eval()

    def check_finished(self) -> None:
        """Raises StoreError where there are no final weights: what is computed is kept by them."""
        if not self.weights_file.exists():
            raise StoreError(NO_WEIGHTS.format(self.id))

    def check_unchanged(self) -> str:
        """The hash of the final weights. Raises StoreError where there are none, or others than were loaded or trained here."""
        self.check_there()
        try:
            now = self.weights_hash()
        except FileNotFoundError:
            raise StoreError(NO_WEIGHTS.format(self.id)) from None
        if self.weights_read not in (None, now):
            raise StoreError(
                f"{self.id} was trained on meanwhile, so this is of weights that it no longer has. Do it again."
            )
        return now

    def weights_hash(self) -> str:
        """Of the final ones. Raises OSError where there are none."""
        return hashlib.blake2b(self.weights_file.read_bytes(), digest_size=8).hexdigest()

    # --- training ---

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one that trains this run. May be nested. Raises StoreError where another process does, or it was deleted."""
        self.check_there()
        if self.lock is None or not self.lock.is_locked:
            self.lock = lock(self.folder)
        with held(self.lock, f"{self.id} is being trained by another process."):
            yield

    def begin(self, device: torch.device) -> Training:
        """A fresh training of this run's model, on the plan it was created with. Raises ValueError where it is too large."""
        self.record.outline()
        model = family(self.record.family)(self.record.settings(), self.record.shape)
        training = Training(model.to(device), self.record.training_plan())
        if self.origin_file.exists():
            fill(model, {k: v.to(device) for k, v in read_tensors(self.origin_file)[0].items()})
        return training

    def resume(self, device: torch.device, data: Dataset) -> Training:
        """The training where its last checkpoint left it, or from the start where it had not come that far.

        Whoever goes on to train holds the run from here on. Raises StoreError where another process trains it, where there
        is nothing to resume, the data are not those it saw, the device is of another kind or the checkpoint is broken.
        """
        with self.held():
            self.record = record = Run.open(self.folder).record  # another process may have trained it since
            if record.status in ("completed", "diverged"):
                raise StoreError(
                    f"{self.id} has {record.status}: there is nothing to resume. Train a new run."
                )
            if data.fingerprint != record.dataset.get("fingerprint"):
                raise StoreError(
                    f"{data.name} no longer holds the pictures that {self.id} was trained on. Train a new run."
                )
            if device.type != record.device:
                raise StoreError(
                    f"{self.id} was trained on {record.device or 'an unknown device'} and can only go on there."
                )
            try:
                training = self.begin(device)
                if self.checkpoint_file.exists():
                    tensors, header = read_tensors(self.checkpoint_file)
                    training.restore(tensors, json.loads(header["counters"]))
                    self.truncate_metrics(int(header["metrics_bytes"]))
                elif self.weights_file.exists():
                    raise StoreError(
                        f"{self.id} has weights but no checkpoint to go on from. Train a new run."
                    )
                else:
                    self.truncate_metrics(0)
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
                reason = one_line(str(error), 300)
                raise StoreError(
                    f"{self.id} cannot be resumed: {reason}. Delete it and train it again."
                ) from None
        return training

    def record_events(self, events: Iterable[Event], training: Training) -> Iterator[Event]:
        """Pass events on while writing metrics, pictures, checkpoints and at the end the weights.

        Raises StoreError where another process trains this run. If the consumer leaves early, or an error ends the events,
        the run is marked interrupted and can be resumed.
        """
        with self.held():
            self.clear_unfinished()
            if self.checkpoint_file.exists():  # resumed: from here on, its weights are the newer ones
                self.weights_file.unlink(missing_ok=True)
            self.cut_steps(training.step)
            self.update(status="running", metrics={})
            status, saved_at, told_at = "interrupted", training.seconds, -math.inf
            written_at, unwritten = -math.inf, None
            try:
                for event in events:
                    match event:
                        case EpochEnded():
                            unwritten = event
                            if event.previews is not None:
                                self.save_previews(event.epoch, event.previews)
                            due = event.epoch == 1 or event.seconds - saved_at > CHECKPOINT_EVERY / 10
                        case Stepped():
                            due = event.seconds - saved_at > CHECKPOINT_EVERY
                            if event.seconds - told_at >= max(STEP_EVERY, event.seconds / 1_000):
                                self.append_step(event)
                                told_at = event.seconds
                        case Finished():
                            status, due = event.reason, event.reason == "stopped"
                        case Diverged():
                            status, due = "diverged", False
                    ends = due or status != "interrupted"  # a history ends where its weights do
                    if unwritten and (ends or self.is_told(unwritten, written_at)):
                        self.append_metrics(unwritten)
                        written_at, unwritten = unwritten.seconds, None
                    if due:
                        self.save_checkpoint(training)
                        saved_at = training.seconds
                    if status != "interrupted":
                        self.save_weights(training.model)
                        self.update(status=status)
                        if status != "stopped":
                            self.checkpoint_file.unlink(missing_ok=True)
                            self.origin_file.unlink(missing_ok=True)
                    try:
                        yield event
                    except BaseException:  # the consumer has left
                        if status == "interrupted":
                            if unwritten:
                                self.append_metrics(unwritten)
                            self.save_checkpoint(training)
                        raise
            finally:
                if status == "interrupted":
                    self.update(status=status)

    @staticmethod
    def is_told(event: EpochEnded, last: float) -> bool:
        """Whether an epoch has a line of its own, where the last one had one at `last` seconds."""
        return event.previews is not None or event.seconds - last >= event.seconds / EPOCHS_KEPT

    def save_checkpoint(self, training: Training) -> None:
        tensors, counters = training.state()
        size = self.metrics_file.stat().st_size if self.metrics_file.exists() else 0
        header = {"counters": json.dumps(counters), "metrics_bytes": str(size)}
        write_tensors(self.checkpoint_file, tensors, header)

    def save_weights(self, model: Family) -> None:
        write_tensors(self.weights_file, model.state_dict(), {})
        self.weights_read = self.weights_hash()

    def append_metrics(self, event: EpochEnded) -> None:
        line = {
            "epoch": event.epoch,
            "step": event.step,
            "train": event.train,
            "validation": event.validation,
            "seconds": round(event.seconds, 3),
            "images_per_second": round(event.images_per_second, 1),
        }
        with writing(self.metrics_file), self.metrics_file.open("a", encoding="utf-8") as file:
            file.write(json_text(line) + "\n")
            file.flush()
            os.fsync(file.fileno())  # before a checkpoint says how long this file is

    def append_step(self, event: Stepped) -> None:
        with writing(self.steps_file), self.steps_file.open("a", encoding="utf-8") as file:
            file.write(json_text(asdict(event)) + "\n")

    def cut_steps(self, step: int) -> None:
        """Drop what a killed process logged after `step`: the one that resumes takes these steps again."""
        kept = [line for line in self.steps() if line["step"] <= step]
        if kept or self.steps_file.exists():
            write_bytes(self.steps_file, "".join(json_text(line) + "\n" for line in kept).encode())

    def truncate_metrics(self, size: int) -> None:
        if self.metrics_file.exists():
            os.truncate(self.metrics_file, min(size, self.metrics_file.stat().st_size))

    def clear_unfinished(self) -> None:
        """Remove what a process left that was killed while it wrote."""
        for path in self.folder.rglob(f"{UNFINISHED}*"):
            if age(path) > 60:  # else somebody may be writing it: a name, say
                path.unlink(missing_ok=True)

    # --- what a run can tell ---

    def metrics(self) -> list[dict[str, Any]]:
        """A record per epoch, but for some of many thousands; what is no such record, or still being written, is left out."""
        return records(self.metrics_file, epoch_record)

    def steps(self) -> list[dict[str, Any]]:
        """step, epoch, progress, numbers and seconds of a step now and then."""
        return records(self.steps_file, step_record)

    def preview_epochs(self) -> list[int]:
        """Those of which there are pictures: the last ones, where a folder claims more than a plan can ask for."""
        names = (path.stem.removeprefix("epoch-") for path in (self.folder / "previews").glob("epoch-*.png"))
        return sorted(int(name) for name in names if name.isascii() and name.isdecimal())[-MOST_PREVIEWS:]

    def preview_file(self, epoch: int) -> Path:
        return self.folder / "previews" / f"epoch-{epoch:05d}.png"

    def previews(self, epoch: int) -> Previews:
        """Raises StoreError where the picture is missing or broken."""
        shown, columns = self.sheet(self.preview_file(epoch))
        return Previews(shown[:columns], shown[columns:])

    def originals(self) -> np.ndarray | None:
        """The pictures whose reconstructions the previews show: uint8 (n,C,H,W). Older runs have not kept them."""
        try:
            return self.sheet(self.folder / "previews" / "originals.png")[0]
        except StoreError:
            return None

    def sheet(self, path: Path) -> tuple[np.ndarray, int]:
        """Tiles (n,C,H,W) of a picture file of this run, and how many make a row. Raises StoreError."""
        try:
            check_file(path, intake.MAX_BYTES)
            pixels = intake.read(path.read_bytes(), path.name).pixels
            if pixels.shape[2] != self.record.shape[0]:
                raise ValueError("it has other colours than its run")
            if any(
                side > MOST_TILES * own
                for side, own in zip(pixels.shape, self.record.shape[1:], strict=False)
            ):
                raise ValueError("it is larger than previews are")
            return tiles(pixels, self.record.shape), pixels.shape[1] // self.record.shape[2]
        except (OSError, ValueError) as error:
            reason = one_line(str(error), 300)
            raise StoreError(f"{path.name} of {self.id} cannot be read: {reason}.") from None

    def save_originals(self, pictures: np.ndarray) -> None:
        """uint8 (n,C,H,W)."""
        with writing(self.folder):
            (self.folder / "previews").mkdir(exist_ok=True)
        write_bytes(self.folder / "previews" / "originals.png", png(sheet(pictures, len(pictures))))

    def save_previews(self, epoch: int, previews: Previews) -> None:
        """A row of reconstructions, then the samples in rows as long."""
        columns = len(previews.reconstructions)
        rows = [sheet(part, columns) for part in (previews.reconstructions, previews.samples)]
        with writing(self.folder):
            (self.folder / "previews").mkdir(exist_ok=True)
        write_bytes(self.preview_file(epoch), png(np.concatenate(rows)))
        if previews.places is not None:
            labels = {} if previews.labels is None else {"labels": previews.labels.short()}
            places = {"places": previews.places, **labels}
            write_tensors(self.folder / "previews" / f"places-{epoch:05d}.safetensors", places, {})

    def places(self) -> tuple[list[tuple[int, Tensor]], Tensor | None]:
        """Where the same validation pictures lay by epoch, (n,2) each, and their labels; what cannot be read is left out."""
        found: list[tuple[int, Tensor]] = []
        labels = None
        for path in sorted((self.folder / "previews").glob("places-*.safetensors"))[-MOST_PREVIEWS:]:
            try:
                tensors, _ = read_tensors(path)
                places, epoch = tensors["places"].float(), int(path.stem.removeprefix("places-"))
                fits = places.ndim == 2 and places.shape[1] == 2 and places.isfinite().all()
                if (
                    not fits
                    or not 1 <= len(places) <= SCATTERED
                    or (found and places.shape != found[0][1].shape)
                ):
                    continue
                if (known := tensors.get("labels")) is not None and known.shape == places.shape[:1]:
                    labels = known.long()
            except (OSError, ValueError, KeyError, RuntimeError):
                continue
            found.append((epoch, places))
        return found, labels

    def codes(self) -> Codes | None:
        """Those of the test pictures, where they were computed from the weights as they are now."""
        if not issubclass(family(self.record.family), Autoencoder):
            return None
        classes = len(self.record.dataset.get("class_names", []))
        return self.kept(
            "codes", lambda found: unpacked(found, self.record.outline().config.latent_dim, classes)
        )

    def save_codes(self, codes: Codes, place: str = "cache") -> None:
        """Half precision, and only the active numbers of sparse codes."""
        self.keep("codes", packed(codes), place)

    def kept(self, name: str, read: Callable[[Mapping[str, Tensor]], T]) -> T | None:
        """What `read` makes of the tensors kept under this name; None where there are none of these weights, or it cannot.

        `read` raises KeyError, ValueError or RuntimeError where they are not such as were kept.
        """
        for place in ("cache", "shipped"):
            try:
                tensors, header = read_tensors(self.folder / place / f"{name}.safetensors")
                if header.get("weights") == self.weights_hash():
                    return read(tensors)
            except (OSError, ValueError, KeyError, RuntimeError):
                continue
        return None

    def keep(self, name: str, tensors: Mapping[str, Tensor], place: str = "cache") -> None:
        """Keep what was computed from the weights as they are now.

        Raises StoreError where there are no final ones, these are others, or nothing can be written.
        """
        weights = self.check_unchanged()
        with writing(self.folder):
            (self.folder / place).mkdir(exist_ok=True)
        write_tensors(self.folder / place / f"{name}.safetensors", tensors, {"weights": weights})

    # --- run.json ---

    def update(self, **changes: Any) -> None:
        """Change some fields of the record as it is on disk now, where others may have changed other ones."""
        self.revise(lambda record: replace(record, **changes))

    def add_metrics(self, **found: Mapping[str, Any]) -> None:
        """Likewise, some of its metrics."""
        self.revise(lambda record: replace(record, metrics={**record.metrics, **found}))

    def revise(self, change: Callable[[Record], Record]) -> None:
        """While no other process does. Raises StoreError where that takes too long, or nothing can be written."""
        self.check_there()
        alone = FileLock(self.folder / "record.lock", timeout=REVISION_PATIENCE)
        with held(alone, f"{self.id} is being changed by another process. Try again."):
            with suppress(StoreError):  # what is broken is mended from what is known here
                self.record = Run.open(self.folder).record
            self.save_record(change(self.record))

    def check_there(self) -> None:
        """Raises StoreError where it is not. Asked before a lock is taken, which would make the folder anew."""
        if not self.folder.is_dir():
            raise StoreError(f"{self.id} was deleted. The Library can bring it back.")

    def save_record(self, record: Record) -> None:
        self.record = record
        write_bytes(self.folder / "run.json", (json_text(asdict(record), indent=1) + "\n").encode())


# --- the files of a run -----------------------------------------------------------------------------------------


def lock(folder: Path) -> FileLock:
    return FileLock(folder / "lock", timeout=LOCK_PATIENCE, thread_local=False)


def check_folder(folder: Path) -> None:
    """Raises ValueError where something is a link or a device, through which training would write, or the name is no text."""
    if not is_text(folder.name):
        raise ValueError("the name of its folder is no text (deleted and restored, it has one)")
    if folder.is_symlink():
        raise ValueError("it is a link")
    with os.scandir(folder) as entries:
        for entry in entries:
            if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise ValueError(f"{entry.name} in it is neither file nor folder")


def fill(model: Family, tensors: Mapping[str, Tensor]) -> None:
    """Give a model its weights, in the place of those it has. Raises ValueError where they do not fit, or are no numbers."""
    wanted = model.state_dict()
    misfits = sorted(set(wanted) ^ set(tensors)) or [k for k in wanted if not alike(wanted[k], tensors[k])]
    if misfits:
        raise ValueError(f"its weights do not fit its settings ({', '.join(misfits[:3])})")
    broken = [k for k in sorted(tensors) if not tensors[k].isfinite().all()]
    if broken:
        raise ValueError(f"some of its weights are no finite numbers ({', '.join(broken[:3])})")
    with torch.no_grad():
        placed = any(weights.is_meta for weights in wanted.values())
        model.load_state_dict({k: v.to(wanted[k].dtype) for k, v in tensors.items()}, assign=placed)


def alike(wanted: Tensor, found: Tensor) -> bool:
    return wanted.shape == found.shape and wanted.is_floating_point() == found.is_floating_point()


def records(path: Path, sound: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """The lines of a file that are JSON and sound."""
    try:
        *lines, _ = read_text(path, MAX_METRICS_BYTES).split("\n")
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            if sound(record := parsed(line)):
                found.append(record)
    return found


def epoch_record(record: Any) -> bool:
    """Whether it is a line of metrics.jsonl."""
    numbers = [record["seconds"], record["images_per_second"]]
    counted = all(whole(record[name]) for name in ("epoch", "step"))
    measured = *numbers, *record["train"].values(), *record["validation"].values()
    return counted and record["seconds"] is not None and plain(*measured)


def step_record(record: Any) -> bool:
    """Whether it is a line of steps.jsonl."""
    measured = [record["progress"], record["seconds"]]
    counted = all(whole(record[name]) for name in ("epoch", "step"))
    return counted and None not in measured and plain(*measured, *record["numbers"].values())


def plain(*numbers: Any) -> bool:
    """JSON has no infinite numbers: None stands for them."""
    return all(
        number is None
        or (type(number) is float and math.isfinite(number))
        or (type(number) is int and abs(number) < MOST_STEPS)
        for number in numbers
    )


def whole(number: Any) -> bool:
    return type(number) is int and 0 <= number < MOST_STEPS
