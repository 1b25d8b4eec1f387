"""How models stand damage: method × corruption × level × noise seed, always against the clean picture.

    mse      of what comes back per pixel; psnr is 10 log10(1/mse) of a picture's mse over the noise seeds
    ssim     of what comes back (Wang et al. 2004)
    drift    ||z(x~) - z(x)|| / sqrt(E||z - E z||^2): how far the code moves, in units of the spread of codes, so that rescaling
             encoder and decoder changes nothing
    probe    share of pictures whose class a linear probe, trained on codes of clean training pictures, still reads

Each picture has noise of its own for every corruption and seed, the same at all levels and for all methods: differences are
paired, and neither batches nor order change a number.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from core.corruption import BY_NAME, LEVELS, corrupt, scale_for, severity
from core.dataset import Dataset, Split
from core.evaluation import PCA, ssim_of_each
from core.family import Autoencoder
from core.files import writing
from core.pictures import as_floats
from core.run import Run
from core.sampling import refine
from core.tensors import read_tensors, write_tensors

VERSION = 2  # of the numbers; a change in what they mean asks for a new one
# Methods without weights whose settings changed: their numbers alone are made anew.
REVISED = {"nl-means": 2, "wavelet": 2}
FEW = 100  # pictures for what is slow
PROBE_PICTURES = 5_000
SEARCH_STEPS = 100
BATCH = 500
SMALLEST_FOR_SSIM = 3
ROUNDING = 1 / (12 * 255**2)  # the mean squared error of 8 bits


@dataclass(frozen=True)
class Protocol:
    """What is measured. Raises ValueError in words."""

    pictures: int = 1_000
    seeds: int = 3
    corruptions: tuple[str, ...] = tuple(BY_NAME)

    def __post_init__(self) -> None:
        for name, most in (("pictures", 100_000), ("seeds", 100)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name} is a whole number from 1 to {most:,}, not {value!r}")
        unknown = [name for name in self.corruptions if name not in BY_NAME]
        if unknown or not self.corruptions or len(set(self.corruptions)) < len(self.corruptions):
            raise ValueError(
                f"corruptions are one or more, each once, of {', '.join(BY_NAME)}; not {unknown or self.corruptions}"
            )

    def key(self, fingerprint: str) -> str:
        """Under which results on data with this fingerprint are kept."""
        told = f"{VERSION}/{fingerprint}/{self.pictures}/{self.seeds}/{','.join(self.corruptions)}"
        return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()

    def subset(self, split: Split) -> np.ndarray:
        """Which pictures of a split are measured: the same for everyone, those of slow methods first."""
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))
        return order[: self.pictures].numpy()


# --- what is measured -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Method:
    """Something that gives pictures back.

    `rebuild` maps x~ (B,C,H,W) to what comes back and its codes, None where it has none.
    """

    key: str
    title: str
    rebuild: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    codes: Callable[[Tensor], Tensor] | None = None  # of clean pictures
    most: int | None = None  # pictures, where it is slow


def of_model(run: Run, model: Autoencoder) -> Method:
    def rebuild(x: Tensor) -> tuple[Tensor, Tensor]:
        z = model.encode(x)
        return model.decode(z), z

    return Method(run.id, run.title, rebuild, model.encode)


def searching(run: Run, model: Autoencoder) -> Method:
    """The same decoder, its codes searched from the encoder's on: on few pictures."""

    def rebuild(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(False):
            *_, found = refine(model, x.clone(), SEARCH_STEPS)
        return model.decode(found.codes), found.codes

    return Method(f"{run.id}+search", f"{run.title}, codes searched", rebuild, None, FEW)


def nothing() -> Method:
    return Method("nothing", "Doing nothing", lambda x: (x, None))


def median() -> Method:
    """Of 3x3 pixels in each channel."""
    from scipy.ndimage import median_filter

    def rebuild(x: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(median_filter(x.numpy(), size=(1, 1, 3, 3), mode="nearest")), None

    return Method("median", "Median 3×3", rebuild)


def linear(data: Dataset, numbers: int) -> Method:
    """PCA of the training pictures with as many numbers as a code."""
    pca = PCA(data, numbers)
    axes, mean = torch.from_numpy(pca.axes.copy()), torch.from_numpy(pca.mean.copy())

    def codes(x: Tensor) -> Tensor:
        return (x.flatten(1).double() - mean) @ axes.T

    def rebuild(x: Tensor) -> tuple[Tensor, Tensor]:
        z = codes(x)
        return (z @ axes + mean).clamp(0, 1).to(x).view_as(x), z

    return Method(f"pca-{numbers}", f"PCA, {len(axes)} numbers", rebuild, codes)


def classical() -> list[Method]:
    """Denoisers of scikit-image with the noise estimated from the picture, on few pictures.

    NL-means and wavelets are set as in its examples, total variation weighs as much as the noise.
    """
    from skimage import restoration

    def sigma(pixels: np.ndarray, axis: int | None) -> float:
        """A picture in which no wavelet stirs has none to estimate."""
        found = restoration.estimate_sigma(pixels, average_sigmas=True, channel_axis=axis)
        return max(1e-6, float(np.nan_to_num(found)))

    def means(pixels: np.ndarray, axis: int | None) -> Any:
        s = sigma(pixels, axis)
        return restoration.denoise_nl_means(pixels, 5, 6, h=0.6 * s, sigma=s, channel_axis=axis)

    def variation(pixels: np.ndarray, axis: int | None) -> Any:
        return restoration.denoise_tv_chambolle(pixels, sigma(pixels, axis), channel_axis=axis)

    def wavelet(pixels: np.ndarray, axis: int | None) -> Any:
        options = dict(channel_axis=axis, convert2ycbcr=axis is not None, rescale_sigma=True)
        return restoration.denoise_wavelet(pixels, method="BayesShrink", **options)

    def alone(change: Callable[[np.ndarray, int | None], Any], pixels: np.ndarray) -> np.ndarray:
        """One picture (C,H,W). A single channel goes without its axis, which not all of them understand."""
        changed = change(pixels[0], None) if len(pixels) == 1 else change(pixels, 0)
        return np.asarray(changed).reshape(pixels.shape)

    def each(change: Callable[[np.ndarray, int | None], Any]) -> Callable[[Tensor], tuple[Tensor, None]]:
        def rebuild(x: Tensor) -> tuple[Tensor, None]:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore", RuntimeWarning)  # of flat pictures, see `sigma`
                changed = [alone(change, one) for one in x.double().numpy()]
            found = torch.tensor(np.array(changed)).to(x)
            return torch.where(found.isfinite(), found, x).clamp(0, 1), None

        return rebuild

    named = {
        "nl-means": ("NL-means", means),
        "tv": ("Total variation", variation),
        "wavelet": ("Wavelet, BayesShrink", wavelet),
    }
    return [Method(key, title, each(change), None, FEW) for key, (title, change) in named.items()]


class Probe:
    """A linear probe: multinomial logistic regression on standardised codes of clean training pictures."""

    def __init__(self, codes: Tensor, labels: np.ndarray) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self.model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000))
        self.model.fit(codes.double().numpy(), labels)

    def right(self, codes: Tensor, labels: np.ndarray) -> Tensor:
        """(B,) 1 where the class is still read, else 0."""
        return torch.from_numpy(self.model.predict(codes.double().numpy()) == labels).float()

    @classmethod
    @torch.inference_mode()
    def of(cls, codes: Callable[[Tensor], Tensor], data: Dataset) -> Probe | None:
        """None where pictures have no classes, or all the same."""
        labels = data.train.labels
        if labels is None or data.test.labels is None:
            return None
        order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0)).numpy()
        some = np.sort(order[:PROBE_PICTURES])
        if len(np.unique(labels[some])) < 2:
            return None
        seen = as_floats(data.train.images[some]).split(BATCH)
        return cls(torch.cat([codes(x).cpu() for x in seen]), labels[some])


