"""Images per second of our loop, of pythae and of a loop by hand: `python -m benchmarks.speed [--threads N] [--repeats 7]`.

pythae is needed here only: `pip install -r benchmarks/requirements.txt`, best in an environment of its own. All sides train
the same nets with the same objective on the same pictures of MNIST, in batches of 128, with Adam at the same rate, on as many
threads. They take turns, so that a busy machine slows all of them; every repeat has ratios of its own, and the table has their
median and extremes. A first repeat warms up and does not count. Reading the data and building dataset, model and trainer come
before the clock starts. What it then sees of two epochs:

    ours              the steps, by `EpochEnded.images_per_second`: pythae does not validate here either
    with validation   our second epoch whole, with its 5,000 validation pictures
    pythae            `BaseTrainer.train` as its defaults have it, without an evaluation set: loading, progress bar, a copy
                      of the best model at every epoch, the model saved at the end
    pythae, fused     the same with the implementation of Adam that we use, which is an option there
    by hand           resident bytes, torch.randperm, fused Adam, the sum of losses read once an epoch
    bare step         forward, backward and Adam on one and the same batch: what no loop can beat

Where there is CUDA the same follows on it, with the most memory that each side held. The ratio to a bare step is the step's share
of our time: the loop has the rest.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import harmonic_mean, median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data import Dataset, Split, load
from core.families.vae import VAE, VAEConfig
from core.pictures import as_floats
from core.training import EpochEnded, Plan, Training, spare_cores, train

BATCH = 128
EPOCHS = 2


@dataclass(frozen=True)
class Case:
    title: str
    config: VAEConfig
    batches: int  # an epoch on a CPU; a GPU gets all there are

    def data(self, device: torch.device) -> Dataset:
        """MNIST with as many training pictures as fill whole batches, so that all sides take the same steps."""
        data = load("mnist")
        count = BATCH * (self.batches if device.type == "cpu" else len(data.train) // BATCH)
        labels = data.train.labels
        assert labels is not None
        return replace(data, train=Split(data.train.images[:count], labels[:count]))

    def model(self, data: Dataset, device: torch.device) -> VAE:
        model = VAE(self.config, data.shape)
        model.initialise(torch.Generator().manual_seed(0))
        return model.to(device)


CASES = (
    Case("MLP VAE 784-512-16", VAEConfig(net="mlp", hidden=(512,), latent_dim=16, lr=1e-3), batches=200),
    Case("Convolutional VAE, width 32, 32 codes", VAEConfig(lr=1e-3, hidden=(96,)), batches=80),
)


@dataclass(frozen=True)
class Speed:
    images: float  # a second
    peak: int = 0  # bytes held at once on a GPU


Side = Callable[[], Mapping[str, float]]  # trains a fresh model: name -> images/s
Repeat = Mapping[str, Speed]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument(
        "--threads", type=int, default=spare_cores(), help="of torch, the same for all sides"
    )
    options.add_argument("--repeats", type=int, default=7)
    chosen = options.parse_args()
    try:
        pythae_version = metadata.version("pythae")
    except metadata.PackageNotFoundError:
        sys.exit(
            "pythae, to which this compares, is not installed here: pip install -r benchmarks/requirements.txt"
        )
    torch.set_num_threads(chosen.threads)
    logging.disable(logging.INFO)  # pythae's
    print(
        f"torch {torch.__version__}, pythae {pythae_version}, threads: {chosen.threads}, repeats: {chosen.repeats}"
    )
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for device in map(torch.device, devices):
        for case in CASES:
            data = case.data(device)
            print(f"\n{case.title}, {device.type}, {len(data.train):,} pictures\n")
            repeats = list(taking_turns(sides(case, data, device), 1 + chosen.repeats, device))
            print(table(repeats[1:]), flush=True)
    if "cuda" not in devices:
        print("\nNo CUDA on this machine: nothing was measured on a GPU.")


# --- the sides --------------------------------------------------------------------------------------------------


def sides(case: Case, data: Dataset, device: torch.device) -> list[Side]:
    from benchmarks import in_pythae

    trainer = partial(
        in_pythae.trainer, in_pythae.dataset(data.train), device=device, epochs=EPOCHS, batch_size=BATCH
    )
    return [
        partial(ours, case, data, device),
        partial(pythae, case, data, device, "pythae", trainer),
        partial(pythae, case, data, device, "pythae, fused", partial(trainer, fused=True)),
        partial(by_hand, case, data, device),
        partial(bare_step, case, data, device),
    ]


def ours(case: Case, data: Dataset, device: torch.device) -> dict[str, float]:
    """`train` reads its clocks after it has looked at weights or numbers, so no step is under way on a GPU by then."""
    training = Training(case.model(data, device), Plan(epochs=EPOCHS, batch_size=BATCH, previews=0))
    first, second = (event for event in train(training, data) if isinstance(event, EpochEnded))
    return {
        "ours": harmonic_mean([first.images_per_second, second.images_per_second]),
        "with validation": len(data.train) / (second.seconds - first.seconds),
    }


def pythae(
    case: Case, data: Dataset, device: torch.device, name: str, trainer: Callable[..., Any]
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        ready = trainer(case.model(data, device), folder=Path(folder))
        clock = Clock(device)
        ready.train()
        return {name: EPOCHS * len(data.train) / clock.seconds()}


def by_hand(case: Case, data: Dataset, device: torch.device) -> dict[str, float]:
    model = case.model(data, device)
    optimiser = fused_adam(model)
    images = torch.tensor(data.train.images, device=device)
    clock = Clock(device)
    for _ in range(EPOCHS):
        losses = torch.zeros((), device=device)
        for some in torch.randperm(len(images), device=device).split(BATCH):
            losses += step(model, optimiser, images[some].float() / 255)
        losses.item()
    return {"by hand": EPOCHS * len(images) / clock.seconds()}


def bare_step(case: Case, data: Dataset, device: torch.device) -> dict[str, float]:
    model = case.model(data, device)
    optimiser = fused_adam(model)
    x = as_floats(data.train.images[:BATCH]).to(device)
    clock = Clock(device)
    for _ in range(EPOCHS * len(data.train) // BATCH):
        step(model, optimiser, x)
    return {"bare step": EPOCHS * len(data.train) / clock.seconds()}


def fused_adam(model: VAE) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=model.config.lr, fused=True)


def step(model: VAE, optimiser: torch.optim.Optimizer, x: Tensor) -> Tensor:
    """One step on x (B,C,H,W), all of it written out: -> the negative ELBO before it, ()."""
    mu, log_var = model.encoder(x).chunk(2, dim=1)
    z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
    error = F.binary_cross_entropy_with_logits(model.decoder(z), x, reduction="sum")
    kl = -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum()
    loss = (error + kl) / len(x)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


class Clock:
    """Runs from its making on. Read only when a GPU has done all that it was told."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.start = self.now()

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self) -> float:
        return self.now() - self.start


