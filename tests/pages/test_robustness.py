from __future__ import annotations

import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import examples
from core.corruption import BY_NAME, corrupt, severity
from core.data import load
from core.evaluation import psnr
from core.families import Denoising, Vanilla
from core.findings import METRICS, Entry, area, finding, relative_error, sentence
from core.jobs import Jobs
from core.lab import Lab
from core.pictures import as_bytes, as_floats, png
from core.robustness import Measured, Protocol, keep, randomness
from core.store import Run, Store
from tests import toy
from tests.pages.conftest import Open, links, shown, trained
from ui.html import picture
from ui.robust import measuring, results

PAGE = "explore/robustness.py"
USUAL = Protocol(300, 3)


@pytest.fixture(scope="session")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A vanilla and a denoising run on digits, measured as the page proposes. Shared by all tests: do not change it."""
    store = Store(tmp_path_factory.mktemp("tested"))
    runs = tuple(trained(store, Family, load("digits"), latent_dim=8) for Family in (Vanilla, Denoising))
    for _ in Lab(store, runs, USUAL).measure(load("digits")):
        pass
    return store


def entries(store: Store) -> list[Entry]:
    runs = tuple(sorted(store.runs(), key=lambda run: run.record.family, reverse=True))
    return Lab(store, runs, USUAL).entries(runs[0].record.dataset)[0]


def said(app: AppTest) -> str:
    kinds = (app.warning, app.info, app.success, app.error, app.caption, app.markdown)
    return " ".join(element.value for kind in kinds for element in kind)


def test_opens_with_one_picture_and_what_was_measured(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    assert not page.exception and not page.warning
    assert "Not measured yet" not in said(page)
    told = finding(entries(tested), METRICS["psnr"], 0, 3)
    assert sentence(told, METRICS["psnr"], "gaussian", 3) in said(page)
    assert "300 test pictures, 3 noise seeds" in said(page)
    assert page.get("plotly_chart") and len(page.dataframe) == 2


@pytest.mark.parametrize("level", [0, 2, 5])
def test_the_picture_on_the_page_is_damaged_and_decoded_as_core_does(
    open_page: Open, tested: Store, level: int
) -> None:
    page = open_page(PAGE, tested, level=str(level))
    x = as_floats(examples.pictures((1, 8, 8))[[2]])
    damaged = (
        corrupt(x, "gaussian", severity("gaussian", level, "CIFAR-10-C"), [randomness("gaussian", 0, 0)])
        if level
        else x
    )
    run = next(run for run in tested.runs() if run.record.family == Vanilla.key)
    with torch.inference_mode():
        back = run.load().reconstruct(damaged)
    words = f"Vanilla · {psnr((back - x).square().mean().item()):.1f} dB"
    assert picture(as_bytes(back)[0], words) in shown(page)
    assert ("damaged · identical" in shown(page)) == (level == 0)


def test_any_of_several_pictures_can_be_the_one_that_is_damaged(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    page.selectbox(key="damaged").set_value("digit 5").run()
    assert picture(examples.pictures((1, 8, 8))[5], "digit 5") in shown(page)
    page.button_group(key="examples-digit-0").set_value(["digit 2", "digit 8"]).run()
    assert not page.exception and picture(examples.pictures((1, 8, 8))[2], "digit 2") in shown(page)
    page.button_group(key="examples-digit-0").set_value(["digit 8"]).run()
    assert not page.exception and picture(examples.pictures((1, 8, 8))[8], "digit 8") in shown(page)


def test_other_noise_is_other_noise(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    before = shown(page)
    next(button for button in page.button if button.label == "Other noise").click().run()
    assert shown(page) != before


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_damage_can_be_chosen(open_page: Open, tested: Store, name: str) -> None:
    page = open_page(PAGE, tested, every="true")
    page.selectbox(key="corruption").set_value(name).run()
    assert not page.exception
    assert BY_NAME[name].title in said(page) and "the damage, level 5" in shown(page)


@pytest.mark.parametrize("number", sorted(METRICS))
def test_every_number_has_its_finding_its_curves_and_its_table(
    open_page: Open, tested: Store, number: str
) -> None:
    page = open_page(PAGE, tested)
    page.button_group(key="number").set_value(number).run()
    assert not page.exception
    told = finding(entries(tested), METRICS[number], 0, 3)
    assert sentence(told, METRICS[number], "gaussian", 3) in said(page)
    frame = page.dataframe[0].value
    assert list(frame.index) == [one.title for one in BY_NAME.values()]


def test_the_table_is_the_relative_error_of_core(open_page: Open, tested: Store) -> None:
    frame = open_page(PAGE, tested).dataframe[0].value
    by_key = {entry.key: entry for entry in entries(tested)}
    idle = by_key["nothing"].measured
    vanilla = next(entry for entry in by_key.values() if entry.family == Vanilla.key)
    expected = [relative_error(vanilla.measured, idle, [place]).mean for place in range(len(BY_NAME))]
    assert frame["Vanilla"].tolist() == pytest.approx(expected)
    assert "Denoising ◆" in frame.columns


def test_the_areas_under_the_curves_are_those_of_core(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    page.button_group(key="cells").set_value("Area under the curve").run()
    frame = page.dataframe[0].value
    vanilla = next(entry for entry in entries(tested) if entry.family == Vanilla.key).measured
    expected = [area(vanilla, "psnr", place).mean for place in range(len(BY_NAME))]
    assert frame["Vanilla"].tolist() == pytest.approx(expected)
    assert "Doing nothing" in frame.columns and "area under its curve" in said(page)


def test_the_pictures_of_the_best_variant_are_there_at_first(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    told = finding([one for one in entries(tested) if one.family], METRICS["psnr"], 0, 3)
    assert f"**{told.best.title} under Gaussian noise, level 3**" in said(page)
    assert "Worst 1, clean" in shown(page)


def test_undamaged_pictures_are_said_to_be(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested, level="0")
    told = finding([one for one in entries(tested) if one.family], METRICS["psnr"], 0, 0)
    assert f"**{told.best.title} under Gaussian noise, level 0: undamaged**" in said(page)
    best = USUAL.subset(load("digits").test)[told.best.measured.mse[0, 0].argmin()]
    assert picture(load("digits").test.images[best], "Best 1, clean") in shown(page)
    assert "Best 1, what comes back" in shown(page) and "Best 1, damaged" not in shown(page)


def test_the_fair_view_leaves_out_what_was_learnt_with(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    before = page.dataframe[1].value.set_index("Method")["Error, % of doing nothing"]
    page.toggle(key="fair").set_value(True).run()
    after = page.dataframe[1].value.set_index("Method")["Error, % of doing nothing"]
    assert "Left out: Gaussian noise" in said(page)
    idle = next(entry for entry in entries(tested) if entry.key == "nothing").measured
    learnt = next(entry for entry in entries(tested) if entry.family == Denoising.key).measured
    others = [place for place, name in enumerate(BY_NAME) if name != "gaussian"]
    assert after["Denoising"] == pytest.approx(relative_error(learnt, idle, others).mean)
    assert after["Denoising"] != before["Denoising"]


def test_a_chosen_cell_shows_its_pictures(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested)
    page.session_state["damages-psnr-True"] = {
        "selection": {"cells": [(9, "Vanilla")], "rows": [], "columns": []}
    }
    page.run()
    assert not page.exception
    assert "Vanilla under low contrast, level 3" in said(page)
    found = next(entry for entry in entries(tested) if entry.family == Vanilla.key).measured
    place = list(BY_NAME).index("contrast")
    best = USUAL.subset(load("digits").test)[found.mse[place, 3].argmin()]
    assert picture(load("digits").test.images[best], "Best 1, clean") in shown(page)
    assert "Worst 8, what comes back" in shown(page)


def test_what_is_not_measured_is_offered_and_becomes_a_job(
    open_page: Open, six: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    started = []
    monkeypatch.setattr(Jobs, "start", lambda self, words, title, **more: started.append((words, more)))
    page = open_page(PAGE, Store(tmp_path))
    assert "Not measured yet: Vanilla, Denoising, Sparse, Contractive and 5 more" in said(page)
    next(button for button in page.button if button.label == "Measure").click().run()
    (words, more), *_ = started
    assert words[0] == "robustness" and words[-4:] == ["--pictures", "300", "--noise-seeds", "3"]
    assert set(words[1:-4]) == {run.id for run in six.runs()} and more["lane"] == "analysis"


def test_a_job_that_failed_is_told_of_only_while_something_is_missing(
    open_page: Open, tested: Store, six: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = SimpleNamespace(active=False, state="failed", reason="No space is left.")
    monkeypatch.setattr(measuring.jobs, "latest", lambda *commands: failed)
    assert "No space is left." not in said(open_page(PAGE, tested))
    assert "No space is left." in said(open_page(PAGE, six))


def test_damaged_results_are_measured_anew(open_page: Open, tested: Store, tmp_path: Path) -> None:
    shutil.copytree(tested.root, tmp_path, dirs_exist_ok=True)
    for file in [*tmp_path.glob("*/cache/robustness-*"), *tmp_path.glob(".baselines/*median*")]:
        file.write_bytes(b"\x80\x04K\x01.")
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception
    assert "Not measured yet" in said(page) and "Median" in said(page)


def test_results_of_more_pictures_than_there_are_show_those_that_there_are(
    open_page: Open, tested: Store, tmp_path: Path
) -> None:
    shutil.copytree(tested.root, tmp_path, dirs_exist_ok=True)
    many = Protocol(1_000, 3)
    count = len(many.subset(load("digits").test))
    x = torch.linspace(0.9, 0.1, count + 9).expand(len(many.corruptions), 6, -1)
    for run in Store(tmp_path).runs():
        keep(run, load("digits"), many, Measured(x))
        run.update(metrics={"test": {"n": 1_000}})
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception and "Worst 8, what comes back" in shown(page)


@pytest.mark.parametrize("count", [300, 10_000, 26_000])
def test_every_number_of_pictures_is_offered_once(
    open_page: Open, tested: Store, tmp_path: Path, count: int
) -> None:
    shutil.copytree(tested.root, tmp_path, dirs_exist_ok=True)
    for run in Store(tmp_path).runs():
        run.add_metrics(test={**run.record.metrics.get("test", {}), "n": count})
    options = next(
        one for one in open_page(PAGE, Store(tmp_path)).selectbox if one.label == "Test pictures"
    ).options
    assert len(set(options)) == len(options) and options[-1] == f"{min(count, 10_000):,}"


def test_two_variants_of_one_name_are_both_shown(open_page: Open, tested: Store, tmp_path: Path) -> None:
    shutil.copytree(tested.root, tmp_path, dirs_exist_ok=True)
    first = next(run for run in Store(tmp_path).runs() if run.record.family == Vanilla.key)
    first.update(name="best")
    twin = Run.open(shutil.copytree(first.folder, tmp_path / "twin"))
    page = open_page(PAGE, Store(tmp_path))
    (further,) = {first.id, twin.id} - set(page.pills(key="damaged-runs-digits").value)
    page.multiselect(key="damaged-more-digits").set_value([further]).run()
    assert not page.exception
    assert all(f"Vanilla · best · {run.id}" in shown(page) for run in (first, twin))
    first.update(name="good")
    assert "Vanilla · good" in page.run().dataframe[1].value["Method"].tolist()


def test_ones_own_pictures_are_measured_in_the_page(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested, source="Upload")
    assert "Choose a picture" in said(page)
    for number in (3, 4):
        page.file_uploader(key="uploads").upload(
            f"{number}.png", png(examples.pictures((1, 28, 28))[number][0])
        )
    page.run()
    page.toggle(key="own").set_value(True).run()
    assert not page.exception and "over 2 pictures" in said(page)
    assert "Numbers" in [one.label for one in page.get("download_button")]


def test_runs_of_any_shape_open(open_page: Open, tmp_path: Path) -> None:
    trained(Store(tmp_path), Vanilla, toy.dataset((3, 12, 10)), epochs=1)
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception and "Not measured yet" in said(page)


@pytest.mark.parametrize(
    "parameter", ["data", "corruption", "level", "number", "fair", "every", "damaged-runs-digits"]
)
def test_nonsense_in_the_address_is_ignored(open_page: Open, tested: Store, parameter: str) -> None:
    page = open_page(PAGE, tested, **{parameter: "../<b>"})
    assert not page.exception and "<b>" not in said(page)


def test_a_number_that_the_address_leaves_open_is_psnr(open_page: Open, tested: Store) -> None:
    page = open_page(PAGE, tested, number="")
    told = finding(entries(tested), METRICS["psnr"], 0, 3)
    assert not page.exception and sentence(told, METRICS["psnr"], "gaussian", 3) in said(page)


def test_empty_and_broken_stores_are_said(open_page: Open, tested: Store, tmp_path: Path) -> None:
    assert "Train the first" in links(open_page(PAGE, Store(tmp_path / "nothing")))
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be read" in open_page(PAGE, Store(tmp_path / "file")).error[0].value
    shutil.copytree(tested.root, tmp_path / "store")
    broken = Store(tmp_path / "store").runs()[0]
    broken.weights_file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    page = open_page(PAGE, Store(tmp_path / "store"))
    assert not page.exception and broken.id in said(page)


def test_shades_are_of_what_helps_and_what_harms() -> None:
    assert "4, 98, 211" in results.against_idle(50) and "211, 120, 18" in results.against_idle(200)
    assert results.against_idle(float("nan")) == "" and results.shade(1.0, 1.0, 1.0, higher=True) == ""
