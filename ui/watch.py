"""A training as it goes: how far it is, its terms, its pictures, and what one can do about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd  # noqa: F401  (plotly uses whatever there is of it, which is half of it while the warm-up imports it)
import plotly.graph_objects as go
import streamlit as st

from core.comparison import score
from core.data import BY_NAME, is_offered
from core.doctor import in_words
from core.families import family
from core.families.photo_autoencoder import PhotoAutoencoder
from core.families.photo_denoiser import PhotoDenoiser
from core.files import StoreError, written
from core.jobs import Job, Jobs
from core.pictures import gif, sheet
from core.store import Run, Store
from core.training import LIMITS, showcase
from core.transfer import is_from_elsewhere
from ui import charts, doctor, shell, work
from ui.components.timelapse import Frame, timelapse
from ui.html import block, data_uri
from ui.jobs import just_started, latest, stop
from ui.runs import PHOTOGRAPHS, data_of, has_codes
from ui.theme import colour
from ui.words import as_written, counted, data_title, duration

EVERY = 1.0  # seconds between two looks
POINTS = 300  # of a curve
ROW, NARROWEST = 4, 210  # charts side by side at most, and pixels of one at least
TILE, GAP = 56, 3  # pixels of a picture in a strip at least, and between two
MARKED = 40  # epochs at most that are marked on a curve
BEGINNING = 0.04  # of the steps
PAUSE, REST = 250, 1500  # milliseconds, in films

STYLES: dict[str, dict[str, Any]] = {
    "single steps": dict(mode="lines", line=dict(width=1), opacity=0.6),
    "training": dict(mode="lines", line=dict(width=1.5, dash="dot")),
    "validation": dict(mode="lines+markers", line=dict(width=2.5), marker=dict(size=4)),
}

DRAWN = {
    "single steps": "border-top: 1px solid {}; opacity: 0.6",
    "training": "border-top: 2px dotted {}",
    "validation": "border-top: 3px solid {}",
}
KEY = """<style>
.bn .key { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; font-size: 0.8rem; }
.bn .key span { display: inline-flex; align-items: center; gap: 0.4rem; }
.bn .key i { width: 1.8rem; }
</style>"""

ICONS = {
    "starting": ":material/hourglass_top:",
    "waiting": ":material/hourglass_empty:",
    "working": ":material/play_arrow:",
    "done": ":material/check:",
    "completed": ":material/check:",
    "stopped": ":material/pause:",
    "interrupted": ":material/power_off:",
    "diverged": ":material/error:",
    "failed": ":material/error:",
    "died": ":material/power_off:",
}  # fmt: skip


NO_SCORES = "The training is complete, its scores are missing: it was stopped before. Examine in the Library measures them."


@dataclass(frozen=True)
class Watched:
    """A job, the run that it trains, or both: either may be missing, but not both."""

    job: Job | None
    run: Run | None

    @property
    def active(self) -> bool:
        return self.job.active if self.job else self.run is not None and self.run.status == "running"

    @property
    def state(self) -> str:
        """Of the job as long as it is at work, else of the run, which outlives it."""
        if self.job and (self.job.active or self.run is None):
            return self.job.state
        assert self.run is not None
        return self.run.status

    @property
    def title(self) -> str:
        if self.run:
            record = self.run.record
            named = f" · {record.name}" if record.name else ""
            return f"{family(record.family).title} on {record.data_title}{named}"
        return self.job.title if self.job else ""

    @cached_property
    def last_step(self) -> dict[str, Any] | None:
        steps = self.run.steps() if self.run else []
        return steps[-1] if steps else None

    @property
    def progress(self) -> float:
        if self.state == "completed":
            return 1.0
        return float(self.last_step["progress"]) if self.last_step else 0.0

    def told(self) -> str:
        """How far it is, in words."""
        last = self.last_step
        if self.job and self.job.state == "waiting":
            ahead = Jobs().ahead(self.job)
            return f"Waiting for {ahead[-1].title} to end, {len(ahead)} ahead." if ahead else "It is next."
        epochs = self.run.metrics() if self.run and not self.active else []
        if epochs:
            return f"{counted(epochs[-1]['epoch'], 'epoch')} in {duration(epochs[-1]['seconds'])}"
        if last is None:
            return (
                "Starting: reading the pictures and making the net." if self.active else "It has not begun."
            )
        spent, progress = last["seconds"], last["progress"]
        if not self.active:
            return f"0 epochs in {duration(spent)}"
        if progress >= 1:
            return f"Scoring the test pictures after {counted(last['epoch'], 'epoch')}"
        left = f", about {duration(spent * (1 - progress) / progress)} left" if progress > 0 else ""
        return f"Epoch {last['epoch']:,} · {progress:.0%}{left}"


def find(id: str) -> Watched:
    """By the id of a job or of a run, as it stands in the address. Raises StoreError."""
    jobs, store = Jobs(), Store()
    if id in store.folders():
        return Watched(jobs.training(id), store.run(id))
    if any(one.id == id for one in store.deleted()):
        raise StoreError(f"The run {id} was deleted. The Library can bring it back as long as it lies there.")
    job = jobs.job(id)
    return Watched(job, store.run(job.run) if job.run and job.run in store.folders() else None)


def watch(id: str) -> None:
    """Draw it, and draw it anew while it goes on."""
    try:
        active = find(id).active
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/search_off:")
        return
    st.fragment(live, run_every=EVERY if active else None)(id, active)


def live(id: str, was_active: bool) -> None:
    try:
        one = find(id)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/search_off:")
        return
    if one.active != was_active:
        st.rerun()
    head(one)
    if one.run is None:
        return
    if one.run.record.metrics.get("test"):
        scores(one.run)
    if not one.active:
        doctor.show(one.run)
    pictures(one.run)
    curves(one.run)


# --- where it stands --------------------------------------------------------------------------------------------


def head(one: Watched) -> None:
    st.subheader(f"{ICONS.get(one.state, '')} {as_written(one.title)}", anchor=False)
    if one.active:
        told, button = st.columns([5, 1], vertical_alignment="center")
        told.progress(one.progress, as_written(one.told()))
        with button:
            actions(one)
    else:
        st.caption(f"{one.state.capitalize()}. {one.told()}")
        with st.container(horizontal=True, vertical_alignment="center"):
            actions(one)
    explain(one)


def actions(one: Watched) -> None:
    if one.job and one.job.active:
        stop_button(one.job, key="stop")
    elif one.run and one.run.status in ("stopped", "interrupted") and may_go_on(one.run):
        if st.button("Resume", icon=":material/play_arrow:", type="primary"):
            go_on(["train", "--resume", one.run.id], one)
    elif one.job and one.run is None and is_training(one.job):
        if st.button("Start again", icon=":material/replay:", type="primary"):
            go_on(list(one.job.arguments), one)
    elif one.run and one.run.status == "completed":
        try_it(one.run)
        library, asked = shell.to("build/library.py"), {"run": one.run.id}
        st.page_link(library, label="In the Library", icon=":material/table_rows:", query_params=asked)
        if not may_go_on(one.run):
            return
        with st.popover("Train further", icon=":material/replay:"):
            st.markdown("A new run starts from these weights.")
            usual = one.run.record.plan.get("epochs") or 20
            epochs = st.number_input("Epochs", *LIMITS["epochs"][1:], usual)
            if st.button("Start", icon=":material/play_arrow:"):
                go_on(["train", "--from", one.run.id, "--epochs", str(epochs)], one)


def may_go_on(run: Run) -> bool:
    """Whether its pictures are opened for whoever asks: those of a run from elsewhere may bear the name of a private folder."""
    name = run.record.dataset["name"]
    return not is_from_elsewhere(run) or name in BY_NAME or is_offered(name)


def try_it(run: Run) -> None:
    """A link to where its kind takes pictures of one's own."""
    kind = family(run.record.family)
    if kind is PhotoDenoiser:
        shell.set_up(
            "explore/denoise.py",
            "Clean your own photographs",
            ":material/auto_fix_high:",
            {"source": "Upload"},
        )
        return
    where = PHOTOGRAPHS if kind is PhotoAutoencoder else data_title(run.record.data_title, run.record.shape)
    asked = {"data": where, "source": "Upload"}
    shell.set_up("explore/reconstruct.py", "Try your own pictures", ":material/upload:", asked)


