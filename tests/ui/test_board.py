"""What the board says of a code."""

from __future__ import annotations

from core.families import Sparse
from ui.board import code_size


def test_what_a_sparse_code_saves_counts_the_names_of_its_units() -> None:
    model = Sparse(Sparse.Config(latent_dim=512, k=32), (1, 28, 28))
    assert code_size(model) == "32 of 512 numbers + 9 bits each · 4.8× smaller"
    model.active.zero_()  # as of units that have all died
    assert code_size(model).startswith("0 of 512 numbers · ")
