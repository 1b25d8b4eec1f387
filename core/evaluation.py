"""The numbers behind what the app shows: how much of a picture comes back, and what PCA would keep with a code as small.

MSE    mean squared error per pixel, pixels in [0,1]        SSE    the same summed over a picture's pixels
PSNR   10 log10(1 / MSE) in dB, of each picture             SSIM   Wang et al. 2004, of each picture
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core import elbo, examples
from core.codes import Codes
from core.dataset import Dataset, Split
from core.families.photo_denoiser import PhotoDenoiser
from core.families.vae import VAE
from core.family import Autoencoder, Family
from core.files import write_bytes
from core.photos import sample_psnr
from core.pictures import as_bytes, as_floats, png, sheet
from core.store import Run
from core.training import Pixels, validate

BATCH = 500
ENOUGH = 100  # pictures to say how unusual another one is: an ordinary one lies beyond n others once in n + 1
STRIP = 64  # rows of pixels that are compared at once
SSIM_PICTURES = 1_000  # of a test set; where it is in an order, as MNIST's, 0.002 off the mean of all
MOST_PIXELS = 10_000  # numbers of a picture, beyond which PCA would take many minutes


@dataclass(frozen=True)
class Scores:
    """Of one reconstruction against its picture."""

    mse: float
    sse: float
    psnr: float  # dB; infinite for identical pictures
    ssim: float


def scores(reconstruction: np.ndarray, picture: np.ndarray) -> Scores:
    """Both float (C,H,W) in [0,1]."""
    error = np.square(reconstruction.astype(np.float64) - picture.astype(np.float64))
    mse = float(error.mean())
    return Scores(mse, float(error.sum()), psnr(mse), ssim(reconstruction, picture))


def psnr(mse: float) -> float:
    """In dB for pixels in [0,1]; infinite where nothing differs."""
    return 10 * math.log10(1 / mse) if mse > 0 else math.inf


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    """PSNR of two uint8 pictures (H,W,C) of one shape, however large; infinite where they are equal."""
    strips = (slice(top, top + STRIP) for top in range(0, len(a), STRIP))
    error = sum(int(np.square(a[strip].astype(np.int32) - b[strip]).sum()) for strip in strips)
    return psnr(error / 255**2 / a.size)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of (C,H,W) pictures in [0,1]: scikit-image's, with a window that fits small pictures.

    A 7x7 uniform window, or the largest odd one that the picture holds. Raises ValueError below 3x3.
    """
    from skimage.metrics import structural_similarity

    side = min(7, *a.shape[1:])
    if side < 3:
        raise ValueError(
            f"structural similarity needs pictures of at least 3x3, not {a.shape[1]}x{a.shape[2]}"
        )
    return float(
        structural_similarity(
            a.astype(np.float64),
            b.astype(np.float64),
            data_range=1.0,
            channel_axis=0,
            win_size=side if side % 2 else side - 1,
        )
    )


def ssim_of_each(a: Tensor, b: Tensor) -> Tensor:
    """`ssim` of every pair of two batches (B,C,H,W) at once, float64: (B,).

    A mean over windows is a product with a matrix of bands on either side.
    """
    side = min(7, *a.shape[2:])
    side -= 1 - side % 2
    if side < 3:
        raise ValueError(
            f"structural similarity needs pictures of at least 3x3, not {a.shape[2]}x{a.shape[3]}"
        )
    rows, columns = (windows(size, side).to(a.device) for size in a.shape[2:])
    a, b = a.double(), b.double()

    def mean(x: Tensor) -> Tensor:
        return rows @ x @ columns.T

    mean_a, mean_b = mean(a), mean(b)
    unbiased = side**2 / (side**2 - 1)
    var_a, var_b = (unbiased * (mean(x * x) - m * m) for x, m in ((a, mean_a), (b, mean_b)))
    covariance = unbiased * (mean(a * b) - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2)
    return (above / below).mean((1, 2, 3))


def windows(size: int, side: int) -> Tensor:
    """The means over all windows of `side` along an axis: (size - side + 1, size) float64."""
    starts = torch.arange(size - side + 1)[:, None]
    places = torch.arange(size)
    return ((places >= starts) & (places < starts + side)).double() / side


@torch.inference_mode()
def codes(model: Autoencoder, split: Split) -> Codes:
    """Codes of a split's pictures and the error of each reconstruction."""
    found, errors = [], []
    for x in Pixels(split.images, model.device).batches(BATCH):
        z = model.encode(x)
        found.append(z.cpu())
        errors.append((model.decode(z) - x).square().flatten(1).mean(1).cpu())
    labels = None if split.labels is None else torch.tensor(split.labels)
    return Codes(torch.cat(found), labels, torch.cat(errors))


