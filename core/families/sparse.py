"""Sparse autoencoder: TopK (Makhzani & Frey 2013, arXiv:1312.5663), L1, or KL (Ng, CS294A lecture notes)

    x ──encoder──▶ a ──sparsify──▶ z (mostly zero) ──decoder──▶ logits

    topk   z = the k largest of max(a, 0);   minimise  H(x, s(logits))
    l1     z = max(a, 0);                    minimise  H + weight · E ||z||_1
    kl     z = s(a);                         minimise  H + weight · sum_j KL(rho || mean activity of unit j)

Many units, few of them at work for any one picture: each comes to stand for something. k starts larger and falls, so that
units which lose at first still get a gradient (ibid., sec. 4.2). With `net="tied"` the penalties are the published ones. A
deep decoder is normalised and makes good for codes that are merely small, so there both are taken relative to the scale
of the codes: ||z||_1 to ||z||_2, and the activity of a unit as (E z)^2 / E z^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core import nets, objectives
from core.family import Autoencoder, Loss, Shape, Turn, setting

ANNEALED_SHARE = 0.4  # of training, over which k falls to its own
ACTIVITY_MEMORY = 0.99  # per step: the activity that KL asks about is that of the dataset, not of one batch


@dataclass(frozen=True, kw_only=True)
class SparseConfig(nets.DeterministicConfig):
    latent_dim: int = setting(512, "Units in the code, most of them silent", low=1, high=16384)
    sparsity: str = setting("topk", "What keeps units silent", choices=("topk", "l1", "kl"))
    k: int = setting(
        32, "Units that may speak for one picture", low=1, high=16384, when={"sparsity": ("topk",)}
    )
    weight: float = setting(
        3.0, "Weight of the penalty", low=0.0, high=1000.0, when={"sparsity": ("l1", "kl")}
    )
    rho: float = setting(
        0.05, "Mean activity asked of a unit", low=1e-4, high=0.5, when={"sparsity": ("kl",)}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity == "topk" and self.k > self.latent_dim:
            raise ValueError(f"k is at most the number of units, {self.latent_dim}, not {self.k}")


class Sparse(Autoencoder):
    key, title, paper, Config = "sparse", "Sparse", "arXiv:1312.5663", SparseConfig
    idea = "Offer many units and let only a few speak for each picture."
    choose = "you want to read single units: each one comes to stand for a stroke or a part"
    objective = r"\min\; H\big(x,\, g(z)\big),\quad z = \mathrm{top}_k\, f(x)"
    symbol = "grain"
    headline = "mse"
    sampling = "drawn from a Gaussian mixture over training codes, then cut to what codes can be"
    widest: ClassVar[int] = 8  # times as many units may speak at first as in the end
    activity: Tensor
    active: Tensor

    def __init__(self, config: SparseConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)
        self.register_buffer("activity", torch.full((config.latent_dim,), config.rho))
        self.register_buffer(
            "active", torch.tensor(float(config.k if config.sparsity == "topk" else config.latent_dim))
        )

    def sparsify(self, a: Tensor, k: int) -> Tensor:
        if self.config.sparsity == "kl":
            return a.sigmoid()
        z = a.relu()
        if self.config.sparsity == "l1":
            return z
        largest = z.topk(k, dim=1)
        return torch.zeros_like(z).scatter(1, largest.indices, largest.values)

    def encode(self, x: Tensor) -> Tensor:
        return self.sparsify(self.encoder(x), self.config.k)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        z = self.sparsify(self.encoder(x), self.annealed_k(turn.progress))
        error = objectives.reconstruction_error(self.config.error, self.decoder(z), x).mean()
        minimise = {"reconstruction": error}
        published = self.config.net == "tied"
        if self.config.sparsity == "l1":
            length = z.abs().sum(1).mean() if published else objectives.relative_l1(z)
            minimise["l1"] = self.config.weight * length
        if self.config.sparsity == "kl":
            activity = self.remembered_activity(z.mean(0) if published else objectives.activity(z))
            minimise["kl"] = self.config.weight * objectives.bernoulli_kl(self.config.rho, activity).sum()
        silent = 0.5 if self.config.sparsity == "kl" else 0.0
        return Loss(minimise, watch={"active_units": (z > silent).sum(1).float().mean()})

    def annealed_k(self, progress: float) -> int:
        most = min(self.widest * self.config.k, self.config.latent_dim)
        return self.config.k + math.ceil((most - self.config.k) * max(0.0, 1 - progress / ANNEALED_SHARE))

    def remembered_activity(self, batch: Tensor) -> Tensor:
        """The running mean in value, the batch's in gradient; in validation the batch's, which training has not seen."""
        if not torch.is_grad_enabled():
            return batch
        self.activity.lerp_(batch.detach(), 1 - ACTIVITY_MEMORY)
        return batch + (self.activity - batch).detach()

    def fit(self, codes: Tensor, rng: torch.Generator) -> None:
        super().fit(codes, rng)
        self.active.copy_((codes != 0).sum(1).float().mean())

    def draw_codes(self, n: int, rng: torch.Generator) -> Tensor:
        z = self.mixture.draw(n, rng)
        return z.clamp(0, 1) if self.config.sparsity == "kl" else self.sparsify(z, self.config.k)

    def speaks(self, z: Tensor) -> Tensor:
        """Which units of codes (N,Z) are on: bool (N,Z). A logistic unit is never quite silent: above a half."""
        return z > (0.5 if self.config.sparsity == "kl" else 0.0)

    def code_numbers(self) -> int:
        return math.ceil(self.active.item())

    def code_bits(self) -> float:
        """Each active number also names its unit, where not all are active."""
        index = math.log2(self.config.latent_dim) if self.code_numbers() < self.config.latent_dim else 0.0
        return (32 + index) * self.code_numbers()
