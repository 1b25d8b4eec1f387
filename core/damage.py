"""What spoils a picture, as bare formulas: `core.corruption` names them, checks their amounts and clips.

Pictures x are (B,C,H,W) in [0,1]. After Hendrycks & Dietterich 2019 (arXiv:1903.12261), with masking from Vincent et al. 2010
(JMLR 11) and the geometric ones from Mu & Gilmer 2019 (MNIST-C, arXiv:1906.02337). Pictures stay floats in between, where the
published programs round to bytes; JPEG and pixelate are made of bytes and round.

Randomness is one generator for the batch, or one for each picture: then what happens to a picture does not depend on others.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from core.pictures import as_bytes, as_floats

Rng = torch.Generator | Sequence[torch.Generator]


def drawn(make: Callable[..., Tensor], shape: tuple[int, ...], rng: Rng, like: Tensor) -> Tensor:
    """`make` of this shape (B,…), drawn where the generators live, in float32: independent of where and how exact `like` is."""
    if isinstance(rng, torch.Generator):
        return make(shape, generator=rng, device=rng.device).to(like.device)
    each = [make(shape[1:], generator=one, device=one.device) for one in rng]
    return torch.stack(each).to(like.device) if each else torch.zeros(shape, device=like.device)


def signs(count: int, x: Tensor, rng: Rng) -> Tensor:
    """(B,count) of -1 and 1."""
    return (drawn(torch.rand, (len(x), count), rng, x) < 0.5).to(x) * 2 - 1


# --- noise ------------------------------------------------------------------------------------------------------


def gaussian(x: Tensor, sd: float, rng: Rng) -> Tensor:
    """x + sd·n, n ~ N(0, I)"""
    return x + sd * drawn(torch.randn, tuple(x.shape), rng, x).to(x)


def masking(x: Tensor, fraction: float, rng: Rng) -> Tensor:
    """x·m, m ~ Bernoulli(1 - fraction), one mask for all channels"""
    batch, _, height, width = x.shape
    return x.masked_fill(drawn(torch.rand, (batch, 1, height, width), rng, x) < fraction, 0.0)


def impulse(x: Tensor, share: float, rng: Rng) -> Tensor:
    """x, 0 or 1 with probabilities 1 - share, share/2, share/2, each channel on its own"""
    u = drawn(torch.rand, tuple(x.shape), rng, x)
    return x.masked_fill(u < share, 1.0).masked_fill(u < share / 2, 0.0)


def shot(x: Tensor, photons: float, rng: Rng) -> Tensor:
    """Poisson(c·x)/c, c photons at full intensity, so a smaller c is noisier"""
    expected = x.float() * photons
    if isinstance(rng, torch.Generator):
        counts = torch.poisson(expected.to(rng.device), generator=rng)
    else:
        each = [
            torch.poisson(one.to(own.device), generator=own) for one, own in zip(expected, rng, strict=True)
        ]
        counts = torch.stack(each) if each else expected
    return (counts / photons).to(x)


def speckle(x: Tensor, sd: float, rng: Rng) -> Tensor:
    """x + x·sd·n, n ~ N(0, I)"""
    return x + x * sd * drawn(torch.randn, tuple(x.shape), rng, x).to(x)


# --- blur -------------------------------------------------------------------------------------------------------


def gaussian_blur(x: Tensor, sigma: float, rng: Rng) -> Tensor:
    """A Gaussian of this width in pixels, cut off at 4 sigma; the edge goes on as it is"""
    return smoothing(x.shape[2], sigma).to(x) @ x @ smoothing(x.shape[3], sigma).to(x).T


def smoothing(size: int, sigma: float) -> Tensor:
    """The blur along one axis as a matrix (size,size)."""
    radius = int(4 * sigma + 0.5)
    steps = torch.arange(-radius, radius + 1)
    weights = (-0.5 * (steps / max(sigma, 1e-12)).double().square()).exp()
    places = (torch.arange(size)[:, None] + steps).clamp(0, size - 1)
    rows = torch.zeros(size, size, dtype=torch.double)
    return rows.scatter_add_(1, places, (weights / weights.sum()).expand(size, -1))


def defocus_blur(x: Tensor, amount: tuple[float, float], rng: Rng) -> Tensor:
    """A disk of this radius in pixels, itself smoothed by a Gaussian of the second number; the picture is mirrored at its edge"""
    kernel = disk(*amount).to(x)
    reach = kernel.shape[0] // 2
    rows, columns = (mirrored(size, reach) for size in x.shape[2:])
    wide = x[:, :, rows][..., columns].flatten(0, 1)[:, None]
    return F.conv2d(wide, kernel[None, None]).view_as(x)


def disk(radius: float, alias: float) -> Tensor:
    """Weights of a disk, 17x17 up to a radius of 8: smoothed by a 3x3 Gaussian of width `alias`, by 5x5 above it."""
    reach, half = (8, 1) if radius <= 8 else (int(radius), 2)
    steps = torch.arange(-reach, reach + 1)
    flat = (steps[:, None].square() + steps.square() <= radius**2).double()
    soft = (-0.5 * (torch.arange(-half, half + 1).double() / alias).square()).exp()
    kernel = torch.outer(soft, soft) / soft.sum().square()
    around = mirrored(len(steps), half)
    return F.conv2d((flat / flat.sum())[around][:, around][None, None], kernel[None, None])[0, 0]


def mirrored(size: int, by: int) -> Tensor:
    """Places from -by to size + by, mirrored at the outermost pixels, which are not repeated: (size + 2·by,)."""
    period = max(1, 2 * (size - 1))
    places = torch.arange(-by, size + by) % period
    return torch.where(places >= size, period - places, places).clamp(0, size - 1)


def motion_blur(x: Tensor, amount: tuple[float, float], rng: Rng) -> Tensor:
    """Half a Gaussian along a line at an angle from U(-45°, 45°): radius and sigma in pixels, 2·radius + 1 taps

    As ImageMagick does it: tap i lies at the pixel nearest to i·(cos, sin). The edge goes on as it is.
    """
    radius, sigma = amount
    taps = torch.arange(2 * math.ceil(radius) + 1)
    bell = (-0.5 * (taps / sigma).double().square()).exp()
    weights: list[float] = (bell / bell.sum()).tolist()
    angle = (drawn(torch.rand, (len(x), 1), rng, x).double() - 0.5) * math.pi / 2
    across, down = ((taps.to(x.device) * way - 0.5).ceil().long() for way in (angle.cos(), angle.sin()))
    height, width = x.shape[2:]
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    pictures = torch.arange(len(x), device=x.device)[:, None, None]
    result = torch.zeros_like(x)
    for tap, weight in enumerate(weights):
        y = (rows + down[:, tap, None]).clamp(0, height - 1)[:, :, None]
        z = (columns + across[:, tap, None]).clamp(0, width - 1)[:, None, :]
        result += weight * x[pictures, :, y, z].movedim(-1, 1)
    return result


def glass_blur(x: Tensor, amount: tuple[float, float, float], rng: Rng) -> Tensor:
    """Smoothed by sigma, pixels swapped with neighbours up to `delta` before them, that often, and smoothed again

    From the lower right on, each pixel changes place with one at offsets from -delta to delta - 1.
    """
    sigma, delta, rounds = amount[0], int(amount[1]), int(amount[2])
    height, width = x.shape[2:]
    smooth = gaussian_blur(x, sigma, rng)
    path = [(y, z) for y in range(height - delta, delta, -1) for z in range(width - delta, delta, -1)]
    shape = (len(x), rounds * len(path), 2)
    offsets = (drawn(torch.rand, shape, rng, x) * 2 * delta).long().clamp_max(2 * delta - 1) - delta
    places = [swapped(height, width, path, rounds, own) for own in offsets.tolist()]
    order = (
        torch.tensor(places, dtype=torch.long, device=x.device)
        .view(len(x), 1, height * width)
        .expand(-1, x.shape[1], -1)
    )
    return gaussian_blur(smooth.flatten(2).gather(2, order).view_as(x), sigma, rng)


def swapped(
    height: int, width: int, path: list[tuple[int, int]], rounds: int, offsets: list[list[int]]
) -> list[int]:
    """Where each pixel comes from after the swaps, row by row."""
    places = list(range(height * width))
    for (y, z), (across, down) in zip(path * rounds, offsets, strict=True):
        here, there = y * width + z, (y + down) * width + z + across
        places[here], places[there] = places[there], places[here]
    return places


# --- light and weather ------------------------------------------------------------------------------------------


def contrast(x: Tensor, factor: float, rng: Rng) -> Tensor:
    """(x - m)·factor + m, m the mean of a channel: a smaller factor is flatter"""
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * factor + mean


def brightness(x: Tensor, by: float, rng: Rng) -> Tensor:
    """The value of HSV raised by this much; hue and saturation stay"""
    value = x.amax(1, keepdim=True)
    raised = (value + by).clamp(0, 1)
    return torch.where(value > 0, x * raised / value.clamp_min(1e-12), raised)


def fog(x: Tensor, amount: tuple[float, float], rng: Rng) -> Tensor:
    """(x + a·cloud)·m/(m + a): thickness a, m the brightest value; the higher the second number, the smoother the cloud"""
    thickness, decay = amount
    height, width = x.shape[2:]
    cloud = plasma(len(x), max(height, width), decay, x, rng)[:, None, :height, :width].to(x)
    brightest = x.amax((1, 2, 3), keepdim=True)
    return (x + thickness * cloud) * brightest / (brightest + thickness).clamp_min(1e-12)


def plasma(count: int, side: int, decay: float, like: Tensor, rng: Rng) -> Tensor:
    """Clouds in [0,1] by the diamond-square algorithm (Fournier et al. 1982): (count,S,S), S the next power of two.

    A middle is the mean of its four neighbours on a torus, plus even noise whose height shrinks from one size to the next by
    `decay` squared: the published program multiplies its "wibble" into the noise twice (Hendrycks & Dietterich 2019).
    """
    size = max(2, 1 << (side - 1).bit_length())
    wobble = (drawn(torch.rand, (count, size, size), rng, like) * 2 - 1).double()
    cloud = torch.zeros(count, size, size, dtype=torch.double, device=like.device)
    step, height = size, 1.0
    while step >= 2:
        half = step // 2
        square = cloud[:, ::step, ::step]
        across = square + square.roll(-1, 2)
        noise = wobble[:, half::step, half::step]
        cloud[:, half::step, half::step] = (across + across.roll(-1, 1)) / 4 + height * noise
        middle = cloud[:, half::step, half::step]
        top = middle + middle.roll(1, 1) + across
        left = middle + middle.roll(1, 2) + square + square.roll(-1, 1)
        cloud[:, ::step, half::step] = top / 4 + height * wobble[:, ::step, half::step]
        cloud[:, half::step, ::step] = left / 4 + height * wobble[:, half::step, ::step]
        step, height = half, height / decay**2
    cloud -= cloud.amin((1, 2), keepdim=True)
    return cloud / cloud.amax((1, 2), keepdim=True).clamp_min(1e-12)


# --- files ------------------------------------------------------------------------------------------------------


def jpeg(x: Tensor, quality: float, rng: Rng) -> Tensor:
    """Saved and opened again with this quality, 1 to 95"""

    def saved(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=round(quality))
        return Image.open(file)

    return by_picture(x, saved)


def pixelate(x: Tensor, share: float, rng: Rng) -> Tensor:
    """Reduced to this share of its sides and enlarged again, both by a box"""

    def coarse(picture: Image.Image) -> Image.Image:
        small = [max(1, int(side * share)) for side in picture.size]
        return picture.resize((small[0], small[1]), Image.Resampling.BOX).resize(
            picture.size, Image.Resampling.BOX
        )

    return by_picture(x, coarse)


def by_picture(x: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Through bytes, one picture after the other."""
    result = np.empty(tuple(x.shape), np.uint8)
    for place, pixels in enumerate(as_bytes(x)):
        gray = len(pixels) == 1
        changed = np.asarray(change(Image.fromarray(pixels[0] if gray else pixels.transpose(1, 2, 0))))
        result[place] = changed[None] if gray else changed.transpose(2, 0, 1)
    return as_floats(result).to(x)


