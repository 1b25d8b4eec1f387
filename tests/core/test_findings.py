from __future__ import annotations

import csv
import io
import math

import pytest
import torch
from scipy import stats

from core.findings import (
    METRICS,
    NOTHING,
    Entry,
    amidst,
    area,
    as_csv,
    at,
    difference,
    finding,
    harmless,
    interval,
    over_seeds,
    relative_error,
    sentence,
    share,
    shown,
)
from core.robustness import Measured, Protocol

TWO = Protocol(pictures=50, seeds=3, corruptions=("gaussian", "shot"))
PSNR, MSE, DRIFT = METRICS["psnr"], METRICS["mse"], METRICS["drift"]


def drawn(mean: float, n: int = 50, seed: int = 0, noise: float = 0.1) -> Measured:
    """Errors around `mean`, scattered by `noise` of it from picture to picture."""
    rng = torch.Generator().manual_seed(seed)
    return Measured(mse=mean * (1 + noise * torch.rand(2, 6, n, generator=rng)))


def idle(n: int = 50) -> Measured:
    found = drawn(0.05, n)
    found.mse[:, 0] = 0
    return found


def entry(key: str, found: Measured, **more: object) -> Entry:
    return Entry(key, key.title(), found, **more)


def test_names_and_letters_that_stand_for_words_stay_large() -> None:
    titles = ("Gaussian noise", "JPEG", "Salt and pepper", "Code drift", "PSNR")
    assert [amidst(title) for title in titles] == [
        "Gaussian noise",
        "JPEG",
        "salt and pepper",
        "code drift",
        "PSNR",
    ]


def test_a_few_undamaged_pictures_leave_a_cell_finite() -> None:
    mse = torch.full((1, 6, 4), 0.01)
    mse[0, 0], mse[0, 1, 0] = 0.0, 0.0
    idle, other = Measured(mse=mse), Measured(mse=torch.full((1, 6, 4), 0.001))
    rounded = -10 * math.log10(1 / 12 / 255**2)
    assert at(idle, "psnr", 0, 0).mean == math.inf
    assert at(idle, "psnr", 0, 1).mean == pytest.approx((rounded + 3 * 20) / 4)
    assert difference(idle, other, "psnr", 0, 0).mean == math.inf
    assert difference(idle, other, "psnr", 0, 1).mean == pytest.approx((rounded + 3 * 20) / 4 - 30)


def test_one_picture_has_no_sure_lead() -> None:
    one, other = (Entry(key, key, drawn(mse, 1)) for key, mse in (("a", 0.01), ("b", 0.02)))
    found = finding([one, other], METRICS["mse"], 0, 1)
    assert "nan" not in sentence(found, METRICS["mse"], "gaussian", 1)


def test_an_interval_is_students() -> None:
    values = torch.randn(20, generator=torch.Generator().manual_seed(0)).double()
    found = interval(values)
    low, high = stats.t.interval(0.95, 19, values.mean().item(), stats.sem(values.numpy()))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert math.isnan(interval([1.0]).half) and interval([1.0]).mean == 1
    assert interval([1.0, math.inf]).mean == math.inf


def test_a_share_has_wilsons_interval_on_its_longer_side() -> None:
    """Two-sided 95 %, as `scipy.stats` has it; where all are right there is doubt as well."""
    for right, n in ((100, 100), (98, 100), (297, 300), (0, 40), (20, 40)):
        found = share((torch.arange(n) < right).float())
        low, high = stats.binomtest(right, n).proportion_ci(0.95, "wilson")
        assert found.mean == right / n and found.half == pytest.approx(max(high - right / n, right / n - low))
    certain = Measured(mse=torch.zeros(1, 6, 50), probe=torch.ones(1, 6, 50))
    halves = share(torch.tensor([0.5] * 10 + [1.0] * 10))  # a spread of a third of that of ones and zeros
    assert halves.half == pytest.approx(share(torch.arange(60) % 4 > 0).half)
    assert at(certain, "probe", 0, 1).half == pytest.approx(1 - 50 / (50 + 1.959964**2))


