"""The runs that a page can choose from, and their models, loaded once for all visitors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import streamlit as st

from core import elbo, glance, latent
from core.data import DataError, Dataset, is_offered, load
from core.family import Autoencoder, Restorer
from core.files import written
from core.store import Codes, Damaged, Run, Store, StoreError
from ui import shell
from ui.words import as_written, counted, data_title, unlike

P = ParamSpec("P")
PHOTOGRAPHS = "Photographs · any size"
A_MINUTE = 60.0


@dataclass(frozen=True)
class Group:
    """Runs that saw the same pictures: within it numbers can be compared."""

    key: str  # in URLs
    title: str
    shape: tuple[int, int, int]
    runs: tuple[Run, ...]  # in teaching order

    @property
    def proposed(self) -> tuple[Run, ...]:
        """One of each family, such as can be compared, where there are some."""
        told = glance.comparable(
            self.runs, lambda run: (run.record.family, run.record.plan, run.record.created)
        )
        return tuple(run for run in self.runs if run in told.values())

    @property
    def replicated(self) -> tuple[Run, ...]:
        """The same among those that were trained with most seeds, if no family is missed: they may speak of families."""
        made = [(run, as_made(run)) for run in self.runs]
        counts = Counter(terms for _, terms in made)
        most = max(counts.values(), default=0)
        found = replace(self, runs=tuple(run for run, terms in made if counts[terms] == most)).proposed
        return found if len(found) == len(self.proposed) else self.proposed


def as_made(run: Run) -> tuple[str, ...]:
    """Everything that decides on a training but its seed."""
    record = run.record
    parts = (record.config, {**record.plan, "seed": None})
    return (record.family, *(repr(sorted(part.items())) for part in parts))


def groups(runs: Iterable[Run], *, usable: bool = True) -> list[Group]:
    """By dataset and shape, those with most families, then most runs, first.

    Only runs with weights, where they have to be `usable`.
    """
    from core.families import FAMILIES, RESTORERS

    order = {family.key: place for place, family in enumerate((*FAMILIES, *RESTORERS))}
    found: dict[tuple[str, tuple[int, int, int]], list[Run]] = {}
    for run in runs:
        if run.has_weights or not usable:
            found.setdefault((run.record.dataset["name"], run.record.shape), []).append(run)
    result = []
    for (name, shape), members in found.items():
        title = data_title(members[0].record.data_title, shape)
        same_name = sum(other == name for other, _ in found) > 1
        key = f"{name}-{'x'.join(map(str, shape))}" if same_name else name
        ordered = sorted(members, key=lambda run: (order[run.record.family], run.record.created))
        result.append(Group(key, title, shape, tuple(ordered)))
    return sorted(
        result,
        key=lambda group: (
            -len({run.record.family for run in group.runs}),
            -len(group.runs),
            -group.shape[1],
            group.key,
        ),
    )


def found() -> list[Run] | None:
    """Every autoencoder that can be opened. None where the store cannot be read; what is left out, and why, is said."""
    try:
        everything = Store().list()
    except StoreError as error:
        st.error(as_written(str(error)), icon=":material/folder_off:")
        return None
    left_out = sum(isinstance(run, Damaged) for run in everything)
    if left_out:
        st.caption(
            f"{counted(left_out, 'damaged run')} {'is' if left_out == 1 else 'are'} left out here. The Library says why."
        )
    return [run for run in everything if isinstance(run, Run) and has_codes(run)]


def has_codes(run: Run) -> bool:
    """Whether it is of an autoencoder, not of a restorer of photographs."""
    from core.families import family

    return issubclass(family(run.record.family), Autoencoder)


def is_vae(run: Run) -> bool:
    from core.families import family
    from core.families.vae import VAE

    return issubclass(family(run.record.family), VAE)


def offered() -> list[Group]:
    """What a page of trained models has to choose from; where there is nothing, the page says what to do."""
    opened = found()
    if opened is None:
        return []
    there = groups(opened)
    if not there:
        st.info("There are no trained models yet.", icon=":material/model_training:")
        shell.offer_training("Train the first")
    return there


def of_photographs() -> list[Group]:
    """One group of all that squeeze photographs of any size, where there are some."""
    from core.families.photo_autoencoder import PhotoAutoencoder

    try:
        members = [
            run for run in Store().runs() if run.record.family == PhotoAutoencoder.key and run.has_weights
        ]
    except StoreError:
        return []
    return [Group("photographs", PHOTOGRAPHS, members[-1].record.shape, tuple(members))] if members else []


def pick_group(groups: Iterable[Group]) -> Group:
    by_key = {group.key: group for group in groups}
    titles = unlike({key: group.title for key, group in by_key.items()})
    key = st.selectbox(
        "Models trained on", list(by_key), format_func=titles.__getitem__, key="data", bind="query-params"
    )
    return by_key[key]


def choose(group: Group, within_reach: tuple[Run, ...], page: str = "") -> list[str]:
    """Draw the choice: these runs within reach, the others in a list; the ids of what was chosen.

    Under keys of the page's own: what is within reach differs, and Streamlit would carry a choice of which nothing is there.
    Where new runs have come into reach and none that was chosen is left, the choice is made anew.
    """
    others = [run for run in group.runs if run not in within_reach]
    titles = {run.id: label(run, group) for run in others}
    titles |= {run.id: label(run, replace(group, runs=within_reach)) for run in within_reach}
    key = f"{page}runs-{group.key}"
    before = st.session_state.get(key)
    if before and not {run.id for run in within_reach} & set(before):
        del st.session_state[key]
    chosen = st.pills(
        "Variants",
        [run.id for run in within_reach],
        selection_mode="multi",
        default=[run.id for run in within_reach],
        format_func=lambda id: as_written(titles[id]),  # of pills, labels are Markdown
        key=key,
        bind="query-params",
        wrap=True,
    )
    if others:
        chosen += st.multiselect(
            "Further runs",
            [run.id for run in others],
            format_func=titles.__getitem__,
            placeholder=f"{len(others)} more: other seeds, sizes and settings",
            key=f"{page}more-{group.key}",
            bind="query-params",
        )
    return chosen


def label(run: Run, group: Group) -> str:
    """What tells it from the others of its group."""
    from core.lab import title_of

    return title_of(run, group.runs)


def while_there(draw: Callable[P, None]) -> Callable[P, None]:
    """For a part of a page that is drawn anew by itself, with runs that may have been deleted since the page was."""

    @wraps(draw)
    def drawn(*args: P.args, **more: P.kwargs) -> None:
        try:
            draw(*args, **more)
        except (StoreError, FileNotFoundError):
            st.warning(
                "A run on this page was deleted, or has changed. Load the page again, and choose among those that are there.",
                icon=":material/search_off:",
            )

    return drawn


def model(run: Run) -> Autoencoder:
    """Raises StoreError. Never train or change what comes back: every visitor shares it."""
    return _model(str(run.folder), weights_changed(run))


def restorer(run: Run) -> Restorer:
    """Likewise, of a run that restores photographs."""
    return _restorer(str(run.folder), weights_changed(run))


def weights_changed(run: Run) -> int:
    """When they were last written, in nanoseconds. Raises StoreError where there are none."""
    file = run.weights_file if run.weights_file.exists() else run.checkpoint_file
    try:
        return file.stat().st_mtime_ns
    except OSError:
        raise StoreError(f"{run.id} has no weights yet. Wait for its first epoch, or resume it.") from None


def loaded(chosen: Iterable[Run]) -> dict[str, tuple[Run, Autoencoder]]:
    """By run id; whatever cannot be loaded is said and left out."""
    there = {}
    for run in chosen:
        try:
            there[run.id] = run, model(run)
        except StoreError as error:
            st.warning(as_written(str(error)), icon=":material/broken_image:")
    return there


def data_of(run: Run) -> Dataset | None:
    """The pictures that it was trained on, where they are on this machine and still the same."""
    name = run.record.dataset["name"]
    try:
        data = _data(name) if is_offered(name) else None
    except DataError:
        return None
    return data if data and data.fingerprint == run.record.dataset.get("fingerprint") else None


def codes(run: Run) -> Codes | None:
    """What the run keeps of its test pictures, where it was computed."""
    return _codes(str(run.folder), stamp(run, "codes")) if run.weights_file.exists() else None


def survey(run: Run) -> elbo.Survey | None:
    """What a VAE's objective is over its test pictures, where it was computed."""
    return _survey(str(run.folder), stamp(run, elbo.KEPT_AS)) if run.weights_file.exists() else None


