"""What a VAE says of single pictures: its objective in two parts, and bounds on log p(x).

    ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || N(0, I))            Kingma & Welling 2014, eq. 3
    L_k(x)  = E log (1/k) sum_i p(x, z_i) / q(z_i|x)             Burda et al. 2016, eq. 8
    ELBO = L_1 <= L_2 <= … <= log p(x)                           ibid., theorem 1
    unit u is active where Var_x(E_q[u]) > 0.01                  ibid., sec. 5.1

All in nats per picture. A Bernoulli decoder gives a probability of black and white pictures only: of gray ones its terms are the
cross-entropy that training lowers, and no likelihood to be set beside published ones. Those are of `binarised` pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core import objectives
from core.dataset import Split
from core.families.vae import VAE, reparametrised
from core.run import Run
from core.training import Pixels

DRAWS = 64
AT_A_TIME = 128  # pictures that are decoded together
BATCH = 500
MOST_DRAWS = 5_000  # as many as papers take
LEAST_VARIANCE = 0.01
KEPT_AS = "elbo"


# --- one picture ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Parts:
    """The negative ELBO of pictures, in two parts and in their terms."""

    reconstruction: Tensor  # (B,) E_q[-log p(x|z)], the mean over draws
    error: Tensor  # (B,) standard error of that mean
    by_pixel: Tensor  # (B,C,H,W) the terms of `reconstruction`
    kl: Tensor  # (B,Z) exact, by dimension

    @property
    def negative_elbo(self) -> Tensor:
        """(B,)"""
        return self.reconstruction + self.kl.sum(1)


@torch.inference_mode()
def parts(model: VAE, x: Tensor, rng: torch.Generator, draws: int = DRAWS) -> Parts:
    """Of x (B,C,H,W) in [0,1]; the expectation over q is the mean of at least 2 draws, the KL its closed form."""
    mu, log_var = model.posterior(x)
    nll, sums = torch.zeros_like(x), []
    for _ in range(draws):
        terms = model.nll_by_pixel(reparametrised(mu, log_var, rng), x)
        nll += terms / draws
        sums.append(objectives.per_picture(terms))
    error = torch.stack(sums).std(0) / math.sqrt(draws)
    return Parts(objectives.per_picture(nll), error, nll, objectives.gaussian_kl(mu, log_var))


@dataclass(frozen=True, eq=False)
class Bounds:
    """How L_k of one picture rises with k. Estimates from the same draws, so each is at least as high as the one before."""

    draws: int
    k: tuple[int, ...]  # powers of two up to `draws`
    bound: Tensor  # (len(k),) float64, nats
    error: Tensor  # (len(k),) standard error; nan where one group of k draws is all there is


def bounds(log_weights: Tensor) -> Bounds:
    """L_k from log p(x,z)/q(z|x) of K draws, K a power of two: (K,) -> the mean over K/k disjoint groups of k draws.

    Two groups of k make one of 2k, and log((a+b)/2) >= (log a + log b)/2: the estimates cannot fall.
    """
    draws = len(log_weights)
    ks = tuple(2**power for power in range(draws.bit_length()) if 2**power <= draws)
    groups = [objectives.importance_bound(log_weights.double().view(-1, k).T) for k in ks]
    errors = [
        group.std() / math.sqrt(len(group)) if len(group) > 1 else group.new_tensor(math.nan)
        for group in groups
    ]
    return Bounds(draws, ks, torch.stack([group.mean() for group in groups]), torch.stack(errors))


def tighten(model: VAE, x: Tensor, rng: torch.Generator, draws: int) -> Iterator[Bounds]:
    """Bounds on log p(x) of one picture x (1,C,H,W) from ever more draws: at each doubling, until there are `draws`.

    `draws` is a power of two.
    """
    with torch.inference_mode():
        mu, log_var = model.posterior(x)
    found = torch.empty(0)
    while len(found) < draws:
        with torch.inference_mode():
            more = model.log_weights(x, mu, log_var, min(AT_A_TIME, draws - len(found)), rng)[:, 0].cpu()
        found = torch.cat([found, more])
        if len(found).bit_count() == 1:
            yield bounds(found)


# --- many pictures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Survey:
    """The negative ELBO over the pictures of a split, by part."""

    reconstruction: Tensor  # (N,) one draw each
    kl: Tensor  # (N,)
    kl_by_dimension: Tensor  # (Z,) mean over the pictures
    variance: Tensor  # (Z,) of the posterior means over the pictures

    @property
    def negative_elbo(self) -> Tensor:
        """(N,)"""
        return self.reconstruction + self.kl

    @property
    def active(self) -> Tensor:
        """(Z,) bool: the numbers of the code that say anything."""
        return self.variance > LEAST_VARIANCE


@torch.inference_mode()
def survey(model: VAE, split: Split, seed: int = 0) -> Survey:
    """Of every picture of a split, from one draw of its code; the KL is exact."""
    rng = torch.Generator(model.device).manual_seed(seed)
    found = []
    for x in Pixels(split.images, model.device).batches(BATCH):
        mu, log_var = model.posterior(x)
        nll = model.nll(reparametrised(mu, log_var, rng), x)
        found.append((nll.cpu(), objectives.gaussian_kl(mu, log_var).cpu(), mu.cpu()))
    nll, kl, mu = (torch.cat(each) for each in zip(*found, strict=True))
    return Survey(nll, kl.sum(1), kl.mean(0), mu.var(0, correction=0))


def binarised(split: Split, seed: int = 0) -> Split:
    """Black and white pictures, each pixel white with its gray value as the probability: "dynamic binarisation".

    Salakhutdinov & Murray 2008; Burda et al. 2016, sec. 5. On MNIST the same VAE comes out about 2 nats better than on the
    fixed binarisation of Larochelle & Murray 2011.
    """
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randint(255, split.images.shape, generator=rng, dtype=torch.uint8).numpy()
    return replace(split, images=(drawn < split.images).astype(np.uint8) * 255)


@torch.inference_mode()
def importance_nll(
    model: VAE, split: Split, draws: int, seed: int = 0, tell: Callable[[float], None] = lambda _: None
) -> Tensor:
    """-L_k of each picture, k = `draws`: (N,) float64 nats, in the mean an upper bound on -log p(x) that falls with k.

    Draws are added up block by block, so memory grows neither with them nor with the pictures. `tell` hears how far it is.
    """
    device = model.device
    pixels, rng = Pixels(split.images, device), torch.Generator(device).manual_seed(seed)
    together = max(1, BATCH // draws)
    found: list[Tensor] = []
    for some in torch.arange(len(pixels)).split(together):
        tell(some[0].item() / len(pixels))
        x = pixels[some]
        mu, log_var = model.posterior(x)
        total = torch.full((len(x),), -math.inf, dtype=torch.double)
        for first in range(0, draws, BATCH):
            log_weights = model.log_weights(x, mu, log_var, min(BATCH, draws - first), rng)
            total = total.logaddexp(log_weights.cpu().double().logsumexp(0))
        found.append(math.log(draws) - total)
    return torch.cat(found)


def keep(run: Run, found: Survey) -> None:
    """Beside the run's codes. Raises StoreError where nothing can be written."""
    run.keep(KEPT_AS, vars(found))


def kept(run: Run) -> Survey | None:
    """That of the test pictures, where it was computed from the weights as they are now."""
    return run.kept(KEPT_AS, lambda tensors: checked(tensors, run.record.outline().config.latent_dim))


def checked(tensors: Mapping[str, Tensor], dim: int) -> Survey:
    """Raises KeyError or ValueError where these are no survey of codes of `dim` numbers."""
    found = Survey(**{name: tensors[name].float() for name in Survey.__dataclass_fields__})
    by_picture, by_dimension = found.reconstruction.shape, (dim,)
    shapes = {name: by_picture if name in ("reconstruction", "kl") else by_dimension for name in vars(found)}
    if len(by_picture) != 1 or any(tensor.shape != shapes[name] for name, tensor in vars(found).items()):
        raise ValueError("these are not of the same pictures and codes")
    if not len(found.kl) or not all(tensor.isfinite().all() for tensor in vars(found).values()):
        raise ValueError("these are no finite numbers")
    return found
