"""Runs to choose from and to see side by side: a table, their curves, their last pictures, their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from core import examples, report
from core.comparison import LARGEST, MEASURES, differences, score
from core.doctor import in_words
from core.families import family
from core.files import written
from core.pictures import as_bytes, as_floats
from core.store import Run, StoreError
from ui import charts, downloads
from ui.html import block, data_uri, strip
from ui.runs import Group, has_codes, label, restorer
from ui.theme import colour
from ui.watch import spaced, thinned

IN_THE_BOX = "in the box"
THUMBNAILS = 4  # pictures of a run in the table
STRIPE = 7  # times as high as wide: what has the colour of the family, left of them
SHOWN = 10  # pictures of a run side by side
MOST_EPOCHS = 10**9  # what lies in a store may claim more
DASHES = ("solid", "dot", "dash", "dashdot", "longdash", "longdashdot")
COLUMNS = {
    "pictures": st.column_config.ImageColumn("What comes back", width=180, help="At the last look during training"),
    "run": st.column_config.TextColumn("Run"),
    "tags": st.column_config.ListColumn("Tags"),
    "status": st.column_config.TextColumn("Status"),
    "seed": st.column_config.NumberColumn("Seed", format="%d"),
    "epochs": st.column_config.NumberColumn("Epochs", format="%d", help="That it has seen so far"),
    "psnr": st.column_config.NumberColumn("PSNR (dB) ↑", format="%.2f", help="Test pictures; higher is better"),
    "ssim": st.column_config.NumberColumn("SSIM ↑", format="%.4f", help="Test pictures; higher is better"),
    "sse": st.column_config.NumberColumn("SSE ↓", format="%.2f", help="Test pictures; lower is better"),
    "probe": st.column_config.NumberColumn("Probe error (%) ↓", format="%.2f", help="Of a linear probe on codes; once examined"),
    "frechet": st.column_config.NumberColumn("New pictures ↓", format="%.2f", help="Classifier-Fréchet distance; once examined"),
    "made": st.column_config.DatetimeColumn("Made", format="D MMM YYYY"),
}  # fmt: skip
BACK = "What comes back"
Told = tuple[str, np.ndarray | None]  # what tiles (n,C,H,W) are, and the tiles in uint8
STYLE = """<style>
.bn .sides { display: grid; grid-template-columns: minmax(7rem, 10rem) 1fr 1fr; gap: 0.7rem 1.1rem; align-items: center; }
.bn .sides .label { margin: 0; }
.bn .sides .told { display: none; }
.bn .sides .name { font-weight: 600; line-height: 1.25; border-left: 4px solid; padding-left: 0.6rem; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  .bn .sides { grid-template-columns: 1fr; gap: 0.35rem; }
  .bn .sides .name { margin-top: 0.8rem; }
  .bn .sides .heads { display: none; }
  .bn .sides .told { display: block; }
}
</style>"""


# --- which runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """What a run has to have to be listed; what is empty asks for nothing."""

    families: Sequence[str] = ()
    tags: Sequence[str] = ()
    words: str = ""

    def passes(self, run: Run) -> bool:
        told = f"{run.id} {run.title} {family(run.record.family).title} {run.status} {' '.join(tags(run))}"
        return (
            (not self.families or run.record.family in self.families)
            and set(self.tags) <= set(tags(run))
            and all(word in told.casefold() for word in self.words.casefold().split())
        )


def in_order(group: Group) -> Group:
    """Of each family the run that pages open on, then the others by their seeds."""
    keys = [run.record.family for run in group.runs]  # in teaching order
    proposed = group.proposed
    ordered = sorted(
        group.runs,
        key=lambda run: (
            keys.index(run.record.family),
            run not in proposed,
            run.record.training_plan().seed,
        ),
    )
    return replace(group, runs=tuple(ordered))


def tags(run: Run) -> list[str]:
    """Its own, after the mark of those that were there from the start."""
    return [*([IN_THE_BOX] if (run.folder / "shipped").is_dir() else []), *run.record.tags]


def titles(runs: Sequence[Run], group: Group) -> list[str]:
    """Each once: where two would have the same, their ids are added."""
    plain = [f"{title}{named(run, title)}" for run in runs for title in [label(run, group)]]
    return [
        title if plain.count(title) == 1 else f"{title} · {run.id}"
        for title, run in zip(plain, runs, strict=True)
    ]


def named(run: Run, title: str) -> str:
    """Its name, where the title that tells it apart leaves that out."""
    alone = title == family(run.record.family).title
    return f" · {run.record.name}" if alone and run.record.name not in ("", title) else ""


# --- the table --------------------------------------------------------------------------------------------------


def table(runs: Sequence[Run], group: Group) -> pd.DataFrame:
    """A row for each run, in those columns of `COLUMNS` for which any of them has something."""
    rows = [row(run, title) for run, title in zip(runs, titles(runs, group), strict=True)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["made"] = pd.to_datetime(frame["made"], format="ISO8601", errors="coerce", utc=True)
    return frame.dropna(axis="columns", how="all")


def row(run: Run, title: str) -> dict[str, Any]:
    scores = {measure.key: score(run.record, measure.key) for measure in MEASURES}
    epochs, examined = (
        history(run),
        _examined(run, (str(run.folder), written(run.folder / "run.json"), written(run.weights_file))),
    )
    probe = examined.get("codes", {}).get("probe_error")
    return {
        "pictures": thumbnail(run),
        "run": title,
        "tags": tags(run),
        "status": run.status,
        "seed": run.record.training_plan().seed,
        "epochs": epochs[-1]["epoch"] if epochs else 0,
        "probe": 100 * probe if probe is not None else None,
        "frechet": examined.get(report.own_samples(family(run.record.family)), {}).get("frechet"),
        "made": run.record.created,
        **{name: value for name, value in scores.items() if name in COLUMNS},
    }


def thumbnail(run: Run) -> str | None:
    """Some reconstructions as a data URI."""
    return _thumbnail(run, (*look_version(run), written(run.folder / "run.json")))


@st.cache_data(show_spinner=False, max_entries=500)
def _thumbnail(_run: Run, version: tuple[object, ...]) -> str | None:
    back, _ = last_look(_run)
    if back is None:
        return None
    pixels = spaced(back[:THUMBNAILS], THUMBNAILS)
    return data_uri(np.concatenate([stripe(colour(_run.record.family), len(pixels)), pixels], 1))


def stripe(hue: str, height: int) -> np.ndarray:
    """uint8 (height,·,4), as wide beside large pictures as beside small ones."""
    return np.full((height, height // STRIPE, 4), [*bytes.fromhex(hue[1:]), 255], np.uint8)


def last_look(run: Run) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What came back at the end of training and the further pictures, uint8 (n,C,H,W); None where they are not known.

    Photographs are nobody's to keep: a restorer without pictures shows what it makes of the examples.
    """
    try:
        if epochs := run.preview_epochs():
            last = run.previews(epochs[-1])
            return last.reconstructions, last.samples
        return (None, None) if has_codes(run) else _of_examples(run, look_version(run))
    except StoreError:
        return None, None


