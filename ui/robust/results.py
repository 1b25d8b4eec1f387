"""What was measured, as a sentence, curves and a table of all damages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.corruption import BY_NAME, LEVELS, scale_for
from core.findings import (
    METRICS,
    NOTHING,
    Entry,
    Interval,
    Metric,
    amidst,
    area,
    as_csv,
    at,
    finding,
    relative_error,
    sentence,
)
from core.lab import SEARCH
from core.robustness import FEW
from ui.charts import CONFIG, LAYOUT
from ui.choices import choice
from ui.downloads import download
from ui.robust import behind
from ui.robust.wish import Wish
from ui.theme import colour
from ui.words import as_written

AGAINST, AREA = "Against doing nothing", "Area under the curve"
GRAYS = ("#4d4d4d", "#7a7a7a", "#a0a0a0", "#b5653a", "#6b8e5a", "#8a6bb0")
DASHES = ("dash", "dot", "dashdot", "longdash", "longdashdot", "dot")


def show(wish: Wish, entries: list[Entry], corruption: str) -> None:
    level = min(LEVELS[-1], max(0, int(st.session_state.get("level", 3))))
    place = wish.protocol.corruptions.index(corruption)
    head, right = st.columns([2, 4], vertical_alignment="bottom")
    head.subheader("What was found", anchor=False)
    key = choice(
        "Number",
        list(METRICS),
        "psnr",
        format_func=lambda one: METRICS[one].title,
        key="number",
        place=right,
    )
    metric = METRICS[key]
    told = finding([said(entry) for entry in entries], metric, place, level)
    if told is None:
        st.caption(f"None of these has a {amidst(metric.title)}.")
        return
    st.markdown(sentence(told, metric, corruption, level))
    undamaged = finding([said(entry) for entry in entries], metric, place, 0)
    if level and undamaged is not None and undamaged.best.key == NOTHING:
        st.caption(sentence(undamaged, metric, corruption, 0))
    st.plotly_chart(
        curves(entries, metric, place, corruption),
        key=f"curves-{corruption}-{key}",
        config=CONFIG | {"displayModeBar": "hover"},
        alt=f"{metric.title} by level, a line for each variant",
    )
    st.caption(read_curves(wish, entries, corruption))
    cell = all_damages(wish, entries, metric)
    behind.show(wish, entries, level, *(cell or (corruption, best_model(entries, metric, place, level))))
    summary(wish, entries)
    download(
        "Table",
        lambda: as_csv(entries, wish.protocol, wish.runs[0].record.shape),
        "robustness.csv",
        "text/csv",
        "table",
    )


def best_model(entries: Sequence[Entry], metric: Metric, place: int, level: int) -> str:
    """The key of the variant that does best: its pictures are shown as long as no cell is chosen."""
    found = finding(
        [entry for entry in entries if entry.family and SEARCH not in entry.key], metric, place, level
    )
    return found.best.key if found else entries[0].key


def said(entry: Entry) -> Entry:
    """With a title that formats nothing."""
    return replace(entry, title=as_written(entry.title))


def read_curves(wish: Wish, entries: list[Entry], corruption: str) -> str:
    scale = scale_for(corruption, wish.runs[0].record.shape)
    n = max(entry.measured.n for entry in entries)
    few = f" (slow ones {FEW})" if any(entry.measured.n < n for entry in entries) else ""
    trained = [entry.title for entry in entries if corruption in entry.trained_on]
    marked = f" ◆ {', '.join(map(as_written, trained))} learnt with this damage." if trained else ""
    return f"Levels of {scale}; {n:,} test pictures{few}, {wish.protocol.seeds} noise seeds; bands hold 95%.{marked}"


# --- curves -----------------------------------------------------------------------------------------------------


def curves(entries: Sequence[Entry], metric: Metric, place: int, corruption: str) -> go.Figure:
    """A line for every method with its band; what does without a model in gray."""
    figure = go.Figure()
    seen: dict[str, int] = {}
    for entry in entries:
        values = [at(entry.measured, metric.key, place, level) for level in (0, *LEVELS)]
        points = [(level, value) for level, value in enumerate(values) if value and math.isfinite(value.mean)]
        if points:
            turn = seen[entry.family] = seen.get(entry.family, -1) + 1
            draw(figure, entry, points, look(entry, turn), corruption in entry.trained_on)
    unit = f", {metric.unit}" if metric.unit else ""
    better = "higher is better" if metric.higher else "lower is better"
    legend = dict(orientation="h", y=-0.18, x=0)
    figure.update_layout(height=400, hovermode="x unified", **LAYOUT | dict(showlegend=True, legend=legend))
    figure.update_xaxes(tickvals=[0, *LEVELS], ticktext=["clean", *(f"level {level}" for level in LEVELS)])
    figure.update_yaxes(title=dict(text=f"{metric.title}{unit}; {better}", standoff=14))
    return figure


def look(entry: Entry, turn: int) -> dict[str, Any]:
    """Colour and dash: a family's own colour, its further members dashed."""
    if entry.family:
        return dict(
            color=colour(entry.family),
            width=2.5,
            dash="solid" if turn == 0 else DASHES[(turn - 1) % len(DASHES)],
        )
    return dict(color=GRAYS[turn % len(GRAYS)], width=1.8, dash=DASHES[turn % len(DASHES)])


