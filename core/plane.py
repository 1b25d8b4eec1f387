"""A plane in the space of codes on which they can be seen: the code itself where it has two numbers, else principal axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Plane:
    """The points origin + x·axes[0] + y·axes[1]."""

    origin: Tensor  # (Z,)
    axes: Tensor  # (2,Z) orthonormal

    @classmethod
    def of(cls, codes: Tensor) -> Self:
        """Of codes (N,Z), Z at least 2: their own axes for Z = 2, else the two along which they scatter most."""
        if codes.shape[1] == 2:
            return cls(codes.new_zeros(2), torch.eye(2).to(codes))
        mean = codes.mean(0)
        centred = (codes - mean).double()
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        return cls(mean, vectors[:, [-1, -2]].T.to(codes))

    @property
    def is_whole(self) -> bool:
        """Whether there are no codes outside of it."""
        return self.axes.shape[1] == 2

    def place(self, codes: Tensor) -> Tensor:
        """Codes (N,Z) -> where they lie on the plane, or above it: (N,2)."""
        return (codes - self.origin) @ self.axes.T

    def code(self, places: Tensor) -> Tensor:
        """Places (N,2) -> codes (N,Z) on the plane."""
        return self.origin + places @ self.axes


def flattened(codes: Tensor) -> Tensor:
    """Codes (N,Z) on their plane: (N,2). A single number lies on a line; what is not finite, nowhere in particular."""
    codes = codes.float().nan_to_num(0.0, 0.0, 0.0)
    if codes.shape[1] == 1:
        return torch.cat([codes, torch.zeros_like(codes)], 1)
    return Plane.of(codes).place(codes)


def aligned(places: Tensor, target: Tensor) -> Tensor:
    """Turned and mirrored, but neither moved nor stretched, as near to `target` as can be: both (N,2).

    Orthogonal Procrustes of the centred places (Schoenemann 1966, Psychometrika 31:1-10).
    """
    centre = places.double().mean(0)
    left, _, right = torch.linalg.svd(
        (places.double() - centre).T @ (target.double() - target.double().mean(0))
    )
    return ((places.double() - centre) @ (left @ right) + centre).to(places)
