"""Which family did better on the same pictures with an equal budget, and whether the seeds allow to say so.

    mean ± s                                  over runs that differ in nothing but their seed; s with n - 1 below
    |m - m'| > t · √(s²/n + s'²/n')           two means lie apart: Welch 1947, Biometrika 34, p. 28
    t                                         97.5 % of Student's distribution lie below it, with
    1 / (w²/(n-1) + (1-w)²/(n'-1))            degrees of freedom, w = (s²/n) / (s²/n + s'²/n'): Satterthwaite 1946,
                                              Biometrics Bulletin 2, p. 110

A winner has to lie apart from everyone it is judged against, so no correction for the number of comparisons is due
(an intersection-union test: Berger 1982, Technometrics 24, p. 295).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from core import families
from core.family import Autoencoder, Config, Shape
from core.record import Record, outline

SEEDS = 3  # with which a family can win
CONFIDENCE = 0.95
LARGEST = 1e30  # no score: what lies in a store may claim anything


class Measure(NamedTuple):
    """A score of test pictures, as `core.evaluation` gives it."""

    key: str
    title: str
    higher: bool  # is better


MEASURES = (
    Measure("mse", "MSE", higher=False),
    Measure("sse", "SSE", higher=False),
    Measure("psnr", "PSNR", higher=True),
    Measure("ssim", "SSIM", higher=True),
)


class Spread(NamedTuple):
    """A score over seeds."""

    n: int
    mean: float
    deviation: float | None  # of the sample; None for one run


@dataclass(frozen=True)
class Budget:
    """What runs must have in common for their scores to be compared."""

    fingerprint: str  # of the dataset
    shape: Shape
    length: str  # "25 epochs", "90 s on cpu"
    code: int  # numbers that a code keeps of a picture

    @property
    def title(self) -> str:
        return f"{self.length}, {self.code} numbers a code"


@dataclass(frozen=True, eq=False)
class Entrant:
    """Runs of one family that differ in nothing but their seed."""

    family: str
    title: str
    runs: tuple[Record, ...]  # one for each seed

    def spread(self, measure: Measure) -> Spread | None:
        values = [value for run in self.runs if (value := score(run, measure.key)) is not None]
        if not values:
            return None
        return Spread(
            len(values), statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
        )


@dataclass(frozen=True, eq=False)
class Verdict:
    """Who is best by a measure. Only where it is "apart" is that one the winner, else the best of these runs."""

    best: Entrant
    ground: Literal["apart", "few seeds", "too close"]

    @property
    def wins(self) -> bool:
        return self.ground == "apart"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs of one budget, in teaching order."""

    budget: Budget
    entrants: tuple[Entrant, ...]

    def verdict(self, measure: Measure) -> Verdict | None:
        """None where fewer than two have this score.

        The best wins where it and the runner-up have `SEEDS` seeds, and it lies apart from everyone who has as many.
        """
        scored = [(one, spread) for one in self.entrants if (spread := one.spread(measure)) is not None]
        scored.sort(key=lambda pair: pair[1].mean, reverse=measure.higher)
        if len(scored) < 2:
            return None
        (best, first), (_, second), *_ = scored
        if min(first.n, second.n) < SEEDS:
            return Verdict(best, "few seeds")
        judged = [spread for _, spread in scored[1:] if spread.n >= SEEDS]
        return Verdict(best, "apart" if all(apart(first, other) for other in judged) else "too close")

    def sentence(self) -> str:
        """What the verdicts come to, and why no more."""
        verdicts = [
            (measure, verdict) for measure in MEASURES if (verdict := self.verdict(measure)) is not None
        ]
        if not verdicts:
            return "There is nothing to compare yet: that takes scores of two families."
        won: dict[str, list[str]] = {}
        for measure, verdict in verdicts:
            if verdict.wins:
                won.setdefault(verdict.best.title, []).append(measure.title)
        said = [
            f"{title} wins by {listed(names)}, by more than the seeds scatter (Welch's interval, 95%)."
            for title, names in won.items()
        ]
        close = [measure.title for measure, verdict in verdicts if verdict.ground == "too close"]
        if close:
            said.append(f"By {listed(close)} it is too close to call: the seeds scatter by more.")
        few = [measure.title for measure, verdict in verdicts if verdict.ground == "few seeds"]
        if few:
            by = f"By {listed(few)} no" if won or close else "No"
            one_each = all(len(entrant.runs) == 1 for entrant in self.entrants)
            said.append(
                f"{by} winner is named, only the best of these runs: that takes {SEEDS} seeds of the best and of the "
                f"runner-up{', and here each has one' if one_each else ''}. Another seed may turn the order round."
            )
        return " ".join(said)


# --- from runs to comparisons -----------------------------------------------------------------------------------


