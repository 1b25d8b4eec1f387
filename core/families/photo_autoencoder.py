"""Photo autoencoder: any photograph through a bottleneck of chosen size, one set of weights for all sizes.

    x ──fold 8x8──▶ cosines ──+──▶ first k channels · gain_k ──round──▶ int8 code (k, H/8, W/8)
    └──────▶ encoder ─────────┘
    code / gain_k ──+──▶ cosines ──unfold 8x8──+──▶ x^
                    └──▶ decoder ──────────────┘
    minimise  E_k [ log(‖x^ - x‖² / N + floor²)  +  rate · bits per number of the code ]

k is drawn anew for each picture (nested dropout: Rippel et al. 2014, arXiv:1402.0915), so that the code is ordered: what
matters most comes first, and a smaller code is the beginning of the same channels. Each k has gains of its own (Cui et al. 2021,
arXiv:2003.02012): coarser steps where there is less room. Rounding lets gradients pass as if it were not there (Theis et al.
2017, arXiv:1703.00395). The bits are the largest entropy that integers of mean magnitude m can have, which is that of

    P(n) = (1 - t) / (1 + t) · t^|n|,   t = m / (1 + √(1 + m²)),   H = log2 (1 + t)/(1 - t) - m log2 t

with m of each channel of each picture, or of the differences of neighbours where these are smaller. Both linear maps begin as the
cosines of JPEG and learn on; the nets add what no linear map can do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.crops import cropped, folded, log_error, mirrored, steady_adam
from core.family import Config, Loss, Player, Restorer, Shape, Turn, setting
from core.unet import half_precision, hush, residual_blocks

STRIDE = 8  # pixels a side for which the code has one place
MOST = 3 * STRIDE**2  # numbers of a place: as many as its pixels have
FOLD = 4  # pixels a side that become channels before the first convolution
STEP = 1 / 12  # of quantisation, at first, for cosines of length 1 over pixels in [0,1]
LARGEST = 127  # of a symbol
LEAST = 1e-3  # added to a channel's mean magnitude, so that the slope at 0 stays finite
YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))  # ITU-R 601, as in JPEG


@dataclass(frozen=True, kw_only=True)
class PhotoAutoencoderConfig(Config):
    rates: tuple[int, ...] = setting(
        (4, 8, 16, 32, 64), "Sizes of the bottleneck: numbers for 8x8 pixels, rising"
    )
    width: int = setting(128, "Channels of the nets where the code is", low=8, high=1024)
    fine: int = setting(64, "Channels of the nets at twice that resolution", low=8, high=1024)
    blocks: tuple[int, ...] = setting((1, 3), "Residual blocks at either resolution, finer first", high=64)
    rate: float = setting(
        1.0, "What a bit of a number of the code costs, in units of 4.34 dB", low=0.0, high=10.0
    )
    crop: int = setting(96, "Pixels a side that one step sees of a piece", low=16, high=512)
    half: bool = setting(False, "Multiply in bfloat16 while training, where the processor can: faster")
    lr: float = setting(1e-3, "Peak learning rate of Adam; falls to 0 along a cosine", low=1e-6, high=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.rates or list(self.rates) != sorted(set(self.rates)) or self.rates[-1] > MOST:
            raise ValueError(f"rates takes numbers up to {MOST}, rising, not {self.rates}")
        if len(self.blocks) != 2:
            raise ValueError(f"blocks takes two numbers, not {self.blocks}")


class PhotoAutoencoder(Restorer):
    key, title, paper, Config = (
        "photo_autoencoder",
        "Photo autoencoder",
        "arXiv:1402.0915",
        PhotoAutoencoderConfig,
    )
    idea = "Squeeze each 8x8 pixels of a photograph into a few whole numbers, the most telling first."
    choose = "you want to see how much of a photograph fits into how many bytes"
    objective = r"\min\; \mathbb{E}_k \log \lVert x - \hat x_k \rVert^2 + \lambda\, H(z_{\le k})"
    symbol = "compress"
    headline = "mse"
    sampling = "through the smallest bottleneck"

    def __init__(self, config: PhotoAutoencoderConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        if shape[0] != len(YCC):
            raise ValueError(
                f"a photo autoencoder learns from pictures with {len(YCC)} colours, not {shape[0]}"
            )
        pixels, most = shape[0] * STRIDE**2, config.rates[-1]
        self.analysis = nn.Conv2d(pixels, most, 1, bias=False)
        self.synthesis = nn.Conv2d(most, pixels, 1, bias=False)
        self.encoder = Encoder(shape[0] * FOLD**2, most, config)
        self.decoder = Decoder(most, shape[0] * FOLD**2, config)
        self.gains = nn.Parameter(torch.full((len(config.rates), most), -math.log(STEP)))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        super().initialise(rng)
        forward, back = cosines(self.config.rates[-1])
        self.analysis.weight.copy_(forward[:, :, None, None])
        self.synthesis.weight.copy_(back[:, :, None, None])
        self.gains.fill_(-math.log(STEP))
        for net in (self.encoder, self.decoder):
            hush(net, net.tail)

    def players(self) -> tuple[Player, ...]:
        return (Player("model", self, steady_adam(self.config.lr)),)

    @property
    def reach(self) -> int:
        """Places to either side that a place of the code depends on, and the pixels of a place: both nets see as far."""
        finer, coarser = (1 + 2 * count for count in self.config.blocks)  # a block has two convolutions
        return coarser + math.ceil(finer * FOLD / STRIDE)

    def codes(self, x: Tensor) -> Tensor:
        """(B,3,H,W), sides multiples of `STRIDE` -> (B,C,H/8,W/8), before any gain."""
        x = x - 0.5
        learnt = self.encoder(folded(x, FOLD)).float()
        return self.analysis(folded(x, STRIDE)).float() + learnt

    def pictures(self, y: Tensor) -> Tensor:
        """(B,C,h,w) with zeros for absent channels -> (B,3,8h,8w), unclipped."""
        learnt = F.pixel_shuffle(self.decoder(y).float(), FOLD)
        return F.pixel_shuffle(self.synthesis(y).float(), STRIDE) + learnt + 0.5

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        clean = cropped(x, self.config.crop // STRIDE * STRIDE, turn.rng)
        clean = mirrored(clean, STRIDE)
        rates = torch.tensor(self.config.rates, device=x.device)
        which = torch.randint(len(rates), (len(x),), generator=turn.rng, device=turn.rng.device).to(x.device)
        kept = torch.arange(self.config.rates[-1], device=x.device) < rates[which, None]  # (B,C)
        gain = self.gains[which].exp()[..., None, None]
        with half_precision(x.device, self.config.half):
            y = self.codes(clean) * gain * kept[..., None, None]
            rebuilt = self.pictures(rounded(y) / gain)
        error = (rebuilt - clean).square().mean((1, 2, 3))
        bits = (entropy(magnitude(y)) * kept).sum(1)  # of a place, (B,)
        return Loss(
            minimise={"log_error": log_error(error), "bits": self.config.rate * (bits / rates[which]).mean()},
            watch={
                "decibels": -10 * error.clamp_min(1e-9).log10().mean(),
                "bits_per_pixel": bits.mean() / STRIDE**2,
            },
        )

    @torch.no_grad()
    def encode(self, x: Tensor, k: int) -> Tensor:
        """(B,3,H,W) in [0,1] -> int8 (B,k,⌈H/8⌉,⌈W/8⌉). Raises ValueError where k is not one of `rates`."""
        y = self.codes(mirrored(x, STRIDE))[:, :k] * self.gain(k)
        return y.clamp(-LARGEST, LARGEST).round().to(torch.int8)

    @torch.no_grad()
    def decode(self, code: Tensor, height: int, width: int) -> Tensor:
        """int8 (B,k,⌈H/8⌉,⌈W/8⌉) -> (B,3,H,W), unclipped around [0,1]. Raises ValueError where that does not fit."""
        k = code.shape[1]
        if tuple(code.shape[2:]) != (-(-height // STRIDE), -(-width // STRIDE)):
            raise ValueError(f"a code of {tuple(code.shape)} is not that of {width} × {height} pixels")
        y = F.pad(code.float() / self.gain(k), (0, 0, 0, 0, 0, self.config.rates[-1] - k))
        return self.pictures(y)[..., :height, :width]

    def gain(self, k: int) -> Tensor:
        """(k,1,1)"""
        if k not in self.config.rates:
            raise ValueError(f"this bottleneck has {', '.join(map(str, self.config.rates))} numbers, not {k}")
        return self.gains[self.config.rates.index(k), :k].exp()[:, None, None]

    def restore(self, x: Tensor, sigma: float | Tensor | None = None) -> Tensor:
        """Through the widest bottleneck; of noise it knows nothing."""
        return self.through(x, self.config.rates[-1])

    def through(self, x: Tensor, k: int) -> Tensor:
        return self.decode(self.encode(x, k), *x.shape[2:])

    def preview(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures through the widest bottleneck, and through the narrowest."""
        return self.reconstruct(x), self.through(x, self.config.rates[0]).clamp(0, 1)


