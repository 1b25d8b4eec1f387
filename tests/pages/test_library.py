"""The Library, mostly on a copy of the six that a test may change."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import examples, transfer
from core.data import load
from core.families import FAMILIES, VAE, PhotoAutoencoder
from core.jobs import Jobs, save
from core.pictures import as_bytes, as_floats
from core.store import Run, Store
from tests import toy
from tests.pages.conftest import Open, carried, links, shown, trained
from tests.photographs import autoencoder
from ui import library, watch
from ui.html import picture
from ui.runs import Group, groups
from ui.theme import colour

PAGE = "build/library.py"
HOSTILE = "![x](https://example.invalid/x.png) <b>_a_"


@pytest.fixture
def store(six: Store, tmp_path: Path) -> Store:
    return Store(shutil.copytree(six.root, tmp_path / "store"))


def run_of(store: Store, family: str) -> Run:
    return next(run for run in store.runs() if run.record.family == family)


def edit(run: Run, **changes: Any) -> None:
    """Change run.json, as anybody could."""
    path = run.folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def reseeded(store: Store, run: Run, seed: int) -> Run:
    """A copy of a run as if it had been trained from another seed."""
    folder = shutil.copytree(run.folder, store.root / f"{run.id}-seed{seed}")
    edit(Run.open(folder), plan={**run.record.plan, "seed": seed}, created=f"2027-01-0{seed}T00:00:00+00:00")
    return Run.open(folder)


def click(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def said(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.subheader)
    return " ".join(element.value for kind in kinds for element in kind)


def lines(page: AppTest) -> dict[str, dict[str, Any]]:
    """The lines of the chart by name."""
    (chart,) = page.get("plotly_chart")
    return {line["name"]: line for line in json.loads(chart.proto.spec)["data"]}


def listed(page: AppTest) -> list[str]:
    return list(page.dataframe[0].value["run"])


def only_group(store: Store) -> Group:
    (group,) = groups(store.runs(), usable=False)
    return group


# --- what one sees ----------------------------------------------------------------------------------------------


def test_it_opens_on_every_run_with_curves_and_pictures_of_the_families(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six)
    assert not page.exception
    table, names = page.dataframe[0].value, [family.title for family in FAMILIES]
    assert listed(page) == names and set(table["status"]) == {"completed"} and set(table["epochs"]) == {2}
    assert list(table["psnr"]) == pytest.approx(
        [run_of(six, family.key).record.metrics["test"]["psnr"] for family in FAMILIES]
    )
    assert all(uri.startswith("data:image/png;base64,") for uri in table["pictures"])
    assert list(lines(page)) == names
    for family in FAMILIES:
        line = lines(page)[family.title]["line"]
        assert (line["color"], line["dash"]) == (colour(family.key), "solid")
        assert f"picture 1 rebuilt by {family.title}" in shown(page)
        assert f"picture 1 new from {family.title}" in shown(page)
    assert "best of these runs" in shown(page) and "No winner is named" in said(page)


def test_the_pictures_that_were_to_be_rebuilt_stand_above(open_page: Open, six: Store) -> None:
    assert "The pictures themselves" in shown(open_page(PAGE, six))


def test_seeds_of_a_family_share_its_colour_and_are_told_apart(open_page: Open, store: Store) -> None:
    vae = run_of(store, "vae")
    ids = [vae.id, *(reseeded(store, vae, seed).id for seed in (2, 1))]
    page = open_page(PAGE, store, run=ids)
    assert not page.exception
    names = [f"Variational · seed {seed}" for seed in (0, 1, 2)]
    assert [name for name in listed(page) if "Variational" in name] == names
    assert set(lines(page)) == set(names)
    assert {line["line"]["color"] for line in lines(page).values()} == {colour("vae")}
    assert len({line["line"]["dash"] for line in lines(page).values()}) == 3
    (settings,) = (frame.value for frame in page.dataframe[1:])
    assert list(settings.index) == ["seed"] and list(settings.loc["seed"]) == ["0", "1", "2"]


def test_of_a_family_with_seeds_the_newest_is_shown_at_first(open_page: Open, store: Store) -> None:
    reseeded(store, run_of(store, "vae"), 1)
    assert set(lines(open_page(PAGE, store))) == {family.title for family in FAMILIES}


def test_terms_are_those_that_the_ticked_runs_share(open_page: Open, store: Store) -> None:
    assert "KL" not in open_page(PAGE, store).selectbox(key="term").options
    page = open_page(PAGE, store, run=run_of(store, "vae").id, term="KL")
    assert not page.exception and page.selectbox(key="term").value == "kl"
    expected = [epoch["validation"]["kl"] for epoch in run_of(store, "vae").metrics()]
    assert lines(page)["Variational"]["y"] == pytest.approx(expected)


def test_a_logarithmic_scale_is_offered_only_where_it_shows_everything(open_page: Open, store: Store) -> None:
    run = run_of(store, "vanilla")
    assert open_page(PAGE, store, run=run.id).toggle(key="log").value
    epochs = [{**epoch, "validation": {"mse": -1.0}} for epoch in run.metrics()]
    run.metrics_file.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception and "Logarithmic" not in [toggle.label for toggle in page.toggle]


def test_filters_by_family_tag_and_words_stand_in_the_address(open_page: Open, store: Store) -> None:
    run_of(store, "vae").update(name="Night shift", tags=("good",))
    assert listed(open_page(PAGE, store, families="Variational")) == ["Variational · Night shift"]
    assert listed(open_page(PAGE, store, tags="good")) == ["Variational · Night shift"]
    assert listed(open_page(PAGE, store, find="SHIFT night")) == ["Variational · Night shift"]
    page = open_page(PAGE, store, find="nothing like it")
    assert not page.exception and "Clear a filter" in said(page) and "best of these runs" in shown(page)


def test_runs_of_the_box_carry_a_mark(open_page: Open, store: Store) -> None:
    (run_of(store, "gan").folder / "shipped").mkdir()
    page = open_page(PAGE, store, tags="in the box")
    assert listed(page) == ["GAN"] and list(page.dataframe[0].value["tags"]) == [["in the box"]]


def test_a_link_to_a_run_opens_its_data(open_page: Open, store: Store) -> None:
    run = trained(store, VAE, toy.dataset((3, 16, 16)))
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception
    assert listed(page) == ["Variational"] and f"name-{run.id}" in [field.key for field in page.text_input]


@pytest.mark.parametrize("parameter", ["on", "run", "families", "tags", "find", "term", "log"])
def test_nonsense_in_the_address_is_ignored(open_page: Open, six: Store, parameter: str) -> None:
    assert not open_page(PAGE, six, **{parameter: "../../etc/passwd"}).exception


def test_an_empty_store_leads_to_train_and_to_an_import(open_page: Open, tmp_path: Path) -> None:
    page = open_page(PAGE, Store(tmp_path / "nothing"))
    assert not page.exception and "Train the first" in links(page)
    assert page.file_uploader(key="import-zip") and not page.dataframe


def test_a_store_that_is_no_folder_is_said(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    page = open_page(PAGE, Store(tmp_path / "file"))
    assert not page.exception and "cannot be read" in page.error[0].value


def test_a_restorer_shows_what_it_makes_of_the_examples(open_page: Open, tmp_path: Path) -> None:
    run = autoencoder(Store(tmp_path))
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception
    assert page.dataframe[0].value["pictures"][0].startswith("data:image/png;base64,")
    shown_ones = as_floats(examples.pictures(run.record.shape)[: library.THUMBNAILS])
    back = as_bytes(run.restorer().reconstruct(shown_ones))[0]
    assert picture(back, f"picture 1 rebuilt by {PhotoAutoencoder.title} · {run.record.name}") in shown(page)


# --- one run ----------------------------------------------------------------------------------------------------


def test_a_run_gets_name_and_tags(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    page = open_page(PAGE, store, run=run.id)
    page.text_input(key=f"name-{run.id}").set_value("Mine\nalone")
    page.multiselect(key=f"tags-{run.id}").set_value(["good", "first"])
    page = click(page, "Save")
    assert not page.exception
    record = store.run(run.id).record
    assert (record.name, record.tags) == ("Mine alone", ("good", "first"))
    assert "Variational · Mine alone" in listed(page) and "in the box" not in said(page)


def test_the_command_makes_the_same_run(open_page: Open, store: Store) -> None:
    run = run_of(store, "sparse")
    (code,) = open_page(PAGE, store, run=run.id).code
    assert shlex.split(code.value) == run.record.command()


def test_of_a_run_that_went_on_from_itself_no_single_command_is_told(open_page: Open, store: Store) -> None:
    run = run_of(store, "sparse")
    run.update(origin=run.id)
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception and not page.code


def test_of_several_ticked_runs_one_has_to_be_chosen(open_page: Open, store: Store) -> None:
    page = open_page(PAGE, store)
    assert not page.code
    box = next(box for box in page.selectbox if box.label.startswith("Name, export"))
    page = box.select(run_of(store, "gan").id).run()
    assert not page.exception and "--family gan" in page.code[0].value


def test_a_deleted_run_is_brought_back_or_erased(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    page = open_page(PAGE, store, run=run.id)
    page = click(page, "Delete")
    assert not page.exception and "Variational" not in listed(page) and run.id in said(page)
    assert "Undo is at the top" in page.toast[0].value  # which may be out of sight
    assert "Delete" not in [button.label for button in page.button], "a second click would meet another run"
    page = click(page, "Undo")
    assert not page.exception and "Variational" in listed(page) and store.deleted() == ()
    assert list(lines(page)) == ["Variational"]  # what came back is what one sees
    page = click(click(page, "Delete"), "Restore")
    assert not page.exception and run.id in store.folders()
    page = click(click(page, "Delete"), "Erase for good")
    assert not page.exception and store.deleted() == () and run.id not in store.folders()
    assert "Undo" not in [button.label for button in page.button]


def test_the_only_run_is_shown_when_it_comes_back(open_page: Open, six: Store, tmp_path: Path) -> None:
    run = run_of(six, "vae")
    store = Store(tmp_path / "one")
    shutil.copytree(run.folder, store.root / run.id)
    page = click(click(open_page(PAGE, store, run=run.id), "Delete"), "Undo")
    assert not page.exception and f"name-{run.id}" in [field.key for field in page.text_input]


def test_data_with_the_same_title_are_told_apart(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    run.update(dataset={**run.record.dataset, "name": "folder:digits@8gray"})
    page = open_page(PAGE, store, on="Digits 8×8 · gray · folder:digits@8gray")
    assert not page.exception and listed(page) == ["Variational"]
    assert len(set(page.segmented_control(key="on").options)) == 2


def test_what_is_being_trained_cannot_be_deleted(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    page = open_page(PAGE, store, run=run.id)
    with run.held():
        page = click(page, "Delete")
    assert not page.exception and "stop it first" in page.error[0].value and run.id in store.folders()


def test_a_run_that_is_gone_meanwhile_is_said(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    page = open_page(PAGE, store, run=run.id)
    shutil.rmtree(run.folder)
    page = click(page, "Delete")
    assert not page.exception and "There is no run" in page.error[0].value


# --- broken and hostile -----------------------------------------------------------------------------------------


def test_damaged_runs_are_listed_with_reason_and_remedy_and_can_go(open_page: Open, store: Store) -> None:
    run = run_of(store, "vanilla")
    (run.folder / "run.json").write_text("{")
    page = open_page(PAGE, store)
    assert not page.exception and len(listed(page)) == 5
    assert "run.json is not JSON" in page.warning[0].value and "Delete it" in page.warning[0].value
    page = page.button(key=f"delete-{run.id}").click().run()
    assert not page.exception and [one.id for one in store.deleted()] == [run.id] and not page.warning


def test_names_that_are_no_text_take_no_page_down(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    shutil.copytree(run.folder, run.folder.with_name(os.fsdecode(b"vae-\xe9")))
    (store.root / os.fsdecode(b"empty\xff")).mkdir()
    page = open_page(PAGE, store)
    assert not page.exception and sum("is no text" in one.value for one in page.warning) == 2
    page = page.button(key=r"delete-vae-\udce9").click().run()
    page = click(page, "Undo")
    assert not page.exception and r"vae-\udce9" in {one.id for one in store.runs()}


def test_of_a_link_no_way_back_is_promised(open_page: Open, store: Store) -> None:
    (store.root / "linked").symlink_to(run_of(store, "vae").folder, target_is_directory=True)
    page = open_page(PAGE, store).button(key="delete-linked").click().run()
    assert not page.exception and page.toast[0].value.endswith("is deleted.")


def test_what_is_missing_or_broken_in_a_run_takes_nothing_else_along(open_page: Open, store: Store) -> None:
    without_pictures, broken, fresh = store.runs()[:3]
    shutil.rmtree(without_pictures.folder / "previews")
    for file in (broken.folder / "previews").glob("epoch-*.png"):
        file.write_bytes(b"no picture")
    for path in (fresh.weights_file, fresh.metrics_file):
        path.unlink()
    edit(fresh, status="running", metrics={})
    page = open_page(PAGE, store)
    assert (
        not page.exception
        and len(listed(page)) == 6
        and "interrupted" in set(page.dataframe[0].value["status"])
    )
    assert list(page.dataframe[0].value["pictures"].isna()).count(True) == 2


def test_numbers_that_cannot_be_are_left_out(open_page: Open, store: Store) -> None:
    run = run_of(store, "vanilla")
    edit(run, created="long ago", metrics={"test": {"psnr": "<b>", "ssim": 10**400, "sse": None}})
    epoch = {**run.metrics()[0], "epoch": 10**40, "validation": {"mse": 10**400, "<b>": None}}
    run.metrics_file.write_text(json.dumps(epoch) + "\n")
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception
    row = page.dataframe[0].value.iloc[0]
    assert row[["psnr", "ssim", "sse", "made"]].isna().all()


@pytest.mark.parametrize("metrics", [{"test": []}, {"test": {"psnr": True}}, {}])
def test_metrics_of_another_kind_are_no_scores(open_page: Open, store: Store, metrics: dict) -> None:
    edit(run_of(store, "vanilla"), metrics=metrics)
    assert not open_page(PAGE, store).exception


def test_names_and_titles_are_text_and_never_markup(open_page: Open, store: Store) -> None:
    for run in store.runs():
        edit(run, name=HOSTILE, dataset={**run.record.dataset, "title": HOSTILE})
    (run_of(store, "gan").folder / "run.json").write_text(json.dumps({"format": HOSTILE}))
    run = run_of(store, "vae")
    charts: list[dict[str, dict[str, Any]]] = []
    for page in (
        open_page(PAGE, store),
        open_page(PAGE, store, run=run.id),
        click(open_page(PAGE, store, run=run.id), "Delete"),
    ):
        assert not page.exception
        assert "![x](" not in said(page) and "<b>" not in shown(page)
        (choice,) = page.get("button_group")
        assert not any("![x](" in option.content for option in choice.proto.options)
        charts += [lines(page)] if page.get("plotly_chart") else []
    assert len(charts) == 2, "nothing is ticked after a deletion"
    assert not any("<b>" in name for chart in charts for name in chart)


def test_runs_of_one_name_have_columns_of_their_own(open_page: Open, store: Store) -> None:
    vae = run_of(store, "vae")
    other = reseeded(store, vae, 1)
    for run in (vae, other):
        edit(
            run,
            name="twin",
            plan=vae.record.plan,
            config={**vae.record.config, "beta": 2.0 if run is vae else 1.0},
        )
    page = open_page(PAGE, store, run=[vae.id, other.id])
    assert not page.exception
    assert set(page.dataframe[1].value.columns) == {f"Variational · twin · {id}" for id in (vae.id, other.id)}


# --- in and out -------------------------------------------------------------------------------------------------


# --- scores and the doctor --------------------------------------------------------------------------------------


SCORES: dict[str, dict[str, Any]] = {
    "reconstruction": {"n": 300, "sse": 0.64, "psnr": 20.0, "ssim": 0.9, "ssim_n": 300, "pca_numbers": 32, "pca_sse": 0.5},
    "codes": {
        "n": 1_000, "probe_error": 0.05, "knn_accuracy": 0.96, "voters": 10,
        "trustworthiness": 0.99, "trustworthiness_n": 30, "neighbours": 14,
    },
    "vae": {
        "nll": 20.25, "nll_error": 0.5, "nll_n": 300, "importance_samples": 500, "binarised": 1,
        "kl": 0.1, "active": 0, "numbers": 32,
    },
    "denoising": {"n": 300, "amounts": [0.3], "gain": [9.0], "gaussian": [1.0, 2.0, 3.0, 4.0, 5.25]},
    "judge": {"accuracy": 0.98, "floor": 0.4, "n": 300, "classes": [0.6, 0.4]},
    "gaussian": {"frechet": 7.5, "precision": 0.5, "recall": 0.4, "sure": 0.9, "diversity": 0.9, "classes": [0.5, 0.5]},
    "mixture": {"frechet": 2.5, "precision": 0.5, "recall": 0.4, "sure": 0.9, "diversity": 0.9, "classes": [0.5, 0.5]},
}  # fmt: skip


def examined(run: Run, scores: Any) -> None:
    metrics = dict(run.record.metrics) | {"report": {"weights": run.weights_hash(), **scores}}
    edit(run, metrics=metrics)


def test_what_was_measured_of_a_run_is_shown_and_can_be_taken_away(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    examined(run, SCORES)
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception
    for words in (
        "20.25 ± 0.50",
        "± standard error; k = 500, 300 pictures, binarised at random",
        "14 neighbours, 30 pictures",
        "Gaussian noise",
        "+5.25 dB",
        "test pictures",
        "PCA with 32 numbers: 0.50",
        "from the prior",
        "7.50",
        "right on 98.00%",
        'title="0: 60.0%"',
    ):
        assert words in shown(page)
    assert "Examine" not in [button.label for button in page.button]
    assert [button.label for button in page.get("download_button")] == ["Table", "Export", "Scores"]
    row = page.dataframe[0].value.set_index("run").loc["Variational"]
    assert row["probe"] == pytest.approx(5) and row["frechet"] == pytest.approx(7.5)


def test_the_doctor_names_an_illness_with_evidence_and_advice(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    examined(run, SCORES)
    page = open_page(PAGE, store, run=run.id)
    assert "The code is hardly used" in said(page) and "0 of 32" in said(page) and "warmup" in said(page)
    link = next(element.proto for element in page.get("page_link") if "Set up" in element.proto.label)
    assert "vae.warmup=0.5" in link.query_string and "family=Variational" in link.query_string
    assert {"family", "dataset", "vae.warmup", "anew"} <= carried(page)


def test_what_was_not_examined_is_offered_and_becomes_a_job(
    open_page: Open, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(Jobs, "start", lambda self, words, title, **more: started.append((words, more)))
    run = run_of(store, "gan")
    page = click(open_page(PAGE, store, run=run.id), "Examine")
    assert not page.exception
    assert started == [(["evaluate", run.id, "--keep"], {"lane": "analysis"})]


def test_an_examination_that_failed_is_told_only_while_scores_are_missing(
    open_page: Open, store: Store
) -> None:
    run = run_of(store, "vae")
    job = Jobs(store.root).create(["evaluate", run.id, "--keep"], "Scores")
    save(replace(job, started=job.created, ended=job.created, outcome="failed", message="The power went."))
    assert "The power went" in said(open_page(PAGE, store, run=run.id))
    examined(run, SCORES)
    assert "The power went" not in said(open_page(PAGE, store, run=run.id))


@pytest.mark.parametrize(
    "scores",
    [
        {"reconstruction": []},
        {"codes": {"probe_error": "<b>", "knn_accuracy": 10**400, "n": None}},
        {"judge": {"accuracy": 1, "floor": 0, "n": 1}, "gaussian": {"frechet": [], "classes": 3}},
        {"vae": {"nll": 1.0}, "sparse": {"dead": 2.0}, "denoising": {"amounts": [1.0], "gain": 1.0}},
        {"<b>": {"x": 1}},
    ],
)
def test_scores_that_cannot_be_are_left_out(open_page: Open, store: Store, scores: dict) -> None:
    run = run_of(store, "vae")
    examined(run, scores)
    page = open_page(PAGE, store, run=run.id)
    assert not page.exception and "<b>" not in shown(page)


def test_scores_of_other_weights_are_not_shown(open_page: Open, store: Store) -> None:
    run = run_of(store, "vae")
    examined(run, SCORES | {"weights": "0" * 16})
    page = open_page(PAGE, store, run=run.id)
    assert "20.25" not in shown(page) and "Examine" in [button.label for button in page.button]


def test_a_zip_comes_in_once_and_is_shown(open_page: Open, six: Store, tmp_path: Path) -> None:
    store, run = Store(tmp_path / "other"), run_of(six, "gan")
    page = open_page(PAGE, store)
    page.file_uploader(key="import-zip").upload("run.zip", transfer.export(run))
    page = click(page, "Import")
    assert not page.exception and [one.id for one in store.runs()] == [run.id] and listed(page) == ["GAN"]
    assert len(page.run().dataframe[0].value) == 1 and len(store.runs()) == 1


def test_an_imported_run_opens_its_data(open_page: Open, store: Store, tmp_path: Path) -> None:
    run = trained(Store(tmp_path / "elsewhere"), VAE, toy.dataset((3, 16, 16)))
    page = open_page(PAGE, store)
    page.file_uploader(key="import-zip").upload("run.zip", transfer.export(run))
    page = click(page, "Import")
    assert not page.exception and listed(page) == ["Variational"] and run.id in store.folders()


def zip_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return buffer.getvalue()


def test_hostile_zips_are_refused_in_words_and_leave_nothing(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    run = run_of(six, "vanilla")
    whole = transfer.export(run)
    record = (run.folder / "run.json").read_bytes()
    bad = {
        "no zip": b"no zip",
        "empty": zip_of(),
        "cut short": whole[: len(whole) // 2],
        "weights missing": zip_of(**{"run/run.json": record}),
        "pickled": zip_of(**{"run/run.json": record, "run/weights.safetensors": b"\x80\x04K\x01."}),
        "outside": zip_of(**{"../run.json": record}),
        "markup": zip_of(
            **{f"run/{HOSTILE}": b"", "run/run.json": b'{"format": "' + HOSTILE.encode() + b'"}'}
        ),
    }
    store = Store(tmp_path / "other")
    page = open_page(PAGE, store)
    for name, data in bad.items():
        page.file_uploader(key="import-zip").upload("run.zip", data)
        page = click(page, "Import")
        assert not page.exception, name
        assert len(page.warning) == 1 and "![x](" not in page.warning[0].value, name
        assert store.list() == [] and not [*tmp_path.rglob("run.json")], name


def test_without_a_file_importing_asks_for_one(open_page: Open, tmp_path: Path) -> None:
    page = click(open_page(PAGE, Store(tmp_path / "other")), "Import")
    assert "Choose a zip first" in page.warning[0].value


# --- the parts --------------------------------------------------------------------------------------------------


def test_thumbnails_show_reconstructions_beside_the_colour_of_the_family(six: Store) -> None:
    import base64

    run = run_of(six, "vae")
    uri = library.thumbnail(run)
    assert uri is not None
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    stripe = 56 // library.STRIPE
    assert pixels.shape == (56, stripe + 4 * 56 + 3 * watch.GAP, 4)
    assert bytes(pixels[0, 0, :3]).hex() == colour("vae")[1:]
    first = run.previews(run.preview_epochs()[-1]).reconstructions[0, 0]
    np.testing.assert_array_equal(pixels[::7, stripe : stripe + 56 : 7, 0], first)


def test_the_table_to_take_away_holds_no_formula(store: Store) -> None:
    edit(run_of(store, "vae"), tags=["=cmd()"])
    group = only_group(store)
    rows = list(csv.DictReader(io.StringIO(library.csv(library.table(group.runs, group)).decode())))
    assert len(rows) == 6 and {row["tags"] for row in rows} == {"", "'=cmd()"} and "pictures" not in rows[0]


def test_settings_that_differ_leave_a_gap_where_a_family_has_none(six: Store) -> None:
    group = only_group(six)
    frame = library.unlike(group.runs, group)
    assert "beta" in frame.index and frame.loc["beta", "Vanilla"] == "–" != frame.loc["beta", "Variational"]
    assert "seed" not in frame.index and "latent dim" in frame.index


def test_a_long_history_is_thinned_to_its_ends(store: Store) -> None:
    run = run_of(store, "vanilla")
    epochs = [{**run.metrics()[0], "epoch": number} for number in range(1, 5001)]
    run.metrics_file.write_text("".join(json.dumps(epoch) + "\n" for epoch in epochs))
    found = [one["epoch"] for one in library.history(run)]
    assert len(found) == watch.POINTS and (found[0], found[-1]) == (1, 5000)


def test_originals_stand_above_only_where_all_rebuilt_the_same(store: Store) -> None:
    one, other = store.runs()[:2]
    assert library.shared_originals([one, other]) is not None
    (other.folder / "previews" / "originals.png").unlink()
    assert library.shared_originals([one, other]) is None
    other.save_originals(255 - load("digits").validation.images[:10])
    assert library.shared_originals([one, other]) is None


def test_who_adds_a_tag_leaves_the_name_that_somebody_else_has_just_given(
    open_page: Open, store: Store
) -> None:
    run = run_of(store, "vanilla")
    page = open_page(PAGE, store, run=run.id)
    run.update(name="quoted in a paper")
    page.multiselect(key=f"tags-{run.id}").set_value(["thesis"])
    click(page, "Save")
    record = Run.open(run.folder).record
    assert (record.name, record.tags) == ("quoted in a paper", ("thesis",))
    run.update(name="quoted twice")
    page.run()
    page.multiselect(key=f"tags-{run.id}").set_value([])
    click(page, "Save")
    assert (Run.open(run.folder).record.name, Run.open(run.folder).record.tags) == ("quoted twice", ())


def test_a_search_for_what_reads_as_a_number_stays_in_the_address(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six, find="infinity")
    assert page.text_input(key="find").value == "infinity" and page.query_params["find"] == "infinity"
