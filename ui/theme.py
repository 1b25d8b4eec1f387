"""The colours of the families. A family has the colour of its place in teaching order, on every page and in every chart."""

from __future__ import annotations

from core import glance

# Apart for every kind of colour vision, and 3:1 against the light and the dark background; chosen by a search, as
# docs/decisions tells. Charts take the same list from .streamlit/config.toml.
COLOURS = ("#73631c", "#0462d3", "#2ba287", "#d37812", "#9781da", "#a03f81", "#9a6460", "#6682aa")


def colour(family_key: str) -> str:
    """As "#rrggbb"; from the ninth family on the colours come round again. Restorers, never beside families, have the last."""
    keys = [card.key for card in glance.cards()]
    if family_key in keys:
        return COLOURS[keys.index(family_key) % len(COLOURS)]
    from core.families import RESTORERS  # slow, and asked for only where the families are there already

    others = [one.key for one in RESTORERS]
    return COLOURS[-1 - others.index(family_key)] if family_key in others else COLOURS[-1]
