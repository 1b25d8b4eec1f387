from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import ExifTags, Image, ImageCms
from streamlit.testing.v1 import AppTest

from core import original, photos
from core.corruption import CORRUPTIONS
from core.data import load
from core.denoisers import classical, contest
from core.evaluation import decibels
from core.families import Denoising
from core.photos import Wish
from core.store import Store
from tests.pages.conftest import Open, shown, trained
from tests.photographs import denoiser, jpeg, scene
from ui import memory, uploads
from ui.denoise import noisy, pictures, trial
from ui.denoise.models import sees
from ui.denoise.pictures import Photo, example
from ui.words import as_written

PAGE = "explore/denoise.py"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A model for white noise, one for cameras, and a small denoising autoencoder."""
    store = Store(tmp_path_factory.mktemp("photos"))
    denoiser(store, name="White noise")
    denoiser(store, "camera", "Camera noise")
    trained(store, Denoising, load("digits"), epochs=1)
    return store


def png(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def upload(page: AppTest, *files: tuple[str, bytes]) -> AppTest:
    page.segmented_control(key="source").set_value("Upload").run()
    for name, data in files:
        page.file_uploader(key="photographs").upload(name, data)
    return page.run()


def metrics(page: AppTest) -> dict[str, str]:
    return {one.label: one.value for one in page.metric}


def pixels_of(photo: Photo) -> np.ndarray:
    """Without the memory of a session."""
    return original.read(photo.file, photo.name).pixels


def compared(page: AppTest) -> list[str]:
    return [one.proto.json for one in page.get("bidi_component")]


def test_it_opens_on_a_noisy_example_that_is_cleaned(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two)
    assert not page.exception
    photo = example("cat", True)
    assert photo.clean is not None
    run = next(run for run in two.runs() if run.title == metrics(page)["Model"])
    cleaned = photos.finished(photos.restored(run.restorer(), pixels_of(photo)))
    assert metrics(page)["PSNR"] == f"{decibels(cleaned, photo.clean):.2f} dB"
    assert len(compared(page)) == 1 and "clean original" in compared(page)[0]
    assert not page.button  # neither a stop nor anything else is left over


def test_nothing_is_added_to_an_uploaded_picture(open_page: Open, two: Store) -> None:
    page = upload(open_page(PAGE, two), ("holiday.jpg", jpeg(scene(90, 70))))
    assert not page.exception
    photo = original.read(jpeg(scene(90, 70)), "holiday.jpg")
    models = {id: run.restorer() for id, run in photos.denoisers(two).items()}
    _, noise = photos.fitting(models, photos.as_colour(photo.pixels))
    assert metrics(page)["Noise found"] == f"{255 * noise.sigma:.1f} of 255"
    assert "PSNR" not in metrics(page) and metrics(page)["Size"] == "90 × 70"
    assert "clean original" not in compared(page)[0]


def test_the_file_goes_back_in_its_format_and_upright(two: Store) -> None:
    photo = original.read(jpeg(scene(90, 70), orientation=6), "holiday.jpg")
    assert photo.pixels.shape == (90, 70, 3)
    (model, *_) = photos.denoisers(two).values()
    cleaned = photos.finished(photos.restored(model.restorer(), photo.pixels))
    image = Image.open(io.BytesIO(original.write(photo, cleaned)))
    assert (image.format, image.size) == ("JPEG", (70, 90))
    exif = image.getexif()
    assert exif.get(ExifTags.Base.Orientation, 1) == 1 and exif[ExifTags.Base.Make] == "Bottleneck"


def test_strength_and_texture_stand_in_the_address_and_reach_the_model(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two, strength="50", texture="100")
    assert not page.exception
    assert page.slider(key="strength").value == 50 and page.slider(key="texture").value == 100
    ((key, cleaned),) = memory.kept("cleaned").items()
    assert key[2] == Wish(0.5)  # of which texture asks nothing more
    models = {id: run.restorer() for id, run in photos.denoisers(two).items()}
    wish = Wish(0.5, 1.0, cleaned.noise.sigma)
    noisy = pixels_of(example("cat", True))
    expected = photos.finished(photos.restored(models[cleaned.by], noisy, wish))
    kept = photos.textured(noisy, cleaned.pixels, 1.0)
    assert np.abs(kept.astype(int) - expected).max() <= 1
    taken = np.sqrt(np.square(noisy.astype(float) - kept).mean())
    assert metrics(page)["Taken away"] == f"{taken:.1f} of 255"


def test_another_texture_asks_nothing_of_the_net(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(PAGE, two)
    before = metrics(page)["Taken away"]
    monkeypatch.setattr(photos, "restored", lambda *_: pytest.fail("it was cleaned anew"))
    page = page.slider(key="texture").set_value(60).run()
    assert not page.exception and metrics(page)["Taken away"] != before


def test_what_was_uploaded_is_there_after_a_look_at_another_page(open_page: Open, two: Store) -> None:
    page = upload(open_page(PAGE, two), ("holiday.jpg", jpeg(scene(90, 70))))
    page = page.switch_page("pages/explore/vae.py").run().switch_page(f"pages/{PAGE}").run()
    assert "Still here: holiday.jpg." in [one.value for one in page.caption]
    assert metrics(page)["Size"] == "90 × 70"
    page = next(button for button in page.button if button.label == "Remove").click().run()
    assert "Choose a picture." in page.info[0].value and "Size" not in metrics(page)


def test_what_was_cleaned_is_remembered(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two)
    first = dict(memory.kept("cleaned"))
    page.pills(key="example").set_value("coffee").run()
    page.pills(key="example").set_value("cat").run()
    assert len(memory.kept("cleaned")) == 2
    assert all(memory.kept("cleaned")[key] is value for key, value in first.items())


def test_a_model_that_was_trained_on_cleans_anew(open_page: Open, tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = denoiser(store)
    page = open_page(PAGE, store)
    (before,) = memory.kept("cleaned").values()
    run.save_weights(
        run.restorer().train().apply(lambda part: [one.data.mul_(1.1) for one in part.parameters(False)])
    )
    page.run()
    assert not page.exception
    *_, after = memory.kept("cleaned").values()
    assert (after.pixels != before.pixels).any()


def test_of_results_the_latest_stay_as_far_as_there_is_room(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {name: example(name, True).clean.nbytes for name in ("cat", "coffee", "astronaut")}
    monkeypatch.setattr(noisy, "KEPT", sum(sizes.values()) - 1)
    page = open_page(PAGE, two)
    for name in ("coffee", "cat", "astronaut"):  # the cat is looked at again
        page.pills(key="example").set_value(name).run()
    assert [key[0] for key in memory.kept("cleaned")] == ["cat-True", "astronaut-True"]


def test_a_look_back_encodes_nothing_anew(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(PAGE, two)
    before = memory.kept("encoded")
    monkeypatch.setattr(pictures, "encoded", None)
    monkeypatch.setattr(original, "read", None)
    page.run()
    assert not page.exception and len(compared(page)) == 1
    assert memory.kept("encoded") == before and len(before) == 3


def test_a_stopped_picture_waits_until_it_is_wanted(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two)
    (key,) = memory.kept("cleaned")
    memory._memory.clear()
    page.session_state["stopped"] = key
    page.run()
    assert "Stopped. Nothing was changed." in page.info[0].value and not compared(page)
    page.button[0].click().run()
    assert len(compared(page)) == 1 and not page.exception


def test_several_files_become_one_zip(open_page: Open, two: Store) -> None:
    files = [
        ("a.jpg", jpeg(scene(60, 40))),
        ("a.jpg", jpeg(scene(50, 40, seed=1))),
        ("broken.png", b"no picture"),
    ]
    page = upload(open_page(PAGE, two), *files)
    assert not page.exception and "broken.png" in page.warning[0].value
    assert page.selectbox(key="shown").options == ["1. a.jpg", "2. a.jpg"]
    assert page.selectbox(key="shown").value == "2. a.jpg"  # what was brought last
    next(one for one in page.button if one.label == "Clean all 2").click().run()
    assert not page.exception
    with zipped(page) as file:
        assert file.namelist() == ["a-denoised.jpg", "02-a-denoised.jpg"]
        assert Image.open(file.open("a-denoised.jpg")).size == (60, 40)


def test_many_refusals_leave_the_picture_in_sight(open_page: Open, two: Store) -> None:
    files = [(f"{n}.png", b"no picture") for n in range(5)]
    page = upload(open_page(PAGE, two), *files, ("good.png", png(scene(40, 30))))
    assert not page.exception and [one.value.split("”")[0] for one in page.warning] == ["“0.png", "“1.png"]
    (more,) = page.expander
    assert more.label == "3 more files could not be taken"
    assert all(f"{n}.png" in more.markdown[0].value for n in (2, 3, 4))


def test_what_else_changes_in_a_batch_is_said(open_page: Open, two: Store) -> None:
    deep = io.BytesIO()
    Image.fromarray(scene(40, 30)[:, :, 0].astype(np.uint16) * 257).save(deep, "PNG")
    page = upload(open_page(PAGE, two), ("deep.png", deep.getvalue()), ("plain.png", png(scene(40, 30))))
    assert not page.expander
    press(page, "Clean all 2")
    assert page.expander[0].label == "What else has changed · 1"
    assert page.expander[0].markdown[0].value == "- deep.png: 16-bit values scaled to 8 bits."


def test_with_another_damage_the_best_is_looked_at(open_page: Open, two: Store) -> None:
    methods = ["Doing nothing", "Median 3×3"]
    page = open_page(PAGE, two, purpose="Test on a clean picture", methods=methods)
    page.selectbox(key="closely-gaussian").set_value("nothing").run()
    page.selectbox(key="spoilt").set_value("masking").run()
    assert not page.exception and page.selectbox(key="closely-masking").value == "median"


def zipped(page: AppTest) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(noisy.archive(page.session_state["album"].done)))


def press(page: AppTest, label: str) -> AppTest:
    return next(one for one in page.button if one.label == label).click().run()


def test_all_of_them_are_cleaned_after_a_stop(open_page: Open, two: Store) -> None:
    files = [(f"{n}.png", png(scene(40, 30, seed=n))) for n in range(3)]
    page = upload(open_page(PAGE, two), *files)
    (*_, key) = memory.kept("cleaned")
    memory._memory.clear()
    page.session_state["stopped"] = key
    page.run()
    assert "Stopped" in page.info[0].value and not compared(page)
    press(page, "Clean all 3")
    assert not page.exception and not page.info and len(compared(page)) == 1
    assert len(memory.kept("cleaned")) == 3
    assert zipped(page).namelist() == ["0-denoised.png", "1-denoised.png", "2-denoised.png"]


def test_all_of_them_come_back_even_where_memory_holds_one(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noisy, "KEPT", 1)
    monkeypatch.setattr(pictures, "UNPACKED", 1)
    files = [(f"{n}.png", png(scene(40, 30, seed=n))) for n in (0, 1, 1)]  # one came twice
    page = press(upload(open_page(PAGE, two), *files), "Clean all 3")
    assert not page.exception
    assert len(memory.kept("cleaned")) == len(memory.kept("originals")) == 1
    assert zipped(page).namelist() == ["0-denoised.png", "1-denoised.png", "02-1-denoised.png"]
    page.slider(key="strength").set_value(0).run()
    assert "album" not in page.session_state  # it was of another strength
    press(page, "Clean all 3")
    with zipped(page) as file:
        assert np.array_equal(np.array(Image.open(file.open("1-denoised.png"))), scene(40, 30, seed=1))


def test_pictures_are_shown_in_their_colours_and_as_transparent_as_they_are(
    open_page: Open, two: Store
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    layers = np.dstack([scene(40, 30), np.full((30, 40), 100, np.uint8)])
    page = upload(open_page(PAGE, two), ("leaf.png", png(layers, icc_profile=profile)))
    assert not page.exception
    for place in ("before", "after"):
        (data,) = [
            data
            for (where, key), data in memory.kept("encoded").items()
            if where == place and "cat" not in str(key)
        ]
        image = Image.open(io.BytesIO(data))
        assert image.mode == "RGBA" and image.info["icc_profile"] == profile
        assert np.array_equal(np.array(image)[..., 3], layers[..., 3])


def test_no_name_stands_twice_in_a_zip(open_page: Open, two: Store) -> None:
    names = ("a.jpg", "03-a.jpg", "a.jpg", "A.jpeg", "a.jpg")
    page = upload(open_page(PAGE, two), *[(name, jpeg(scene(20, 20))) for name in names])
    with zipped(press(page, "Clean all 5")) as file:
        assert len({name.casefold() for name in file.namelist()}) == len(names)


def test_a_stop_before_the_turn_of_all_of_them_stops_them_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = noisy.Batch("these", going=True)
    monkeypatch.setattr(noisy.st, "session_state", {"album": batch})
    noisy.remember_the_stop("this")
    assert not batch.going


def test_all_of_them_begin_with_the_one_that_is_shown(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was not ready yet, it would otherwise be worked on anew after a stop."""
    page = upload(open_page(PAGE, two), *((f"{n}.png", png(scene(40, 30, seed=n))) for n in range(3)))
    memory._memory.clear()
    worked, seen = noisy.worked, []
    monkeypatch.setattr(noisy, "worked", lambda *words: seen.append(words[1].name) or worked(*words))
    page = press(page, "Clean all 3")
    assert not page.exception and seen == ["2.png", "0.png", "1.png"]
    assert zipped(page).namelist() == ["0-denoised.png", "1-denoised.png", "2-denoised.png"]


