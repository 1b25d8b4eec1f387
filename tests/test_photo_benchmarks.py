"""The benchmarks of photographs: what noise they add, and by what rounds the models in the box were made."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import denoise, exposure
from benchmarks.photos import BOX, Round, Shipped, deepen, main, rounds, trained
from core import photos
from core.data import sample_photos
from core.dataset import fixed_rng
from core.denoisers import automatic
from core.evaluation import decibels
from core.family import Restorer
from core.store import Store
from core.training import Plan
from tests import toy
from tests.photographs import denoiser, scene

GRAY = scene(40, 30)[:, :, :1]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    denoiser(store, name="White noise")
    denoiser(store, "camera", "Camera noise")
    return store


def test_a_gray_picture_has_one_channel_however_it_is_stored(tmp_path: Path) -> None:
    Image.fromarray(GRAY[:, :, 0]).save(tmp_path / "a.png")
    Image.fromarray(np.repeat(GRAY, 3, 2)).save(tmp_path / "b.png")
    Image.fromarray(scene(40, 30)).save(tmp_path / "c.png")
    assert [one.shape for one in denoise.pictures(tmp_path)] == [(30, 40, 1), (30, 40, 1), (30, 40, 3)]


def test_gray_noise_is_that_of_published_gray_numbers(store: Store) -> None:
    expected = GRAY[:, :, 0] / 255 + fixed_rng().normal(0, 25 / 255, (30, 40))
    np.testing.assert_allclose(denoise.whitened(GRAY, 25)[0].numpy(), expected, atol=1e-6)
    models, _ = photos.opened(photos.denoisers(store))
    entrants = [one for one in denoise.everyone(models, {id: id for id in models}) if one.key != "bm3d"]
    for sigma, channels in ((25.0, 1), (None, 3)):  # a camera has coloured noise whatever it looks at
        results = {one.key: one for one in denoise.measured(GRAY, sigma, entrants)}
        assert all(one.pixels.shape == (30, 40, channels) for one in results.values())
        assert results["auto"].title == "Ours, automatic"
    noisy = photos.as_pixels(denoise.whitened(GRAY, 25), 1)
    nothing = next(iter(denoise.measured(GRAY, 25, entrants)))
    assert nothing.psnr == decibels(noisy, GRAY)


def test_a_photograph_taken_once_more_has_the_noise_that_was_wanted() -> None:
    pixels = np.asarray(sample_photos()["cat"])[:96, :128]
    found = [exposure.taken(pixels, torch.Generator().manual_seed(seed)) for seed in (1, 2, 2)]
    assert all(one.shape == pixels.shape and one.dtype == np.uint8 for pair in found for one in pair)
    inputs = [decibels(noisy, clean) for clean, noisy in found]
    low, high = exposure.INPUT
    assert all(low - 0.5 < one < high + 0.5 for one in inputs) and inputs[0] != inputs[1] == inputs[2]
    assert exposure.taken(GRAY, torch.Generator().manual_seed(0))[0].shape == (30, 40, 3)


def test_what_every_jpeg_loses_does_not_count_as_noise() -> None:
    rng = torch.Generator().manual_seed(0)
    colourful = (torch.rand(24, 32, 3, generator=rng) * 255).byte().numpy()
    clean, _ = exposure.taken(colourful, rng)
    again = exposure.kept(photos.as_colour(clean), exposure.FULL, rng)
    lost = exposure.kept(photos.as_colour(colourful), exposure.FULL, rng)
    assert decibels(again, clean) > decibels(lost, colourful) + 10


@pytest.mark.parametrize("smooths", [True, False])
def test_a_camera_gives_even_colours_back(smooths: bool) -> None:
    camera = exposure.Camera(torch.tensor([2.0, 1.0, 1.7]).view(3, 1, 1), smooths)
    x = torch.tensor([0.5, 0.45, 0.4]).view(3, 1, 1).expand(3, 12, 16)
    torch.testing.assert_close(camera.developed(camera.light(x)), x)


def test_noise_of_light_has_the_spread_of_shot_and_read_noise() -> None:
    light, shot = torch.tensor([0.0, 0.25, 1.0]), torch.tensor(0.01)
    read = 0.01**2.18 * math.exp(1.2)
    expected = [math.sqrt(0.01 * one + read) for one in (0.0, 0.25, 1.0)]
    torch.testing.assert_close(exposure.deviation(light, shot), torch.tensor(expected))


def test_automatic_gives_what_page_and_command_line_give(store: Store) -> None:
    pixels = scene(60, 50)
    models, _ = photos.opened(photos.denoisers(store))
    x = photos.as_colour(pixels)
    id, noise = photos.fitting(models, x)
    expected = photos.finished(photos.restored(models[id], pixels, photos.Wish().knowing(noise)))
    assert np.array_equal(photos.as_pixels(automatic(models).clean(x, None), 3), expected)


def test_doing_nothing_is_there_whoever_is_left_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clean").mkdir()
    Image.fromarray(scene(40, 30)).save(tmp_path / "clean" / "a.png")
    threads = ["--threads", str(torch.get_num_threads()), "--store", str(store.root)]
    left_out = ["--without", "nothing", "nl-means", "tv", "bm3d", "auto"]
    monkeypatch.setattr(sys, "argv", ["denoise", "--images", str(tmp_path / "clean"), *threads, *left_out])
    denoise.main()
    said = capsys.readouterr().out
    assert said.count("Doing nothing") == said.count("Median") == 3
    assert "automatic" not in said and "NL-means" not in said


def test_clean_pictures_are_told_of(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(denoise, "sample", lambda name, sample=denoise.sample: sample(name)[:32, :32])
    monkeypatch.setattr(
        sys, "argv", ["denoise", "--clean", "--store", str(store.root), "--threads", str(threads)]
    )
    denoise.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(denoise.CLEAN)
    assert all("dB to the clean input" in line and "at sigma 5" in line for line in lines)


def no_options(**more: object) -> argparse.Namespace:
    usual = {"origin": None, "seconds": None, "batch_size": 8, "settings": {}, "seed": 0, "threads": 1}
    return argparse.Namespace(**usual | more)


def test_the_box_says_in_which_rounds_a_model_was_made() -> None:
    camera = BOX["photos-camera-noise"]
    assert rounds(camera, no_options())[:2] == [Round(2_500), Round(2_400)]
    more = no_options(origin="x", seconds=60.0, batch_size=4, settings={"crop": 96}, seed=6, threads=2)
    assert rounds(camera, more) == [Round(60, 4, {"crop": 96}, seed=6, threads=2)]


@pytest.mark.parametrize("flag", ["--ship", "--from"])
def test_one_run_is_not_put_away_under_every_name(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["photos", "photos_train", flag, "a-run"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2


def test_a_round_goes_on_from_the_one_before(tmp_path: Path) -> None:
    small = {"widths": (6, 8), "blocks": (1, 1), "crop": 16}
    one = Shipped("x", "X", "photo_denoiser", 1, small, (Round(1, 4, {"crop": 32}),))
    store = Store(tmp_path)
    run = trained(one, toy.dataset((3, 32, 32)), store, no_options())
    first, last = store.runs()
    assert run.id == last.id and last.record.origin == first.id
    assert (last.record.config["crop"], last.record.plan["batch_size"]) == (32, 4)
    assert (first.record.config["crop"], first.record.plan["batch_size"]) == (16, 8)
    assert isinstance(run.restorer(), Restorer)


def test_a_net_with_more_blocks_begins_as_the_equal_of_the_one_before(store: Store) -> None:
    origin = store.runs()[0]
    model = origin.restorer()
    deeper = type(model)(replace(model.config, blocks=(3, 2)), model.shape)
    run = store.create(deeper, Plan(epochs=1), toy.dataset(model.shape), origin=origin)
    deepen(run, deeper)
    begun = run.begin(torch.device("cpu")).model
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(begun.reconstruct(x), model.reconstruct(x))
    assert sum(p.numel() for p in begun.parameters()) > sum(p.numel() for p in model.parameters())
