"""What `benchmarks.speed` makes of its measurements; the measuring itself needs pythae."""

from __future__ import annotations

import torch

from benchmarks.speed import Speed, table, taking_turns

CPU = torch.device("cpu")


def test_ratios_are_taken_repeat_by_repeat() -> None:
    """Ours is twice or thrice as fast in every repeat, however slow the machine was."""
    pace = [(400.0, 200.0), (100.0, 50.0), (300.0, 150.0), (300.0, 100.0)]
    repeats = [{"ours": Speed(ours), "pythae": Speed(theirs)} for ours, theirs in pace]
    assert table(repeats).splitlines() == [
        "| side | images/s | ours is … times as fast | extremes |",
        "|---|---|---|---|",
        "| ours | 300 | 1.00 | 1.00–1.00 |",
        "| pythae | 125 | 2.00 | 2.00–3.00 |",
    ]


def test_memory_has_a_column_where_there_is_any() -> None:
    repeats = [{"ours": Speed(2.0, peak=peak)} for peak in (3_000_000, 4_600_000)]
    assert table(repeats).splitlines()[0].endswith("| peak MB |")
    assert table(repeats).splitlines()[-1].endswith("| 5 |")


def test_sides_go_forwards_and_backwards_and_keep_their_order_in_the_table() -> None:
    went = []

    def side(name: str) -> dict[str, float]:
        went.append(name)
        return {name: 1.0}

    repeats = list(taking_turns([lambda: side("ours"), lambda: side("pythae")], 2, CPU))
    assert went == ["ours", "pythae", "pythae", "ours"]
    assert [list(one) for one in repeats] == [["ours", "pythae"]] * 2
