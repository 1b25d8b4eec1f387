"""Forms for the settings of a family: everything in them follows from its config."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.family import Autoencoder, Config, Setting
from core.nets import BackboneConfig
from ui.choices import choice

COLUMNS = 3
FEW = 3  # choices that stand side by side
LABELS = {  # of settings whose names, being those of papers and flags, are no words to read
    "latent_dim": "Size of the code",
    "net": "Layers",
    "width": "Channels",
    "hidden": "Hidden layers",
    "lr": "Learning rate",
    "noise": "Kind of noise",
    "amount": "Amount of noise",
    "k": "Active units",
    "weight": "Weight of the penalty",
    "rho": "Mean activity",
    "warmup": "Warm-up of beta",
    "gamma": "Gradient penalty",
    "augment": "Augmentation",
}


def settings(Family: type[Autoencoder]) -> Config | None:
    """A form for the family's settings, its own before those of the backbone. None, and a word why, where they do not fit."""
    values = {one.name: one.default for one in Family.Config.settings()}
    backbone = {one.name for one in BackboneConfig.settings()} - {"latent_dim"}
    ordered = sorted(Family.Config.settings(), key=lambda one: one.name in backbone)
    row: list[Any] = []
    for one in ordered:
        asked = one.beside(values)
        values[one.name] = asked.default
        if one.acts(values):
            row = row or list(st.columns(COLUMNS, gap="medium"))
            with row.pop(0):
                values[one.name] = widget(asked, key_of(Family, one, values))
    try:
        return Family.Config(**{name: parsed(Family, name, value) for name, value in values.items()})
    except ValueError as error:
        st.error(f"These settings do not fit together: {error}.", icon=":material/tune:")
        return None


def address(Family: type[Autoencoder], values: Mapping[str, Any]) -> dict[str, str]:
    """What opens the form on these settings, by name; those that stand at their defaults need no word."""
    return {
        key_of(Family, one, dict(values)): one.text(values[one.name])
        for one in Family.Config.settings()
        if one.acts(values) and values[one.name] != one.beside(values).default
    }


def key_of(Family: type[Autoencoder], one: Setting, values: dict[str, Any]) -> str:
    """Also the name in the address. A setting whose range follows from another has one for each of its values."""
    return ".".join([Family.key, one.name, *([str(values[one.by[0]])] if one.by else [])])


def widget(one: Setting, key: str) -> Any:
    """What the visitor chose; a list of numbers comes as text."""
    label = label_of(one.name)
    hint = " ".join(filter(None, [f"{one.help}.", reach(one), f"On the command line `{one.name}`."]))
    shared: dict[str, Any] = dict(key=key, help=hint, bind="query-params")
    if one.kind is bool:
        return st.toggle(label, value=one.default, **shared)
    if one.choices and len(one.choices) <= FEW:
        return choice(label, one.choices, one.default, key=key, help=hint)
    if one.choices:
        return st.selectbox(label, one.choices, index=one.choices.index(one.default), **shared)
    if one.kind is int:
        return st.number_input(label, one.low, one.high, one.default, step=1, **shared)
    if one.kind is float:
        shown: dict[str, Any] = dict(step=step(one.default), format="%g")
        return st.number_input(label, float(one.low or 0), one.high, one.default, **shown, **shared)
    return st.text_input(label, one.text(one.default), **shared)


def label_of(name: str) -> str:
    """A word or three; the sentence is in the help beside it."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def parsed(Family: type[Autoencoder], name: str, value: Any) -> Any:
    """Raises ValueError in words."""
    one = next(one for one in Family.Config.settings() if one.name == name)
    return one.parse(value) if one.kind == tuple[int, ...] and isinstance(value, str) else value


def reach(one: Setting) -> str:
    return "" if one.low is None or one.high is None else f"From {one.low:g} to {one.high:g}."


def step(default: float) -> float:
    """A tenth of the value, rounded to a power of ten."""
    return 10.0 ** (math.floor(math.log10(default)) - 1) if default > 0 else 0.1
