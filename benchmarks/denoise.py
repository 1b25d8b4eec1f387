"""Every denoiser on a folder of clean photographs: `python -m benchmarks.denoise --images FOLDER [--sigmas 15,25,50 | --camera]`.

The protocol of the published tables (DnCNN, DRUNet, SwinIR): white noise is added to pixels in [0,1], from a generator seeded
with 0 for each picture, and neither clipped nor rounded; what comes back is clipped and rounded to 8 bits. Ours are not told how
strong the noise is; BM3D is. Seconds are of the same process and minutes.

With --camera the noise is that of `core.camera`, weak enough for an input of about 34 to 38 dB: a stand-in for real photographs
until real ones are measured. Nobody is told anything then, and what counts is the gain over doing nothing, picture by picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from core import intake, photos
from core.camera import photographed
from core.dataset import fixed_rng
from core.denoisers import Denoiser, Result, classical, contest, learnt
from core.folders import picture_files
from core.store import Store

SLOW = ("bm3d", "nl-means", "tv")
WEAK = (3.2, 5.1)  # of 255: 38 and 34 dB


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    entrants = chosen(options)
    photographs = list(pictures(options.images))[: options.most]
    if not photographs:
        raise SystemExit(f"{options.images} holds no picture that can be read.")
    print(f"{len(photographs)} pictures, {options.threads} threads, torch {torch.__version__}")
    table = []
    for sigma in [None] if options.camera else options.sigmas:
        results = [result for clean in photographs for result in measured(clean, sigma, entrants)]
        before = np.array([result.psnr for result in results if result.key == "nothing"])
        for one in entrants:
            mine = [result for result in results if result.key == one.key]
            gains = np.array([result.psnr for result in mine]) - before
            row = {
                "noise": "camera" if sigma is None else f"sigma {sigma:g}",
                "method": one.title,
                "psnr": float(np.mean([result.psnr for result in mine])),
                "ssim": float(np.nanmean([result.ssim for result in mine])),
                "seconds": float(np.sum([result.seconds for result in mine])),
                "megapixels": sum(clean.shape[0] * clean.shape[1] for clean in photographs) / 1e6,
                "gain": float(gains.mean()),
                "worse": float((gains < 0).mean()),
            }
            table.append(row)
            pace = row["seconds"] / row["megapixels"]
            quality = (
                f"{row['psnr']:6.2f} dB ({row['gain']:+.2f}, worse on {row['worse']:.0%})  {row['ssim']:.4f}"
            )
            print(f"{row['noise']:8}  {one.title:22} {quality}  {pace:7.2f} s a megapixel", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.denoise", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--sigmas", type=lambda text: [float(v) for v in text.split(",")], default=[15.0, 25.0, 50.0]
    )
    parser.add_argument("--camera", action="store_true", help="noise as of cameras instead of white noise")
    parser.add_argument("--store", type=Path, help="the runs; default: models_store/")
    parser.add_argument("--most", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        metavar="KEY",
        help=f"methods to leave out, such as {' '.join(SLOW)}",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> list[Denoiser]:
    runs = photos.denoisers(Store(options.store))
    models = {id: run.restorer() for id, run in runs.items()}
    several = [*classical(), *learnt(models, {id: run.title for id, run in runs.items()})]
    return [one for one in several if one.key not in options.without]


def pictures(folder: Path) -> Iterator[np.ndarray]:
    """uint8 (H,W,3), in the order of their names."""
    for file in picture_files(folder.resolve()):
        pixels = intake.read((folder / file.path).read_bytes(), file.path).pixels
        yield np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels


def measured(clean: np.ndarray, sigma: float | None, entrants: list[Denoiser]) -> Iterator[Result]:
    if sigma is None:
        x = photographed(
            photos.as_colour(clean)[None], torch.Generator().manual_seed(int(clean.sum())), WEAK
        )[0]
        yield from contest(clean, x, None, entrants)
        return
    noisy = clean / 255 + fixed_rng().normal(0, sigma / 255, clean.shape)
    x = torch.from_numpy(noisy).float().permute(2, 0, 1)
    yield from contest(clean, x, sigma / 255, entrants)


if __name__ == "__main__":
    main()
