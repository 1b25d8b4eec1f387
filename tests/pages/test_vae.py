from __future__ import annotations

import io
import math
import shutil
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

from core import elbo, examples
from core.data import load
from core.evaluation import summarise
from core.families import VAE, Vanilla
from core.family import noise_like
from core.gradients import estimate
from core.pictures import as_bytes, as_floats, png, sheet
from core.sampling import quantiles
from core.store import Run, Store
from tests import toy
from tests.pages.conftest import Open, carried, links, shown, trained
from ui import work
from ui.components.maps import checked as place
from ui.components.tiles import checked as cell
from ui.html import data_uri, picture
from ui.inside import draw, ladder, manifold, objective
from ui.inside.draw import DRAWN
from ui.inside.ladder import ladders

PAGE = "explore/vae.py"
CHAPTERS = (
    "A picture's cloud",
    "The objective",
    "What β does",
    "Why not a plain one",
    "The manifold",
    "The trick",
)


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Codes of two numbers: a vanilla, and a VAE at three weights of the KL. Shared by all tests: do not change it."""
    store = Store(tmp_path_factory.mktemp("flat"))
    trained(store, Vanilla, load("digits"), latent_dim=2)
    for beta in (1.0, 4.0, 0.0):
        trained(store, VAE, load("digits"), epochs=4, latent_dim=2, beta=beta)
    return store


def of_beta(store: Store, beta: float) -> Run:
    return next(run for run in store.runs() if run.record.config.get("beta") == beta)


def seen(example: int) -> torch.Tensor:
    return as_floats(examples.pictures((1, 8, 8))[[example]])


def said(app: AppTest) -> str:
    kinds = (app.warning, app.info, app.success, app.error, app.caption, app.markdown)
    return " ".join(element.value for kind in kinds for element in kind)


def groups(app: AppTest) -> list[str]:
    return [one.label for one in app.button_group]


def metric(app: AppTest, label: str) -> str:
    return next(one.value for one in app.metric if one.label == label)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_opens_with_a_worked_example(open_page: Open, flat: Store, chapter: str) -> None:
    page = open_page(PAGE, flat, chapter=chapter)
    assert not page.exception and not page.warning
    assert page.selectbox(key="vae").value == of_beta(flat, 1.0).id
    assert page.get("download_button")


def test_no_training_is_offered_on_pictures_that_train_does_not_have(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    for run in Store(tmp_path).runs():
        run.update(dataset={**run.record.dataset, "name": "emoji", "title": "Emoji"})
    page = open_page(PAGE, Store(tmp_path), chapter="Why not a plain one")
    assert not page.exception and "two numbers" in said(page)
    assert "Train Vanilla" not in links(page) and "not among those that Train offers" in said(page)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_says_what_a_longer_code_allows(open_page: Open, six: Store, chapter: str) -> None:
    page = open_page(PAGE, six, chapter=chapter)
    assert not page.exception
    if chapter == "What β does":
        assert "differ in β alone" in said(page) and "Train it with β = 4" in links(page)
        assert {"vae.beta", "epochs", "seed"} <= carried(page)
    if chapter == "Why not a plain one":
        assert "two numbers" in said(page) and {"Train Vanilla", "Train Variational"} <= set(links(page))
        assert {"vanilla.latent_dim", "vae.latent_dim"} <= carried(page)


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("settings", [{"latent_dim": 1}, {"latent_dim": 40, "likelihood": "gaussian"}])
def test_codes_of_any_size_on_pictures_of_any_size(
    open_page: Open, tmp_path: Path, chapter: str, settings: dict[str, object]
) -> None:
    store = Store(tmp_path)
    trained(store, VAE, toy.dataset((3, 12, 10)), epochs=1, **settings)
    page = open_page(PAGE, store, chapter=chapter)
    assert not page.exception


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("numbers", [2, 5])
def test_what_was_not_measured_is_missing_and_the_rest_is_there(
    open_page: Open, tmp_path: Path, chapter: str, numbers: int
) -> None:
    store = Store(tmp_path)
    for beta in (1.0, 2.0):
        run = trained(store, VAE, load("digits"), epochs=1, latent_dim=numbers, beta=beta)
        shutil.rmtree(run.folder / "cache")
    page = open_page(PAGE, store, chapter=chapter)
    assert not page.exception
    if chapter in ("The objective", "What β does"):
        assert "--keep" in said(page)


# --- a picture's cloud ------------------------------------------------------------------------------------------


def test_the_draw_on_the_page_is_that_of_the_model(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat)
    model = of_beta(flat, 1.0).load()
    with torch.inference_mode():
        mu, log_var = model.posterior(seen(2))
        eps = noise_like(torch.empty(DRAWN, 2), torch.Generator().manual_seed(0))
        number = page.selectbox[1].value
        turned = page.slider[0].value
        assert turned == pytest.approx(eps[0, number].item(), abs=0.006)
        eps[0, number] = turned
        z = mu + (0.5 * log_var).exp() * eps
        drawn = as_bytes(model.decode(z))
    assert picture(drawn[0], "decoded from the draw") in shown(page)
    assert picture(as_bytes(seen(2))[0], "the picture") in shown(page)
    assert f"<b>{z[0, number]:.3f}</b>".replace("-", "−") in shown(page)


def test_turning_a_number_by_hand_moves_the_draw(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat)
    before = shown(page)
    page.slider[0].set_value(3.0).run()
    assert not page.exception and shown(page) != before
    assert "· 3.000 =" in shown(page)
    page.slider[0].set_value(-1.15).run()
    assert "· (−1.150) =" in shown(page)


def test_a_spread_below_the_size_of_a_dot_is_said_to_be(open_page: Open, flat: Store, tmp_path: Path) -> None:
    shutil.copytree(flat.root, tmp_path, dirs_exist_ok=True)
    run = of_beta(Store(tmp_path), 1.0)
    model = run.load()
    for variances, words in (
        ((1.0, 1.0), "Bar: μ ± σ."),
        ((1e-4, 1.0), "longer than the dot"),
        ((1e-4, 1e-4), ""),
    ):
        with torch.no_grad():
            model.encoder[-1].weight[2:] = 0
            model.encoder[-1].bias[2:] = torch.tensor(variances).log()
        run.save_weights(model)
        page = open_page(PAGE, Store(tmp_path))
        assert words in said(page) and ("μ ± σ" in said(page)) == bool(words)
        assert ("too small to see here: the close-up shows it" in said(page)) == (not words)


def test_drawing_again_draws_anew(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat)
    before = shown(page)
    next(button for button in page.button if button.label == "Draw again").click().run()
    assert shown(page) != before


def test_kept_eps_stay_when_the_picture_changes(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat)
    pills = next(one for one in page.button_group if one.key and one.key.startswith("example-"))
    kept = page.slider[0].value
    pills.set_value("digit 7").run()
    assert page.slider[0].value == kept
    before = shown(page)
    page.toggle(key="freeze").set_value(False).run()
    assert shown(page) != before


def test_numbers_that_say_nothing_are_marked(open_page: Open, tmp_path: Path) -> None:
    run = trained(Store(tmp_path), VAE, load("digits"), epochs=1, latent_dim=6)
    model = run.load()
    with torch.no_grad():
        model.encoder[-1].weight[1:4] = 0  # the means of three numbers no longer move
    run.save_weights(model)
    summarise(run, model, load("digits"))
    silent = int((~elbo.kept(run).active).sum())
    page = open_page(PAGE, Store(tmp_path))
    assert silent >= 3 and f"{silent} of 6 say nothing" in said(page)
    assert sum("says nothing" in option for option in page.selectbox[1].options) == silent


# --- the objective ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "scale"), [("nats", 1.0), ("bits", 1 / math.log(2))])
def test_the_parts_on_the_page_are_those_of_core(
    open_page: Open, flat: Store, unit: str, scale: float
) -> None:
    page = open_page(PAGE, flat, chapter="The objective", unit=unit)
    found = elbo.parts(of_beta(flat, 1.0).load(), seen(2), torch.Generator().manual_seed(0))
    total, reconstruction, kl = (
        scale * value.item() for value in (found.negative_elbo, found.reconstruction, found.kl.sum())
    )
    assert metric(page, "−ELBO") == f"{total:.2f} {unit}"
    assert metric(page, "Reconstruction") == f"{reconstruction:.2f} {unit}"
    assert metric(page, "KL") == f"{kl:.2f} {unit}"
    assert metric(page, "Per pixel value") == f"{total / 64:.4f} {unit}"


def test_a_picture_has_its_place_among_the_test_pictures(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="The objective")
    run = of_beta(flat, 1.0)
    found, survey = (
        elbo.parts(run.load(), seen(2), torch.Generator().manual_seed(0)),
        elbo.kept(run),
    )
    below = 100 * (survey.negative_elbo < found.negative_elbo.item()).float().mean().item()
    assert f"more than {below:.1f}% of 300" in said(page)


def test_the_bound_is_that_of_core_and_draws_are_kept(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="The objective", draws="256")
    *_, bounds = elbo.tighten(of_beta(flat, 1.0).load(), seen(2), torch.Generator().manual_seed(0), 256)
    told = f"With k = 256: **{bounds.bound[-1].item():.2f} nats**".replace("-", "−")
    assert told in said(page)
    assert told in said(page.run())  # from what was kept


def test_the_bound_is_among_the_numbers_to_take_away(
    open_page: Open, flat: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Callable[[], bytes]] = []
    monkeypatch.setattr(objective, "download", lambda label, data, *rest: made.append(data))
    open_page(PAGE, flat, chapter="The objective", draws="256")
    with ThreadPoolExecutor(1) as other:  # a download is made where there is no session
        table = pd.read_csv(io.BytesIO(other.submit(made[0]).result()), index_col="part")["nats"]
    *_, bounds = elbo.tighten(of_beta(flat, 1.0).load(), seen(2), torch.Generator().manual_seed(0), 256)
    assert table["bound_k256"] == pytest.approx(bounds.bound[-1].item())


def test_what_is_below_zero_has_a_minus(
    open_page: Open, flat: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the densities of a Gaussian decoder may be."""
    found, kept = elbo.parts, elbo.kept(of_beta(flat, 1.0))
    dense = replace(kept, reconstruction=kept.reconstruction - 1_000)
    monkeypatch.setattr(ladder.runs, "survey", lambda run: dense)
    monkeypatch.setattr(
        objective, "parts", lambda *of: replace(found(*of), reconstruction=torch.tensor([-900.0]))
    )
    for chapter in ("The objective", "What β does"):
        page = open_page(PAGE, flat, chapter=chapter)
        assert not page.exception and not [one.value for one in page.metric if "-" in one.value]
        assert any(one.value.startswith("−") for one in page.metric)
    page = open_page(PAGE, flat, chapter="The objective")
    assert "Their mean is −" in said(page)


