"""What restorers of photographs share: crops to learn from, sides that a net can halve, an error in decibels, steady steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.family import adam

FLOOR = (2 / 255) ** 2  # 42 dB: from there on an error no longer gains weight
# norm of a gradient; a few nearly clean crops in one batch were seen to undo minutes of training
STEEPEST = 6.0


def cropped(x: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """A random square of each picture, the whole batch turned or mirrored in one of the eight ways.

    (B,C,H,W) -> (B,C,size,size), smaller where the pictures are.
    """
    height, width = x.shape[2:]
    size = min(size, height, width)
    top = torch.randint(height - size + 1, (len(x),), generator=rng, device=rng.device).tolist()
    left = torch.randint(width - size + 1, (len(x),), generator=rng, device=rng.device).tolist()
    crops = torch.stack([one[:, t : t + size, s : s + size] for one, t, s in zip(x, top, left, strict=True)])
    turns = int(torch.randint(8, (), generator=rng, device=rng.device))
    crops = torch.rot90(crops, turns % 4, (2, 3))
    return crops.flip(3) if turns >= 4 else crops


def places(length: int, side: int, count: int) -> list[int]:
    """Where `count` squares begin, spread evenly over an axis: even numbers, since pixels are folded by two."""
    return [int(v) // 2 * 2 for v in np.linspace(0, max(0, length - side), count)]


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Continued to the right and below until its sides are multiples."""
    right, below = -x.shape[3] % multiple, -x.shape[2] % multiple
    mode = "reflect" if below < x.shape[2] and right < x.shape[3] else "replicate"
    return F.pad(x, (0, right, 0, below), mode=mode) if right or below else x


def folded(x: Tensor, side: int) -> Tensor:
    """Squares of side x side pixels become channels: (B,C,H,W) -> (B,C·side²,H/side,W/side)."""
    return F.pixel_unshuffle(x, side).contiguous(memory_format=torch.channels_last)


def log_error(error: Tensor) -> Tensor:
    """(B,) mean squared errors -> their mean logarithm: a decibel is worth the same for a poor picture and a good one."""
    return (error + FLOOR).log().mean()


def steady_adam(lr: float) -> Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]:
    """Adam whose gradients are cut to a norm of `STEEPEST`."""

    def build(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        optimiser: torch.optim.Optimizer = adam(lr)(parameters)
        weights = optimiser.param_groups[0]["params"]

        def cut(*_: object) -> None:
            nn.utils.clip_grad_norm_(weights, STEEPEST)

        optimiser.register_step_pre_hook(cut)
        return optimiser

    return build
