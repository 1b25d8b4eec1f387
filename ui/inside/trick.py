"""What the reparametrisation is worth: three ways to one gradient, and how much they scatter."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from torch import Tensor

from core.gradients import WAYS, Estimates, estimate
from ui import work
from ui.charts import CONFIG, FADED, LAYOUT
from ui.downloads import csv, download
from ui.inside.subject import TINT, Subject, equation

DRAWS = 2_048
AVERAGED = (1, 2, 4, 8, 16, 32, 64, 128)
HUES = dict(zip(WAYS, (TINT, "#d37812", FADED), strict=True))


@st.fragment
def show(subject: Subject) -> None:
    st.subheader("The trick: why z is written as μ + σ · ε", anchor=False)
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown(
            "Training needs the gradient of an expectation by the very numbers that say where to draw. "
            "The **score function** weighs draws by their outcome, and works for anything. The "
            "**reparametrised** gradient goes through the draw into the decoder, and learns from its "
            "slope. Both have the same mean. They do not scatter alike."
        )
        equation(
            r"\nabla_\theta \mathbb{E}_{q_\theta}[f(z)] \;=\; \mathbb{E}_{\varepsilon}\big[f'(z)\, \partial z / "
            r"\partial \theta\big]"
            r" \;=\; \mathbb{E}_{q_\theta}\big[(f(z) - b)\, \nabla_\theta \log q_\theta(z)\big],\qquad \theta = (\mu, \sigma)",
            "Left: Kingma & Welling 2014, sec. 2.4. Right: Williams 1992; the baseline b is the mean of f over the other draws. "
            "Here f(z) = −log p(x|z) of the picture above, through the decoder of the model above.",
        )
        again = st.button("Draw again", icon=":material/casino:", key="gradients again")
        words = st.empty()
    if again:
        st.session_state["gradient seed"] = st.session_state.get("gradient seed", 0) + 1
    found = measured(subject, st.session_state.get("gradient seed", 0))
    words.markdown(told(found))
    with right:
        st.plotly_chart(
            chart(found),
            key="scatter",
            config=CONFIG,
            alt="How far gradients scatter by the number of draws, a line for each estimator",
        )
        st.caption(
            f"How far the mean of n draws lies from the gradient, relative to its length: measured on {DRAWS:,} draws for this "
            "picture. Every line falls with 1/√n; the height is the difference."
        )
        download("Numbers", lambda: csv(table(found)), "gradients.csv", "text/csv", "table")


def measured(subject: Subject, seed: int) -> Estimates:
    key = subject.fingerprint, seed
    kept = st.session_state.get("gradients")
    if kept is None or kept[0] != key:
        with work.alone(), st.spinner("Drawing…"):
            kept = key, gradients(subject, torch.Generator().manual_seed(seed))
        st.session_state["gradients"] = kept
    return kept[1]


def gradients(subject: Subject, rng: torch.Generator) -> Estimates:
    def cost(z: Tensor) -> Tensor:
        return subject.model.nll(z, subject.x.expand(len(z), -1, -1, -1))

    mu, sigma = subject.posterior
    return estimate(cost, mu.clone(), sigma.clone(), DRAWS, rng)


def told(found: Estimates) -> str:
    ratios = [found.needed(way) for way in WAYS[:0:-1]]
    if not all(map(math.isfinite, ratios)):
        return "Here the gradient has no scatter to compare: the decoder does not look at the code."
    return (
        f"For the same precision the score function needs **{ratios[0]:,.0f} times** as many draws here, with a baseline "
        f"**{ratios[1]:,.0f} times**."
    )


def chart(found: Estimates) -> go.Figure:
    figure = go.Figure()
    for way in reversed(WAYS):
        figure.add_scatter(
            x=AVERAGED, y=[found.scatter(way, n) for n in AVERAGED], name=way, mode="lines+markers",
            line=dict(color=HUES[way], width=2.5), hovertemplate="n = %{x}: %{y:.3g}",
        )  # fmt: skip
    figure.update_layout(
        height=340, **LAYOUT | dict(showlegend=True, legend=dict(orientation="h", y=1.02, yanchor="bottom", x=0)),
        hovermode="x unified",
    )  # fmt: skip
    figure.update_xaxes(type="log", tickvals=AVERAGED, title=dict(text="n, draws averaged", standoff=4))
    figure.update_yaxes(type="log", title=dict(text="relative error of the gradient", standoff=6), dtick=1)
    return figure


def table(found: Estimates) -> pd.DataFrame:
    rows = [
        {"way": way, "draws_averaged": n, "relative_error": found.scatter(way, n)}
        for way in WAYS
        for n in AVERAGED
    ]
    return pd.DataFrame(rows)
