"""Families side by side in numbers, and in one sentence what the numbers allow to say."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from core.comparison import MEASURES, SEEDS, Comparison, Entrant, Measure, Spread, Verdict, compare
from core.store import Run
from ui.html import block
from ui.symbols import symbol
from ui.theme import colour
from ui.words import as_written, unlike

DIGITS = {"mse": 5, "sse": 2, "psnr": 2, "ssim": 4}  # after the point
UNITS = {"psnr": " (dB)"}
STYLE = """<style>
.bn table.scores { border-collapse: collapse; width: 100%; min-width: 36rem; white-space: nowrap; }
.bn .scores th, .bn .scores td { text-align: right; padding: 0.45rem 0.7rem; vertical-align: top; line-height: 1.3; }
.bn .scores th { font-weight: 600; }
.bn .scores th small { font-weight: 400; }
.bn .scores tr > :first-child { text-align: left; border-left: 4px solid transparent; }
.bn .scores tbody tr { border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
</style>"""


def show(runs: Iterable[Run]) -> None:
    """A table for each budget that two runs or more share, one at a time, and the sentence."""
    runs = list(runs)
    found = [one for one in compare(run.record for run in runs) if len(one.entrants) > 1]
    if not found:
        st.caption(
            "Nothing to compare yet: that takes completed and scored runs of two families with an equal budget."
        )
        return
    shown = found[0]
    if len(found) > 1:
        by_place = {str(place): one for place, one in enumerate(found, 1)}
        titles = unlike({place: one.budget.title for place, one in by_place.items()})
        place = st.selectbox(
            "With an equal budget of", list(titles), format_func=titles.__getitem__, key="compared", bind="query-params"
        )  # fmt: skip
        shown = by_place[place]
    else:
        st.caption(f"With an equal budget: {shown.budget.title}.")
    st.html(block(STYLE, table(shown)))
    st.markdown(as_written(shown.sentence()))
    counted = sum(len(entrant.runs) for one in found for entrant in one.entrants)
    if counted < len(runs):
        st.caption(
            f"Left out: {len(runs) - counted} of {len(runs)} runs. They have not completed, have no scores, repeat a seed, "
            "went on from another run, or share their budget with no other."
        )


def table(comparison: Comparison) -> str:
    heads = "".join(head(measure) for measure in MEASURES)
    verdicts = {measure: comparison.verdict(measure) for measure in MEASURES}
    rows = "".join(row(entrant, verdicts) for entrant in comparison.entrants)
    return (
        f'<div class="scroll"><table class="scores"><thead><tr><th>Family</th><th>Seeds</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def head(measure: Measure) -> str:
    better = "higher" if measure.higher else "lower"
    return f"<th>{measure.title}{UNITS.get(measure.key, '')}<small>{better} is better</small></th>"


def row(entrant: Entrant, verdicts: dict[Measure, Verdict | None]) -> str:
    cells = "".join(cell(entrant, measure, verdict) for measure, verdict in verdicts.items())
    few = "" if len(entrant.runs) >= SEEDS else f"<small>under {SEEDS}</small>"
    name = f'<td style="border-color: {colour(entrant.family)}">{symbol(entrant.family)}{escape(entrant.title)}</td>'
    return f"<tr>{name}<td>{len(entrant.runs)}{few}</td>{cells}</tr>"


def cell(entrant: Entrant, measure: Measure, verdict: Verdict | None) -> str:
    spread = entrant.spread(measure)
    if spread is None:
        return "<td>–</td>"
    if verdict is None or verdict.best is not entrant:
        return f"<td>{text(spread, measure)}</td>"
    word = "winner" if verdict.wins else "best of these runs"
    return f'<td><span class="best">{text(spread, measure)}</span><small>{word}</small></td>'


def text(spread: Spread, measure: Measure) -> str:
    digits = DIGITS[measure.key]
    scatter = "" if spread.deviation is None else f" ± {spread.deviation:.{digits}f}"
    return f"{spread.mean:.{digits}f}{scatter}"