class Encoder(nn.Module):
    """(B,inside,2h,2w) -> (B,outside,h,w)"""

    def __init__(self, inside: int, outside: int, config: PhotoAutoencoderConfig) -> None:
        super().__init__()
        self.head = nn.Conv2d(inside, config.fine, 3, padding=1)
        self.finer = residual_blocks(config.fine, config.blocks[0])
        self.halve = nn.Conv2d(config.fine, config.width, 2, stride=2)
        self.coarser = residual_blocks(config.width, config.blocks[1])
        self.tail = nn.Conv2d(config.width, outside, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.coarser(self.halve(self.finer(self.head(x)))))


class Decoder(nn.Module):
    """(B,inside,h,w) -> (B,outside,2h,2w)"""

    def __init__(self, inside: int, outside: int, config: PhotoAutoencoderConfig) -> None:
        super().__init__()
        self.head = nn.Conv2d(inside, config.width, 3, padding=1)
        self.coarser = residual_blocks(config.width, config.blocks[1])
        self.widen = nn.Sequential(nn.Conv2d(config.width, 4 * config.fine, 1), nn.PixelShuffle(2))
        self.finer = residual_blocks(config.fine, config.blocks[0])
        self.tail = nn.Conv2d(config.fine, outside, 3, padding=1)

    def forward(self, y: Tensor) -> Tensor:
        return self.tail(self.finer(self.widen(self.coarser(self.head(y)))))


