"""The one training loop: a generator of plain events. It knows no family, no disk and no screen.

    training = Training(model, plan)
    for event in train(training, data):
        ...

`Training` is all that has to survive for a run to go on as if it had never been interrupted; its `state` is saved
by the store. Every number that enters the history comes from the plan's seed, whatever other threads draw.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from core.dataset import Dataset, Split
from core.family import Autoencoder, Family, Turn
from core.pictures import as_bytes, as_floats
from core.plane import flattened

VALIDATION_BATCH = 500
SCATTERED = 2_000  # validation pictures whose codes are followed through training
FIT_CODES = 10_000  # of training pictures, behind ten covariances; 2,000 were a quarter farther from the data (Fréchet)
PREVIEW_CODES = 2_000
STOP_CODES = 500  # where somebody waits
RESIDENT_BYTES = 2**31  # more pixels than this stay where they are, memory-mapped
MOST_EPOCHS = 1_000  # that a budget proposes: few pictures are soon known by heart
FAR = 0x9E3779B1  # an odd step from seed to seed: no two of them meet modulo 2^32
NOISE, VALIDATION, PREVIEWS = range(2**31, 2**31 + 3)  # places beyond any epoch
READ_EVERY = 0.1  # seconds between two looks at the numbers of a device


# --- what to do -------------------------------------------------------------------------------------------------


LIMITS: Mapping[str, tuple[type, int, int]] = {
    "epochs": (int, 1, 100_000),
    "seconds": (float, 1, 30 * 86_400),
    "batch_size": (int, 2, 65_536),
    "seed": (int, 0, 2**31 - 1),
    "threads": (int, 0, 1_024),
    "previews": (int, 0, 1_000),
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A budget, in epochs or in seconds, and what else decides the history. Raises ValueError in words."""

    epochs: int | None = None
    seconds: float | None = None
    batch_size: int = 64
    seed: int = 0
    threads: int = 0  # of torch on a CPU; 0: `spare_cores`
    previews: int = 24  # how often pictures are made over the run, after its first epoch

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.seconds is None):
            raise ValueError("a plan has either epochs or seconds")
        for name, (kind, low, high) in LIMITS.items():
            value = getattr(self, name)
            if value is None and name in ("epochs", "seconds"):
                continue
            if type(value) not in (int, kind) or not low <= value <= high:
                words = f"{'a whole number' if kind is int else 'a number'} from {low} to {high}"
                raise ValueError(f"{name.replace('_', '-')} takes {words}, not {value!r}")
        if not self.threads:
            object.__setattr__(self, "threads", spare_cores())


BUDGETS: Mapping[str, int] = {
    "quick": 275_000,
    "balanced": 1_375_000,
    "best": 5_500_000,
}  # pictures seen, with repeats


def epochs_for(budget: str, pictures: int) -> int:
    """How often a budget of `BUDGETS` goes through that many training pictures: 5, 25 and 100 times through MNIST's."""
    return min(MOST_EPOCHS, max(1, round(BUDGETS[budget] / max(1, pictures))))


def spare_cores() -> int:
    """All but one: torch on every core of a busy machine was seen to be 20 times slower."""
    return max(1, (os.cpu_count() or 1) - 1)


def free_cores() -> int:
    """What the last minute left free, at least one: a second thread that had to wait for its core doubled the time."""
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # not on every system
        return 1
    return max(1, round((os.cpu_count() or 1) - load))


def take_threads(plan: Plan) -> int:
    """Those of the plan, as far as there are cores for them: a run may go on on a smaller machine. How many that is."""
    threads = min(plan.threads, os.cpu_count() or 1)
    torch.set_num_threads(threads)
    return threads