# --- measuring --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Measured:
    """Of one method, by picture, in the mean over the noise seeds: (corruptions, 1 + levels, n), level 0 clean."""

    KEPT: ClassVar[Mapping[str, torch.dtype]] = {
        "mse": torch.float32, "ssim": torch.float16, "drift": torch.float16, "probe": torch.float16
    }  # fmt: skip

    LIMITS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "mse": (0, 1), "ssim": (-1, 1), "drift": (0, math.inf), "probe": (0, 1)
    }  # fmt: skip

    mse: Tensor
    ssim: Tensor | None = field(default=None)  # below 3x3 there is none
    drift: Tensor | None = field(default=None)
    probe: Tensor | None = field(default=None)

    @property
    def n(self) -> int:
        return self.mse.shape[2]

    def values(self, metric: str) -> Tensor | None:
        """By the key of a metric; psnr from mse, infinite where no picture of a cell differs.

        Some damages leave a few pictures as they are. These count as if 8 bits had rounded them, 58.9 dB: one infinite number
        would say nothing of the others.
        """
        if metric == "psnr":
            undamaged = (self.mse == 0).all(-1, keepdim=True)
            return (-10 * self.mse.clamp_min(ROUNDING).log10()).masked_fill(undamaged, math.inf)
        found = getattr(self, metric)
        assert found is None or isinstance(found, Tensor)
        return found

    def packed(self) -> dict[str, Tensor]:
        """Clean pictures once, not for every corruption."""
        parts: dict[str, Tensor] = {}
        for name, kind in self.KEPT.items():
            values = getattr(self, name)
            if values is not None:
                parts |= {f"{name}.clean": values[0, 0].to(kind), f"{name}.damaged": values[:, 1:].to(kind)}
        return parts

    @classmethod
    def unpacked(cls, tensors: Mapping[str, Tensor], protocol: Protocol) -> Measured:
        """Raises KeyError, ValueError or RuntimeError where these are no measurements under this protocol."""
        found: dict[str, Tensor] = {}
        corruptions = len(protocol.corruptions)
        for name in cls.KEPT:
            if name != "mse" and f"{name}.clean" not in tensors:
                continue
            clean, damaged = tensors[f"{name}.clean"].float(), tensors[f"{name}.damaged"].float()
            if clean.ndim != 1 or not 1 <= len(clean) <= protocol.pictures:
                raise ValueError(f"{name} is not of so many pictures")
            if damaged.shape != (corruptions, len(LEVELS), len(clean)):
                raise ValueError(f"{name} has another shape")
            low, high = cls.LIMITS[name]
            if not all((part.isfinite() & (part >= low) & (part <= high)).all() for part in (clean, damaged)):
                raise ValueError(f"{name} is no such number")
            found[name] = torch.cat([clean.expand(corruptions, 1, -1), damaged], 1)
        if len({tensor.shape for tensor in found.values()}) != 1:
            raise ValueError("these are not of the same pictures")
        return cls(**found)


