"""Variational autoencoder. Kingma & Welling 2014, arXiv:1312.6114

    x ──encoder──▶ (mu, log_var) ──draw──▶ z ──decoder──▶ p(x|z)
    minimise  E_q[-log p(x|z)] + beta · KL(q(z|x) || N(0, I))              (eq. 10; beta: Higgins et al. 2017)

With k > 1 importance samples the bound is Burda et al. 2016 (arXiv:1509.00519), eq. 8: closer to log p(x) as k grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core import nets, objectives
from core.family import Autoencoder, Loss, Shape, Turn, noise_like, setting


@dataclass(frozen=True, kw_only=True)
class VAEConfig(nets.BackboneConfig):
    beta: float = setting(
        1.0, "Weight of the KL term; above 1 is beta-VAE, 0 no VAE at all", low=0.0, high=100.0
    )
    warmup: float = setting(0.0, "Share of training over which beta rises from 0", low=0.0, high=1.0)
    likelihood: str = setting(
        "bernoulli",
        "What p(x|z) is; gaussian learns one sigma for all pixels",
        choices=("bernoulli", "gaussian"),
    )
    binarise: bool = setting(
        False, "Draw black or white pixels anew at every step", when={"likelihood": ("bernoulli",)}
    )
    importance_samples: int = setting(1, "k of the importance-weighted bound", low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.importance_samples > 1 and (self.beta != 1 or self.warmup):
            raise ValueError("importance_samples above 1 bound log p(x) only with beta=1 and warmup=0")


class VAE(Autoencoder):
    key, title, paper, Config = "vae", "Variational", "arXiv:1312.6114", VAEConfig
    idea = "Make the code a cloud, not a point, and all clouds together one round ball."
    choose = "you want to draw new pictures and to move between pictures without holes"
    objective = r"\min\; \mathbb{E}_{q}[-\log p(x \mid z)] + \beta\, \mathrm{KL}(q(z \mid x) \,\|\, \mathcal{N}(0, I))"
    symbol = "bubble_chart"
    headline = "negative_elbo"
    sampling = "drawn from the prior N(0, I)"
    from_prior = True

    def __init__(self, config: VAEConfig, shape: Shape) -> None:
        super().__init__(config, shape)
        self.encoder = nets.encoder(config, shape, 2 * config.latent_dim)
        self.decoder = nets.decoder(config, shape, self.encoder)
        self.log_sigma = nn.Parameter(torch.tensor(-1.0), requires_grad=config.likelihood == "gaussian")

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B,C,H,W) -> mu (B,Z), log_var (B,Z) of q(z|x)."""
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return mu, log_var

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).sigmoid()

    def nll(self, z: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z): (B,Z), (B,C,H,W) -> (B,) nats."""
        return objectives.per_picture(self.nll_by_pixel(z, x))

    def nll_by_pixel(self, z: Tensor, x: Tensor) -> Tensor:
        """Its terms: (B,Z), (B,C,H,W) -> (B,C,H,W) nats."""
        logits = self.decoder(z)
        if self.config.likelihood == "bernoulli":
            return objectives.bernoulli_nll_by_pixel(logits, x)
        return objectives.gaussian_nll_by_pixel(logits.sigmoid(), x, self.log_sigma)

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        if self.config.likelihood == "bernoulli" and self.config.binarise:
            x = torch.bernoulli(x.to(turn.rng.device), generator=turn.rng).to(x.device)
        mu, log_var = self.posterior(x)
        if self.config.importance_samples > 1:
            log_weights = self.log_weights(x, mu, log_var, self.config.importance_samples, turn.rng)
            bound = objectives.importance_bound(log_weights).mean()
            return Loss({"importance_bound": -bound}, watch={"negative_elbo": -log_weights.mean()})
        z = reparametrised(mu, log_var, turn.rng)
        reconstruction = self.nll(z, x).mean()
        kl = objectives.gaussian_kl(mu, log_var).sum(1).mean()
        return Loss(
            minimise={"reconstruction": reconstruction, "kl": self.beta(turn.progress) * kl},
            watch={"kl_nats": kl, "negative_elbo": reconstruction + kl},
        )

    def beta(self, progress: float) -> float:
        return self.config.beta * (min(1.0, progress / self.config.warmup) if self.config.warmup else 1.0)

    def log_weights(self, x: Tensor, mu: Tensor, log_var: Tensor, k: int, rng: torch.Generator) -> Tensor:
        """log p(x,z)/q(z|x) of k draws z: x (B,C,H,W), mu and log_var (B,Z) -> (k,B) nats."""
        mu, log_var = mu.expand(k, -1, -1), log_var.expand(k, -1, -1)
        z = reparametrised(mu, log_var, rng)
        log_likelihood = -self.nll(z.flatten(0, 1), x.expand(k, *x.shape).flatten(0, 1)).unflatten(0, (k, -1))
        log_prior = objectives.standard_normal_log_density(z)
        return log_likelihood + log_prior - objectives.gaussian_log_density(z, mu, log_var)


def reparametrised(mu: Tensor, log_var: Tensor, rng: torch.Generator) -> Tensor:
    """A draw from N(mu, sigma^2) through which gradients pass, mu + sigma · eps: (...,Z). Kingma & Welling 2014, sec. 2.4."""
    return mu + noise_like(mu, rng) * (0.5 * log_var).exp()
