"""Flat windows into the space of codes, which a pointer can move over: z = origin + u·across + v·up, u and v from -1 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from core.plane import Plane

REACH = 0.998  # quantile of the codes to which a window over them reaches, and from 1 - REACH on
USUAL = 0.999  # share of the data, or of the prior, that counts as covered
CORNERS = ((-0.6, -0.5), (0.6, -0.5), (0.0, 0.6))  # where three pictures lie in their window


@dataclass(frozen=True, eq=False)
class Sheet:
    """origin, across, up: (Z,) each."""

    origin: Tensor
    across: Tensor
    up: Tensor

    @classmethod
    def over(cls, codes: Tensor) -> Self:
        """Over codes (N,Z): their own axes where they have two numbers, else the two along which they scatter most."""
        plane = Plane.of(codes)
        places = plane.place(codes)
        low, high = (torch.quantile(places, share, dim=0) for share in (1 - REACH, REACH))
        half = ((high - low) / 2).clamp_min(1e-6)
        return cls(plane.code(((low + high) / 2)[None])[0], half[0] * plane.axes[0], half[1] * plane.axes[1])

    @classmethod
    def through(cls, a: Tensor, b: Tensor, c: Tensor) -> Self:
        """Through three codes, which lie at `CORNERS`."""
        across = (b - a) / (CORNERS[1][0] - CORNERS[0][0])
        up = (c - (a + b) / 2) / (CORNERS[2][1] - CORNERS[0][1])
        return cls(c - CORNERS[2][1] * up, across, up)

    @classmethod
    def along(cls, a: Tensor, b: Tensor, codes: Tensor) -> Self:
        """From code a on the left to code b on the right; up the way that codes scatter most at a right angle to that."""
        way = b - a
        if float(way.norm()) < 1e-9:
            return cls.over(codes)
        flat = way / way.norm()
        rest = codes - codes.mean(0)
        rest = rest - (rest @ flat)[:, None] * flat
        _, vectors = torch.linalg.eigh(rest.double().T @ rest.double())
        up = vectors[:, -1].to(codes)
        half = torch.quantile((rest @ up).abs(), REACH)
        return cls((a + b) / 2, way / 1.4, half.clamp_min(1e-6) * up)

    def code(self, where: Tensor) -> Tensor:
        """(M,2) -> (M,Z)."""
        return self.origin + where[:, :1] * self.across + where[:, 1:] * self.up

    def place(self, codes: Tensor) -> Tensor:
        """Where codes (N,Z) lie on the window, or above it: (N,2), by least squares."""
        axes = torch.stack([self.across, self.up], 1).double()
        return ((codes - self.origin).double() @ torch.linalg.pinv(axes).T).float()


@dataclass(frozen=True, eq=False)
class Region:
    """What data or prior cover: r(z) = sqrt(mean(((z - mean) / sd)²)) is at most `limit` for nearly all of it."""

    mean: Tensor  # (Z,)
    sd: Tensor
    limit: float

    @classmethod
    def of(cls, codes: Tensor) -> Self:
        mean, sd = codes.mean(0), codes.std(0, correction=0).clamp_min(1e-6)
        norms = ((codes - mean) / sd).square().mean(1).sqrt()
        return cls(mean, sd, float(torch.quantile(norms, USUAL)))

    @classmethod
    def of_prior(cls, dim: int) -> Self:
        """Of N(0, I): the quantile of a chi distribution."""
        from scipy.special import chdtri

        return cls(torch.zeros(dim), torch.ones(dim), float((chdtri(dim, 1 - USUAL) / dim) ** 0.5))


def spherical(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """From code a to code b along the arc between their directions, lengths in between: (Z,), (Z,) -> (steps,Z).

    Shoemake 1985 (slerp), for codes whose length is typical of a Gaussian prior (White 2016, arXiv:1609.04468).
    """
    share = torch.linspace(0, 1, steps, dtype=torch.double)[:, None]
    one, other = a.double(), b.double()
    lengths = one.norm().clamp_min(1e-12), other.norm().clamp_min(1e-12)
    cosine = ((one / lengths[0]) @ (other / lengths[1])).clamp(-1, 1)
    angle = cosine.arccos()
    if float(angle.sin()) < 1e-6:
        return torch.lerp(one, other, share).to(a)
    way = (
        ((1 - share) * angle).sin() * one / lengths[0] + (share * angle).sin() * other / lengths[1]
    ) / angle.sin()
    return (way * (lengths[0] * (1 - share) + lengths[1] * share)).to(a)
