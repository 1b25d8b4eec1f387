"""Photographs through the bottleneck, beside JPEG and WebP of as many bytes: `python -m benchmarks.rates --images FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.denoise import pictures
from core.families.photo_autoencoder import PhotoAutoencoder
from core.rates import coloured, compared
from core.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--run", default="photos-autoencoder", metavar="RUN")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = Store().run(options.run).restorer()
    if not isinstance(model, PhotoAutoencoder):
        raise SystemExit(f"{options.run} has no bottleneck for photographs.")
    photographs = list(pictures(options.images))
    print(f"{len(photographs)} pictures")
    for k in model.config.rates:
        rows = [compared(coloured(picture), model, k) for picture in photographs]
        for mine in zip(*rows, strict=True):
            bits = np.mean([8 * row.size / row.picture[..., 0].size for row in mine])
            psnr, ssim = (
                np.mean([row.psnr for row in mine]),
                np.mean([row.ssim for row in mine if row.ssim is not None]),
            )
            larger = np.mean([row.larger for row in mine])
            more = f", larger than allowed on {larger:.0%}" if larger else ""
            print(
                f"{k:3} numbers  {mine[0].title:18} {bits:.3f} bits a pixel  {psnr:.2f} dB  {ssim:.4f}{more}",
                flush=True,
            )


if __name__ == "__main__":
    main()
