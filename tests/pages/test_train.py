"""The Train page. No process is started: what would be is read from the jobs' folders, and they end as the test says."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.runtime.scriptrunner import StopException
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import TextInput

from core import jobs as module
from core import own
from core.data import load
from core.families import FAMILIES, Denoising, Sparse, family
from core.family import Autoencoder
from core.jobs import Job, Jobs, save
from core.pictures import png
from core.store import Store
from core.training import Plan
from core.transfer import export, receive
from tests.core.test_archives import zipped
from tests.pages.conftest import Open, links, shown, trained
from tests.photographs import denoiser
from ui import again, datasets, jobs, watch
from ui.words import as_written, data_title

PAGE = "build/train.py"
DIGITS = data_title("Digits 8×8", (1, 8, 8))


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs get their folder, and nobody to work on them."""

    class Nobody:
        def __init__(self, *_: object, **__: object) -> None: ...

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(module.subprocess, "Popen", Nobody)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def started(store: Store, verb: str = "train") -> list[Job]:
    return [job for job in Jobs(store.root).all() if job.arguments[0] == verb]


def flags(job: Job) -> dict[str, str]:
    """The arguments after the verb, by flag."""
    found: dict[str, str] = {}
    for word in job.arguments[1:]:
        if word.startswith("--"):
            flag = word
            found[flag] = ""
        else:
            found[flag] = f"{found[flag]} {word}".strip()
    return found


def end(job: Job, outcome: str = "done", message: str = "", **told: Any) -> Job:
    ended = replace(job, started=job.created, ended=time.time(), outcome=outcome, message=message, **told)
    save(ended)
    return ended