def test_a_stop_amid_all_of_them_keeps_what_is_done(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [(f"{n}.png", png(scene(40, 30, seed=n))) for n in range(3)]
    page = upload(open_page(PAGE, two), *files)

    def stopped(*_: object) -> None:
        st.stop()

    with (
        monkeypatch.context() as patched
    ):  # the third is known, the first is cleaned, and the visitor stops the second
        worked = noisy.worked
        todo = iter([worked, stopped])
        patched.setattr(noisy, "worked", lambda *words: next(todo)(*words))
        page = press(page, "Clean all 3")
    page = page.run()
    assert "Stopped after 1 of 3." in " ".join(one.value for one in page.caption)
    assert zipped(page).namelist() == ["0-denoised.png"]
    assert next(one.label for one in page.get("download_button")) == "Download 1 as a zip"
    page = press(page, "Go on")
    assert not page.exception and zipped(page).namelist() == [f"{n}-denoised.png" for n in range(3)]
    assert next(one.label for one in page.get("download_button")) == "Download all 3 as a zip"


def test_a_small_model_says_what_it_sees(open_page: Open, two: Store) -> None:
    small = next(run for run in two.runs() if run.record.family == "denoising")
    page = open_page(PAGE, two, model=sees(small))
    assert not page.exception
    assert "sees 8×8 pixels without colour" in page.info[0].value
    assert shown(page).count("<img") == 2 and not compared(page)
    assert not page.slider  # strength and texture would change nothing


def test_strength_zero_gives_back_what_came(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two, strength="0", texture="50")
    ((_, cleaned),) = memory.kept("cleaned").items()
    assert metrics(page)["Taken away"] == "0.0 of 255"
    assert np.array_equal(cleaned.pixels, pixels_of(example("cat", True)))


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "LA"), ("JPEG", "L")])
def test_what_is_shown_has_its_profile_in_either_format(kind: str, mode: str) -> None:
    pixels, alpha = np.full((20, 30, 1), 90, np.uint8), np.full((20, 30), 7, np.uint8)
    with Image.open(
        io.BytesIO(pictures.encoded(pixels, kind, b"profile", alpha if kind == "PNG" else None))
    ) as image:
        assert (image.format, image.mode, image.size) == (kind, mode, (30, 20))
        assert image.info["icc_profile"] == b"profile"