def look_version(run: Run) -> tuple[object, ...]:
    """What the pictures of a run depend on."""
    return str(run.folder), *run.preview_epochs()[-1:], written(run.weights_file)


@st.cache_data(show_spinner="Restoring the examples…", max_entries=30)
def _of_examples(_run: Run, version: tuple[object, ...]) -> tuple[np.ndarray, np.ndarray]:
    model, x = restorer(_run), as_floats(example_photographs(_run))
    with torch.inference_mode():
        back, further = model.preview(x, torch.Generator().manual_seed(0))
    return as_bytes(back), as_bytes(further)


def example_photographs(run: Run) -> np.ndarray:
    """uint8 (n,3,H,W)"""
    return examples.pictures(run.record.shape)[:THUMBNAILS]


def history(run: Run) -> list[dict[str, Any]]:
    """Its records of epochs, thinned; the last is always among them."""
    return _history(run, (str(run.folder), written(run.metrics_file)))


@st.cache_data(show_spinner=False, max_entries=500)
def _history(_run: Run, version: tuple[object, ...]) -> list[dict[str, Any]]:
    return [
        {
            "epoch": min(one["epoch"], MOST_EPOCHS),
            "validation": {name: finite(value) for name, value in one["validation"].items()},
        }
        for one in thinned(_run.metrics())
    ]


@st.cache_data(show_spinner=False, max_entries=500)
def _examined(_run: Run, version: tuple[object, ...]) -> report.Report:
    return report.kept(_run) or {}


def finite(value: float | None) -> float | None:
    """JSON has numbers that no chart can draw."""
    return float(value) if value is not None and abs(value) < LARGEST else None


def csv(frame: pd.DataFrame) -> bytes:
    """The table without its pictures."""
    plain = frame.drop(columns="pictures", errors="ignore").assign(tags=frame["tags"].map(", ".join))
    return downloads.csv(plain)


# --- side by side -----------------------------------------------------------------------------------------------