def rounded(y: Tensor) -> Tensor:
    """To symbols; its gradient is that of the identity between the largest ones."""
    y = y.clamp(-LARGEST, LARGEST)
    return y + (y.round() - y).detach()


def magnitude(y: Tensor) -> Tensor:
    """Mean magnitude of each channel, or of the differences of its neighbours where that is less: (B,C,h,w) -> (B,C)."""
    whole = y.abs().mean((2, 3))
    if min(y.shape[2:]) < 2:
        return whole
    beside = (y[..., 1:, 1:] - (y[..., :-1, 1:] + y[..., 1:, :-1]) / 2).abs().mean((2, 3))
    return torch.minimum(whole, beside)


def entropy(m: Tensor) -> Tensor:
    """The most bits that an integer of mean magnitude m can carry."""
    m = m + LEAST
    t = m / (1 + (1 + m.square()).sqrt())
    return ((1 + t) / (1 - t)).log2() - m * t.log2()


def cosines(count: int) -> tuple[Tensor, Tensor]:
    """The first maps of JPEG's transform and back: (count, 192) and (192, count); coarse before fine, light before colour."""
    place, frequency = torch.arange(STRIDE) + 0.5, torch.arange(STRIDE)
    waves = (math.pi / STRIDE * frequency[:, None] * place).cos() * (2 / STRIDE) ** 0.5
    waves[0] *= 0.5**0.5
    colours = torch.tensor(YCC)
    forward = torch.einsum("ca,uy,vx->cuvayx", colours, waves, waves).flatten(3).flatten(0, 2)
    back = torch.einsum("ac,uy,vx->cuvayx", colours.inverse(), waves, waves).flatten(3).flatten(0, 2)
    square = frequency[:, None].square() + frequency.square()
    cost = torch.stack([square.float(), 0.5 + 4 * square, 0.5 + 4 * square])
    order = cost.flatten().argsort(stable=True)[:count]
    return forward[order], back[order].T