# --- geometry ---------------------------------------------------------------------------------------------------


def rotate(x: Tensor, angle: float, rng: Rng) -> Tensor:
    """About the centre by this many radians, to either side"""
    a = angle * signs(1, x.float(), rng)[:, 0]
    return warped(x, a.cos(), -a.sin(), a.sin(), a.cos())


def shear(x: Tensor, angle: float, rng: Rng) -> Tensor:
    """Each row moved by -sin(a) of its height, and heights by cos(a), to either side: radians, as MNIST-C was made"""
    a = angle * signs(1, x.float(), rng)[:, 0]
    one = torch.ones_like(a)
    return warped(x, one, -a.sin(), 0 * one, a.cos())


def scale(x: Tensor, share: float, rng: Rng) -> Tensor:
    """Shrunk about the centre to this share of its size"""
    one = torch.ones(len(x), device=x.device) / share
    return warped(x, one, 0 * one, 0 * one, one)


def translate(x: Tensor, pixels: float, rng: Rng) -> Tensor:
    """Moved by this many pixels across and as many up or down"""
    one = torch.ones(len(x), device=x.device)
    return warped(x, one, 0 * one, 0 * one, one, pixels * signs(2, x.float(), rng))


def warped(x: Tensor, xx: Tensor, xy: Tensor, yx: Tensor, yy: Tensor, shift: Tensor | None = None) -> Tensor:
    """The picture that has at p what x has at A·p + shift: p from the centre in pixels, black outside, linear in between.

    A is ((xx, xy), (yx, yy)), each (B,); shift is (B,2), across and down.
    """
    height, width = x.shape[2:]
    pixels = x if x.dtype == torch.double else x.float()  # places need all the digits there are
    shift = pixels.new_zeros(len(x), 2) if shift is None else shift.to(pixels)
    down = (torch.arange(height).to(pixels) - (height - 1) / 2)[:, None]
    across = torch.arange(width).to(pixels) - (width - 1) / 2
    a, b, c, d = (one.to(pixels)[:, None, None] for one in (xx, xy, yx, yy))
    from_x = a * across + b * down + shift[:, :1, None]
    from_y = c * across + d * down + shift[:, 1:, None]
    grid = torch.stack([2 * from_x / width, 2 * from_y / height], -1)
    return F.grid_sample(pixels, grid, align_corners=False).to(x)