@torch.inference_mode()
def evaluate(model: Autoencoder, split: Split) -> dict[str, float]:
    """Means over a split of MSE, SSE, PSNR and, over its first 1,000 pictures, SSIM, with the numbers of pictures."""
    errors: list[Tensor] = []
    similarities: list[float] = []
    for x in Pixels(split.images, model.device).batches(BATCH):
        back = model.reconstruct(x)
        errors.append((back - x).square().flatten(1).mean(1).cpu().double())  # MPS has no float64
        if left := SSIM_PICTURES - len(similarities):
            similarities += ssim_of_each(back[:left].cpu(), x[:left].cpu()).tolist()
    mse = torch.cat(errors)
    return {
        "n": len(mse),
        "mse": mse.mean().item(),
        "sse": mse.mean().item() * math.prod(model.shape),
        "psnr": float(np.mean([psnr(value) for value in mse.tolist()])),
        "ssim": float(np.mean(similarities)),
        "ssim_n": len(similarities),
    }


def summarise(run: Run, model: Family, data: Dataset) -> None:
    """Keep a trained run's scores; of an autoencoder test codes and rebuilt examples, too, of a VAE its objective by picture."""
    if not isinstance(model, Autoencoder):
        # crops and noise of one seed, whichever the run learnt with: scores on the same data can be set side by side
        test = {"n": len(data.test), **validate(model, data.test, 0)}
        if isinstance(model, PhotoDenoiser):
            test["sample_psnr"] = sample_psnr(model)
        run.add_metrics(test=test)
        return
    run.save_codes(codes(model, data.test))
    if isinstance(model, VAE):
        elbo.keep(run, elbo.survey(model, data.test))
    shown = as_floats(examples.pictures(model.shape, run.record.dataset["name"]))
    with torch.inference_mode():
        rebuilt = model.reconstruct(shown.to(model.device))
    write_bytes(run.folder / "cache" / "examples.png", png(sheet(as_bytes(rebuilt), len(rebuilt))))
    scores = evaluate(model, data.test)
    run.check_unchanged()
    run.add_metrics(test=scores)


@torch.inference_mode()
def nearest(x: Tensor, split: Split) -> tuple[Tensor, Tensor]:
    """The picture of a split that is most like each of x (n,C,H,W): its index (n,), and the MSE per pixel to it (n,).

    Of samples and training pictures: whether a model has learnt by heart, once set beside the same for test pictures.
    """
    rows, pixels = x.flatten(1), Pixels(split.images, x.device)
    least, index = torch.full((len(x),), math.inf, device=x.device), torch.zeros(len(x), dtype=torch.long)
    for some in torch.arange(len(pixels)).split(BATCH):
        distances = torch.cdist(rows, pixels[some].flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
        value, place = distances.square().div(rows.shape[1]).min(1)
        index = torch.where((value < least).cpu(), some[place.cpu()], index)
        least = torch.minimum(least, value)
    return index, least


class PCA:
    """Principal components of training pictures: the best linear code of its size (Hinton & Salakhutdinov 2006, fig. 2)."""

    def __init__(self, data: Dataset, components: int) -> None:
        """In float64 from the covariance of all training pictures, which is exact. n pictures have n - 1 components."""
        pixels = data.train.images.reshape(len(data.train), -1)
        self.mean = pixels.mean(0, dtype=np.float64) / 255
        covariance = np.zeros((pixels.shape[1],) * 2)
        for first in range(0, len(pixels), 10_000):
            rows = pixels[first : first + 10_000] / 255 - self.mean
            covariance += rows.T @ rows
        _, vectors = np.linalg.eigh(covariance)
        kept = min(components, len(pixels) - 1)
        self.axes = vectors[:, ::-1][:, :kept].T  # (components, pixels), largest variance first

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N,C,H,W) -> float64 of the same shape, not clipped."""
        rows = images.reshape(len(images), -1) / 255 - self.mean
        return (rows @ self.axes.T @ self.axes + self.mean).reshape(images.shape)

    def sse(self, split: Split) -> float:
        """Sum of squared errors per picture, in the mean over a split."""
        return float(np.square(self.reconstruct(split.images) - split.images / 255).sum((1, 2, 3)).mean())


def percentile(error: float, errors: Tensor) -> float:
    """The share (in %) of `errors` (N,) that are below `error`: 100 is like nothing this model has seen."""
    return 100.0 * (errors < error).float().mean().item()


@dataclass(frozen=True, eq=False)
class Rebuilt:
    """One picture as one model gives it back."""

    pixels: np.ndarray  # uint8 (C,H,W)
    # float32 (H,W) in [-1,1], mean over channels: above 0 where the model is too bright
    difference: np.ndarray
    scores: Scores
    percentile: float | None  # among the model's own test errors, where there are enough


@torch.inference_mode()
def rebuild(
    model: Autoencoder, x: Tensor, errors: Tensor | None = None, codes: Tensor | None = None
) -> list[Rebuilt]:
    """Put x (B,C,H,W) through a model; `codes` (B,Z) stand in for the encoder's, `errors` (N,) are those of test pictures."""
    back = (model.reconstruct(x) if codes is None else model.decode(codes)).cpu().numpy()
    found = []
    for rebuilt, picture in zip(back, x.cpu().numpy(), strict=True):
        scored = scores(rebuilt, picture)
        place = None if errors is None or len(errors) < ENOUGH else percentile(scored.mse, errors)
        found.append(Rebuilt(as_bytes(torch.from_numpy(rebuilt)), (rebuilt - picture).mean(0), scored, place))
    return found
