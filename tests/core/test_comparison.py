from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core.comparison import MEASURES, Spread, apart, compare, score
from core.data import load
from core.families import family
from core.record import Record
from core.store import Store
from core.training import Plan

PSNR = next(measure for measure in MEASURES if measure.key == "psnr")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def scored(store: Store, key: str, seed: int, psnr: float, **changes: Any) -> Record:
    """Of a finished run whose scores follow from one number: higher is better."""
    data = load("digits")
    Family = family(key)
    plan = Plan(epochs=changes.pop("epochs", 5), seed=seed)
    run = store.create(Family(Family.Config(**changes.pop("config", {})), data.shape), plan, data)
    test = {"n": 300, "psnr": psnr, "ssim": psnr / 100, "sse": 100 - psnr, "mse": 1 - psnr / 100}
    return replace(run.record, **{"status": "completed", "metrics": {"test": test}} | changes)


def test_means_and_sample_deviations_are_over_seeds(store: Store) -> None:
    (found,) = compare([scored(store, "vanilla", seed, psnr) for seed, psnr in enumerate((20.0, 21.0, 23.0))])
    spread = found.entrants[0].spread(PSNR)
    assert spread is not None and spread.n == 3
    assert spread.mean == pytest.approx(64 / 3) and spread.deviation == pytest.approx(
        np.std([20, 21, 23], ddof=1)
    )
    assert found.verdict(PSNR) is None


def test_apart_is_where_welchs_interval_leaves_out_zero() -> None:
    rng = np.random.default_rng(0)
    told = set()
    for _ in range(200):
        a, b = rng.normal(0, 1, rng.integers(3, 6)), rng.normal(1.5, 1, rng.integers(3, 6))
        interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        one, other = (Spread(len(values), values.mean(), values.std(ddof=1)) for values in (a, b))
        assert apart(one, other) == (not interval.low <= 0 <= interval.high)
        told.add(apart(one, other))
    assert told == {True, False}


@pytest.mark.parametrize(("lead", "expected"), [(2.266, False), (2.268, True)])
def test_apart_by_hand(lead: float, expected: bool) -> None:
    """s = s' = 1 and n = n' = 3: 4 degrees of freedom, t = 2.7764 in any table, t · √(2/3) = 2.2669."""
    assert apart(Spread(3, 10.0, 1.0), Spread(3, 10.0 + lead, 1.0)) == expected
    assert apart(Spread(3, 10.0 + lead, 1.0), Spread(3, 10.0, 1.0)) == expected


def test_without_scatter_any_difference_counts_and_tiny_scatter_does_not_overflow() -> None:
    assert apart(Spread(3, 1.0, 0.0), Spread(3, 1.1, 0.0))
    assert not apart(Spread(3, 1.0, 0.0), Spread(3, 1.0, 0.0))
    assert apart(Spread(3, 1.0, 1e-110), Spread(3, 1.1, 1e-110))


def test_the_winner_lies_apart_from_all_who_have_three_seeds_and_not_only_from_the_next(store: Store) -> None:
    means = {"vanilla": (20.0, 20.1, 20.2), "vae": (19.0, 19.1, 19.2), "gan": (5.0, 18.0, 31.0)}
    runs = [
        scored(store, key, seed, psnr) for key, values in means.items() for seed, psnr in enumerate(values)
    ]
    (found,) = compare(runs)
    verdict = found.verdict(PSNR)
    assert verdict is not None and verdict.best.family == "vanilla" and verdict.ground == "too close"
    (found,) = compare(runs[:-1])  # two seeds of the wild one: it is not judged
    verdict = found.verdict(PSNR)
    assert verdict is not None and verdict.wins


def test_variants_of_a_family_are_named_by_what_differs(store: Store) -> None:
    runs = [scored(store, "vae", 0, 20.0), scored(store, "vae", 0, 21.0, config={"beta": 4.0})]
    (found,) = compare([*runs, scored(store, "vanilla", 3, 20.0)])
    assert [one.title for one in found.entrants] == [
        "Vanilla",
        "Variational (beta 1.0)",
        "Variational (beta 4.0)",
    ]