def draw(
    figure: go.Figure, entry: Entry, points: list[tuple[int, Interval]], line: dict[str, Any], learnt: bool
) -> None:
    levels = [level for level, _ in points]
    halves = [0.0 if math.isnan(value.half) else value.half for _, value in points]
    means = [value.mean for _, value in points]
    band = [mean + half for mean, half in zip(means, halves, strict=True)]
    below = [mean - half for mean, half in zip(means, halves, strict=True)]
    figure.add_scatter(
        x=[*levels, *reversed(levels)], y=[*band, *reversed(below)], fill="toself", mode="none", opacity=0.18,
        fillcolor=line["color"], legendgroup=entry.key, showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=levels,
        y=means,
        name=escape(entry.title) + (" ◆" if learnt else ""),
        mode="lines+markers",
        line=line,
        marker=dict(size=5),
        legendgroup=entry.key,
        customdata=halves,
        hovertemplate="%{y:.3f} ± %{customdata:.3f}",
    )


# --- all damages at once ----------------------------------------------------------------------------------------


def all_damages(wish: Wish, entries: list[Entry], metric: Metric) -> tuple[str, str] | None:
    """A row for every damage, a column for every method; the damage and the method of the cell that is chosen."""
    st.markdown("**All damages**")
    idle = next((entry for entry in entries if entry.key == NOTHING), None)
    compared = False
    if metric.key in ("psnr", "mse") and idle is not None:
        way = choice("Each cell", (AGAINST, AREA), AGAINST, key="cells")
        compared = way == AGAINST
    columns = [entry for entry in entries if not (compared and entry is idle)]
    columns = [entry for entry in columns if entry.measured.values(metric.key) is not None]
    if not columns:
        return None
    frame = numbers(wish, columns, metric, idle if compared else None)
    least, most = (100.0, 100.0) if compared else (float(frame.min(axis=None)), float(frame.max(axis=None)))
    chosen = st.dataframe(
        frame.style.format("{:.0f}%" if compared else "{:.3f}").map(
            lambda value: against_idle(value) if compared else shade(value, least, most, metric.higher)
        ),
        on_select="rerun",
        selection_mode="single-cell",
        key=f"damages-{metric.key}-{compared}",
        height="content",
    )
    what = (
        "Squared error over levels 1 to 5 in percent of doing nothing: below 100 (blue) a method helps, above (orange) it harms."
        if compared
        else f"{metric.title}: the area under its curve over levels {int(metric.key == 'psnr')} to 5, as the mean height."
    )
    st.caption(
        f"{what} ◆: it learnt with one of these damages. A cell that is chosen shows its pictures below."
    )
    cells = chosen["selection"]["cells"]
    if not cells:
        return None
    row, title = cells[0]
    keys = dict(zip(frame.columns, (entry.key for entry in columns), strict=True))
    names = wish.protocol.corruptions
    return (names[row], keys[title]) if 0 <= row < len(names) and title in keys else None


def numbers(wish: Wish, columns: Sequence[Entry], metric: Metric, idle: Entry | None) -> pd.DataFrame:
    titles = [BY_NAME[name].title for name in wish.protocol.corruptions]
    table: dict[str, list[float]] = {}
    for entry in columns:
        values = []
        for place in range(len(titles)):
            value = (
                relative_error(entry.measured, idle.measured, [place])
                if idle
                else area(entry.measured, metric.key, place)
            )
            values.append(value.mean if value else math.nan)
        mark = " ◆" if set(entry.trained_on) & set(wish.protocol.corruptions) else ""
        title = entry.title + mark
        table[title if title not in table else f"{title} ({entry.key})"] = values
    return pd.DataFrame(table, index=titles)


def against_idle(percent: float) -> str:
    """Blue below 100, orange above, stronger with the distance; see-through, for both themes."""
    if math.isnan(percent):
        return ""
    strength = min(0.6, 0.35 * abs(math.log2(max(percent, 1e-3) / 100)))
    return f"background-color: rgba({'4, 98, 211' if percent < 100 else '211, 120, 18'}, {strength:.2f})"


def shade(value: float, least: float, most: float, higher: bool) -> str:
    """Stronger where it is better."""
    if math.isnan(value) or most <= least:
        return ""
    share = (value - least) / (most - least)
    return f"background-color: rgba(4, 98, 211, {0.5 * (share if higher else 1 - share):.2f})"


def summary(wish: Wish, entries: list[Entry]) -> None:
    """One number for each method over all damages."""
    idle = next((entry for entry in entries if entry.key == NOTHING), None)
    if idle is None:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.markdown("**Over all damages**", width="content")
        fair = st.toggle(
            "Fair: leave out what any of these learnt with", value=False, key="fair", bind="query-params"
        )
    learnt = {name for entry in entries for name in entry.trained_on}
    places = [place for place, name in enumerate(wish.protocol.corruptions) if not (fair and name in learnt)]
    scored = [(entry, relative_error(entry.measured, idle.measured, places)) for entry in entries]
    scored.sort(key=lambda pair: pair[1].mean)
    rows = [
        {
            "Method": entry.title,
            "Error, % of doing nothing": value.mean,
            "± (95%)": value.half,
            "Learnt with": ", ".join(BY_NAME[name].title for name in entry.trained_on),
            "Pictures": value.n,
        }
        for entry, value in scored
    ]
    percent = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height="content",
        column_config={"Error, % of doing nothing": percent, "± (95%)": percent},
    )
    out = ", ".join(BY_NAME[name].title for name in wish.protocol.corruptions if fair and name in learnt)
    st.caption(
        "For each damage the squared error summed over levels 1 to 5, divided by that of doing nothing; "
        "then the mean over damages, as in the mCE of Hendrycks & Dietterich 2019, which divides by "
        "AlexNet's. " + (f"Left out: {out}." if out else f"All {len(places)} damages count.")
    )
