"""Tensors in files: safetensors, which holds numbers and nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from core.files import check_file, write_bytes

MAX_TENSOR_BYTES = 2**31


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str]) -> None:
    write_bytes(
        path, safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, header)
    )


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file. Raises OSError or ValueError.

    safetensors checks the header against the file before anything is allocated. Copies, because what it gives lies in the
    file: it would change or vanish with it.
    """
    check_file(path, MAX_TENSOR_BYTES)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).clone() for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path.name} is not a sound safetensors file ({error})") from None
