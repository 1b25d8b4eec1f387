"""How the map came about: the same pictures by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.plane import aligned
from core.store import Run
from ui.components.lapse import lapse
from ui.downloads import csv, download


def show(run: Run) -> None:
    frames, labels = run.places()
    if not frames:
        st.info(
            "This run did not keep where pictures lay while it trained: it is older than this page, or "
            "its training has not got so far. Runs trained from now on do.",
            icon=":material/timelapse:",
        )
        return
    turned = [frames[-1][1]]
    for _, places in reversed(frames[:-1]):
        turned.append(aligned(places, turned[-1]))
    epochs = [epoch for epoch, _ in frames]
    names = run.record.dataset.get("class_names", [])
    pairs = list(zip(epochs, (one.numpy() for one in reversed(turned)), strict=True))
    known = None if labels is None else labels.numpy()
    lapse(pairs, known, names, key=f"lapse-{run.id}")
    st.caption(
        f"{len(frames[0][1]):,} validation pictures, always the same, on the two main axes of their codes "
        "at each epoch. Axes may turn round between epochs, so each picture is turned and mirrored to fit "
        "the next (Procrustes), and scaled to fill the frame."
    )
    download("Table", lambda: csv(table(pairs, known, names)), f"{run.id}-epochs.csv", "text/csv", "table")


def table(
    pairs: Sequence[tuple[int, np.ndarray]], labels: np.ndarray | None, names: Sequence[str]
) -> pd.DataFrame:
    """A row for each picture at each epoch, turned as it is shown."""
    frames = []
    for epoch, places in pairs:
        frame = pd.DataFrame(
            {"epoch": epoch, "picture": range(len(places)), "x": places[:, 0], "y": places[:, 1]}
        )
        if labels is not None:
            frame["class"] = [names[one] if 0 <= one < len(names) else "" for one in labels.tolist()]
        frames.append(frame)
    return pd.concat(frames)
