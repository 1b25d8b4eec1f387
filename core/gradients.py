"""Two ways to the gradient of an expectation, and how much they scatter: why a VAE draws its codes as it does.

    d/d(mu, sigma) E_q[f(z)],   q = N(mu, diag sigma^2),   here f(z) = -log p(x|z)

    reparametrised   f'(mu + sigma·eps) · (1, eps)                  Kingma & Welling 2014, sec. 2.4
    score function   f(z) · grad log q(z)                           Williams 1992, Machine Learning 8:229-256
    with a baseline  (f(z) - b) · grad log q(z)                     b the mean of f over the other draws

All three are unbiased; each draw gives one estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.family import noise_like

WAYS = ("reparametrised", "score function with a baseline", "score function")


@dataclass(frozen=True, eq=False)
class Estimates:
    """One estimate of the gradient by (mu, sigma) from every draw, by each way."""

    by_way: dict[str, Tensor]  # (draws, 2·Z) float64

    @property
    def truth(self) -> Tensor:
        """(2·Z,) The mean of the way that scatters least, over all draws."""
        return self.by_way[WAYS[0]].mean(0)

    def scatter(self, way: str, n: int) -> float:
        """Root of the mean squared distance between the mean of n draws and the truth, relative to the truth's length.

        Over as many disjoint groups of n as there are, two at least. Groups of the way that the truth is the mean of lie too
        near to it, as in any variance.
        """
        draws = self.by_way[way]
        groups = draws[: len(draws) // n * n].view(-1, n, draws.shape[1]).mean(1)
        squared = (groups - self.truth).square().sum(1).mean()
        if way == WAYS[0]:
            squared *= len(groups) / (len(groups) - 1)
        return (squared.sqrt() / self.truth.norm()).item()

    def needed(self, way: str) -> float:
        """How many times as many draws as the reparametrised gradient it takes for the same precision: a ratio of variances."""
        return (self.by_way[way].var(0).sum() / self.by_way[WAYS[0]].var(0).sum()).item()


def estimate(
    f: Callable[[Tensor], Tensor], mu: Tensor, sigma: Tensor, draws: int, rng: torch.Generator
) -> Estimates:
    """f maps codes (draws,Z) to values (draws,), each from its own code; mu and sigma are (Z,)."""
    eps = noise_like(mu.expand(draws, -1), rng)
    z = (mu + sigma * eps).detach().requires_grad_(True)
    with torch.enable_grad():
        values = f(z)
        (slope,) = torch.autograd.grad(values.sum(), z)
    values, slope, eps, sigma = (t.detach().cpu().double() for t in (values, slope, eps, sigma))
    score = torch.cat([eps / sigma, (eps.square() - 1) / sigma], 1)
    others = (values.sum() - values) / (draws - 1)
    estimates = (
        torch.cat([slope, slope * eps], 1),
        (values - others)[:, None] * score,
        values[:, None] * score,
    )
    return Estimates(dict(zip(WAYS, estimates, strict=True)))
