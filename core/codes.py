"""The codes of a run's test pictures, and how they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.tensors import MAX_TENSOR_BYTES

FARTHEST = 1e12  # from 0 that a number of a code may lie: files may claim more, whose squares are infinite


@dataclass(frozen=True)
class Codes:
    """What a run makes of the test pictures of its dataset."""

    codes: Tensor  # (N,Z) float32
    labels: Tensor | None  # (N,) int64
    errors: Tensor  # (N,) float32, mean squared error per pixel of each reconstruction


def spread(codes: Tensor) -> Tensor:
    """How much each number of codes (N,Z) scatters: its standard deviation (Z,). One code alone does not."""
    return codes.std(0) if len(codes) > 1 else torch.zeros_like(codes[0])


def packed(codes: Codes) -> dict[str, Tensor]:
    """Half precision where its range suffices; of codes that are mostly zero, the values and numbers of the active units."""
    z = codes.codes if codes.codes.abs().max() > torch.finfo(torch.half).max else codes.codes.half()
    tensors = {"errors": codes.errors.float()} | ({} if codes.labels is None else {"labels": codes.labels})
    most = int((z != 0).sum(1).max())
    if most > z.shape[1] // 4:
        return tensors | {"codes": z}
    units = z.abs().topk(most, dim=1).indices
    return tensors | {"values": z.gather(1, units), "units": units.short()}


def unpacked(tensors: Mapping[str, Tensor], dim: int, classes: int) -> Codes:
    """The inverse. Raises KeyError, ValueError or RuntimeError where these are no codes of `dim` numbers.

    Labels that name none of the classes are left out.
    """
    errors, labels = tensors["errors"].float(), tensors.get("labels")
    count = errors.numel()
    if "codes" in tensors:
        z = tensors["codes"].float()
    elif 4 * count * dim > MAX_TENSOR_BYTES:
        raise ValueError("they would take too much memory")
    else:
        z = torch.zeros(count, dim).scatter(1, tensors["units"].long(), tensors["values"].float())
    if z.shape != (count, dim) or errors.ndim != 1 or (labels is not None and labels.shape != errors.shape):
        raise ValueError("codes, labels and errors are not of the same pictures")
    if not ((z.abs() <= FARTHEST).all() and errors.isfinite().all()):
        raise ValueError("these are no finite numbers")
    named = None if labels is None else labels.long()
    if named is not None and not ((named >= 0) & (named < classes)).all():
        named = None
    return Codes(z, named, errors)
