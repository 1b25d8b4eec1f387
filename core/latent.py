"""Maps of codes: where pictures lie among each other, how far a map can be trusted, and where new pictures go.

    raw     a code of two numbers is its own map          pca     the two axes along which codes scatter most
    umap    McInnes, Healy & Melville 2018, arXiv:1802.03426: neighbours in code space stay neighbours; made by a job

Neighbours are always found in the space of codes, never on the map. A new picture goes to the mean of its neighbours' places,
weighted by 1/distance: at once, whatever else is placed, and without the library that made the map.

    trustworthiness    1 - 2/(n k (2n - 3k - 1)) · sum of how far strangers on the map rank among true neighbours
                       (Venna & Kaski 2001), k = 15, on a fixed 5,000
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.codes import FARTHEST, Codes
from core.evaluation import ENOUGH
from core.plane import flattened
from core.run import Run

NEAREST = 15  # of UMAP and of trustworthiness
PLACED_BY = 10  # neighbours
SAME = 0.01  # of the usual distance: kept codes are rounded
VOTERS = 10  # of the k-NN accuracy
JUDGED = 5_000  # codes behind the quality figures
MOST = 70_000  # codes on a map
FEWEST = NEAREST  # codes that a UMAP needs more than
KEPT_AS = "map"
Teller = Callable[[float, str], None]


@dataclass(frozen=True)
class Quality:
    """How far a map can be trusted; accuracies are None where pictures have no classes."""

    trustworthiness: float
    map_accuracy: float | None  # of the class of a point by its neighbours on the map
    code_accuracy: float | None  # the same by its neighbours in code space
    n: int


@dataclass(frozen=True, eq=False)
class Map:
    """Codes and their places on a plane."""

    kind: str  # raw, pca, umap
    codes: Codes
    places: Tensor  # (N,2) float32
    quality: Quality | None = None  # takes seconds, so what is made at once comes without


# --- neighbours -------------------------------------------------------------------------------------------------


def neighbours(codes: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest of codes (N,Z) to each query (M,Z): places (M,k) and distances (M,k), nearest first.

    Each query by itself, so that the answer does not depend on what else is asked, to the last bit.
    """
    k = min(k, len(codes))
    found = [
        torch.linalg.vector_norm(codes - query, dim=1).topk(k, largest=False, sorted=True)
        for query in queries
    ]
    if not found:
        return torch.zeros(0, k, dtype=torch.long), torch.zeros(0, k)
    return torch.stack([one.indices for one in found]), torch.stack([one.values for one in found])


