"""Codes found by search instead of by an encoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.family import Autoencoder


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