# --- beta -------------------------------------------------------------------------------------------------------


def test_the_slider_goes_through_the_runs(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="What β does")
    for beta in (0.0, 1.0, 4.0):
        page.select_slider[0].set_value(beta).run()
        assert not page.exception
        survey = elbo.kept(of_beta(flat, beta))
        assert metric(page, "Rate") == f"{survey.kl.mean():.1f} nats"
        assert metric(page, "Distortion") == f"{survey.reconstruction.mean():.1f} nats"


def test_the_slider_follows_the_chosen_model(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="What β does")
    assert page.select_slider[0].value == 1.0
    page.selectbox(key="vae").set_value(of_beta(flat, 4.0).id).run()
    assert page.select_slider[0].value == 4.0
    assert [box.label for box in page.selectbox] == ["Model"]  # there is one row of models, so none to choose


def test_collapse_has_its_name(open_page: Open, flat: Store, tmp_path: Path) -> None:
    shutil.copytree(flat.root, tmp_path, dirs_exist_ok=True)
    run = of_beta(Store(tmp_path), 4.0)
    model = run.load()
    for silent, words in ((1, "Partial collapse"), (2, "Posterior collapse")):
        with torch.no_grad():
            model.encoder[-1].weight[:silent] = 0
            model.encoder[-1].weight[silent:2] *= 30
        run.save_weights(model)
        summarise(run, model, load("digits"))
        page = open_page(PAGE, Store(tmp_path), chapter="What β does")
        page.select_slider[0].set_value(4.0).run()
        assert words in said(page)
        assert metric(page, "Active numbers") == f"{2 - silent} of 2"


