"""Blind photo denoiser: a denoising autoencoder with skips. After Zhang et al. 2021 (DRUNet), arXiv:2008.13751

    y = x + n ──level──▶ sigma
    (y, sigma) ──fold──▶ encoder ──▶ bottleneck ──▶ decoder (with skips) ──unfold──▶ n^,   x^ = y - n^
    minimise  E log(‖x^ - x‖² / N + floor²)  +  E |log (sigma^ + 1/255) / (sigma + 1/255)|

One set of weights for every level of noise from 0 to 55 of 255. The level is an input, as in FFDNet (Zhang et al. 2018,
arXiv:1710.04026), so that whoever restores can ask for more or less; a small net estimates it where it is not told, and half of
the pictures in training come with the estimate. The logarithm makes a decibel worth the same at every level; it is the
PSNR up to a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.camera import chance, enlarged, is_gray, photographed
from core.crops import FLOOR, cropped, folded, log_error, mirrored, places, steady_adam
from core.family import Config, Loss, Player, Restorer, Shape, Turn, setting
from core.unet import FOLD, UNet, half_precision, multiplies_halves, multiplies_tiles

STRONGEST = 55 / 255
MIDST = (15 / 255, 35 / 255)  # levels of which a net may see more: one for a single level is better there
SHARPEN = 8.0  # what is fine is small
GRAY = 0.1  # share of pictures without colour
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601
ROW = 17  # pixels of one colour beside each other that were drawn, not taken: two equal blocks of a JPEG make 16
DRAWN = 0.1  # of a square; where there are others it has no say in how strong the noise is


@dataclass(frozen=True, kw_only=True)
class PhotoDenoiserConfig(Config):
    noise: str = setting(
        "gaussian",
        "White noise of any level, or such as cameras and JPEG leave",
        choices=("gaussian", "camera"),
    )
    midst: float = setting(0.0, "Share of pictures whose white noise is of 15 to 35 of 255", low=0, high=1)
    widths: tuple[int, ...] = setting((48, 96, 192), "Channels at each level, finest first")
    blocks: tuple[int, ...] = setting((2, 2, 4), "Residual blocks at each level", high=64)
    crop: int = setting(64, "Pixels a side that one step sees of a piece", low=16, high=512)
    half: bool = setting(False, "Multiply in bfloat16 while training, where the processor can: faster")
    lr: float = setting(1e-3, "Peak learning rate of Adam; falls to 0 along a cosine", low=1e-6, high=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.widths) == len(self.blocks):
            raise ValueError(f"widths {self.widths} and blocks {self.blocks} take one number for each level")


class PhotoDenoiser(Restorer):
    key, title, paper, Config = "photo_denoiser", "Photo denoiser", "arXiv:2008.13751", PhotoDenoiserConfig
    idea = "See how much noise there is, and predict the noise itself from a wide neighbourhood."
    choose = "you have a noisy photograph and want it back at its own size"
    objective = r"\min\; \mathbb{E} \log \lVert x - \hat x(x + n, \sigma) \rVert^2"
    symbol = "photo_filter"
    headline = "denoised_mse"

    def __init__(self, config: PhotoDenoiserConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        if shape[0] != len(LUMA):
            raise ValueError(
                f"a photo denoiser learns from pictures with {len(LUMA)} colours, not {shape[0]}"
            )
        folded = shape[0] * FOLD**2
        self.level = Level(folded)
        self.net = UNet(folded + 1, folded, config.widths, config.blocks)

    def initialise(self, rng: torch.Generator) -> None:
        super().initialise(rng)
        self.net.weaken()

    def players(self) -> tuple[Player, ...]:
        return (Player("model", self, steady_adam(self.config.lr)),)

    def restore(self, x: Tensor, sigma: float | Tensor | None = None, most: int = 4) -> Tensor:
        """With at most so many looks. Raises nothing of its own: any height and width from 1 pixel on."""
        height, width = x.shape[2:]
        if sigma is None:
            sigma = self.estimate(x)
        told = torch.as_tensor(sigma, device=x.device).expand(len(x))
        return self.cleaned(mirrored(x, self.net.multiple), told, most)[..., :height, :width]

    def cleaned(self, x: Tensor, sigma: Tensor, most: int) -> Tensor:
        """As `clean`, in the mean over looks at the picture turned by 0, 90, ... degrees, as many as the device has time for.

        At sigma 25 two looks in half precision are worth 0.08 dB, three 0.10, four 0.11 and all eight with mirrors 0.13, over 22
        photographs.
        """
        count = looks(x.device)
        with half_precision(x.device, count > 1):
            seen = [
                torch.rot90(self.clean(torch.rot90(x, turn, (2, 3)), sigma), -turn, (2, 3))
                for turn in range(min(count, most))
            ]
        return torch.stack(seen).mean(0)

    def estimate(self, x: Tensor) -> Tensor:
        """The standard deviation of the noise in x (B,3,H,W): (B,), in units of x. In half precision where that is far faster."""
        with half_precision(x.device, multiplies_tiles(x.device)):
            return self.found(x)

    def found(self, x: Tensor) -> Tensor:
        """Likewise, in whatever precision is set.

        The median over squares as large as those that it learnt on: over more places at once, the weights would favour the
        noisiest. Frames, letterboxes and the ground under transparency have no noise, whatever there is in the photograph, and
        a square says so even where they are a part of it: it is left out, unless there is none with less of them.
        """
        squares = tessellated(mirrored(x, FOLD), self.config.crop // FOLD * FOLD)
        levels = self.level(squares.flatten(0, 1)).view(squares.shape[:2])
        share = drawn(squares)
        silent = share > share.amin(1, keepdim=True).clamp_min(DRAWN)
        return levels.masked_fill(silent, math.nan).nanmedian(1).values

    def clean(self, x: Tensor, sigma: Tensor) -> Tensor:
        """(B,3,H,W) -> (B,3,H,W) for sides that the net can halve, told sigma (B,)."""
        small = folded(x, FOLD)
        told = sigma.to(small).view(-1, 1, 1, 1).expand(-1, 1, *small.shape[2:])
        return x - F.pixel_shuffle(self.net(torch.cat([small, told], 1)), FOLD).to(x)

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        crops = mirrored(cropped(x, self.config.crop, turn.rng), self.net.multiple)
        if self.config.noise == "camera":
            crops = enlarged(crops, turn.rng)
        clean = some_gray(crops, turn.rng)
        noisy, sigma = self.disturbed(clean, turn.rng)
        with half_precision(x.device, self.config.half):
            guess = self.found(noisy).float()
            told = torch.where(chance(x, 0.5, turn.rng).flatten(), guess.detach(), sigma)
            restored = self.clean(noisy, told)
        error = (restored.float() - clean).square().mean((1, 2, 3))
        return Loss(
            minimise={
                "log_error": log_error(error),
                "level_error": ((guess + 1 / 255) / (sigma + 1 / 255)).log().abs().mean(),
            },
            # decibels as training sees them: a picture that comes back unchanged has 42
            watch={"denoised_mse": error.mean(), "decibels": -10 * (error + FLOOR).log10().mean()},
        )

    def disturbed(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures with noise, each of another level, and these levels (B,)."""
        if self.config.noise == "camera":
            noisy = photographed(x, rng)
            return noisy, (noisy - x).square().mean((1, 2, 3)).sqrt()
        sigma = self.levels(x, rng)
        noise = torch.randn(x.shape, generator=rng, device=x.device)
        noise = torch.where(is_gray(x), noise[:, :1], noise)
        return x + sigma.view(-1, 1, 1, 1) * noise, sigma

    def levels(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """One for each picture (B,), from nothing to the strongest; of the share `midst` from 15 to 35 of 255."""
        if not self.config.midst:
            return STRONGEST * torch.rand(len(x), generator=rng, device=x.device)
        anywhere, where = torch.rand((2, len(x)), generator=rng, device=x.device)
        low, high = MIDST
        chosen = chance(x, self.config.midst, rng).flatten()
        return torch.where(chosen, low + (high - low) * where, STRONGEST * anywhere)

    def preview(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noisy pictures restored, and these noisy pictures."""
        noisy, _ = self.disturbed(x, rng)
        return self.reconstruct(noisy), noisy


def looks(device: torch.device) -> int:
    """How many a restorer takes: a megapixel stays below two seconds on two cores, and near a fortieth of what BM3D takes there.

    Without tiles two looks are a 45th on one processor and a 36th on a slower one, where a single look in single precision
    takes as long.
    """
    if multiplies_tiles(device):
        return 3
    return 2 if multiplies_halves(device) else 1


class Level(nn.Module):
    """How strong the noise is, from what is left of a picture without its local mean: each place has an opinion and a weight.

    (B,C,H,W), sides even -> (B,) above 0.
    """

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, 2, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        fine = x - F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        opinion, weight = self.net(folded(SHARPEN * fine, FOLD)).float().flatten(2).unbind(1)
        return (opinion.clamp(max=3) - 3).exp().mul(weight.softmax(1)).sum(1)


def some_gray(x: Tensor, rng: torch.Generator) -> Tensor:
    luma = (x * x.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(x)
    return torch.where(chance(x, GRAY, rng), luma, x)


def tessellated(x: Tensor, side: int) -> Tensor:
    """As few squares as cover all of it: (B,C,H,W) -> (B,n,C,side,side), or what there is of a narrow picture."""
    rows, columns = (places(length, side, math.ceil(length / side)) for length in x.shape[2:])
    return torch.stack([x[:, :, r : r + side, c : c + side] for r in rows for c in columns], 1)


def drawn(squares: Tensor) -> Tensor:
    """Which share of each square lies in long rows of one colour: (B,n,C,h,w) -> (B,n).

    Even weak noise breaks them. Of a clean, dark sky out of a JPEG, three quarters of whose pixels equal the one beside them,
    5 % lay in such rows. What was burnt out is as empty as a frame.
    """
    unlike = (squares[..., 1:] != squares[..., :-1]).any(2).flatten(0, 1).float()  # (B n,h,w-1)
    broken = F.max_pool2d(unlike, (1, min(ROW - 1, unlike.shape[2])), stride=1)
    return 1 - broken.mean((1, 2)).view(squares.shape[:2])