@pytest.mark.parametrize("name", ["x.png", "<b>.png", "*.png"])
def test_names_are_text(open_page: Open, two: Store, name: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(scene(30, 20)).convert("P").save(buffer, "PNG")
    page = upload(open_page(PAGE, two), (name, buffer.getvalue()))
    assert not page.exception and "<b>" not in "".join(one.value for one in page.caption)


def test_a_clean_picture_is_spoilt_and_every_method_gives_it_back(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two, purpose="Test on a clean picture")
    assert not page.exception
    table = page.dataframe[0].value
    assert list(table["method"][:5]) == [
        "Doing nothing",
        "Median 3×3",
        "NL-means",
        "Total variation",
        "Wavelet, BayesShrink",
    ]
    assert set(table["method"]) >= {"Ours, automatic", "Ours, White noise", "Ours, Camera noise"}
    for column in ("PSNR (dB)", "SSIM"):
        values = [float(text.removesuffix(" ★")) for text in table[column]]
        assert [text.endswith("★") for text in table[column]] == [value == max(values) for value in values]
    photo = example("cat", False)
    noisy_picture = trial.spoilt(trial.middle_of(photo.pixels), "gaussian", 0.1, 0)
    done_nothing = decibels(photos.as_pixels(noisy_picture, 3), trial.middle_of(photo.pixels))
    assert table["PSNR (dB)"][0] == f"{done_nothing:.2f}"
    assert "clean original" in compared(page)[0]


def test_what_was_measured_of_another_picture_makes_room(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "REMEMBERED", 3)
    methods = ["Doing nothing", "Median 3×3"]
    page = open_page(PAGE, two, purpose="Test on a clean picture", methods=methods)
    for seed in (1, 0):
        page = page.number_input(key="draw").set_value(seed).run()
        assert not page.exception and list(page.dataframe[0].value["method"]) == methods


def test_levels_that_take_several_numbers_are_published_ones(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two, purpose="Test on a clean picture", spoilt="Defocus", methods="Doing nothing")
    assert not page.exception
    assert page.slider(key="level-defocus_blur").label == "Level of ImageNet-C"


def test_only_the_middle_of_a_large_picture_is_tried() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 1000, 1), dtype=np.uint8)
    part = trial.middle_of(pixels)
    assert np.array_equal(part, pixels[94:606, 244:756])


