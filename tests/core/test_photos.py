from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from core import photos
from core.data import sample_photos
from core.denoisers import classical, contest, learnt, similarity
from core.evaluation import decibels, summarise
from core.families import photo_denoiser
from core.families.photo_denoiser import PhotoDenoiser
from core.judge import BOX
from core.photos import OVERLAP, TILE, Wish, finished, fitting, noise, opened, restored, spans, tiled
from core.store import Store
from core.training import Plan
from tests import toy
from tests.photographs import autoencoder, denoiser


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere as on a processor without bfloat16, whose rounding no test is about."""
    monkeypatch.setattr(photo_denoiser, "looks", lambda device: 1)


@pytest.fixture(scope="module")
def model() -> PhotoDenoiser:
    config = PhotoDenoiser.Config(widths=(6, 8, 8), blocks=(1, 1, 1))
    made = PhotoDenoiser(config, (3, 32, 32))
    made.initialise(seeded())
    return made.eval()


class Untold(PhotoDenoiser):
    """Remembers what it was told, and takes away a known share of it."""

    def estimate(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), 0.1)

    def restore(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        return x - float(sigma)  # type: ignore[arg-type]


@pytest.fixture
def plain() -> PhotoDenoiser:
    return Untold(PhotoDenoiser.Config(widths=(4, 4), blocks=(1, 1)), (3, 32, 32)).eval()


# --- tiles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length", [1, 15, TILE - 1, TILE, TILE + 1, 2 * TILE - OVERLAP + 1, 4000, 6000, 9999]
)
def test_tiles_cover_everything_once(length: int) -> None:
    found = spans(length)
    total = torch.zeros(length)
    for one in found:
        assert one.start % photos.GRID == 0 and 0 < one.end - one.start <= TILE
        total[one.start : one.end] += one.weight
    torch.testing.assert_close(total, torch.ones(length))
    for left, right in pairwise(found):
        assert left.end - right.start >= OVERLAP - photos.GRID
        assert left.weight[-photos.UNSEEN :].max() == right.weight[: photos.UNSEEN].max() == 0


def test_seams_cannot_be_seen(model: PhotoDenoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise is 1/255; this net sees 44 pixels far, so that what its tiles cannot know is left out altogether."""
    x = torch.rand(3, 300, 410, generator=seeded())
    with torch.inference_mode():
        whole = model.restore(x[None], 0.1)[0]
    monkeypatch.setattr(photos, "TILE", 208)
    monkeypatch.setattr(photos, "OVERLAP", 128)
    monkeypatch.setattr(photos, "UNSEEN", 48)
    assert len(spans(300)) > 2
    torch.testing.assert_close(finished(tiled(model, x, 0.1)), whole, atol=1e-5, rtol=0)


def test_progress_rises_and_leaving_early_is_allowed(
    model: PhotoDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "TILE", 208)
    monkeypatch.setattr(photos, "OVERLAP", 128)
    monkeypatch.setattr(photos, "UNSEEN", 48)
    shares = list(tiled(model, torch.rand(3, 200, 300), 0.1))
    assert len(shares) >= 3 and shares == sorted(shares) and shares[0] == 0 and shares[-1] < 1
    work = tiled(model, torch.rand(3, 200, 300), 0.1)
    next(work)
    work.close()


# --- noise ------------------------------------------------------------------------------------------------------


def test_a_small_picture_is_looked_at_as_a_whole_and_a_large_one_in_places() -> None:
    small = torch.rand(3, 100, 200)
    assert photos.looks(small) is small
    large = torch.rand(3, 1500, 2100)
    mosaic = photos.looks(large)
    assert mosaic.shape == (3, 1024, 1024)
    assert torch.equal(mosaic[:, :256, :256], large[:, :256, :256])
    assert torch.equal(mosaic[:, -256:, -256:], large[:, -256:, 1844:])
    assert photos.looks(torch.rand(3, 100, 30_000)).shape == (3, 100, 1024)


