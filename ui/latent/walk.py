"""The map itself: which one, how it is coloured, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from torch import Tensor

from core import latent
from core.store import Run
from ui import runs, sheets
from ui.choices import choice
from ui.components.scatter import Answer, Panel, Points, scatter
from ui.downloads import csv, download
from ui.latent import ground as grounds
from ui.latent.ground import TITLES, Ground
from ui.runs import Group
from ui.words import as_written, command

PICTURE = "picture"  # in the address: which is chosen
CLASS, ERROR, DISTANCE, AGREEMENT = "Class", "Error", "Distance to neighbours", "Agreement of neighbours"


def pick_kind(place: Ground) -> str:
    kinds = list(place.maps)
    if len(kinds) == 1:
        return kinds[0]
    return choice("Map", kinds, kinds[0], format_func=TITLES.__getitem__, key="kind")


def pick_beside(run: Run, group: Group) -> Run | None:
    """Another variant that coded the same pictures."""
    others = [one for one in group.runs if one.id != run.id and fits(one, run)]
    by_id = {one.id: one for one in others}
    titles = {"": "Nothing"} | {one: runs.label(run, group) for one, run in by_id.items()}
    id = st.selectbox(
        "Beside it", list(titles), format_func=titles.__getitem__, key=f"beside-{run.id}", bind="query-params"
    )
    return by_id.get(id)


def fits(one: Run, other: Run) -> bool:
    return one.record.dataset.get("fingerprint") == other.record.dataset.get("fingerprint")


def pick_colour(place: Ground, beside: Ground | None) -> tuple[str, np.ndarray | None]:
    """The name and the values (N,) to colour by; None: by class."""
    dim = place.codes.codes.shape[1]
    ways = [CLASS] * (place.labels is not None) + [ERROR, DISTANCE] + [AGREEMENT] * (beside is not None)
    ways += [f"z{number + 1}" for number in range(dim)]
    chosen = st.selectbox("Colour by", ways, key="colour", bind="query-params")
    if chosen == ERROR:
        return "error", place.codes.errors.numpy()
    if chosen == DISTANCE:
        return "distance", grounds.distances(place.run)
    if chosen == AGREEMENT and beside is not None:
        return "shared neighbours", grounds.agreement(place.run, beside.run)
    if chosen.startswith("z"):
        return chosen, place.codes.codes[:, int(chosen[1:]) - 1].numpy()
    return "", None


def show(
    place: Ground,
    beside: Ground | None,
    kind: str,
    colour: tuple[str, np.ndarray | None],
    marks: Tensor | None,
) -> Answer:
    """Draw it; what the visitor chose on it."""
    panels = [panel(place, kind, marks)]
    if beside is not None:
        panels.append(panel(beside, beside.best(kind), None))
    run = place.run
    columns, per = grounds.tiling(run)
    _, height, width = run.record.shape
    name, values = colour
    points = Points(
        place.labels, tuple(place.class_names), values, name, sheets.address(run.id, grounds.version(place)),
        per, columns, (width, height), place.images() is None,
    )  # fmt: skip
    key = "-".join(["scatter", run.id, kind, beside.run.id if beside else ""])
    answer = scatter(panels, points, key, opened_with(key, len(place.codes.codes)))
    into_the_address(answer.picked)
    return answer


def opened_with(key: str, count: int) -> int:
    """The picture that the address names as a map opens. A click leaves it as it is, or the whole map would be sent again."""
    if key not in st.session_state or "opened with" not in st.session_state:
        asked = st.query_params.get(PICTURE, "")
        st.session_state["opened with"] = next((one for one in range(count) if str(one) == asked), 0)
    return int(st.session_state["opened with"])


def into_the_address(picked: int | None) -> None:
    if picked is not None and (picked or PICTURE in st.query_params):
        st.query_params[PICTURE] = str(picked)
    elif picked is None and PICTURE in st.query_params:
        del st.query_params[PICTURE]


def panel(place: Ground, kind: str, marks: Tensor | None) -> Panel:
    found = place.maps[kind]
    where: Sequence[tuple[float, float]] = ()
    if marks is not None and len(marks):
        where = [(x, y) for x, y in latent.place(place.codes.codes, found.places, marks).tolist()]
    places = found.places.numpy()
    title = f"{as_title(place.run)} · {TITLES[kind]}"
    return Panel(title, places, grounds.bounds(places), grounds.tiles(place.run, kind), grounds.CELLS, where)


def as_title(run: Run) -> str:
    from core.families import family

    title = family(run.record.family).title
    return f"{title} · {run.record.name}" if run.record.name else title


def save(place: Ground, kind: str, colour: tuple[str, np.ndarray | None]) -> None:
    """Only once where two maps are shown: the other is to be had where its variant is chosen."""
    download(
        "Places",
        lambda: csv(table(place, kind, colour)),
        f"{place.run.id}-{kind}.csv",
        "text/csv",
        "table",
    )


def table(place: Ground, kind: str, colour: tuple[str, np.ndarray | None]) -> pd.DataFrame:
    """A row for each picture: where it lies, what it is, and what it is coloured by."""
    x, y = place.maps[kind].places.T.numpy()
    frame = pd.DataFrame({"picture": range(len(x)), "x": x, "y": y})
    if place.labels is not None:
        frame["class"] = [place.class_names[label] for label in place.labels]
    frame["error"] = place.codes.errors.numpy()
    name, values = colour
    return frame if values is None else frame.assign(**{name: values})


def tell(place: Ground, beside: Ground | None, kind: str) -> None:
    for one in (place, *([beside] if beside else [])):
        tell_quality(one, one.best(kind))
    st.caption(
        "Drag to move, scroll or pinch to zoom, Shift or the Lasso to draw around pictures, a click for "
        "neighbours. Where no picture is, the decoder shows what it makes of the place."
    )


def tell_quality(place: Ground, kind: str) -> None:
    """One sentence on how far the map can be trusted."""
    found = place.maps[kind]
    head = (
        f"**{as_written(as_title(place.run))}, {TITLES[kind]}**: {len(found.places):,} test pictures. "
        f"Neighbours are found in code space, not on the map."
    )
    judged = found.quality
    if judged is None:
        st.caption(
            f"{head} How far it can be trusted has not been measured: {command('map', place.run.id)} does it."
        )
        return
    trust = (
        f" Trustworthiness {judged.trustworthiness:.3f} (1: whoever is close on the map is close in the "
        f"code; n = {judged.n:,})."
    )
    if judged.map_accuracy is not None and judged.code_accuracy is not None:
        trust += (
            f" Ten neighbours on the map name the class in {judged.map_accuracy:.1%}, in code space in "
            f"{judged.code_accuracy:.1%}: what lies between is what flattening cost, or lent."
        )
    st.caption(head + trust)