def test_a_gray_picture_is_spoilt_as_one_and_judged_as_one() -> None:
    """Three channels with noise of their own would be averaged: that is 4.8 dB for nothing."""
    gray = scene(40, 30)[:, :, :1]
    clean = trial.middle_of(np.repeat(gray, 3, 2))
    assert np.array_equal(clean, gray)
    noisy_picture = trial.spoilt(clean, "gaussian", 0.1, 0)
    assert noisy_picture.shape == (1, 30, 40)
    (nothing, *_) = contest(clean, noisy_picture, None, classical())
    assert nothing.pixels.shape == gray.shape and nothing.psnr == decibels(
        photos.as_pixels(noisy_picture, 1), gray
    )
    for one in CORRUPTIONS:
        if one.kind in trial.KINDS:
            assert trial.spoilt(clean, one.name, one.default, 0).shape == (1, 30, 40)


def test_a_gray_photo_is_tried_on_the_page(open_page: Open, two: Store) -> None:
    page = open_page(PAGE, two, purpose="Test on a clean picture", methods="Doing nothing")
    page = upload(page, ("gray.jpg", jpeg(scene(60, 40)[:, :, 0])))
    assert not page.exception and "60×40 pixels" in "".join(one.value for one in page.caption)
    assert len(page.dataframe[0].value) == 1 and len(compared(page)) == 1