def test_rows_of_models_with_one_title_can_all_be_chosen(
    open_page: Open, flat: Store, tmp_path: Path
) -> None:
    shutil.copytree(flat.root, tmp_path, dirs_exist_ok=True)
    for run in Store(tmp_path).runs():
        if run.record.family == VAE.key:
            twin = Run.open(shutil.copytree(run.folder, tmp_path / f"twin-{run.id}"))
            twin.update(plan=twin.record.plan | {"seed": 1}, name="twin")
            run.update(name="twin")
    chosen = Store(tmp_path).run(f"twin-{of_beta(flat, 1.0).id}")
    page = open_page(PAGE, Store(tmp_path), chapter="What β does", run=chosen.id)
    rows = next(one for one in page.selectbox if one.label.startswith("Models that differ"))
    assert all(len(set(one.options)) == len(one.options) for one in page.selectbox)
    for id in (of_beta(flat, 0.0).id, f"twin-{of_beta(flat, 0.0).id}"):
        page = open_page(
            PAGE, Store(tmp_path), chapter="What β does", run=chosen.id,
            **{rows.key: f"2 numbers, 4 epochs · {id}", f"beta-{chosen.id}-{id}": "4"},
        )  # fmt: skip
        assert page.selectbox(key=rows.key).value == id and page.select_slider[0].value == 4.0


