"""A look at families and runs without importing torch, which takes seconds: what Home shows while the rest warms up."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from core.files import read_json
from core.pictures import MOST_TILES, tiles

FAMILIES_FOLDER = Path(__file__).parent / "families"
T = TypeVar("T")

LARGEST = 1024  # pixels a side
LONGEST = 2**20  # bytes of a run.json
MOST = 1e30  # no score is larger
WORDS = ("key", "title", "paper", "idea", "choose", "objective", "symbol", "sampling", "from_prior")


@dataclass(frozen=True)
class Card:
    """The words of a family."""

    key: str
    title: str
    paper: str
    idea: str
    choose: str
    objective: str  # LaTeX
    symbol: str
    sampling: str  # how new pictures come about
    from_prior: bool  # whether that is from N(0, I)
    diagram: str


@dataclass(frozen=True)
class Glance:
    """A finished run, as far as its text and pictures tell. Nothing in it has been checked."""

    folder: Path
    family: str
    dataset: str
    title: str  # of the dataset
    shape: tuple[int, int, int]
    test: dict[str, float]
    report: Mapping[str, dict[str, float]]  # by section, as `core.report` keeps it
    plan: Mapping[str, Any]
    created: str

    @property
    def id(self) -> str:
        return self.folder.name

    def examples(self) -> np.ndarray | None:
        """What it makes of `core.examples.pictures(shape, dataset)`: uint8 (n,C,H,W)."""
        found = [
            path for place in ("cache", "shipped") if (path := self.folder / place / "examples.png").exists()
        ]
        return self.tiles(found[0]) if found else None

    def samples(self) -> np.ndarray | None:
        """New pictures from the end of its training: uint8 (n,C,H,W)."""
        latest = max((self.folder / "previews").glob("epoch-*.png"), default=None)
        shown = self.tiles(latest) if latest else None
        return None if shown is None else shown[len(shown) // 3 :]

    def tiles(self, path: Path) -> np.ndarray | None:
        try:
            with Image.open(path, formats=["PNG"]) as image:
                if image.width > MOST_TILES * self.shape[2] or image.height > MOST_TILES * self.shape[1]:
                    return None
                pixels = np.asarray(image.convert("L" if self.shape[0] == 1 else "RGB"))
            return tiles(pixels, self.shape)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None


def cards() -> tuple[Card, ...]:
    """In teaching order: from the classes where they are imported, else from the literals in their source."""
    registry: Any = sys.modules.get("core.families")
    if hasattr(registry, "FAMILIES"):
        return tuple(card_of(family) for family in registry.FAMILIES)
    return _cards_in_source()


@cache
def _cards_in_source() -> tuple[Card, ...]:
    contract = ast.parse((FAMILIES_FOLDER.parent / "family.py").read_text(encoding="utf-8"))
    inherited = words_in(
        next(n for n in contract.body if isinstance(n, ast.ClassDef) and n.name == "Autoencoder")
    )
    by_class = {}
    for path in FAMILIES_FOLDER.glob("[!_]*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        for node in module.body:
            if isinstance(node, ast.ClassDef):
                words = inherited | words_in(node)
                if set(WORDS) <= set(words):
                    by_class[node.name] = card(words, ast.get_docstring(module))
    registry = ast.parse((FAMILIES_FOLDER / "__init__.py").read_text(encoding="utf-8"))
    order = next(
        node.value
        for node in registry.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Tuple)
    )
    return tuple(by_class[name.id] for name in order.elts if isinstance(name, ast.Name))


def card_of(family: Any) -> Card:
    return card({name: getattr(family, name) for name in WORDS}, sys.modules[family.__module__].__doc__)


def card(words: Mapping[str, Any], story: str | None) -> Card:
    """From class attributes and the docstring of the module, whose lines with arrows are the diagram."""
    diagram = "\n".join(line.strip() for line in (story or "").splitlines() if "──" in line)
    return Card(**{name: words[name] for name in WORDS}, diagram=diagram)


def words_in(node: ast.ClassDef) -> dict[str, str | bool]:
    """The texts and truths that a class gives to names, as in `a = "…"`, `a: bool = True` and `a, b = "…", "…"`."""
    words: dict[str, str | bool] = {}
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
            for name, told in zip(names, values, strict=False):
                if (
                    isinstance(name, ast.Name)
                    and isinstance(told, ast.Constant)
                    and isinstance(told.value, str | bool)
                ):
                    words[name.id] = told.value
    return words


def store_root(root: str | Path | None = None) -> Path:
    """The folder of the runs: `root`, else BOTTLENECK_STORE, else models_store/ beside this package."""
    beside = Path(__file__).resolve().parent.parent / "models_store"
    return Path(root or os.environ.get("BOTTLENECK_STORE") or beside)


def glance_at(folder: Path, record: dict[str, Any]) -> Glance:
    """Raises KeyError, TypeError, ValueError or AttributeError where the record is not such as the store writes."""
    texts = record["family"], record["dataset"]["name"], record["dataset"]["title"]
    channels, height, width = map(int, record["shape"])
    if not (
        all(isinstance(text, str) for text in texts) and channels in (1, 3) and max(height, width) <= LARGEST
    ):
        raise ValueError
    metrics = record["metrics"]
    report = {
        name: numbers(part) for name, part in metrics.get("report", {}).items() if isinstance(part, dict)
    }
    plan, made = dict(record.get("plan", {})), str(record.get("created", ""))
    return Glance(
        folder, *texts, (channels, height, width), numbers(metrics.get("test", {})), report, plan, made
    )


def numbers(section: Mapping[str, Any]) -> dict[str, float]:
    """Those that can be shown: JSON may hold infinite ones, and ones that fit no float."""
    return {
        name: value for name, value in section.items() if type(value) in (int, float) and abs(value) < MOST
    }


def comparable(runs: Iterable[T], told: Callable[[T], tuple[str, Mapping[str, Any], str]]) -> dict[str, T]:
    """One run of each family: of those with the plan that most families share, else the latest. By family.

    `told` says family, plan and date of a run. Of plans with equally many families the one of the latest run counts.
    """
    dated = sorted(((*told(run), run) for run in runs), key=lambda one: one[2])
    latest = {family: run for family, _, _, run in dated}
    by_plan: dict[tuple[str, ...], dict[str, T]] = {}
    for family, plan, _, run in dated:
        key = tuple(str(plan.get(name)) for name in ("epochs", "seconds", "batch_size", "seed"))
        by_plan[key] = by_plan.pop(key, {}) | {family: run}  # the last one is that of the latest run
    widest = max(reversed(by_plan.values()), key=len, default={})
    return latest | widest


def finished(root: Path) -> list[Glance]:
    """The completed runs below `root`, oldest first; whatever cannot be read is left to the store to report."""
    found = []
    for path in root.glob("*/run.json"):
        try:
            record = read_json(path, LONGEST)
            if record["status"] == "completed":
                found.append((str(record["created"]), glance_at(path.parent, record)))
        except (
            OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError
        ):  # fmt: skip
            continue
    return [glance for _, glance in sorted(found, key=lambda pair: pair[0])]


def is_there(root: str | Path | None, id: str) -> bool:
    """Whether there is a run of this name, sound or not, as far as one can see."""
    try:
        return any(path.name == id for path in store_root(root).iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def recorded_device(root: str | Path | None, id: str) -> str | None:
    """Where a run was trained, or None where it cannot be told."""
    for path in store_root(root).glob("*/run.json"):
        if path.parent.name == id:
            try:
                device = read_json(path, LONGEST)["device"]
                return device if device in ("cpu", "cuda", "mps") else None
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                return None
    return None