def test_intervals_hold_the_truth_95_times_in_a_hundred() -> None:
    rng = torch.Generator().manual_seed(1)
    inside = 0
    for _ in range(2_000):
        found = interval(torch.randn(8, generator=rng))
        inside += found.low <= 0 <= found.high
    assert inside / 2_000 == pytest.approx(0.95, abs=0.015)


def test_differences_are_paired() -> None:
    """Pictures differ by much, methods by little, always in one direction: pairing sees it, two intervals do not."""
    hard = torch.rand(2, 6, 50, generator=torch.Generator().manual_seed(0))
    a, b = Measured(mse=hard), Measured(mse=hard + 0.001)
    found = difference(a, b, "mse", 0, 3)
    assert found.mean == pytest.approx(-0.001, abs=1e-6) and found.leaves_out_zero
    assert at(a, "mse", 0, 3).high > at(b, "mse", 0, 3).low


def test_a_difference_is_over_the_pictures_that_both_saw() -> None:
    found = difference(drawn(0.01, 50), drawn(0.02, 10), "mse", 0, 1)
    assert found.n == 10
    assert difference(drawn(0.01), drawn(0.02), "drift", 0, 1) is None


def test_areas_of_psnr_are_over_the_same_levels_for_everybody() -> None:
    """Who is like doing nothing under damage, and worse on clean pictures, is not to look better than it."""
    like = idle().mse.clone()
    like[:, 0] = 0.01
    assert area(Measured(mse=like), "psnr", 1) == area(idle(), "psnr", 1)


def test_areas_are_the_trapezoid_rule() -> None:
    found = drawn(0.01)
    expected = torch.trapezoid(found.mse[1].double(), dim=0) / 5
    assert area(found, "mse", 1).mean == pytest.approx(expected.mean().item())
    damaged = idle().values("psnr")[1, 1:].double()
    expected = torch.trapezoid(damaged, dim=0) / 4
    assert area(idle(), "psnr", 1).mean == pytest.approx(expected.mean().item())
    assert area(found, "drift", 0) is None


def test_the_relative_error_is_the_mean_of_ratios_of_sums() -> None:
    found, other = drawn(0.02, seed=1), idle()
    ratios = [found.mse[k, 1:].sum() / other.mse[k, 1:].sum() for k in (0, 1)]
    score = relative_error(found, other, (0, 1))
    assert score.mean == pytest.approx(100 * sum(ratios).item() / 2, rel=1e-5)
    assert relative_error(other, other, (0, 1))[:2] == pytest.approx((100, 0), abs=1e-9)


def test_the_interval_of_the_relative_error_is_that_of_a_bootstrap() -> None:
    found, other = drawn(0.02, seed=1, noise=2.0), idle()
    rng = torch.Generator().manual_seed(2)
    again = []
    for _ in range(1_000):
        chosen = torch.randint(0, 50, (50,), generator=rng)
        again.append(
            relative_error(
                Measured(mse=found.mse[:, :, chosen]), Measured(mse=other.mse[:, :, chosen]), (0, 1)
            ).mean
        )
    width = torch.tensor(again).std().item() * stats.t.ppf(0.975, 49)
    assert relative_error(found, other, (0, 1)).half == pytest.approx(width, rel=0.1)


# --- findings ---------------------------------------------------------------------------------------------------


def told(*entries: Entry, metric=PSNR, level: int = 3) -> str:
    return sentence(finding(entries, metric, 0, level), metric, "gaussian", level)


def test_the_best_is_named_with_its_numbers_and_what_it_learnt_with() -> None:
    words = told(
        entry("denoising", drawn(0.004, seed=1), trained_on=("gaussian",), family="denoising"),
        entry("vanilla", drawn(0.02, seed=2), family="vanilla"),
        entry(NOTHING, idle()),
    )
    best = at(drawn(0.004, seed=1), "psnr", 0, 3)
    assert words.startswith(
        f"**Denoising** has the best PSNR at level 3 of Gaussian noise: {shown(best)} dB, doing nothing"
    )
    assert "is ahead of Vanilla" in words and "trained on this damage" in words
    assert "speaks of this run" in words


