"""From a picture to a distribution to pictures."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch
from torch import Tensor

from core.family import noise_like
from core.pictures import as_bytes, png, sheet
from ui import runs
from ui.charts import CONFIG, FADED, LAYOUT
from ui.components.maps import Ellipse, maps
from ui.downloads import csv, download
from ui.html import block, captioned, difference, intensity
from ui.inside.plane import closeup, decoded_plane
from ui.inside.subject import CHARTED, TINT, Subject, equation, subscript
from ui.words import signed

DRAWN = 12  # pictures
DRAWS = 64  # behind mean and spread
REACH = 3.0  # standard deviations that the slider goes to either side
CLOSE = 4.5  # standard deviations from the middle of the close-up to its edge
DOT, HIGH = 9, 285  # pixels: a dot of the chart, and how high it draws


@st.fragment
@runs.while_there
def show(subject: Subject) -> None:
    cloud_stage, draw_stage = st.container(), st.container()
    with draw_stage:
        st.subheader("2 · A draw from the cloud", anchor=False)
        number, eps = ask(subject)
        mu, sigma = subject.posterior
        z = mu + sigma * eps
        st.html(block(written_out(mu[number], sigma[number], eps[0, number], z[0, number], number)))
        equation(
            r"z = \mu + \sigma \odot \varepsilon, \qquad \varepsilon \sim \mathcal{N}(0, I)",
            "The chance is in $\\varepsilon$, which does not depend on the weights, so the gradient passes through $\\mu$ and "
            "$\\sigma$. Kingma & Welling 2014, sec. 2.4; the last chapter shows what this is worth.",
        )
    with cloud_stage:
        st.subheader("1 · The encoder answers with a cloud, not with a point", anchor=False)
        the_cloud(subject, z)
    st.subheader("3 · The decoder turns every draw into a picture", anchor=False)
    pictures(subject, z)
    equation(
        r"p(x \mid z) = \prod_i \mathrm{Bernoulli}\big(x_i;\; s(\mathrm{decoder}(z))_i\big)"
        if subject.model.config.likelihood == "bernoulli"
        else r"p(x \mid z) = \mathcal{N}\big(x;\; s(\mathrm{decoder}(z)),\; \sigma_x^2 I\big)",
        "What is shown is the mean of $p(x \\mid z)$, not a draw from it: $s$ is the logistic function.",
    )
    save(subject, eps, z)


def ask(subject: Subject) -> tuple[int, Tensor]:
    """The number that is turned by hand, and eps (DRAWN,Z), in whose first row it was turned."""
    seed = st.session_state.setdefault("vae-draw", 0)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.button(
            "Draw again",
            icon=":material/casino:",
            on_click=draw_again,
            help="New ε for all pictures below.",
        )
        frozen = st.toggle(
            "Keep ε", value=True, key="freeze", bind="query-params",
            help="The same ε when another picture or model is chosen. Off: every picture has draws of its own.",
        )  # fmt: skip
        own = 0 if frozen else int(subject.fingerprint[:8], 16)
        rng = torch.Generator().manual_seed(seed + own)
        eps = noise_like(torch.empty(DRAWN, subject.model.config.latent_dim), rng)
        number = st.selectbox(
            "Turn by hand",
            subject.order,
            format_func=lambda one: (
                f"z{subscript(one + 1)}{'' if subject.active(one) else ' (says nothing)'}"
            ),
            width=190,
        )
        turned = st.slider(
            f"its ε{subscript(number + 1)}, in standard deviations",
            -REACH,
            REACH,
            round(float(eps[0, number].clamp(-REACH, REACH)), 2),
            0.05,
            key=f"eps-{subject.fingerprint}-{seed}-{own}-{number}",
            width=220,
        )
    eps[0, number] = turned
    return number, eps


def draw_again() -> None:
    st.session_state["vae-draw"] = st.session_state.get("vae-draw", 0) + 1


def cloud(subject: Subject, z: Tensor) -> go.Figure:
    """mu and sigma of every number, those that say most first, and where the draw fell."""
    mu, sigma = subject.posterior
    order = subject.order[:CHARTED]
    names = [f"z{subscript(number + 1)}" for number in order]
    hues = [TINT if subject.active(number) else FADED for number in order]
    figure = go.Figure()
    figure.add_hrect(-1, 1, fillcolor=FADED, opacity=0.14, line_width=0)
    for name, hue, number in zip(names, hues, order, strict=True):
        figure.add_scatter(
            x=[name, name], y=[float(mu[number] - sigma[number]), float(mu[number] + sigma[number])],
            mode="lines", line=dict(color=hue, width=8 if len(order) <= 8 else 6), opacity=0.4, hoverinfo="skip",
        )  # fmt: skip
    said = [
        f"KL {subject.kl[number]:.2f} nats{'' if subject.active(number) else ', says nothing'}"
        for number in order
    ]
    figure.add_scatter(
        x=names, y=[float(mu[number]) for number in order], mode="markers", marker=dict(color=hues, size=DOT),
        customdata=[[float(sigma[number]), words] for number, words in zip(order, said, strict=True)],
        hovertemplate="μ %{y:.2f}, σ %{customdata[0]:.2f}<br>%{customdata[1]}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=names, y=[float(z[number]) for number in order], mode="markers",
        marker=dict(symbol="diamond-open", color="#d55e00", size=DOT, line=dict(width=2)),
        hovertemplate="z %{y:.2f}<extra>the draw</extra>",
    )  # fmt: skip
    figure.update_layout(height=330, **LAYOUT)
    figure.update_xaxes(type="category", range=[-0.6, len(order) - 0.4])
    figure.update_yaxes(range=[-edge(subject, z), edge(subject, z)])
    return figure


def edge(subject: Subject, z: Tensor) -> float:
    """How far the chart goes to either side of 0: past every bar and every draw."""
    mu, sigma = subject.posterior
    order = subject.order[:CHARTED]
    return 1.06 * max(2.5, float((mu.abs() + sigma)[order].max()), float(z[order].abs().max()))


def the_cloud(subject: Subject, z: Tensor) -> None:
    """As numbers, and among the codes of the test pictures."""
    found = decoded_plane(subject.run)
    whole = found is not None and found.plane.is_whole
    left, right = st.columns([2, 5] if whole else [3, 2], gap="large")
    with left:
        st.plotly_chart(
            cloud(subject, z[0]),
            key="cloud",
            config=CONFIG,
            alt="The distribution of each number of the code, and the draw",
        )
        tell_cloud(subject, z[0], whole)
        equation(
            r"q(z \mid x) = \mathcal{N}\big(z;\; \mu(x),\; \mathrm{diag}\, \sigma^2(x)\big)",
            "The encoder gives $\\mu$ and $\\log \\sigma^2$, one of each for every number of the code. Kingma & Welling 2014, "
            "sec. 3.",
        )
    with right:
        if found is None:
            st.caption("There is no map: the code has one number, or its test pictures were not measured.")
            return
        names = subject.run.record.dataset.get("class_names", [])
        if not whole:
            panels = [found.map("Where it lies, on the two main axes", names, marks=z)]
        else:
            mu, sigma = subject.posterior
            ellipse = Ellipse(*mu.tolist(), *sigma.tolist())
            near = closeup(subject.run, mu.tolist(), CLOSE * float(sigma.max()))
            panels = [
                found.map("Where it lies", names, ellipse, marks=z),
                near.map("Close up, with one and two σ", names, ellipse, marks=z),
            ]
        for panel, place in zip(panels, st.columns(len(panels), gap="medium"), strict=True):
            with place:
                maps(
                    [panel],
                    f"map-{panel.title}-{subject.run.id}",
                    panel.share(*found.plane.place(subject.posterior[0][None])[0].tolist()),
                )


def tell_cloud(subject: Subject, z: Tensor, close: bool) -> None:
    """What the chart shows; `close`: there is a close-up beside it."""
    dim = subject.model.config.latent_dim
    shown = f" The {CHARTED} of {dim} numbers that say most are shown." if dim > CHARTED else ""
    silent = sum(not subject.active(number) for number in range(dim))
    mute = (
        f" {silent} of {dim} say nothing about any picture (gray): they repeat the prior." if silent else ""
    )
    dot = 2 * edge(subject, z) * DOT / HIGH
    seen = 2 * subject.posterior[1][subject.order[:CHARTED]] > dot
    bar = hidden = ""
    if seen.any():
        bar = f" Bar: μ ± σ{'' if seen.all() else ', where it is longer than the dot'}."
    else:
        hidden = f" σ is too small to see here{': the close-up shows it' if close else ''}."
    st.caption(
        f"Dot: μ.{bar} Diamond: the draw. Band: the prior, 0 ± 1. Those that say most stand on the left.{hidden}{mute}{shown}"
    )


def written_out(mu: Tensor, sigma: Tensor, eps: Tensor, z: Tensor, number: int) -> str:
    """The equation with its numbers."""
    index = subscript(number + 1)
    told = [signed(float(value), 3) for value in (mu, sigma, eps, z)]
    factor = f"({told[2]})" if eps < 0 else told[2]
    return (
        f'<div class="sum">z{index} = μ{index} + σ{index} · ε{index} '
        f"= {told[0]} + {told[1]} · {factor} = <b>{told[3]}</b></div>"
    )


@torch.inference_mode()
def pictures(subject: Subject, z: Tensor) -> None:
    model, mu = subject.model, subject.posterior[0]
    drawn = model.decode(z)
    mean, spread = mean_and_spread(subject)
    error = (mean - subject.x[0]).mean(0).numpy()
    top = float(spread.max())
    st.html(
        block(
            captioned(
                [
                    ("the picture", as_bytes(subject.x[0])),
                    ("decoded from μ", as_bytes(model.decode(mu[None])[0])),
                    ("decoded from the draw", as_bytes(drawn[0])),
                    (f"mean of {DRAWS} draws", as_bytes(mean)),
                    (f"their spread, white is {top:.2f}", intensity(spread.mean(0).numpy(), top)),
                    ("error of the mean", difference(error)),
                ],
                "7.5rem",  # all six in a row
            ),
            '<div class="label">More draws from the same cloud</div>',
            captioned([("", one) for one in as_bytes(drawn[1:])], "4.5rem"),
        )
    )
    st.caption(
        "Error: orange where light was lost, blue where it was added. Spread: the standard deviation of a pixel over draws."
    )


@torch.inference_mode()
def mean_and_spread(subject: Subject) -> tuple[Tensor, Tensor]:
    """Of what draws decode to: (C,H,W) each."""
    mu, sigma = subject.posterior
    eps = noise_like(mu.expand(DRAWS, -1), torch.Generator().manual_seed(0))
    decoded = subject.model.decode(mu + sigma * eps)
    return decoded.mean(0), decoded.std(0)


def save(subject: Subject, eps: Tensor, z: Tensor) -> None:
    with st.container(horizontal=True):
        download(
            "Numbers",
            lambda: csv(table(subject, eps[0], z[0])),
            f"{subject.run.id}-cloud.csv",
            "text/csv",
            "table",
        )
        download(
            "Pictures",
            lambda: drawn_sheet(subject, z),
            f"{subject.run.id}-draws.png",
            "image/png",
            "photo_library",
        )


def table(subject: Subject, eps: Tensor, z: Tensor) -> pd.DataFrame:
    mu, sigma = subject.posterior
    columns = {"mu": mu, "sigma": sigma, "eps": eps, "z": z, "kl_nats": subject.kl}
    frame = pd.DataFrame({name: values.tolist() for name, values in columns.items()})
    frame.insert(0, "number", range(1, len(frame) + 1))
    frame["active"] = [subject.active(number) for number in range(len(frame))]
    return frame.iloc[subject.order]


@torch.inference_mode()
def drawn_sheet(subject: Subject, z: Tensor) -> bytes:
    return png(sheet(as_bytes(torch.cat([subject.x, subject.model.decode(z)])), 1 + DRAWN))
