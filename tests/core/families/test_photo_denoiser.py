from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core import unet
from core.camera import enlarged, is_gray
from core.crops import FLOOR, STEEPEST, cropped, mirrored
from core.data import Dataset, Split
from core.families import photo_denoiser
from core.families.photo_denoiser import (
    ROW,
    STRONGEST,
    PhotoDenoiser,
    drawn,
    some_gray,
    tessellated,
)
from core.family import Turn
from core.training import EpochEnded, Finished, Plan, Training, train
from tests import toy

SMALL = dict(widths=(8, 12, 16), blocks=(1, 1, 1), crop=32)
SHAPE = (3, 48, 48)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fresh(**changes: object) -> PhotoDenoiser:
    model = PhotoDenoiser(PhotoDenoiser.Config(**{**SMALL, **changes}), SHAPE)
    model.initialise(seeded())
    return model


def photographs(count: int = 60) -> Dataset:
    """Soft strokes in colour: something to tell from noise."""
    return replace(toy.dataset(SHAPE, train=count, held_out=6), class_names=())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 2), (8, 8), (33, 50)], ids=str)
@torch.no_grad()
def test_any_size_comes_back_as_large(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size, generator=seeded())
    for sigma in (None, 0.1, torch.tensor([0.0, 0.2])):
        back = fresh().restore(x, sigma)
        assert back.shape == x.shape and back.isfinite().all()


@pytest.mark.parametrize("noise", ["gaussian", "camera"])
@torch.no_grad()
def test_the_loss_is_the_log_of_the_error_and_the_log_of_the_ratio_of_levels(noise: str) -> None:
    model = fresh(noise=noise).double()
    x = torch.rand(4, *SHAPE, generator=seeded(1), dtype=torch.double)
    minimise, watch = model.loss(x, Turn(seeded(2)))
    rng = seeded(2)
    crops = cropped(x, 32, rng)
    clean = some_gray(enlarged(crops, rng) if noise == "camera" else crops, rng)
    noisy, sigma = model.disturbed(clean, rng)
    if noise == "camera":
        torch.testing.assert_close(sigma, (noisy - clean).square().mean((1, 2, 3)).sqrt())
    guess = model.estimate(noisy)
    told = torch.where(torch.rand(4, generator=rng) < 0.5, guess, sigma)
    errors = [float(((model.clean(noisy, told)[i] - clean[i]) ** 2).mean()) for i in range(4)]
    ratios = [
        abs(math.log((g + 1 / 255) / (s + 1 / 255)))
        for g, s in zip(guess.tolist(), sigma.tolist(), strict=True)
    ]
    # the loop computes pictures in float32, whatever the weights are
    assert float(minimise["log_error"]) == pytest.approx(
        np.mean([math.log(e + FLOOR) for e in errors]), rel=1e-5
    )
    assert float(minimise["level_error"]) == pytest.approx(np.mean(ratios), rel=1e-5)
    assert float(watch["denoised_mse"]) == pytest.approx(np.mean(errors), rel=1e-4)


@torch.no_grad()
def test_white_noise_has_the_level_that_is_told() -> None:
    x = torch.full((64, 3, 64, 64), 0.5)
    noisy, sigma = fresh().disturbed(x + torch.tensor([0.0, 0.01, 0.02]).view(1, 3, 1, 1), seeded())
    measured = (noisy - x - torch.tensor([0.0, 0.01, 0.02]).view(1, 3, 1, 1)).std((1, 2, 3))
    torch.testing.assert_close(measured, sigma, rtol=0.03, atol=1e-4)
    assert sigma.min() >= 0 and sigma.max() <= STRONGEST and sigma.std() > 0.2 * STRONGEST


@torch.no_grad()
def test_gray_pictures_stay_gray_under_noise() -> None:
    gray = torch.rand(3, 1, 40, 40, generator=seeded()).expand(-1, 3, -1, -1)
    noisy, _ = fresh().disturbed(gray, seeded())
    assert is_gray(noisy).all() and not is_gray(torch.rand(2, 3, 8, 8)).any()


