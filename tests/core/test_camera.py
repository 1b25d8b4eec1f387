from __future__ import annotations

import pytest
import torch

from core import camera, damage


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlation(noise: torch.Tensor) -> float:
    """Of neighbours in a row."""
    a, b = noise[..., 1:], noise[..., :-1]
    return float((a * b).mean() / noise.square().mean())


@torch.no_grad()
def test_noise_has_the_strengths_of_cameras_and_stays_a_picture() -> None:
    x = 0.25 + 0.5 * torch.rand(64, 3, 48, 48, generator=seeded(1))
    noisy = camera.photographed(x, seeded())
    assert noisy.shape == x.shape and noisy.min() >= 0 and noisy.max() <= 1
    torch.testing.assert_close(noisy * 255, (noisy * 255).round(), atol=1e-3, rtol=0)
    assert not torch.equal(noisy, camera.photographed(x, seeded(9)))
    assert torch.equal(noisy, camera.photographed(x, seeded()))


@torch.no_grad()
def test_levels_are_spread_over_the_whole_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "JPEG", 0.0)
    x = torch.full((200, 3, 32, 32), 0.5) + torch.tensor([0.0, 0.01, 0.02]).view(1, 3, 1, 1)
    level = 255 * (camera.photographed(x, seeded()) - x).square().mean((1, 2, 3)).sqrt()
    low, high = camera.LEVELS
    assert 0.9 * low < level.min() < 2 * low and 0.8 * high < level.max() < 1.05 * high


@torch.no_grad()
def test_a_mosaic_keeps_what_is_measured_and_spreads_it() -> None:
    """Where a colour is measured its value stays; between two, it is their mean."""
    white = torch.randn(2, 3, 16, 16, generator=seeded())
    found = camera.mosaicked(white, seeded(2))
    inner = found[:, :, 2:-2, 2:-2]
    kept = (inner - white[:, :, 2:-2, 2:-2]).abs() < 1e-6
    assert kept[:, 1].float().mean() == 0.5 and kept[:, 0].float().mean() == kept[:, 2].float().mean() == 0.25
    large = torch.randn(1, 3, 256, 256, generator=seeded(1))
    assert correlation(camera.mosaicked(large, seeded())) > 0.3 > abs(correlation(large))


@torch.no_grad()
def test_blur_is_that_of_the_corruptions() -> None:
    noise = torch.randn(1, 3, 32, 32, generator=seeded())
    width = camera.BLURS[0] + (camera.BLURS[1] - camera.BLURS[0]) * float(torch.rand((), generator=seeded(3)))
    found = camera.blurred(noise, camera.BLURS, seeded(3))
    torch.testing.assert_close(found, damage.gaussian_blur(noise, width, seeded()))


@torch.no_grad()
def test_channels_are_as_unequal_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "COLOUR", (1.0, 1.0))
    monkeypatch.setattr(camera, "SMOOTHED", 0.0)
    noise = torch.randn(400, 3, 16, 16, generator=seeded())
    found = camera.coloured(noise, seeded(1))
    strength = (found * noise).sum((2, 3)) / noise.square().sum((2, 3))
    torch.testing.assert_close(found, strength[..., None, None] * noise)
    logarithm = strength.log()
    assert abs(float(logarithm.mean())) < 0.03
    assert float(logarithm.std()) == pytest.approx(camera.BALANCE, abs=0.02)


@torch.no_grad()
def test_more_or_less_of_the_colour_of_noise_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "BALANCE", 0.0)
    monkeypatch.setattr(camera, "SMOOTHED", 0.0)
    noise = torch.randn(400, 3, 8, 8, generator=seeded())
    found, gray = camera.coloured(noise, seeded(1)), noise.mean(1, keepdim=True)
    torch.testing.assert_close(found.mean(1, keepdim=True), gray)
    share = ((found - gray) * (noise - gray)).sum((1, 2, 3)) / (noise - gray).square().sum((1, 2, 3))
    torch.testing.assert_close(found - gray, share.view(-1, 1, 1, 1) * (noise - gray))
    low, high = camera.COLOUR
    assert low <= share.min() < low + 0.02 and high - 0.02 < share.max() <= high


@torch.no_grad()
def test_colour_alone_is_smoothed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "BALANCE", 0.0)
    monkeypatch.setattr(camera, "COLOUR", (1.0, 1.0))
    noise = torch.randn(400, 3, 32, 32, generator=seeded())
    found, gray = camera.coloured(noise, seeded(1)), noise.mean(1, keepdim=True)
    torch.testing.assert_close(found.mean(1, keepdim=True), gray)
    smooth = [correlation(one) > 0.3 for one in found - gray]
    assert sum(smooth) / len(smooth) == pytest.approx(camera.SMOOTHED, abs=0.08)
    assert not any(correlation(one) > 0.3 for one in noise - gray)