def test_without_a_model_it_says_how_to_come_by_one(open_page: Open, six: Store, tmp_path: Path) -> None:
    for store in (six, Store(tmp_path)):
        page = open_page(PAGE, store)
        assert not page.exception and "no model for photographs" in page.info[0].value
        assert "photo_denoiser" in page.code[0].value
        titles = [one.title for one in classical() if one.key not in trial.SLOW]
        assert list(page.dataframe[0].value["method"]) == titles


def test_damaged_models_and_nonsense_in_the_address_do_no_harm(open_page: Open, tmp_path: Path) -> None:
    store = Store(tmp_path)
    sound, broken = denoiser(store, name="Sound"), denoiser(store, name="Broken")
    broken.weights_file.write_bytes(b"no weights")
    page = open_page(
        PAGE, store, model="../../etc", strength="9999", purpose="nonsense", source="?", example="dog"
    )
    assert not page.exception
    assert as_written(broken.id) in page.warning[0].value and metrics(page)["Model"] == sound.title


def test_the_level_that_was_found_is_told() -> None:
    assert Wish(0.5, 0.2).knowing(photos.Noise(0.1, 0.0, True)) == Wish(0.5, 0.2, 0.1)


def test_other_pages_do_without_models_for_photographs(open_page: Open, two: Store) -> None:
    for page in ("start/home.py", "explore/reconstruct.py", "build/library.py", "build/train.py"):
        opened = open_page(page, two)
        assert not opened.exception, page
    library = open_page("build/library.py", two, data="Soft strokes · 32×32 colour")
    assert not library.exception


