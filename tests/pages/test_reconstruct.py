from __future__ import annotations

import csv
import io
import json
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from core import examples, intake, packing
from core.data import load
from core.evaluation import rebuild
from core.families import FAMILIES, GAN, Vanilla
from core.families.photo_autoencoder import PhotoAutoencoder
from core.pictures import as_floats, png
from core.rates import Row, compared
from core.store import Run, Store
from tests import toy
from tests.pages.conftest import Open, links, shown, trained
from tests.photographs import autoencoder, jpeg, scene
from ui import board, memory, photograph
from ui.html import picture

PAGE = "explore/reconstruct.py"


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    for name, data in files:
        app.file_uploader(key="uploads").upload(name, data)
    return app.run()


def digit(number: int) -> bytes:
    return png(examples.pictures((1, 28, 28))[number][0])


def colours() -> bytes:
    return png(np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8))


def scanned_digit() -> bytes:
    """In ink on paper that is gray, unevenly lit and has some grain."""
    ink = np.kron(np.pad(examples.pictures((1, 28, 28))[3][0], 8) / 255, np.ones((10, 10)))
    paper = 190 * np.linspace(0.88, 1.12, ink.shape[1])
    grain = np.random.default_rng(0).normal(0, 8, ink.shape)
    return png((paper * (1 - 0.7 * ink) + grain).clip(0, 255).astype(np.uint8))


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.warning, *app.info, *app.success])


def test_opens_with_a_worked_example_through_every_variant(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six)
    assert not page.exception
    html = shown(page)
    x = as_floats(examples.pictures((1, 8, 8))[[2]])
    for run in six.runs():
        title = next(family.title for family in FAMILIES if family.key == run.record.family)
        (expected,) = rebuild(run.load(), x)
        assert picture(expected.pixels, f"digit 2, {title}") in html
        assert board.text(expected.scores.psnr, "PSNR") in html


def test_the_best_of_a_row_is_marked_once_for_each_picture(open_page: Open, six: Store) -> None:
    assert shown(open_page(PAGE, six)).count("★") == 3  # three examples
    assert shown(open_page(PAGE, six, metric="MSE")).count("★") == 3


def test_uploads_go_through_and_hostile_ones_are_refused_by_name(open_page: Open, six: Store) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    photo = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(photo, "JPEG")
    page = upload(
        open_page(PAGE, six, source="Upload"),
        ("three.png", digit(3)),
        ("bomb.png", bomb),
        ("cut.jpg", photo.getvalue()[:300]),
        ("empty.png", b""),
        ("note.png", b"this is not a picture"),
        ("three.png", digit(3)),
    )
    assert not page.exception
    html = shown(page)
    assert "<b>three.png</b>" in html and "<b>three.png (2)</b>" in html
    told = said(page) + "".join(one.value for box in page.expander for one in box.markdown)
    for name in ("bomb.png", "cut.jpg", "empty.png", "note.png"):
        assert name in told and f"<b>{name}</b>" not in html


def test_what_lies_behind_transparency_can_be_chosen_and_refusals_are_said_once(
    open_page: Open, six: Store
) -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(clear, "PNG")
    files = (("clear.png", clear.getvalue()), ("note.png", b"this is not a picture"))
    page = upload(open_page(PAGE, six, source="Upload"), *files)
    assert len(page.warning) == 1
    white, black = (picture(np.full((1, 8, 8), value, np.uint8), "clear.png") for value in (255, 0))
    assert white in shown(page)
    page.color_picker(key="ground").set_value("#000000").run()
    assert black in shown(page) and len(page.warning) == 1


def test_white_on_nothing_lies_on_black_at_first(open_page: Open, six: Store) -> None:
    ring = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    ImageDraw.Draw(ring).ellipse((8, 8, 32, 32), outline=(255, 255, 255, 255), width=5)
    file = io.BytesIO()
    ring.save(file, "PNG")
    page = upload(open_page(PAGE, six, source="Upload"), ("ring.png", file.getvalue()))
    assert not page.exception and page.color_picker(key="ground").value == "#000000"
    assert "transparency laid over black" in shown(page)


