"""Generative adversarial network with an encoder beside it. Goodfellow et al. 2014, arXiv:1406.2661

    z ~ N(0, I) ──generator──▶ fake
    real, fake ──critic──▶ score
    fake ──encoder──▶ z'

    critic      minimise  -log s(D(x)) - log(1 - s(D(G(z)))) + gamma/2 · E||grad_x D(x)||^2     (R1: Mescheder et al. 2018)
           or   minimise  D(G(z)) - D(x) + 10 · E(||grad D|| - 1)^2            (WGAN-GP: Gulrajani et al. 2017, algorithm 1)
    generator   minimise  -log s(D(G(z)))   or   -D(G(z))
    encoder     minimise  E||E(G(z)) - z||^2 / dim z                   (latent regressor: Donahue et al. 2017, arXiv:1605.09782)

    with augment, D(x) stands for D(T(x)) everywhere, T a random shift and cover (Zhao et al. 2020)

Pictures come from the running average of the generator's weights. The encoder learns from those pictures and changes
neither player; it gives every picture a code, so that a GAN can be asked what the others are asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core import nets, objectives
from core.augmentation import augment
from core.family import Autoencoder, Loss, Player, Shape, Turn, adam, setting

R1_EVERY = 16  # steps; the penalty is scaled up by as much (lazy regularisation, Karras et al. 2020, arXiv:1912.04958, app. B)
LAZY_R1 = f"r1_times_{R1_EVERY}"  # as histories tell it beside the terms of every step
PENALTY_WEIGHT = 10.0  # WGAN-GP's lambda
CRITIC_STEPS = 5  # for each of the generator's, WGAN-GP's n_critic


@dataclass(frozen=True, kw_only=True)
class GANConfig(nets.BackboneConfig):
    hidden: tuple[int, ...] = setting(
        (96,),
        "Sizes of the fully connected layers, outermost first; there are three nets, so fewer than elsewhere",
        low=2,
        when={"net": ("conv", "mlp")},
    )
    lr: float = setting(3e-3, "Peak learning rate of Adam; falls to 0 along a cosine", low=1e-6, high=0.1)
    game: str = setting(
        "non-saturating", "What critic and generator play", choices=("non-saturating", "wgan-gp")
    )
    gamma: float = setting(
        0.1,
        "Weight of the critic's gradient penalty R1",
        low=0.0,
        high=1000.0,
        when={"game": ("non-saturating",)},
    )
    augment: bool = setting(
        False, "Shift and cover what the critic sees; helps where there are only a few thousand pictures"
    )
    averaging: float = setting(
        0.998, "Memory of the generator's running average, per step", low=0.0, high=0.9999
    )


class GAN(Autoencoder):
    key, title, paper, Config = "gan", "GAN", "arXiv:1406.2661", GANConfig
    idea = "Let a forger and a critic train each other until the forgeries pass."
    choose = (
        "you want the sharpest new pictures, and reconstructions may be what an encoder beside them guesses"
    )
    objective = r"\min_G \max_D\; \mathbb{E}\big[\log D(x)\big] + \mathbb{E}\big[\log(1 - D(G(z)))\big]"
    symbol = "swords"
    headline = "sample_distance"
    sampling = "drawn from the prior N(0, I)"
    from_prior = True

    def __init__(self, config: GANConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, config.latent_dim)
        self.generator = nets.decoder(config, shape, self.encoder)
        self.critic = nets.critic(config, shape)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    def initialise(self, rng: torch.Generator) -> None:
        super().initialise(rng)
        self.average.load_state_dict(self.generator.state_dict())

    def players(self) -> tuple[Player, ...]:
        rival, own = adam(self.config.lr, (0.0, 0.99)), adam(self.config.lr)
        return (
            Player("critic", self.critic, rival),
            Player(
                "generator", self.generator, rival, every=CRITIC_STEPS if self.config.game == "wgan-gp" else 1
            ),
            Player("encoder", self.encoder, own),
        )

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.average(z).sigmoid()

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        z = self.draw_codes(len(x), turn.rng)
        player_loss = {
            "critic": self.critic_loss,
            "generator": self.generator_loss,
            "encoder": self.encoder_loss,
        }
        return player_loss[turn.player](x, z, turn)

    def augmented_critic(self, turn: Turn) -> Callable[[Tensor], Tensor]:
        """The critic as both players meet it: (B,C,H,W) -> (B,)."""
        if not self.config.augment:
            return self.critic
        return lambda x: self.critic(augment(x, turn.rng))

    def critic_loss(self, x: Tensor, z: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.generator(z).sigmoid()
        critic = self.augmented_critic(turn)
        real_score, fake_score = critic(x), critic(fake)
        watch = {"real_score": real_score.mean(), "fake_score": fake_score.mean()}
        if self.config.game == "wgan-gp":
            penalty = PENALTY_WEIGHT * objectives.gradient_penalty(critic, x, fake, turn.rng)
            return Loss({"critic": fake_score.mean() - real_score.mean(), "gradient_penalty": penalty}, watch)
        minimise = {"critic": objectives.nonsaturating_critic(real_score, fake_score)}
        if turn.step % R1_EVERY == 0:
            minimise[LAZY_R1] = R1_EVERY * self.config.gamma / 2 * objectives.r1_penalty(critic, x)
        return Loss(minimise, watch)

    def generator_loss(self, x: Tensor, z: Tensor, turn: Turn) -> Loss:
        fake = self.generator(z).sigmoid()
        score = self.augmented_critic(turn)(fake)
        wasserstein = self.config.game == "wgan-gp"
        loss = -score.mean() if wasserstein else objectives.nonsaturating_generator(score)
        if torch.is_grad_enabled():
            return Loss({"generator": loss})
        return Loss(
            {"generator": loss}, watch={"sample_distance": objectives.energy_distance(self.decode(z), x)}
        )

    def encoder_loss(self, x: Tensor, z: Tensor, turn: Turn) -> Loss:
        with torch.no_grad():
            fake = self.decode(z)
        return Loss({"code_error": (self.encode(fake) - z).square().mean()})

    @torch.no_grad()
    def after_step(self, turn: Turn) -> None:
        if turn.player == "generator":
            # short while there is little to remember
            memory = min(self.config.averaging, (1 + turn.step) / (10 + turn.step))
            for mean, latest in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(latest, 1 - memory)