def graph(codes: Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of every code among all, itself first: indices (N,k) and distances (N,k)."""
    from sklearn.neighbors import NearestNeighbors

    data = codes.float().numpy()
    itself, at_0 = np.arange(len(data))[:, None], np.zeros((len(data), 1), data.dtype)
    if (others := min(k, len(data)) - 1) < 1:
        return itself, at_0
    # without a query each is left out by its number: codes that coincide would take its place
    distances, indices = NearestNeighbors(n_neighbors=others, algorithm="brute").fit(data).kneighbors()
    return np.hstack([itself, indices]), np.hstack([at_0, distances])


def place(codes: Tensor, places: Tensor, queries: Tensor) -> Tensor:
    """Where new codes (M,Z) go on the map of codes (N,Z) at places (N,2), by the weighted mean of the nearest: (M,2)."""
    indices, distances = neighbours(codes, queries, PLACED_BY)
    weights = 1 / distances.double().clamp_min(1e-9)
    return ((weights / weights.sum(1, keepdim=True))[:, :, None] * places.double()[indices]).sum(1).float()


def inverse(codes: Tensor, places: Tensor, where: Tensor) -> Tensor:
    """Codes for places of a map (M,2), likewise: the weighted mean of the codes whose places are nearest: (M,Z)."""
    return place(places, codes, where)


@dataclass(frozen=True, eq=False)
class Familiarity:
    """How far codes usually lie from their nearest neighbours."""

    usual: Tensor  # (n,) sorted: the mean distance to the ten nearest others, of a fixed sample

    @classmethod
    def of(cls, codes: Tensor) -> Familiarity:
        sample = codes[chosen(len(codes), 1_000)]
        _, distances = neighbours(codes, sample, PLACED_BY + 1)
        return cls(distances[:, 1:].mean(1).sort().values)

    def percentile(self, codes: Tensor, queries: Tensor) -> list[float | None]:
        """The share of data (in %) that lie closer to their neighbours than these do: 100 is like nothing in the data.

        None where the data are too few to say so.
        """
        if len(self.usual) < ENOUGH:
            return [None] * len(queries)
        _, distances = neighbours(codes, queries, PLACED_BY + 1)
        # a picture of the data is no neighbour of its own
        itself = distances[:, :1] <= SAME * self.usual.median()
        others = torch.where(itself, distances[:, 1:], distances[:, :-1])
        return [100 * (self.usual < own).float().mean().item() for own in others.mean(1)]


def agreement(one: Tensor, other: Tensor, k: int = NEAREST) -> Tensor:
    """How many of a picture's k nearest two codings of the same pictures share: Jaccard |A & B| / |A | B|: (N,)."""
    a, b = (torch.from_numpy(graph(codes, k + 1)[0][:, 1:]) for codes in (one, other))
    shared = torch.tensor([len(set(x) & set(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]).float()
    return shared / (a.shape[1] + b.shape[1] - shared)


# --- maps -------------------------------------------------------------------------------------------------------


def chosen(count: int, most: int) -> Tensor:
    """A fixed sample of places 0 … count - 1, in order."""
    if count <= most:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most].sort().values


def sampled(codes: Codes) -> Codes:
    """At most `MOST` of them, a fixed sample."""
    if len(codes.codes) <= MOST:
        return codes
    some = chosen(len(codes.codes), MOST)
    labels = None if codes.labels is None else codes.labels[some]
    return Codes(codes.codes[some], labels, codes.errors[some])


def at_once(codes: Codes) -> Map:
    """The code itself where it has two numbers, else two principal axes; of one number, the number and nothing."""
    return Map("pca" if codes.codes.shape[1] > 2 else "raw", codes, flattened(codes.codes))


def umap(codes: Codes, seed: int = 0, tell: Teller = lambda fraction, text: None) -> Map:
    """Takes seconds to minutes. The same seed gives the same map on the same machine."""
    import warnings

    tell(0.05, "Finding neighbours")
    nearest = min(NEAREST, len(codes.codes) - 1)
    indices, distances = graph(codes.codes, nearest)
    tell(0.3, "Laying out the map")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Tensorflow is not here, and that a seed means one thread
        import umap as library

        reducer = library.UMAP(
            n_neighbors=nearest,
            random_state=seed,
            precomputed_knn=(indices, distances.astype(np.float32)),
            init="pca",
        )
        places = reducer.fit_transform(codes.codes.float().numpy())
    tell(0.85, "Judging the map")
    found = torch.from_numpy(np.asarray(places, np.float32))
    return Map("umap", codes, found, quality(codes, found))


def quality(codes: Codes, places: Tensor) -> Quality:
    """On a fixed sample of at most `JUDGED`."""
    from sklearn.manifold import trustworthiness

    some = chosen(len(places), JUDGED)
    z, xy = codes.codes[some].float().numpy(), places[some].numpy()
    k = min(NEAREST, (len(some) - 1) // 2)
    trust = float(trustworthiness(z, xy, n_neighbors=k)) if k >= 1 else math.nan
    labels = None if codes.labels is None else codes.labels[some].numpy()
    if labels is None or len(set(labels.tolist())) < 2:
        return Quality(trust, None, None, len(some))
    return Quality(trust, accuracy(xy, labels), accuracy(z, labels), len(some))


def accuracy(points: np.ndarray, labels: np.ndarray) -> float:
    """How often the ten nearest others name a point's class: k-NN, leaving one out."""
    from sklearn.neighbors import NearestNeighbors

    k = min(VOTERS, len(points) - 1)
    votes = labels[NearestNeighbors(n_neighbors=k).fit(points).kneighbors(return_distance=False)]
    classes = np.unique(labels)
    counts = (votes[:, :, None] == classes).sum(1)
    return float((classes[counts.argmax(1)] == labels).mean())


# --- keeping ----------------------------------------------------------------------------------------------------


def keep(run: Run, *maps: Map) -> None:
    """Maps of a run's test codes, beside them. Raises StoreError where nothing can be written."""
    tensors = {}
    for one in maps:
        assert one.quality is not None, "maps are judged before they are kept"
        numbers = [math.nan if number is None else number for number in vars(one.quality).values()]
        tensors[f"{one.kind}.places"] = one.places
        tensors[f"{one.kind}.quality"] = torch.tensor(numbers, dtype=torch.double)
    run.keep(KEPT_AS, tensors)


def kept(run: Run, codes: Codes) -> dict[str, Map]:
    """The maps of a run's test codes that were made of the weights as they are now, by their kind."""
    return run.kept(KEPT_AS, lambda tensors: unpacked(tensors, codes)) or {}


def unpacked(tensors: Mapping[str, Tensor], codes: Codes) -> dict[str, Map]:
    """Raises KeyError, ValueError or RuntimeError where these are no maps of these codes."""
    found = {}
    for kind in ("raw", "pca", "umap"):
        if f"{kind}.places" not in tensors:
            continue
        places = tensors[f"{kind}.places"].float()
        trust, *accuracies, n = tensors[f"{kind}.quality"].double().reshape(-1).tolist()
        if (
            places.shape != (len(codes.codes), 2)
            or not (places.abs() <= FARTHEST).all()
            or len(accuracies) != 2
        ):
            raise ValueError("this is no map of these codes")
        if not 0 <= n <= len(codes.codes):
            raise ValueError("it cannot have been judged on so many codes")
        by_map, by_code = (None if math.isnan(one) else one for one in accuracies)
        found[kind] = Map(kind, codes, places, Quality(trust, by_map, by_code, int(n)))
    return found
