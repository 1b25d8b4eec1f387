"""The doctor finds what is wrong with models made ill on purpose, and accuses no well trained one of what it has not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core import data, evaluation, judge, report
from core.dataset import Dataset, Split
from core.doctor import ILLNESSES, Finding, Patient, diagnose, evened, patient
from core.families.contractive import Contractive
from core.families.denoising import Denoising
from core.families.gan import GAN
from core.families.sparse import Sparse
from core.families.vae import VAE
from core.families.vanilla import Vanilla
from core.family import Autoencoder, Player, adam
from core.generation import survey
from core.pictures import as_floats
from core.run import Run
from core.store import Store
from core.training import EpochEnded, Plan, Training, train
from tests.serving import ROOT
from tests.toy import QUICK

BOX = [run for run in Store(ROOT / "models_store").runs() if (run.folder / "shipped").is_dir()]
DIGITS = data.load("digits")
SMALL = QUICK | {"latent_dim": 8}
Train = Callable[..., Run]


@pytest.fixture
def trained(tmp_path: Path) -> Train:
    """A run of digits, trained for so many epochs of 40 steps, as any other run is."""

    def trained(
        kind: type[Autoencoder],
        epochs: int,
        data: Dataset = DIGITS,
        stop_after: float = math.inf,
        **config: Any,
    ) -> Run:
        plan = Plan(epochs=epochs, batch_size=32, previews=0, threads=1)
        training = Training(kind(kind.Config(**SMALL | config), data.shape), plan)
        run = Store(tmp_path).create(training.model, plan, data)
        for _ in run.record_events(train(training, data, lambda: training.epoch >= stop_after), training):
            pass
        return Run.open(run.folder)

    return trained


def evaluated(run: Run, *, drawn: judge.Judge | None = None, data: Dataset = DIGITS) -> Run:
    """The sections of a report that are fast; with a judge, what it says of drawn pictures."""
    model = run.load()
    found = {"reconstruction": report.reconstruction(model, data)}
    if isinstance(model, VAE):
        found["vae"] = report.likelihood(model, data.test, 0, 2, 50, lambda fraction: None)
    if isinstance(model, Sparse):
        found["sparse"] = report.sparsity(model, data.test, evaluation.codes(model, data.test))
    report.keep(run, found | (survey(model, data, drawn) if drawn is not None else {}))
    return run


@pytest.fixture(scope="module")
def digits_judge() -> judge.Judge:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "EPOCHS", (2, 12))
        return judge.trained(DIGITS)


def findings(run: Run) -> dict[str, Finding]:
    return {found.key: found for found in diagnose(patient(run))}


def some(count: int) -> Dataset:
    """Digits with few training pictures, and fifty to validate on."""
    first = Split(DIGITS.train.images[:count], DIGITS.train.labels[:count])
    part = Split(DIGITS.validation.images[:50], DIGITS.validation.labels[:50])
    return replace(DIGITS, train=first, validation=part)


# --- the healthy ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Vanilla, Denoising, Sparse, Contractive, VAE, GAN])
def test_a_well_trained_model_is_not_accused(
    trained: Train, digits_judge: judge.Judge, kind: type[Autoencoder]
) -> None:
    config = {"latent_dim": 32, "sparsity": "kl", "rho": 0.2} if kind is Sparse else {}
    run = evaluated(trained(kind, 16, **config), drawn=digits_judge)
    assert patient(run).report is not None and findings(run) == {}


def test_nor_is_the_code_of_the_largest_units_in_the_box() -> None:
    """After 300 epochs; after some seconds, as the other tests train, a fifth of the units and more are dead indeed."""
    run = Store(ROOT / "models_store").run("digits-sparse")
    found = report.sparsity(model := run.load(), DIGITS.test, evaluation.codes(model, DIGITS.test))
    keys = {one.key for one in diagnose(replace(patient(run), report={"sparse": found}))}
    assert found["dead"] > 0 and not keys & {"dead-units", "fixed-units"}


KNOWN = {  # in the box, and true
    "memorising": ("digits-contractive", "digits-sparse", "digits-vanilla", "emoji-vae", "emoji-vanilla"),
    "critic-by-heart": ("digits-gan",),
    "weak-kl": (
        "mnist-vae-2-beta-0",
        "mnist-vae-16-beta-0",
        "fashion-mnist-vae-2-beta-0",
        "fashion-mnist-vae-16-beta-0",
    ),
    "strong-kl": ("mnist-vae-16-beta-10", "fashion-mnist-vae-16-beta-10"),
}


BY_REPORT = {"dead-units": ("mnist-sparse",)}  # of those that were examined


@pytest.mark.parametrize("run", BOX, ids=lambda run: run.id)
def test_what_the_box_has_shows_in_its_history(run: Run) -> None:
    seen = replace(patient(run), report=None)
    known = [key for key, runs in KNOWN.items() if run.id in runs]
    assert [found.key for found in diagnose(seen)] == known
    more = [key for key, runs in BY_REPORT.items() if run.id in runs]
    assert {found.key for found in diagnose(patient(run))} == {*known, *more}


def test_the_box_has_reports() -> None:
    assert sum(patient(run).report is not None for run in BOX) >= 6


# --- the ill ----------------------------------------------------------------------------------------------------


def test_a_crushing_kl_weight_empties_the_code(trained: Train) -> None:
    run = trained(VAE, 4, beta=100.0)
    found = findings(run)["posterior-collapse"]
    assert "nats" in found.evidence and "beta from 100 to 1" in found.advice
    assert "Active numbers: " in findings(evaluated(run))["posterior-collapse"].evidence


def test_one_number_of_many_is_hardly_a_code_and_one_of_two_may_be_all_it_takes() -> None:
    """As beta 10 left it on MNIST; 19 of 50, as in Burda et al. 2016, is no illness."""

    def seen(active: int, numbers: int) -> list[str]:
        measured = {"kl": 2.2, "active": active, "numbers": numbers}
        return [found.key for found in diagnose(Patient("vae", {"beta": 1.0}, {}, [], {"vae": measured}))]

    assert seen(1, 16) == ["posterior-collapse"] and seen(1, 2) == seen(19, 50) == []


def test_a_code_under_pressure_keeps_less_than_pca(trained: Train) -> None:
    run = evaluated(trained(VAE, 16, beta=2.0))
    found = findings(run)["strong-kl"]
    assert "PCA" in found.evidence and "beta from 2 to 1" in found.advice


def test_a_code_without_a_prior_leaves_gaps(trained: Train) -> None:
    found = findings(trained(VAE, 16, beta=0.0, latent_dim=4))["weak-kl"]
    assert "each number of the code" in found.evidence and "beta from 0 to 1" in found.advice


def test_a_weight_that_would_be_as_weak_as_one_is_not_to_blame() -> None:
    """Digits have 5 of 32 active numbers, and no less error than PCA, with beta 1 already."""

    def seen(beta: float) -> list[str]:
        measured = {
            "vae": {"kl": 5.0, "active": 5, "numbers": 32},
            "reconstruction": {"sse": 1.9, "pca_sse": 1.5},
        }
        return [found.key for found in diagnose(Patient("vae", {"beta": beta}, {}, [], measured))]

    assert seen(1.0) == seen(1.5) == [] and seen(2.0) == ["strong-kl"]


def test_units_that_never_get_a_turn_are_dead(trained: Train) -> None:
    found = findings(evaluated(trained(Sparse, 4, latent_dim=128, k=2)))["dead-units"]
    assert "of 128" in found.evidence and "k from 2 to 4" in found.advice


def test_a_crushing_penalty_leaves_the_same_units_for_every_picture(trained: Train) -> None:
    found = findings(evaluated(trained(Sparse, 4, latent_dim=128, sparsity="l1", weight=1000.0)))
    assert "every test picture" in found["fixed-units"].evidence
    assert "weight from 1000 to 330" in found["fixed-units"].advice


def test_chance_leaves_units_silent_over_few_pictures() -> None:
    """32 of 512 units speak, any of them: of 20 pictures 27 % of the units hear nothing, of 200 none."""

    def seen(dead: float, n: int, always: float = 0.0) -> list[str]:
        measured = {"dead": dead, "always_on": always, "units": 512, "l0": 32.0, "n": n}
        config = {"sparsity": "topk", "k": 32}
        return [found.key for found in diagnose(Patient("sparse", config, {}, [], {"sparse": measured}))]

    rng = torch.Generator().manual_seed(0)
    for n in (10, 20, 50, 200):
        ranks = torch.rand(n, 512, generator=rng).argsort(1).argsort(1)
        assert seen(1 - (ranks < 32).any(0).double().mean().item(), n) == []
    assert seen(0.27, 20) == [] and seen(0.27, 200) == ["dead-units"]
    assert seen(0.0, 1, always=32 / 512) == [] and seen(0.0, 60, always=32 / 512) == ["fixed-units"]


def test_a_crushing_penalty_is_told_from_a_short_training(trained: Train) -> None:
    run = evaluated(trained(Contractive, 24, weight=1000.0))
    found = findings(run)
    assert "PCA" in found["strong-penalty"].evidence and "under-training" not in found
    assert "weight from 1000 to 330" in found["strong-penalty"].advice
    short = evaluated(trained(Contractive, 1, weight=0.1))
    assert "under-training" in findings(short) and "strong-penalty" not in findings(short)


class Unopposed(GAN):
    """A generator whose critic stands still: it finds the one picture that pleases it most."""

    def players(self) -> tuple[Player, ...]:
        _, generator, encoder = super().players()
        return Player("critic", self.critic, adam(1e-7)), generator, encoder


class Still(GAN):
    """A generator that stands still."""

    def players(self) -> tuple[Player, ...]:
        critic, _, encoder = super().players()
        return critic, Player("generator", self.generator, adam(1e-7)), encoder


def test_a_generator_without_a_critic_draws_the_same_again_and_again(
    trained: Train, digits_judge: judge.Judge
) -> None:
    found = findings(evaluated(trained(Unopposed, 4), drawn=digits_judge))["mode-collapse"]
    assert "as much as the data" in found.evidence and "gamma from 0.1 to 1" in found.advice


def test_a_penalty_that_paralyses_the_critic_is_lowered(trained: Train, digits_judge: judge.Judge) -> None:
    found = findings(evaluated(trained(GAN, 4, gamma=1000.0), drawn=digits_judge))["mode-collapse"]
    assert "gamma from 1000 to 100" in found.advice


def test_a_missing_class_is_named_once_the_judge_is_sure() -> None:
    drawn = {"diversity": 0.9, "recall": 0.6, "sure": 0.95, "classes": [0.69, 0.005, 0.3, 0.005]}
    usual = {"classes": [0.4, 0.25, 0.34, 0.01], "n": 1_000}
    sections = {"gaussian": drawn, "judge": usual}
    ill = Patient("gan", {"game": "wgan-gp", "lr": 3e-3}, {}, [], sections, samples="gaussian")
    (found,) = diagnose(ill)
    assert "hardly any show class 2." in found.evidence and "lr from 0.003 to 0.001" in found.advice
    named = replace(ill, classes=("bags", "boots", "coats", "rare"))
    assert "hardly any show boots." in diagnose(named)[0].evidence
    unsure = sections | {"gaussian": drawn | {"sure": 0.5}}
    for healthy in (
        replace(ill, report=unsure),
        replace(ill, samples="mixture"),
        replace(ill, report={"gaussian": drawn}),
        replace(ill, report=sections | {"judge": usual | {"n": 30}}),  # chance may leave out 7 or 8 pictures
    ):
        assert diagnose(healthy) == []


def test_few_neighbours_are_no_collapse_while_pictures_vary() -> None:
    """As two numbers per code have it."""
    drawn = {"diversity": 0.98, "recall": 0.05, "sure": 0.91, "classes": [0.4, 0.6]}
    sections = {"gaussian": drawn, "judge": {"classes": [0.5, 0.5], "n": 500}}
    assert diagnose(Patient("vae", {}, {}, [], sections, samples="gaussian")) == []


class Forgetful(GAN):
    """Draws and rebuilds pictures as they come, but never a seven."""

    def parrot(self, n: int) -> Tensor:
        some = DIGITS.train.images[DIGITS.train.labels != 7]
        return as_floats(
            some[torch.randint(len(some), (n,), generator=torch.Generator().manual_seed(n)).numpy()]
        )

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.parrot(n)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.parrot(len(x))


def test_a_generator_that_never_learnt_a_class_lacks_it(trained: Train, digits_judge: judge.Judge) -> None:
    """Neither can it rebuild one: what test pictures hold is asked of test pictures."""
    run = evaluated(trained(GAN, 16))
    model = Forgetful(GAN.Config(**SMALL), DIGITS.shape)
    model.load_state_dict(run.load().state_dict())
    report.keep(run, survey(model, DIGITS, digits_judge))
    assert "hardly any show 7." in findings(run)["mode-collapse"].evidence


def test_a_critic_without_an_opponent_saturates(trained: Train) -> None:
    found = findings(trained(Still, 6))["saturated-critic"]
    assert "1.39 is a tie" in found.evidence and "gamma from 0.1 to 1" in found.advice


def test_the_loss_of_a_wasserstein_critic_is_a_distance(trained: Train) -> None:
    assert "saturated-critic" not in findings(trained(Still, 6, game="wgan-gp"))


def test_a_critic_that_has_seen_thirty_pictures_knows_them(trained: Train) -> None:
    found = findings(trained(GAN, 300, some(32)))["critic-by-heart"]
    assert "validation" in found.evidence and "augment from false to true" in found.advice


def test_one_epoch_is_too_little(trained: Train) -> None:
    run = trained(Vanilla, 1)
    found = findings(run)["under-training"]
    assert "after 40 steps, in 1 epoch" in found.evidence and "4 epochs instead of 1" in found.advice
    assert "PCA with 8 numbers" in findings(evaluated(run))["under-training"].evidence


def test_what_still_falls_has_not_ended() -> None:
    def history(last: float) -> list[dict[str, Any]]:
        errors = [1.0, 0.6, 0.4, 0.3, last]
        return [
            {"step": 1_000 * i, "train": {}, "validation": {"mse": error}}
            for i, error in enumerate(errors, 1)
        ]

    ill = Patient("vanilla", {}, {"seconds": 60.0}, history(0.25), headline="mse")
    (found,) = diagnose(ill)
    assert "still fell by 17%" in found.evidence and "240 seconds instead of 60" in found.advice
    assert diagnose(replace(ill, history=history(0.29))) == []
    assert diagnose(replace(ill, status="running")) == []


def test_twenty_pictures_are_learnt_by_heart(trained: Train) -> None:
    few = some(20)
    run = trained(Vanilla, 300, few)
    found = findings(run)
    assert "On validation pictures the MSE was lowest" in found["memorising"].evidence
    assert "epochs instead of 300" in found["memorising"].advice and "under-training" not in found
    assert "for a training picture" in findings(evaluated(run, data=few))["memorising"].evidence


def test_a_rise_of_both_is_no_memorising() -> None:
    """A VAE with beta 0 lets its KL grow, and with it a bound that it does not care for."""
    values = [100.0 + epoch for epoch in range(20)]
    rows = [
        {"step": 1_000, "train": {"negative_elbo": v}, "validation": {"negative_elbo": v}} for v in values
    ]
    assert diagnose(Patient("vae", {"beta": 0.0}, {"epochs": 20}, rows, headline="negative_elbo")) == []


def test_without_a_prior_a_vae_is_judged_by_what_it_lowers(tmp_path: Path) -> None:
    """With beta 0 its negative ELBO is lowest at once, whatever it learns."""
    digits, found = data.load("digits"), {}
    for beta in (0.0, 1.0):
        run = Store(tmp_path).create(VAE(VAE.Config(beta=beta), digits.shape), Plan(epochs=4), digits)
        run.update(status="completed")
        for epoch in range(1, 5):
            terms = {"reconstruction": 40.0 - epoch, "negative_elbo": 60.0 + 5 * epoch}
            run.append_metrics(EpochEnded(epoch, 3 * epoch, 1.0, terms, terms, 1.0, 100.0, None))
        found[beta] = {one.key for one in diagnose(patient(run))}
    assert found == {0.0: {"under-training"}, 1.0: set()}


def test_a_density_that_rises_above_nothing_is_seen_as_well() -> None:
    """-ELBO of gray pictures in nats of a density: below 0 where all is well."""

    def seen(validation: list[float], train: list[float]) -> dict[str, str]:
        rows = [
            {"step": 1_000 * place, "train": {"negative_elbo": b}, "validation": {"negative_elbo": a}}
            for place, (a, b) in enumerate(zip(validation, train, strict=True), 1)
        ]
        ill = Patient("vae", {"likelihood": "gaussian"}, {"epochs": 20}, rows, pixels=784)
        found = diagnose(replace(ill, headline="negative_elbo"))
        return {one.key: one.evidence for one in found}

    falling = [-100.0 * epoch for epoch in range(1, 21)]
    rising = falling[:10] + [-1000.0 + 50 * epoch for epoch in range(10)]
    assert [*seen(rising, falling)] == ["memorising"]
    assert "still fell by 0.51 nats a pixel" in seen(falling, falling)["under-training"]
    settled = [-100.0 * min(epoch, 16) for epoch in range(1, 21)]
    assert seen(settled, settled) == {}


@pytest.mark.parametrize("unit", [-2_000.0, 0.0, 1_805.0])
def test_what_is_said_of_a_density_is_the_same_in_every_unit(unit: float) -> None:
    """Intensities from 0 to 255 in place of 1 add ln 255 nats for each pixel: a course may begin or end anywhere near 0."""

    def seen(validation: list[float], train: list[float]) -> list[str]:
        rows = [
            {
                "step": 1_000 * place,
                "train": {"negative_elbo": b + unit},
                "validation": {"negative_elbo": a + unit},
            }
            for place, (a, b) in enumerate(zip(validation, train, strict=True), 1)
        ]
        ill = Patient("vae", {"likelihood": "gaussian"}, {"epochs": 20}, rows, pixels=784)
        return [found.key for found in diagnose(replace(ill, headline="negative_elbo"))]

    falling = [100.0 - 10 * min(epoch, 12) for epoch in range(20)]
    assert seen([*falling[:10], *(60.0 + epoch for epoch in range(10))], falling) == ["memorising"]
    assert seen([*falling[:10], *(9.0 + epoch for epoch in range(10))], falling) == []
    assert seen(falling[:15], falling[:15]) == []
    still = [1_000.0 - 20 * epoch for epoch in range(20)]
    assert seen(still, still) == ["under-training"]


def test_a_run_that_was_all_but_done_misses_nothing() -> None:
    def seen(seconds: float, epochs: int) -> list[str]:
        rows = [{"step": 1_000, "train": {}, "validation": {}, "seconds": seconds}] * epochs
        plans = ({"seconds": 600.0}, {"epochs": 20})
        return [
            found.key
            for plan in plans
            for found in diagnose(Patient("vanilla", {}, plan, rows, status="stopped"))
        ]

    assert seen(598.0, 19) == [] and seen(500.0, 17) == ["unfinished", "unfinished"]


def test_histories_that_leave_epochs_out_are_read_by_their_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.run.EPOCHS_KEPT", 20)

    def line(epoch: int) -> dict[str, Any]:
        terms = {"train": {"mse": 1 / epoch}, "validation": {"mse": 1 + abs(epoch - 100) / 100}}
        return {"epoch": epoch, "step": 10 * epoch, "seconds": float(epoch), **terms}

    rows = evened([line(epoch) for epoch in (*range(1, 21), *range(30, 201, 10))])
    told = [row["epoch"] for row in rows]
    assert told == list(range(10, 201, 10)) and evened(rows) == rows
    broken = [line(epoch) for epoch in (1, 2, 3, 9, 10, 20)]
    assert evened(broken) == broken and evened([]) == [] and evened([line(99)]) == [line(99)]
    stopped = diagnose(Patient("vanilla", {}, {"epochs": 1_000}, rows, status="stopped", headline="mse"))
    assert (
        "It has done 200 of 1000 epochs." in next(one for one in stopped if one.key == "unfinished").evidence
    )
    ended = diagnose(Patient("vanilla", {}, {"epochs": 200}, rows, headline="mse"))
    found = next(one for one in ended if one.key == "memorising")
    assert "after 100 epochs" in found.evidence and "100 epochs instead of 200" in found.advice


def test_a_run_that_was_stopped_can_go_on(trained: Train) -> None:
    found = findings(trained(Vanilla, 20, stop_after=2))
    assert [*found] == ["unfinished"] and "2 of 20 epochs" in found["unfinished"].evidence


def test_a_run_that_broke_down_is_to_take_smaller_steps(trained: Train) -> None:
    run = trained(Vanilla, 2, lr=0.06)
    run.update(status="diverged")
    assert "lr from 0.06 to 0.02" in findings(run)["diverged"].advice


# --- whatever lies in a store -----------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 600),
    st.floats(),
    st.sampled_from([10**400, 0, 0.0, -0.0, 5e-324, 1e308, "much", [0.1], [None, 0.0]]),
)
TERMS = (
    "mse",
    "negative_elbo",
    "kl_nats",
    "reconstruction",
    "critic",
    "generator",
    "real_score",
    "fake_score",
)
MEASURES = (
    "sse",
    "pca_sse",
    "pca_train_sse",
    "pca_numbers",
    "train_sse",
    "kl",
    "active",
    "numbers",
    "dead",
    "units",
    "always_on",
    "l0",
)
DRAWN = ("frechet", "recall", "sure", "diversity", "classes")
CONFIG = ("beta", "warmup", "importance_samples", "latent_dim", "lr", "k", "weight", "gamma")


def numbers_of(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), NUMBERS)


@given(
    history=st.lists(
        st.fixed_dictionaries(
            {"train": numbers_of(*TERMS), "validation": numbers_of(*TERMS)}, optional={"step": NUMBERS}
        ),
        max_size=14,
    ),
    report=st.none() | st.dictionaries(st.sampled_from(report.SECTIONS), numbers_of(*MEASURES, *DRAWN)),
    config=numbers_of(*CONFIG),
    chosen=numbers_of("game", "sparsity", "augment")
    | st.just({"game": "non-saturating", "sparsity": "topk", "augment": False}),
    plan=numbers_of("epochs", "seconds"),
    status=st.sampled_from(("completed", "stopped", "interrupted", "diverged")),
    headline=st.sampled_from(("", *TERMS)),
)
@settings(max_examples=100, deadline=None)
def test_no_numbers_whatever_make_it_raise(**parts: Any) -> None:
    parts["config"] |= parts.pop("chosen")
    for found in diagnose(Patient("any", **parts)):
        words = found.title + found.evidence + found.advice
        assert found.evidence and found.advice and "None" not in words and len(words) < 1_000


def test_nothing_known_accuses_nobody() -> None:
    assert diagnose(Patient("any", {}, {}, [])) == []


def test_every_illness_has_words_of_its_criterion() -> None:
    assert all(illness.__doc__ for illness in ILLNESSES)


def test_a_run_without_weights_or_epochs_can_be_looked_at(tmp_path: Path) -> None:
    plan = Plan(epochs=3)
    model = Vanilla(Vanilla.Config(**SMALL), DIGITS.shape)
    model.initialise(torch.Generator().manual_seed(0))
    run = Store(tmp_path).create(model, plan, DIGITS)
    (found,) = diagnose(patient(run))
    assert found.key == "unfinished" and "0 of 3 epochs" in found.evidence


@pytest.mark.parametrize(
    ("config", "plan", "measured", "setting"),
    [
        ({"latent_dim": 64, "k": 40}, {"epochs": 5}, {"dead": 0.3, "units": 64.0}, {"k": 64.0}),
        ({"latent_dim": 64, "k": 64}, {"epochs": 5}, {"dead": 0.3, "units": 64.0}, {}),
    ],
)
def test_no_more_units_are_to_speak_than_there_are(
    config: dict[str, Any], plan: dict[str, Any], measured: dict[str, float], setting: dict[str, float]
) -> None:
    ill = Patient("sparse", {"sparsity": "topk", **config}, plan, [], {"sparse": measured})
    (found,) = diagnose(ill)
    assert found.key == "dead-units" and found.remedy == setting


def test_no_advice_leaves_the_limits_of_a_new_run(trained: Train) -> None:
    run = trained(Vanilla, 1)
    run.update(status="diverged", config={**run.record.config, "lr": 1e-6})
    assert findings(Run.open(run.folder))["diverged"].remedy == {}
    rows = [{"step": 1, "train": {}, "validation": {"mse": 1.0}}]
    ill = replace(patient(run), plan={"epochs": 90_000}, history=rows, status="completed")
    (found,) = diagnose(ill)
    assert found.remedy == {"epochs": 100_000}