def test_grain_is_the_correlation_of_what_is_taken_away(plain: PhotoDenoiser) -> None:
    white = torch.randn(3, 200, 200, generator=seeded())

    class Given(Untold):
        def restore(self, x: Tensor, sigma: float | Tensor | None = None, most: int = 4) -> Tensor:
            assert most == 1
            return x - self.taken

    for taken, grain in ((white, 0.0), (torch.nn.functional.avg_pool2d(white, 3, 1, 1), 0.66)):
        model = Given(plain.config, plain.shape)
        model.taken = taken
        found = noise(model, torch.zeros(3, 200, 200))
        assert math.isnan(found.colour)  # of a gray picture
        model.taken = taken - 0.9 * taken.mean(0)
        coloured = noise(model, torch.rand(3, 200, 200, generator=seeded()))
        assert coloured.colour == pytest.approx(grain, abs=0.02) and coloured.smooth == (grain > 0)
        assert found.sigma == pytest.approx(0.1) and found.grain == pytest.approx(grain, abs=0.02)
        assert found.white == (grain == 0)
    assert "too few pixels" in photos.Noise(0.1, math.nan, False).kind
    assert "white" in photos.Noise(0.1, 0.0, True).kind and "camera" in photos.Noise(0.1, 0.5, False).kind
    assert photos.Noise(0.0, 0.5, False).kind == photos.Noise(0.0, math.nan, False).kind == "hardly any"


