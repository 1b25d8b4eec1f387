"""Differentiable augmentation: what a GAN's critic sees, so that few pictures last. Zhao et al. 2020, arXiv:2006.10738

    colour        x + U(-1/4, 1/4);  saturation times U(0, 2);  contrast times U(1/2, 3/2)
    translation   by up to an eighth of the sides
    cutout        a box of half the sides turns gray

The paper's strengths, which it states for pixels in [-1, 1], here for pixels in [0, 1]; what is uncovered turns gray, its 0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

GRAY = 0.5


def augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Change every picture of x (B,C,H,W) in its own way. The result may leave [0,1], and has a gradient."""
    return cutout(translated(coloured(x, rng), rng), rng)


def coloured(x: Tensor, rng: torch.Generator) -> Tensor:
    brightness, saturation, contrast = uniform(3, x, rng)
    x = x + (brightness - 0.5) / 2
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * 2 * saturation if x.shape[1] > 1 else x
    middle = x.mean((1, 2, 3), keepdim=True)
    return middle + (x - middle) * (contrast + 0.5)


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
    _, _, height, width = x.shape
    down, right = uniform(2, x, rng)
    rows = torch.arange(height, device=x.device).view(1, 1, -1, 1) - (down * height).floor()
    columns = torch.arange(width, device=x.device).view(1, 1, 1, -1) - (right * width).floor()
    hidden = inside(rows, height // 2) & inside(columns, width // 2)
    return x.masked_fill(hidden, GRAY)


def inside(offset: Tensor, side: int) -> Tensor:
    """Whether an offset from the centre of a box lies within it."""
    return (offset >= -(side // 2)) & (offset < side - side // 2)


def uniform(count: int, x: Tensor, rng: torch.Generator) -> Tensor:
    """-> (count,B,1,1,1) in [0,1): drawn where the generator lives."""
    return torch.rand(count, len(x), 1, 1, 1, generator=rng, device=rng.device).to(x)