def stop_button(job: Job, key: str) -> None:
    asked = job.asked_to_stop
    label = "Stopping…" if asked else "Stop"
    st.button(label, key=key, icon=":material/stop:", disabled=asked, on_click=stop, args=[job])


FLAGS = {
    "--family", "--set", "--dataset", "--epochs", "--seconds", "--batch-size", "--seed", "--threads", "--device", "--name",
    "--from", "--resume",
}  # fmt: skip


def is_training(job: Job) -> bool:
    """Whether it does no more than what this page starts: its folder may say anything."""
    verb, *words = job.arguments or ("",)
    return verb == "train" and all(word.partition("=")[0] in FLAGS for word in words if word.startswith("-"))


def go_on(arguments: list[str], one: Watched) -> None:
    same = latest(arguments) if "--resume" in arguments else just_started(arguments, grouped=False)
    if same and same.active:  # another tab, or another click, was first
        go_to("watch", same.id)
    if one.run:
        lane = f"train-{one.run.record.device or 'cpu'}"
    else:
        assert one.job is not None
        lane = one.job.lane
    try:
        job = Jobs().start(arguments, one.title, lane=lane)
    except StoreError as error:
        st.toast(as_written(str(error)), icon=":material/error:")
        return
    go_to("watch", job.id)


def go_to(what: str, id: str) -> NoReturn:
    """Open a training, or a group of them. One step back leads to where one was: setting the address of a page whose
    widgets stand in it would take two steps, one with their words and one without."""
    st.switch_page(shell.to("build/train.py"), query_params={what: id})


