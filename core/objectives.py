"""Objectives as pure functions, each with its equation and source.

Each docstring gives the shapes. Likelihoods and errors are summed over the pixels of each picture, (B,...) -> (B,), and whoever
calls averages over the batch: nats, or squared intensity, per picture. That is the scale on which the papers write them, and on
which a term weighted by 1 is the textbook's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def per_picture(values: Tensor) -> Tensor:
    """Sum over all but the batch: (B,...) -> (B,)."""
    return values.flatten(1).sum(1)


# --- how far a reconstruction is from its picture ---------------------------------------------------------------


def squared_error(reconstruction: Tensor, x: Tensor) -> Tensor:
    """||x - x'||^2 per picture: (B,...), (B,...) -> (B,)."""
    return per_picture((reconstruction - x).square())


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x|z) = -sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)), s the logistic function: (B,...) -> (B,) nats.

    A likelihood for x in {0,1}; for gray values it is the cross-entropy of Hinton & Salakhutdinov 2006 (sec. 2), whose
    minimum lies at s(l) = x but is not zero.
    """
    return per_picture(bernoulli_nll_by_pixel(logits, x))


def bernoulli_nll_by_pixel(logits: Tensor, x: Tensor) -> Tensor:
    """The terms of `bernoulli_nll`: (B,...) -> (B,...) nats."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def reconstruction_error(kind: str, logits: Tensor, x: Tensor) -> Tensor:
    """The `error` that a config names: "cross-entropy" of logits, or "squared error" of s(logits): (B,...) -> (B,)."""
    return bernoulli_nll(logits, x) if kind == "cross-entropy" else squared_error(logits.sigmoid(), x)


def gaussian_nll_by_pixel(mean: Tensor, x: Tensor, log_sigma: Tensor) -> Tensor:
    """-log N(x; mean, sigma^2) of each pixel, sigma one number for all: (B,...) -> (B,...) nats."""
    scaled = ((x - mean) * (-log_sigma).exp()).square()
    return 0.5 * scaled + log_sigma + 0.5 * math.log(2 * math.pi)


# --- what regularises a code ------------------------------------------------------------------------------------


def gaussian_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, diag exp(log_var)) || N(0, I)), by dimension: (B,Z) -> (B,Z) nats. Kingma & Welling 2014, app. B:

    -1/2 (1 + log s^2 - mu^2 - s^2)
    """
    return -0.5 * (1 + log_var - mu.square() - log_var.exp())


def standard_normal_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, I): (...,Z) -> (...)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)


def gaussian_log_density(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mu, diag exp(log_var)): (...,Z) -> (...)."""
    return -0.5 * ((z - mu).square() * (-log_var).exp() + log_var + math.log(2 * math.pi)).sum(-1)


def importance_bound(log_weights: Tensor) -> Tensor:
    """Burda et al. 2016, eq. 8: log (1/k) sum_i w_i <= log p(x), tighter as k grows: (k,B) -> (B,) nats."""
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def activity(code: Tensor) -> Tensor:
    """(E z)^2 / E z^2 by unit over a batch, z >= 0: (B,Z) -> (Z,) in [0,1]. Treves & Rolls 1991, Network 2:371-397.

    The share of pictures for which an on-off unit is on, at any scale. The plain mean of a unit that is never quite off
    can be made as small as one likes by making all codes small.
    """
    return code.mean(0).square() / code.square().mean(0).clamp_min(1e-12)


def bernoulli_kl(rho: float, activity: Tensor) -> Tensor:
    """KL(Bernoulli(rho) || Bernoulli(activity)) by unit, activity in (0,1): (Z,) -> (Z,) nats. Ng, CS294A notes, sec. 3:

    rho log(rho / a) + (1 - rho) log((1 - rho) / (1 - a))
    """
    a = activity.clamp(1e-6, 1 - 1e-6)
    return rho * (rho / a).log() + (1 - rho) * ((1 - rho) / (1 - a)).log()


def sigmoid_layer_jacobian_squared(h: Tensor, weight: Tensor) -> Tensor:
    """||dh/dx||_F^2 of h = s(Wx + b), exactly: h (B,Z), W (Z,D) -> (B,). Rifai et al. 2011, eq. 7:

    sum_j (h_j (1 - h_j))^2 sum_i W_ji^2
    """
    return (h * (1 - h)).square() @ weight.square().sum(1)


def estimated_jacobian_squared(code: Tensor, x: Tensor, rng: torch.Generator) -> Tensor:
    """An unbiased estimate of ||dz/dx||_F^2 per picture from one projection: z (B,Z) computed from x (B,...) -> (B,).

    E_v ||v^T J||^2 = trace(J^T E[v v^T] J) = ||J||_F^2 for v with independent entries of mean 0 and variance 1 (Hutchinson
    1990); signs have the least variance. Needs a graph from x to z in which no picture touches another's code.
    Differentiable, so it can be minimised.
    """
    signs = torch.randint(0, 2, code.shape, generator=rng, device=rng.device).to(code) * 2 - 1
    (row,) = torch.autograd.grad(code, x, signs, create_graph=True)
    return per_picture(row.square())


def relative_l1(code: Tensor) -> Tensor:
    """mean ||z||_1 / ||z||_2: (B,Z) -> (), from 1 (one active number) to sqrt(Z) (all alike).

    The L1 penalty measured against each code's own scale: a decoder that is normalised does not notice when a code shrinks,
    so the plain L1 norm could be driven to zero without any code becoming sparse.
    """
    return (code.abs().sum(1) / torch.linalg.vector_norm(code, dim=1).clamp_min(1e-12)).mean()


def spread(code: Tensor) -> Tensor:
    """Total variance of codes, E||z - E z||^2: (B,Z) -> (). The scale by which a contraction has to be judged."""
    return (code - code.mean(0)).square().sum(1).mean()


# --- two players ------------------------------------------------------------------------------------------------


def nonsaturating_critic(real: Tensor, fake: Tensor) -> Tensor:
    """-log s(D(x)) - log(1 - s(D(G(z)))), logits (B,), (B,) -> (). Goodfellow et al. 2014, arXiv:1406.2661, eq. 1."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def nonsaturating_generator(fake: Tensor) -> Tensor:
    """-log s(D(G(z))), logits (B,) -> (): the generator's objective that does not saturate (ibid., sec. 3)."""
    return F.softplus(-fake).mean()


@torch.enable_grad()
def r1_penalty(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """E_real ||grad_x D(x)||^2, without the factor gamma/2: (B,C,H,W) -> (). Mescheder et al. 2018, arXiv:1801.04406, eq. 9."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return per_picture(gradient.square()).mean()


@torch.enable_grad()
def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator
) -> Tensor:
    """E (||grad D(x^)|| - 1)^2 on lines between real and fake pictures: (B,C,H,W), (B,C,H,W) -> (). Gulrajani et al. 2017,
    arXiv:1704.00028, eq. 3.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=rng, device=rng.device).to(real)
    between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """2 E|a - b| - E|a - a'| - E|b - b'| between two sets of pictures, unbiased: (N,...), (M,...) -> ().

    Zero in the mean exactly when both come from one distribution. Szekely & Rizzo 2013.
    """
    a, b = a.flatten(1), b.flatten(1)
    within = [
        torch.cdist(s, s).sum() / max(1, len(s) * (len(s) - 1)) for s in (a, b)
    ]  # of a single picture: 0
    return 2 * torch.cdist(a, b).mean() - within[0] - within[1]
