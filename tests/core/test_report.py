from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core import elbo, evaluation, latent, measures, objectives, report
from core.corruption import BY_NAME, NOISES, corrupt
from core.data import Dataset
from core.families import GAN, VAE, Contractive, Denoising, Sparse, Vanilla
from core.family import Autoencoder
from core.files import StoreError
from core.pictures import as_floats
from core.robustness import randomness
from core.run import Run
from core.store import Store
from core.training import Plan
from tests import toy

SHAPE = (1, 8, 8)
DATA = toy.dataset(SHAPE, train=120, held_out=40)
QUICK = dict(importance_samples=4, pictures=10)


def built(family: type[Autoencoder], **settings: object) -> Autoencoder:
    small = {"latent_dim": 6, "width": 8, "hidden": (16,)}
    model = family(family.Config(**small | settings), SHAPE)
    model.initialise(torch.Generator().manual_seed(0))
    return model


@pytest.fixture(autouse=True)
def nobody_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "generation", lambda *_: {})


def examined(model: Autoencoder, data: Dataset = DATA, **options: Any) -> dict[str, Any]:
    return report.examine(model, data, Path("nowhere"), **QUICK | options)


# --- the sections -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "own"),
    [(Vanilla, set()), (VAE, {"vae"}), (Sparse, {"sparse"}), (Denoising, {"denoising"}), (GAN, set())],
)
def test_a_report_has_the_sections_that_apply(family: type[Autoencoder], own: set[str]) -> None:
    settings = {"k": 3, "latent_dim": 12} if family is Sparse else {}
    told: list[tuple[float, str]] = []
    found = examined(built(family, **settings), tell=lambda *one: told.append(one))
    assert set(found) == {"reconstruction", "codes", "contraction"} | own <= set(report.SECTIONS)
    assert all(report.sound(section) == section for section in found.values())
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] < 1
    assert found == examined(built(family, **settings))


def test_the_judge_sees_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    from core import generation, judge

    monkeypatch.undo()
    asked: dict[str, Any] = {}

    def survey(model: Autoencoder, data: Dataset, judge: object, seed: int, tell: latent.Teller) -> Any:
        asked.update(judge=judge, seed=seed)
        tell(1.0, "Judging")
        return {"judge": {"accuracy": 0.9, "floor": 1.0, "n": 40}, "gaussian": {"classes": [0.5, 0.5]}}

    monkeypatch.setattr(judge, "judge_for", lambda data, root, tell: (tell(0.5, "Learning"), "judge")[1])
    monkeypatch.setattr(generation, "survey", survey)
    told: list[float] = []
    found = examined(built(Vanilla), seed=7, tell=lambda fraction, _: told.append(fraction))
    assert asked == {"judge": "judge", "seed": 7}
    assert found["gaussian"] == {"classes": [0.5, 0.5]} and told == sorted(told) and told[-1] == 1
    assert "judge" not in examined(built(Vanilla), replace(DATA, test=report.part(DATA.test, 1)))
    monkeypatch.setattr(judge, "judge_for", lambda *_: None)
    assert "judge" not in examined(built(Vanilla))


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    model = built(Vanilla)
    with torch.no_grad():
        model.decoder[0].bias[0] = torch.nan
    with pytest.raises(ValueError, match="into what is no number"):
        examined(model)


def test_reconstructions_stand_beside_pca_and_training_pictures() -> None:
    model = built(Vanilla)
    found = examined(model)["reconstruction"]
    assert {name: found[name] for name in evaluation.evaluate(model, DATA.test)} == evaluation.evaluate(
        model, DATA.test
    )
    assert found["pca_numbers"] == 6 and found["pca_sse"] == evaluation.PCA(DATA, 6).sse(DATA.test)
    seen = report.part(DATA.train, 40)
    assert found["pca_train_sse"] == evaluation.PCA(DATA, 6).sse(seen)
    x = as_floats(seen.images)
    with torch.no_grad():
        expected = (model.reconstruct(x) - x).square().sum((1, 2, 3)).mean().item()
    assert found["train_sse"] == pytest.approx(expected)


def test_pca_has_no_more_numbers_than_there_are_pictures_or_pixels() -> None:
    few = replace(DATA, train=report.part(DATA.train, 5))
    assert examined(built(Vanilla, latent_dim=9), few)["reconstruction"]["pca_numbers"] == 4
    assert examined(built(Vanilla, latent_dim=99))["reconstruction"]["pca_numbers"] == 64


