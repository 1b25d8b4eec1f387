"""Small models for photographs, and files as cameras write them."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import ExifTags, Image

from core.families.photo_autoencoder import PhotoAutoencoder
from core.families.photo_denoiser import PhotoDenoiser
from core.store import Run, Store
from core.training import Plan
from tests import toy


def denoiser(store: Store, noise: str = "gaussian", name: str = "") -> Run:
    """A run that answers at once: its net is small and has learnt nothing."""
    config = PhotoDenoiser.Config(widths=(6, 8), blocks=(1, 1), noise=noise)
    model = PhotoDenoiser(config, (3, 32, 32))
    model.initialise(torch.Generator().manual_seed(0))
    run = store.create(model, Plan(epochs=1, threads=1), toy.dataset((3, 32, 32)), name)
    run.save_weights(model)
    run.update(status="completed")
    return run


def autoencoder(store: Store) -> Run:
    """Likewise, a bottleneck for photographs."""
    config = PhotoAutoencoder.Config(rates=(2, 4), width=8, fine=8, blocks=(1, 1))
    model = PhotoAutoencoder(config, (3, 32, 32))
    model.initialise(torch.Generator().manual_seed(0))
    run = store.create(model, Plan(epochs=1, threads=1), toy.dataset((3, 32, 32)), "Bottleneck")
    run.save_weights(model)
    run.update(status="completed")
    return run


def scene(width: int, height: int, noise: float = 12.0, seed: int = 0) -> np.ndarray:
    """Soft light from the left, a darker ground below, and noise: uint8 (height,width,3)."""
    draw = np.random.default_rng(seed)
    across, down = np.linspace(40, 200, width), np.linspace(1.0, 0.5, height)[:, None]
    pixels = (across * down)[..., None] * np.array([1.0, 0.9, 0.7])
    pixels[height // 2 :] *= 0.6
    return (pixels + draw.normal(0, noise, pixels.shape)).clip(0, 255).round().astype(np.uint8)


def jpeg(pixels: np.ndarray, orientation: int = 1, quality: int = 90) -> bytes:
    """As a camera writes it: with its name and date, and lying on its side where `orientation` says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Bottleneck"
    exif[ExifTags.Base.DateTime] = "2026:11:25 12:00:00"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()
