from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import elbo, examples, latent
from core.codes import Codes, packed
from core.data import load
from core.families import VAE, Sparse, Vanilla
from core.jobs import Jobs
from core.pictures import as_floats
from core.plane import aligned
from core.store import Run, Store
from tests import toy
from tests.pages.conftest import Open, links, shown, trained
from ui import runs
from ui.components.maps import CLASS_COLOURS
from ui.components.scatter import checked_lasso, checked_point
from ui.html import picture
from ui.inputs import Input
from ui.latent import chosen, glance, here, history, units, walk
from ui.latent.ground import ground
from ui.latent.here import badge

PAGE = "explore/latent.py"
CHAPTERS = ("Map", "All variants", "Numbers of the code", "While it learnt")
WHOLE = {"panel": 0, "corners": [[-1e3, -1e3], [-1e3, 1e3], [1e3, 1e3], [1e3, -1e3]]}


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Runs on digits with codes of two numbers and more; one of them has a UMAP, as it were. Do not change it."""
    store = Store(tmp_path_factory.mktemp("mapped"))
    trained(store, Vanilla, load("digits"), latent_dim=2)
    run = trained(store, VAE, load("digits"), latent_dim=6)
    codes = run.codes()
    plain = latent.at_once(codes)
    judged = latent.quality(codes, plain.places)
    places = plain.places.flip(1)  # stands for a UMAP, which would take its time
    latent.keep(
        run, latent.Map("umap", codes, places, judged), latent.Map("pca", codes, plain.places, judged)
    )
    return store


def of(store: Store, family: str) -> Run:
    return next(run for run in store.runs() if run.record.family == family)


def said(app: AppTest) -> str:
    kinds = (app.warning, app.info, app.success, app.error, app.caption, app.markdown, app.subheader)
    return " ".join(element.value for kind in kinds for element in kind)


def data_of(app: AppTest) -> dict[str, object]:
    """What the scatter was given."""
    return json.loads(app.get("bidi_component")[0].proto.json)


def choose(app: AppTest, run: Run, **state: object) -> AppTest:
    """As if the visitor had done something on the scatter."""
    kind = "raw" if run.record.config["latent_dim"] == 2 else "umap"
    app.session_state[f"scatter-{run.id}-{kind}-"] = state
    return app.run()


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("family", ["vanilla", "vae"])
def test_every_chapter_opens(open_page: Open, mapped: Store, chapter: str, family: str) -> None:
    page = open_page(PAGE, mapped, chapter=chapter, run=of(mapped, family).id)
    assert not page.exception and not page.warning


def test_the_map_holds_every_test_picture_and_says_how_far_it_can_be_trusted(
    open_page: Open, mapped: Store
) -> None:
    run = of(mapped, "vae")
    page = open_page(PAGE, mapped, run=run.id)
    data = data_of(page)
    assert data["count"] == 300 and data["names"] == list("0123456789")
    places = np.frombuffer(b64decode(data["panels"][0]["places"]), "<f4").reshape(-1, 2)
    found = latent.kept(run, run.codes())["umap"]
    np.testing.assert_array_equal(places, found.places.numpy())
    assert f"Trustworthiness {found.quality.trustworthiness:.3f}" in said(page)
    assert "Neighbours are found in code space" in said(page)


def test_a_code_of_two_numbers_is_its_own_map(open_page: Open, mapped: Store) -> None:
    page = open_page(PAGE, mapped, run=of(mapped, "vanilla").id)
    assert "The code itself" in data_of(page)["panels"][0]["title"]
    assert "has not been measured" in said(page)
    assert not [button for button in page.button if button.label == "Make a UMAP"]


def test_opens_with_a_picture_and_its_neighbours_in_code_space(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vae")
    page = open_page(PAGE, mapped, run=run.id)
    indices, _ = latent.neighbours(run.codes().codes, run.codes().codes[:1], 2)
    nearest = int(indices[0, 1])
    images = load("digits").test.images
    label = load("digits").test.labels[nearest]
    html = shown(page)
    assert any(
        picture(images[nearest], f"{label} · picture {nearest} · {d}") in html
        for d in distances(run, 0, nearest)
    )
    page = choose(page, run, picked=17)
    assert f"picture 17{chr(34)}" in shown(page) and not page.exception
    page = choose(page, run, picked=-1)
    assert "Click a picture" in said(page) and f"picture 17{chr(34)}" not in shown(page)


def test_a_link_brings_back_the_picture_that_was_chosen(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vae")
    page = open_page(PAGE, mapped, run=run.id, picture="17")
    assert f"picture 17{chr(34)}" in shown(page) and data_of(page)["start"] == 17
    page = choose(page, run, picked=23)
    assert page.query_params["picture"] == "23" and f"picture 23{chr(34)}" in shown(page)
    assert data_of(page)["start"] == 17  # else the whole map would be sent again
    assert "picture" not in choose(page, run, picked=-1).query_params
    for beyond in ("300", "9" * 5_000):  # there are 300 pictures
        page = open_page(PAGE, mapped, run=of(mapped, "vanilla").id, picture=beyond)
        assert not page.exception and data_of(page)["start"] == 0


def test_all_variants_share_a_legend_and_offer_no_variant(open_page: Open, mapped: Store) -> None:
    page = open_page(PAGE, mapped, chapter="All variants")
    assert [box.label for box in page.selectbox] == ["Models trained on"]
    html = shown(page)
    for label, name in enumerate(load("digits").class_names):
        assert f'background: {CLASS_COLOURS[label]}"></i> {name}<' in html


def distances(run: Run, one: int, other: int) -> list[str]:
    codes = run.codes().codes
    return [f"{torch.linalg.vector_norm(codes[one] - codes[other]):.2f}"]


def test_a_lasso_is_answered(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vae")
    page = choose(open_page(PAGE, mapped, run=run.id), run, lasso=WHOLE)
    assert not page.exception
    assert "What is this? 300 pictures" in said(page) and "The lasso holds 300 pictures" in said(page)
    worst = int(run.codes().errors.argmax())
    label = load("digits").test.labels[worst]
    assert picture(load("digits").test.images[worst], f"{label} · picture {worst}") in shown(page)
    mean = load("digits").test.images.mean(0).round().astype(np.uint8)
    assert picture(mean, "their mean picture") in shown(page)
    alone = latent.kept(run, run.codes())["umap"].places[5]
    small = {"panel": 0, "corners": (alone + 1e-4 * torch.tensor([[-1, -1], [1, -1], [0, 2]])).tolist()}
    page = choose(page, run, lasso=small)
    assert "The lasso holds 1 picture." in said(page) and "What is this? 1 picture" in said(page)
    empty = {"panel": 0, "corners": [[900, 900], [901, 900], [900, 901]]}
    page = choose(page, run, lasso=empty)
    assert "The lasso holds no picture." in said(page) and "What is this?" not in said(page)
    assert "The lasso holds" not in said(choose(page, run, lasso=None))


def test_two_lassos_make_a_direction(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vanilla")
    codes = run.codes().codes
    middle = float(codes[:, 0].median())
    halves = [
        {"panel": 0, "corners": [[a, -1e3], [a, 1e3], [b, 1e3], [b, -1e3]]}
        for a, b in ((-1e3, middle), (middle, 1e3))
    ]
    page = open_page(PAGE, mapped, run=run.id)
    for half, end in zip(halves, "AB", strict=True):
        page = choose(page, run, lasso=half)
        next(button for button in page.button if button.label.startswith(f"Keep as {end}")).click().run()
    assert not page.exception and "From A to B" in shown(page)
    low, high = codes[codes[:, 0] < middle].mean(0), codes[codes[:, 0] > middle].mean(0)
    assert page.session_state["directions"][run.id] == pytest.approx((high - low).tolist(), abs=0.1)


def test_two_variants_share_their_pictures(open_page: Open, mapped: Store) -> None:
    run, other = of(mapped, "vae"), of(mapped, "vanilla")
    page = open_page(PAGE, mapped, run=run.id, **{f"beside-{run.id}": "Vanilla"})
    assert page.selectbox(key=f"beside-{run.id}").value == other.id
    page.selectbox(key="colour").set_value("Agreement of neighbours").run()
    assert not page.exception
    data = data_of(page)
    assert len(data["panels"]) == 2 and data["valueName"] == "shared neighbours"
    values = np.frombuffer(b64decode(data["values"]), "<f4")
    np.testing.assert_allclose(values, latent.agreement(run.codes().codes, other.codes().codes).numpy())


@pytest.mark.parametrize("colour", ["Class", "Error", "Distance to neighbours", "z1", "z6"])
def test_points_can_be_coloured(open_page: Open, mapped: Store, colour: str) -> None:
    page = open_page(PAGE, mapped, run=of(mapped, "vae").id)
    page.selectbox(key="colour").set_value(colour).run()
    assert not page.exception
    assert bool(data_of(page)["values"]) == (colour != "Class")


def test_ones_own_pictures_are_placed_and_judged(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vae")
    page = open_page(PAGE, mapped, run=run.id, mine="true")
    assert not page.exception and "Where your pictures lie" in said(page)
    assert [one.label for one in page.get("download_button")] == ["Places", "Numbers"]
    with torch.inference_mode():
        codes = run.load().encode(as_floats(examples.pictures((1, 8, 8))[[2, 5, 8]]))
    found = latent.kept(run, run.codes())["umap"]
    expected = latent.place(run.codes().codes, found.places, codes)
    assert np.array(data_of(page)["panels"][0]["marks"]) == pytest.approx(expected.numpy(), abs=1e-5)
    assert (
        badge(100.0) == "like nothing in the data" and "at home" in badge(40.0) and "unusual" in badge(97.0)
    )


def test_dead_units_are_counted_and_named(open_page: Open, tmp_path: Path) -> None:
    run = trained(Store(tmp_path), Sparse, load("digits"), epochs=1, latent_dim=40, k=4)
    page = open_page(PAGE, Store(tmp_path), chapter="Numbers of the code")
    codes = run.codes().codes
    dead = int((codes == 0).all(0).sum())
    assert not page.exception and f"{dead} are dead" in said(page) and "4.0 of them on" in said(page)


def test_a_number_of_the_code_is_explained_and_changed_on_any_picture(open_page: Open, mapped: Store) -> None:
    run = of(mapped, "vae")
    page = open_page(PAGE, mapped, chapter="Numbers of the code", run=run.id)
    codes = run.codes().codes
    unit = int(elbo.kept(run).kl_by_dimension.argmax())
    values = codes[:, unit].sort().values.tolist()
    assert "Each bar is one number of the code" in said(page)
    assert values[0] < 0
    for words, first, last in (("highest", -1, -10), ("lowest", 0, 9)):
        reach = f"{values[first]:.2f} to {values[last]:.2f}".replace("-", "−")
        assert f"Pictures with the {words} z{unit + 1}: {reach}<" in shown(page)
    asked = page.number_input[0]
    assert asked.label == f"Change z{unit + 1} on test picture no." and asked.max == 299
    asked.set_value(17).run()
    assert not page.exception and "picture 17: itself, what comes back" in shown(page)
    asked = {f"number-{run.id}": "z2", f"turn-{run.id}-1": "23"}
    page = open_page(PAGE, mapped, chapter="Numbers of the code", run=run.id, **asked)
    assert "picture 23: itself, what comes back, and z2 from" in shown(page)


@pytest.mark.parametrize(
    ("chapter", "offered"),
    [
        ("Map", "Places"),
        ("All variants", "Pictures"),
        ("Numbers of the code", "Table"),
        ("While it learnt", "Table"),
    ],
)
def test_every_chapter_offers_what_it_shows(
    open_page: Open, mapped: Store, chapter: str, offered: str
) -> None:
    page = open_page(PAGE, mapped, chapter=chapter, run=of(mapped, "vae").id)
    assert [one.label for one in page.get("download_button")] == [offered]


def test_what_is_taken_away_is_what_was_shown(mapped: Store) -> None:
    run = of(mapped, "vae")
    place = ground(run)
    codes = run.codes().codes
    weight, title = units.importance(place)
    numbers = units.table(codes, weight, title, None)
    assert numbers["kl_nats"].is_monotonic_decreasing and sorted(numbers["number"]) == list(range(1, 7))
    first = int(numbers["number"].iloc[0]) - 1
    assert numbers["lowest"].iloc[0] == pytest.approx(codes[:, first].min().item())

    with zipfile.ZipFile(io.BytesIO(glance.archive([place]))) as file:
        told = pd.read_csv(io.BytesIO(file.read("maps.csv")))
        assert file.namelist() == [f"{run.id}-umap.png", "maps.csv"] and told["file"][0] in file.namelist()
    assert told["trustworthiness"][0] == pytest.approx(place.maps["umap"].quality.trustworthiness)

    error = place.codes.errors.numpy()
    rows = walk.table(place, "umap", ("twice the error", 2 * error))
    np.testing.assert_array_equal(rows[["x", "y"]], place.maps["umap"].places.numpy())
    assert rows["class"][0] == str(place.labels[0]) and rows["picture"][299] == 299
    np.testing.assert_array_equal(rows["twice the error"], 2 * rows["error"])
    assert list(chosen.table(place, np.array([7, 3]))["picture"]) == [7, 3]

    own = here.table(place, "umap", [Input("mine.png", np.zeros((1, 8, 8)))] * 2, codes[:2])
    near, _ = latent.neighbours(codes, codes[:2], here.NEIGHBOURS)
    assert own["nearest_2"].tolist() == near[:, 1].tolist() and own["z6"].tolist() == codes[:2, 5].tolist()
    assert own["picture"].tolist() == ["mine.png"] * 2 and (own["farther_out_than_percent"] <= 100).all()

    frames, labels = run.places()
    rows = history.table([(epoch, one.numpy()) for epoch, one in frames], labels.numpy(), ["0"])
    assert len(rows) == 2 * len(labels) and set(rows["class"]) == {"0", ""}
    np.testing.assert_array_equal(rows[rows["epoch"] == 2][["x", "y"]], frames[1][1].numpy())


def test_a_umap_is_made_by_a_job(
    open_page: Open, mapped: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vae")
    (run.folder / "cache" / "map.safetensors").unlink()
    started = []
    monkeypatch.setattr(Jobs, "start", lambda self, words, title, **more: started.append((words, more)))
    page = open_page(PAGE, Store(tmp_path), run=run.id)
    assert "Principal axes" in data_of(page)["panels"][0]["title"]
    next(button for button in page.button if button.label == "Make a UMAP").click().run()
    assert started == [(["map", run.id], {"lane": "analysis"})]


@pytest.mark.parametrize("settings", [{"latent_dim": 1}, {"latent_dim": 256}])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_codes_of_any_size_without_classes(
    open_page: Open, tmp_path: Path, settings: dict[str, object], chapter: str
) -> None:
    run = trained(Store(tmp_path), Vanilla, toy.dataset((3, 12, 10)), epochs=1, **settings)
    known = run.codes()
    for labels in (None, torch.zeros(len(known.codes), dtype=torch.long)):
        run.save_codes(Codes(known.codes, labels, known.errors))
        page = open_page(PAGE, Store(tmp_path), chapter=chapter)
        assert not page.exception
        if chapter == "Map":
            assert data_of(page)["sheets"]["decoded"]


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize(
    "changed",
    [
        lambda known: Codes(known.codes[:1], known.labels[:1], known.errors[:1]),
        lambda known: Codes(known.codes, known.labels + 7, known.errors),
    ],
    ids=["a single test picture", "labels of no class"],
)
def test_odd_codes_are_shown(
    open_page: Open, mapped: Store, tmp_path: Path, chapter: str, changed: Callable[[Codes], Codes]
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vanilla")
    run.save_codes(changed(run.codes()))
    assert not open_page(PAGE, Store(tmp_path), chapter=chapter, run=run.id).exception


def test_a_step_back_in_the_address_brings_back_the_run(open_page: Open, mapped: Store) -> None:
    first, second = of(mapped, "vae"), of(mapped, "vanilla")
    page = open_page(PAGE, mapped, run=first.id)
    box = next(one for one in page.selectbox if one.label == "Variant")
    page = box.set_value(second.id).run()
    assert page.query_params["run"] in (second.id, [second.id])
    page.query_params["run"] = first.id
    page = page.run()
    assert next(one for one in page.selectbox if one.label == "Variant").value == first.id


def test_a_map_has_the_name_that_its_run_was_given_last(
    open_page: Open, mapped: Store, tmp_path: Path
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vae")
    for name in ("First", "Second"):
        run.update(name=name)
        page = open_page(PAGE, Store(tmp_path), run=run.id)
        assert name in data_of(page)["panels"][0]["title"] and f"Variational · {name}" in said(page)


def test_a_run_that_vanishes_while_its_map_is_drawn_is_said_to(
    open_page: Open, mapped: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vanilla")
    monkeypatch.setattr(walk, "pick_beside", lambda *_: shutil.rmtree(run.folder))
    page = open_page(PAGE, Store(tmp_path), run=run.id)
    assert not page.exception and "was deleted, or has changed" in said(page)


def test_codes_of_other_pictures_than_are_here_are_decoded(open_page: Open, tmp_path: Path) -> None:
    run = trained(Store(tmp_path), Vanilla, load("digits"), latent_dim=2)
    rng = torch.Generator().manual_seed(0)
    codes = Codes(torch.randn(5_000, 2, generator=rng), None, torch.rand(5_000, generator=rng))
    run.keep("codes", packed(codes))
    page = open_page(PAGE, Store(tmp_path), picture="4000")
    assert not page.exception and "decoded from their codes" in said(page)


def test_a_run_without_codes_says_what_to_do(open_page: Open, mapped: Store, tmp_path: Path) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vae")
    shutil.rmtree(run.folder / "cache")
    page = open_page(PAGE, Store(tmp_path), run=run.id)
    assert not page.exception and f"evaluate {run.id} --keep" in said(page)
    other = of(Store(tmp_path), "vanilla")
    page = open_page(PAGE, Store(tmp_path), run=other.id)
    page.selectbox(key=f"beside-{other.id}").set_value(run.id).run()
    assert "The codes of test pictures are not known for Variational." in said(page)
    run.update(status="running")
    with run.held():
        assert "Its codes come with its end" in said(open_page(PAGE, Store(tmp_path), run=run.id))


def test_a_link_to_a_run_opens_the_pictures_that_it_was_trained_on(
    open_page: Open, mapped: Store, tmp_path: Path
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = trained(Store(tmp_path), Vanilla, toy.dataset((3, 32, 32)))
    groups = open_page(PAGE, Store(tmp_path)).selectbox(key="data").options
    for id in (run.id, of(mapped, "vae").id):
        page = open_page(PAGE, Store(tmp_path), run=id)
        assert (
            not page.exception
            and page.selectbox(key=f"variant-{page.selectbox(key='data').value}").value == id
        )
    assert len(groups) == 2
    assert r"The run \*\*gone\*\* is not among" in said(open_page(PAGE, Store(tmp_path), run="**gone**"))


def group_keys(root: Path) -> list[str]:
    return [group.key for group in runs.groups(Store(root).runs())]


def test_a_run_of_other_pictures_does_not_stay_in_the_address(
    open_page: Open, mapped: Store, tmp_path: Path
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = trained(Store(tmp_path), Vanilla, toy.dataset((3, 32, 32)))
    page = open_page(PAGE, Store(tmp_path), run=run.id)
    assert "run" in page.query_params
    box = page.selectbox(key="data")
    page = box.set_value(next(one for one in group_keys(tmp_path) if one != box.value)).run()
    assert not page.exception and "run" not in page.query_params


def test_the_history_is_turned_to_fit_and_runs_without_one_say_so(
    open_page: Open, mapped: Store, tmp_path: Path
) -> None:
    shutil.copytree(mapped.root, tmp_path, dirs_exist_ok=True)
    run = of(Store(tmp_path), "vae")
    frames, labels = run.places()
    assert [epoch for epoch, _ in frames] == [1, 2] and labels is not None
    page = open_page(PAGE, Store(tmp_path), chapter="While it learnt", run=run.id)
    data = data_of(page)
    assert data["epochs"] == [1, 2] and data["names"] == list("0123456789")
    first = np.frombuffer(b64decode(data["frames"][0]), "<f4").reshape(-1, 2)
    np.testing.assert_allclose(first, aligned(frames[0][1], frames[1][1]).numpy(), atol=1e-6)
    for file in (run.folder / "previews").glob("places-*"):
        file.write_bytes(b"\x80\x04")
    page = open_page(PAGE, Store(tmp_path), chapter="While it learnt", run=run.id)
    assert not page.exception and "did not keep" in said(page)


@pytest.mark.parametrize("hostile", [None, "x", 1.5, -1, 300, True, [1], {"0": 1}])
def test_points_from_a_browser_are_checked(hostile: object) -> None:
    assert checked_point(hostile, 300) is None


@pytest.mark.parametrize(
    "hostile",
    [
        None, [], "x", {"panel": 0}, {"panel": 2, "corners": WHOLE["corners"]}, {"panel": True, "corners": WHOLE["corners"]},
        {"panel": 0, "corners": [[0, 0], [1, 1]]}, {"panel": 0, "corners": [[0, 0], [1, 1], [float("nan"), 0]]},
        {"panel": 0, "corners": [[0, 0], [1, 1], ["a", 0]]}, {"panel": 0, "corners": [[0, 0]] * 5_000},
    ],
)  # fmt: skip
def test_lassos_from_a_browser_are_checked(hostile: object) -> None:
    assert checked_lasso(hostile, 1) is None
    assert checked_lasso(WHOLE, 1) is not None


@pytest.mark.parametrize("parameter", ["data", "run", "chapter", "kind", "colour", "mine", "picture"])
def test_nonsense_in_the_address_is_ignored(open_page: Open, mapped: Store, parameter: str) -> None:
    page = open_page(PAGE, mapped, **{parameter: "../<b>"})
    assert not page.exception and "<b>" not in said(page)


def test_a_map_that_the_address_leaves_open_is_the_first(open_page: Open, mapped: Store) -> None:
    page = open_page(PAGE, mapped, run=of(mapped, "vae").id, kind="", chapter="")
    assert not page.exception and "Trustworthiness" in said(page)


@pytest.mark.parametrize("number", ["1e999", "-inf", "9" * 400])
def test_infinite_numbers_in_the_address_are_ignored(open_page: Open, mapped: Store, number: str) -> None:
    page = open_page(PAGE, mapped, mine="true", source="Test pictures", first=number, count=number)
    assert not page.exception
    assert page.number_input(key="first").value == 0 and page.number_input(key="count").value == 4


def test_empty_and_broken_stores_are_said(open_page: Open, mapped: Store, tmp_path: Path) -> None:
    assert "Train the first" in links(open_page(PAGE, Store(tmp_path / "nothing")))
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be read" in open_page(PAGE, Store(tmp_path / "file")).error[0].value
    shutil.copytree(mapped.root, tmp_path / "store")
    broken = of(Store(tmp_path / "store"), "vae")
    broken.weights_file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    page = open_page(PAGE, Store(tmp_path / "store"), run=broken.id)
    assert not page.exception and not page.info and f"{broken.id} cannot be loaded" in page.warning[0].value
