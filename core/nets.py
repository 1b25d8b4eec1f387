"""The one backbone that all families share, for pictures of any (C, H, W) from 4x4 pixels on.

    conv   picture ──fold 2x2 into channels──▶ strided 3x3 convolutions down to a grid of at most 7x7 ──linear──▶ code
           code ──linear──▶ grid ──3x3 convolutions, channels unfolded into pixels──▶ logits
    mlp    the pixels in a row through fully connected layers, and back
    tied   one linear layer, and its transpose back

Everything is normalised within a picture (group and layer norm), never across a batch: a picture's code does not depend
on its batch mates, so weight averages, Jacobians and gradient penalties need no special case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.family import Config, Shape, setting

LARGEST_GRID = 7
HIDDEN = {"conv": (256,), "mlp": (512, 256)}


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Config):
    """What a comparison between families has to hold equal."""

    latent_dim: int = setting(32, "Numbers in the code z", low=1, high=4096)
    net: str = setting("conv", "Convolutions, or fully connected layers", choices=("conv", "mlp"))
    width: int = setting(32, "Channels of the first convolution", low=4, high=256, when={"net": ("conv",)})
    hidden: tuple[int, ...] = setting(
        (),
        "Sizes of the fully connected layers, outermost first; empty: 256 behind convolutions, else 512,256",
        low=2,  # a single number is 0 after its layer norm
        when={"net": ("conv", "mlp")},
    )
    lr: float = setting(2e-3, "Peak learning rate of Adam; falls to 0 along a cosine", low=1e-6, high=0.1)


@dataclass(frozen=True, kw_only=True)
class DeterministicConfig(BackboneConfig):
    """What the autoencoders without a prior share on top."""

    net: str = setting(
        "conv",
        "Convolutions, fully connected layers, or one layer whose transpose decodes",
        choices=("conv", "mlp", "tied"),
    )
    error: str = setting(
        "cross-entropy",
        "Distance of a reconstruction from its picture",
        choices=("cross-entropy", "squared error"),
    )


def encoder(config: BackboneConfig, shape: Shape, out: int) -> nn.Module:
    """A module (B,C,H,W) in [0,1] -> (B,out)."""
    if config.net == "tied":
        return Tied(shape, out)
    hidden = config.hidden or HIDDEN[config.net]
    if config.net == "mlp":
        return nn.Sequential(nn.Flatten(), *dense(math.prod(shape), hidden), nn.Linear(hidden[-1], out))
    grid = Grid.of(shape, config.width)
    layers: list[nn.Module] = [Pad(shape, grid.padded), nn.PixelUnshuffle(2)]
    channels = 4 * shape[0]
    for width in grid.widths:
        # the folding was the first halving: a grid of one halving takes its convolution unstrided
        layers += [
            nn.Conv2d(channels, width, 3, stride=2 if grid.halvings > 1 else 1, padding=1),
            *norm(width),
            nn.GELU(),
        ]
        channels = width
    flat = channels * grid.height * grid.width
    return nn.Sequential(*layers, nn.Flatten(), *dense(flat, hidden), nn.Linear(hidden[-1], out))


def decoder(config: BackboneConfig, shape: Shape, encoder: nn.Module) -> nn.Module:
    """A module (B,latent_dim) -> logits (B,C,H,W); with `net="tied"` it is the transpose of `encoder`."""
    if isinstance(encoder, Tied):
        return Transposed(encoder)
    hidden = (config.hidden or HIDDEN[config.net])[::-1]
    if config.net == "mlp":
        to_pixels = [nn.Linear(hidden[-1], math.prod(shape)), nn.Unflatten(1, shape)]
        return nn.Sequential(*dense(config.latent_dim, hidden), *to_pixels)
    grid = Grid.of(shape, config.width)
    channels = grid.widths[-1]
    layers: list[nn.Module] = [
        *dense(config.latent_dim, hidden),
        nn.Linear(hidden[-1], channels * grid.height * grid.width),
        nn.Unflatten(1, (channels, grid.height, grid.width)),
        *norm(channels),
        nn.GELU(),
    ]
    for width in grid.widths[-2::-1]:
        layers += [nn.Conv2d(channels, 4 * width, 3, padding=1), nn.PixelShuffle(2), *norm(width), nn.GELU()]
        channels = width
    last = 2 ** min(2, grid.halvings)
    layers += [nn.Conv2d(channels, shape[0] * last**2, 3, padding=1), nn.PixelShuffle(last), Crop(shape)]
    return nn.Sequential(*layers)


def critic(config: BackboneConfig, shape: Shape) -> nn.Module:
    """A module (B,C,H,W) -> (B,): the encoder's backbone with one number out."""
    return nn.Sequential(encoder(config, shape, 1), nn.Flatten(0))


@dataclass(frozen=True)
class Grid:
    """The coarsest grid of the convolutional nets and how it is reached."""

    height: int
    width: int
    halvings: int
    widths: tuple[int, ...]  # channels after each convolution, finest first

    @classmethod
    def of(cls, shape: Shape, width: int) -> Grid:
        _, h, w = shape
        halvings = max(1, math.ceil(math.log2(max(h, w) / LARGEST_GRID)))
        widths = tuple(min(width * 2**i, 4 * width) for i in range(max(1, halvings - 1)))
        return cls(math.ceil(h / 2**halvings), math.ceil(w / 2**halvings), halvings, widths)

    @property
    def padded(self) -> tuple[int, int]:
        return self.height * 2**self.halvings, self.width * 2**self.halvings


def dense(size: int, hidden: Sequence[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for wider, narrower in zip((size, *hidden), hidden, strict=False):
        layers += [nn.Linear(wider, narrower), nn.LayerNorm(narrower), nn.GELU()]
    return layers


def norm(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(math.gcd(channels, max(1, channels // 8)), channels)]


class Tied(nn.Module):
    """Wx + b on the pixels in a row: (B,C,H,W) -> (B,units)."""

    def __init__(self, shape: Shape, units: int) -> None:
        super().__init__()
        self.shape = shape
        self.layer = nn.Linear(math.prod(shape), units)
        self.pixel_bias = nn.Parameter(torch.zeros(math.prod(shape)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


class Transposed(nn.Module):
    """W'z + c, with the weights of the encoder it mirrors: (B,units) -> logits (B,C,H,W)."""

    def __init__(self, encoder: Tied) -> None:
        super().__init__()
        self.mirrored = (encoder,)  # in a tuple: its weights belong to the encoder and are stored once

    def forward(self, z: Tensor) -> Tensor:
        (encoder,) = self.mirrored
        return F.linear(z, encoder.layer.weight.T, encoder.pixel_bias).unflatten(1, encoder.shape)


class Pad(nn.Module):
    """Repeats the last row and column until the sides can be halved."""

    def __init__(self, shape: Shape, padded: tuple[int, int]) -> None:
        super().__init__()
        self.by = (0, padded[1] - shape[2], 0, padded[0] - shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.by, mode="replicate") if any(self.by) else x


class Crop(nn.Module):
    """Takes off again what `Pad` added."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.height, self.width = shape[1:]

    def forward(self, x: Tensor) -> Tensor:
        return x[..., : self.height, : self.width]
