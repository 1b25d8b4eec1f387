"""What the weight of the KL term does: runs that differ in beta alone, side by side under a slider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from core import examples
from core.comparison import differences
from core.elbo import Survey
from core.families.vae import VAE
from core.family import noise_like
from core.pictures import as_bytes, as_floats, png, sheet
from core.store import Run, StoreError
from ui import again, runs, shell
from ui.charts import CONFIG, FADED, LAYOUT
from ui.components.maps import maps
from ui.downloads import csv, download
from ui.html import block, strip
from ui.inside.plane import decoded_plane
from ui.inside.subject import TINT, Subject, equation, numbers
from ui.runs import is_vae
from ui.words import as_written, command, data_title, signed, unlike

SHOWN = 9  # pictures in a row
SAMPLES = 18


@dataclass(frozen=True, eq=False)
class Ladder:
    """Runs that differ in nothing but beta, in its order."""

    rungs: tuple[Run, ...]

    @property
    def betas(self) -> list[float]:
        return [beta(run) for run in self.rungs]

    def has_room_for(self, run: Run) -> bool:
        """Whether it is one of them, or differs from them in beta alone: of two twins the older is not there."""
        return set(differences([self.rungs[0].record, run.record])) <= {"beta"}

    @property
    def title(self) -> str:
        plan = self.rungs[0].record.training_plan()
        length = f"{plan.epochs:,} epochs" if plan.epochs else f"{plan.seconds:g} s"
        return f"{numbers(self.rungs[0])} numbers, {length}"


def beta(run: Run) -> float:
    return float(run.record.settings().beta)  # type: ignore[attr-defined]


def ladders(found: list[Run]) -> list[Ladder]:
    """At least two rungs each, those with most rungs first; of two runs that differ in nothing the later one counts."""
    kinds: list[list[Run]] = []
    for run in sorted((one for one in found if is_vae(one)), key=lambda one: one.record.created):
        kind = next((kind for kind in kinds if set(differences([kind[0].record, run.record])) <= {"beta"}), None)  # fmt: skip
        if kind is None:
            kinds.append([run])
        else:
            kind[:] = [other for other in kind if beta(other) != beta(run)] + [run]
    whole = [Ladder(tuple(sorted(kind, key=beta))) for kind in kinds if len(kind) > 1]
    return sorted(whole, key=lambda ladder: -len(ladder.rungs))


@st.fragment
@runs.while_there
def show(subject: Subject) -> None:
    st.subheader("What β does", anchor=False)
    found = ladders(list(subject.group.runs))
    if not found:
        offer(subject)
        return
    ladder, run = ask(subject, found)
    try:
        model = runs.model(run)
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    assert isinstance(model, VAE)
    say(run, runs.survey(run))
    surveys = [runs.survey(rung) for rung in ladder.rungs]
    one, two = st.columns([3, 2], gap="large")
    with one:
        pictures(subject, model)
        curve(ladder, surveys, run)
    with two:
        place = decoded_plane(run)
        if place is not None:
            names = run.record.dataset.get("class_names", [])
            maps([place.map(f"The codes at β = {beta(run):g}", names)], key=f"ladder-map-{run.id}")
    with st.container(horizontal=True):
        download("Table", lambda: csv(table(ladder, surveys)), "beta.csv", "text/csv", "table")
        download("Pictures", lambda: saved(subject, model), f"{run.id}.png", "image/png", "photo_library")


def ask(subject: Subject, found: list[Ladder]) -> tuple[Ladder, Run]:
    """Which runs, where there are several such rows of them, and which of these; at first the model of the page."""
    own_row = [place for place, one in enumerate(found) if one.has_room_for(subject.run)]
    if not own_row:
        st.caption(
            "No other run differs from the chosen model in β alone. These are others on the same pictures."
        )
    by_id = {one.rungs[0].id: one for one in found}
    titles = unlike({id: one.title for id, one in by_id.items()})
    start = own_row[0] if own_row else 0
    left, right = st.columns([2, 3], gap="large", vertical_alignment="bottom")
    if len(found) > 1:
        chosen_row = left.selectbox(
            "Models that differ in β alone", list(by_id), start, format_func=titles.__getitem__,
            key=f"ladder-{subject.run.id}", bind="query-params",
        )  # fmt: skip
        ladder = by_id[chosen_row]
    else:
        ladder = found[0]
        left.caption(f"Models that differ in β alone: {ladder.title}.")
    own = beta(subject.run) if ladder.has_room_for(subject.run) else 1.0
    usual = min(ladder.betas, key=lambda value: abs(value - own))
    chosen = right.select_slider(
        "β, the weight of the KL term", ladder.betas, usual, format_func="{:g}".format,
        key=f"beta-{subject.run.id}-{ladder.rungs[0].id}", bind="query-params",
    )  # fmt: skip
    return ladder, ladder.rungs[ladder.betas.index(chosen)]


def offer(subject: Subject) -> None:
    where = data_title(subject.run.record.data_title, subject.run.record.shape)
    st.info(
        f"There are no two runs on {as_written(where)} that differ in β alone. Train this model once more with another β and the "
        "same settings, seed and length.",
        icon=":material/stairs:",
    )
    other = 4.0 if beta(subject.run) == 1 else 1.0
    if asked := again.address(subject.run, {"beta": other}):
        shell.set_up("build/train.py", f"Train it with β = {other:g}", ":material/model_training:", asked)


def say(run: Run, survey: Survey | None) -> None:
    """What became of the code, in numbers and by its name."""
    if survey is None:
        st.caption(f"The test pictures have not been measured. {command('evaluate', run.id, '--keep')} does it.")  # fmt: skip
        return
    active = int(survey.active.sum())
    figures(run, survey, active)
    if len(survey.kl) < 2:
        st.info(
            "There is one test picture: no number can vary, and none be called inactive.",
            icon=":material/filter_1:",
        )
    else:
        verdict(active, numbers(run), beta(run))


def figures(run: Run, survey: Survey, active: int) -> None:
    varies = "Those whose μ varies over the test pictures by more than 0.01 (Burda et al. 2016)."
    bernoulli = run.record.settings().likelihood == "bernoulli"  # type: ignore[attr-defined]
    gray = "Of gray pixels: the cross-entropy that training lowers, no likelihood." if bernoulli else None
    terms = {"Rate": survey.kl, "Distortion": survey.reconstruction, "−ELBO": survey.negative_elbo}
    with st.container(horizontal=True, gap="medium"):
        st.metric("Active numbers", f"{active} of {numbers(run)}", help=varies, width="content")
        for title, term in terms.items():
            told = None if title == "Rate" else gray
            st.metric(title, f"{signed(float(term.mean()), 1)} nats", help=told, width="content")


def verdict(active: int, dim: int, weight: float) -> None:
    """Of `dim` numbers of the code `active` say something, where the KL weighs `weight`."""
    if active == 0:
        st.error(
            "**Posterior collapse.** Every picture has the same code, the prior: the decoder draws one average picture.",
            icon=":material/vertical_align_center:",
        )
    elif active < dim and weight > 1:
        st.warning(
            f"**Partial collapse.** {dim - active} of {dim} numbers repeat the prior whatever the picture: "
            f"at β = {weight:g} what they could say is not worth its cost.",
            icon=":material/vertical_align_center:",
        )
    elif active < dim:
        st.info(
            f"**{dim - active} of {dim} numbers are inactive**: they repeat the prior whatever the "
            "picture, and cost nothing. The others say what is worth its cost.",
            icon=":material/mode_off_on:",
        )
    elif weight == 0:
        st.info(
            "**No prior.** Nothing draws the clouds towards N(0, I): a code drawn from it may fall where no picture lies.",
            icon=":material/scatter_plot:",
        )
    else:
        st.success(
            f"All {dim} numbers are active: at β = {weight:g} each says more than it costs.",
            icon=":material/check:",
        )


def inputs(subject: Subject) -> np.ndarray:
    """The picture of the page, then examples: uint8 (n,C,H,W)."""
    others = examples.pictures(subject.run.record.shape, subject.run.record.dataset["name"])
    return np.concatenate([subject.picture.pixels[None], others])[:SHOWN]


@torch.inference_mode()
def pictures(subject: Subject, model: VAE) -> None:
    shown = inputs(subject)
    back, new = as_bytes(model.reconstruct(as_floats(shown))), samples(model)
    names = [f"picture {number}" for number in range(1, SAMPLES + 1)]
    st.html(
        block(
            '<div class="label">Pictures, and what comes back</div>',
            strip(shown, names, SHOWN),
            strip(back, [f"{name}, rebuilt" for name in names], SHOWN),
            '<div class="label">New pictures, drawn from the prior N(0, I)</div>',
            strip(new, [f"new {name}" for name in names], SHOWN),
        )
    )


@torch.inference_mode()
def samples(model: VAE) -> np.ndarray:
    """From the same eps for every model with a code of that length."""
    z = noise_like(torch.empty(SAMPLES, model.config.latent_dim), torch.Generator().manual_seed(0))
    return as_bytes(model.decode(z))


def curve(ladder: Ladder, surveys: list[Survey | None], run: Run) -> None:
    """Rate and distortion of every rung, `run` among them, and what they are."""
    st.markdown("**Rate and distortion over the test pictures**")
    st.plotly_chart(
        trade(ladder, surveys, ladder.rungs.index(run)),
        key=f"trade-{ladder.rungs[0].id}",
        config=CONFIG,
        alt="Distortion against rate, a point for each weight of the KL",
    )
    st.caption(
        "Rate: the KL, what a code costs. Distortion: the reconstruction term, what it leaves open. "
        "Small β buys pictures with rate; large β gives the rate back. Only their sum at β = 1 is the "
        "ELBO."
    )
    if any(survey is None for survey in surveys):
        st.caption("Runs whose test pictures have not been measured are missing here.")
    equation(
        r"\min\; D + \beta R,\qquad D = \mathbb{E}_{q}[-\log p(x \mid z)],\quad R = \mathrm{KL}(q(z \mid x) \,\|\, p(z))",
        "Higgins et al. 2017 (β-VAE); as rate and distortion Alemi et al. 2018, arXiv:1711.00464. "
        "Where a curve of least D for every R is smooth, its slope at the point that β reaches is −β.",
    )


def trade(ladder: Ladder, surveys: list[Survey | None], chosen: int) -> go.Figure:
    points = [
        (float(survey.kl.mean()), float(survey.reconstruction.mean()), f"β = {weight:g}", place == chosen)
        for place, (weight, survey) in enumerate(zip(ladder.betas, surveys, strict=True))
        if survey is not None
    ]
    figure = go.Figure(
        go.Scatter(
            x=[x for x, *_ in points],
            y=[y for _, y, *_ in points],
            text=[name for _, _, name, _ in points],
            mode="lines+markers+text",
            textposition="top right",
            cliponaxis=False,
            line=dict(color=FADED, width=1.5),
            marker=dict(
                color=[TINT if here else FADED for *_, here in points],
                size=[15 if here else 8 for *_, here in points],
            ),
            hovertemplate="rate %{x:.1f}, distortion %{y:.1f} nats<extra>%{text}</extra>",
        )
    )
    figure.update_layout(height=300, **LAYOUT | dict(margin=dict(l=10, r=50, t=25, b=10)))
    figure.update_xaxes(title=dict(text="rate: KL, nats", standoff=4))
    figure.update_yaxes(title=dict(text="distortion, nats", standoff=6))
    return figure


def table(ladder: Ladder, surveys: list[Survey | None]) -> pd.DataFrame:
    rows = [
        {
            "run": run.id, "beta": weight, "numbers": numbers(run), "active": int(survey.active.sum()), "n": len(survey.kl),
            "rate_nats": float(survey.kl.mean()), "distortion_nats": float(survey.reconstruction.mean()),
        }
        for run, weight, survey in zip(ladder.rungs, ladder.betas, surveys, strict=True)
        if survey is not None
    ]  # fmt: skip
    return pd.DataFrame(rows)


@torch.inference_mode()
def saved(subject: Subject, model: VAE) -> bytes:
    shown = inputs(subject)
    parts = [shown, as_bytes(model.reconstruct(as_floats(shown))), samples(model)]
    return png(np.concatenate([sheet(part, len(shown)) for part in parts]))
