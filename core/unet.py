"""A residual U-Net for photographs of any size (Ronneberger et al. 2015, arXiv:1505.04597; blocks of He et al. 2016).

    picture ──fold 2x2 into channels──▶ blocks ──halve──▶ blocks ──halve──▶ blocks
                                          │ skip            │ skip             │
    picture ◀──unfold── blocks ◀──double── + ◀── blocks ◀──double── + ◀────────┘

Without any normalisation: what a net does to a pixel must not depend on how bright the rest of its tile is. Half precision
and channels last make a step twice as fast on processors that multiply in bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FOLD = 2  # pixels a side that become channels
BRANCH = 0.3  # of He's deviation, for the last convolution of a block: the net starts near the identity


def multiplies_halves(device: torch.device) -> bool:
    """Whether bfloat16 is faster there: on GPUs, and on processors with instructions for it, where it took 0.45 of the time."""
    return multiplies_tiles(device) or torch.cpu._is_avx512_bf16_supported()


def multiplies_tiles(device: torch.device) -> bool:
    """Whether bfloat16 is several times as fast there: on GPUs, and on processors that multiply whole tiles (AMX)."""
    return device.type != "cpu" or torch.cpu._is_amx_tile_supported()


def half_precision(device: torch.device, wanted: bool = True) -> torch.autocast:
    """Multiplies in bfloat16 inside, where it is faster: on other processors a step was seen to take ten times as long."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and multiplies_halves(device))


class Block(nn.Module):
    """x + conv(relu(conv(x))), in place where that can be: large pictures wait for fresh memory"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.first(x), inplace=True)).add_(x)


class UNet(nn.Module):
    """(B,inside,H,W) -> (B,outside,H,W), for sides that are multiples of `multiple`."""

    def __init__(self, inside: int, outside: int, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.multiple = FOLD * 2 ** (len(widths) - 1)
        levels = list(zip(widths, blocks, strict=True))
        steps = list(pairwise(widths))
        self.head = nn.Conv2d(inside, widths[0], 3, padding=1)
        self.down = nn.ModuleList(residual_blocks(width, count) for width, count in levels)
        self.halve = nn.ModuleList(nn.Conv2d(wide, deep, 2, stride=2) for wide, deep in steps)
        self.widen = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, 4 * wide, 1), nn.PixelShuffle(2)) for wide, deep in steps
        )
        self.up = nn.ModuleList(residual_blocks(width, count) for width, count in levels[:-1])
        self.tail = nn.Conv2d(widths[0], outside, 3, padding=1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def weaken(self) -> None:
        """After He's draw: branches that change little, an output near zero, no gain where no relu follows."""
        hush(self, self.tail)
        for module in nn.ModuleList([self.head, self.halve, self.widen]).modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(0.5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        skips = []
        for down, halve in zip(self.down, self.halve, strict=False):
            x = down(x)
            skips.append(x)
            x = halve(x)
        x = self.down[-1](x)
        for widen, up, skip in reversed(list(zip(self.widen, self.up, skips, strict=True))):
            x = up(widen(x).add_(skip))
        return self.tail(x)


@torch.no_grad()
def hush(net: nn.Module, tail: nn.Conv2d) -> None:
    """After He's draw: branches of residual blocks that change little, and an output near zero."""
    for module in net.modules():
        if isinstance(module, Block):
            module.last.weight.mul_(BRANCH)
    tail.weight.mul_(BRANCH**2)


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))
