"""Where am I? Visitors' pictures among those of the data."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
import torch
from torch import Tensor

from core import latent
from core.evaluation import ENOUGH
from core.family import Autoencoder
from core.pictures import as_floats
from ui.downloads import csv, download
from ui.html import block, captioned
from ui.inputs import Input
from ui.latent.chosen import marked, name
from ui.latent.ground import Ground, pictures

NEIGHBOURS = 5
UNLIKE, UNUSUAL = 99.9, 95.0


@torch.inference_mode()
def codes_of(chosen: Sequence[Input], model: Autoencoder) -> Tensor:
    return model.encode(torch.stack([as_floats(one.pixels) for one in chosen]))


def show(place: Ground, model: Autoencoder, kind: str, chosen: Sequence[Input], codes: Tensor) -> None:
    """Each with its neighbours, and how far it is from the data; `kind` of map they are on."""
    st.subheader("Where your pictures lie", anchor=False)
    st.caption(
        "Diamonds on the map. A picture goes to the mean of its ten nearest neighbours' places, weighted "
        f"by 1/distance: the place does not depend on what else is there.{marked(place)}"
    )
    found, _ = latent.neighbours(place.codes.codes, codes, NEIGHBOURS)
    far = place.familiarity.percentile(place.codes.codes, codes)
    for one, near, percent in zip(chosen, found.tolist(), far, strict=True):
        tiles = pictures(place, model, near)
        cells = [(f"{one.name}: {badge(percent)}", one.pixels)]
        cells += [(name(place, index), tile) for index, tile in zip(near, tiles, strict=True)]
        st.html(block(captioned(cells, "7rem")))
    download(
        "Numbers",
        lambda: csv(table(place, kind, chosen, codes)),
        f"{place.run.id}-here.csv",
        "text/csv",
        "table",
    )


def table(place: Ground, kind: str, chosen: Sequence[Input], codes: Tensor) -> pd.DataFrame:
    """A row for each: its place on the map, how far out it is, its nearest pictures, and its code."""
    known = place.codes.codes
    x, y = latent.place(known, place.maps[kind].places, codes).T.numpy()
    near, _ = latent.neighbours(known, codes, NEIGHBOURS)
    columns = {"picture": [one.name for one in chosen], "x": x, "y": y}
    columns["farther_out_than_percent"] = place.familiarity.percentile(known, codes)
    columns |= {f"nearest_{number}": one.numpy() for number, one in enumerate(near.T, 1)}
    columns |= {f"z{number}": one.numpy() for number, one in enumerate(codes.T, 1)}
    return pd.DataFrame(columns)


def badge(percent: float | None) -> str:
    """How unusual it is, in words."""
    if percent is None:
        return f"with fewer than {ENOUGH} pictures nobody can say how unusual it is"
    if percent > UNLIKE:
        return "like nothing in the data"
    if percent > UNUSUAL:
        return f"unusual: farther out than {percent:.0f}% of the data"
    return f"at home: {percent:.0f}% of the data lie closer to their neighbours"
