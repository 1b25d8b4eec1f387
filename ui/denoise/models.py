"""The models that clean photographs, and the small ones that see pictures of one size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import streamlit as st

from core import photos
from core.families import family
from core.families.denoising import Denoising
from core.families.photo_denoiser import PhotoDenoiser
from core.store import Run, Store, StoreError
from ui import runs, shell
from ui.words import as_written, unlike

AUTOMATIC = "auto"


@dataclass(frozen=True)
class Models:
    """By run id: the restorers, ready for use and the best first, and the runs of small denoising autoencoders."""

    restorers: Mapping[str, PhotoDenoiser]
    small: Mapping[str, Run]
    titles: Mapping[str, str]
    state: tuple[tuple[str, int], ...]  # of the restorers: another one once their weights are

    def fitting(self, wanted: str, pixels: np.ndarray) -> tuple[str, photos.Noise]:
        """Which restorer is to work on pixels (H,W,C), and the noise that they have, as it sees it."""
        x = photos.as_colour(pixels)
        if wanted in self.restorers:
            return wanted, photos.noise(self.restorers[wanted], x)
        return photos.fitting(self.restorers, x)


def found() -> Models | None:
    """None where the store cannot be read, which is then said, as is what is left out."""
    try:
        store = Store()
        everything = store.runs()
        there = photos.denoisers(store)
        state = tuple((id, runs.weights_changed(run)) for id, run in there.items())
    except StoreError as error:
        st.error(as_written(str(error)), icon=":material/folder_off:")
        return None
    restorers, problems = photos.opened(there, runs.restorer)
    for problem in problems:
        st.warning(as_written(problem), icon=":material/broken_image:")
    small = {
        run.id: run
        for run in everything
        if run.has_weights and issubclass(family(run.record.family), Denoising)
    }
    titles = {AUTOMATIC: "Automatic, by the kind of noise"}
    titles |= unlike({id: there[id].title for id in restorers} | {id: sees(run) for id, run in small.items()})
    return Models(restorers, small, titles, state)


def say_how_to_come_by_one() -> None:
    st.info(
        "There is no model for photographs here, only what needs none. The Library can take one in, "
        "or this trains one in an hour, where FOLDER has photographs:",
        icon=":material/model_training:",
    )
    st.code(
        "python -m core train --family photo_denoiser --dataset pieces:FOLDER --seconds 3600", language="bash"
    )
    st.page_link(shell.to("build/library.py"), label="Import a run", icon=":material/inventory_2:")


def sees(run: Run) -> str:
    """As "Denoising · MNIST, sees 28×28"."""
    _, height, width = run.record.shape
    named = f" · {run.record.name}" if run.record.name else ""
    seed = run.record.training_plan().seed
    told = f"{family(run.record.family).title} · {run.record.data_title}{named}"
    return f"{told}{f', seed {seed}' if seed else ''}: sees {width}×{height}"


def pick(models: Models) -> str:
    return st.selectbox(
        "Model",
        list(models.titles),
        format_func=models.titles.__getitem__,
        key="model",
        bind="query-params",
        help="Automatic looks at the noise first: one kind of model knows white noise of any strength, one cameras and JPEG. "
        "Of each kind it takes the one that cleans the sample photographs best.",
    )
