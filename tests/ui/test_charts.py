from __future__ import annotations

import pytest

from ui.charts import FEWEST, ticks


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.00002, 0.002], [0.00003, 0.0001, 0.0003, 0.001]),
        ([1e-6, 10], [1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10]),
        ([0.06, None, 0.63], [0.1, 0.2, 0.5]),
        ([0.003, 0.048], [0.003, 0.01, 0.03]),
        ([2.1, 5.5], [3, 4, 5]),
    ],
)
def test_a_few_round_numbers_stand_on_the_axis(values: list[float | None], expected: list[float]) -> None:
    assert ticks(values) == pytest.approx(expected)
    assert FEWEST <= len(expected) <= 8


@pytest.mark.parametrize("values", [[], [None], [0.0, 1.0], [-1.0, 1.0], [1.01, 1.02]])
def test_where_there_are_none_the_chart_chooses(values: list[float | None]) -> None:
    assert ticks(values) is None