def test_crops_are_squares_of_their_pictures() -> None:
    x = torch.arange(2 * 3 * 40 * 50).view(2, 3, 40, 50).float()
    crops = cropped(x, 16, seeded(3))
    assert crops.shape == (2, 3, 16, 16)
    for picture, crop in zip(x, crops, strict=True):
        assert set(crop.flatten().tolist()) <= set(picture.flatten().tolist())
        windows = picture.unfold(1, 16, 1).unfold(2, 16, 1)
        turned = [torch.rot90(one, k, (1, 2)) for one in (crop, crop.flip(2)) for k in range(4)]
        assert any(bool((windows == one[:, None, None]).all((0, 3, 4)).any()) for one in turned)
    assert cropped(x, 100, seeded()).shape == (2, 3, 40, 40)


def test_a_gradient_is_never_steeper_than_allowed() -> None:
    model = fresh()
    (player,) = model.players()
    optimiser = player.optimiser(model.parameters())
    weights = optimiser.param_groups[0]["params"]
    for parameter in weights:
        parameter.grad = torch.full_like(parameter, 1e3)
    optimiser.step()
    norm = torch.stack([parameter.grad.norm() for parameter in weights]).norm()
    assert float(norm) == pytest.approx(STEEPEST, rel=1e-3)


def test_levels_do_not_see_how_bright_a_picture_is() -> None:
    model = fresh()
    x = 0.3 * torch.rand(2, 3, 32, 32, generator=seeded())
    with torch.no_grad():
        torch.testing.assert_close(model.found(x), model.found(x + 0.6), rtol=1e-4, atol=1e-6)


def test_the_loop_trains_it_and_it_learns_to_clean() -> None:
    """Over five seeds 51 to 59 % of the noise's error were left, and the level came out 1 to 9 % too high."""
    data = photographs(96)
    training = Training(fresh(lr=4e-3), Plan(epochs=40, batch_size=16, threads=1, previews=1))
    *_, before = [event for event in train(training, data) if isinstance(event, EpochEnded | Finished)]
    assert before == Finished("completed", before.seconds)
    model = training.model
    x = torch.from_numpy(data.test.images.copy()).float() / 255
    noise = 25 / 255 * torch.randn(x.shape, generator=seeded(5))
    with torch.no_grad():
        left = F.mse_loss(model.restore(x + noise), x) / noise.square().mean()
        levels = model.estimate(x + noise)
    assert left < 0.7
    assert 0.8 < float(levels.mean() / (25 / 255)) < 1.25


def test_previews_show_noisy_pictures_below_clean_ones() -> None:
    model, x = fresh(), torch.rand(3, *SHAPE, generator=seeded())
    with torch.no_grad():
        restored, noisy = model.preview(x, seeded())
    assert restored.shape == noisy.shape == x.shape
    assert restored.min() >= 0 and restored.max() <= 1 and not torch.equal(noisy, x)


@pytest.mark.parametrize("able", [True, False])
@torch.no_grad()
def test_half_precision_trains_alike_and_only_where_the_processor_can(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unet, "multiplies_halves", lambda device: able)
    x = torch.rand(8, *SHAPE, generator=seeded())
    model = fresh()
    exact = model.loss(x, Turn(seeded())).total.item()
    model.config = replace(model.config, half=True)
    halved = model.loss(x, Turn(seeded())).total.item()
    assert (halved != exact) == able
    assert halved == pytest.approx(exact, rel=0.02)


def test_a_split_without_labels_is_enough() -> None:
    data = photographs()
    bare = replace(
        data, **{name: Split(data.split(name).images, None) for name in ("train", "validation", "test")}
    )
    training = Training(fresh(), Plan(epochs=1, batch_size=16, threads=1))
    assert any(isinstance(event, EpochEnded) for event in train(training, bare))


def test_the_level_does_not_depend_on_how_large_the_picture_is() -> None:
    """Squares are judged alone, and the median speaks: repeating a picture changes nothing."""
    model, x = fresh(), torch.rand(1, 3, 32, 32, generator=seeded())
    with torch.no_grad():
        torch.testing.assert_close(model.found(x.tile(1, 1, 3, 5)), model.found(x))


def test_the_level_is_one_of_the_whole_picture() -> None:
    """Squares reach every edge, whatever the sides are."""
    picture = torch.arange(2 * 3 * 70 * 40).view(2, 3, 70, 40)
    squares = tessellated(picture, 32)
    assert squares.shape == (2, 6, 3, 32, 32)
    assert torch.equal(squares[1, 2], picture[1, :, 18:50, :32])
    assert set(squares.flatten().tolist()) == set(picture.flatten().tolist())
    assert torch.equal(tessellated(picture[..., :20], 32)[1, 2], picture[1, :, 38:, :20])