def test_the_box_names_what_is_shown_whatever_is_brought_or_taken_away(open_page: Open, two: Store) -> None:
    page = upload(open_page(PAGE, two), ("a.png", png(scene(40, 30))), ("b.png", png(scene(50, 30, seed=1))))
    assert page.selectbox(key="shown").value == "2. b.png" and metrics(page)["Size"] == "50 × 30"
    page.selectbox(key="shown").set_value("1. a.png").run()
    for n, name in enumerate(("a.png", "b.png", "c.png")):
        page.file_uploader(key="photographs").upload(name, png(scene(40 + 10 * n, 30, seed=n)))
    page.run()
    assert page.selectbox(key="shown").value == page.session_state["shown"] == "3. c.png"
    assert metrics(page)["Size"] == "60 × 30"
    page.slider(key="texture").set_value(5).run()
    assert page.selectbox(key="shown").value == "3. c.png" and metrics(page)["Size"] == "60 × 30"


def test_files_are_added_to_those_that_were_there_before(open_page: Open, two: Store) -> None:
    page = upload(open_page(PAGE, two), ("a.png", png(scene(40, 30))))
    page = page.switch_page("pages/explore/vae.py").run().switch_page(f"pages/{PAGE}").run()
    page = upload(page, ("b.png", png(scene(50, 30, seed=1))))
    assert page.selectbox(key="shown").options == ["1. a.png", "2. b.png"]
    assert "Still here: a.png." in [one.value for one in page.caption]
    press(page, "Remove")
    assert metrics(page)["Size"] == "50 × 30"
    assert "Still here" not in " ".join(one.value for one in page.caption)


def test_what_was_there_before_makes_room_and_that_is_said(
    open_page: Open, two: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = png(scene(40, 30)), png(scene(50, 30, seed=1))
    monkeypatch.setattr(uploads, "KEPT", len(one) + len(other) - 1)
    page = upload(open_page(PAGE, two), ("a.png", one))
    page = page.switch_page("pages/explore/vae.py").run().switch_page(f"pages/{PAGE}").run()
    page = upload(page, ("b.png", other))
    assert "What was still here is gone" in page.toast[0].value and metrics(page)["Size"] == "50 × 30"
    page.run()
    assert not page.exception and not page.toast and metrics(page)["Size"] == "50 × 30"


def test_what_is_transparent_is_neither_judged_nor_changed(open_page: Open, two: Store) -> None:
    y, x = np.mgrid[:90, :120]
    alpha = np.where(np.hypot(y - 45, x - 60) < 40, 255, 0).astype(np.uint8)
    shown = scene(120, 90)
    found = []
    for hidden in (0, 255):
        pixels = np.where(alpha[..., None] == 255, shown, hidden).astype(np.uint8)
        page = upload(open_page(PAGE, two), ("leaf.png", png(np.dstack([pixels, alpha]))))
        *_, cleaned = memory.kept("cleaned").values()
        assert (cleaned.pixels[alpha == 0] == hidden).all()
        found.append((cleaned.pixels[alpha == 255].tolist(), metrics(page)))
    assert found[0] == found[1]


def test_the_album_is_put_away_with_its_pictures(open_page: Open, two: Store) -> None:
    files = [(f"{n}.png", png(scene(40, 30, seed=n))) for n in range(2)]
    page = press(upload(open_page(PAGE, two), *files), "Clean all 2")
    assert len(page.session_state["album"].done) == 2
    page.segmented_control(key="source").set_value("Examples").run()
    assert not page.exception and "album" not in page.session_state


def test_a_column_without_numbers_has_no_best() -> None:
    assert trial.starred(["20.10", "20.12", "20.12", "–"]) == ["20.10", "20.12 ★", "20.12 ★", "–"]
    assert trial.starred(["–", "–"]) == ["–", "–"]
