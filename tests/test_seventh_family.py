"""A seventh family is one file (`tests/rae.py`) and one entry in the registry; every promise then holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core import families
from core.__main__ import main
from core.store import Store
from core.training import Plan, train
from tests import toy
from tests.rae import RAE
from tests.test_contract import *  # noqa: F403  the contract's tests, fixtures and parametrisation
from tests.test_contract import pictures, small

UNDER_TEST = (RAE,)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, RAE))


def test_the_registry_finds_it() -> None:
    assert families.family("rae") is RAE
    with pytest.raises(ValueError, match=r"no family 'rea'; there are .*, gan, rae, "):
        families.family("rea")


def test_the_command_line_lists_it_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["families", "--json"]) == 0
    (it,) = (one for one in json.loads(capsys.readouterr().out) if one["key"] == RAE.key)
    assert it["settings"]["weight"] == 0.01


def test_the_store_keeps_a_run_of_it(tmp_path: Path) -> None:
    data = toy.dataset((1, 8, 8), train=64, held_out=16)
    run = Store(tmp_path).create(RAE(small(RAE), data.shape), Plan(epochs=1, threads=1), data)
    training = run.begin(torch.device("cpu"))
    for _ in run.record_events(train(training, data), training):
        pass
    loaded, x = Store(tmp_path).run(run.id).load(), pictures(data.shape)
    with torch.no_grad():
        assert torch.equal(loaded.reconstruct(x), training.model.reconstruct(x))
