"""What run.json holds: how a run was made, and how it ended. Text that a person can read, and that is checked when read."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from core.errors import one_line
from core.families import family
from core.family import Config, Family, Shape
from core.files import parsed
from core.tensors import MAX_TENSOR_BYTES
from core.training import Plan

FORMAT = 1
STATUSES = ("created", "running", "completed", "stopped", "diverged", "interrupted")
MAX_NAME = 80
MAX_TAG, MAX_TAGS = 30, 12
MAX_WEIGHT_BYTES = MAX_TENSOR_BYTES // 4  # a checkpoint is three times as large


@dataclass(frozen=True)
class Record:
    family: str
    shape: Shape
    config: Mapping[str, Any]
    plan: Mapping[str, Any]
    dataset: Mapping[str, Any]  # name, title, fingerprint, licence, class_names
    device: str
    name: str = ""
    tags: tuple[str, ...] = ()
    origin: str = ""  # the run whose weights it started from
    status: str = "created"
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str] = field(
        default_factory=lambda: {"python": platform.python_version(), **versions()}
    )
    metrics: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Raises ValueError in words where the text is not the record of a run that this version can use."""
        try:
            values = parsed(text)
        except UnicodeEncodeError:
            raise ValueError("run.json holds characters that are no text") from None
        except (ValueError, RecursionError):
            raise ValueError("run.json is not JSON") from None
        if not isinstance(values, dict):
            raise ValueError("run.json holds no object")
        if values.get("format") != FORMAT:
            raise ValueError(f"its format is {values.get('format')!r}, this version reads {FORMAT}")
        values = {
            "device": "",
            "name": "",
            "tags": [],
            "origin": "",
            "created": "",
            "versions": {},
            "metrics": {},
            **values,
        }
        unknown, missing = sorted(set(values) - set(KINDS)), sorted(set(KINDS) - set(values))
        if unknown or missing:
            raise ValueError(
                f"run.json lacks {missing}" if missing else f"run.json has unknown fields {unknown}"
            )
        check_kinds(values, KINDS)
        check_kinds(values["dataset"], DATASET_KINDS)
        check_kinds(values["metrics"], {"test": dict, "report": dict})
        shape, names = values["shape"], values["dataset"].get("class_names", [])
        if len(shape) != 3 or not all(type(side) is int for side in shape):
            raise ValueError("its shape is not three whole numbers")
        if shape[0] not in (1, 3) or not all(4 <= side <= 1024 for side in shape[1:]):
            raise ValueError(f"its shape {shape} is outside what the families handle")
        if values["status"] not in STATUSES:
            raise ValueError(f"its status is {values['status']!r}")
        if "name" not in values["dataset"] or not all(isinstance(name, str) for name in names):
            raise ValueError("its dataset lacks a name, or one of its classes does")
        cleaned = {"name": one_line(values["name"], MAX_NAME), "tags": clean_tags(values["tags"])}
        record = cls(**values | {"shape": tuple(shape)} | cleaned)
        record.settings()
        record.training_plan()
        return record

    @property
    def data_title(self) -> str:
        """What people call the pictures that it learnt from."""
        return str(self.dataset.get("title", self.dataset["name"]))

    def settings(self) -> Config:
        """Raises ValueError naming a setting that is unknown or does not fit."""
        return family(self.family).Config.from_json(self.config)

    def training_plan(self) -> Plan:
        """Raises ValueError likewise."""
        unknown = sorted(set(self.plan) - set(Plan.__dataclass_fields__))
        if unknown:
            raise ValueError(f"unknown fields {unknown} in its plan")
        return Plan(**self.plan)

    def command(self) -> list[str]:
        """The command line that makes such a run. Raises ValueError where a setting is unknown."""
        plan, dataset = self.training_plan(), str(self.dataset["name"])
        start = ["--from", self.origin] if self.origin else described(self.family, self.settings())
        return ["python", "-m", "core", "train", *start, *planned(plan, dataset, self.device or "auto")]

    def outline(self) -> Family:
        """The model, without memory for its weights. Raises ValueError likewise."""
        return outline(family(self.family), self.settings(), self.shape)


def described(family_key: str, config: Config) -> list[str]:
    """The flags that say which model: its family, and the settings that differ from their defaults."""
    values = {one.name: getattr(config, one.name) for one in config.settings()}
    assignments = [
        f"{one.name}={one.text(values[one.name])}"
        for one in config.settings()
        if values[one.name] != one.beside(values).default
    ]
    return ["--family", family_key, *(["--set", *assignments] if assignments else [])]


def planned(plan: Plan, dataset: str, device: str) -> list[str]:
    """The flags that say on what, how long and where."""
    budget = ["--epochs", str(plan.epochs)] if plan.epochs else ["--seconds", str(plan.seconds)]
    steps = ["--batch-size", str(plan.batch_size), "--seed", str(plan.seed), "--threads", str(plan.threads)]
    return ["--dataset", dataset, *budget, *steps, "--device", device]


def clean_tags(tags: Iterable[Any]) -> tuple[str, ...]:
    """Each once, in one line, and not too many."""
    cleaned = dict.fromkeys(one_line(tag, MAX_TAG) for tag in tags if isinstance(tag, str))
    return tuple(tag for tag in cleaned if tag)[:MAX_TAGS]


def outline(kind: type[Family], config: Config, shape: Shape) -> Family:
    """A model on torch's meta device. Raises ValueError where its weights would take too much memory."""
    try:
        with torch.device("meta"):
            model = kind(config, shape)
        size = sum(weights.nbytes for weights in model.state_dict().values())
    except (RuntimeError, OverflowError, TypeError) as error:
        raise ValueError(f"these settings make no net ({error})") from None
    if size > MAX_WEIGHT_BYTES:
        raise ValueError(
            f"its weights would take {size / 2**20:.0f} MB; the limit is {MAX_WEIGHT_BYTES / 2**20:.0f} MB"
        )
    return model


KINDS: Mapping[str, type] = {
    **dict.fromkeys(("family", "device", "name", "origin", "status", "created"), str),
    **dict.fromkeys(("shape", "tags"), list),
    **dict.fromkeys(("config", "plan", "dataset", "versions", "metrics"), dict),
    "format": int,
}
DATASET_KINDS: Mapping[str, type] = {
    **dict.fromkeys(("name", "title", "fingerprint", "licence"), str),
    "class_names": list,
}


def check_kinds(values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for name, value in values.items():
        if name in kinds and type(value) is not kinds[name]:
            raise ValueError(f"{name} in run.json is {type(value).__name__}, not {kinds[name].__name__}")


def versions() -> dict[str, str]:
    return {package: version(package) for package in ("torch", "numpy", "safetensors")}
