"""How long until a VAE is as good: ours beside pythae's (Chadebec et al. 2022, arXiv:2206.08309): `python -m benchmarks.quality`.

pythae is needed here only: `pip install -r benchmarks/requirements.txt`, best in an environment of its own. Its VAE learns MNIST
for 20 epochs with `reconstruction_loss="bce"`, all else as its defaults have it, and once more with a learning rate of 1e-3. Both
are then scored by our evaluator: the negative ELBO over the same binarised test pictures, one draw of the code each.

Ours is trained from the start with ever longer plans, since its learning rate falls to zero along each, until one is as good;
that plan's seconds count, and code is as long as pythae's. `default net` is what our app trains, `their net` pythae's layers with
our normalisation. In one process, on as many threads, each of pythae's is timed once and then our plans; scoring is not timed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core import elbo
from core.data import Dataset, Split, load
from core.families.vae import VAE, VAEConfig
from core.training import Plan, Training, device_named, spare_cores, train

NUMBERS = 10  # of pythae's code
THEIR_EPOCHS = 20
THEIR_RATES = (1e-4, 1e-3)  # its default, and a usual one
PLANS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # epochs
OUR_NETS = {
    "default net": VAEConfig(latent_dim=NUMBERS),
    "their net": VAEConfig(latent_dim=NUMBERS, net="mlp", hidden=(512,)),
}


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--threads", type=int, default=spare_cores(), help="of torch, the same for all sides"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--device", default="auto", help="auto, cpu or cuda")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    logging.disable(logging.INFO)  # pythae's
    device, data = device_named(chosen.device), load("mnist")
    test = binarised(data.test)
    print(f"torch {torch.__version__}, {device.type}, threads: {chosen.threads}, seed {chosen.seed}\n")
    print("| pythae's rate | its seconds | its -ELBO | ours | epochs | seconds | -ELBO | times as fast |")
    print("|---|---|---|---|---|---|---|---|")
    for rate in THEIR_RATES:
        seconds, model = theirs(data, rate, chosen.seed, device)
        target = score(model, test)
        for title, config in OUR_NETS.items():
            told = " | ".join(reaching(target, seconds, config, data, test, chosen.seed, device))
            print(f"| {rate:g} | {seconds:.1f} | {target:.2f} | {title} | {told} |", flush=True)


def binarised(split: Split) -> Split:
    """Black and white pictures, drawn once from the gray values as probabilities."""
    draw = np.random.default_rng(0)
    return replace(
        split, images=np.where(draw.random(split.images.shape) * 255 < split.images, 255, 0).astype(np.uint8)
    )


def score(model: VAE, test: Split) -> float:
    return elbo.survey(model, test).negative_elbo.double().mean().item()


# --- pythae -----------------------------------------------------------------------------------------------------


def theirs(data: Dataset, rate: float, seed: int, device: torch.device) -> tuple[float, VAE]:
    """The seconds of its training, and its nets in our VAE."""
    try:
        from pythae.models import VAE as TheirVAE
        from pythae.models import VAEConfig as TheirConfig
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        from benchmarks.in_pythae import dataset
    except ModuleNotFoundError:
        sys.exit(
            "pythae, to which this compares, is not installed here: pip install -r benchmarks/requirements.txt"
        )

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        settings = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=THEIR_EPOCHS,
            learning_rate=rate,
            seed=seed,
            no_cuda=device.type == "cpu",
        )
        model = TheirVAE(TheirConfig(input_dim=data.shape, latent_dim=NUMBERS, reconstruction_loss="bce"))
        trainer = BaseTrainer(model, dataset(data.train), training_config=settings)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    wrapped = VAE(VAEConfig(latent_dim=NUMBERS), data.shape)
    wrapped.encoder, wrapped.decoder = TheirEncoder(model), TheirDecoder(model)
    return seconds, wrapped.to(device).eval()


class TheirEncoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.net = model.encoder

    def forward(self, x: Tensor) -> Tensor:
        found = self.net(x)
        return torch.cat([found.embedding, found.log_covariance], 1)


class TheirDecoder(nn.Module):
    """Logits of the probabilities that its decoder ends in, in float64: float32 rounds those near 1 to 1."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.net = model.decoder

    def forward(self, z: Tensor) -> Tensor:
        return self.net.double()(z.double())["reconstruction"].logit()


# --- ours -------------------------------------------------------------------------------------------------------


def reaching(
    target: float,
    their_seconds: float,
    config: VAEConfig,
    data: Dataset,
    test: Split,
    seed: int,
    device: torch.device,
) -> Iterator[str]:
    """Cells of the shortest plan whose model is at least as good."""
    for epochs in PLANS:
        model = VAE(config, data.shape).to(device)
        training = Training(model, Plan(epochs=epochs, seed=seed, previews=0))
        started = time.perf_counter()
        for _ in train(training, data):
            pass
        seconds = time.perf_counter() - started
        if (reached := score(model, test)) <= target:
            yield from (str(epochs), f"{seconds:.1f}", f"{reached:.2f}", f"{their_seconds / seconds:.1f}")
            return
    yield from (f"more than {PLANS[-1]}", "", f"{reached:.2f}", "")


if __name__ == "__main__":
    main()