@torch.no_grad()
def test_drawn_squares_have_no_say_where_there_are_others() -> None:
    """Each picture of a batch for itself."""
    model = fresh()
    noisy, flat = torch.rand(1, 3, 32, 32, generator=seeded()), torch.full((1, 3, 32, 32), 0.7)
    partly, mostly = noisy.clone(), noisy.clone()
    partly[..., 12:] = mostly[..., 6:] = 0.7
    pictures = [(flat, noisy, flat, partly), (flat, flat, flat, flat), (flat, mostly, partly, mostly)]
    framed, empty, none_whole = model.found(torch.cat([torch.cat(picture, 3) for picture in pictures]))
    torch.testing.assert_close(framed, model.found(noisy)[0])
    torch.testing.assert_close(empty, model.found(flat)[0])
    torch.testing.assert_close(none_whole, model.found(partly)[0])
    assert len({float(one) for one in (framed, empty, none_whole)}) == 3


def test_drawn_is_what_lies_in_long_rows_of_one_colour() -> None:
    noisy = torch.rand(1, 3, 32, 40, generator=seeded())
    assert drawn(noisy[:, None]).tolist() == [[0.0]]
    assert drawn(torch.zeros(2, 4, 3, 32, 2)).tolist() == [[1.0] * 4] * 2
    for width, share in ((ROW - 1, 0), (ROW, 1), (ROW + 1, 2)):  # places where such a row begins
        one = noisy.clone()
        one[..., 5 : 5 + width] = 0.5
        assert float(drawn(one[:, None])) == pytest.approx(share / (40 - ROW + 1))
    only_red = noisy.clone()
    only_red[:, 0] = 0.5
    assert drawn(only_red[:, None]).tolist() == [[0.0]]


def test_it_learns_from_colours_only() -> None:
    with pytest.raises(ValueError, match="pictures with 3 colours, not 1"):
        PhotoDenoiser(PhotoDenoiser.Config(), (1, 28, 28))


@pytest.mark.parametrize("count", [1, 2, 3])
@torch.no_grad()
def test_looks_are_the_mean_over_quarter_turns(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = fresh(), torch.rand(2, 3, 30, 44, generator=seeded())
    wide, told = mirrored(x, model.net.multiple), torch.full((2,), 0.1)
    each = [
        model.clean(wide.rot90(turn, (2, 3)), told).rot90(-turn, (2, 3))[..., :30, :44]
        for turn in range(count)
    ]
    monkeypatch.setattr(unet, "multiplies_halves", lambda device: False)  # whose rounding this is not about
    monkeypatch.setattr(photo_denoiser, "looks", lambda device: count)
    torch.testing.assert_close(model.restore(x, 0.1), torch.stack(each).mean(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(model.restore(x, 0.1, most=1), each[0], atol=1e-5, rtol=0)
    if count > 1:
        assert not torch.allclose(model.restore(x, 0.1), each[0], atol=1e-4)


@pytest.mark.parametrize(("halves", "tiles", "count"), [(False, False, 1), (True, False, 2), (True, True, 3)])
def test_a_processor_looks_as_often_as_it_has_time_for(
    halves: bool, tiles: bool, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: halves)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    assert photo_denoiser.looks(torch.device("cpu")) == count
    assert photo_denoiser.looks(torch.device("cuda")) == 3


@pytest.mark.parametrize(("crop", "side"), [(65, 80), (50, 80), (64, 51)])
def test_crops_of_any_size_are_learnt_from_and_looked_at(crop: int, side: int) -> None:
    model = PhotoDenoiser(
        PhotoDenoiser.Config(widths=(6, 8, 8), blocks=(1, 1, 1), crop=crop), (3, side, side)
    )
    rng = torch.Generator().manual_seed(0)
    model.initialise(rng)
    x = torch.rand(2, 3, side, side, generator=rng)
    assert model.loss(x, Turn(rng)).total.isfinite()
    assert model.restore(x).shape == x.shape


@pytest.mark.parametrize(("midst", "share"), [(0.0, 20 / 55), (0.5, 0.5 + 10 / 55), (1.0, 1.0)])
def test_more_of_the_levels_may_lie_amid_the_others(midst: float, share: float) -> None:
    levels = 255 * fresh(midst=midst).levels(torch.zeros(20_000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert float(((levels >= 15) & (levels <= 35)).float().mean()) == pytest.approx(share, abs=0.02)
    assert levels.min() >= 0 and levels.max() <= 55
