"""The models in the box are what they are said to be. A run is in the box when it has a folder `shipped/`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core import elbo, examples
from core.families import FAMILIES
from core.glance import Glance, finished
from core.lab import Lab
from core.pictures import as_bytes, as_floats
from core.robustness import Protocol
from core.store import Run, Store
from tests.serving import ROOT
from ui.inside.ladder import ladders

BOX = ROOT / "models_store"
SHIPPED = [run.id for run in finished(BOX) if (run.folder / "shipped").is_dir()]
MOST_BYTES = 10 * 2**20


def glance(id: str) -> Glance:
    return next(run for run in finished(BOX) if run.id == id)


@pytest.fixture(params=SHIPPED)
def run(request: pytest.FixtureRequest) -> Run:
    return Store(BOX).run(request.param)


@pytest.mark.parametrize("dataset", ["digits", "mnist"])
def test_all_families_are_there_with_one_budget_and_one_backbone(dataset: str) -> None:
    runs = [
        run for id in SHIPPED if id.startswith(f"{dataset}-") and not (run := Store(BOX).run(id)).record.name
    ]
    assert {run.record.family for run in runs} == {family.key for family in FAMILIES}
    assert len({(run.record.plan["epochs"], run.record.plan["batch_size"]) for run in runs}) == 1
    assert len({(run.record.config["net"], run.record.config["width"]) for run in runs}) == 1
    assert {run.load().code_numbers() for run in runs} == {32}


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_ladders_differ_in_beta_alone_and_are_small(dataset: str) -> None:
    for numbers in (2, 16):
        (ladder,) = ladders(
            [Store(BOX).run(id) for id in SHIPPED if id.startswith(f"{dataset}-vae-{numbers}-")]
        )
        assert ladder.betas == [0.0, 0.5, 1.0, 4.0, 10.0]
        for run in ladder.rungs:
            survey = elbo.kept(run)
            assert survey is not None and len(survey.kl) == run.record.metrics["test"]["n"]
            assert run.load().config.latent_dim == numbers
            assert sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file()) < 2 * 2**20


@pytest.mark.parametrize("dataset", ["digits", "mnist", "fashion-mnist"])
def test_the_robustness_of_the_six_is_there(dataset: str) -> None:
    runs = tuple(Store(BOX).run(f"{dataset}-{family.key}") for family in FAMILIES)
    protocol = Protocol(min(1_000, runs[0].record.metrics["test"]["n"]), 3)
    entries, missing = Lab(Store(BOX), runs, protocol, classical=True).entries(runs[0].record.dataset)
    assert missing == [] and len(entries) == 6 + 3 + 3


def test_a_run_is_complete_and_small(run: Run) -> None:
    assert run.status == "completed"
    assert len(run.metrics()) == run.record.plan["epochs"]
    assert run.preview_epochs()[-1] == run.record.plan["epochs"]
    assert sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file()) < MOST_BYTES
    assert {"n", "mse", "sse", "psnr", "ssim"} <= set(run.record.metrics["test"])


def test_what_home_shows_at_once_is_what_the_model_does(run: Run) -> None:
    stored = glance(run.id).examples()
    with torch.inference_mode():
        shown = as_floats(examples.pictures(run.record.shape, run.record.dataset["name"]))
        live = as_bytes(run.load().reconstruct(shown))
    assert stored is not None
    assert np.abs(stored.astype(int) - live).max() <= 1  # another processor rounds the last bit differently


def test_stored_codes_decode_to_the_stored_errors(run: Run) -> None:
    codes = run.codes()
    assert codes is not None and codes.labels is not None
    assert len(codes.codes) == len(codes.errors) == len(codes.labels) == run.record.metrics["test"]["n"]
    assert codes.errors.mean().item() == pytest.approx(run.record.metrics["test"]["mse"], rel=1e-4)
    with torch.inference_mode():
        decoded = run.load().decode(codes.codes[:50])
    assert decoded.isfinite().all() and decoded.std() > 0.1
