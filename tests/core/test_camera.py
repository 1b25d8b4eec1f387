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
    torch.testing.assert_close(camera.blurred(noise, seeded(3)), damage.gaussian_blur(noise, width, seeded()))


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
    assert exponents.min() < camera.EXPONENTS[0] + 0.02 and exponents.max() > camera.EXPONENTS[1] - 0.02
