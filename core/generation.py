"""How good new pictures are, in the features of the judge: the four sources of Ghosh et al. 2020 (arXiv:1903.12436, table 1).

    gaussian          from the prior, or from one Gaussian with full covariance over codes of training pictures
    mixture           from the mixture of Gaussians over training codes that the model carries
    reconstructions   of test pictures
    interpolations    halfway between the codes of two test pictures

Each is set beside test pictures, in features phi and certainty p of the judge (`core.judge`):

    frechet     |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))       classifier-Fréchet, of means and covariances of phi
                (Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500, eq. 6, there in the features of another net)
    precision   share of new pictures closer to some test picture than that one's k-th neighbour among test pictures
    recall      the same with the two exchanged              (Kynkäänniemi et al. 2019, arXiv:1904.06991, eqs. 1-2, k = 3)
    diversity   E|phi - phi'| over pairs, divided by the same of test pictures: 1 is as varied as the data
    sure        share of pictures with max p >= 0.9
    classes     share of pictures in each class

Precision, recall and diversity are of at most 5,000 pictures a side. Fréchet distances of different n do not compare; their
floor is what as many training pictures reach. Only reconstructions, being of the very pictures they are set beside, can
come below it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.dataset import Dataset, Split
from core.family import Autoencoder, noise_like
from core.judge import Judge, Teller, silent
from core.mixture import Mixture
from core.training import Pixels, seeded

MOST = 10_000  # pictures of each source
PAIRED = 5_000  # pictures of which every pair is measured
NEIGHBOUR = 3  # the k of Kynkäänniemi et al.
CERTAIN = 0.9
FITTED = 10_000  # training codes behind the Gaussian
BATCH = 500
ALIKE = 1e-6  # mean distance below which pictures vary by what rounding leaves

Section = dict[str, Any]


# --- distances between sets of features -------------------------------------------------------------------------


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance of the Gaussians with the moments of a (N,F) and b (M,F), in float64.

    tr (S S')^(1/2) is the sum of the singular values of S^(1/2) S'^(1/2), which singular covariances leave exact and
    real. Raises ValueError where a side has fewer than two rows or holds no numbers.
    """
    (mean_a, root_a), (mean_b, root_b) = moments(a), moments(b)
    spread = root_a.square().sum() + root_b.square().sum() - 2 * torch.linalg.svdvals(root_a @ root_b).sum()
    return max(0.0, ((mean_a - mean_b).square().sum() + spread).item())


