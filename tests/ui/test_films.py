"""Films take seconds: whoever asks for one waits for the turn."""

from __future__ import annotations

import pytest

from core.store import Store
from tests.serving import ROOT
from ui import watch, work
from ui.sampling import below


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a film, whether the turn was free when it was made."""
    for module, name in ((watch, "gif"), (below, "gif"), (below, "webp")):
        monkeypatch.setattr(module, name, lambda *_: bytes([work.turn.acquire(blocking=False)]))


@pytest.mark.parametrize("kind", ["GIF", "WebP"])
def test_of_the_way_between_two_pictures(kind: str) -> None:
    assert below.moving([], kind) == b"\0"


def test_of_a_training() -> None:
    run = Store(ROOT / "models_store").runs()[0]
    assert watch.film(run, None) == b"\0"
