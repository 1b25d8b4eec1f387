"""From what was measured to what can be said: means with intervals, paired differences, scores over all levels, a table.

mean ± t·s/sqrt(n)         pictures are the units; noise seeds were averaged within each (t: 97.5 % of Student's lie below)
d = a - b, picture by picture     "better" where the interval of d leaves out zero
across training seeds      runs are the units: mean ± t·s/sqrt(runs); only this speaks of a family, else of "this run"
area                       mean over levels 0 to 5 by the trapezoid rule: one number for a curve. PSNR from level 1 on: what does
                           nothing leaves clean pictures as they are, and has no finite one
relative error             sum over levels of a method's mse / of doing nothing's, the mean of that over corruptions: below 100 %
                           a method helps. After the mCE of Hendrycks & Dietterich 2019, with doing nothing for AlexNet
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from core.corruption import BY_NAME, LEVELS, in_words, scale_for, severity
from core.family import Shape
from core.robustness import Measured, Protocol

CONFIDENCE = 0.95
NOTHING = "nothing"


class Metric(NamedTuple):
    key: str
    title: str
    unit: str
    higher: bool  # is better


METRICS: Mapping[str, Metric] = {
    one.key: one
    for one in (
        Metric("psnr", "PSNR", "dB", higher=True),
        Metric("ssim", "SSIM", "", higher=True),
        Metric("mse", "MSE", "", higher=False),
        Metric("drift", "Code drift", "", higher=False),
        Metric("probe", "Probe accuracy", "", higher=True),
    )
}


class Interval(NamedTuple):
    """A mean and what lies within a chance of 95 %: mean ± half. `half` is nan where one value is all there is."""

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    @property
    def leaves_out_zero(self) -> bool:
        return abs(self.mean) > self.half


def interval(values: Tensor | Sequence[float]) -> Interval:
    """Of independent values, pictures or runs. Infinite ones have an infinite mean and no width."""
    from scipy.special import stdtrit

    numbers = torch.as_tensor(values).double()
    n, half = len(numbers), math.nan
    if n > 1:
        half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * numbers.std().item() / math.sqrt(n)
    return Interval(numbers.mean().item(), half, n)


def share(hits: Tensor) -> Interval:
    """Of pictures that are right or not, or in some of several noises: Wilson 1927, as far on both sides as on its longer one.

    Where all are right it is not 0. Means over noises scatter less than ones and zeros, as if there were more pictures.
    """
    from scipy.special import ndtri

    n, mean = len(hits), hits.double().mean().item()
    spread = hits.double().var(unbiased=False).item()
    pictures = n * mean * (1 - mean) / spread if spread else n
    squared = float(ndtri((1 + CONFIDENCE) / 2)) ** 2 / pictures
    centre = (mean + squared / 2) / (1 + squared)
    half = math.sqrt(squared * mean * (1 - mean) + squared**2 / 4) / (1 + squared)
    return Interval(mean, abs(mean - centre) + half, n)


def at(found: Measured, metric: str, corruption: int, level: int) -> Interval | None:
    """Of one cell; None where the method has no such number."""
    values = found.values(metric)
    if values is None:
        return None
    return (share if metric == "probe" else interval)(values[corruption, level])


def difference(a: Measured, b: Measured, metric: str, corruption: int, level: int) -> Interval | None:
    """a - b on the pictures that both saw, paired."""
    one, other = a.values(metric), b.values(metric)
    if one is None or other is None:
        return None
    n = min(a.n, b.n)
    apart = one[corruption, level, :n].double() - other[corruption, level, :n].double()
    return interval(apart.nan_to_num(0.0, math.inf, -math.inf))  # inf - inf: both undamaged


def area(found: Measured, metric: str, corruption: int) -> Interval | None:
    """Under the curve over the levels, as the mean height."""
    values = found.values(metric)
    if values is None:
        return None
    curve = values[corruption].double()
    if metric == "psnr":  # of everybody alike, or one would be judged by other levels than the next
        curve = curve[1:]
    return interval(torch.trapezoid(curve, dim=0) / (len(curve) - 1))


def relative_error(found: Measured, idle: Measured, corruptions: Iterable[int]) -> Interval:
    """In percent, on the pictures that both saw; the interval by linearising the ratios of means."""
    n = min(found.n, idle.n)
    ratios, influence, count = 0.0, torch.zeros(n, dtype=torch.double), 0
    for place in corruptions:
        own, other = (one.mse[place, 1:, :n].double().sum(0) for one in (found, idle))
        below = other.mean().clamp_min(1e-12)
        ratio = (own.mean() / below).item()
        influence += (own - ratio * other) / below
        ratios, count = ratios + ratio, count + 1
    half = interval(influence / max(1, count)).half
    return Interval(100 * ratios / max(1, count), 100 * half, n)


# --- who is better ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Entry:
    """A method in a comparison. `siblings` are runs that differ from it in the training seed alone, itself among them."""

    key: str
    title: str
    measured: Measured
    trained_on: tuple[str, ...] = ()
    siblings: tuple[Measured, ...] = ()
    family: str = ""  # its key; empty for what does without a model


@dataclass(frozen=True, eq=False)
class Finding:
    """Who did best at a level of a corruption, and how sure that is."""

    best: Entry
    value: Interval
    idle: Interval | None  # doing nothing
    second: Entry | None
    lead: Interval | None  # over the second, paired
    rival: Entry | None  # the slow method that does best beside it, on the few pictures that it saw
    ahead: Interval | None  # of the best, paired on those
    family: Interval | None  # over training seeds

    @property
    def sure(self) -> bool:
        return self.lead is None or self.lead.leaves_out_zero

    def beats_all(self, metric: Metric) -> bool:
        """Whether it is surely ahead of slow methods, too, on the pictures that they saw."""
        ahead = self.ahead
        return ahead is None or (ahead.leaves_out_zero and (ahead.mean > 0) == metric.higher)


def finding(entries: Sequence[Entry], metric: Metric, corruption: int, level: int) -> Finding | None:
    """Among methods that were measured on as many pictures as any; None where none has this number.

    Slow methods see fewer, and are set beside the best of the others on those.
    """
    most = max((entry.measured.n for entry in entries), default=0)
    found = [
        (value, entry)
        for entry in entries
        if entry.measured.n == most
        and (value := at(entry.measured, metric.key, corruption, level)) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda pair: pair[0].mean, reverse=metric.higher)
    (value, best), *others = found
    idle = next((value for value, entry in found if entry.key == NOTHING), None)
    second = others[0][1] if others else None
    lead = difference(best.measured, second.measured, metric.key, corruption, level) if second else None
    rival, ahead = closest(entries, best, metric, corruption, level)
    return Finding(best, value, idle, second, lead, rival, ahead, over_seeds(best, metric, corruption, level))


def closest(
    entries: Sequence[Entry], best: Entry, metric: Metric, corruption: int, level: int
) -> tuple[Entry | None, Interval | None]:
    """Of methods that saw fewer pictures the one that the best is least ahead of there, and by how much."""
    sign = 1 if metric.higher else -1
    apart = [
        (lead, entry)
        for entry in entries
        if 1 < entry.measured.n < best.measured.n
        and (lead := difference(best.measured, entry.measured, metric.key, corruption, level)) is not None
        and math.isfinite(lead.mean)
    ]
    lead, rival = min(apart, key=lambda pair: sign * pair[0].mean, default=(None, None))
    return rival, lead


def over_seeds(entry: Entry, metric: Metric, corruption: int, level: int) -> Interval | None:
    """Of the family, where three training seeds or more were measured."""
    means = [
        one.mean for found in entry.siblings if (one := at(found, metric.key, corruption, level)) is not None
    ]
    return interval(means) if len(means) >= 3 else None


def amidst(title: str) -> str:
    """A title in the midst of a sentence: small, unless it begins with a name or letters that stand for words."""
    first = title.split()[0]
    return title if first.isupper() or first == "Gaussian" else title[0].lower() + title[1:]


def sentence(found: Finding, metric: Metric, corruption: str, level: int) -> str:
    """The finding with its numbers, in Markdown that the titles must be fit for."""
    best, unit = found.best, f" {metric.unit}" if metric.unit else ""
    damage = f"at level {level} of {amidst(BY_NAME[corruption].title)}" if level else "on clean pictures"
    outdone = found.ahead is not None and found.ahead.leaves_out_zero and not found.beats_all(metric)
    if outdone:
        damage += f", of all that was measured on {best.measured.n:,} pictures"
    keeps = f"**{best.title}** has the best {amidst(metric.title)} {damage}: {shown(found.value)}{unit}"
    if best.key == NOTHING:
        said = [f"**Doing nothing** is best {damage}: {shown(found.value)}{unit}."]
        if level == 0:
            said = [
                "On clean pictures **doing nothing** is best: whoever rebuilds a picture loses something of it."
            ]
    elif found.idle is not None:
        said = [f"{keeps}, doing nothing {shown(found.idle)}."]
    else:
        said = [f"{keeps}."]
    if (
        found.second is not None
        and found.lead is not None
        and math.isfinite(found.lead.mean + found.lead.half)
    ):
        apart = (
            f"{abs(found.lead.mean):.{digits(found.lead)}f} ± {found.lead.half:.{digits(found.lead)}f}{unit}"
        )
        verb = "is ahead of" if found.sure else "is not surely ahead of"
        said.append(f"It {verb} {found.second.title}: {apart}, picture by picture.")
    if found.rival is not None and found.ahead is not None and not found.beats_all(metric):
        places = digits(found.ahead)
        apart = f"{abs(found.ahead.mean):.{places}f} ± {found.ahead.half:.{places}f}{unit}"
        title, few = found.rival.title, f"{found.ahead.n:,} pictures"
        said.append(
            f"**{title} is ahead of it** on the {few} that it was measured on: {apart}."
            if outdone
            else f"It is not surely ahead of {title}, which was measured on {few}: {apart}."
        )
    if corruption in best.trained_on and level:
        said.append("It was trained on this damage.")
    if best.family:
        said.append(
            f"Over {found.family.n} training seeds of it: {shown(found.family)}{unit}."
            if found.family is not None
            else "This speaks of this run: a family takes three training seeds."
        )
    return " ".join(said)


def shown(value: Interval) -> str:
    if not math.isfinite(value.mean):
        return "identical"
    places = digits(value)
    return f"{value.mean:.{places}f}" + (f" ± {value.half:.{places}f}" if math.isfinite(value.half) else "")


def digits(value: Interval) -> int:
    """As many places as the interval has to say."""
    if not math.isfinite(value.half) or value.half <= 0:
        return 3
    return min(6, max(0, 1 - math.floor(math.log10(value.half))))


# --- the table --------------------------------------------------------------------------------------------------

COLUMNS = (
    "method",
    "title",
    "trained_on",
    "corruption",
    "scale",
    "level",
    "amount",
    "metric",
    "mean",
    "low",
    "high",
    "n",
    "noise_seeds",
)


def rows(entries: Sequence[Entry], protocol: Protocol, shape: Shape) -> list[tuple[object, ...]]:
    """One for every method, corruption, level and metric, in the order of `COLUMNS`."""
    table: list[tuple[object, ...]] = []
    for entry in entries:
        for place, name in enumerate(protocol.corruptions):
            scale = scale_for(name, shape)
            for level in (0, *LEVELS):
                amount = in_words(severity(name, level, scale)) if level else ""
                for metric in METRICS:
                    value = at(entry.measured, metric, place, level)
                    if value is not None:
                        numbers = (f"{number:.8g}" for number in (value.mean, value.low, value.high))
                        told = (harmless(entry.key), harmless(entry.title), " ".join(entry.trained_on))
                        cell = (name, scale, level, amount, metric)
                        table.append((*told, *cell, *numbers, value.n, protocol.seeds))
    return table


def harmless(text: str) -> str:
    """As a spreadsheet takes it for text: a name may begin like a formula."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r\n") else text


def as_csv(entries: Sequence[Entry], protocol: Protocol, shape: Shape) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(entries, protocol, shape))
    return file.getvalue()
