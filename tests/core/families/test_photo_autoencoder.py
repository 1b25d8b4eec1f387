from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.crops import FLOOR, cropped
from core.families import RESTORERS, family
from core.families.photo_autoencoder import (
    LARGEST,
    MOST,
    STRIDE,
    PhotoAutoencoder,
    cosines,
    entropy,
    magnitude,
    rounded,
)
from core.family import Turn
from core.training import EpochEnded, Finished, Plan, Training, train
from tests import toy

SMALL = dict(rates=(2, 4, 12), width=12, fine=8, blocks=(1, 1), crop=32)
SHAPE = (3, 48, 48)
SIZES = [(1, 1), (1, 9), (7, 2), (8, 8), (33, 50)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fresh(**changes: object) -> PhotoAutoencoder:
    model = PhotoAutoencoder(PhotoAutoencoder.Config(**{**SMALL, **changes}), SHAPE)
    model.initialise(seeded())
    return model


def drawn(*size: int, count: int = 2, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, *size, generator=seeded(seed))


def test_it_is_known_by_its_key() -> None:
    assert PhotoAutoencoder in RESTORERS and family("photo_autoencoder") is PhotoAutoencoder


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_comes_back_as_large(size: tuple[int, int]) -> None:
    model, x = fresh(), drawn(*size)
    for k in model.config.rates:
        code = model.encode(x, k)
        assert code.dtype == torch.int8
        assert code.shape == (2, k, math.ceil(size[0] / STRIDE), math.ceil(size[1] / STRIDE))
        assert model.decode(code, *size).shape == x.shape
    back = model.reconstruct(x)
    assert back.shape == x.shape and back.isfinite().all() and back.min() >= 0 and back.max() <= 1


@pytest.mark.parametrize("blocks", [(1, 1), (2, 1), (1, 3)], ids=str)
def test_both_nets_see_exactly_as_far_as_they_say(blocks: tuple[int, int]) -> None:
    model = fresh(blocks=blocks)
    side, middle = 2 * model.reach + 5, model.reach + 2
    x = drawn(side * STRIDE, STRIDE, count=1).requires_grad_()
    (seen,) = torch.autograd.grad(model.codes(x)[0, :, middle].sum(), x)
    y = torch.randn(1, 12, side, 1, generator=seeded()).requires_grad_()
    (told,) = torch.autograd.grad(
        model.pictures(y)[0, :, STRIDE * middle : STRIDE * (middle + 1)].square().sum(), y
    )
    for gradient in (seen.unfold(2, STRIDE, STRIDE), told):
        places = torch.where(gradient.abs().transpose(0, 2).flatten(1).sum(1) > 0)[0]
        assert places.min() == middle - model.reach and places.max() == middle + model.reach


def test_restoring_is_the_widest_bottleneck() -> None:
    model, x = fresh(), drawn(33, 50)
    assert torch.equal(model.restore(x, 0.1), model.decode(model.encode(x, 12), 33, 50))


def test_a_smaller_code_is_the_beginning_of_the_same_channels() -> None:
    """Up to the steps of quantisation, which each size has for itself."""
    model, x = fresh(), drawn(32, 40)
    with torch.no_grad():
        model.gains.copy_(model.gains[:1].expand(3, -1))
    assert torch.equal(model.encode(x, 4), model.encode(x, 12)[:, :4])


def test_symbols_never_leave_their_range() -> None:
    model = fresh()
    with torch.no_grad():
        model.gains.fill_(20.0)
    code = model.encode(drawn(32, 32), 4)
    assert code.min() == -LARGEST and code.max() == LARGEST


def test_what_does_not_fit_is_refused_in_words() -> None:
    model, x = fresh(), drawn(16, 16)
    with pytest.raises(ValueError, match="has 2, 4, 12 numbers, not 3"):
        model.encode(x, 3)
    with pytest.raises(ValueError, match="has 2, 4, 12 numbers, not 5"):
        model.decode(torch.zeros(1, 5, 2, 2, dtype=torch.int8), 16, 16)
    with pytest.raises(ValueError, match="not that of 17 × 16 pixels"):
        model.decode(torch.zeros(1, 4, 2, 2, dtype=torch.int8), 16, 17)
    with pytest.raises(ValueError, match="3 colours, not 1"):
        PhotoAutoencoder(model.config, (1, 48, 48))


@pytest.mark.parametrize("rates", [(), (4, 2), (2, 2), (2, MOST + 1)], ids=str)
def test_rates_rise(rates: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"rates takes numbers up to {MOST}, rising"):
        fresh(rates=rates)


def test_there_are_blocks_at_two_resolutions() -> None:
    with pytest.raises(ValueError, match="blocks takes two numbers"):
        fresh(blocks=(1, 1, 1))


# --- objective --------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_loss_is_the_log_of_the_error_and_the_entropy() -> None:
    """Against sums in float64, number by number."""
    model, x = fresh(rate=0.7), drawn(*SHAPE[1:], count=5, seed=1)
    model.gains.add_(torch.randn(model.gains.shape, generator=seeded(4)))
    minimise, watch = model.loss(x, Turn(seeded(2)))
    rng = seeded(2)
    clean = cropped(x, 32, rng)
    which = torch.randint(3, (5,), generator=rng).tolist()
    assert len(set(which)) > 1
    logs, costs, pixels = [], [], []
    for picture, one in zip(clean, which, strict=True):
        k = (2, 4, 12)[one]
        gain = model.gains[one].double().exp()[:, None, None]
        y = (model.codes(picture[None])[0].double() * gain)[:k].numpy()
        whole = np.zeros((12, *y.shape[1:]))
        whole[:k] = np.round(y)
        back = model.pictures((torch.from_numpy(whole) / gain)[None].float())[0]
        logs.append(math.log(float((back - picture).double().square().mean()) + FLOOR))
        bits = 0.0
        for plane in y:
            change = [
                plane[r, c] - (plane[r - 1, c] + plane[r, c - 1]) / 2
                for r in range(1, plane.shape[0])
                for c in range(1, plane.shape[1])
            ]
            bits += slow_entropy(min(np.abs(plane).mean(), np.abs(change).mean()))
        costs.append(0.7 * bits / k)
        pixels.append(bits / STRIDE**2)
    assert float(minimise["log_error"]) == pytest.approx(np.mean(logs), rel=1e-4)
    assert float(minimise["bits"]) == pytest.approx(np.mean(costs), rel=1e-2)  # it has a least magnitude
    assert float(watch["bits_per_pixel"]) == pytest.approx(np.mean(pixels), rel=1e-2)


def slow_entropy(m: float) -> float:
    """Of the two-sided geometric distribution whose mean magnitude is m, term by term."""
    fall = m / (1 + math.sqrt(1 + m * m))
    share = (1 - fall) / (1 + fall) * fall ** np.abs(np.arange(-5_000, 5_001, dtype=np.float64))
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


@pytest.mark.parametrize("m", [0.01, 0.3, 1.0, 7.0, 60.0])
def test_the_entropy_is_the_largest_of_all_with_that_magnitude(m: float) -> None:
    most = float(entropy(torch.tensor(m, dtype=torch.double)))
    assert most == pytest.approx(slow_entropy(m + 1e-3), rel=1e-6)
    draw = np.random.default_rng(0)
    values = np.arange(-300, 301)
    for _ in range(50):
        share = draw.dirichlet(np.full(601, 0.1)) * np.exp(-np.abs(values) / draw.uniform(0.05, 2) / m)
        share /= share.sum()
        mean = float((share * np.abs(values)).sum())
        some = share[share > 0]
        assert -(some * np.log2(some)).sum() <= float(entropy(torch.tensor(mean, dtype=torch.double))) + 1e-9


def test_smooth_channels_cost_what_their_differences_cost() -> None:
    ramp = torch.arange(6.0).expand(6, 6) + 40
    noise = torch.randn(6, 6, generator=seeded())
    found = magnitude(torch.stack([ramp, noise])[None])
    assert found[0, 0] == 0.5 and found[0, 1] == noise.abs().mean()
    assert magnitude(torch.full((1, 1, 1, 4), -3.0)).item() == 3.0


def test_rounding_lets_gradients_pass_up_to_the_largest_symbol() -> None:
    y = torch.tensor([-500.0, -1.6, 0.4, 126.7, 200.0], requires_grad=True)
    symbols = rounded(y)
    assert symbols.tolist() == [-127, -2, 0, 127, 127]
    (gradient,) = torch.autograd.grad(symbols.sum(), y)
    assert gradient.tolist() == [0, 1, 1, 1, 0]


def test_it_begins_as_the_transform_of_jpeg() -> None:
    forward, back = cosines(MOST)
    torch.testing.assert_close(back @ forward, torch.eye(MOST), rtol=0, atol=1e-4)
    flat = F.pixel_unshuffle(torch.full((1, 3, 8, 8), 0.5), 8).flatten()
    assert (forward[0] @ flat).item() == pytest.approx(0.5 * 8, rel=1e-5)  # first the light, …
    assert (forward[1:] @ flat).abs().max() < 1e-3  # … and nothing else sees gray
    red = F.pixel_unshuffle(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(-1, -1, 8, 8), 8).flatten()
    assert (forward @ red).abs().topk(3).indices.sort().values.tolist() == [0, 1, 2]


# --- learning ---------------------------------------------------------------------------------------------------


def test_more_numbers_never_come_back_worse_and_learning_helps() -> None:
    """Over three seeds 0.4 to 10 % of the first error were left, and each wider bottleneck had half the error or less."""
    data = toy.dataset(SHAPE, train=96, held_out=12)
    x = torch.from_numpy(data.test.images.copy()).float() / 255

    def errors(model: PhotoAutoencoder) -> list[float]:
        return [float(F.mse_loss(model.through(x, k), x)) for k in model.config.rates]

    before = errors(fresh())
    training = Training(fresh(lr=3e-3, rate=0.1), Plan(epochs=12, batch_size=16, threads=1, previews=1))
    *_, ended = [event for event in train(training, data) if isinstance(event, EpochEnded | Finished)]
    assert isinstance(ended, Finished) and ended.reason == "completed"
    after = errors(training.model)
    assert after == sorted(after, reverse=True)
    assert all(a < 0.3 * b for a, b in zip(after, before, strict=True))


def test_what_bits_cost_makes_codes_smaller() -> None:
    """Over three seeds they had 43 to 54 % of the bits."""
    data = toy.dataset(SHAPE, train=96, held_out=12)

    def bits(rate: float) -> float:
        training = Training(fresh(lr=3e-3, rate=rate), Plan(epochs=12, batch_size=16, threads=1, previews=0))
        *_, ended, _ = train(training, data)
        return ended.validation["bits_per_pixel"]

    assert bits(5.0) < 0.7 * bits(0.0)


def test_previews_show_the_widest_and_the_narrowest_bottleneck() -> None:
    model, x = fresh(), drawn(48, 48, count=3)
    wide, narrow = model.preview(x, seeded())
    assert torch.equal(wide, model.reconstruct(x))
    assert torch.equal(narrow, model.through(x, 2).clamp(0, 1))


def test_the_standard_model_stays_small() -> None:
    model = PhotoAutoencoder(PhotoAutoencoder.Config(), (3, 160, 160))
    assert 2 * sum(weights.numel() for weights in model.state_dict().values()) < 10e6