def test_pictures_too_large_for_pca_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "MOST_PIXELS", 63)
    assert "pca_sse" not in examined(built(Vanilla))["reconstruction"]


def test_classes_are_read_from_codes() -> None:
    model = built(Vanilla)
    found = examined(model)["codes"]
    coded, seen = evaluation.codes(model, DATA.test), evaluation.codes(model, DATA.train)
    assert (found["n"], found["trustworthiness_n"]) == (120, 40)
    assert (found["voters"], found["neighbours"]) == (10, 15)

    def right(reader: Any) -> float:
        reader.fit(seen.codes.double().numpy(), DATA.train.labels)
        return reader.score(coded.codes.double().numpy(), DATA.test.labels)

    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
    assert found["probe_error"] == pytest.approx(1 - right(linear))
    assert found["knn_accuracy"] == pytest.approx(right(KNeighborsClassifier(10)))
    assert found["trustworthiness"] == measures.trustworthiness(DATA.test.images, coded.codes)


def test_probe_and_voters_see_a_fixed_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "TRAINING_CODES", 50)
    monkeypatch.setattr(report, "TRUSTED", 20)
    found = examined(built(Vanilla))["codes"]
    assert (found["n"], found["trustworthiness_n"]) == (50, 20)
    assert (found["voters"], found["neighbours"]) == (10, 9)


@pytest.mark.parametrize("labels", [None, "alike"])
def test_without_classes_there_is_only_trustworthiness(labels: str | None) -> None:
    def without(split: Any) -> Any:
        return replace(split, labels=None if labels is None else np.zeros(len(split), np.int64))

    nameless = replace(DATA, train=without(DATA.train), test=without(DATA.test))
    assert set(examined(built(Vanilla), nameless)["codes"]) == {
        "trustworthiness",
        "trustworthiness_n",
        "neighbours",
    }


def test_of_two_pictures_no_neighbours_are_trusted() -> None:
    tiny = replace(DATA, test=report.part(DATA.test, 2))
    assert "trustworthiness" not in examined(built(Vanilla), tiny)["codes"]


# --- contraction ------------------------------------------------------------------------------------------------


def by_torch(model: Autoencoder) -> torch.Tensor:
    x = as_floats(DATA.test.images)
    every = torch.func.vmap(torch.func.jacrev(lambda one: model.encode(one[None])[0]))(x)
    return every.double().square().flatten(1).sum(1)


@pytest.mark.parametrize(
    "model",
    [
        built(Vanilla),
        built(Contractive, net="tied"),
        built(Sparse, k=3, latent_dim=12),
        built(Sparse, net="tied", sparsity="kl", latent_dim=12),
        built(Sparse, sparsity="kl", latent_dim=12),
        built(Sparse, sparsity="l1", latent_dim=12),
    ],
    ids=["conv", "tied", "topk", "tied kl", "kl", "l1"],
)
def test_the_contraction_is_that_of_the_exact_jacobian(model: Autoencoder) -> None:
    codes = evaluation.codes(model, DATA.test).codes
    found = report.contraction(model, DATA.test, codes)
    squares = by_torch(model)
    assert found["n"] == 40
    assert found["jacobian"] == pytest.approx(squares.sqrt().mean().item(), rel=1e-5)
    assert found["jacobian_squared"] == pytest.approx(squares.mean().item(), rel=1e-5)
    spread = objectives.spread(codes.double()).item()
    assert found["relative_jacobian"] == pytest.approx(
        squares.sqrt().mean().item() / math.sqrt(spread), rel=1e-5
    )
    assert ("saturation" in found) == report.logistic(model)


def test_rescaling_encoder_and_decoder_leaves_the_relative_jacobian() -> None:
    model = built(Vanilla)
    plain = report.contraction(model, DATA.test, evaluation.codes(model, DATA.test).codes)
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(model.encoder[-1], name).mul_(1_000)
        model.decoder[0].weight.div_(1_000)
    scaled = report.contraction(model, DATA.test, evaluation.codes(model, DATA.test).codes)
    assert scaled["jacobian"] == pytest.approx(1_000 * plain["jacobian"], rel=1e-4)
    assert scaled["relative_jacobian"] == pytest.approx(plain["relative_jacobian"], rel=1e-4)


