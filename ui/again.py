"""Where Train opens on what a run was made with: the same settings, or those that somebody advises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.families import FAMILIES
from core.store import Run
from core.training import LIMITS, Plan
from ui import datasets, forms

UNCHANGED: Mapping[str, Any] = {}


def address(run: Run, changes: Mapping[str, Any] = UNCHANGED) -> dict[str, str]:
    """The words behind the page's address. `changes` are settings by name, and "epochs" or "seconds" for the length.

    Empty for a restorer of photographs, and for pictures that the page does not offer.
    """
    Family = next((one for one in FAMILIES if one.key == run.record.family), None)
    data = datasets.address(run.record.dataset["name"])
    if Family is None or not data:
        return {}
    kinds = {one.name: one.kind for one in Family.Config.settings()}
    settings = {name: getattr(run.record.settings(), name) for name in kinds}
    settings |= {name: kinds[name](value) for name, value in changes.items() if name in kinds}
    return {
        "family": Family.title,
        **data,
        **length(run.record.training_plan(), changes),
        **forms.address(Family, settings),
    }


def length(plan: Plan, changes: Mapping[str, Any]) -> dict[str, str]:
    """Budget, pictures a step and seed."""
    rest = {"batch": str(plan.batch_size), "seed": str(plan.seed)}
    _, fewest, most = LIMITS["epochs"]
    seconds = changes.get("seconds", None if "epochs" in changes else plan.seconds)
    if seconds is not None:
        return {"budget": "Minutes", "minutes": f"{seconds / 60:.9g}", **rest}
    epochs = changes.get("epochs", plan.epochs)
    return {"budget": "Epochs", "epochs": str(int(min(max(fewest, epochs), most))), **rest}