@torch.no_grad()
@pytest.mark.parametrize("sides", [(32, 48), (33, 50), (1, 2)])
def test_some_pictures_are_enlarged_and_keep_their_size(sides: tuple[int, int]) -> None:
    x = torch.rand(400, 3, *sides, generator=seeded())
    found = camera.enlarged(x, seeded(1))
    assert found.shape == x.shape and found.min() >= 0 and found.max() <= 1
    changed = torch.tensor([not torch.equal(a, b) for a, b in zip(found, x, strict=True)])
    if min(sides) > 3:
        assert float(changed.float().mean()) == pytest.approx(camera.ENLARGED, abs=0.08)


@torch.no_grad()
def test_enlarged_is_twice_the_size() -> None:
    ramp = torch.linspace(0.2, 0.8, 32).expand(200, 3, 32, 32)
    steps = camera.enlarged(ramp, seeded(1))[:, 0, 16, 8:24].diff(dim=1).mean(1)
    whole = 0.6 / 31
    assert torch.all((steps - whole).abs().minimum((steps - whole / 2).abs()) < 0.05 * whole)


@torch.no_grad()
def test_gray_pictures_get_gray_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera, "JPEG", 0.0)
    x = torch.rand(4, 1, 24, 24, generator=seeded()).expand(-1, 3, -1, -1)
    noisy = camera.photographed(x, seeded())
    assert torch.equal(noisy[:, 0], noisy[:, 1]) and torch.equal(noisy[:, 0], noisy[:, 2])


@torch.no_grad()
def test_the_spread_follows_the_light_as_its_exponent_says() -> None:
    x = torch.tensor([0.05, 0.9]).view(1, 1, 1, 2).expand(400, 3, 1, 2)
    ratio = (camera.gain(x, seeded())[:, 0, 0, 1] / camera.gain(x, seeded())[:, 0, 0, 0]).log()
    step = torch.tensor((0.9 + camera.DARK) / (0.05 + camera.DARK)).log()
    exponents = ratio / step
    low, high = camera.EXPONENTS
    assert low - 1e-3 < exponents.min() < low + 0.02 and high - 0.02 < exponents.max() < high + 1e-3


@torch.no_grad()
def test_every_step_has_its_part_in_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other taken away: the mosaic and the blur that make noise hang together, light, colour and the file."""
    x = torch.linspace(0.1, 0.9, 32).expand(100, 3, 32, 32) + torch.tensor([0.0, 0.01, 0.02]).view(3, 1, 1)
    monkeypatch.setattr(camera, "LEVELS", (20.0, 20.1))

    def noise(**settings: object) -> torch.Tensor:
        with monkeypatch.context() as now:
            for name, value in settings.items():
                now.setattr(camera, name, value)
            return camera.photographed(x, seeded()) - x

    white = dict(
        MOSAIC=0.0, BLUR=0.0, SMOOTHED=0.0, JPEG=0.0, EXPONENTS=(0.0, 0.0), BALANCE=0.0, COLOUR=(1.0, 1.0)
    )

    def hangs_together(found: torch.Tensor) -> float:
        return sum(correlation(one) > 0.2 for one in found) / len(found)

    assert hangs_together(noise(**white)) == 0
    assert (
        hangs_together(noise(**white | {"MOSAIC": 1.0}))
        == hangs_together(noise(**white | {"BLUR": 1.0}))
        == 1
    )
    together = 1 - (1 - camera.MOSAIC) * (1 - camera.BLUR)
    both = white | {"MOSAIC": camera.MOSAIC, "BLUR": camera.BLUR}
    assert hangs_together(noise(**both)) == pytest.approx(together, abs=0.1)
    dark, light = (
        noise(**white | {"EXPONENTS": (0.7, 0.7)})[..., part].std() for part in (slice(8), slice(24, 32))
    )
    assert light > 2 * dark
    for setting in ({"BALANCE": 0.5}, {"COLOUR": (0.3, 0.3)}, {"SMOOTHED": 1.0}, {"JPEG": 1.0}):
        assert not torch.equal(noise(**white | setting), noise(**white))
    assert noise(**white | {"COLOUR": (0.0, 0.0)}).std(1).mean() < 0.2 * noise(**white).std(1).mean()
