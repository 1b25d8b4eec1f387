"""The objective of one picture in its two parts, and the bounds that lie between it and log p(x)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from core.elbo import Bounds, Parts, parts, tighten
from core.evaluation import percentile
from core.pictures import as_bytes
from ui import work
from ui.charts import CONFIG, FADED, LAYOUT
from ui.choices import choice
from ui.downloads import csv, download
from ui.html import block, captioned, intensity
from ui.inside.subject import CHARTED, TINT, Subject, equation, subscript, told_of_measuring
from ui.words import signed

UNITS = {"nats": 1.0, "bits": 1 / math.log(2)}
DRAWS = (256, 1_024, 4_096, 16_384)
HUES = {"reconstruction": "#6682aa", "KL": TINT}


@st.fragment
def show(subject: Subject) -> None:
    head, unit_cell = st.columns([4, 1], vertical_alignment="bottom")
    head.subheader("What training lowers, for this picture", anchor=False)
    unit = choice("Unit", list(UNITS), "nats", key="unit", place=unit_cell)
    found = parts(subject.model, subject.x, torch.Generator().manual_seed(0))
    totals(found, unit)
    if subject.model.config.likelihood == "bernoulli" and is_gray(subject):
        st.caption(
            "This picture has gray pixels, so the reconstruction term is the cross-entropy that training lowers: not a "
            "likelihood, and not to be set beside published ones, which are of black and white pixels."
        )
    equation(
        r"-\mathrm{ELBO}(x) = \underbrace{\mathbb{E}_{q(z \mid x)}\big[-\log p(x \mid z)\big]}_{\text{reconstruction}}"
        r" + \underbrace{\mathrm{KL}\big(q(z \mid x) \,\|\, \mathcal{N}(0, I)\big)}_{-\frac12 \sum_j (1 + \log "
        r"\sigma_j^2 - \mu_j^2 - \sigma_j^2)}",
        "Kingma & Welling 2014, eq. 3 and appendix B. The expectation is the mean of 64 draws, with its "
        "standard error; the KL is exact. With a weight β other than 1 training lowers reconstruction + β "
        "· KL.",
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**KL by number of the code**")
        st.plotly_chart(
            by_number(subject, found, unit),
            key="kl",
            config=CONFIG,
            alt="KL of each number of the code, a bar for each",
        )
        st.caption(
            "What each number costs to send beyond the prior. One that repeats the prior costs nothing."
        )
    with right:
        st.markdown("**Reconstruction by pixel**")
        by_pixel(subject, found, unit)
    standing(subject, found, unit)
    st.subheader("How far the ELBO is from log p(x)", anchor=False)
    bounds = tightening(subject, found, unit)
    download("Numbers", lambda: table(found, bounds), f"{subject.run.id}-elbo.csv", "text/csv", "table")


def is_gray(subject: Subject) -> bool:
    return bool(((subject.x > 0) & (subject.x < 1)).any())


def totals(found: Parts, unit: str) -> None:
    scale = UNITS[unit]
    total, reconstruction, kl = (
        scale * float(t) for t in (found.negative_elbo[0], found.reconstruction[0], found.kl[0].sum())
    )
    pixels = found.by_pixel[0].numel()
    told = {
        "−ELBO": (total, "The sum of the two parts: at least −log p(x) in the mean."),
        "Reconstruction": (reconstruction, f"± {scale * float(found.error[0]):.2f} over draws."),
        "KL": (kl, None),
    }
    with st.container(horizontal=True, gap="medium"):
        for name, (value, help) in told.items():
            st.metric(name, f"{signed(value)} {unit}", help=help, width="content")
        st.metric(
            "Per pixel value", f"{signed(total / pixels, 4)} {unit}", help=f"−ELBO over {pixels:,} values.", width="content"
        )  # fmt: skip
    shares = [(name, max(0.0, value)) for name, value in (("reconstruction", reconstruction), ("KL", kl))]
    whole = sum(value for _, value in shares) or 1.0
    bars = "".join(
        f'<span style="width: {100 * value / whole:.1f}%; background: {HUES[name]}" title="{name} {value:.2f} {unit}"></span>'
        for name, value in shares
    )
    words = " · ".join(f"{name} {value / whole:.0%}" for name, value in shares)
    st.html(block(f'<div class="share">{bars}</div><small>{words}</small>'))


def by_number(subject: Subject, found: Parts, unit: str) -> go.Figure:
    order = subject.order[:CHARTED]
    figure = go.Figure(
        go.Bar(
            x=[f"z{subscript(number + 1)}" for number in order],
            y=[UNITS[unit] * float(found.kl[0, number]) for number in order],
            marker_color=[TINT if subject.active(number) else FADED for number in order],
            hovertemplate=f"%{{y:.3f}} {unit}<extra>%{{x}}</extra>",
        )
    )
    figure.update_layout(height=240, **LAYOUT)
    figure.update_xaxes(type="category")
    figure.update_yaxes(title=dict(text=unit, standoff=6))
    return figure


def by_pixel(subject: Subject, found: Parts, unit: str) -> None:
    costs = (UNITS[unit] * found.by_pixel[0]).sum(0).numpy()
    low, top = float(costs.min()), float(costs.max())
    cells = [
        ("the picture", as_bytes(subject.x[0])),
        (f"{unit} a pixel: black {signed(low)}, white {signed(top)}", intensity(costs - low, top - low)),
    ]
    st.html(block(captioned(cells, "11rem")))
    st.caption("Light where the decoder, over the draws, was surprised by the pixel.")


def standing(subject: Subject, found: Parts, unit: str) -> None:
    """Among the test pictures."""
    survey = subject.survey
    st.markdown("**Among the test pictures**")
    if survey is None:
        told_of_measuring(subject.run)
        return
    value = float(found.negative_elbo[0])
    figure = go.Figure(
        go.Histogram(
            x=(UNITS[unit] * survey.negative_elbo).tolist(),
            nbinsx=80,
            marker_color=TINT,
            opacity=0.75,
            hovertemplate="%{y} pictures<extra>%{x}</extra>",
        )
    )
    figure.add_vline(UNITS[unit] * value, line=dict(color="#d55e00", width=3))
    figure.update_layout(height=220, bargap=0.04, **LAYOUT)
    figure.update_xaxes(title=dict(text=f"−ELBO in {unit}", standoff=4))
    st.plotly_chart(
        figure, key="standing", config=CONFIG, alt="−ELBO of all test pictures, and where this one stands"
    )
    place = percentile(value, survey.negative_elbo)
    gray = (
        " Gray as they come: the Library's likelihood is of pixels made black or white."
        if subject.model.config.likelihood == "bernoulli"
        else ""
    )
    st.caption(
        f"The line is this picture: it costs more than {place:.1f}% of {len(survey.kl):,} test pictures. "
        f"Their mean is {signed(UNITS[unit] * float(survey.negative_elbo.mean()), 1)} {unit}, of which the KL is "
        f"{UNITS[unit] * float(survey.kl.mean()):.1f}.{gray}"
    )


# --- the bound --------------------------------------------------------------------------------------------------


def tightening(subject: Subject, found: Parts, unit: str) -> Bounds:
    """Draw the bound as it climbs; where it came to."""
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.markdown(
            "The ELBO is a lower bound. Weighing *k* draws by how well they explain the picture gives a "
            "tighter one; as *k* grows it climbs to log p(x). The gap is what q(z|x) lacks of the true "
            "posterior."
        )
        equation(
            r"\mathcal{L}_k(x) = \mathbb{E}\Big[\log \frac1k \sum_{i=1}^{k} \frac{p(x, z_i)}{q(z_i \mid x)}\Big],\qquad"
            r" \mathrm{ELBO} = \mathcal{L}_1 \le \mathcal{L}_2 \le \dots \le \log p(x)",
            "Burda, Grosse & Salakhutdinov 2016, eq. 8 and theorem 1. All points come from the same draws in disjoint "
            "groups of k.",
        )
        draws = choice("Draws", DRAWS, 1_024, format_func="{:,}".format, key="draws")
        words = st.empty()
    with right:
        chart = st.empty()
    for bounds in live(subject, draws):
        chart.plotly_chart(
            curve(bounds, found, unit),
            key=f"bounds-{bounds.draws}",
            config=CONFIG,
            alt="The bound by the number of draws",
        )
        words.markdown(gap(bounds, found, unit))
    return bounds


def live(subject: Subject, draws: int) -> Iterator[Bounds]:
    """What the draws give so far, ever more of them; at once where they were drawn before."""
    kept = st.session_state.setdefault("bounds", {})
    key = subject.fingerprint, draws
    if key in kept:
        yield kept[key]
        return
    with work.alone():
        for bounds in tighten(subject.model, subject.x, torch.Generator().manual_seed(0), draws):
            if bounds.draws >= 32:
                yield bounds
    kept.clear()
    kept[key] = bounds


def curve(bounds: Bounds, found: Parts, unit: str) -> go.Figure:
    scale = UNITS[unit]
    errors = [0.0 if math.isnan(error) else scale * error for error in bounds.error.tolist()]
    figure = go.Figure(
        go.Scatter(
            x=list(bounds.k),
            y=[scale * value for value in bounds.bound.tolist()],
            error_y=dict(type="data", array=errors, thickness=1, width=3),
            mode="lines+markers",
            line=dict(color=TINT, width=2.5),
            hovertemplate=f"k = %{{x}}: %{{y:.2f}} {unit}<extra></extra>",
        )
    )
    figure.add_hline(
        -scale * float(found.negative_elbo[0]), line=dict(color=FADED, dash="dash"), annotation_text="ELBO",
        annotation_position="bottom right",
    )  # fmt: skip
    figure.update_layout(height=280, **LAYOUT)
    figure.update_xaxes(
        type="log",
        tickvals=[4**power for power in range(8)],
        tickformat=",d",
        title=dict(text="k, draws a bound", standoff=4),
        range=[-0.1, math.log10(max(DRAWS)) + 0.1],
    )
    figure.update_yaxes(title=dict(text=f"bound on log p(x), {unit}", standoff=6))
    return figure


def gap(bounds: Bounds, found: Parts, unit: str) -> str:
    best, elbo = UNITS[unit] * float(bounds.bound[-1]), -UNITS[unit] * float(found.negative_elbo[0])
    return f"With k = {bounds.k[-1]:,}: **{signed(best)} {unit}**, {signed(best - elbo)} above the ELBO."


def table(found: Parts, bounds: Bounds) -> bytes:
    rows = [("reconstruction", float(found.reconstruction[0])), ("negative_elbo", float(found.negative_elbo[0]))]  # fmt: skip
    rows += [(f"kl_{number + 1}", float(value)) for number, value in enumerate(found.kl[0])]
    rows += [(f"bound_k{k}", value) for k, value in zip(bounds.k, bounds.bound.tolist(), strict=True)]
    return csv(pd.DataFrame(rows, columns=["part", "nats"]))
