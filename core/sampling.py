"""Codes that no encoder gave, by search, between two others, at quantiles of the prior; and the pictures of codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.family import Autoencoder
from core.pictures import as_bytes

BATCH = 400  # codes decoded at a time


@dataclass(frozen=True)
class Refined:
    """The best code of each picture so far."""

    step: int
    codes: Tensor  # (B,Z)
    residual: Tensor  # (B,) mean squared error per pixel of what the codes decode to


def refine(model: Autoencoder, x: Tensor, steps: int = 200, rate: float = 0.05) -> Iterator[Refined]:
    """Descend E||decode(z) - x||^2 over z, from the encoder's code on: inversion as in Zhu et al. 2016, arXiv:1609.03552

    x (B,C,H,W) in [0,1]. Yields at every step, first the encoder's own code; a code never gets worse. The model is not changed.
    """
    with torch.no_grad():
        codes = model.encode(x)
    best, residual = codes.clone(), torch.full((len(x),), torch.inf, device=x.device)
    optimiser = torch.optim.Adam([codes.requires_grad_(True)], rate)
    for step in range(steps + 1):
        with torch.enable_grad():
            error = (model.decode(codes) - x).square().flatten(1).mean(1)
            (codes.grad,) = torch.autograd.grad(error.sum(), codes)
        better = error.detach() < residual
        best[better], residual[better] = codes.detach()[better], error.detach()[better]
        yield Refined(step, best.clone(), residual.clone())
        optimiser.step()


def between(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """The straight line from code a to code b, both ends included: (Z,), (Z,) -> (steps,Z)."""
    return torch.lerp(a, b, torch.linspace(0, 1, steps).to(a)[:, None])


def quantiles(
    side: int, centre: tuple[float, float] = (0.5, 0.5), zoom: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """A grid of two coordinates at equal steps of the prior's probability: (side,side,2), rows from the top, x first.

    The inverse of the Gaussian distribution function over the unit square, as in Kingma & Welling 2014, fig. 4. `zoom` shows a
    1/zoom part of the square, at `centre` or as near to it as the square allows; `temperature` stretches the prior.
    """
    half = 0.5 / zoom
    steps = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1
    across, up = (min(max(part, half), 1 - half) + half * steps for part in centre)
    y, x = torch.meshgrid(up.flip(0), across, indexing="ij")
    return (temperature * torch.special.ndtri(torch.stack([x, y], -1))).float()


@torch.inference_mode()
def decoded(model: Autoencoder, codes: Tensor) -> np.ndarray:
    """(N,Z) -> uint8 (N,C,H,W), in batches."""
    if not len(codes):
        return np.zeros((0, *model.shape), np.uint8)
    return np.concatenate([as_bytes(model.decode(some)) for some in codes.split(BATCH)])