@dataclass(frozen=True, eq=False)
class Progress:
    fraction: float
    text: str


def measure(
    methods: Sequence[Method], data: Dataset, protocol: Protocol, batch: int = BATCH
) -> Iterator[Progress | dict[str, Measured]]:
    """Yield how far it is before every damage, and at the end what was measured, by the keys of the methods."""
    chosen = protocol.subset(data.test)
    x = as_floats(data.test.images[chosen])
    labels = None if data.test.labels is None else data.test.labels[chosen]
    sinks = []
    for place, method in enumerate(methods, 1):
        yield Progress(0.0, f"Preparing {method.title}, {place} of {len(methods)}")
        probe = Probe.of(method.codes, data) if method.codes else None
        sinks.append(Sink(method, x, labels, probe, protocol, batch))
    yield from ordeal(sinks, x, chosen.tolist(), protocol)


def measure_pictures(
    methods: Sequence[Method], x: Tensor, protocol: Protocol
) -> Iterator[Progress | dict[str, Measured]]:
    """The same of any pictures x (n,C,H,W) in [0,1], which belong to no data: without drift and probe."""
    sinks = [Sink(replace(method, codes=None), x, None, None, protocol, BATCH) for method in methods]
    yield from ordeal(sinks, x, list(range(len(x))), protocol)


def ordeal(
    sinks: Sequence[Sink], x: Tensor, names: Sequence[int], protocol: Protocol
) -> Iterator[Progress | dict[str, Measured]]:
    """Every damage once, for all. A picture's noise depends on its name."""
    total = len(protocol.corruptions) * len(LEVELS) * protocol.seeds
    done = 0
    for kind, name in enumerate(protocol.corruptions):
        _, channels, height, width = x.shape
        scale = scale_for(name, (channels, height, width))
        for seed in range(protocol.seeds):
            for level in LEVELS:
                told = f"{BY_NAME[name].title}, level {level}, noise {seed + 1} of {protocol.seeds}"
                yield Progress(done / total, told)
                rngs = [randomness(name, seed, picture) for picture in names]
                damaged = corrupt(x, name, severity(name, level, scale), rngs)
                for sink in sinks:
                    sink.add(damaged, kind, level)
                done += 1
    yield {sink.method.key: sink.measured() for sink in sinks}


def randomness(name: str, seed: int, picture: int) -> torch.Generator:
    """Of one picture, by its place in the test set: whatever else is measured, it is damaged alike."""
    digest = hashlib.blake2b(f"{name}/{seed}/{picture}".encode(), digest_size=7).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest))


