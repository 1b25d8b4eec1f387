"""The robustness lab: what has been measured of some runs and of doing without them, and measuring what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import comparison, evaluation, robustness
from core.comparison import differences
from core.dataset import Dataset
from core.families import family
from core.files import StoreError
from core.findings import NOTHING, Entry
from core.record import Record
from core.robustness import Measured, Method, Progress, Protocol
from core.run import Run
from core.store import Store

CLASSICAL = {"nl-means": "NL-means", "tv": "Total variation", "wavelet": "Wavelet, BayesShrink"}
SEARCH = "+search"


@dataclass(frozen=True, eq=False)
class Lab:
    """Runs that see pictures of one shape, beside what does without a model, under one protocol.

    With `classical` also the denoisers of scikit-image, with `search` also codes found by descent: both on few pictures.
    """

    store: Store
    runs: tuple[Run, ...]
    protocol: Protocol
    classical: bool = False
    search: bool = False

    def baselines(self) -> dict[str, str]:
        """Titles by key."""
        small = [run for run in self.runs if math.prod(run.record.shape) <= evaluation.MOST_PIXELS]
        sizes = sorted({min(code_numbers(run), math.prod(run.record.shape)) for run in small})
        linear = {f"pca-{size}": f"PCA, {size} numbers" for size in sizes}
        return {
            NOTHING: "Doing nothing",
            **linear,
            "median": "Median 3×3",
            **(CLASSICAL if self.classical else {}),
        }

    def entries(
        self, data: Dataset | Mapping[str, Any], kin: Sequence[Run] = ()
    ) -> tuple[list[Entry], list[str]]:
        """What has been measured on `data`, and the titles of what has not. `kin` may hold runs with other training seeds."""
        found: list[Entry] = []
        missing: list[str] = []
        for run in self.runs:
            own = robustness.kept(run, data, self.protocol)
            if own is None:
                missing.append(title_of(run, self.runs))
                continue
            siblings = self.siblings(run, kin, data)
            kind, trained_on = run.record.family, robustness.trained_on(run)
            found.append(Entry(run.id, title_of(run, self.runs), own, trained_on, siblings, kind))
            if self.search:
                searched = robustness.kept_baseline(
                    self.store.root, self.search_key(run), data, self.protocol
                )
                title = f"{title_of(run, self.runs)}, codes searched"
                if searched is None:
                    missing.append(title)
                else:
                    found.append(Entry(run.id + SEARCH, title, searched, trained_on, family=kind))
        for key, title in self.baselines().items():
            measured = robustness.kept_baseline(self.store.root, key, data, self.protocol)
            if measured is None:
                missing.append(title)
            else:
                found.append(Entry(key, title, measured))
        return found, missing

    def siblings(
        self, run: Run, kin: Sequence[Run], data: Dataset | Mapping[str, Any]
    ) -> tuple[Measured, ...]:
        """Of the runs that differ from this one in their training seed alone, this one among them; one for each seed."""
        by_seed: dict[int, Measured] = {}
        for other in sorted(
            {one.id: one for one in (*kin, run)}.values(), key=lambda one: one.record.created
        ):
            both = [run.record, other.record]
            if of_one_subject(both) and set(differences(both)) <= {"seed"}:
                own = robustness.kept(other, data, self.protocol)
                if own is not None:
                    by_seed[other.record.training_plan().seed] = own
        return tuple(by_seed.values())

    def search_key(self, run: Run, weights: str | None = None) -> str:
        """Of weights with this hash, by default of those that are there now."""
        return f"{run.id}-{weights or run.weights_hash()}{SEARCH}"

    def measure(self, data: Dataset) -> Iterator[Progress]:
        """Measure what is missing and keep it. Raises StoreError."""
        methods: list[Method] = []
        runs = {run.id: run for run in self.runs}
        searched: dict[str, str] = {}
        for run in self.runs:
            if robustness.kept(run, data, self.protocol) is None:
                methods.append(robustness.of_model(run, run.load()))
            if self.search:
                key = self.search_key(run)
                if robustness.kept_baseline(self.store.root, key, data, self.protocol) is None:
                    methods.append(robustness.searching(run, run.load()))
                    searched[run.id + SEARCH] = self.search_key(run, run.weights_read)
        wanted = [
            key
            for key in self.baselines()
            if robustness.kept_baseline(self.store.root, key, data, self.protocol) is None
        ]
        if wanted:
            yield Progress(0.0, "Preparing what does without a model")
        methods += [method for key in wanted for method in baseline(key, data)]
        if not methods:
            return
        for step in robustness.measure(methods, data, self.protocol):
            if isinstance(step, Progress):
                yield step
                continue
            for key, measured in step.items():
                if key in runs:
                    robustness.keep(runs[key], data, self.protocol, measured)
                else:
                    kept_as = searched.get(key, key)
                    robustness.keep_baseline(self.store.root, kept_as, data, self.protocol, measured)


def baseline(key: str, data: Dataset) -> list[Method]:
    if key == NOTHING:
        return [robustness.nothing()]
    if key == "median":
        return [robustness.median()]
    if key.startswith("pca-"):
        return [robustness.linear(data, int(key.removeprefix("pca-")))]
    return [method for method in robustness.classical() if method.key == key]


def of_one_subject(records: Iterable[Record]) -> bool:
    """Whether runs are of one family that learnt the same pictures."""
    return len({(one.family, one.shape, one.dataset.get("fingerprint")) for one in records}) == 1


def code_numbers(run: Run) -> int:
    """How many numbers a code keeps of a picture: as the weights know it, for of a penalty it does not stand in the settings."""
    try:
        return _code_numbers(str(run.folder), run.weights_hash())
    except (StoreError, OSError):
        record = run.record
        return comparison.code_numbers(record.family, record.settings(), record.shape)


@lru_cache(maxsize=256)
def _code_numbers(folder: str, weights: str) -> int:
    return Run.open(Path(folder)).load().code_numbers()


def title_of(run: Run, among: Iterable[Run]) -> str:
    """The family's title; where the family has several, with the run's name, or its seed where they differ in no more.

    Of two runs with the same name also their ids, so that whoever tells runs by their titles loses none.
    """
    title = family(run.record.family).title
    kin = [other for other in among if other.record.family == run.record.family]
    if len(kin) == 1:
        return title
    by_seed = differ_in_seed([other.record for other in kin if not other.record.name])

    def told(one: Run) -> str:
        return f"seed {one.record.training_plan().seed}" if by_seed and not one.record.name else one.title

    alike = sum(told(other) == told(run) for other in kin)
    return f"{title} · {told(run)}" + (f" · {run.id}" if alike > 1 else "")


def differ_in_seed(records: Sequence[Record]) -> bool:
    """Whether each has a seed of its own, and everything else is equal."""
    seeds = {one.training_plan().seed for one in records}
    return set(differences(records)) == {"seed"} and len(seeds) == len(records)


def arguments(runs: Sequence[Run], protocol: Protocol, classical: bool, search: bool) -> list[str]:
    """What the command line says after `python -m core` to measure this."""
    found = ["robustness", *(run.id for run in runs)]
    found += ["--pictures", str(protocol.pictures), "--noise-seeds", str(protocol.seeds)]
    if protocol.corruptions != Protocol().corruptions:
        found += ["--corruptions", ",".join(protocol.corruptions)]
    return found + ["--classical"] * classical + ["--search"] * search
