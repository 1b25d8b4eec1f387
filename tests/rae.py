"""Regularised autoencoder. Ghosh et al. 2020, arXiv:1903.12436

    x ──encoder──▶ z ──decoder──▶ logits
    minimise  H(x, s(logits)) + weight/2 · ||z||^2                         (eq. 11, decoder unpenalised)

A seventh family, as anyone would write it. The app does not know it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core import nets, objectives
from core.family import Autoencoder, Loss, Shape, Turn, setting


@dataclass(frozen=True, kw_only=True)
class RAEConfig(nets.DeterministicConfig):
    weight: float = setting(0.01, "Weight of the code's squared length", low=0.0, high=100.0)


class RAE(Autoencoder):
    key, title, paper, Config = "rae", "Regularised", "arXiv:1903.12436", RAEConfig
    idea = "Keep the codes short, so that the mixture over them has no far corners."
    choose = "you want samples from a deterministic autoencoder"
    objective = r"\min\; H\big(x,\, g(z)\big) + \tfrac{\lambda}{2} \lVert z \rVert^2,\quad z = f(x)"
    symbol = "adjust"
    headline = "mse"

    def __init__(self, config: RAEConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        z = self.encode(x)
        error = objectives.reconstruction_error(self.config.error, self.decoder(z), x).mean()
        length = objectives.per_picture(z.square()).mean()
        return Loss({"reconstruction": error, "length": self.config.weight / 2 * length})