def explain(one: Watched) -> None:
    """Why it ended where it was not meant to, and what to do."""
    if one.active:
        return
    if one.run and not may_go_on(one.run):
        st.info(
            "It was imported and learnt on pictures that are not published. What bears their name on this machine may be "
            "private, so no page opens it. `python -m core train` goes on with it, for whoever owns this machine.",
            icon=":material/folder_off:",
        )
    if one.run and one.run.status == "diverged":
        st.error(
            "A number stopped being finite; the last good weights are kept. Lower the learning rate and train anew.",
            icon=":material/error:",
        )
    if (
        one.run
        and has_codes(one.run)
        and one.run.status == "completed"
        and not one.run.record.metrics.get("test")
    ):
        st.info(NO_SCORES, icon=":material/info:")
    job = one.job
    if job is None or job.state not in ("failed", "died"):
        return
    if job.state == "failed":
        st.error(f"It failed: {as_written(job.reason) or 'no reason was given.'}", icon=":material/error:")
    else:
        st.warning(
            f"The process ended without a word: it was killed, or the machine ran out of memory. {remedy(one.run)}",
            icon=":material/power_off:",
        )
    if words := job.last_words():
        with st.expander("Its last words"):
            st.code(words, language=None)


def remedy(run: Run | None) -> str:
    """What to do where the process that trains a run has died."""
    if run is None:
        return "Start it again."
    return "" if run.status == "completed" else "Resume goes on from its last checkpoint."


def scores(run: Run) -> None:
    shown = [
        ("psnr", "PSNR", "{:.1f} dB"),
        ("ssim", "SSIM", "{:.3f}"),
        ("sse", "SSE per picture", "{:.2f}"),
        ("n", "Test pictures", "{:,.0f}"),
    ]
    if not has_codes(run):  # whoever restores is scored by what it lowered
        headline = family(run.record.family).headline
        title = in_words(headline)
        shown = [(headline, title[:1].upper() + title[1:], "{:.3g}"), shown[-1]]
    with st.grid(len(shown), min_column_width=130):
        for name, title, form in shown:
            value = score(run.record, name)
            st.metric(title, "–" if value is None else form.format(value))


# --- its terms --------------------------------------------------------------------------------------------------


def curves(run: Run) -> None:
    """A chart for each term, beneath each other where the page is narrow."""
    steps, epochs = thinned(run.steps()), thinned(run.metrics())
    hue = colour(run.record.family)
    st.html(block(KEY, key(hue, bool(steps))))
    with st.grid(ROW, min_column_width=NARROWEST):
        for name in terms(steps, epochs) or ["loss"]:
            figure = curve(name, steps, epochs, hue).update_layout(uirevision=run.id)
            st.plotly_chart(
                figure,
                key=f"curve-{name}-{run.id}",
                config=charts.CONFIG,
                alt=f"{in_words(name)} by steps",
            )


def curve(name: str, steps: list[dict[str, Any]], epochs: list[dict[str, Any]], hue: str) -> go.Figure:
    """A term by steps: single ones faint, means of epochs over training and validation pictures."""
    lines = {
        "single steps": [(one["step"], one["numbers"].get(name)) for one in steps],
        "training": [(one["step"], one["train"].get(name)) for one in epochs],
        "validation": [(one["step"], one["validation"].get(name)) for one in epochs],
    }
    figure = go.Figure()
    for label, points in lines.items():
        figure.add_scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            name=label,
            **STYLES[label] | dict(line=STYLES[label]["line"] | dict(color=hue)),
        )
    if len(epochs) > MARKED:
        figure.update_traces(mode="lines")
    figure.update_layout(
        height=230,
        margin=dict(l=10, r=16, t=34, b=44),
        showlegend=False,
        title=dict(text=in_words(name), font=dict(size=13), x=0.5, xanchor="center", y=0.97),
    )
    figure.update_xaxes(
        nticks=4, rangemode="tozero", title=dict(text="steps", font=dict(size=11), standoff=8)
    )
    figure.update_yaxes(range=reach(lines), nticks=4)
    return figure


def key(hue: str, single: bool) -> str:
    """What the lines are, once for all charts."""
    known = [name for name in DRAWN if single or name != "single steps"]
    lines = "".join(f'<span><i style="{DRAWN[name].format(hue)}"></i>{name}</span>' for name in known)
    return f'<div class="key">{lines}</div>'