def terms(runs: Sequence[Run]) -> list[str]:
    """Names of the validation numbers that all of them have, the error first: of restorers what they are to lower."""
    names = [set(epochs[-1]["validation"]) for run in runs if (epochs := history(run))]
    first = {"mse" if has_codes(run) else family(run.record.family).headline for run in runs}
    return sorted(set.intersection(*names), key=lambda name: (name not in first, name)) if names else []


def positive(runs: Sequence[Run], term: str) -> bool:
    """Whether a logarithmic scale leaves nothing out."""
    values = [one["validation"].get(term) for run in runs for one in history(run)]
    return all(value > 0 for value in values if value is not None)


def curves(runs: Sequence[Run], group: Group, term: str, log: bool) -> go.Figure:
    """A validation number by epoch; runs of one family share its colour and differ in their dash."""
    figure = go.Figure()
    seen: dict[str, int] = {}
    for run, title in zip(runs, titles(runs, group), strict=True):
        place = seen[run.record.family] = seen.get(run.record.family, -1) + 1
        epochs = history(run)
        figure.add_scatter(
            x=[one["epoch"] for one in epochs],
            y=[one["validation"].get(term) for one in epochs],
            name=escape(title),
            mode="lines" if len(epochs) > 1 else "markers",
            line=dict(color=colour(run.record.family), dash=DASHES[place % len(DASHES)], width=2),
        )
    name = in_words(term)
    figure.update_yaxes(
        type="log" if log else "linear", title=f"{escape(name)}, validation", tickformat="~g", nticks=8,
        tickvals=charts.ticks(y for line in figure.data for y in line.y) if log else None,
    )  # fmt: skip
    figure.update_xaxes(title="epochs")
    figure.update_layout(
        height=380,
        margin=dict(l=10, r=10, t=10, b=10),
        hovermode="x unified",
        showlegend=True,
        legend=dict(orientation="h", yanchor="top", y=-0.2, x=0),
    )
    return figure


def pictures(runs: Sequence[Run], group: Group) -> str:
    """The last looks during training in rows: what came back, and new pictures; nothing where none of them was looked at."""
    looks = [last_look(run) for run in runs]
    if all(back is None for back, _ in looks):
        return ""
    kinds = {family(run.record.family) for run in runs}
    further = (
        "New pictures"
        if has_codes(runs[0])
        else " · ".join(sorted(kind.sampling.capitalize() for kind in kinds))
    )
    cells = [
        '<div class="heads"></div>',
        *(f'<div class="label heads">{head}</div>' for head in (BACK, further)),
    ]
    originals = shared_originals(runs)
    if originals is not None:
        cells += side("The pictures themselves", "currentColor", ("", originals), ("", None))
    for run, title, (back, new) in zip(runs, titles(runs, group), looks, strict=True):
        cells += side(title, colour(run.record.family), (BACK, back), (further, new))
    return block(STYLE, f'<div class="sides">{"".join(cells)}</div>')


def side(title: str, hue: str, back: Told, new: Told) -> list[str]:
    """Three cells, of which two have tiles with a head of their own where they stand below each other."""
    missing = "<small>no pictures</small>" if back[1] is None else ""
    return [
        f'<div class="name" style="border-color: {hue}">{escape(title)}{missing}</div>',
        row_of(back, f"rebuilt by {title}"),
        row_of(new, f"new from {title}"),
    ]


def row_of(told: Told, what: str) -> str:
    head, tiles = told
    if tiles is None:
        return "<div></div>"
    names = (f"picture {i + 1} {what}" for i in range(SHOWN))
    above = f'<div class="label told">{head}</div>' if head else ""
    return f"<div>{above}{strip(tiles[:SHOWN], names, max(THUMBNAILS, min(SHOWN, len(tiles))))}</div>"


def shared_originals(runs: Sequence[Run]) -> np.ndarray | None:
    """The pictures that all of them had to rebuild: uint8 (n,C,H,W), or None where that is not known."""
    kept = [
        example_photographs(run) if not (has_codes(run) or run.preview_epochs()) else run.originals()
        for run in runs
    ]
    known = [one for one in kept if one is not None]
    same = len(known) == len(kept) and all(np.array_equal(one, known[0]) for one in known)
    return known[0] if known and same else None


def unlike(runs: Sequence[Run], group: Group) -> pd.DataFrame:
    """A row for each setting that they do not share, a column for each run."""
    rows: Mapping[str, list[str | None]] = differences([run.record for run in runs])
    filled = {in_words(name): [value or "–" for value in values] for name, values in rows.items()}
    return pd.DataFrame.from_dict(filled, orient="index", columns=titles(runs, group)).rename_axis("setting")