# --- repeats ----------------------------------------------------------------------------------------------------


def taking_turns(sides: Sequence[Side], repeats: int, device: torch.device) -> Iterator[Repeat]:
    """All sides once a repeat, forwards and backwards in turn."""
    for repeat in range(repeats):
        order = range(len(sides)) if repeat % 2 == 0 else reversed(range(len(sides)))
        speeds = {index: measured(sides[index], device) for index in order}
        yield {name: speed for index in sorted(speeds) for name, speed in speeds[index].items()}


def measured(side: Side, device: torch.device) -> Repeat:
    gc.collect()  # a model of the side before may hang in a cycle
    if device.type != "cuda":
        return {name: Speed(images) for name, images in side().items()}
    held = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    speeds = side()
    peak = torch.cuda.max_memory_allocated(device) - held
    return {name: Speed(images, peak) for name, images in speeds.items()}


def table(repeats: Sequence[Repeat]) -> str:
    """Medians over the repeats; of the ratios of ours to each side, taken repeat by repeat, also the extremes."""
    with_memory = any(speed.peak for one in repeats for speed in one.values())
    heads = ["side", "images/s", "ours is … times as fast", "extremes", *(["peak MB"] if with_memory else [])]
    rows = []
    for name in repeats[0]:
        ratios = [one["ours"].images / one[name].images for one in repeats]
        row = [
            name,
            f"{median(one[name].images for one in repeats):,.0f}",
            f"{median(ratios):.2f}",
            f"{min(ratios):.2f}–{max(ratios):.2f}",
        ]
        if with_memory:
            row.append(f"{max(one[name].peak for one in repeats) / 1e6:,.0f}")
        rows.append(row)
    lines = [f"| {' | '.join(row)} |" for row in [heads, *rows]]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


if __name__ == "__main__":
    main()
