"""The numbers of a code one by one: what drives each, how often it speaks, and what it draws."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import torch

from core.codes import spread
from core.families.sparse import Sparse
from core.family import Autoencoder
from core.pictures import as_bytes
from core.sampling import decoded
from ui import runs
from ui.charts import CONFIG, FADED, LAYOUT
from ui.downloads import csv, download
from ui.html import block, strip
from ui.latent.chosen import marked, name
from ui.latent.ground import Ground, pictures
from ui.runs import is_vae
from ui.theme import colour
from ui.words import signed

CHARTED = 128
SHOWN = 10
STEPS = 9
ALWAYS = 0.99
KL, SPREAD = "KL, nats", "standard deviation"


def show(place: Ground, model: Autoencoder) -> None:
    codes = place.codes.codes
    weight, title = importance(place)
    sparse = isinstance(model, Sparse)
    on = model.speaks(codes) if isinstance(model, Sparse) else torch.ones_like(codes, dtype=torch.bool)
    speaks = on.float().mean(0)
    order = weight.argsort(descending=True).tolist()
    st.markdown(
        "Each bar is one number of the code; the taller, the more it differs from picture to picture."
    )
    st.plotly_chart(
        chart(place, weight, title), key="units", config=CONFIG, alt=f"{title}, a bar for each number"
    )
    if len(order) > CHARTED:
        st.caption(f"The {CHARTED} highest of {len(order):,} numbers are shown.")
    if sparse:
        dead, always = int((speaks == 0).sum()), int((speaks >= ALWAYS).sum())
        st.caption(
            f"{len(speaks)} units, {float(on.sum(1).float().mean()):.1f} of them on in a "
            f"picture. {dead} are dead: no test picture switches them on. {always} are always on."
        )
    unit = st.selectbox(
        "Number of the code", order[:200], width=320, key=f"number-{place.run.id}", bind="query-params",
        format_func=lambda one: f"z{one + 1}{told(float(speaks[one]), sparse)}",
    )  # fmt: skip
    values = codes[:, unit]
    high, low = values.argsort(descending=True)[:SHOWN].tolist(), values.argsort()[:SHOWN].tolist()
    rows = [("highest", high)] + ([] if sparse else [("lowest", low)])
    parts = []
    for words, some in rows:
        tiles = pictures(place, model, some)
        reach = f"{signed(float(values[some[0]]))} to {signed(float(values[some[-1]]))}"
        parts.append(f'<div class="label">Pictures with the {words} z{unit + 1}: {reach}</div>')
        parts.append(strip(tiles, [name(place, one) for one in some], SHOWN))
    st.html(block(*parts))
    last, index = len(codes) - 1, 0
    if last:
        asked = f"Change z{unit + 1} on test picture no."
        index = st.number_input(
            asked, 0, last, high[0], key=f"turn-{place.run.id}-{unit}", bind="query-params", width=320
        )
    turn(place, model, int(index), unit, sparse)
    download(
        "Table",
        lambda: csv(table(codes, weight, title, speaks if sparse else None)),
        f"{place.run.id}-numbers.csv",
        "text/csv",
        "table",
    )


def importance(place: Ground) -> tuple[torch.Tensor, str]:
    """(Z,) and what it is: KL for a VAE, else how much a number varies."""
    survey = runs.survey(place.run) if is_vae(place.run) else None
    if survey is not None:
        return survey.kl_by_dimension, KL
    return spread(place.codes.codes), SPREAD


def told(share: float, sparse: bool) -> str:
    if not sparse:
        return ""
    if share == 0:
        return " (dead)"
    return f" (on in {share:.1%}{', always' if share >= ALWAYS else ''})"


def chart(place: Ground, weight: torch.Tensor, title: str) -> go.Figure:
    order = weight.argsort(descending=True)[:CHARTED]
    figure = go.Figure(
        go.Bar(
            x=[f"z{int(i) + 1}" for i in order],
            y=weight[order].tolist(),
            marker_color=[
                FADED if weight[i] < 0.01 * weight.max() else colour(place.run.record.family) for i in order
            ],
            hovertemplate="%{x}: %{y:.3f}<extra></extra>",
        )
    )
    figure.update_layout(height=220, **LAYOUT)
    figure.update_xaxes(type="category", nticks=32)
    figure.update_yaxes(title=dict(text=title, standoff=6))
    return figure


def table(codes: torch.Tensor, weight: torch.Tensor, title: str, speaks: torch.Tensor | None) -> pd.DataFrame:
    """A row for each number, in the order of the chart; `speaks`: in how many of the pictures it is on."""
    columns = {
        "mean": codes.mean(0), "standard_deviation": spread(codes),
        "lowest": codes.min(0).values, "highest": codes.max(0).values,
    }  # fmt: skip
    if title == KL:
        columns["kl_nats"] = weight
    if speaks is not None:
        columns["on"] = speaks
    frame = pd.DataFrame({name: values.tolist() for name, values in columns.items()})
    frame.insert(0, "number", range(1, len(frame) + 1))
    return frame.iloc[weight.argsort(descending=True).tolist()]


@torch.inference_mode()
def turn(place: Ground, model: Autoencoder, index: int, unit: int, sparse: bool) -> None:
    """The picture decoded with this number from its lowest to its highest; a sparse one from off to twice its highest."""
    values = place.codes.codes[:, unit]
    if sparse:
        steps = torch.linspace(0, 2 * max(float(values.max()), 1e-3), STEPS)
    else:
        low, high = torch.quantile(values, torch.tensor([0.01, 0.99])).tolist()
        steps = torch.linspace(low, high, STEPS)
    codes = place.codes.codes[index].repeat(STEPS, 1)
    codes[:, unit] = steps
    tiles = np.concatenate(
        [
            pictures(place, model, [index]),
            as_bytes(model.decode(place.codes.codes[[index]])),
            decoded(model, codes),
        ]
    )
    words = ["the picture", "what comes back", *(f"z{unit + 1} = {signed(float(step))}" for step in steps)]
    told = f"z{unit + 1} from {signed(float(steps[0]))} to {signed(float(steps[-1]))}"
    head = f'<div class="label">{escape(name(place, index))}: itself, what comes back, and {told}</div>'
    st.html(block(head, strip(tiles, words, STEPS + 2)))
    if marked(place):
        st.caption(marked(place).strip())
