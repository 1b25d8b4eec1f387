"""The visitor's own pictures under the same damage: few, so the intervals are wide, and said to be."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
import torch

from core.corruption import BY_NAME
from core.findings import METRICS, NOTHING, Entry, as_csv
from core.pictures import as_floats
from core.robustness import Protocol, measure_pictures, median, nothing, of_model
from ui import work
from ui.charts import CONFIG
from ui.downloads import download
from ui.inputs import Input
from ui.robust.live import Models
from ui.robust.results import curves
from ui.runs import stamp

SEEDS = 3


@st.fragment
def show(pictures: Sequence[Input], models: Models, corruption: str) -> None:
    """Curves over the pictures above, measured when asked for: at once, in the server."""
    with st.expander(
        f"The {len(pictures)} pictures chosen above, measured"
        if len(pictures) > 1
        else "The picture chosen above, measured",
        icon=":material/upload:",
    ):
        st.markdown(
            f"{BY_NAME[corruption].title} at all levels, with {SEEDS} noise seeds, on your choice of pictures instead "
            f"of the test pictures."
        )
        if not st.toggle("Measure them", key="own"):
            return
        x = torch.stack([as_floats(one.pixels) for one in pictures])
        protocol = Protocol(len(x), SEEDS, (corruption,))
        entries = measured(x, models, protocol)
        key = st.segmented_control(
            "Number",
            ("psnr", "ssim", "mse"),
            default="psnr",
            required=True,
            format_func=lambda one: METRICS[one].title,
            key="own number",
        )
        st.plotly_chart(
            curves(entries, METRICS[key], 0, corruption), key="own curves", config=CONFIG,
            alt=f"{METRICS[key].title} by level, a line for each variant",
        )  # fmt: skip
        one = len(pictures) == 1
        st.caption(
            "One picture has no interval."
            if one
            else f"Bands hold 95% over {len(pictures)} pictures: few, so they are wide."
        )
        (run, _), *_ = models.values()
        download(
            "Numbers",
            lambda: as_csv(entries, protocol, run.record.shape),
            f"own-{corruption}.csv",
            "text/csv",
            "table",
        )


def measured(x: torch.Tensor, models: Models, protocol: Protocol) -> list[Entry]:
    methods = [of_model(run, model) for run, model in models.values()] + [nothing(), median()]
    titles = {run.id: (title, run.record.family) for title, (run, _) in models.items()}
    kept = st.session_state.get("own measured")
    versions = tuple((run.id, stamp(run)) for run, _ in models.values())
    key = (protocol, versions, hash(x.numpy().tobytes()))
    if kept is None or kept[0] != key:
        with work.alone():
            *_, last = work.steps(measure_pictures(methods, x, protocol), 5 * SEEDS + 1, "Measuring…")
        kept = key, last
        st.session_state["own measured"] = kept
    found = kept[1]
    assert isinstance(found, dict)
    named = titles | {NOTHING: ("Doing nothing", ""), "median": ("Median 3×3", "")}
    return [Entry(one, named[one][0], found[one], family=named[one][1]) for one in found]