def terms(steps: list[dict[str, Any]], epochs: list[dict[str, Any]]) -> list[str]:
    """Names of the terms, less those that say what another has said: a KL with a weight of 1, say."""
    columns: dict[str, list[Any]] = {}
    for numbers in [*(one["numbers"] for one in steps), *(one["validation"] for one in epochs)]:
        for name, value in numbers.items():
            columns.setdefault(name, []).append(value)
    kept: list[str] = []
    for name, values in columns.items():
        if not any(values == columns[other] for other in kept):
            kept.append(name)
    return kept


def reach(lines: dict[str, list[tuple[int, float | None]]]) -> list[float] | None:
    """A range that the first steps, which start from nothing, do not blow up. None: the chart's own."""
    last = max((x for points in lines.values() for x, _ in points), default=0)
    settled = [y for points in lines.values() for x, y in points if y is not None and x > last * BEGINNING]
    if not settled:
        return None
    low, high = min(settled), max(settled)
    margin = 0.06 * (high - low) or abs(high) * 0.06 or 1.0
    return [low - margin, high + margin]


def thinned(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `POINTS` of them, which is all that a chart can show, the first and the last among them."""
    if len(records) <= POINTS:
        return records
    return [records[index] for index in np.linspace(0, len(records) - 1, POINTS).round().astype(int)]


# --- its pictures -----------------------------------------------------------------------------------------------


def second_row(run: Run) -> str:
    kind = family(run.record.family)
    return f"New, {kind.sampling}" if has_codes(run) else kind.sampling.capitalize()


def pictures(run: Run) -> None:
    epochs = run.preview_epochs()
    if not epochs:
        ended = run.status in ("completed", "stopped", "diverged")
        st.caption(
            "No pictures of its training were kept."
            if ended
            else "The first pictures come with the end of the first epoch."
        )
        return
    frames = [frame for epoch in epochs if (frame := frame_of(run, epoch)) is not None]
    if not frames:
        st.warning(f"The pictures of {run.id} cannot be read.", icon=":material/broken_image:")
        return
    originals = put_in(run)
    shown = "" if originals is None else data_uri(spaced(originals, len(originals)))
    timelapse(frames, shown, second_row(run), key=f"timelapse-{run.id}")
    st.download_button(
        "Film",
        lambda: film(run, originals),
        f"{run.id}.gif",
        "image/gif",
        icon=":material/movie:",
        on_click="ignore",
        help="All epochs as an animated GIF: what was put in, what came back, and new pictures.",
        key=f"film-{run.id}",
    )


def frame_of(run: Run, epoch: int) -> Frame | None:
    """None where it cannot be read."""
    return _frame(str(run.folder), epoch, written(run.preview_file(epoch)))


@st.cache_data(show_spinner=False, max_entries=100)  # of 128×128 pixels in colour 1.5 MB each
def _frame(folder: str, epoch: int, changed: int) -> Frame | None:
    try:
        previews = Run.open(Path(folder)).previews(epoch)
    except StoreError:
        return None
    columns = len(previews.reconstructions)
    return Frame(
        epoch,
        data_uri(spaced(previews.reconstructions, columns)),
        data_uri(spaced(previews.samples, columns)),
    )


def spaced(tiles: np.ndarray, columns: int) -> np.ndarray:
    """uint8 (n,C,H,W) -> one picture (…,4) of them all, see-through between them; small ones are enlarged for fine gaps."""
    count, channels, height, width = tiles.shape
    larger = math.ceil(TILE / width)
    coloured = np.broadcast_to(tiles, (count, 3, height, width)) if channels == 1 else tiles
    opaque = np.concatenate([coloured, np.full((count, 1, height, width), 255, np.uint8)], 1)
    enlarged = opaque.repeat(larger, 2).repeat(larger, 3)
    apart = np.pad(enlarged, ((0, 0), (0, 0), (0, GAP), (0, GAP)))
    return sheet(apart, columns)[:-GAP, :-GAP]


def put_in(run: Run) -> np.ndarray | None:
    """The pictures behind the previews: those in the run, else from the data, where they are here and the same."""
    if (kept := run.originals()) is not None:
        return kept
    data = data_of(run)
    return None if data is None else data.validation.images[showcase(data.validation)]


def film(run: Run, originals: np.ndarray | None) -> bytes:
    frames = []
    for epoch in run.preview_epochs():
        try:
            previews = run.previews(epoch)
        except StoreError:
            continue
        parts = [previews.reconstructions, previews.samples]
        if originals is not None and originals.shape == previews.reconstructions.shape:
            parts.insert(0, originals)
        columns = len(previews.reconstructions)
        frames.append(np.concatenate([sheet(part, columns) for part in parts]))
    with work.turn:
        return gif(frames, PAUSE, REST)