def compare(records: Iterable[Record]) -> list[Comparison]:
    """Runs by budget, those with most entrants first, then with most runs.

    Left out is what has no codes or scores, did not complete, began with the weights of another run, or takes too much memory.
    Of two runs with the same seed and settings the later one counts.
    """
    found: dict[Budget, dict[tuple[str, Config, int], dict[int, Record]]] = {}
    for record in sorted(filter(can_compete, records), key=lambda record: record.created):
        plan = record.training_plan()
        made = (record.family, record.settings(), plan.batch_size)
        try:
            budget = budget_of(record)
        except ValueError:
            continue
        found.setdefault(budget, {}).setdefault(made, {})[plan.seed] = record
    comparisons = [Comparison(budget, entrants(list(made.values()))) for budget, made in found.items()]
    return sorted(
        comparisons, key=lambda one: (-len(one.entrants), -sum(len(each.runs) for each in one.entrants))
    )


def can_compete(record: Record) -> bool:
    scored = any(score(record, measure.key) is not None for measure in MEASURES)
    has_codes = issubclass(families.family(record.family), Autoencoder)
    return has_codes and scored and record.status == "completed" and not record.origin


def budget_of(record: Record) -> Budget:
    """Raises ValueError where the model would be too large to be made."""
    plan = record.training_plan()
    if plan.epochs:
        length = "1 epoch" if plan.epochs == 1 else f"{plan.epochs:,} epochs"
    else:
        length = f"{plan.seconds:g} s on {record.device or 'an unknown device'}"
    code = code_numbers(record.family, record.settings(), record.shape)
    return Budget(str(record.dataset.get("fingerprint", "")), record.shape, length, code)


@lru_cache(maxsize=256)
def code_numbers(family_key: str, settings: Config, shape: Shape) -> int:
    """How many numbers a code of such a model keeps, as far as that stands in its settings. Raises ValueError."""
    kind = families.family(family_key)
    outline(kind, settings, shape)
    model = kind(settings, shape)
    return model.code_numbers() if isinstance(model, Autoencoder) else 0


def entrants(runs_by_seed: Sequence[Mapping[int, Record]]) -> tuple[Entrant, ...]:
    """In teaching order; where a family has several, their titles say how they differ."""
    order = [one.key for one in families.FAMILIES]
    groups = sorted(
        (tuple(record for _, record in sorted(seeds.items())) for seeds in runs_by_seed),
        key=lambda runs: (order.index(runs[0].family), runs[0].created),
    )
    found = []
    for runs in groups:
        key, title = runs[0].family, families.family(runs[0].family).title
        kin = [others[0] for others in groups if others[0].family == key]
        place = next(i for i, record in enumerate(kin) if record is runs[0])
        unlike = differences(kin)
        unlike.pop("seed", None)
        words = [f"{name} {values[place]}" for name, values in unlike.items() if values[place] is not None]
        found.append(Entrant(key, f"{title} ({', '.join(words)})" if len(kin) > 1 else title, runs))
    return tuple(found)


def differences(records: Sequence[Record]) -> dict[str, list[str | None]]:
    """What these runs do not have in common: a text for each of them by name, None where it has no such setting."""
    rows = [made_of(record) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def made_of(record: Record) -> dict[str, str]:
    """Settings and budget as texts."""
    settings, plan = record.settings(), record.training_plan()
    texts = {one.name: one.text(getattr(settings, one.name)) for one in settings.settings()}
    length = {"epochs": f"{plan.epochs}"} if plan.epochs else {"seconds": f"{plan.seconds:g}"}
    others = {"batch size": f"{plan.batch_size}", "seed": f"{plan.seed}", "device": record.device}
    return texts | length | others | ({"from": record.origin} if record.origin else {})


# --- numbers ----------------------------------------------------------------------------------------------------


def score(record: Record, key: str) -> float | None:
    """Of the test pictures; None where there is none, or none that can be one."""
    test = record.metrics.get("test")
    value = test.get(key) if isinstance(test, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < LARGEST else None


def apart(one: Spread, other: Spread) -> bool:
    """Whether the interval of Welch for the difference of two means, of two runs or more each, leaves out zero."""
    from scipy.special import stdtrit

    assert one.deviation is not None and other.deviation is not None
    a, b = one.deviation**2 / one.n, other.deviation**2 / other.n
    if a + b == 0:
        return one.mean != other.mean
    share = a / (a + b)
    freedom = 1 / (share**2 / (one.n - 1) + (1 - share) ** 2 / (other.n - 1))
    t = float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return abs(one.mean - other.mean) > t * math.sqrt(a + b)


def listed(words: Sequence[str]) -> str:
    """As in a sentence: MSE, SSE and PSNR."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