def test_a_file_name_is_text_and_never_markup(open_page: Open, six: Store) -> None:
    html = shown(
        upload(open_page(PAGE, six, source="Upload"), ("<img src=x onerror=alert(1)>.png", digit(3)))
    )
    assert "<img src=x" not in html


def test_dark_ink_is_inverted_which_is_said_and_can_be_undone(open_page: Open, six: Store) -> None:
    paper = png(255 - np.pad(examples.pictures((1, 28, 28))[4][0], 20))
    page = upload(open_page(PAGE, six, source="Upload"), ("paper.png", paper))
    assert "dark ink" in said(page)
    before = shown(page)
    assert "inverted" in before
    page.toggle(key="invert").set_value(False).run()
    assert "inverted" not in shown(page) and shown(page) != before


def test_a_photograph_is_told_what_the_models_were_made_for(open_page: Open, six: Store) -> None:
    page = upload(open_page(PAGE, six, source="Upload"), ("photo.png", colours()))
    assert "made for" in said(page) and "8×8" in said(page)


def test_a_photograph_opens_on_models_that_see_colour(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    trained(Store(tmp_path), Vanilla, toy.dataset((3, 32, 32)))
    page = upload(open_page(PAGE, Store(tmp_path), source="Upload"), ("photo.png", colours()))
    assert not page.exception
    assert page.selectbox(key="data").value == "toy"
    assert "in colour" in said(page)


def test_searching_a_code_lowers_the_error_of_the_gan(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six)
    gan = next(run.id for run in six.runs() if run.record.family == GAN.key)
    next(box for box in page.selectbox if box.label == "Variant").select(gan)
    next(button for button in page.button if button.label == "Search").click().run()
    assert not page.exception
    before, after = (float(word.rstrip(",.")) for word in said(page).split() if word[:2] == "0.")
    assert after < before
    assert "GAN (code searched)" in shown(page)


def test_a_drawing_is_rebuilt(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six, source="Draw")
    page.session_state["pad"] = {"strokes": [[[0.5, 0.1], [0.5, 0.9]], "nonsense", [[float("nan"), 2]]]}
    page.run()
    assert not page.exception
    assert "<b>drawing</b>" in shown(page)


def test_published_data_are_fetched_only_when_asked_to(open_page: Open, six: Store, tmp_path: Path) -> None:
    page = open_page(PAGE, six, source="Test pictures")
    assert "test 0: " in shown(page)
    shutil.copytree(six.runs()[0].folder, tmp_path / "one")
    record = tmp_path / "one" / "run.json"
    record.write_text(record.read_text().replace('"digits"', '"mnist"'))
    page = open_page(PAGE, Store(tmp_path), source="Test pictures")
    assert not page.exception and "not on this machine" in said(page)


def test_a_run_that_cannot_be_loaded_is_named_and_the_others_go_on(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    broken = Store(tmp_path).runs()[0]
    broken.weights_file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception
    assert broken.id in said(page) and "GAN" in shown(page)


def test_damaged_runs_are_counted_and_left_out(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    (Store(tmp_path).runs()[0].folder / "run.json").write_bytes(b"\x80\x04K\x01.")
    page = open_page(PAGE, Store(tmp_path))
    assert not page.exception
    assert any("1 damaged" in text.value for text in page.caption) and "GAN" in shown(page)


@pytest.mark.parametrize("file", ["latent.py", "sample.py", "robustness.py", "vae.py"])
def test_every_page_of_runs_counts_the_damaged(
    open_page: Open, six: Store, tmp_path: Path, file: str
) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    broken = next(run for run in Store(tmp_path).runs() if run.record.family == "sparse")
    (broken.folder / "run.json").write_bytes(b"\x80\x04K\x01.")
    page = open_page(f"explore/{file}", Store(tmp_path))
    assert not page.exception and any("1 damaged" in text.value for text in page.caption)


def test_a_store_that_is_no_folder_is_said(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    page = open_page(PAGE, Store(tmp_path / "file"))
    assert not page.exception and "cannot be read" in page.error[0].value


def test_an_empty_store_says_how_to_begin(open_page: Open, tmp_path: Path) -> None:
    page = open_page(PAGE, Store(tmp_path / "nothing"))
    assert not page.exception and "There are no trained models yet" in said(page)
    assert "Train the first" in links(page)


@pytest.mark.parametrize(
    "parameter", ["data", "source", "metric", "runs-digits", "examples-1", "errors", "first"]
)
def test_nonsense_in_the_address_is_ignored(open_page: Open, six: Store, parameter: str) -> None:
    page = open_page(PAGE, six, **{parameter: "../../etc/passwd"})
    assert not page.exception


def test_what_the_address_leaves_open_is_as_usual(open_page: Open, photographs: Store) -> None:
    assert " dB" in shown(open_page(PAGE, photographs, metric=""))
    page = open_page(PAGE, photographs, data="Photographs · any size", photo="")
    assert not page.exception and len(page.get("bidi_component")) == 1


def test_a_name_formats_nothing_in_what_a_search_says(open_page: Open, six: Store, tmp_path: Path) -> None:
    vanilla = next(run for run in six.runs() if run.record.family == Vanilla.key)
    for id, name in {"one": "plain", "other": "![](https://elsewhere)"}.items():
        Run.open(shutil.copytree(vanilla.folder, tmp_path / id)).update(name=name)
    page = open_page(PAGE, Store(tmp_path))
    (further,) = {"one", "other"} - set(page.pills(key="runs-digits").value)
    page.multiselect(key="more-digits").set_value([further]).run()
    next(box for box in page.selectbox if box.label == "Variant").select("other")
    next(button for button in page.button if button.label == "Search").click().run()
    assert not page.exception and r"!\[\]" in page.success[0].value


def columns_of(six: Store) -> tuple[list, list[board.Column]]:
    from ui.inputs import Input
    from ui.runs import groups

    (group,) = groups(six.runs())
    inputs = [Input("=cmd", examples.pictures((1, 8, 8))[0]), Input("../b", examples.pictures((1, 8, 8))[1])]
    x = torch.stack([as_floats(one.pixels) for one in inputs])
    return inputs, [
        board.Column.of(run, run.load(), group, rebuild(run.load(), x), False) for run in group.runs
    ]


def test_the_table_holds_every_number_and_no_formula(six: Store) -> None:
    rows = list(csv.DictReader(io.StringIO(board.csv(*columns_of(six)).decode())))
    assert len(rows) == 2 * len(FAMILIES)
    assert {row["picture"] for row in rows} == {"'=cmd", "../b"}
    best = max(rows[: len(FAMILIES)], key=lambda row: float(row["PSNR"]))
    assert "PSNR" in best["best in row"]


def test_the_archive_holds_every_picture_under_a_harmless_name(six: Store) -> None:
    with zipfile.ZipFile(io.BytesIO(board.archive(*columns_of(six)))) as file:
        names = file.namelist()
        assert len(names) == len(set(names)) == 2 * (1 + 2 * len(FAMILIES))
        assert all("/" not in name and ".." not in name for name in names)
        assert Image.open(io.BytesIO(file.read(names[0]))).size == (8, 8)


def test_a_code_larger_than_its_picture_claims_nothing(six: Store) -> None:
    _, columns = columns_of(six)
    assert all("no compression" in column.code for column in columns)  # 32 numbers of 32 bits for 64 of 8


@pytest.mark.parametrize(
    ("percentiles", "words"),
    [
        ((100.0, 99.95), "like nothing these models have seen"),
        ((99.0, 96.0), "unusual"),
        ((100.0, 50.0), ""),
        ((None,), ""),
    ],
)
def test_the_badge_speaks_only_where_every_model_agrees(percentiles: tuple, words: str) -> None:
    from core.evaluation import Rebuilt, Scores
    from ui.inputs import Input

    flat = np.zeros((1, 8, 8), np.uint8)
    row = [
        Rebuilt(flat, np.zeros((8, 8)), Scores(0.1, 6.4, 10.0, 0.1), percentile) for percentile in percentiles
    ]
    badge = "".join(board.notes(Input("one", flat), row)).replace("<small><b>one</b></small>", "")
    assert words in badge and bool(badge) == bool(words)


def test_runs_that_are_not_proposed_are_a_choice_away(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    further = trained(Store(tmp_path), Vanilla, load("digits"), epochs=1)
    page = open_page(PAGE, Store(tmp_path))
    before = shown(page)
    assert further.id not in page.pills(key="runs-digits").value
    page.multiselect(key="more-digits").set_value([further.id]).run()
    assert not page.exception
    assert shown(page).count(", Vanilla") > before.count(", Vanilla")


def test_a_choice_of_which_nothing_is_within_reach_is_made_anew(open_page: Open, six: Store) -> None:
    page = open_page(PAGE, six)
    usual = page.pills(key="runs-digits").value
    page.session_state["runs-digits"] = ["mnist-vae"]
    assert page.run().pills(key="runs-digits").value == usual and not page.exception


def test_a_link_from_elsewhere_decides_what_it_leaves_out(open_page: Open, photographs: Store) -> None:
    page = open_page(PAGE, photographs)
    page.selectbox(key="data").set_value("photographs").run()
    page.query_params.clear()
    page.query_params.update({"anew": "1", "source": "Upload"})
    page.run()
    assert (
        page.selectbox(key="data").value == "digits"
        and page.segmented_control(key="source").value == "Upload"
    )
    page.selectbox(key="data").set_value("photographs").run()
    assert page.run().selectbox(key="data").value == "photographs"  # once, though the address keeps it


# --- photographs at their own size ------------------------------------------------------------------------------


@pytest.fixture
def photographs(six: Store, tmp_path: Path) -> Store:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    autoencoder(Store(tmp_path))
    return Store(tmp_path)


def test_an_uploaded_photograph_goes_through_a_bottleneck_at_its_own_size(
    open_page: Open, photographs: Store
) -> None:
    page = open_page(PAGE, photographs)
    page.segmented_control(key="source").set_value("Upload").run()
    upload(page, ("photo.png", colours()))
    assert not page.exception and page.selectbox(key="data").value == "photographs"
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    (model,) = (run.restorer() for run in photographs.runs() if run.title == "Bottleneck")
    assert isinstance(model, PhotoAutoencoder)
    expected = compared(pixels, model, 4)
    table = page.dataframe[0].value
    assert list(table["kept as"]) == ["Photo autoencoder", "JPEG", "WebP"]
    assert table["bytes"][0] == f"{expected[0].size:,}"
    assert table["PSNR (dB)"][0].removesuffix(" ★") == f"{expected[0].psnr:.2f}"


def test_who_went_back_to_the_small_models_stays_there_until_another_photograph_comes(
    open_page: Open, photographs: Store
) -> None:
    page = upload(open_page(PAGE, photographs, source="Upload"), ("a.png", colours()))
    assert page.selectbox(key="data").value == "photographs"
    page.selectbox(key="data").set_value("digits").run()
    digit = ("digit.png", png(examples.pictures((1, 8, 8))[0][0]))
    assert upload(page, ("a.png", colours()), digit).selectbox(key="data").value == "digits"
    assert upload(page, digit, ("b.png", colours())).selectbox(key="data").value == "photographs"
    upload(page, digit, ("b.png", colours()), ("c.png", colours()))
    page.selectbox(key="data").set_value("digits").run()
    assert upload(page, ("b.png", colours()), ("c.png", colours())).selectbox(key="data").value == "digits"


def test_the_photograph_that_came_last_is_the_one_shown(open_page: Open, photographs: Store) -> None:
    files = [(name, colours()) for name in ("a.png", "b.png", "c.png")]
    page = upload(open_page(PAGE, photographs, source="Upload"), *files[:2])
    assert page.selectbox(key="shown").value == "2. b.png"
    page.selectbox(key="shown").select("1. a.png").run()
    assert page.selectbox(key="shown").value == "1. a.png"
    assert upload(page, *files).selectbox(key="shown").value == "3. c.png"


def test_a_photograph_without_colours_opens_on_the_same_models(open_page: Open, photographs: Store) -> None:
    page = upload(
        open_page(PAGE, photographs, source="Upload"), ("old.jpg", jpeg(scene(160, 120).max(axis=2)))
    )
    assert not page.exception and page.selectbox(key="data").value == "photographs"
    assert list(page.dataframe[0].value["kept as"]) == ["Photo autoencoder", "JPEG", "WebP"]


def test_a_photo_from_the_camera_opens_on_them_as_well(open_page: Open, photographs: Store) -> None:
    page = open_page(PAGE, photographs, source="Camera")
    page.camera_input(key="camera").upload("camera.jpg", jpeg(scene(160, 120))).run()
    assert not page.exception and page.selectbox(key="data").value == "photographs"
    assert len(page.get("bidi_component")) == 1 and "kept as" in page.dataframe[0].value


def test_photo_models_of_one_name_can_all_be_chosen(open_page: Open, photographs: Store) -> None:
    first = next(run for run in photographs.runs() if run.record.family == "photo_autoencoder")
    shutil.copytree(first.folder, first.folder.with_name("twin"))
    page = open_page(PAGE, photographs, data="Photographs · any size")
    box = page.selectbox(key="photo-model")
    assert len(set(box.options)) == 2
    for number in (0, 1):
        page = page.selectbox(key="photo-model").select_index(number).run()
        assert not page.exception and page.selectbox(key="photo-model").index == number


@pytest.mark.parametrize("file", [digit(3), scanned_digit()], ids=["small", "scanned"])
def test_a_digit_goes_to_the_small_models(open_page: Open, photographs: Store, file: bytes) -> None:
    page = upload(open_page(PAGE, photographs, source="Upload"), ("three.png", file))
    assert not page.exception and page.selectbox(key="data").value == "digits"
    assert "made for" not in said(page) and "<b>three.png</b>" in shown(page)


def test_small_models_send_photographs_to_those_that_take_them_whole(
    open_page: Open, photographs: Store
) -> None:
    trained(photographs, Vanilla, toy.dataset((3, 32, 32)))
    page = upload(open_page(PAGE, photographs, source="Upload"), ("photo.png", colours()))
    for small, colour in (("digits", "without its colours"), ("toy", "in colour")):
        page.selectbox(key="data").set_value(small).run()
        assert f"{colour}. For photographs choose “Photographs · any size”." in said(page)
    gray = upload(
        open_page(PAGE, photographs, source="Upload", data="digits"), ("old.png", png(scene(90, 90)[..., 0]))
    )
    gray.selectbox(key="data").set_value("digits").run()
    assert "8×8 pixels. For photographs choose" in said(gray)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the pictures of these tests took long."""
    monkeypatch.setattr(photograph, "MOST_PIXELS", 5_000)


def bytes_of_ours(page: AppTest) -> str:
    return page.dataframe[0].value["bytes"][0]


@pytest.mark.usefixtures("large")
def test_a_large_photograph_is_reduced_at_first_and_goes_through_whole_when_asked_to(
    open_page: Open, photographs: Store
) -> None:
    page = upload(open_page(PAGE, photographs, source="Upload"), ("photo.png", colours()))
    (model,) = (run.restorer() for run in photographs.runs() if run.title == "Bottleneck")
    assert isinstance(model, PhotoAutoencoder)
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    small = photograph.reduced(intake.Picture("photo", pixels, "PNG"))
    assert bytes_of_ours(page) == f"{compared(small, model, 4)[0].size:,}"
    assert any("Reduced to 81×61 pixels" in text.value for text in page.caption)
    (whole,) = (button for button in page.button if "At its own size" in button.label)
    assert "160×120: about 10 s" in whole.label
    whole.click().run()
    assert not page.exception and bytes_of_ours(page) == f"{compared(pixels, model, 4)[0].size:,}"
    assert any("At its own size, 160×120 pixels" in text.value for text in page.caption)
    page.select_slider(key="rate").set_value(2).run()
    assert bytes_of_ours(page) == f"{compared(pixels, model, 2)[0].size:,}"
    page.toggle(key="every-size").set_value(True).run()
    assert any("reduced to 81×61 pixels" in text.value for text in page.caption)


@pytest.mark.usefixtures("large")
def test_what_no_file_holds_is_reduced_and_says_why(
    open_page: Open, photographs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = upload(open_page(PAGE, photographs, source="Upload"), ("photo.png", colours()))
    (whole,) = (button for button in page.button if "At its own size" in button.label)
    whole.click().run()
    monkeypatch.setattr(packing, "MOST_NUMBERS", 1_000)  # of 160×120 at 4 there are 1,200
    page.run()
    assert not page.exception and not any("At its own size" in button.label for button in page.button)
    assert any("4 numbers for 8×8 of 160×120 pixels are more" in text.value for text in page.caption)
    page.select_slider(key="rate").set_value(2).run()
    assert any("At its own size, 160×120 pixels" in text.value for text in page.caption)


@pytest.mark.usefixtures("large")
def test_the_server_keeps_a_few_results_and_forgets_the_oldest(
    open_page: Open, photographs: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = upload(open_page(PAGE, photographs, source="Upload"), ("photo.png", colours()))
    size = 3 * 81 * 61 * 3  # three pictures in three colours
    monkeypatch.setattr(photograph, "REMEMBERED", 2 * size)
    page.toggle(key="every-size").set_value(True).run()
    assert [k for _, _, k in memory.kept("squeezed")] == [2, 4]
    monkeypatch.setattr(photograph, "REMEMBERED", size)
    page.select_slider(key="rate").set_value(2).run()
    assert not page.exception and len(memory.kept("squeezed")) == 1


def test_photographs_open_on_an_example_and_every_size_can_be_compared(
    open_page: Open, photographs: Store
) -> None:
    page = open_page(PAGE, photographs)
    page.selectbox(key="data").set_value("photographs").run()
    assert not page.exception and len(page.get("bidi_component")) == 1
    page.toggle(key="every-size").set_value(True).run()
    assert not page.exception and len(page.get("plotly_chart")) == 1


def test_the_sentence_says_who_keeps_more() -> None:
    def row(title: str, psnr: float, larger: bool = False) -> Row:
        return Row(title, 100, larger, psnr, 0.5, np.zeros((1, 1, 3), np.uint8))

    ours = row("ours", 30.0)
    assert photograph.said([ours, row("JPEG", 29.0), row("WebP", 31.0)]).startswith("WebP keeps more")
    assert photograph.said([ours, row("JPEG", 32.0), row("WebP", 31.0)]).startswith("JPEG and WebP keep more")
    assert photograph.said([ours, row("JPEG", 32.0, larger=True)]).startswith("No other file of this size")


def test_a_very_large_photograph_is_reduced_before_it_is_squeezed() -> None:
    picture = intake.Picture("large", np.zeros((3000, 2000, 1), np.uint8), "PNG")
    height, width, colours = photograph.reduced(picture).shape
    assert height * width <= photograph.MOST_PIXELS and colours == 3
    assert height / width == pytest.approx(1.5, rel=0.01)


def test_a_pad_that_is_made_anew_has_what_was_drawn(open_page: Open, six: Store) -> None:
    """Where something appears above it, the browser makes another one."""
    page = open_page(PAGE, six, source="Draw")
    drawn = [[[0.1, 0.1], [0.2, 0.9]]]
    page.session_state["pad"] = {"strokes": drawn}
    data = [json.loads(one.proto.json) for one in page.run().get("bidi_component")]
    assert [one["strokes"] for one in data if "strokes" in one] == [drawn]
    page.session_state["pad"] = {}  # as after a look at a page without it
    data = [json.loads(one.proto.json) for one in page.run().get("bidi_component")]
    assert [one["strokes"] for one in data if "strokes" in one] == [drawn]


def test_who_has_no_more_in_the_table_keeps_no_more() -> None:
    blank = np.zeros((1, 1, 3), np.uint8)
    rows = [Row(title, 100, False, psnr, 0.5, blank) for title, psnr in (("Ours", 24.161), ("WebP", 24.164))]
    assert photograph.said(rows).startswith("No other file of this size comes closer")
    assert list(photograph.table(rows, 1)["PSNR (dB)"]) == ["24.16 ★", "24.16 ★"]
    rows[1] = Row("WebP", 100, False, 24.166, 0.5, blank)
    assert photograph.said(rows).startswith("WebP keeps more at this size")
    assert list(photograph.table(rows, 1)["PSNR (dB)"]) == ["24.16", "24.17 ★"]