def test_a_ladder_differs_in_beta_alone_and_has_the_later_of_twins(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for settings in ({"beta": 1.0}, {"beta": 2.0}, {"beta": 3.0, "latent_dim": 3}, {"beta": 1.0}):
        run = trained(store, VAE, toy.dataset(), epochs=1, **{"latent_dim": 2} | settings)
        run.update(created=f"2026-01-0{len(store.runs())}")
    trained(store, Vanilla, toy.dataset(), epochs=1, latent_dim=2)
    (found,) = ladders(store.runs())
    assert found.betas == [1.0, 2.0]
    assert found.rungs[0].record.created == "2026-01-04"
    older = next(run for run in store.runs() if run.record.created == "2026-01-01")
    assert older not in found.rungs and found.has_room_for(older)


# --- the other chapters -----------------------------------------------------------------------------------------


def test_both_kinds_decode_their_own_line_and_samples(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="Why not a plain one")
    model = next(run for run in flat.runs() if run.record.family == Vanilla.key).load()
    with torch.inference_mode():
        ends = as_bytes(model.reconstruct(as_floats(examples.pictures((1, 8, 8))[[2, 7]])))
        drawn = noise_like(torch.empty(22, 2), torch.Generator().manual_seed(0))
        samples = as_bytes(model.decode(drawn))
    html = shown(page)
    assert picture(ends[0], "Vanilla, 1") in html and picture(ends[1], "Vanilla, 11") in html
    assert picture(samples[0], "Vanilla, from the prior N(0, I), 1") in html
    assert "Variational, from a mixture over its codes, 22" in html
    asked = {"line-from": "digit 7", "line-to": "The picture above"}
    page = open_page(PAGE, flat, chapter="Why not a plain one", **asked)
    assert picture(ends[1], "Vanilla, 1") in shown(page) and picture(ends[0], "Vanilla, 11") in shown(page)


def test_the_pointer_comes_from_the_address_if_it_is_a_place(open_page: Open, flat: Store) -> None:
    for at in ("0.25,0.75", "nan,1", "7,7", "a,b", "0.1", ""):
        page = open_page(PAGE, flat, chapter="Why not a plain one", at=at)
        assert not page.exception


@pytest.mark.parametrize(
    "hostile", [None, "x", [1], [1, 2, 3], [float("nan"), 0], [2, 0], ["a", 0], {"0": 1}]
)
def test_what_components_send_is_checked(hostile: object) -> None:
    assert place(hostile, (0.5, 0.5)) == (0.5, 0.5)
    assert cell(hostile, 2) is None


def test_the_manifold_is_decoded_at_the_quantiles_of_the_prior(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="The manifold", side="8")
    run = of_beta(flat, 1.0)
    order = elbo.kept(run).kl_by_dimension.argsort(descending=True).tolist()
    z = torch.zeros(64, 2)
    z[:, order] = quantiles(8).view(-1, 2)
    with torch.inference_mode():
        expected = data_uri(sheet(as_bytes(run.load().decode(z)), 8))
    assert expected in page.get("bidi_component")[0].proto.json


def test_the_manifold_offers_only_what_it_uses(open_page: Open, flat: Store, six: Store) -> None:
    page = open_page(PAGE, flat, chapter="The manifold")
    assert groups(page) == ["Chapter"]  # a code of two numbers takes no picture
    assert not [one for one in page.slider if one.label in ("Across", "Up")]
    page.select_slider(key="zoom").set_value(2).run()
    assert [one.label for one in page.slider] == ["Temperature", "Across", "Up"]

    page = open_page(PAGE, six, chapter="The manifold")
    assert groups(page) == ["Chapter", "The other 30 numbers"]
    before = page.get("bidi_component")[0].proto.json
    next(one for one in page.button_group if one.key == "others").set_value("as in the picture").run()
    assert not page.exception and "Pictures" in groups(page)
    after = page.get("bidi_component")[0].proto.json
    assert after != before
    next(one for one in page.button_group if (one.key or "").startswith("example-")).set_value(
        "digit 7"
    ).run()
    assert page.get("bidi_component")[0].proto.json not in (before, after)


def test_a_walk_is_made_while_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifold, "gif", lambda *_: bytes([work.turn.acquire(blocking=False)]))
    assert manifold.walk(examples.pictures((1, 8, 8))[:4], 2) == b"\0"