class Sink:
    """What a method has to be asked, and the sums of its answers."""

    def __init__(
        self,
        method: Method,
        x: Tensor,
        labels: np.ndarray | None,
        probe: Probe | None,
        protocol: Protocol,
        batch: int,
    ) -> None:
        self.method, self.probe, self.batch, self.seeds = method, probe, batch, protocol.seeds
        most = min(len(x), method.most or len(x))
        self.x, self.labels = x[:most], None if labels is None else labels[:most]
        self.clean = self.spread = None
        if method.codes:
            with torch.inference_mode():
                self.clean = torch.cat([method.codes(some) for some in self.x.split(batch)])
            centred = self.clean - self.clean.mean(0)
            self.spread = centred.square().sum(1).mean().sqrt()
            if not self.spread > 0:  # of one picture, say: there is nothing to measure drift by
                self.clean = None
        shape = (len(protocol.corruptions), 1 + len(LEVELS), most)
        there = {
            "mse": True,
            "ssim": min(x.shape[2:]) >= SMALLEST_FOR_SSIM,
            "drift": self.clean is not None,
            "probe": probe is not None,
        }
        self.sums = {name: torch.zeros(shape, dtype=torch.double) for name, wanted in there.items() if wanted}
        self.add(self.x, slice(None), 0)
        for sums in self.sums.values():
            sums[:, 0] *= self.seeds  # undamaged, every seed is the same

    @torch.inference_mode()
    def add(self, damaged: Tensor, kind: int | slice, level: int) -> None:
        for first in range(0, len(self.x), self.batch):
            some = slice(first, min(first + self.batch, len(self.x)))
            x = self.x[some]
            back, codes = self.method.rebuild(damaged[some])
            self.sums["mse"][kind, level, some] += (back.double() - x).square().flatten(1).mean(1)
            if "ssim" in self.sums:
                self.sums["ssim"][kind, level, some] += ssim_of_each(back, x)
            if codes is not None and self.clean is not None:
                moved = torch.linalg.vector_norm(codes - self.clean[some], dim=1) / self.spread
                self.sums["drift"][kind, level, some] += moved
            if codes is not None and self.probe and self.labels is not None:
                self.sums["probe"][kind, level, some] += self.probe.right(codes.cpu(), self.labels[some])

    def measured(self) -> Measured:
        """As exact as it can be kept, so that a number is the same when it is read again."""
        kept = Measured.KEPT
        means = {name: sums / self.seeds for name, sums in self.sums.items()}
        within = {name: mean.clamp(max=torch.finfo(kept[name]).max) for name, mean in means.items()}
        return Measured(**{name: mean.to(kept[name]).float() for name, mean in within.items()})


# --- keeping ----------------------------------------------------------------------------------------------------


def file_name(data: Dataset | Mapping[str, Any], protocol: Protocol) -> str:
    fingerprint = data.fingerprint if isinstance(data, Dataset) else str(data.get("fingerprint", ""))
    return f"robustness-{protocol.key(fingerprint)}"


def keep(run: Run, data: Dataset, protocol: Protocol, found: Measured) -> None:
    """In the run, by its weights. Raises StoreError where nothing can be written."""
    run.keep(file_name(data, protocol), found.packed())


def kept(run: Run, data: Dataset | Mapping[str, Any], protocol: Protocol) -> Measured | None:
    """What was measured of the weights as they are now; `data` may be a run's record of it."""
    return run.kept(file_name(data, protocol), lambda tensors: Measured.unpacked(tensors, protocol))


def baseline_file(root: Path, key: str, data: Dataset | Mapping[str, Any], protocol: Protocol) -> Path:
    """Where a method without weights is kept: beside the runs."""
    revision = f"-{REVISED[key]}" if key in REVISED else ""
    return root / ".baselines" / f"{file_name(data, protocol)}-{key}{revision}.safetensors"


def keep_baseline(root: Path, key: str, data: Dataset, protocol: Protocol, found: Measured) -> None:
    """Raises StoreError where nothing can be written."""
    file = baseline_file(root, key, data, protocol)
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(file, found.packed(), {})


def kept_baseline(
    root: Path, key: str, data: Dataset | Mapping[str, Any], protocol: Protocol
) -> Measured | None:
    try:
        tensors, _ = read_tensors(baseline_file(root, key, data, protocol))
        return Measured.unpacked(tensors, protocol)
    except (OSError, ValueError, KeyError, RuntimeError):
        return None


def trained_on(run: Run) -> tuple[str, ...]:
    """The corruptions that a run saw while it learnt: what is chosen by its settings that offer nothing else."""
    config = run.record.settings()
    offered = [one for one in config.settings() if one.choices and set(one.choices) <= set(BY_NAME)]
    return tuple(getattr(config, one.name) for one in offered)
