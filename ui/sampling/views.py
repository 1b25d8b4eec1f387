"""From runs to what the canvas shows of them: a window into their codes, what is covered, and how they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from core import export
from core.codes import spread
from core.family import Autoencoder
from core.pictures import as_bytes, as_floats
from core.store import Codes, Run
from core.windows import CORNERS, Region, Sheet
from ui import runs
from ui.components.canvas import Pin, View, canvas, checked_at
from ui.decoding import address_of_decoder, address_of_socket, addresses_of_runtime
from ui.inputs import Input
from ui.runs import is_vae
from ui.theme import colour

CODES, AROUND, THREE = "Codes", "Around a picture", "Three pictures"
CLASSES, LASSO, SEEDS = "From class to class", "From lasso to lasso", "Seeds"
ENGINES = ("browser", "socket", "fragment")
MOST_DIALS = 128  # of thousands of numbers, the last say nothing
DRAWS = 512
POINTS = 4_000


@dataclass(frozen=True, eq=False)
class Painter:
    """A run on the canvas."""

    run: Run
    model: Autoencoder
    title: str
    codes: Codes | None

    @property
    def dim(self) -> int:
        return int(self.model.config.latent_dim)

    def known(self) -> Tensor:
        """Codes to go by: those of the test pictures, else drawn ones."""
        return self.codes.codes if self.codes is not None else draws(self.model, 2_000, 0)

    def encode(self, pictures: Sequence[Input]) -> Tensor:
        """(n,Z); of a picture that is remembered by its codes, those."""
        with torch.no_grad():
            codes = self.model.encode(torch.stack([as_floats(one.pixels) for one in pictures]))
        for place, one in enumerate(pictures):
            if (known := one.code_by(self.run.id)) is not None:
                codes[place] = known
        return codes


def draws(model: Autoencoder, count: int, seed: int) -> Tensor:
    """Codes that the model would sample from: (count,Z)."""
    with torch.no_grad():
        return model.draw_codes(count, torch.Generator().manual_seed(seed))


def class_means(painter: Painter) -> dict[str, Tensor]:
    """The mean code of every class that is there."""
    found = painter.codes
    if found is None or found.labels is None:
        return {}
    names = painter.run.record.dataset.get("class_names", [])
    return {
        str(name): found.codes[found.labels == label].mean(0)
        for label, name in enumerate(names)
        if bool((found.labels == label).any())
    }


def shared_classes(painters: Sequence[Painter]) -> list[str]:
    """Names of the classes that all of them know: what a folder holds may change between two trainings."""
    first, *others = map(class_means, painters)
    return [name for name in first if all(name in known for known in others)]


def kinds(painters: Sequence[Painter]) -> list[str]:
    """The planes that there are for these runs."""
    there = [CODES] if all(painter.dim > 1 for painter in painters) else []
    there += [SEEDS]
    there += [AROUND, THREE] * all(painter.dim > 1 for painter in painters)
    there += [CLASSES] * (all(painter.dim > 1 for painter in painters) and len(shared_classes(painters)) > 1)
    kept = st.session_state.get("directions", {})
    there += [LASSO] * (len(painters) == 1 and len(kept.get(painters[0].run.id, ())) == painters[0].dim > 1)
    return there


def sheet(painter: Painter, kind: str, pictures: Sequence[Input], ends: tuple[str, str] | None) -> Sheet:
    codes = painter.known()
    if kind == THREE and len(pictures) >= 3:
        return Sheet.through(*painter.encode(pictures[:3]))
    if kind == AROUND and pictures:
        return replace(Sheet.over(codes), origin=painter.encode(pictures[:1])[0])
    if kind == CLASSES and ends is not None:
        means = class_means(painter)
        return Sheet.along(means[ends[0]], means[ends[1]], codes)
    if kind == LASSO:
        way = torch.tensor(st.session_state["directions"][painter.run.id])
        return Sheet.along(codes.mean(0) - way / 2, codes.mean(0) + way / 2, codes)
    if painter.dim == 1:
        return Sheet(codes.mean(0), 3 * spread(codes), torch.zeros(1))
    return Sheet.over(codes)


def view(painter: Painter, kind: str, flat: Sheet, marks: Sequence[tuple[float, float, str]]) -> View:
    codes, run = painter.known(), painter.run
    region = Region.of_prior(painter.dim) if painter.model.from_prior else Region.of(codes)
    shown = codes[:POINTS]
    found = painter.codes
    labels = None if found is None or found.labels is None else found.labels[:POINTS].numpy()
    places = np.zeros((0, 2), np.float32) if kind == SEEDS else flat.place(shown).numpy()
    file = export.kept(run)
    prior = painter.model.from_prior
    return View(
        id=run.id,
        title=painter.title,
        colour=colour(run.record.family),
        shape=painter.model.shape,
        origin=flat.origin.numpy(),
        across=flat.across.numpy(),
        up=flat.up.numpy(),
        mean=region.mean.numpy(),
        sd=region.sd.numpy(),
        limit=region.limit,
        region="the prior" if prior else "the data",
        draws=None if prior else draws(painter.model, DRAWS, 1).numpy(),
        points=places,
        labels=labels,
        marks=list(marks),
        dials=dials(painter),
        decoder=address_of_decoder(run.id, file.name) if file else "",
        socket=address_of_socket(run.id),
    )


def dials(painter: Painter) -> list[tuple[int, str, float, float]]:
    """The numbers of the code, those that say most first: by KL where it is known, else by how much they vary."""
    codes = painter.known()
    survey = runs.survey(painter.run) if is_vae(painter.run) else None
    weight = survey.kl_by_dimension if survey is not None else spread(codes)
    order = weight.argsort(descending=True)[:MOST_DIALS].tolist()
    spans = torch.quantile(codes[:, order], torch.tensor([0.01, 0.99]), dim=0)
    return [(k, f"z{k + 1}", float(spans[0, i]), float(spans[1, i])) for i, k in enumerate(order)]


def prepared(
    painters: Sequence[Painter], kind: str, pictures: Sequence[Input], ends: tuple[str, str] | None
) -> list[View]:
    marks: list[tuple[float, float, str]] = []
    if kind == AROUND and pictures:
        marks = [(0.0, 0.0, pictures[0].name)]
    if kind == THREE:
        marks = [(u, v, one.name) for (u, v), one in zip(CORNERS, pictures, strict=False)]
    if kind == CLASSES and ends is not None:
        marks = [(-0.7, 0.0, ends[0]), (0.7, 0.0, ends[1])]
    return [view(painter, kind, sheet(painter, kind, pictures, ends), marks) for painter in painters]


def key_of(painters: Sequence[Painter], kind: str) -> str:
    return f"canvas-{'-'.join(painter.run.id for painter in painters)}-{kind}"


def pins(key: str) -> tuple[Pin, ...]:
    """What was pinned on this canvas."""
    found = st.session_state.get(f"pins of {key}", ())
    return found if isinstance(found, tuple) else ()


def all_pins(painters: Sequence[Painter]) -> tuple[Pin, ...]:
    """What was pinned on any plane of these runs."""
    planes = (CODES, SEEDS, AROUND, THREE, CLASSES, LASSO)
    return tuple(pin for kind in planes for pin in pins(key_of(painters, kind)))


def addressed(endless: bool) -> tuple[float, float]:
    """The place that the address names; the middle where it names none, or one beyond a plane that ends."""
    try:
        numbers = [float(part) for part in st.query_params.get("at", "").split(",")]
    except ValueError:
        return 0.0, 0.0
    at = checked_at(numbers)
    return at if at and (endless or max(map(abs, at)) <= 1) else (0.0, 0.0)


@st.fragment
def live(
    painters: Sequence[Painter],
    shown: Sequence[View],
    endless: bool,
    seed: int,
    start: tuple[float, float],
    engines: Sequence[str],
    key: str,
) -> None:
    """The canvas by itself: where no other engine is, every picture is a rerun of this and of nothing else."""

    def decode(number: int, code: np.ndarray) -> bytes:
        with torch.inference_mode():
            return as_bytes(painters[number].model.decode(torch.from_numpy(code)[None]))[0].tobytes()

    held = canvas(
        shown,
        endless=endless,
        seed=seed,
        start=start,
        pins=pins(key),
        engines=engines,
        runtime=addresses_of_runtime(),
        key=key,
        decode=decode,
    )
    if held.at is not None and held.at != addressed(endless):
        st.query_params["at"] = f"{held.at[0]:.8g},{held.at[1]:.8g}"
    if held.pins != pins(key):
        st.session_state[f"pins of {key}"] = held.pins
        st.rerun()