def test_looking_closer_moves_the_controls(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="The manifold")
    page.session_state["look at"] = (4, 0.71, 0.2)
    page.run()
    assert not page.exception
    assert page.select_slider(key="zoom").value == 4
    assert page.slider(key="across").value == 0.71 and page.slider(key="up").value == 0.2


def test_the_gradients_are_those_of_core(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, chapter="The trick")
    model = of_beta(flat, 1.0).load()
    with torch.no_grad():
        mu, log_var = (t[0] for t in model.posterior(seen(2)))
    x = seen(2)
    found = estimate(
        lambda z: model.nll(z, x.expand(len(z), -1, -1, -1)),
        mu,
        (0.5 * log_var).exp(),
        2_048,
        torch.Generator().manual_seed(0),
    )
    assert f"**{found.needed('score function'):,.0f} times**" in said(page)


# --- what the address asks for ----------------------------------------------------------------------------------


def test_a_run_that_is_no_vae_is_said_to_be_none(open_page: Open, six: Store) -> None:
    vanilla = next(run for run in six.runs() if run.record.family == Vanilla.key)
    page = open_page(PAGE, six, run=vanilla.id)
    assert not page.exception
    assert "no variational autoencoder" in page.warning[0].value


def test_the_address_names_the_run(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, run=of_beta(flat, 4.0).id)
    assert page.selectbox(key="vae").value == of_beta(flat, 4.0).id


@pytest.mark.parametrize(
    "parameter", ["run", "chapter", "source", "example-digit-0", "unit", "zoom", "others"]
)
def test_nonsense_in_the_address_is_ignored(open_page: Open, flat: Store, parameter: str) -> None:
    page = open_page(PAGE, flat, **{parameter: "../<b>"})
    assert not page.exception
    assert "<b>" not in said(page)


def test_what_the_address_leaves_open_is_as_usual(open_page: Open, flat: Store) -> None:
    assert "decoded from the draw" in shown(open_page(PAGE, flat, chapter=""))
    page = open_page(PAGE, flat, chapter="The objective", unit="", draws="")
    assert not page.exception and metric(page, "KL").endswith("nats")


def test_an_uploaded_picture_goes_through(open_page: Open, flat: Store) -> None:
    page = open_page(PAGE, flat, source="Upload")
    assert "Choose a picture" in said(page)
    page.file_uploader(key="upload").upload("three.png", png(examples.pictures((1, 28, 28))[3][0])).run()
    assert not page.exception and "decoded from the draw" in shown(page)
    page.file_uploader(key="upload").upload("note.png", b"no picture").run()
    assert not page.exception


def test_a_run_that_vanishes_while_its_cloud_is_drawn_is_said_to(
    open_page: Open, flat: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(flat.root, tmp_path, dirs_exist_ok=True)
    run = of_beta(Store(tmp_path), 1.0)
    asked = draw.ask
    monkeypatch.setattr(draw, "ask", lambda subject: (shutil.rmtree(run.folder), asked(subject))[1])
    page = open_page(PAGE, Store(tmp_path), run=run.id)
    assert not page.exception and "was deleted, or has changed" in said(page)


def test_without_a_vae_the_page_says_how_to_get_one(open_page: Open, six: Store, tmp_path: Path) -> None:
    vanilla = next(run for run in six.runs() if run.record.family == Vanilla.key)
    shutil.copytree(vanilla.folder, tmp_path / "one")
    for store in (Store(tmp_path / "nothing"), Store(tmp_path)):
        page = open_page(PAGE, store)
        assert not page.exception
        assert "no variational autoencoder yet" in said(page) and "Train Variational" in links(page)


def test_a_store_or_a_run_that_cannot_be_read_is_said(open_page: Open, flat: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert "cannot be read" in open_page(PAGE, Store(tmp_path / "file")).error[0].value
    shutil.copytree(flat.root, tmp_path / "store")
    broken = of_beta(Store(tmp_path / "store"), 1.0)
    broken.weights_file.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    page = open_page(PAGE, Store(tmp_path / "store"))
    assert not page.exception and broken.id in page.warning[0].value
