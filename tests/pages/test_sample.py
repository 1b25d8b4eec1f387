from __future__ import annotations

import io
import json
import shutil
import struct
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import examples, sampling
from core.data import load
from core.families import GAN, VAE, Vanilla
from core.jobs import Jobs
from core.pictures import as_bytes, as_floats, png
from core.store import Run, Store
from core.windows import CORNERS, Sheet, spherical
from tests import toy
from tests.pages.conftest import Open, links, shown, trained
from ui.components.canvas import checked_at, checked_pins, wished
from ui.html import picture
from ui.sampling.below import webp
from ui.sampling.views import draws
from ui.words import signed

PAGE = "explore/sample.py"
PLANES = ("Codes", "Seeds", "Around a picture", "Three pictures", "From class to class")
BELOW = {  # and what each offers to take away
    "From picture to picture": ["GIF", "WebP", "Strip"],
    "Samples": ["Picture", "Picture"],
    "One number at a time": ["Picture"],
    "Sums of codes": ["Picture"],
}


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A VAE, a GAN and a vanilla on digits. Shared by all tests: do not change it."""
    store = Store(tmp_path_factory.mktemp("three"))
    for Family in (VAE, GAN, Vanilla):
        trained(store, Family, load("digits"), latent_dim=6)
    return store


def of(store: Store, family: str) -> Run:
    return next(run for run in store.runs() if run.record.family == family)


def said(app: AppTest) -> str:
    kinds = (app.warning, app.info, app.error, app.caption, app.markdown)
    return " ".join(element.value for kind in kinds for element in kind)


def data_of(app: AppTest) -> dict[str, object]:
    """What the canvas was given."""
    return json.loads(
        next(one for one in app.get("bidi_component") if '"views"' in one.proto.json).proto.json
    )


def floats(text: str) -> np.ndarray:
    return np.frombuffer(b64decode(text), "<f4")


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("below", BELOW)
def test_every_plane_and_everything_below_opens(
    open_page: Open, three: Store, plane: str, below: str
) -> None:
    page = open_page(PAGE, three, plane=plane, below=below)
    assert not page.exception and not page.warning
    assert [view["title"] for view in data_of(page)["views"]] == ["Variational", "GAN"]
    assert data_of(page)["endless"] == (plane == "Seeds")
    assert [button.label for button in page.get("download_button")] == BELOW[below]


def test_the_plane_of_codes_is_that_of_core(open_page: Open, three: Store) -> None:
    view = data_of(open_page(PAGE, three))["views"][0]
    sheet = Sheet.over(of(three, "vae").codes().codes)
    for name in ("origin", "across", "up"):
        np.testing.assert_allclose(floats(view[name]), getattr(sheet, name).numpy(), atol=1e-5)


def test_three_pictures_lie_at_their_corners(open_page: Open, three: Store) -> None:
    view = data_of(open_page(PAGE, three, plane="Three pictures"))["views"][0]
    assert [mark[2] for mark in view["marks"]] == ["digit 2", "digit 5", "digit 8"]
    with torch.inference_mode():
        codes = of(three, "vae").load().encode(as_floats(examples.pictures((1, 8, 8))[[2, 5, 8]]))
    for (u, v), code in zip(CORNERS, codes, strict=True):
        place = floats(view["origin"]) + u * floats(view["across"]) + v * floats(view["up"])
        np.testing.assert_allclose(place, code.numpy(), atol=1e-4)
    page = open_page(PAGE, three, plane="Three pictures", source="Upload")
    assert not page.exception and "goes through three pictures" in said(page)


def test_a_plane_around_a_picture_has_it_in_the_middle(open_page: Open, three: Store) -> None:
    view = data_of(open_page(PAGE, three, plane="Around a picture"))["views"][0]
    with torch.inference_mode():
        code = of(three, "vae").load().encode(as_floats(examples.pictures((1, 8, 8))[[2]]))[0]
    np.testing.assert_allclose(floats(view["origin"]), code.numpy(), atol=1e-5)
    assert view["marks"] == [[0.0, 0.0, "digit 2"]]


def test_one_number_at_a_time_is_turned(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, below="One number at a time")
    run = of(three, "vae")
    number, name, low, high = data_of(page)["views"][0]["dials"][0]
    with torch.inference_mode():
        code = run.load().encode(as_floats(examples.pictures((1, 8, 8))[[2]])).repeat(13, 1)
        code[:, number] = torch.linspace(low, high, 13)
        tiles = as_bytes(run.load().decode(code))
    assert picture(tiles[0], f"Variational, {name} = {signed(low)}") in shown(page)
    assert picture(tiles[12], f"Variational, {name} = {signed(high)}") in shown(page)


def test_one_variant_may_be_without_a_prior(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, plane="Seeds")
    page.multiselect(key="painters-digits").set_value([of(three, "vanilla").id]).run()
    assert not page.exception
    (view,) = data_of(page)["views"]
    expected = draws(of(three, "vanilla").load(), 512, 1)
    np.testing.assert_allclose(floats(view["draws"]).reshape(512, 6), expected.numpy(), atol=1e-6)
    assert view["region"] == "the data"


@pytest.mark.parametrize(("way", "line"), [("Straight", sampling.between), ("Along the sphere", spherical)])
def test_the_way_between_two_pictures_is_that_of_core(open_page: Open, three: Store, way: str, line) -> None:
    page = open_page(PAGE, three, way=way)
    model = of(three, "vae").load()
    with torch.inference_mode():
        codes = model.encode(as_floats(examples.pictures((1, 8, 8))[[2, 5]]))
        film = as_bytes(model.decode(line(codes[0], codes[1], 25)))
    assert picture(film[0], "Variational, step 1") in shown(page)
    assert picture(film[12], "Variational, step 7") in shown(page)
    assert picture(film[24], "Variational, step 13") in shown(page)
    assert "digit 2: MSE" in shown(page)


def test_a_better_code_is_searched_once(
    open_page: Open, three: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[object] = []
    refine = sampling.refine
    monkeypatch.setattr(sampling, "refine", lambda *args: (searches.append(args), refine(*args))[1])
    page = open_page(PAGE, three, **{"better-codes": "true"})
    assert not page.exception and len(searches) == 4  # two variants, both ends
    page.segmented_control(key="way").set_value("Along the sphere").run()
    page.selectbox(key="way-to").select("digit 8").run()
    assert not page.exception and len(searches) == 6


def test_pins_are_ends_like_pictures(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three)
    runs = [of(three, "vae"), of(three, "gan")]
    key = f"canvas-{'-'.join(run.id for run in runs)}-Codes"
    pins = [{"at": [0.1 * n, 0], "codes": [[0.5 * n] * 6, [0.1 * n] * 6]} for n in (1, 2)]
    page.session_state[key] = {"pins": pins}
    page.run()
    options = next(box for box in page.selectbox if box.label == "From").options
    assert options[-2:] == ["pin 1", "pin 2"]
    next(box for box in page.selectbox if box.label == "From").select("pin 2").run()
    assert not page.exception
    with torch.inference_mode():
        first = as_bytes(runs[0].load().decode(torch.full((1, 6), 1.0)))
    assert picture(first[0], "Variational, step 1") in shown(page)


def test_pins_are_given_back_to_a_canvas_that_opens_anew(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three)
    runs = [of(three, "vae"), of(three, "gan")]
    key = f"canvas-{'-'.join(run.id for run in runs)}-Codes"
    pin = {"at": [0.1, 0.0], "codes": [[0.5] * 6, [0.1] * 6]}
    page.session_state[key] = {"pins": [pin]}
    page.run()
    page.session_state[key] = {}
    page.run()
    assert data_of(page)["pins"] == [pin]
    page.session_state[key] = {"pins": []}
    page.run()
    assert data_of(page)["pins"] == []


def test_pins_span_a_plane_too(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, plane="Three pictures")
    runs = [of(three, "vae"), of(three, "gan")]
    pins = [{"at": [0, 0], "codes": [[0.5] * 6, [0.1] * 6]}]
    page.session_state[f"canvas-{'-'.join(run.id for run in runs)}-Three pictures"] = {"pins": pins}
    page.run()
    page.multiselect(key="through").set_value(["digit 2", "digit 5", "pin 1"]).run()
    assert not page.exception
    view = data_of(page)["views"][0]
    u, v = CORNERS[2]
    place = floats(view["origin"]) + u * floats(view["across"]) + v * floats(view["up"])
    np.testing.assert_allclose(place, 0.5, atol=1e-4)


def test_decoders_are_exported_by_jobs(
    open_page: Open, three: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(Jobs, "start", lambda self, words, title, **more: started.append((words, more)))
    page = open_page(PAGE, three)
    next(button for button in page.button if button.label == "Decode in the browser").click().run()
    expected = [(["decoder", of(three, family).id], {"lane": "analysis"}) for family in ("vae", "gan")]
    assert started == expected


def test_samples_are_those_of_the_seed_and_temperature(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, below="Samples", **{"samples-temperature": "0.5", "samples-side": "4"})
    page = page.number_input(key="samples-seed").set_value(7).run()
    model = of(three, "vae").load()
    with torch.inference_mode():
        tiles = as_bytes(model.decode(0.5 * draws(model, 16, 7)))
    assert picture(tiles[5], "Variational, sample 6") in shown(page)
    assert "nearest to sample 1" in shown(page)  # the digits are always here


def test_sums_of_codes_are_those_of_core(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, below="Sums of codes")
    run = of(three, "vae")
    known = run.codes()
    with torch.inference_mode():
        a = run.load().encode(as_floats(examples.pictures((1, 8, 8))[[2]]))[0]
        b, c = (known.codes[known.labels == label].mean(0) for label in (0, 1))
        expected = as_bytes(run.load().decode((a - b + c)[None]))[0]
    assert picture(expected, "A − B + C") in shown(page)


def test_sums_are_of_classes_that_every_variant_knows(open_page: Open, three: Store, tmp_path: Path) -> None:
    shutil.copytree(three.root, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(of(Store(tmp_path), "gan").folder / "cache")
    page = open_page(PAGE, Store(tmp_path), below="Sums of codes")
    assert not page.exception and "mean of 0" not in page.selectbox(key="term-A").options
    assert "mean of 0" in open_page(PAGE, three, below="Sums of codes").selectbox(key="term-A").options


def test_planes_between_classes_are_of_classes_that_every_variant_knows(
    open_page: Open, three: Store, tmp_path: Path
) -> None:
    shutil.copytree(three.root, tmp_path, dirs_exist_ok=True)
    vae = of(Store(tmp_path), "vae")
    names = ["zero", *map(str, range(1, 10))]  # a folder that got another name between two trainings
    vae.update(dataset={**vae.record.dataset, "class_names": names})
    page = open_page(PAGE, Store(tmp_path), plane="From class to class")
    assert not page.exception and page.selectbox(key="class-a").options == names[1:]
    vae.update(dataset={**vae.record.dataset, "class_names": [f"class {name}" for name in names]})
    page = open_page(PAGE, Store(tmp_path), plane="From class to class")
    assert not page.exception and "From class to class" not in page.segmented_control(key="plane").options


@pytest.mark.parametrize(("plane", "start"), [("Seeds", [7.3, -4.1]), ("Codes", [0, 0])])
def test_a_place_beyond_a_plane_that_ends_is_left(
    open_page: Open, three: Store, plane: str, start: list[float]
) -> None:
    assert data_of(open_page(PAGE, three, plane=plane, at="7.3,-4.1"))["start"] == start


def test_a_picture_comes_by_rerun_where_nothing_else_is(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, engine="fragment")
    assert data_of(page)["engines"] == ["fragment"]
    runs = [of(three, "vae"), of(three, "gan")]
    codes = [[0.3] * 6, [0.1] * 6]
    page.session_state[f"canvas-{'-'.join(run.id for run in runs)}-Codes"] = {
        "want": {"n": 4, "codes": codes}
    }
    page.run()
    frame = data_of(page)["frame"]
    assert frame["n"] == 4
    for run, code, text in zip(runs, codes, frame["pictures"], strict=True):
        with torch.inference_mode():
            assert b64decode(text) == as_bytes(run.load().decode(torch.tensor([code])))[0].tobytes()


@pytest.mark.parametrize("settings", [{"latent_dim": 1}, {"latent_dim": 40}])
def test_codes_of_any_size_without_classes_or_codes(
    open_page: Open, tmp_path: Path, settings: dict[str, object]
) -> None:
    run = trained(Store(tmp_path), VAE, toy.dataset((3, 12, 10)), epochs=1, **settings)
    for _ in range(2):
        for plane in ("Codes", "Seeds"):
            assert not open_page(PAGE, Store(tmp_path), plane=plane).exception
        shutil.rmtree(run.folder / "cache", ignore_errors=True)


def test_films_move(three: Store) -> None:
    frames = [np.full((4, 6), value, np.uint8) for value in (0, 100, 200)]
    with Image.open(io.BytesIO(webp(frames))) as film:
        assert film.n_frames == 3 and film.size == (36, 24)


@pytest.mark.parametrize(
    "hostile", [None, "x", [], [{}], [{"at": [0, 0]}], [{"at": [0, 0], "codes": [[1], [2]]}], {"0": 1}]
)
def test_pins_from_a_browser_are_checked(hostile: object) -> None:
    assert checked_pins(hostile, [2, 2]) == ()
    good = {"at": [0, 0], "codes": [[1, 2], [3, 4]]}
    assert len(checked_pins([good] * 99, [2, 2])) == 24
    assert checked_pins([good | {"codes": [[1, float("nan")], [3, 4]]}], [2, 2]) == ()


@pytest.mark.parametrize(
    "hostile", [{}, {"want": 1}, {"want": {"n": "1"}}, {"want": {"n": 1, "codes": [[1]]}}, None]
)
def test_wishes_from_a_browser_are_checked(hostile: object) -> None:
    assert wished(hostile, [2]) is None
    assert (
        checked_at([1, float("inf")]) is None
        and checked_at("0,0") is None
        and checked_at([0.5, -1]) == (0.5, -1)
    )


@pytest.mark.parametrize(
    "parameter",
    [
        "data",
        "plane",
        "plane-seed",
        "samples-seed",
        "at",
        "engine",
        "below",
        "painters-digits",
        "way",
        "way-from",
    ],
)
def test_nonsense_in_the_address_is_ignored(open_page: Open, three: Store, parameter: str) -> None:
    page = open_page(PAGE, three, **{parameter: "../<b>"})
    assert not page.exception and "<b>" not in said(page)


def test_empty_and_broken_stores_are_said(open_page: Open, three: Store, tmp_path: Path) -> None:
    assert "Train the first" in links(open_page(PAGE, Store(tmp_path / "nothing")))
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be read" in open_page(PAGE, Store(tmp_path / "file")).error[0].value
    shutil.copytree(three.root, tmp_path / "store")
    broken = of(Store(tmp_path / "store"), "vae")
    broken.weights_file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    page = open_page(PAGE, Store(tmp_path / "store"))
    assert not page.exception and broken.id in said(page)
    assert [view["title"] for view in data_of(page)["views"]] == ["GAN"]


def test_an_uploaded_picture_is_an_end(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, source="Upload")
    assert "Choose two pictures above" in said(page)
    for number in (3, 4):
        page.file_uploader(key="uploads").upload(
            f"{number}.png", png(examples.pictures((1, 28, 28))[number][0])
        )
    page.run()
    assert not page.exception and "3.png: MSE" in shown(page)


def test_the_address_remembers_codes_of_what_was_brought(open_page: Open, three: Store) -> None:
    page = open_page(PAGE, three, source="Upload", plane="Around a picture")
    page.file_uploader(key="uploads").upload("3.png", png(examples.pictures((1, 28, 28))[3][0])).run()
    view = data_of(page)["views"][0]
    (codes,) = [value for name, values in page.query_params.items() if name == "codes" for value in [values]]
    text = codes if isinstance(codes, str) else codes[0]
    again = open_page(PAGE, three, source="Upload", plane="Around a picture", codes=text)
    assert not again.exception and "remembers the codes" in said(again)
    np.testing.assert_allclose(
        floats(data_of(again)["views"][0]["origin"]), floats(view["origin"]), rtol=2e-3, atol=2e-3
    )
    again.switch_page("pages/start/home.py").run()
    again.query_params.update({"source": "Upload", "plane": "Around a picture", "codes": text})
    back = again.switch_page(f"pages/{PAGE}").run()
    assert "remembers the codes" in said(back)  # after a step back as well
    page.file_uploader(key="uploads").set_value(None).run()
    assert "remembers the codes" not in said(page) and "codes" not in page.query_params


def test_the_address_remembers_a_drawing_that_this_visitor_has_not_made(
    open_page: Open, three: Store
) -> None:
    page = open_page(PAGE, three, source="Draw", plane="Around a picture")
    assert not page.exception and "codes" not in page.query_params  # a drawing of ours
    page.session_state["pad"] = {"strokes": [[[0.1, 0.1], [0.2, 0.9]]]}
    view = data_of(page.run())["views"][0]
    codes = page.query_params["codes"]
    text = codes if isinstance(codes, str) else codes[0]
    again = open_page(PAGE, three, source="Draw", plane="Around a picture", codes=text)
    assert not again.exception and "remembers the codes" in said(again)
    np.testing.assert_allclose(
        floats(data_of(again)["views"][0]["origin"]), floats(view["origin"]), rtol=2e-3, atol=2e-3
    )


def test_what_is_taken_away_after_a_look_at_another_page_leaves_the_address(
    open_page: Open, three: Store
) -> None:
    page = open_page(PAGE, three, source="Upload", plane="Around a picture")
    page.file_uploader(key="uploads").upload("3.png", png(examples.pictures((1, 28, 28))[3][0])).run()
    page.switch_page("pages/start/home.py").run()
    back = page.switch_page(f"pages/{PAGE}").run()
    assert "Still here: 3.png." in said(back) and "codes" in back.query_params
    back = next(button for button in back.button if button.label == "Remove").click().run()
    assert "lies around a picture" in said(back) and "codes" not in back.query_params


@pytest.mark.parametrize(
    "codes", ["", "x", "a~b!c~d", "~,,,", "é~é", "{id}~AAAA", "{id}~" + "fAB8" * 4, "!" * 5_000]
)
def test_addresses_that_remember_nothing_sound_are_ignored(open_page: Open, three: Store, codes: str) -> None:
    text = codes.replace("{id}", of(three, "vae").id)
    page = open_page(PAGE, three, source="Upload", plane="Around a picture", codes=text)
    assert not page.exception and "lies around a picture" in said(page)