def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (F,) and the symmetric square root (F,F) of the covariance of rows (N,F), in float64."""
    if len(rows) < 2:
        raise ValueError(f"a covariance needs at least 2 pictures, not {len(rows)}")
    if not rows.isfinite().all():
        raise ValueError("The pictures have no features: some are not numbers.")
    rows = rows.double()
    values, vectors = torch.linalg.eigh(torch.atleast_2d(rows.T.cov()))
    return rows.mean(0), (vectors * values.clamp_min(0).sqrt()) @ vectors.T


def precision_recall(real: Tensor, fake: Tensor, k: int = NEIGHBOUR) -> tuple[float, float]:
    """Of features (N,F) and (M,F): the share of fakes among the real, and of the real among the fakes.

    Raises ValueError where a side has no k-th neighbour.
    """
    if min(len(real), len(fake)) <= k:
        raise ValueError(f"a neighbour number {k} needs more pictures than {min(len(real), len(fake))}")
    return covered(fake, real, k), covered(real, fake, k)


def covered(points: Tensor, by: Tensor, k: int) -> float:
    """The share of points (N,F) within the ball of one of `by` (M,F) that reaches to its own k-th neighbour."""
    radii = torch.cat([rows.kthvalue(k + 1).values for rows in distances(by, by)])  # the nearest is itself
    return sum(int((rows <= radii).any(1).sum()) for rows in distances(points, by)) / len(points)


def spread(features: Tensor) -> float:
    """Mean distance between two different rows of (N,F)."""
    total = sum(rows.double().sum().item() for rows in distances(features, features))
    return total / (len(features) * (len(features) - 1))


def distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """|a_i - b_j| in blocks of rows: (BATCH,M) at a time. Taken from differences: of equal rows it is exactly 0."""
    for some in a.split(BATCH):
        yield torch.cdist(some, b, compute_mode="donot_use_mm_for_euclid_dist")


# --- one source beside the test pictures ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Seen:
    """What the judge made of pictures."""

    features: Tensor  # (n,F)
    probabilities: Tensor  # (n,K)

    @classmethod
    def by(cls, judge: Judge, pictures: Iterator[Tensor]) -> Seen:
        """The pictures come in batches (B,C,H,W) and are not kept."""
        device = next(judge.parameters()).device
        found = [judge.seen(x.to(device)) for x in pictures]
        return cls(torch.cat([f for f, _ in found]).cpu(), torch.cat([p for _, p in found]).cpu())

    def some(self) -> Tensor:
        """Those whose pairs are measured: they come in random order."""
        return self.features[:PAIRED]

    def sure(self) -> float:
        return (self.probabilities.max(1).values >= CERTAIN).double().mean().item()

    def classes(self) -> list[float]:
        count = self.probabilities.shape[1]
        return (self.probabilities.argmax(1).bincount(minlength=count).double() / len(self.features)).tolist()


@dataclass(frozen=True, eq=False)
class Bench:
    """Test pictures, against which every source is measured."""

    real: Seen
    varied: float  # their mean distance

    def measure(self, fake: Seen) -> Section:
        k = min(NEIGHBOUR, len(self.real.some()) - 1, len(fake.some()) - 1)
        precision, recall = precision_recall(self.real.some(), fake.some(), k)
        return {
            "frechet": frechet(fake.features, self.real.features),
            "precision": precision,
            "recall": recall,
            "sure": fake.sure(),
            "diversity": spread(fake.some()) / self.varied if self.varied > ALIKE else math.nan,
            "classes": fake.classes(),
        }


@torch.inference_mode()
def survey(
    model: Autoencoder,
    data: Dataset,
    judge: Judge,
    seed: int = 0,
    n: int = MOST,
    tell: Teller = silent,
) -> dict[str, Section]:
    """The sections "judge", "gaussian", "mixture" (where one is fitted), "reconstructions" and "interpolations".

    "judge" has its accuracy on the test pictures that are measured, their number n (at most all there are), the share of them
    that it sees in each class, and the floor: the Fréchet distance of as many training pictures. Raises ValueError where there
    are fewer than two test pictures, or where the model gives something that is no number.
    """
    chosen = shuffled(data.test, n, seed)
    assert data.test.labels is not None  # else there were no judge
    tell(0.0, "Showing test and training pictures to the judge")
    real = Seen.by(judge, pictures(data.test, chosen))
    train = Seen.by(judge, pictures(data.train, shuffled(data.train, len(chosen), seed)))
    floor = frechet(train.features, real.features)
    bench = Bench(real, spread(real.some()))
    found: dict[str, Section] = {
        "judge": {
            "accuracy": accuracy(real, data.test.labels[chosen.numpy()]),
            "floor": floor,
            "n": len(chosen),
            "classes": real.classes(),
        }
    }
    offered = sources(model, data, chosen, seed)
    for place, (name, fakes) in enumerate(offered.items(), 1):
        tell(place / (len(offered) + 1), f"Judging {name}")
        found[name] = bench.measure(Seen.by(judge, fakes))
    return found


def sources(model: Autoencoder, data: Dataset, chosen: Tensor, seed: int) -> dict[str, Iterator[Tensor]]:
    """As many pictures of each kind as `chosen` (n,) has indices of test pictures, in batches that are made when asked for.

    A model without a prior draws codes as its own `sample` does, so that sparse ones are made sparse; one with a prior only
    decodes what its mixture gives. Halfway between two sparse codes more units may speak than in either.
    """
    n, device = len(chosen), model.device
    prior = model if model.from_prior else with_gaussian(model, data, seed)

    def from_mixture(count: int, rng: torch.Generator) -> Tensor:
        return model.decode(model.mixture.draw(count, rng)) if model.from_prior else model.sample(count, rng)

    def test(indices: Tensor) -> Iterator[Tensor]:
        return pictures(data.test, indices, device)

    offered = {
        "gaussian": drawn(prior.sample, n, rng_of(seed, "gaussian")),
        "mixture": drawn(from_mixture, n, rng_of(seed, "mixture")),
        "reconstructions": map(model.reconstruct, test(chosen)),
        "interpolations": (
            model.decode((model.encode(a) + model.encode(b)) / 2)
            for a, b in zip(test(chosen), test(chosen.roll(1)), strict=True)  # in random order
        ),
    }
    if not model.mixture.fitted:
        del offered["mixture"]
    return offered


def drawn(draw: Callable[[int, torch.Generator], Tensor], n: int, rng: torch.Generator) -> Iterator[Tensor]:
    """n pictures in batches."""
    return (draw(len(some), rng) for some in torch.arange(n).split(BATCH))


def pictures(split: Split, chosen: Tensor, device: torch.device | None = None) -> Iterator[Tensor]:
    """Those at the indices (n,), in batches (B,C,H,W)."""
    return Pixels(split.images, device or torch.device("cpu")).batches(BATCH, chosen)


def shuffled(split: Split, n: int, seed: int) -> Tensor:
    """Indices of n pictures of a split, or of all that there are, in random order."""
    return torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:n]


def rng_of(seed: int, source: str) -> torch.Generator:
    """Its own for every source, so that none depends on what another has drawn."""
    return seeded(seed, zlib.crc32(source.encode()))


def accuracy(seen: Seen, labels: np.ndarray) -> float:
    """The share of pictures whose class (n,) the judge names."""
    return (seen.probabilities.argmax(1) == torch.tensor(labels)).double().mean().item()


# --- one Gaussian over codes ------------------------------------------------------------------------------------


class Gaussian(Mixture):
    """Draws from N(m, S), with the mean and the full covariance of codes (N,Z), however wide they are."""

    def __init__(self, codes: Tensor) -> None:
        """With codes - m = QR, S = R'R / (N - 1): no covariance has to be inverted, or even formed."""
        super().__init__(codes.shape[1])
        self.mean = codes.mean(0)
        self.axes = torch.linalg.qr((codes - self.mean) / math.sqrt(len(codes) - 1), mode="r").R

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        return self.mean + noise_like(self.mean.new_empty(n, len(self.axes)), rng) @ self.axes


def with_gaussian(model: Autoencoder, data: Dataset, seed: int) -> Autoencoder:
    """A copy of the model that draws codes from one Gaussian over codes of training pictures."""
    device = model.device
    chosen = shuffled(data.train, FITTED, seed)
    twin = deepcopy(model)
    twin.mixture = Gaussian(torch.cat([model.encode(x) for x in pictures(data.train, chosen, device)]))
    return twin