def test_long_codes_are_differentiated_at_fewer_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    model = built(Vanilla)
    codes = evaluation.codes(model, DATA.test).codes
    monkeypatch.setattr(report, "ROWS", 120)
    assert report.contraction(model, DATA.test, codes)["n"] == 20
    monkeypatch.setattr(report, "ROWS", 1)
    assert report.contraction(model, DATA.test, codes)["n"] == report.FEWEST


def test_a_code_that_never_moves_has_no_relative_jacobian() -> None:
    model = built(Vanilla)
    with torch.no_grad():
        model.encoder[-1].weight.zero_()
    found = report.contraction(model, DATA.test, evaluation.codes(model, DATA.test).codes)
    assert found["jacobian"] == 0 and not report.finite(found["relative_jacobian"])


# --- some families ----------------------------------------------------------------------------------------------


def test_the_likelihood_of_a_bernoulli_decoder_is_of_binarised_pictures() -> None:
    model = built(VAE)
    found = examined(model, importance_samples=64, pictures=30)["vae"]
    binary = elbo.binarised(DATA.test, 0)
    survey = elbo.survey(model, binary, 1)
    assert (found["n"], found["nll_n"], found["importance_samples"], found["binarised"]) == (40, 30, 64, 1)
    assert found["negative_elbo"] == pytest.approx(survey.negative_elbo.mean().item())
    assert found["nll"] < found["negative_elbo"] and found["nll_error"] > 0
    assert found["kl"] == pytest.approx(sum(found["kl_by_number"]), rel=1e-4)
    assert found["active"] == survey.active.sum() and found["numbers"] == len(found["kl_by_number"]) == 6


def test_a_gaussian_decoder_sees_gray_pictures() -> None:
    model = built(VAE, likelihood="gaussian")
    found = examined(model)["vae"]
    assert found["binarised"] == 0
    assert found["negative_elbo"] == pytest.approx(
        elbo.survey(model, DATA.test, 1).negative_elbo.mean().item()
    )


def test_one_picture_has_no_standard_error() -> None:
    assert math.isnan(examined(built(VAE), pictures=1)["vae"]["nll_error"])


def test_one_test_picture_cannot_tell_which_numbers_are_active() -> None:
    found = examined(built(VAE), replace(DATA, test=report.part(DATA.test, 1)))
    assert "active" not in found["vae"] and "numbers" not in found["vae"]


def constructed(codes: torch.Tensor, **settings: object) -> dict[str, Any]:
    model = built(Sparse, latent_dim=codes.shape[1], **settings)
    coded = replace(evaluation.codes(model, DATA.test), codes=codes)
    return report.sparsity(model, DATA.test, coded)


def test_the_units_of_a_sparse_code_are_counted() -> None:
    codes = torch.rand(40, 8, generator=torch.Generator().manual_seed(0)) + 0.01
    codes[:, :3] = 0
    codes[5, 3] = 0
    found = constructed(codes, k=8)
    assert (found["dead"], found["always_on"], found["units"], found["n"]) == (3 / 8, 4 / 8, 8, 40)
    assert found["l0"] == pytest.approx(5 - 1 / 40)
    model = built(Sparse, latent_dim=8, k=8)
    sse = evaluation.evaluate(model, DATA.test)["sse"] * 40
    x = DATA.test.images.reshape(40, -1) / 255
    assert found["explained_variance"] == pytest.approx(1 - sse / ((x - x.mean(0)) ** 2).sum(), rel=1e-5)


def test_a_logistic_unit_speaks_above_one_half() -> None:
    codes = torch.full((40, 4), 0.4)
    codes[:, 0], codes[7, 1] = 0.9, 0.6
    found = constructed(codes, sparsity="kl")
    assert (found["dead"], found["always_on"], found["l0"]) == (2 / 4, 1 / 4, 1 + 1 / 40)


def test_a_denoiser_is_set_beside_doing_nothing() -> None:
    model = built(Denoising, noise="gaussian", amount=0.3)
    found = report.denoising(model, DATA.test, 0)
    assert found["n"] == 40 and found["amounts"] == [0.04, 0.06, 0.08, 0.09, 0.1, 0.3]
    assert found["gain"] == sorted(found["gain"])  # there is more and more to gain
    assert found["gaussian"] == found["gain"][:5]
    model.reconstruct = lambda x: x
    assert report.denoising(model, DATA.test, 0)["gain"] == pytest.approx([0] * 6)


