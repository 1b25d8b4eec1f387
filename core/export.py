"""A decoder as ONNX, so that it runs where there is no torch: in a browser, say."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from core.family import Autoencoder
from core.files import StoreError, write_bytes, writing
from core.run import Run

MOST_BYTES = 2**26
NAME = "decoder-{}.onnx"  # with the hash of the weights that it was made of


class Decoder(nn.Module):
    """One code (1,Z) -> its picture (1,C,H,W) in [0,1]."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        return self.model.decode(z)


def onnx(model: Autoencoder) -> bytes:
    """The decoder as an ONNX file with its weights: input `z` (1,Z), output (1,C,H,W)."""
    z = torch.zeros(1, model.config.latent_dim)
    # which warns that torchvision is not here
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporter warns of itself
        program = torch.onnx.export(Decoder(model), (z,), dynamo=True, external_data=False, verbose=False)
    assert program is not None
    return program.model_proto.SerializeToString()


def keep(run: Run, model: Autoencoder) -> Path:
    """Beside the run's codes, in place of earlier ones.

    Raises StoreError as `Run.keep` does, and where it is too large to be sent.
    """
    file = run.folder / "cache" / NAME.format(run.check_unchanged())
    decoder = onnx(model)
    if len(decoder) > MOST_BYTES:
        raise StoreError(
            f"The decoder of {run.id} takes {len(decoder) / 2**20:.0f} MB; browsers are sent at most {MOST_BYTES / 2**20:.0f}. "
            "Decode on the server, or train a smaller net."
        )
    with writing(file):
        file.parent.mkdir(exist_ok=True)
        for old in set(file.parent.glob(NAME.format("*"))) - {file}:
            old.unlink(missing_ok=True)
    write_bytes(file, decoder)
    return file


def kept(run: Run) -> Path | None:
    """The decoder of the weights as they are now, where it was exported."""
    if not run.weights_file.exists():
        return None
    name = NAME.format(run.weights_hash())
    found = (run.folder / place / name for place in ("cache", "shipped"))
    return next((file for file in found if sound(file)), None)


def sound(file: Path) -> bool:
    """No link: whoever made the run could have anybody's file sent."""
    return file.is_file() and not file.is_symlink() and file.stat().st_size <= MOST_BYTES
