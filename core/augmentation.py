"""Differentiable augmentation: what a GAN's critic sees, so that few pictures last. Zhao et al. 2020, arXiv:2006.10738

    translation   by up to an eighth of the sides
    cutout        a box of half the sides turns gray

The paper's policy for small pictures. Its changes of colour are left out: shown these as well, the small critics here could
not tell real from fake (benchmarks/RESULTS.md). What is uncovered turns gray, the middle of [0, 1].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GRAY = 0.5


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Change every picture of x (B,C,H,W) in its own way. The gradient goes through what is left to see."""
    return cutout(translated(x, rng), rng)


def translated(x: Tensor, rng: torch.Generator) -> Tensor:
    batch, _, height, width = x.shape
    most = [round(side / 8) for side in (height, width)]
    down, right = (
        torch.randint(-far, far + 1, (batch, 1), generator=rng, device=rng.device).to(x.device)
        for far in most
    )
    padded = F.pad(x - GRAY, (most[1], most[1], most[0], most[0]))
    rows = torch.arange(height, device=x.device) + most[0] - down  # (B,H)
    columns = torch.arange(width, device=x.device) + most[1] - right  # (B,W)
    pictures = torch.arange(batch, device=x.device)[:, None, None]
    return (
        padded.permute(0, 2, 3, 1)[pictures, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2) + GRAY
    )


def cutout(x: Tensor, rng: torch.Generator) -> Tensor:
    """The box may stick out of the picture: its centre is anywhere in it."""
    batch, _, height, width = x.shape
    down, right = torch.rand(2, batch, 1, 1, 1, generator=rng, device=rng.device).to(x.device)
    rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) - (down * height).floor()
    columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) - (right * width).floor()
    return x.masked_fill(inside(rows, height // 2) & inside(columns, width // 2), GRAY)


def inside(offset: Tensor, side: int) -> Tensor:
    """Whether an offset from the centre of a box lies within it."""
    return (offset >= -(side // 2)) & (offset < side - side // 2)
