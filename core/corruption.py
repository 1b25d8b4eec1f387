"""Ways to spoil a picture, and how badly: the one source of damage for the denoising family and the pages.

Each has an amount in its published unit, and five levels on a published scale: that of ImageNet-C or of CIFAR-10-C (Hendrycks &
Dietterich 2019, arXiv:1903.12261), of MNIST-C (Mu & Gilmer 2019, arXiv:1906.02337), or one of our own. The formulas are in
`core.damage`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from core import damage
from core.damage import Rng
from core.family import Shape

Amount = float | tuple[float, ...]

IMAGENET, CIFAR, MNIST, OURS = "ImageNet-C", "CIFAR-10-C", "MNIST-C", "ours"
LEVELS = (1, 2, 3, 4, 5)
SMALL = 28  # pixels a side; below, the gentler scale of CIFAR-10-C fits


@dataclass(frozen=True)
class Corruption:
    """One corruption: what it is called, the unit and range of its amount, its formula, and its levels by scale.

    Some take several numbers; `low`, `high` and `default` then have one for each. `apply` is the bare formula: it neither
    checks the amount nor clips. Call `corrupt` instead.
    """

    name: str
    title: str
    kind: str  # noise, blur, light, file or geometry
    unit: str
    low: Amount
    high: Amount
    default: Amount
    apply: Callable[[Tensor, Amount, Rng], Tensor]
    levels: Mapping[str, tuple[Amount, ...]]

    @property
    def random(self) -> bool:
        """Whether another generator spoils otherwise."""
        return self.name not in CERTAIN

    @property
    def span(self) -> tuple[float, float, float]:
        """Default, lowest and highest amount, of one that takes a single number."""
        default, low, high = self.default, self.low, self.high
        assert isinstance(default, float) and isinstance(low, float) and isinstance(high, float)
        return default, low, high


SCALES = {"imagenet": IMAGENET, "cifar": CIFAR, "mnist": MNIST, "ours": OURS}


def _of(
    kind: str,
    name: str,
    title: str,
    unit: str,
    span: tuple[Amount, Amount, Amount],
    **levels: tuple[Amount, ...],
) -> Corruption:
    """`span` is lowest, highest and default; levels by the keys of `SCALES`."""
    by_scale = {SCALES[key]: amounts for key, amounts in levels.items()}
    return Corruption(name, title, kind, unit, *span, getattr(damage, name), by_scale)


CORRUPTIONS: tuple[Corruption, ...] = (
    _of("noise", "gaussian", "Gaussian noise", "standard deviation", (0.0, 1.0, 0.3),
        imagenet=(0.08, 0.12, 0.18, 0.26, 0.38), cifar=(0.04, 0.06, 0.08, 0.09, 0.10)),
    _of("noise", "masking", "Masked pixels", "fraction of pixels set to 0", (0.0, 1.0, 0.25),
        ours=(0.1, 0.25, 0.4, 0.55, 0.7)),
    _of("noise", "impulse", "Salt and pepper", "share of values replaced", (0.0, 1.0, 0.1),
        imagenet=(0.03, 0.06, 0.09, 0.17, 0.27), cifar=(0.01, 0.02, 0.03, 0.05, 0.07)),
    _of("noise", "shot", "Shot noise", "photons at full intensity", (1.0, 1000.0, 12.0),
        imagenet=(60.0, 25.0, 12.0, 5.0, 3.0), cifar=(500.0, 250.0, 100.0, 75.0, 50.0)),
    _of("noise", "speckle", "Speckle", "standard deviation of the factor", (0.0, 1.0, 0.35),
        imagenet=(0.15, 0.2, 0.35, 0.45, 0.6), cifar=(0.06, 0.1, 0.12, 0.16, 0.2)),
    _of("blur", "gaussian_blur", "Gaussian blur", "sigma in pixels", (0.0, 20.0, 2.0),
        imagenet=(1.0, 2.0, 3.0, 4.0, 6.0), cifar=(0.4, 0.6, 0.7, 0.8, 1.0)),
    _of("blur", "defocus_blur", "Defocus", "radius in pixels, smoothing of the disk", ((0.0, 0.05), (30.0, 5.0), (4.0, 0.5)),
        imagenet=((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
        cifar=((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1))),
    _of("blur", "motion_blur", "Motion", "radius and sigma in pixels", ((0.0, 0.05), (50.0, 50.0), (15.0, 5.0)),
        imagenet=((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
        cifar=((6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5))),
    _of("blur", "glass_blur", "Frosted glass", "sigma and reach in pixels, rounds",
        ((0.0, 1.0, 0.0), (10.0, 10.0, 10.0), (0.9, 2.0, 1.0)),
        imagenet=((0.7, 1.0, 2.0), (0.9, 2.0, 1.0), (1.0, 2.0, 3.0), (1.1, 3.0, 2.0), (1.5, 4.0, 2.0)),
        cifar=((0.05, 1.0, 1.0), (0.25, 1.0, 1.0), (0.4, 1.0, 1.0), (0.25, 1.0, 2.0), (0.4, 1.0, 2.0))),
    _of("light", "contrast", "Low contrast", "factor on the distance from the mean", (0.0, 1.0, 0.3),
        imagenet=(0.4, 0.3, 0.2, 0.1, 0.05), cifar=(0.75, 0.5, 0.4, 0.3, 0.15)),
    _of("light", "brightness", "Brightness", "added to the value", (0.0, 1.0, 0.3),
        imagenet=(0.1, 0.2, 0.3, 0.4, 0.5), cifar=(0.05, 0.1, 0.15, 0.2, 0.3)),
    _of("light", "fog", "Fog", "thickness, decay of the cloud", ((0.0, 1.01), (10.0, 10.0), (2.0, 2.0)),
        imagenet=((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
        cifar=((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75))),
    _of("file", "jpeg", "JPEG", "quality", (1.0, 95.0, 25.0),
        imagenet=(25.0, 18.0, 15.0, 10.0, 7.0), cifar=(80.0, 65.0, 58.0, 50.0, 40.0)),
    _of("file", "pixelate", "Pixelate", "share of the sides that is kept", (0.01, 1.0, 0.5),
        imagenet=(0.6, 0.5, 0.4, 0.3, 0.25), cifar=(0.95, 0.9, 0.85, 0.75, 0.65)),
    _of("geometry", "rotate", "Rotation", "radians", (0.0, 3.2, 0.4), mnist=(0.2, 0.4, 0.6, 0.8, 1.0)),
    _of("geometry", "shear", "Shear", "radians", (0.0, 1.4, 0.4), mnist=(0.2, 0.4, 0.6, 0.8, 1.0)),
    _of("geometry", "scale", "Shrinking", "share of the size that is kept", (0.05, 1.0, 0.7), mnist=(0.9, 0.8, 0.7, 0.6, 0.5)),
    _of("geometry", "translate", "Shift", "pixels each way", (0.0, 100.0, 3.0), mnist=(1.0, 2.0, 3.0, 4.0, 5.0)),
)  # fmt: skip
BY_NAME: dict[str, Corruption] = {corruption.name: corruption for corruption in CORRUPTIONS}
CERTAIN = {"gaussian_blur", "defocus_blur", "contrast", "brightness", "jpeg", "pixelate", "scale"}
NOISES = tuple(corruption for corruption in CORRUPTIONS if corruption.kind == "noise")


def corrupt(x: Tensor, name: str, amount: Amount, rng: Rng) -> Tensor:
    """Spoil a batch of pictures; `x` itself is left as it was.

    Args:
        x: (B, C, H, W), floating point, values in [0, 1], on any device.
        name: one of `BY_NAME`.
        amount: in the unit of that corruption, between its `low` and `high`.
        rng: the only source of randomness; it may live on another device than `x`. One for the batch, or one for each
            picture: then a picture's damage does not depend on its batch mates.

    Returns:
        A new tensor with the shape, dtype and device of `x`, in [0, 1].

    Raises:
        ValueError: an unknown name, an amount that is out of range or no number, or `x` is no such batch.
    """
    if name not in BY_NAME:
        raise ValueError(f"unknown corruption {name!r}; choose one of {', '.join(BY_NAME)}")
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(f"expected a float batch (B, C, H, W), got {x.dtype} with shape {tuple(x.shape)}")
    chosen = BY_NAME[name]
    low, high, given = (
        one if isinstance(one, tuple) else (one,) for one in (chosen.low, chosen.high, amount)
    )
    fits = len(given) == len(low) and all(
        math.isfinite(value) and least <= value <= most
        for value, least, most in zip(given, low, high, strict=True)
    )
    if not fits:
        raise ValueError(
            f"{name}: {chosen.unit} must be between {in_words(chosen.low)} and {in_words(chosen.high)}, not {amount!r}"
        )
    return chosen.apply(x, amount, rng).clamp(0.0, 1.0)


def severity(name: str, level: int, scale: str) -> Amount:
    """The amount of a level from 1 to 5 on a scale. Raises ValueError where there is none."""
    levels = BY_NAME[name].levels
    if scale not in levels or level not in LEVELS:
        raise ValueError(f"{name} has levels 1 to 5 on {', '.join(levels)}, not {level} on {scale}")
    return levels[scale][level - 1]


def scale_for(name: str, shape: Shape) -> str:
    """On which scale the levels of pictures of this size are meant: CIFAR-10-C for 32x32 and small ones, else ImageNet-C.

    MNIST-C, or our own, where neither has the corruption.
    """
    levels = BY_NAME[name].levels
    like_cifar = shape[1:] == (32, 32) or min(shape[1:]) < SMALL
    for scale in (CIFAR, IMAGENET) if like_cifar else (IMAGENET, CIFAR):
        if scale in levels:
            return scale
    return next(iter(levels))


def in_words(amount: Amount) -> str:
    """As "0.3", or "10, 3"."""
    return ", ".join(f"{value:g}" for value in amount) if isinstance(amount, tuple) else f"{amount:g}"
