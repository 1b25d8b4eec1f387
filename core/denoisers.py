"""Ways to clean a photograph, and what each is worth where the clean one is known.

PSNR    10 log10(255² / MSE) over all pixels and channels of 8-bit pictures
SSIM    Wang et al. 2004, 11x11 Gaussian window of width 1.5, where it fits whole, in the mean over channels
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from core import photos, robustness
from core.evaluation import decibels
from core.families.photo_denoiser import PhotoDenoiser
from core.family import Restorer

SMALLEST = 11  # pixels a side that the window of SSIM needs


class Denoiser(NamedTuple):
    """`clean` maps a noisy picture (C,H,W), float and perhaps beyond [0,1], and the deviation of its noise if known.

    A gray picture has one channel. Three equal ones would make it easy for whoever takes their noise for three draws, and hard
    for whoever takes the draws to be independent. What comes back may have three.
    """

    key: str
    title: str
    clean: Callable[[Tensor, float | None], Tensor]


@dataclass(frozen=True, eq=False)
class Result:
    """What a denoiser made of a picture."""

    key: str
    title: str
    pixels: np.ndarray  # uint8 (H,W,C)
    psnr: float  # dB
    ssim: float  # nan for pictures that are too small for it
    seconds: float


def classical() -> list[Denoiser]:
    """Doing nothing, filters that need no training, and BM3D where the package is installed."""
    found = [robustness.nothing(), robustness.median(), *robustness.classical()]
    several = [Denoiser(one.key, one.title, by(one)) for one in found]
    return [*several, Denoiser("bm3d", "BM3D", bm3d)] if find_spec("bm3d") else several


def by(method: robustness.Method) -> Callable[[Tensor, float | None], Tensor]:
    return lambda x, sigma: method.rebuild(x[None])[0][0]


def bm3d(x: Tensor, sigma: float | None) -> Tensor:
    """Dabov et al. 2007, by the package of its authors. It has to be told how strong the noise is, or gets an estimate."""
    from skimage.restoration import estimate_sigma

    pixels = x.permute(1, 2, 0).double().numpy()
    known = estimate_sigma(pixels, average_sigmas=True, channel_axis=2) if sigma is None else sigma
    package = import_module("bm3d")
    restore = package.bm3d if len(x) == 1 else package.bm3d_rgb
    back = np.asarray(restore(pixels, max(1e-6, known))).reshape(pixels.shape)
    return torch.from_numpy(back).permute(2, 0, 1)


def learnt(models: Mapping[str, Restorer], titles: Mapping[str, str]) -> list[Denoiser]:
    """Ours. They are never told how strong the noise is."""

    def cleaner(model: Restorer) -> Callable[[Tensor, float | None], Tensor]:
        def clean(x: Tensor, sigma: float | None) -> Tensor:
            return photos.finished(photos.tiled(model, tripled(x), None))

        return clean

    return [Denoiser(id, titles[id], cleaner(model)) for id, model in models.items()]


def automatic(models: Mapping[str, PhotoDenoiser]) -> Denoiser:
    """Where nobody chooses a model: the noise is looked at, and the model that suits it is told its level."""

    def clean(x: Tensor, sigma: float | None) -> Tensor:
        picture = tripled(x)
        id, noise = photos.fitting(models, picture)
        return photos.finished(photos.tiled(models[id], picture, noise.sigma))

    return Denoiser("auto", "Ours, automatic", clean)


def tripled(x: Tensor) -> Tensor:
    """(1|3,H,W) -> (3,H,W)"""
    return x.expand(3, -1, -1).contiguous()


def contest(
    clean: np.ndarray, noisy: Tensor, sigma: float | None, denoisers: list[Denoiser]
) -> Iterator[Result]:
    """Every denoiser on the same picture: clean is uint8 (H,W,C), noisy (C,H,W)."""
    for one in denoisers:
        started = time.perf_counter()
        back = one.clean(noisy, sigma)
        seconds = time.perf_counter() - started
        pixels = photos.as_pixels(back.float(), clean.shape[2])
        yield Result(one.key, one.title, pixels, decibels(pixels, clean), similarity(pixels, clean), seconds)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Of two uint8 pictures (H,W,C)."""
    from skimage.metrics import structural_similarity

    if min(a.shape[:2]) < SMALLEST:
        return float("nan")
    words: Any = dict(
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
    )
    return float(structural_similarity(a, b, **words))
