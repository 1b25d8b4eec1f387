"""Whose turn it is to work in the server."""

from __future__ import annotations

import os

import pytest
import torch

from core import training
from ui import work


class Left(BaseException):
    """As Streamlit raises it where a rerun is due."""


class Message:
    def info(self, *_: object, **__: object) -> None: ...

    def empty(self) -> None:
        raise Left


def turn_is_free() -> bool:
    free = work.turn.acquire(blocking=False)
    if free:
        work.turn.release()
    return free and work._waiting == []


def test_who_leaves_as_their_turn_comes_gives_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work.st, "empty", Message)
    with pytest.raises(Left), work.alone():
        pytest.fail("has left already")
    assert turn_is_free()


def test_who_works_has_the_turn_and_gives_it_back_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Message, "empty", lambda self: None)
    monkeypatch.setattr(work.st, "empty", Message)
    with work.alone():
        assert not turn_is_free()
    assert turn_is_free()
    with pytest.raises(ZeroDivisionError), work.alone():
        raise ZeroDivisionError
    assert turn_is_free()


@pytest.mark.parametrize(("load", "threads"), [(0.2, 8), (1.4, 7), (7.4, 1), (30.0, 1)])
def test_photographs_take_the_cores_that_nobody_uses(
    load: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    with work.on_free_cores():
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 1


def test_a_system_without_a_load_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert training.free_cores() == 1
