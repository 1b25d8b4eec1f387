"""Contractive autoencoder. Rifai et al., ICML 2011

    x ──encoder f──▶ z ──decoder──▶ logits
    minimise  H(x, s(logits)) + weight · ||df/dx||_F^2                       (eq. 1, 5)

A code that hardly moves when the picture moves a little. `net="tied"` is the paper's: one sigmoid layer, for which the
norm has a closed form (eq. 7), decoded by its transpose, so that shrinking the code costs reconstruction. A deep decoder
would make good for a shrunken code, so there the norm is taken relative to the codes' own spread,

    ||df/dx||_F^2 / E||z - E z||^2,

which no rescaling of encoder and decoder changes, and estimated without bias from one random projection.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core import nets, objectives
from core.family import Autoencoder, Loss, Shape, Turn, setting

ROUNDING = 1e-10  # of the codes' mean square


@dataclass(frozen=True, kw_only=True)
class ContractiveConfig(nets.DeterministicConfig):
    weight: float = setting(3.0, "Weight of the contraction", low=0.0, high=1000.0)


class Contractive(Autoencoder):
    key, title, paper, Config = "contractive", "Contractive", "Rifai et al., ICML 2011", ContractiveConfig
    idea = "Punish a code that moves when the picture moves a little."
    choose = "small disturbances of the picture must not change its code"
    objective = r"\min\; H\big(x,\, g(f(x))\big) + \lambda\, \lVert \partial f / \partial x \rVert_F^2"
    symbol = "center_focus_strong"
    headline = "mse"

    def __init__(self, config: ContractiveConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)

    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x)
        return z.sigmoid() if self.config.net == "tied" else z

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def draw_codes(self, n: int, rng: torch.Generator) -> Tensor:
        z = super().draw_codes(n, rng)
        return z.clamp(0, 1) if self.config.net == "tied" else z

    def relative(self, squared: Tensor, z: Tensor) -> Tensor:
        """To the spread of codes (B,Z); 0 of equal pictures, which have none but what rounding leaves."""
        spread = objectives.spread(z)
        apart = spread > ROUNDING * z.square().sum(1).mean()
        return torch.where(apart, squared / torch.where(apart, spread, 1.0), 0.0)

    @torch.enable_grad()  # the penalty is a derivative, in validation as well
    def loss(self, x: Tensor, turn: Turn) -> Loss:
        x = x.detach().requires_grad_(True)
        z = self.encode(x)
        if isinstance(self.encoder, nets.Tied):
            penalty = squared = objectives.sigmoid_layer_jacobian_squared(z, self.encoder.layer.weight).mean()
        else:
            squared = objectives.estimated_jacobian_squared(z, x, turn.rng).mean()
            penalty = self.relative(squared, z)
        error = objectives.reconstruction_error(self.config.error, self.decoder(z), x.detach()).mean()
        return Loss(
            minimise={"reconstruction": error, "contraction": self.config.weight * penalty},
            watch={"jacobian_squared": squared, "relative_jacobian_squared": self.relative(squared, z)},
        )