def test_white_noise_goes_to_the_model_that_knows_nothing_else(
    plain: PhotoDenoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Untold(PhotoDenoiser.Config(widths=(4, 4), blocks=(1, 1), noise="camera"), (3, 32, 32))
    models = {"white": plain, "camera": camera}
    monkeypatch.setattr(photos, "level", lambda model, x: {id(camera): 0.1}[id(model)])
    for as_white, chosen in (
        (photos.Noise(0.10, 0.0, True), "white"),
        (photos.Noise(0.01, 0.0, True), "camera"),  # it is blind to most of it
        (photos.Noise(0.10, math.nan, False), "camera"),  # it took nothing away
        (photos.Noise(0.10, 0.0, True, -0.02), "white"),
        (photos.Noise(0.10, 0.0, False, 0.6), "camera"),  # its colours hang together
    ):
        monkeypatch.setattr(photos, "noise", lambda model, x, found=as_white: {id(plain): found}[id(model)])
        name, told = fitting(models, torch.zeros(3, 8, 8))
        assert name == chosen and told.white == (chosen == "white")
        assert fitting({"only": plain}, torch.zeros(3, 8, 8)) == ("only", as_white)
    with pytest.raises(ValueError, match="no model that cleans"):
        fitting({}, torch.zeros(3, 8, 8))


@pytest.mark.parametrize(
    ("grain", "seen", "told"), [(-0.3, 5.0, 12.5**0.5), (-0.1, 5.0, 5), (-0.3, 1.0, 0.5**0.5), (0.3, 5.0, 6)]
)
def test_half_of_what_alternates_from_pixel_to_pixel_is_texture(
    plain: PhotoDenoiser, grain: float, seen: float, told: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little is seen of it: noise from cameras hangs together, white noise does neither."""
    camera = Untold(PhotoDenoiser.Config(widths=(4, 4), blocks=(1, 1), noise="camera"), (3, 32, 32))
    as_white = photos.Noise(seen, grain, False)
    monkeypatch.setattr(photos, "noise", lambda model, x: {id(plain): as_white}[id(model)])
    monkeypatch.setattr(photos, "level", lambda model, x: {id(camera): 6.0}[id(model)])
    name, noise = fitting({"white": plain, "camera": camera}, torch.rand(3, 8, 8, generator=seeded()))
    assert name == ("camera" if told == 6 else "white") and noise.sigma == pytest.approx(told)


@pytest.mark.parametrize(("quality", "subsampling", "kind"), [(95, 2, "camera"), (95, 0, "gaussian")])
def test_noise_that_went_through_a_jpeg_is_white_where_its_colours_were_kept(
    quality: int, subsampling: int, kind: str
) -> None:
    models, _ = opened(photos.denoisers(Store(BOX)))
    clean = sample_photos()["cat"][20:276, 100:356]
    noisy = (clean + np.random.default_rng(0).normal(0, 25, clean.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=quality, subsampling=subsampling)
    id, found = fitting(models, photos.as_colour(np.asarray(Image.open(file))))
    assert models[id].config.noise == kind and found.white == (kind == "gaussian")


@pytest.mark.parametrize(
    ("quality", "turns", "kind"), [(75, 0, "camera"), (75, 1, "camera"), (85, 0, "gaussian")]
)
def test_what_a_jpeg_leaves_of_noise_without_colours_is_told_by_its_squares(
    quality: int, turns: int, kind: str
) -> None:
    """Of quality 85 most is left. Where little is, it alternates, as grass does."""
    models, _ = opened(photos.denoisers(Store(BOX)))
    clean = sample_photos()["cat"][20:272, 100:354, 1]
    noisy = (clean + np.random.default_rng(0).normal(0, 13, clean.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=quality)
    x = torch.rot90(photos.as_colour(np.asarray(Image.open(file))[:, :, None]), turns, (1, 2))
    id, _ = fitting(models, x)
    assert photos.is_from_jpeg(x) and models[id].config.noise == kind


def test_only_a_jpeg_has_nothing_fine_in_its_squares() -> None:
    noisy = 0.5 + 5 / 255 * torch.randn(3, 40, 48, generator=seeded())
    assert not photos.is_from_jpeg(noisy) and not photos.is_from_jpeg(noisy[:, :7])
    framed = torch.nn.functional.pad(noisy, (40, 40, 40, 40), value=1)
    assert not photos.is_from_jpeg(framed) and not photos.is_from_jpeg(torch.ones(3, 40, 40))
    wave, place = 6, torch.arange(8) + 0.5
    cosine = torch.cos(math.pi / 8 * wave * place) / 2
    squares = (0.1 * cosine[:, None] * cosine).tile(5, 6)  # one of the sixteen that are fine, which is alone
    assert photos.finest(squares) == pytest.approx(0, abs=1e-6)
    whole = sum(torch.cos(math.pi / 8 * wave * place) / 2 for wave in range(4, 8))
    assert photos.finest((0.1 * whole[:, None] * whole).tile(5, 6)) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("sigma", [5, 25])
def test_a_frame_hides_no_noise(sigma: int) -> None:
    """Of twice the picture's own area, and not along the squares: 0.1 was found for 25, and the wrong model taken."""
    models, problems = opened(photos.denoisers(Store(BOX)))
    clean = sample_photos()["cat"][20:276, 100:356]
    noisy = clean / 255 + np.random.default_rng(0).normal(0, sigma / 255, clean.shape)
    bare = (noisy.clip(0, 1) * 255).round().astype(np.uint8)
    framed = np.pad(bare, ((100, 90), (90, 100), (0, 0)), constant_values=255)
    id, found = fitting(models, photos.as_colour(framed))
    assert models[id].config.noise == "gaussian" and not problems
    assert found.sigma * 255 == pytest.approx(sigma, rel=0.1)
    assert photos.level(models[id], photos.as_colour(framed)) == pytest.approx(
        photos.level(models[id], photos.as_colour(bare)), rel=0.03
    )


@pytest.mark.parametrize("middle", [255, 0])
def test_an_empty_middle_is_not_what_noise_is_judged_by(middle: int) -> None:
    models, _ = opened(photos.denoisers(Store(BOX)))
    cat, coffee = (sample_photos()[name][:300, :400] for name in ("cat", "coffee"))
    clean = np.tile(np.concatenate([cat, coffee]), (1, 2, 1))
    clean[160:-160, 260:-260] = middle
    noisy = (clean + np.random.default_rng(0).normal(0, 10, clean.shape)).clip(0, 255).round()
    noisy[160:-160, 260:-260] = middle  # as a burnt out sky, or the night
    id, found = fitting(models, photos.as_colour(noisy.astype(np.uint8)))
    assert models[id].config.noise == "gaussian" and abs(found.grain) < 0.1


def test_grain_needs_neighbours_in_one_direction_alone() -> None:
    line = torch.nn.functional.avg_pool2d(torch.randn(3, 1, 5002, generator=seeded()), (1, 3), 1)
    across, down = photos.correlation(line), photos.correlation(line.transpose(1, 2))
    assert across == pytest.approx(0.66, abs=0.03) and down == pytest.approx(across)
    assert math.isnan(photos.correlation(torch.ones(3, 1, 1)))


# --- wishes -----------------------------------------------------------------------------------------------------


def test_strength_is_what_the_net_is_told_and_below_one_the_share_of_what_it_takes(
    plain: PhotoDenoiser,
) -> None:
    pixels = np.full((20, 30, 3), 200, np.uint8)
    for strength in (0.0, 0.5, 1.0, 1.5):
        taken = 200 - finished(restored(plain, pixels, Wish(strength))).astype(int)
        assert (taken == round(min(1, strength) * strength * 0.1 * 255)).all()
    assert (finished(restored(plain, pixels, Wish(sigma=0.2))) == 200 - 51).all()


def test_a_level_beyond_those_of_training_is_told_as_it_is(plain: PhotoDenoiser) -> None:
    """At sigma 102 what was found and told was worth 1.8 dB more than 55 of 255, the strongest that the net had learnt on."""
    pixels = np.full((20, 30, 3), 200, np.uint8)
    assert (finished(restored(plain, pixels, Wish(1.5, sigma=0.4))) == 200 - 153).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_strength_zero_changes_nothing_and_more_takes_more(channels: int) -> None:
    """On a net that has learnt; told of no noise at all it would still take 71 % of what it takes at full strength."""
    model = Store(BOX).run("photos-white-noise").restorer()
    clean = sample_photos()["cat"][100:164, 200:280, :channels]
    noisy = clean / 255 + np.random.default_rng(0).normal(0, 25 / 255, clean.shape)
    pixels = (noisy.clip(0, 1) * 255).round().astype(np.uint8)
    made = [finished(restored(model, pixels, Wish(strength))) for strength in (0, 0.1, 0.4, 0.7, 1, 1.3)]
    assert np.array_equal(made[0], pixels)
    taken = [np.square(pixels.astype(float) - one).mean() ** 0.5 for one in made]
    assert all(more > less + 0.05 for less, more in pairwise(taken)), taken


def test_what_is_gray_stays_so_however_it_is_stored() -> None:
    model = Store(BOX).run("photos-white-noise").restorer()
    gray = np.random.default_rng(0).integers(0, 255, (40, 48, 1), dtype=np.uint8)
    one, three = (finished(restored(model, gray.repeat(n, 2), Wish(sigma=0.1))) for n in (1, 3))
    assert one.shape == gray.shape and np.array_equal(three, one.repeat(3, 2))


def test_kept_texture_is_light_and_never_colour(plain: PhotoDenoiser) -> None:
    class Colour(Untold):
        def restore(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
            return x - torch.tensor([0.2, 0.0, 0.0]).view(1, 3, 1, 1)

    pixels = np.full((4, 4, 3), [200, 200, 190], np.uint8)
    kept = finished(restored(Colour(plain.config, plain.shape), pixels, Wish(texture=1.0)))[0, 0]
    luma = 0.299 * 51
    assert kept.tolist() == [round(149 + luma), round(200 + luma), round(190 + luma)]


def test_gray_stays_gray_and_every_size_comes_back(model: PhotoDenoiser) -> None:
    for size in ((1, 1, 1), (5, 9, 3), (33, 64, 1)):
        pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
        back = finished(restored(model, pixels))
        assert back.shape == size and back.dtype == np.uint8


# --- against others ---------------------------------------------------------------------------------------------


def test_decibels_and_similarity_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    mse = np.mean((a.astype(float) - b) ** 2)
    assert decibels(a, b) == pytest.approx(10 * np.log10(255**2 / mse))
    assert decibels(a, a) == math.inf and similarity(a, a) == pytest.approx(1)
    assert similarity(a, b) == pytest.approx(wang(a.astype(float), b.astype(float)))
    assert math.isnan(similarity(a[:8], b[:8]))


def wang(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004 as it is written: a Gaussian window of 11x11 wherever it fits."""
    at = np.arange(-5, 6)
    line = np.exp(-(at**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(3):
        for y in range(a.shape[0] - 10):
            for x in range(a.shape[1] - 10):
                p, q = a[y : y + 11, x : x + 11, channel], b[y : y + 11, x : x + 11, channel]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
                cov = (window * p * q).sum() - mp * mq
                c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
                values.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def test_every_denoiser_meets_the_same_picture(model: PhotoDenoiser) -> None:
    clean = toy.strokes(1, (3, 40, 48)).images[0].transpose(1, 2, 0)
    noisy = torch.from_numpy(clean / 255).float().permute(2, 0, 1) + 0.1 * torch.randn(
        3, 40, 48, generator=seeded()
    )
    several = [one for one in classical() if one.key != "bm3d"] + learnt({"ours": model}, {"ours": "Ours"})
    results = {one.key: one for one in contest(clean, noisy, 0.1, several)}
    assert list(results) == ["nothing", "median", "nl-means", "tv", "wavelet", "ours"]
    assert np.array_equal(results["nothing"].pixels, photos.as_pixels(noisy, 3))
    for one in results.values():
        assert one.pixels.shape == clean.shape and one.seconds > 0
        assert one.psnr == decibels(one.pixels, clean)
    assert results["tv"].psnr > results["nothing"].psnr + 2


# --- models -----------------------------------------------------------------------------------------------------


def test_the_store_tells_which_runs_clean_photographs(tmp_path: Path, model: PhotoDenoiser) -> None:
    store = Store(tmp_path)
    run = store.create(model, Plan(epochs=1), toy.dataset((3, 32, 32)))
    run.update(status="completed")
    assert not photos.denoisers(store)
    run.save_weights(model)
    assert list(photos.denoisers(store)) == [run.id]
    with pytest.raises(Exception, match="restores photographs and has no codes"):
        run.load()
    assert run.restorer().state_dict().keys() == model.state_dict().keys()


def test_only_those_that_have_ended_and_know_colours_clean(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run, gray = denoiser(store), denoiser(store)
    gray.update(shape=(1, 32, 32))
    for status in ("completed", "stopped"):
        run.update(status=status)
        assert list(photos.denoisers(store)) == [run.id]
    for status in ("created", "running", "interrupted", "diverged"):
        run.update(status=status)
        assert not photos.denoisers(store)


def test_the_best_of_a_kind_comes_first_and_is_the_one_that_fits(tmp_path: Path) -> None:
    store = Store(tmp_path)
    runs = {name: denoiser(store, name=name) for name in ("good", "untested", "poor", "broken", "stopped")}
    for name, tested in (("good", 31.0), ("poor", 29.0), ("broken", "fine"), ("stopped", 40.0)):
        runs[name].update(metrics={"test": {"sample_psnr": tested}})
    runs["broken"].update(created="1999-01-01T00:00:00+00:00")
    runs["untested"].update(created="2000-01-01T00:00:00+00:00")
    runs["stopped"].update(status="stopped")
    found = photos.denoisers(store)
    assert [run.title for run in found.values()] == ["good", "poor", "untested", "broken", "stopped"]
    models, problems = opened(found)
    assert list(models) == list(found) and not problems
    assert fitting(models, torch.rand(3, 40, 40, generator=seeded()))[0] == runs["good"].id


def test_a_damaged_run_is_told_and_the_next_one_takes_its_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    best, next_best, other = denoiser(store), denoiser(store), autoencoder(store)
    best.update(metrics={"test": {"sample_psnr": 31.0}})
    best.weights_file.write_bytes(b"no weights")
    models, problems = opened(photos.denoisers(store) | {other.id: other})
    assert list(models) == [next_best.id]
    assert f"{best.id} cannot be loaded" in problems[0] and f"{other.id} does not remove" in problems[1]
    assert fitting(models, torch.rand(3, 40, 40, generator=seeded()))[0] == next_best.id


def test_scores_are_of_one_noise_whatever_the_seed_of_the_run(tmp_path: Path) -> None:
    store, data = Store(tmp_path), toy.dataset((3, 32, 32))
    scores = []
    for seed in (0, 7):
        run = denoiser(store)
        run.update(plan={**run.record.plan, "seed": seed})
        summarise(run, run.restorer(), data)
        scores.append(run.record.metrics["test"])
    assert scores[0] == scores[1] and scores[0]["n"] == len(data.test)


@pytest.mark.parametrize("noise", ["gaussian", "camera"])
def test_models_are_ranked_by_the_same_pictures_whatever_theirs_are(tmp_path: Path, noise: str) -> None:
    store = Store(tmp_path)
    scores = []
    for config, data in (
        ({}, toy.dataset((3, 32, 32))),
        ({"midst": 1.0}, toy.dataset((3, 40, 40), held_out=5)),
    ):
        run = denoiser(store, noise)
        run.update(config={**run.record.config, **config})
        summarise(run, run.restorer(), data)
        scores.append(run.record.metrics["test"])
    one, other = scores
    assert one["decibels"] != other["decibels"]
    assert one["sample_psnr"] == other["sample_psnr"]
