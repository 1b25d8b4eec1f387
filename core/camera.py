"""Noise as photographs have it, made from clean ones: what a denoiser for real pictures learns on.

    white noise, its spread following the light ──on a Bayer mosaic──▶ interpolated ──blurred──▶ coloured ──▶ added ──▶ JPEG

The steps of a camera after Foi et al. 2008 (Poisson-Gaussian noise) and Guo et al. 2019 (CBDNet, arXiv:1807.04686: mosaic and
JPEG); that noise differs from channel to channel, Xu et al. 2017 (MCWNNM, arXiv:1705.09912) showed to matter. Only the noise goes
through mosaic and blur, never the picture: a net is to remove noise, not to sharpen. Pixel by pixel, though, what a camera takes
is smoother than the photographs at hand, which were made smaller: some of them are enlarged first.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from core import damage

LEVELS = (0.6, 30.0)  # of 255; the root mean square of the noise, drawn evenly in its logarithm
EXPONENTS = (-0.4, 0.7)  # spread ~ (light + DARK)^exponent: tone curves bend it both ways
DARK = 0.05
MOSAIC, BLUR, JPEG = 0.75, 0.6, 0.8  # how often each happens
BLURS = (0.3, 1.3)  # pixels
BALANCE = 0.35  # standard deviation of the logarithm: white balance makes channels unequally noisy
COLOUR = (0.3, 1.3)  # of its colour stays: cameras smooth it away, or bring it out by a matrix of colours
SMOOTHED, WIDTHS = 0.5, (0.5, 2.0)  # how often they smooth colour alone, and how far, in pixels
ENLARGED = 0.4  # of the pictures, to twice their size
QUALITIES = (60, 99)  # of a JPEG, from the first to below the last
GREEN = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]]) / 4
OTHER = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 4


def enlarged(x: Tensor, rng: torch.Generator) -> Tensor:
    """(B,3,H,W) in [0,1]; a share ENLARGED of the pictures becomes its central half, enlarged twofold (bicubic)."""
    height, width = x.shape[2:]
    top, left = height // 4, width // 4
    inner = x[:, :, top : height - top, left : width - left]
    large = F.interpolate(inner, size=(height, width), mode="bicubic").clamp(0, 1)
    return torch.where(chance(x, ENLARGED, rng), large, x)


def photographed(x: Tensor, rng: torch.Generator) -> Tensor:
    """(B,3,H,W) in [0,1] -> the same with the noise of a camera, of another strength and kind for each.

    Where the mosaic begins and how far noise is blurred, all of one call share.
    """
    noise = gain(x, rng) * torch.randn(x.shape, generator=rng, device=x.device)
    noise = torch.where(chance(x, MOSAIC, rng), mosaicked(noise, rng), noise)
    noise = torch.where(chance(x, BLUR, rng), blurred(noise, BLURS, rng), noise)
    noise = coloured(noise, rng)
    weakest, strongest = (math.log(level / 255) for level in LEVELS)
    level = between(weakest, strongest, x, rng).exp()
    noise = torch.where(is_gray(x), noise[:, 1:2], noise)
    noisy = x + noise * level / noise.square().mean((1, 2, 3), keepdim=True).sqrt()
    return saved(noisy, rng)


def between(low: float, high: float, x: Tensor, rng: torch.Generator) -> Tensor:
    """A number for each picture: (B,1,1,1)."""
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=rng, device=x.device)


def chance(x: Tensor, probability: float, rng: torch.Generator) -> Tensor:
    """Which pictures it befalls: (B,1,1,1)."""
    return between(0, 1, x, rng) < probability


def is_gray(x: Tensor) -> Tensor:
    """(B,1,1,1)"""
    return (x.amax(1) == x.amin(1)).flatten(1).all(1).view(-1, 1, 1, 1)


def gain(x: Tensor, rng: torch.Generator) -> Tensor:
    """How the spread of the noise follows the light: (B,3,H,W)."""
    return (x + DARK) ** between(*EXPONENTS, x, rng)


def mosaicked(noise: Tensor, rng: torch.Generator) -> Tensor:
    """Measured through a Bayer filter, one colour at a pixel, and interpolated linearly: it hangs together afterwards."""
    *_, height, width = noise.shape
    down, right = (int(n) for n in torch.randint(2, (2,), generator=rng, device=noise.device))
    row = (torch.arange(height, device=noise.device) + down)[:, None] % 2
    column = (torch.arange(width, device=noise.device) + right) % 2
    red, blue = (row == 0) & (column == 0), (row == 1) & (column == 1)
    seen = noise * torch.stack([red, ~(red | blue), blue])
    kernels = torch.stack([OTHER, GREEN, OTHER])[:, None].to(noise)
    return F.conv2d(F.pad(seen, (1, 1, 1, 1), mode="reflect"), kernels, groups=3)


def blurred(noise: Tensor, widths: tuple[float, float], rng: torch.Generator) -> Tensor:
    low, high = widths
    width = low + (high - low) * float(torch.rand((), generator=rng, device=noise.device))
    return damage.gaussian_blur(noise, width, rng)


def coloured(noise: Tensor, rng: torch.Generator) -> Tensor:
    """White balance scales each channel; then what differs from the mean of the channels is scaled as well, or smoothed, too."""
    strength = torch.randn(len(noise), 3, 1, 1, generator=rng, device=noise.device).mul(BALANCE).exp()
    gray = (strength * noise).mean(1, keepdim=True)
    colour = between(*COLOUR, noise, rng) * (strength * noise - gray)
    return gray + torch.where(chance(noise, SMOOTHED, rng), blurred(colour, WIDTHS, rng), colour)


def saved(x: Tensor, rng: torch.Generator) -> Tensor:
    """As 8 bits, most of them through JPEG of some quality."""
    files = chance(x, JPEG, rng).flatten().tolist()
    qualities = torch.randint(*QUALITIES, (len(x),), generator=rng, device=x.device).tolist()
    rounded = (x.clamp(0, 1) * 255).round() / 255
    kept = [
        damage.jpeg(one[None], quality, rng)[0] if file else one
        for one, quality, file in zip(rounded, qualities, files, strict=True)
    ]
    return torch.stack(kept)