def test_every_noise_is_tried_at_its_published_levels() -> None:
    model = built(Denoising, noise="gaussian", amount=0.3)
    found = report.denoising(model, DATA.test, 0)
    assert {name for name in found if name in BY_NAME} == {one.name for one in NOISES}
    assert all(len(found[one.name]) == 5 for one in NOISES)
    x = as_floats(DATA.test.images)
    damaged = corrupt(x, "masking", 0.4, [randomness("masking", 0, name) for name in range(40)])
    with torch.no_grad():
        errors = [(one - x).square().flatten(1).mean(1) for one in (damaged, model.reconstruct(damaged))]
    assert found["masking"][2] == pytest.approx(measures.gain(*errors), abs=1e-5)


def test_noise_that_does_nothing_leaves_nothing_to_gain() -> None:
    found = report.denoising(built(Denoising, noise="masking", amount=0.0), DATA.test, 0)
    assert found["amounts"] == [0.1, 0.25, 0.4, 0.55, 0.7]
    black = replace(DATA.test, images=np.zeros_like(DATA.test.images))
    found = report.denoising(built(Denoising), black, 0)
    assert "masking" not in found and "shot" not in found and "impulse" in found


# --- keeping ----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Run:
    store = Store(tmp_path)
    run = store.create(built(VAE), Plan(epochs=1, threads=1), DATA)
    run.save_weights(built(VAE))
    return run


def test_a_report_is_kept_for_the_weights_it_was_made_of(run: Run) -> None:
    assert report.kept(run) is None
    found = examined(built(VAE))
    run.update(metrics={"test": {"n": 40}})
    report.keep(run, found)
    again = Run.open(run.folder)
    assert report.kept(again) == found and again.record.metrics["test"] == {"n": 40}
    assert again.record.metrics["report"]["weights"] == run.weights_hash()
    changed = built(VAE)
    with torch.no_grad():
        changed.encoder[-1].bias += 1
    run.save_weights(changed)
    assert report.kept(Run.open(run.folder)) is None
    run.weights_file.unlink()
    assert report.kept(run) is None


def test_what_is_infinite_is_kept_as_null_and_missing_afterwards(run: Run) -> None:
    report.keep(run, {"reconstruction": {"n": 3, "psnr": math.inf}, "vae": {"nll_error": math.nan}})
    again = Run.open(run.folder)
    assert again.record.metrics["report"]["reconstruction"] == {"n": 3, "psnr": None}
    assert report.kept(again) == {"reconstruction": {"n": 3}}


HOSTILE: Mapping[str, Any] = {
    "reconstruction": {"mse": "<b>0</b>", "sse": True, "n": 10**400, "psnr": 20.5, "ssim": {"deep": 1}},
    "codes": [1, 2, 3],
    "contraction": None,
    "vae": {"kl_by_number": [0.1, "x"], "active": 3, "kl": [0.5]},
    "denoising": {"n": [1], "amounts": [0.0] * 4_097, "gain": [0.5] * 4_096, "gaussian": 1.0},
    "sparse": {"l0": []},
    "gaussian": {"classes": [[1.0]]},
    "javascript": {"alert": 1},
}


def test_what_is_no_number_is_left_out(run: Run) -> None:
    text = json.loads((run.folder / "run.json").read_text())
    text["metrics"]["report"] = {**HOSTILE, "weights": run.weights_hash()}
    written = json.dumps(text).replace("20.5", 'NaN, "dB": 20.5')
    (run.folder / "run.json").write_text(written)
    assert report.kept(Run.open(run.folder)) == {
        "reconstruction": {"dB": 20.5},
        "vae": {"active": 3},
        "denoising": {"gain": [0.5] * 4_096},
    }


@pytest.mark.parametrize("weights", [None, 1, ["x"], "0" * 16])
def test_a_report_of_other_weights_is_none(run: Run, weights: object) -> None:
    run.update(metrics={"report": {"weights": weights, "codes": {"n": 1}}})
    assert report.kept(Run.open(run.folder)) is None


def test_a_report_that_is_no_object_is_damage(run: Run) -> None:
    run.update(metrics={"report": [1]})
    with pytest.raises(StoreError, match="report in run.json is list, not dict"):
        Run.open(run.folder)