def click(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def said(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.subheader)
    return " ".join(element.value for kind in kinds for element in kind)


def buttons(page: AppTest) -> set[str]:
    return {button.label for button in page.button}


# --- setting up -------------------------------------------------------------------------------------------------


def test_it_opens_ready_to_start_without_any_data_or_runs(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    assert not page.exception
    assert all(family.title in page.radio(key="family").options for family in FAMILIES)
    assert page.selectbox(key="dataset").value == "digits"
    assert {"Train Vanilla", "Train all 6"} <= buttons(page)
    assert "1,297 to learn from, 200 to watch progress, 300 for the scores, 10 classes" in said(page)


@pytest.mark.parametrize("Family", FAMILIES, ids=lambda one: one.key)
def test_a_form_left_as_it_is_trains_the_defaults(
    open_page: Open, store: Store, Family: type[Autoencoder]
) -> None:
    page = click(open_page(PAGE, store, family=Family.title), f"Train {Family.title}")
    assert not page.exception
    (job,) = started(store)
    assert job.arguments[:3] == ("train", "--family", Family.key) and job.lane == "train-cpu"
    asked = flags(job)
    assert "--set" not in asked
    assert (asked["--dataset"], asked["--epochs"], asked["--seed"]) == ("digits", "212", "0")
    assert page.query_params["watch"] == job.id


def test_what_the_form_says_is_what_is_trained(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, family="Variational", budget="Epochs")
    page.number_input(key="vae.beta").set_value(4.0)
    page.segmented_control(key="vae.net").set_value("mlp")
    page.number_input(key="epochs").set_value(7)
    page.number_input(key="seed").set_value(3)
    next(box for box in page.text_input if box.label == "Name").set_value("-beta four")
    page.run()
    page.text_input(key="vae.hidden").set_value("64,32")
    click(page.run(), "Train Variational")
    asked = flags(started(store)[-1])
    assert set(asked["--set"].split()) == {"beta=4.0", "net=mlp", "hidden=64,32"}
    assert (asked["--epochs"], asked["--seed"]) == ("7", "3")
    assert "--name=-beta four" in started(store)[-1].arguments and watch.is_training(started(store)[-1])


def test_an_address_sets_up_again_what_a_run_was_made_with(open_page: Open, six: Store, store: Store) -> None:
    for run in six.runs():
        page = click(open_page(PAGE, store, **again.address(run)), f"Train {family(run.record.family).title}")
        assert not page.exception
        made, asked = run.record.command(), flags(started(store)[-1])
        expected = {
            made[at]: made[at + 1]
            for at, word in enumerate(made)
            if word.startswith("--") and word != "--set"
        }
        for flag in ("--family", "--dataset", "--epochs", "--batch-size", "--seed"):
            assert asked.get(flag) == expected.get(flag)
        assert set(asked["--set"].split()) == {word for word in made if "=" in word}


def test_an_address_changes_what_is_advised(open_page: Open, six: Store, store: Store) -> None:
    vae = next(run for run in six.runs() if run.record.family == "vae")
    page = click(
        open_page(PAGE, store, **again.address(vae, {"beta": 0.25, "seconds": 90})), "Train Variational"
    )
    asked = flags(started(store)[-1])
    assert not page.exception and "beta=0.25" in asked["--set"]
    assert asked["--seconds"] == "90.0" and "--epochs" not in asked


def test_a_link_that_sets_a_training_up_forgets_what_stood_there(
    open_page: Open, six: Store, store: Store
) -> None:
    vae = next(run for run in six.runs() if run.record.family == "vae")
    page = open_page(PAGE, store, **again.address(vae, {"beta": 8}))
    page.number_input(key="seed").set_value(5).run()
    assert page.number_input(key="vae.beta").value == 8
    page.query_params.clear()
    page.query_params.update(again.address(vae, {"beta": 1}) | {"anew": "1"})
    assert (click(page.run(), "Train Variational").exception or []) == []
    asked = flags(started(store)[-1])
    assert "beta=" not in asked["--set"] and asked["--seed"] == str(vae.record.plan["seed"])


def test_the_largest_seed_leaves_room_for_two_more(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, seed=str(2**31 - 1))
    page.segmented_control(key="seeds").set_value(3)
    page.number_input(key="seed").set_value(2**31 - 3)
    page = click(page.run(), "Train all 6")
    assert not page.exception and len(started(store)) == 18


@pytest.mark.parametrize(("name", "offered"), [("digits", True), ("folder:/home/ada/Pictures@8gray", False)])
def test_a_run_from_elsewhere_opens_no_folder_of_this_machine(
    open_page: Open, six: Store, tmp_path: Path, name: str, offered: bool
) -> None:
    store = Store(tmp_path / "store")
    one = receive(io.BytesIO(export(six.runs()[0])), store)
    one.update(dataset={**one.record.dataset, "name": name})
    assert ("Start" in buttons(open_page(PAGE, store, watch=one.id))) == offered
    one.update(status="stopped")
    page = open_page(PAGE, store, watch=one.id)
    assert ("Resume" in buttons(page)) == offered == ("no page opens it" not in said(page))


def test_an_address_of_a_run_that_was_deleted_says_so(open_page: Open, six: Store, tmp_path: Path) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    store.delete(run.id)
    page = open_page(PAGE, store, watch=run.id)
    assert not page.exception and "was deleted. The Library can bring it back" in said(page)


def test_a_run_on_pictures_that_are_not_offered_here_cannot_be_set_up_again(
    six: Store, tmp_path: Path
) -> None:
    assert datasets.address("folder:nowhere@64") == datasets.address("folder:@@") == {}
    run = Store(shutil.copytree(six.root, tmp_path / "store")).runs()[0]
    run.update(dataset={**run.record.dataset, "name": "folder:nowhere@64"})
    assert again.address(run) == {}


@pytest.mark.parametrize(
    "plan",
    [Plan(seconds=10.0, batch_size=8_192), Plan(seconds=1.0), Plan(seconds=30 * 86_400.0, batch_size=65_536)],
)
def test_every_plan_that_there_can_be_is_opened_by_its_address(
    open_page: Open, store: Store, plan: Plan
) -> None:
    page = click(open_page(PAGE, store, **again.length(plan, {})), "Train Vanilla")
    asked = flags(started(store)[-1])
    assert not page.exception
    assert (float(asked["--seconds"]), int(asked.get("--batch-size", 64))) == (plan.seconds, plan.batch_size)


def test_minutes_are_a_budget_too(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, budget="Minutes")
    page.number_input(key="minutes").set_value(1.5)
    click(page.run(), "Train Vanilla")
    asked = flags(started(store)[-1])
    assert asked["--seconds"] == "90.0" and "--epochs" not in asked


def test_settings_that_do_not_fit_together_are_refused_in_words(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, family="Sparse")
    page.number_input(key="sparse.latent_dim").set_value(8)
    page.run()
    assert "k is at most the number of units, 8, not 32" in said(page)
    assert "Train Sparse" not in buttons(page)
    page.number_input(key="sparse.k").set_value(4)
    page.run()
    assert "Train Sparse" in buttons(page)


def test_a_list_that_is_none_is_refused_in_words(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    page.text_input(key="vanilla.hidden").set_value("many")
    page.run()
    assert not page.exception and "hidden takes numbers separated by commas" in said(page)


def test_a_setting_that_would_do_nothing_is_not_shown(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, family="Sparse")
    keys = {element.key for element in page.number_input}
    assert "sparse.k" in keys and "sparse.rho" not in keys
    page.segmented_control(key="sparse.sparsity").set_value("kl")
    keys = {element.key for element in page.run().number_input}
    assert "sparse.k" not in keys and {"sparse.rho", "sparse.weight"} <= keys
    assert {one.name for one in Sparse.Config.settings()} >= {
        key.split(".")[1] for key in keys if "sparse" in key
    }


@pytest.mark.parametrize("Family", FAMILIES, ids=lambda one: one.key)
def test_labels_of_settings_are_short_and_their_help_says_the_rest(
    open_page: Open, store: Store, Family: type[Autoencoder]
) -> None:
    page = open_page(PAGE, store, family=Family.title)
    kinds = (page.number_input, page.text_input, page.toggle, page.selectbox, page.segmented_control)
    known = {one.name: one.help for one in Family.Config.settings()}
    asked = [one for kind in kinds for one in kind if str(one.key).startswith(f"{Family.key}.")]
    labels = [one.label for one in asked]
    assert len(set(labels)) == len(labels) > 4 and all(len(label) <= 24 for label in labels)
    assert all(one.help.startswith(known[one.key.split(".")[1]]) for one in asked)


def test_every_noise_comes_with_its_own_amount(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, family="Denoising")
    for noise in Denoising.Config.settings()[-2].choices:
        page.selectbox(key="denoising.noise").set_value(noise)
        page.run()
        amount = page.number_input(key=f"denoising.amount.{noise}")
        assert amount.value == Denoising.Config.parse([f"noise={noise}"]).amount
        assert not page.exception and not page.error


def test_the_loss_that_is_shown_is_the_one_that_runs(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, family="Variational")
    code = " ".join(element.value for element in page.code)
    assert "kl = objectives.gaussian_kl(mu, log_var).sum(1).mean()" in code


# --- how long ---------------------------------------------------------------------------------------------------


def measured(store: Store, seconds: float) -> None:
    (job,) = [job for job in started(store, "estimate") if job.active]
    told = {"epoch_seconds": seconds, "preview_seconds": 0.0, "images_per_second": 1234.0}
    (job.folder / "out").write_text(json.dumps(told))
    end(job)


def test_the_time_is_measured_before_the_start_and_anew_where_it_depends_on_a_choice(
    open_page: Open, store: Store
) -> None:
    page = open_page(PAGE, store, budget="Epochs")
    assert "Measuring on a few steps" in said(page)
    measured(store, 3.0)
    page.run()
    assert "About **1 min** here: 1,234 pictures a second" in said(page)
    page.number_input(key="epochs").set_value(200)
    assert "About **10 min** here" in said(page.run())  # known without another measurement
    assert len(started(store, "estimate")) == 1
    page.number_input(key="vanilla.width").set_value(64)
    assert "Measuring on a few steps" in said(page.run())
    assert "width=64" in flags(started(store, "estimate")[-1])["--set"]


def test_a_measurement_nobody_waits_for_is_stopped(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    page.number_input(key="vanilla.width").set_value(64)
    page.run()
    first, second = started(store, "estimate")
    assert (first.folder / "stop").exists() and not (second.folder / "stop").exists()


def test_a_measurement_that_fails_says_why(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    end(started(store, "estimate")[0], "failed", "These settings make no net.")
    page.run()
    assert "How long it takes cannot be told: These settings make no net." in said(page)
    assert "Train Vanilla" in buttons(page)


# --- several ----------------------------------------------------------------------------------------------------


def test_all_six_start_together_with_one_budget(open_page: Open, store: Store) -> None:
    page = click(open_page(PAGE, store), "Train all 6")
    assert not page.exception
    six = started(store)
    assert [flags(job)["--family"] for job in six] == [family.key for family in FAMILIES]
    assert len({flags(job)["--epochs"] for job in six}) == len({job.group for job in six}) == 1
    assert page.query_params["group"] == six[0].group
    assert "6 trainings, one after the other" in said(page)


def test_a_name_that_reads_as_an_infinite_number_stays_in_the_address(
    open_page: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, names = open_page(PAGE, store), count()
    monkeypatch.setattr(
        "secrets.token_hex", lambda size: "12e45678" if size == 4 else f"{next(names):0{2 * size}x}"
    )
    page = click(page, "Train all 6")
    assert page.query_params["group"] == "12e45678" and "6 trainings, one after the other" in said(page)


def test_two_clicks_start_a_training_once(
    open_page: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label, several in (("Train Vanilla", 1), ("Train all 6", 7)):  # alike, but not the same
        pages = [open_page(PAGE, store) for _ in range(2)]
        for page in pages:
            assert not click(page, label).exception
        assert len(started(store)) == several
        assert pages[0].query_params == pages[1].query_params
    monkeypatch.setattr(jobs, "DOUBLE_CLICK", 0.0)
    click(open_page(PAGE, store), "Train Vanilla")
    assert len(started(store)) == 8


def test_three_seeds_of_each_are_eighteen(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    page.segmented_control(key="seeds").set_value(3)
    click(page.run(), "Train all 6")
    seeds = [(flags(job)["--family"], flags(job)["--seed"]) for job in started(store)]
    assert len(set(seeds)) == 18 and {seed for _, seed in seeds} == {"0", "1", "2"}


def test_what_was_started_together_ends_in_a_table(open_page: Open, six: Store, tmp_path: Path) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    jobs = Jobs(store.root)
    for run in store.runs():
        end(jobs.create(["train", "--family", run.record.family], run.id, group="abc"), run=run.id)
    page = open_page(PAGE, store, group="abc")
    assert not page.exception
    assert "6 of 6 have ended" in " ".join(element.text for element in page.get("progress"))
    assert "best of these runs" in shown(page)


# --- watching ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["watch", "group"])
@pytest.mark.parametrize(
    "id", ["nobody", "../..", "<script>alert(1)</script>", "x" * 3000, "20260101-000000-000000-aaaa"]
)
def test_nonsense_in_the_address_is_said_and_leads_back(
    open_page: Open, store: Store, parameter: str, id: str
) -> None:
    page = open_page(PAGE, store, **{parameter: id})
    assert not page.exception and len(page.warning) == 1
    page = click(page, "Set up another training")
    assert "Train Vanilla" in buttons(page)


@pytest.mark.parametrize(
    "parameters",
    [
        {"dataset": "nothing", "family": "Nobody", "budget": "endless"},
        {"epochs": "-5", "budget": "Epochs"},
        {"seed": "1e99", "batch": "0", "vanilla.lr": "nan", "vanilla.net": "rnn", "vanilla.hidden": "1,x"},
    ],
)
def test_nonsense_choices_in_the_address_do_no_harm(
    open_page: Open, store: Store, parameters: dict[str, str]
) -> None:
    page = open_page(PAGE, store, **parameters)
    assert not page.exception and page.radio(key="family").value == "vanilla"


def test_a_finished_run_shows_its_scores_and_can_be_trained_further(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    page = open_page(PAGE, store, watch=run.id)
    assert not page.exception and "2 epochs in" in said(page)
    assert {metric.label for metric in page.metric} == {"PSNR", "SSIM", "SSE per picture", "Test pictures"}
    assert len(page.get("plotly_chart")) == len(watch.terms(run.steps(), run.metrics())) > 1
    assert page.get("bidi_component")
    assert {"Try your own pictures", "In the Library"} <= set(links(page))
    click(page, "Start")
    asked = flags(started(store)[-1])
    assert asked == {"--from": run.id, "--epochs": "2"}


def test_a_stopped_run_can_be_resumed_and_a_job_at_work_stopped(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    run.update(status="stopped")
    page = click(open_page(PAGE, store, watch=run.id), "Resume")
    (job,) = started(store)
    assert job.arguments == ("train", "--resume", run.id)
    assert page.query_params["watch"] == job.id and "Stop" in buttons(page)
    page = click(page, "Stop")
    assert (job.folder / "stop").exists() and "Stopping…" in buttons(page)


def test_a_process_that_died_is_told_with_its_last_words(
    open_page: Open, six: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    run.update(status="running")
    job = Jobs(store.root).create(["train"], "x")
    save(replace(job, started=job.created, run=run.id))
    (job.folder / "log").write_text("epoch 1 was fine\nthen <b>nothing</b>")
    (job.folder / "lock").touch()
    page = open_page(PAGE, store, watch=job.id)
    assert not page.exception and "The process ended without a word" in said(page)
    assert "then <b>nothing</b>" in " ".join(element.value for element in page.code)
    assert "Resume" in buttons(page)


def test_a_process_that_died_over_the_scores_is_told_what_measures_them(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    run.update(metrics={})
    job = Jobs(store.root).create(["train"], "x")
    save(replace(job, started=job.created, run=run.id))
    (job.folder / "lock").touch()
    page = open_page(PAGE, store, watch=job.id)
    assert not page.exception and "Examine in the Library measures them" in said(page)
    end(job, "stopped", run=run.id)
    assert "Examine in the Library measures them" in said(open_page(PAGE, store, watch=job.id))
    assert "Resume" not in said(page) and "Resume" not in buttons(page)


def test_what_ended_before_there_was_a_run_can_be_started_again(open_page: Open, store: Store) -> None:
    job = end(Jobs(store.root).create(["train", "--family", "vae"], "x", lane="train-cpu"), "stopped")
    page = click(open_page(PAGE, store, watch=job.id), "Start again")
    again = started(store)[-1]
    assert not page.exception and again.id != job.id
    assert (again.arguments, again.lane) == (job.arguments, job.lane)
    assert page.query_params["watch"] == again.id


def test_a_folder_cannot_have_anything_else_started(open_page: Open, store: Store) -> None:
    for arguments in (
        ["export", "run", "--out", "file"],
        ["train", "--store", "elsewhere"],
        ["train", "--stor=elsewhere"],
    ):
        job = end(Jobs(store.root).create(arguments, "VAE on digits"), "failed")
        page = open_page(PAGE, store, watch=job.id)
        assert not page.exception and "Start again" not in buttons(page)


def test_scores_that_a_record_lacks_are_not_shown(open_page: Open, six: Store, tmp_path: Path) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    run.update(metrics={"test": {"ssim": 0.5, "n": 10**320, "sse": [1]}})
    page = open_page(PAGE, store, watch=run.id)
    assert not page.exception and [one.value for one in page.metric] == ["–", "0.500", "–", "–"]


def test_a_restorer_is_scored_by_what_it_lowers(open_page: Open, tmp_path: Path) -> None:
    run = denoiser(Store(tmp_path))
    run.update(metrics={"test": {"denoised_mse": 0.00123, "n": 21}})
    page = open_page(PAGE, Store(tmp_path), watch=run.id)
    assert {one.label: one.value for one in page.metric} == {"Denoised MSE": "0.00123", "Test pictures": "21"}
    assert "No pictures of its training were kept" in said(page)
    assert "Clean your own photographs" in links(page)


def test_a_failed_job_says_why(open_page: Open, store: Store) -> None:
    job = end(
        Jobs(store.root).create(["train"], "Nonsense"),
        "failed",
        "There is no dataset “x”. Choose one of digits.",
    )
    page = open_page(PAGE, store, watch=job.id)
    assert not page.exception and "It failed: There is no dataset “x”. Choose one of digits." in said(page)


def test_what_others_train_is_listed_and_waits_its_turn(open_page: Open, store: Store) -> None:
    jobs = Jobs(store.root)
    jobs.create(["train"], "Mine", lane="train-cpu")
    jobs.create(["train"], "Yours", lane="train-cpu")
    page = open_page(PAGE, store)
    assert "**At work** · 2" in said(page) and "Mine" in said(page) and "Yours" in said(page)
    click(page, "Watch")
    assert {"Watch", "Stop"} <= buttons(page)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_in_a_strip_stand_apart(channels: int) -> None:
    tiles = np.arange(3 * channels * 8 * 8, dtype=np.uint8).reshape(3, channels, 8, 8)
    strip = watch.spaced(tiles, columns=2)
    side = 8 * -(-watch.TILE // 8)
    step = side + watch.GAP
    assert strip.shape == (side + step, side + step, 4)
    gap = strip[..., 3] == 0
    assert gap[:, side:step].all() and gap[side:step].all()
    assert not gap[:side, :side].any() and not gap[:side, step:].any()
    middle = strip[side // 16 :: side // 8, step + side // 16 :: side // 8][:8, :8, :channels]
    assert np.array_equal(middle, tiles[1].transpose(1, 2, 0))


def test_damaged_pictures_of_a_run_do_not_take_the_page_down(open_page: Open, store: Store) -> None:
    run = trained(store, FAMILIES[0], load("digits"))
    for file in (run.folder / "previews").iterdir():
        file.write_bytes(b"no picture")
    (run.folder / "metrics.jsonl").write_text("{\n")
    (run.folder / "steps.jsonl").write_bytes(b"\xff\xfe\n")
    page = open_page(PAGE, store, watch=run.id)
    assert not page.exception and "cannot be read" in said(page)


# --- data -------------------------------------------------------------------------------------------------------


def test_published_data_are_downloaded_by_a_job_when_asked_to(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store, dataset=data_title("MNIST", (1, 28, 28)))
    assert "MNIST is not on this machine yet (11 MB" in said(page) and "Train Vanilla" not in buttons(page)
    page = click(page, "Download MNIST")
    (job,) = started(store, "fetch")
    assert job.arguments == ("fetch", "mnist")
    (job.folder / "progress.json").write_text('{"fraction": 0.4, "text": "4 of 11 MB"}')
    assert "4 of 11 MB" in [element.text for element in page.run().get("progress")]
    end(job, "failed", "No mirror of MNIST answers.")
    page.run()
    assert "No mirror of MNIST answers." in said(page) and "Download MNIST" in buttons(page)


def test_a_store_that_cannot_be_written_is_said_and_no_traceback(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    page = open_page(PAGE, Store(tmp_path / "file" / "store"))
    assert not page.exception and "How long it takes cannot be told" in said(page)
    page = click(page, "Train Vanilla")
    assert not page.exception and "cannot be written" in page.error[0].value
    page = click(
        open_page(PAGE, Store(tmp_path / "file" / "store"), dataset=data_title("MNIST", (1, 28, 28))),
        "Download MNIST",
    )
    assert not page.exception and any("cannot be written" in one.value for one in page.warning)


@pytest.mark.parametrize(
    "name", ["![seen](https://elsewhere.example/x.png)", "[a](https://b.example)", "$x^2$ *y* `z`"]
)
def test_text_from_outside_formats_nothing(open_page: Open, six: Store, tmp_path: Path, name: str) -> None:
    store = Store(shutil.copytree(six.root, tmp_path / "store"))
    run = store.runs()[0]
    run.update(name=name)
    job = end(Jobs(store.root).create(["train"], name), "failed", name)
    for id in (run.id, job.id):
        text = said(open_page(PAGE, store, watch=id))
        assert as_written(name) in text and name not in text
    assert name not in said(open_page(PAGE, store))


# --- own pictures -----------------------------------------------------------------------------------------------


def pictures() -> bytes:
    files = {
        f"trip/{place}/{n}.png": png(np.full((20, 30, 3), 25 * n, np.uint8))
        for place in ("Sea", "Land")
        for n in range(6)
    }
    return zipped(files | {"trip/Sea/broken.png": b"no picture", "../evil.png": b"x"})


def test_a_zip_is_shown_before_it_is_kept_and_then_learnt_from(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    page.file_uploader[0].upload("Our trip.zip", pictures())
    page.run()
    assert not page.exception and "13 pictures · Land 6 · Sea 7" in said(page)
    assert own.kept() == ()
    page = click(page, "Keep as dataset")
    (one,) = own.kept()
    assert not page.exception and (one.title, one.pictures) == ("Our trip", 12)
    assert page.selectbox(key="dataset").value == "own:our-trip"
    page.segmented_control(key="size").set_value(32)
    page = click(page.run(), "Train Vanilla")
    assert flags(started(store)[-1])["--dataset"] == "own:our-trip@32"
    page = click(click(page, "Set up another training"), "Delete for good")
    assert not page.exception and own.kept() == () and page.selectbox(key="dataset").value == "digits"


def test_keeping_that_another_choice_broke_off_is_said(
    open_page: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: object) -> None:
        raise StopException

    page = open_page(PAGE, store)
    page.file_uploader[0].upload("trip.zip", pictures())
    page.run()
    with monkeypatch.context() as amidst:
        amidst.setattr(own, "keep", broken_off)
        click(page, "Keep as dataset")
    page = page.run()
    assert not page.exception and "nothing was kept" in said(page)
    assert "nothing was kept" not in said(page.run())
    assert "nothing was kept" not in said(click(page, "Keep as dataset")) and len(own.kept()) == 1


def test_folders_whose_name_is_no_text_are_not_offered(
    open_page: Open, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (b"pics\xe9", b"pics"):
        folder = tmp_path / os.fsdecode(name)
        folder.mkdir()
        for number in range(6):
            (folder / f"{number}.png").write_bytes(png(np.full((8, 8, 3), 40 * number, np.uint8)))
    page = open_page(PAGE, store)
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    page.run()
    assert not page.exception
    assert [one for one in page.selectbox(key="dataset").options if "pics" in one] == ["pics · folder"]


def test_a_zip_is_looked_into_once(open_page: Open, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    survey = own.survey
    monkeypatch.setattr(own, "survey", lambda archive: (looks.append(archive), survey(archive))[1])
    page = open_page(PAGE, store)
    page.file_uploader[0].upload("trip.zip", pictures())
    page.run()
    name_of_zip(page).set_value("Another name")
    page.run()
    assert len(looks) == 1


def name_of_zip(page: AppTest) -> TextInput:
    return next(box for box in page.text_input if (box.key or "").startswith("zip-name"))


def test_another_zip_brings_its_own_name(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    for name in ("cats", "dogs"):
        page.file_uploader[0].upload(f"{name}.zip", pictures())
        page.run()
        assert name_of_zip(page).value == name


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"no zip", "This is no zip"), (zipped({"notes.txt": b"x"}), "no picture that can be read")],
)
def test_a_zip_without_pictures_is_refused_in_words(
    open_page: Open, store: Store, data: bytes, words: str
) -> None:
    page = open_page(PAGE, store)
    page.file_uploader[0].upload("x.zip", data)
    page.run()
    assert not page.exception and words in said(page)
    assert "Keep as dataset" not in buttons(page) and own.kept() == ()