def test_budgets_are_said_in_words(store: Store) -> None:
    record = scored(store, "vanilla", 0, 20.0, epochs=1)
    timed = replace(record, plan=asdict(Plan(seconds=90)))
    assert [one.budget.title for one in compare([record])] == ["1 epoch, 32 numbers a code"]
    assert [one.budget.title for one in compare([timed])] == ["90 s on cpu, 32 numbers a code"]
    assert [one.budget.title for one in compare([replace(timed, device="cuda")])] == [
        "90 s on cuda, 32 numbers a code"
    ]


@pytest.mark.parametrize("value", [None, True, "20", 10**400, float("nan"), float("inf"), [20]])
def test_what_is_no_number_is_no_score(store: Store, value: object) -> None:
    record = replace(scored(store, "vanilla", 0, 20.0), metrics={"test": {"psnr": value}})
    assert score(record, "psnr") is None and compare([record]) == []


def test_a_family_wins_where_its_lead_is_beyond_what_seeds_scatter(store: Store) -> None:
    ahead = [scored(store, "vanilla", seed, 25 + 0.1 * seed) for seed in range(3)]
    behind = [scored(store, "vae", seed, 22 + 0.1 * seed) for seed in range(3)]
    (found,) = compare([*behind, *ahead])
    for measure in MEASURES:
        verdict = found.verdict(measure)
        assert verdict is not None and verdict.best.family == "vanilla" and verdict.wins
    assert found.sentence().startswith("Vanilla wins by MSE, SSE, PSNR and SSIM")


def test_what_scatters_more_than_it_leads_does_not_win(store: Store) -> None:
    pairs = (("vanilla", 20.5), ("vae", 20.0))
    (found,) = compare([scored(store, key, seed, mean + seed) for key, mean in pairs for seed in range(3)])
    verdict = found.verdict(PSNR)
    assert verdict is not None and verdict.best.family == "vanilla" and verdict.ground == "too close"
    assert "too close to call" in found.sentence()


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_make_no_winner_however_far_ahead(store: Store, seeds: int) -> None:
    runs = [scored(store, "vanilla", seed, 30.0 + 0.001 * seed) for seed in range(3)]
    runs += [scored(store, "vae", seed, 10.0 + 0.001 * seed) for seed in range(seeds)]
    (found,) = compare(runs)
    verdict = found.verdict(PSNR)
    assert verdict is not None and verdict.ground == "few seeds" and not verdict.wins
    assert "No winner is named, only the best of these runs" in found.sentence()


def test_three_runs_with_one_seed_are_one(store: Store) -> None:
    (found,) = compare([scored(store, key, 0, psnr) for key in ("vanilla", "vae") for psnr in (20.0, 21.0)])
    assert [one.spread(PSNR) for one in found.entrants] == [Spread(1, 21.0, None)] * 2


def test_only_equals_are_compared(store: Store) -> None:
    same = [scored(store, key, 0, 20.0) for key in ("vanilla", "sparse", "vae")]  # of 512 units 32 speak
    other = [
        scored(store, "vanilla", 1, 20.0, epochs=6),
        scored(store, "vanilla", 1, 20.0, config={"latent_dim": 16}),
        scored(store, "vanilla", 2, 20.0, status="stopped"),
        scored(store, "vanilla", 3, 20.0, origin="another"),
        scored(store, "vanilla", 4, 20.0, metrics={"test": {"psnr": "<b>high</b>"}}),
    ]
    restorer = replace(same[0], family="photo_denoiser", shape=(3, 32, 32), config={})
    found = compare([*other, *same, restorer])
    assert [one.family for one in found[0].entrants] == ["vanilla", "sparse", "vae"]
    assert [len(one.entrants) for one in found] == [3, 1, 1]