def test_no_lead_is_claimed_where_the_interval_holds_zero() -> None:
    words = told(
        entry("one", drawn(0.0100, seed=1, noise=1.0), family="vanilla"),
        entry("two", drawn(0.0101, seed=2, noise=1.0), family="vae"),
    )
    assert "is not surely ahead of" in words


def test_on_clean_pictures_doing_nothing_wins_and_that_is_said() -> None:
    words = told(entry("vanilla", drawn(0.004), family="vanilla"), entry(NOTHING, idle()), level=0)
    assert "clean pictures **doing nothing** is best" in words


def test_a_family_speaks_through_three_training_seeds() -> None:
    siblings = tuple(drawn(0.004, seed=seed) for seed in range(3))
    one = entry("vanilla", siblings[0], family="vanilla", siblings=siblings)
    found = over_seeds(one, PSNR, 0, 3)
    assert found.n == 3
    assert found.mean == pytest.approx(sum(at(each, "psnr", 0, 3).mean for each in siblings) / 3)
    assert "Over 3 training seeds" in told(one, entry(NOTHING, idle()))
    assert over_seeds(entry("vanilla", siblings[0], siblings=siblings[:2]), PSNR, 0, 3) is None


def test_lower_is_better_where_it_is() -> None:
    small, large = (
        Measured(mse=torch.full((2, 6, 9), 0.1), drift=torch.rand(2, 6, 9)),
        Measured(mse=torch.full((2, 6, 9), 0.1), drift=1 + torch.rand(2, 6, 9)),
    )
    assert finding([entry("large", large), entry("small", small)], DRIFT, 0, 2).best.key == "small"
    assert finding([entry("none", drawn(0.1))], DRIFT, 0, 2) is None


def test_methods_of_few_pictures_do_not_win() -> None:
    found = finding([entry("tv", drawn(0.001, n=5)), entry("vanilla", drawn(0.01))], MSE, 0, 2)
    assert found.best.key == "vanilla"


def test_but_are_named_where_nobody_is_surely_ahead_of_them() -> None:
    """On the pictures that they saw, paired."""
    best = entry("vanilla", drawn(0.01, seed=1))
    few = drawn(0.001, n=5)
    words = told(best, entry("tv", few), entry("nl-means", drawn(0.005, n=5)))
    lead = difference(best.measured, few, "psnr", 0, 3)
    assert "of all that was measured on 50 pictures: " in words
    assert f"**Tv is ahead of it** on the 5 pictures that it was measured on: {-lead.mean:.2f}" in words
    assert "not surely ahead of Tv, which was measured on 5 pictures" in told(
        best, entry("tv", drawn(0.01, n=5, seed=2))
    )
    assert "Tv" not in told(best, entry("tv", drawn(0.1, n=5)))
    assert "Tv" not in told(best, entry("tv", drawn(0.1, n=5)), metric=MSE)
    assert "Tv is ahead" in told(best, entry("tv", few), metric=MSE)


# --- the table --------------------------------------------------------------------------------------------------


def test_the_table_has_every_cell_and_a_name_is_no_formula() -> None:
    entries = [Entry("@cmd", "=cmd()", drawn(0.01), ("shot",), family="vanilla"), entry(NOTHING, idle())]
    table = list(csv.DictReader(io.StringIO(as_csv(entries, TWO, (1, 28, 28)))))
    assert len(table) == 2 * 2 * 6 * 2  # methods, corruptions, levels, metrics
    row = next(
        one for one in table if (one["corruption"], one["level"], one["metric"]) == ("shot", "2", "mse")
    )
    assert (
        row["method"] == "'@cmd"
        and row["title"] == "'=cmd()"
        and row["scale"] == "ImageNet-C"
        and row["amount"] == "25"
    )
    assert row["trained_on"] == "shot" and row["n"] == "50" and row["noise_seeds"] == "3"
    assert float(row["mean"]) == pytest.approx(at(entries[0].measured, "mse", 1, 2).mean)
    assert float(row["low"]) < float(row["mean"]) < float(row["high"])


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1"])
def test_what_a_spreadsheet_may_take_for_a_formula_becomes_text(text: str) -> None:
    assert harmless(text) == f"'{text}" and harmless(f"a{text}") == f"a{text}"
