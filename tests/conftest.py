"""What all tests share. Toy data are in `tests.toy`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO

import pytest
import torch
from streamlit import config

from ui import memory

config.set_option("client.showErrorDetails", "full")  # the app itself shows an audience less

# the same sums in the same order on every machine, and no two cores fighting over small nets
torch.set_num_threads(1)

Alone = Callable[[], AbstractContextManager[None]]

if os.name == "posix":
    import fcntl

    TURN = pytest.StashKey[IO[str]]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
        """Tests of several processes run side by side, save where one of them asks to be `alone`."""
        with open(__file__) as turn:
            item.stash[TURN] = turn
            fcntl.flock(turn, fcntl.LOCK_SH)
            try:
                return (yield)
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)  # for processes, too, that the test has left behind

    @pytest.fixture
    def alone(request: pytest.FixtureRequest) -> Alone:
        """`with alone():` around what is about seconds: the tests of other processes end first, and their next ones wait."""

        @contextmanager
        def apart() -> Iterator[None]:
            turn = request.node.stash[TURN]
            fcntl.flock(turn, fcntl.LOCK_EX)  # the shared lock goes first: two that ask at once take turns
            try:
                yield
            finally:
                fcntl.flock(turn, fcntl.LOCK_SH)

        return apart


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """What the server keeps for all visitors, no test finds."""
    memory._memory.clear()


@pytest.fixture(autouse=True)
def the_same_chance() -> None:
    """Whatever ran before in this process: what a test draws without a generator is the same every time."""
    torch.manual_seed(0)


@pytest.fixture
def rng() -> torch.Generator:
    """The same random numbers in every test."""
    return torch.Generator().manual_seed(0)
