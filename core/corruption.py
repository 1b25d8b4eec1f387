"""Five ways to spoil a picture: the one source of noise for the denoising family and the pages.

    gaussian   x + sd·n,       n ~ N(0, I)
    masking    x·m,            m ~ Bernoulli(1 - fraction), one mask for all channels
    impulse    x, 0 or 1       with probabilities 1 - share, share/2, share/2, each channel on its own
    shot       Poisson(c·x)/c  c photons at full intensity, so a smaller c is noisier
    speckle    x + x·sd·n,     n ~ N(0, I)

Everything is clipped to [0, 1] at the end. Masking is that of Vincent et al. 2010 (JMLR 11), the others
are those of Hendrycks & Dietterich 2019 (arXiv:1903.12261).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Apply = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Corruption:
    """One corruption: what it is called, the unit and range of its amount, and its formula.

    `apply` is the bare formula: it neither checks the amount nor clips. Call `corrupt` instead.
    """

    name: str
    title: str
    unit: str
    low: float
    high: float
    default: float
    apply: Apply


def _normal(x: Tensor, rng: torch.Generator) -> Tensor:
    # Drawn where the generator lives and in float32: the noise depends on neither device nor dtype of x.
    return torch.randn(x.shape, generator=rng, device=rng.device).to(x)


def _uniform(shape: tuple[int, ...], x: Tensor, rng: torch.Generator) -> Tensor:
    # Stays float32 even for a half-precision x, whose coarse grid near 1 would shift the shares.
    return torch.rand(shape, generator=rng, device=rng.device).to(x.device)


def _gaussian(x: Tensor, sd: float, rng: torch.Generator) -> Tensor:
    return x + sd * _normal(x, rng)


def _masking(x: Tensor, fraction: float, rng: torch.Generator) -> Tensor:
    batch, _, height, width = x.shape
    hidden = _uniform((batch, 1, height, width), x, rng) < fraction
    return x.masked_fill(hidden, 0.0)


def _impulse(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    u = _uniform(tuple(x.shape), x, rng)
    return x.masked_fill(u < share, 1.0).masked_fill(u < share / 2, 0.0)


def _shot(x: Tensor, photons: float, rng: torch.Generator) -> Tensor:
    expected = (x.float() * photons).to(rng.device)
    return (torch.poisson(expected, generator=rng) / photons).to(x)


def _speckle(x: Tensor, sd: float, rng: torch.Generator) -> Tensor:
    return x + x * sd * _normal(x, rng)


CORRUPTIONS: tuple[Corruption, ...] = (
    Corruption("gaussian", "Gaussian noise", "standard deviation", 0.0, 1.0, 0.3, _gaussian),
    Corruption("masking", "Masked pixels", "fraction of pixels set to 0", 0.0, 1.0, 0.25, _masking),
    Corruption("impulse", "Salt and pepper", "share of values replaced", 0.0, 1.0, 0.1, _impulse),
    Corruption("shot", "Shot noise", "photons at full intensity", 1.0, 1000.0, 12.0, _shot),
    Corruption("speckle", "Speckle", "standard deviation of the factor", 0.0, 1.0, 0.35, _speckle),
)
BY_NAME: dict[str, Corruption] = {corruption.name: corruption for corruption in CORRUPTIONS}


def corrupt(x: Tensor, name: str, amount: float, rng: torch.Generator) -> Tensor:
    """Spoil a batch of pictures; `x` itself is left as it was.

    Args:
        x: (B, C, H, W), floating point, values in [0, 1], on any device.
        name: one of `BY_NAME`.
        amount: in the unit of that corruption, between its `low` and `high`.
        rng: the only source of randomness; it may live on another device than `x`.

    Returns:
        A new tensor with the shape, dtype and device of `x`, in [0, 1]. With amount 0 it equals `x`.

    Raises:
        ValueError: an unknown name, an amount that is out of range or no number, or `x` is no such batch.
    """
    if name not in BY_NAME:
        raise ValueError(f"unknown corruption {name!r}; choose one of {', '.join(BY_NAME)}")
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(f"expected a float batch (B, C, H, W), got {x.dtype} with shape {tuple(x.shape)}")
    chosen = BY_NAME[name]
    if not math.isfinite(amount) or not chosen.low <= amount <= chosen.high:
        raise ValueError(
            f"{name}: {chosen.unit} must be between {chosen.low:g} and {chosen.high:g}, not {amount!r}"
        )
    return chosen.apply(x, amount, rng).clamp(0.0, 1.0)
