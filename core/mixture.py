"""A Gaussian mixture over codes: how an autoencoder without a prior draws new pictures. Ghosh et al. 2020, arXiv:1903.12436

    z ~ sum_k w_k · N(m_k, S_k)         full covariances, fitted after training by expectation maximisation (sec. 4)

Wide or sparse codes are described in their first principal components, where ten full covariances can still be estimated.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

COMPONENTS = 10  # as many as Ghosh et al. use
MAX_AXES = 32


class Mixture(nn.Module):
    """Buffers of a mixture over codes (N,Z); they travel with the weights of the model that owns it."""

    mean: Tensor
    axes: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor
    fitted: Tensor

    def __init__(self, code_dim: int) -> None:
        super().__init__()
        axes = min(code_dim, MAX_AXES)
        self.register_buffer("mean", torch.zeros(code_dim))
        self.register_buffer("axes", unit(axes, code_dim))  # rows: principal axes
        self.register_buffer("weights", torch.full((COMPONENTS,), 1 / COMPONENTS))
        self.register_buffer("centres", torch.zeros(COMPONENTS, axes))
        self.register_buffer("factors", unit(COMPONENTS, axes, axes))  # lower Cholesky factors of the S_k
        self.register_buffer("fitted", torch.tensor(False))

    def check(self) -> None:
        """Raises ValueError where its weights are no shares, from which nothing could be drawn."""
        if self.weights.min() < 0 or abs(float(self.weights.sum()) - 1) > 1e-3:
            raise ValueError("the weights of its mixture are no shares of one")

    def fit(self, codes: Tensor, rng: torch.Generator) -> None:
        """Describe codes (N,Z) by expectation maximisation from a seeded start. Needs at least two codes."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        data = codes.detach().cpu().double()  # in this order: MPS has no float64
        if len(data) < 2:
            raise ValueError(f"a mixture needs at least 2 codes, got {len(data)}")
        mean = data.mean(0)
        _, vectors = torch.linalg.eigh((data - mean).T @ (data - mean))
        axes = vectors[:, -self.axes.shape[0] :].flip(1).T
        scores = (data - mean) @ axes.T
        spread = scores.square().mean().clamp_min(1e-12)
        seed = int(torch.randint(2**31, (), generator=rng, device=rng.device))
        mixture = GaussianMixture(
            min(COMPONENTS, len(data)),
            reg_covar=1e-4 * float(spread),  # relative: codes come in any scale
            init_params="k-means++",
            max_iter=100,
            random_state=seed,
        )
        with warnings.catch_warnings():
            # a little short of the optimum samples as well
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(scores.numpy())
        found = len(mixture.weights_)
        self.weights.zero_()[:found] = torch.as_tensor(mixture.weights_)
        self.centres.zero_()[:found] = torch.as_tensor(mixture.means_)
        self.factors[:found] = torch.linalg.cholesky(torch.as_tensor(mixture.covariances_)).to(self.factors)
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        self.fitted.fill_(True)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """-> codes (n,Z). Before `fit` this is a standard normal, so an untrained model shows something, too."""
        component = torch.multinomial(self.weights.to(rng.device), n, replacement=True, generator=rng).to(
            self.mean.device
        )
        noise = torch.randn(n, self.axes.shape[0], generator=rng, device=rng.device).to(self.mean.device)
        scores = self.centres[component] + (self.factors[component] @ noise.unsqueeze(-1)).squeeze(-1)
        return self.mean + scores @ self.axes


def unit(*shape: int) -> Tensor:
    """Zeros with ones on the diagonals. `torch.eye` on the meta device, where the store builds models, imports for seconds."""
    matrices = torch.zeros(shape)
    matrices.diagonal(dim1=-2, dim2=-1).fill_(1)
    return matrices