def device_named(name: str) -> torch.device:
    """`auto` is cuda, else mps, else cpu. Raises ValueError where there is no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    there = [kind for kind, usable in available.items() if usable]
    name = there[0] if name == "auto" else name
    if name not in there:
        raise ValueError(f"no device {name!r} here; there is {', '.join(there)}, or auto")
    return torch.device(name)


# --- what happens -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stepped:
    step: int
    epoch: int
    progress: float  # 0…1
    numbers: Mapping[str, float]  # this step's terms
    seconds: float  # spent on the run so far


@dataclass(frozen=True)
class Previews:
    """uint8 (n,C,H,W): the same validation pictures and the same noise every time."""

    reconstructions: np.ndarray
    samples: np.ndarray
    # (n,2) of the codes of the first validation pictures, on their two main axes
    places: Tensor | None = None
    labels: Tensor | None = None  # (n,) of these pictures


@dataclass(frozen=True)
class EpochEnded:
    epoch: int  # from 1
    step: int
    progress: float
    train: Mapping[str, float]  # means over the epoch
    validation: Mapping[str, float]
    seconds: float
    images_per_second: float
    previews: Previews | None


@dataclass(frozen=True)
class Finished:
    reason: str  # "completed" or "stopped"
    seconds: float


@dataclass(frozen=True)
class Diverged:
    """A number stopped being finite; the model holds the last weights that gave finite ones."""

    step: int
    player: str


Event = Stepped | EpochEnded | Finished | Diverged


# --- the state of a run -----------------------------------------------------------------------------------------


class Training:
    """A model under way: weights, optimisers, random numbers and counters. Draws the model's first weights."""

    def __init__(self, model: Family, plan: Plan) -> None:
        self.model, self.plan = model, plan
        self.device = model.device
        # on the CPU, so that the first weights are the same on any device
        model.to("cpu").initialise(torch.Generator().manual_seed(plan.seed))
        model.to(self.device)
        self.rng = seeded(plan.seed, NOISE, self.device)
        self.players = model.players()
        self.optimisers = [
            player.optimiser([p for p in player.module.parameters() if p.requires_grad])
            for player in self.players
        ]
        self.peak_rates = [optimiser.param_groups[0]["lr"] for optimiser in self.optimisers]
        self.epoch = self.step = self.position = 0  # position: batches done of this epoch
        self.due = 0  # previews up to the end of the last epoch
        self.seconds = 0.0
        self.progress = 0.0
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def play(self, x: Tensor) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
        """One step of every player whose turn it is on x (B,C,H,W): name, total and terms, before the weights change."""
        falling = 0.5 * (1 + math.cos(math.pi * self.progress))
        for player, optimiser, peak in zip(self.players, self.optimisers, self.peak_rates, strict=True):
            if self.step % player.every:
                continue
            turn = Turn(self.rng, player.name, self.step, self.progress)
            minimise, watch = loss = self.model.loss(x, turn)
            total = loss.total
            terms = {name: value.detach() for name, value in {**minimise, **watch}.items()}
            yield player.name, total.detach(), terms
            parameters = optimiser.param_groups[0]["params"]
            optimiser.zero_grad()
            total.backward(inputs=parameters)
            optimiser.param_groups[0]["lr"] = peak * falling
            optimiser.step()
            self.model.after_step(turn)

    def add(self, terms: Mapping[str, Tensor]) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Of this epoch so far."""
        return {name: total.item() / self.counts[name] for name, total in self.sums.items()}

    def weights(self) -> dict[str, Tensor]:
        """A copy of what the model has learnt."""
        return {name: value.clone() for name, value in self.model.state_dict().items()}

    def diverged(self) -> str | None:
        """The player whose weights are no longer finite."""
        for player in self.players:
            if not all(weights.isfinite().all() for weights in player.module.parameters()):
                return player.name
        return None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and plain numbers from which `restore` goes on exactly here."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {
                    f"optimiser.{player.name}.{index}.{name}": value for name, value in moments.items()
                }
        tensors |= {f"sum.{name}": value for name, value in self.sums.items()}
        tensors["rng"] = self.rng.get_state()
        counters = {
            name: getattr(self, name) for name in ("epoch", "step", "position", "due", "seconds", "counts")
        }
        return tensors, counters

    def restore(self, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
        """Raises KeyError or RuntimeError where the state is not that of such a model."""

        def below(prefix: str) -> dict[str, Tensor]:
            return {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }

        self.model.load_state_dict(below("model."))
        for player, optimiser in zip(self.players, self.optimisers, strict=True):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in below(f"optimiser.{player.name}.").items():
                index, _, kind = name.partition(".")
                moments.setdefault(int(index), {})[kind] = value
            optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
            for weights, loaded in optimiser.state.items():
                loaded |= {kind: laid_out(value, weights) for kind, value in loaded.items()}
        self.sums = {name: value.to(self.device) for name, value in below("sum.").items()}
        self.rng.set_state(tensors["rng"].cpu())
        self.epoch, self.step, self.position = counters["epoch"], counters["step"], counters["position"]
        self.due, self.seconds, self.counts = counters["due"], counters["seconds"], dict(counters["counts"])


def laid_out(moment: Tensor, weights: Tensor) -> Tensor:
    """In memory as its weights are, which files do not keep: fused optimisers go through both as they lie there."""
    if moment.shape != weights.shape:  # the count of steps
        return moment
    return torch.empty_like(weights, requires_grad=False).copy_(moment)


# --- the loop ---------------------------------------------------------------------------------------------------


def train(
    training: Training, data: Dataset, should_stop: Callable[[], bool] = lambda: False
) -> Iterator[Event]:
    """Train from where `training` stands to the end of its plan, or until `should_stop`, asked at every step, says yes for good.

    However it ends, the model is left ready for use: finite weights, and a sampler fitted to them.
    """
    pixels = Pixels(data.train.images, training.device)
    ending = yield from epochs(training, data, pixels, should_stop)
    fit_sampler(training, pixels, STOP_CODES if should_stop() else FIT_CODES)
    yield ending


def epochs(
    training: Training, data: Dataset, pixels: Pixels, should_stop: Callable[[], bool]
) -> Generator[Event, None, Finished | Diverged]:
    """The loop itself."""
    model, plan, device = training.model, training.plan, training.device
    batch_size = min(plan.batch_size, len(pixels))
    batches = len(pixels) // batch_size
    clock = Clock(training.seconds)
    last_read = -math.inf
    finite = torch.tensor(True, device=device)
    good = training.weights()

    def update_progress() -> None:
        training.seconds = clock.seconds()
        by_time = training.seconds / (plan.seconds or 1)
        training.progress = min(1.0, training.step / (plan.epochs * batches) if plan.epochs else by_time)

    update_progress()
    while training.progress < 1 or training.position:  # a run may resume between its last step and validation
        order = torch.randperm(len(pixels), generator=seeded(plan.seed, training.epoch + 1))
        began, first_step = clock.seconds(), training.step
        while training.position < batches and training.progress < 1:
            if should_stop():
                return Finished("stopped", training.seconds)
            first = training.position * batch_size
            reading = clock.seconds() - last_read > READ_EVERY
            before = training.weights() if reading else good
            numbers: dict[str, Tensor] = {}
            for player, total, terms in training.play(pixels[order[first : first + batch_size]]):
                finite &= total.isfinite()
                if (device.type == "cpu" or reading) and not finite:
                    model.load_state_dict(good)
                    return Diverged(training.step, player)
                training.add(terms)
                numbers |= terms
            good = before  # only now: the weights of every player have given finite numbers
            training.step += 1
            training.position += 1
            update_progress()
            if reading:
                last_read = clock.seconds()
                plain = {name: value.item() for name, value in numbers.items()}
                yield Stepped(training.step, training.epoch + 1, training.progress, plain, last_read)
        if diverged := training.diverged():
            model.load_state_dict(good)
            return Diverged(training.step, diverged)
        images = (training.step - first_step) * batch_size / max(1e-9, clock.seconds() - began)
        means, validation = training.means(), validate(model, data.validation, plan.seed, should_stop)
        if should_stop():  # the epoch stays open: on resume it is validated as a whole
            return Finished("stopped", training.seconds)
        due = int(plan.previews * training.progress)
        previews = preview(training, data, pixels) if due > training.due or training.epoch == 0 else None
        training.due = due
        training.epoch, training.position, training.sums, training.counts = training.epoch + 1, 0, {}, {}
        update_progress()
        yield EpochEnded(
            training.epoch,
            training.step,
            training.progress,
            means,
            validation,
            training.seconds,
            images,
            previews,
        )
    return Finished("completed", training.seconds)


@torch.no_grad()
def validate(
    model: Family, split: Split, seed: int, should_stop: Callable[[], bool] = lambda: False
) -> dict[str, float]:
    """Means over the validation pictures, with the same noise every time: all terms of all players, and `mse` per pixel.

    Only over those seen so far where `should_stop` cuts it short.
    """
    pixels = Pixels(split.images, model.device)
    rng = seeded(seed, VALIDATION, pixels.device)
    sums: dict[str, float] = {}
    seen = 0
    batches = math.ceil(len(pixels) / VALIDATION_BATCH)
    for some in torch.arange(len(pixels)).chunk(batches):  # even: never one left over
        if should_stop():
            break
        x = pixels[some]
        terms = {"mse": (model.reconstruct(x) - x).square().mean()}
        for player in model.players():
            minimise, watch = model.loss(x, Turn(rng, player.name, progress=1.0))
            terms |= {**minimise, **watch}
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + value.item() * len(x)
        seen += len(x)
    return {name: total / seen for name, total in sums.items()}


@torch.no_grad()
def fit_sampler(training: Training, pixels: Pixels, count: int) -> None:
    """Let an autoencoder learn from the codes of `count` training pictures what its sampler needs."""
    model = training.model
    if not isinstance(model, Autoencoder):
        return
    rng = seeded(training.plan.seed, 0)
    chosen = torch.randperm(len(pixels), generator=rng)[:count]
    codes = torch.cat([model.encode(x) for x in pixels.batches(VALIDATION_BATCH, chosen)])
    if codes.isfinite().all():
        with threadpool_limits(1, "blas"):  # two threads on two busy cores took 30 times as long
            model.fit(codes, rng)


@torch.no_grad()
def preview(training: Training, data: Dataset, pixels: Pixels) -> Previews:
    fit_sampler(training, pixels, PREVIEW_CODES)
    x = as_floats(data.validation.images[showcase(data.validation)]).to(training.device)
    rng = seeded(training.plan.seed, PREVIEWS, training.device)
    rebuilt, others = training.model.preview(x, rng)
    return Previews(as_bytes(rebuilt), as_bytes(others), *scattered(training, data.validation))


def scattered(training: Training, split: Split) -> tuple[Tensor | None, Tensor | None]:
    """Where the first pictures of a split lie among each other, (n,2), and their labels (n,); nowhere without an autoencoder."""
    model = training.model
    if not isinstance(model, Autoencoder):
        return None, None
    pixels = Pixels(split.images[:SCATTERED], training.device)
    codes = torch.cat([model.encode(x) for x in pixels.batches(VALIDATION_BATCH)]).cpu()
    labels = None if split.labels is None else torch.tensor(split.labels[:SCATTERED])
    return flattened(codes), labels


def showcase(split: Split, most: int = 10) -> list[int]:
    """Indices of the pictures that previews show: the first of each class, then simply the first."""
    classes = np.unique(split.labels, return_index=True)[1].tolist() if split.labels is not None else []
    return list(islice(chain(classes, (index for index in range(len(split)) if index not in classes)), most))


# --- pixels, clocks and seeds -----------------------------------------------------------------------------------


class Pixels:
    """uint8 images (N,C,H,W) on the training device, cut into float batches there; memory-mapped where they do not fit."""

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self.images, self.device = images, device
        self.resident = torch.tensor(images, device=device) if images.nbytes <= RESIDENT_BYTES else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor) -> Tensor:
        """Indices (B,) -> float32 (B,C,H,W) in [0,1]."""
        if self.resident is not None:
            return self.resident[index.to(self.device)].float() / 255
        return torch.from_numpy(self.images[index.numpy()]).to(self.device).float() / 255

    def batches(self, size: int, chosen: Tensor | None = None) -> Iterator[Tensor]:
        """The pictures at the indices (n,), else all, in order: float32 (B,C,H,W)."""
        return (self[some] for some in (torch.arange(len(self)) if chosen is None else chosen).split(size))


def seeded(seed: int, place: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for every place, such as an epoch, under a seed, so that it can be made anew on resume.

    Places are numbers below 2^32. A generator of the CPU looks at the low 32 bits of its seed and at no others.
    """
    return torch.Generator(device).manual_seed((FAR * seed + place) % 2**32)


class Clock:
    """Seconds spent on a run, going on from an earlier process."""

    def __init__(self, spent: float) -> None:
        self.start = time.monotonic() - spent

    def seconds(self) -> float:
        return time.monotonic() - self.start
