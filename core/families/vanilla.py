"""Undercomplete autoencoder. Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647

    x ──encoder──▶ z ──decoder──▶ logits
    minimise  H(x, s(logits))        cross-entropy of the pixels, or  ||x - s(logits)||^2

With fewer numbers in z than pixels in x the net has to keep what matters most. One linear layer (`net="tied"`) with
squared error spans the space of the first principal components (Baldi & Hornik 1989), but for the bend of s.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core import nets, objectives
from core.family import Autoencoder, Loss, Shape, Turn


@dataclass(frozen=True, kw_only=True)
class VanillaConfig(nets.DeterministicConfig):
    pass


class Vanilla(Autoencoder):
    key, title, paper, Config = "vanilla", "Vanilla", "doi:10.1126/science.1127647", VanillaConfig
    idea = "Squeeze a picture through a narrow code and rebuild it."
    choose = "you want the most faithful reconstruction that a code of this size allows"
    objective = r"\min\; H\big(x,\, g(f(x))\big)"
    symbol = "compress"
    headline = "mse"

    def __init__(self, config: VanillaConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        logits = self.decoder(self.encode(x))
        return Loss({"reconstruction": objectives.reconstruction_error(self.config.error, logits, x).mean()})
