"""The nets of our VAE trained by pythae (Chadebec et al. 2022, arXiv:2206.08309), for `benchmarks.speed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE as TheirVAE
from pythae.models import VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from core.data import Split
from core.families.vae import VAE
from core.pictures import as_floats


class Encoder(BaseEncoder):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> ModelOutput:
        mu, log_var = self.net(x).chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class Decoder(BaseDecoder):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.net(z).sigmoid())


def dataset(split: Split) -> BaseDataset:
    """The pictures as pythae holds them: floats in main memory."""
    return BaseDataset(as_floats(split.images), torch.tensor(split.labels))


def trainer(
    pictures: BaseDataset,
    model: VAE,
    *,
    device: torch.device,
    epochs: int,
    batch_size: int,
    folder: Path,
    **adam: Any,
) -> BaseTrainer:
    """Ready to `train()` the nets of `model` towards the same objective; what is not named is pythae's default.

    `adam` are options of `torch.optim.Adam`. Files go below `folder`.
    """
    config = VAEConfig(input_dim=model.shape, latent_dim=model.config.latent_dim, reconstruction_loss="bce")
    settings = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=model.config.lr,
        optimizer_params=adam or None,
        no_cuda=device.type == "cpu",
    )
    theirs = TheirVAE(config, encoder=Encoder(model.encoder), decoder=Decoder(model.decoder))
    return BaseTrainer(theirs, pictures, training_config=settings)
