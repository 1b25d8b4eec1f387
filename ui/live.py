"""What needs torch on a page that does without it at first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from core.pictures import as_bytes, as_floats
from core.store import Run, StoreError
from ui import runs

__all__ = ["StoreError", "rebuilt"]


def rebuilt(folder: Path, tiles: np.ndarray) -> np.ndarray:
    """uint8 (n,C,H,W) through the run in `folder` and back. Raises StoreError."""
    with torch.inference_mode():
        return as_bytes(runs.model(Run.open(folder)).reconstruct(as_floats(tiles)))