def stamp(run: Run, *names: str) -> tuple[int, ...]:
    """Changes when the weights do, those of a run that still trains, too, or what is kept of them under these names."""
    files = (run.folder / place / f"{name}.safetensors" for name in names for place in ("cache", "shipped"))
    weights = written(run.weights_file) or written(run.checkpoint_file)
    return (weights, *map(written, files))


@st.cache_resource(max_entries=8, ttl=A_MINUTE, show_spinner="Reading the pictures…")
def _data(name: str) -> Dataset:
    """Kept for a minute: to see whether a folder has changed, all of its files have to be looked at. Raises DataError."""
    return load(name)


@st.cache_resource(max_entries=16, show_spinner="Loading the model…")
def _model(folder: str, changed: int) -> Autoencoder:
    return _run(folder).load()


@st.cache_resource(max_entries=8, show_spinner="Loading the model…")
def _restorer(folder: str, changed: int) -> Restorer:
    return _run(folder).restorer()


@st.cache_resource(max_entries=16, show_spinner=False)
def _codes(folder: str, stamp: tuple[int, ...]) -> Codes | None:
    known = _run(folder).codes()
    return None if known is None else latent.sampled(known)


@st.cache_resource(max_entries=32, show_spinner=False)
def _survey(folder: str, stamp: tuple[int, ...]) -> elbo.Survey | None:
    return elbo.kept(_run(folder))


def _run(folder: str) -> Run:
    return Run.open(Path(folder))
