"""What all tests share. Toy data are in `tests.toy`."""

from __future__ import annotations

import pytest
import torch
from streamlit import config

config.set_option("client.showErrorDetails", "full")  # the app itself shows an audience less

# the same sums in the same order on every machine, and no two cores fighting over small nets
torch.set_num_threads(1)


@pytest.fixture
def rng() -> torch.Generator:
    """The same random numbers in every test."""
    return torch.Generator().manual_seed(0)
