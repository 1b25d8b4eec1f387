"""What all tests share. Toy data are in `tests.toy`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from streamlit import config

config.set_option("client.showErrorDetails", "full")  # the app itself shows an audience less

# the same sums in the same order on every machine, and no two cores fighting over small nets
torch.set_num_threads(1)

if os.name == "posix":
    import fcntl

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
        """Whoever holds a page to seconds runs alone: the tests of other processes end first, and their next ones wait."""
        with open(__file__) as turn:
            fcntl.flock(turn, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
            try:
                return (yield)
            finally:
                fcntl.flock(turn, fcntl.LOCK_UN)  # for processes, too, that the test has left behind


@pytest.fixture
def rng() -> torch.Generator:
    """The same random numbers in every test."""
    return torch.Generator().manual_seed(0)
