"""Denoising autoencoder. Vincent et al. 2010, JMLR 11:3371-3408

    x ──corrupt──▶ x~ ──encoder──▶ z ──decoder──▶ logits
    minimise  E_q(x~|x) H(x, s(logits))                                    (sec. 3.1)

The input is damaged, the target is clean: the net has to learn what pictures look like in order to put back what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core import nets, objectives
from core.corruption import NOISES, corrupt
from core.family import Autoencoder, Loss, Shape, Span, Turn, setting


@dataclass(frozen=True, kw_only=True)
class DenoisingConfig(nets.DeterministicConfig):
    noise: str = setting("gaussian", "What damages the input", choices=tuple(one.name for one in NOISES))
    amount: float = setting(
        0.3,
        "How much",
        by=("noise", {one.name: Span(*one.span, one.unit) for one in NOISES}),
    )


class Denoising(Autoencoder):
    key, title, paper, Config = "denoising", "Denoising", "JMLR 11:3371", DenoisingConfig
    idea = "Damage the picture, then learn to rebuild the undamaged one."
    choose = "your pictures come with noise and you want them back without it"
    objective = r"\min\; \mathbb{E}_{q(\tilde x \mid x)}\, H\big(x,\, g(f(\tilde x))\big)"
    symbol = "auto_fix_high"
    headline = "denoised_mse"

    def __init__(self, config: DenoisingConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        damaged = corrupt(x, self.config.noise, self.config.amount, turn.rng)
        logits = self.decoder(self.encode(damaged))
        return Loss(
            minimise={"reconstruction": objectives.reconstruction_error(self.config.error, logits, x).mean()},
            watch={"denoised_mse": (logits.sigmoid() - x).square().mean()},
        )
