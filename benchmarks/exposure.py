"""A photograph taken once more, with noise: from light to JPEG, by steps of its own: models learn on those of `core.camera`.

    scene ──▶ light on a Bayer mosaic + n ──interpolated──▶ white balance ──▶ colours ──▶ tones ──▶ JPEG
    Var n = shot · light + read

Tones, and how read noise goes with shot noise: Brooks et al. 2019 (Unprocessing, arXiv:1811.11127), sec. 3. The scene is the
middle of the photograph at twice its size: pixel by pixel, pictures of cameras are smooth. Where real photographs are measured,
the truth is the mean of many JPEGs of one scene (Xu et al. 2018, arXiv:1804.02603): without noise, but without fine colour, too,
which every JPEG loses. Here it is one JPEG without noise, at quality 100.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core import damage
from core.camera import mosaicked
from core.evaluation import decibels
from core.photos import as_colour, as_pixels

INPUT = (34.0, 38.0)  # dB of what is given to a denoiser, drawn evenly; less where JPEG alone costs more
FULL = 100  # quality of a JPEG
COLOURS = torch.tensor([[1.66, -0.55, -0.11], [-0.21, 1.53, -0.32], [0.02, -0.58, 1.56]])  # of a usual camera
RED, BLUE = (1.9, 2.4), (1.5, 1.9)  # by which white balance amplifies them
GAMMA = 2.2
SMOOTHED, WIDTH = 0.5, 1.2  # how often a camera blurs colour against noise, and how far, in pixels
QUALITIES = (92, 99)
SHOTS, STEPS = (1e-6, 1e-1), 16  # between which the right amount is sought, and how often that is halved


def taken(pixels: np.ndarray, rng: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (H,W,C) -> the picture without noise, and a JPEG of it with noise: both uint8 (H,W,3)."""
    camera = Camera.drawn(rng)
    light = camera.light(as_colour(enlarged(pixels)))
    clean = kept(camera.developed(light), FULL, rng)
    normal = torch.randn(light.shape, generator=rng)
    (quality,) = torch.randint(*QUALITIES, (1,), generator=rng).tolist()
    wanted = between(*INPUT, rng)
    low, high = (torch.tensor(shot).log() for shot in SHOTS)
    for _ in range(STEPS):
        shot = ((low + high) / 2).exp()
        noisy = kept(camera.developed(light + normal * deviation(light, shot)), quality, rng)
        low, high = (shot.log(), high) if decibels(noisy, clean) > wanted else (low, shot.log())
    return clean, noisy


def kept(x: Tensor, quality: int, rng: torch.Generator) -> np.ndarray:
    """(3,H,W) as a JPEG holds it: uint8 (H,W,3)."""
    return as_pixels(damage.jpeg(x[None].clamp(0, 1), quality, rng)[0], 3)


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """The middle of the picture at twice its size: as large as it was."""
    height, width, _ = pixels.shape
    large = Image.fromarray(pixels.squeeze()).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    left, top = width // 2, height // 2
    middle = np.asarray(large.crop((left, top, left + width, top + height)))
    return middle.reshape(height, width, -1)


def deviation(light: Tensor, shot: Tensor) -> Tensor:
    """Of the noise at each place; Brooks et al. give the mean logarithm of read noise as a line over that of shot noise."""
    read = (2.18 * shot.log() + 1.2).exp()
    return (shot * light + read).sqrt()


def between(low: float, high: float, rng: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


@dataclass(frozen=True)
class Camera:
    """White balance (3,1,1), and whether it smooths colour."""

    balance: Tensor
    smooths: bool

    @classmethod
    def drawn(cls, rng: torch.Generator) -> Camera:
        balance = torch.tensor([between(*RED, rng), 1.0, between(*BLUE, rng)]).view(3, 1, 1)
        return cls(balance, between(0, 1, rng) < SMOOTHED)

    def light(self, x: Tensor) -> Tensor:
        """What fell on the sensor, in each colour everywhere: (3,H,W) in [0,1], as are the pixels x."""
        bent = 0.5 - ((1 - 2 * x).asin() / 3).sin()  # undoes 3 t^2 - 2 t^3
        return (mixed(COLOURS.inverse(), bent.clamp(0, 1) ** GAMMA) / self.balance).clamp(0, 1)

    def developed(self, light: Tensor) -> Tensor:
        """What the camera makes of it: (3,H,W), beyond [0,1] by a little where it smooths."""
        same = torch.Generator().manual_seed(0)  # one mosaic for all pictures
        colours = mixed(COLOURS, self.balance * mosaicked(light[None], same)[0])
        bent = colours.clamp(0, 1) ** (1 / GAMMA)
        x = 3 * bent**2 - 2 * bent**3
        gray = x.mean(0, keepdim=True)
        return gray + damage.gaussian_blur((x - gray)[None], WIDTH, same)[0] if self.smooths else x


def mixed(matrix: Tensor, x: Tensor) -> Tensor:
    """Every pixel's colours of x (3,H,W)."""
    return torch.einsum("ij,jhw->ihw", matrix, x)
