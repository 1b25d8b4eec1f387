"""Measures of codes: what can be read from them, how they use their units, how they follow the picture. Pure functions.

k-NN accuracy        share of test codes whose k nearest training codes, by majority, name their class
trustworthiness      1 - 2/(n k (2n - 3k - 1)) · sum of how far strangers among a code's k nearest rank by their pixels
                     (Venna & Kaski 2001)
explained variance   1 - sum ||x - x'||^2 / sum ||x - mean x||^2
contraction          ||dz/dx||_F, exact (Rifai et al. 2011, sec. 3)
gain                 PSNR of what comes back less PSNR of what went in, dB
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

VOTERS = 10  # of the k-NN accuracy
NEAREST = 15  # of trustworthiness
LOW, HIGH = 0.05, 0.95  # beyond which a logistic unit is saturated

# --- what can be read from codes --------------------------------------------------------------------------------


def knn_accuracy(codes: Tensor, labels: np.ndarray, queries: Tensor, answers: np.ndarray) -> float:
    """Of the classes `answers` (M,) of queries (M,Z), by their ten nearest among codes (N,Z) with labels (N,)."""
    from sklearn.neighbors import KNeighborsClassifier

    fitted = KNeighborsClassifier(voters(len(codes)), algorithm="brute").fit(codes.numpy(), labels)
    return float((fitted.predict(queries.numpy()) == answers).mean())


def voters(n: int) -> int:
    """How many of n codes vote."""
    return min(VOTERS, n)


def trustworthiness(pictures: np.ndarray, codes: Tensor) -> float:
    """Whether neighbours by code (N,Z) are neighbours by pixels, pictures uint8 (N,C,H,W); in [0,1]. Needs 3 pictures."""
    from sklearn import manifold

    pixels = pictures.reshape(len(pictures), -1).astype(np.float32) / 255
    return float(manifold.trustworthiness(pixels, codes.numpy(), n_neighbors=neighbours(len(pixels))))


def neighbours(n: int) -> int:
    """How many count as near among n pictures."""
    return min(NEAREST, (n - 1) // 2)


# --- how units are used -----------------------------------------------------------------------------------------


def l0(speaks: Tensor) -> float:
    """The mean number of units that speak for a picture: (N,Z) bool."""
    return speaks.sum(1).double().mean().item()


def dead(speaks: Tensor) -> float:
    """The share of units that speak for no picture: (N,Z) bool."""
    return (~speaks.any(0)).double().mean().item()


def always_on(speaks: Tensor) -> float:
    """The share of units that speak for every picture, and so tell none from another: (N,Z) bool."""
    return speaks.all(0).double().mean().item()


def saturation(codes: Tensor) -> float:
    """The share of numbers in (0,1) that lie where the logistic function is flat (Rifai et al. 2011, table 1): (N,Z)."""
    return ((codes < LOW) | (codes > HIGH)).double().mean().item()


def explained_variance(squared_error: float, pictures: np.ndarray) -> float:
    """Of a squared error summed over all pictures uint8 (N,C,H,W), beside giving back their mean. 1 - FVU of sparse codes.

    Not finite where all pictures are the same.
    """
    mean = pictures.mean(0, dtype=np.float64)
    left = 0.0
    for first in range(0, len(pictures), 1_000):  # they may be memory-mapped
        left += float(np.square(pictures[first : first + 1_000] - mean).sum())
    return float(1 - np.float64(squared_error) / (left / 255**2)) if left else float("nan")


# --- how codes follow the picture -------------------------------------------------------------------------------


def squared_jacobian(encode: Callable[[Tensor], Tensor], x: Tensor, rows: int | None = None) -> Tensor:
    """||dz/dx||_F^2 of each picture, by one backward pass for each row: x (B,...), z (B,Z) -> (B,) float64.

    Exact where no picture touches another's code, which holds for all nets here. With `rows`, only those of the numbers
    furthest from zero: of a rectified code the others are flat.
    """
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        z = encode(x)
        order = z.detach().abs().argsort(1, descending=True)[:, :rows]
        total = torch.zeros(len(x), dtype=torch.double)
        for units in order.T:
            (row,) = torch.autograd.grad(z.gather(1, units[:, None]).sum(), x, retain_graph=True)
            total += row.square().flatten(1).sum(1).cpu().double()
    return total


# --- what comes back of damage ----------------------------------------------------------------------------------


def gain(before: Tensor, after: Tensor) -> float | None:
    """Mean dB from squared errors (N,) before to those after. Pictures that were not damaged have none to gain; None of all."""
    damaged = before > 0
    if not damaged.any():
        return None
    return (10 * (before[damaged].double() / after[damaged].double()).log10()).mean().item()
