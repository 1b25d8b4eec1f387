"""Every denoiser on clean photographs: `python -m benchmarks.denoise --images FOLDER [--sigmas 15,25,50 [--jpeg Q] | --camera]`.

The protocol of the published tables (DnCNN, DRUNet, SwinIR): white noise is added to pixels in [0,1], from a generator seeded
with 0 for each picture, and neither clipped nor rounded; what comes back is clipped and rounded to 8 bits. A gray picture has one
channel of noise. Ours are not told how strong the noise is; BM3D is, where its package is there (`pip install bm3d==4.0.3`, for
research only). "Ours, automatic" is what page and command line do unless told otherwise. Seconds are of the same process.

With --camera they are taken once more by a camera (`benchmarks.exposure`), with noise that leaves 34 to 38 dB: a stand-in for
real photographs until real ones are measured. Nobody is told anything then, and what counts is the gain over doing nothing,
picture by picture.

With --jpeg, white noise is clipped and rounded, and goes through a JPEG of that quality and 4:2:0, as in a photograph that
somebody has saved. Nobody is told anything then, either.

With --clean, and no folder, photographs that ship in scikit-image go through automatic: how near to the clean picture it stays
(PSNR), and what it gains where sigma 5 was added, clipped and rounded as in a file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from skimage import data
from torch import Tensor

from benchmarks.exposure import taken
from core import damage, intake, photos
from core.dataset import fixed_rng
from core.denoisers import Denoiser, Result, automatic, classical, contest, learnt
from core.evaluation import decibels
from core.families.photo_denoiser import PhotoDenoiser
from core.findings import NOTHING
from core.folders import picture_files
from core.pictures import as_floats, gray_as_one
from core.store import Store

SLOW = ("bm3d", "nl-means", "tv")
CLEAN = ("astronaut", "chelsea", "coffee", "rocket", "camera", "motorcycle_left", "grass", "gravel", "brick")
FAINT = 5.0  # of 255


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    runs = photos.denoisers(Store(options.store))
    models, problems = photos.opened(runs)
    for problem in problems:
        print(f"left out: {problem}")
    if options.clean:
        stays(automatic(models))
        return
    several = everyone(models, {id: runs[id].title for id in models})
    entrants = [one for one in several if one.key == NOTHING or one.key not in options.without]
    photographs = list(islice(pictures(options.images), options.most))
    if not photographs:
        raise SystemExit(f"{options.images} holds no picture that can be read.")
    print(f"{len(photographs)} pictures, {options.threads} threads, torch {torch.__version__}")
    table = []
    for sigma in [None] if options.camera else options.sigmas:
        noise = (
            "camera"
            if sigma is None
            else f"sigma {sigma:g}{f', JPEG {options.jpeg}' if options.jpeg else ''}"
        )
        results = [
            result for clean in photographs for result in measured(clean, sigma, entrants, options.jpeg)
        ]
        before = np.array([result.psnr for result in results if result.key == NOTHING])
        for one in entrants:
            mine = [result for result in results if result.key == one.key]
            gains = np.array([result.psnr for result in mine]) - before
            row = {
                "noise": noise,
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
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", type=Path, metavar="FOLDER")
    what.add_argument(
        "--clean", action="store_true", help="whether automatic leaves clean pictures as they are"
    )
    parser.add_argument("--sigmas", type=lambda text: [float(v) for v in text.split(",")])
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--jpeg", type=int, metavar="Q", help="white noise goes through a file of this quality")
    how.add_argument("--camera", action="store_true", help="noise as of cameras instead of white noise")
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
    options = parser.parse_args()
    told = [
        name for name in ("jpeg", "camera", "sigmas", "most", "without", "json") if getattr(options, name)
    ]
    if options.clean and told:
        parser.error(f"--clean measures one thing: leave out {', '.join(f'--{name}' for name in told)}")
    if options.camera and options.sigmas:
        parser.error("a camera's noise has no sigma: leave out --sigmas or --camera")
    options.sigmas = options.sigmas or [15.0, 25.0, 50.0]
    return options


def everyone(models: Mapping[str, PhotoDenoiser], titles: Mapping[str, str]) -> list[Denoiser]:
    return [*classical(), *([automatic(models)] if models else []), *learnt(models, titles)]


def pictures(folder: Path) -> Iterator[np.ndarray]:
    """uint8 (H,W,C), in the order of their names. Those that cannot be read are said and left out."""
    for file in picture_files(folder.resolve()):
        try:
            picture = intake.read((folder / file.path).read_bytes(), file.path)
        except intake.Refused as error:
            print(f"left out: {error}", flush=True)
            continue
        yield gray_as_one(picture.pixels)


def measured(
    clean: np.ndarray, sigma: float | None, entrants: list[Denoiser], jpeg: int | None = None
) -> Iterator[Result]:
    if sigma is None:
        developed, noisy = taken(clean, torch.Generator().manual_seed(int(clean.sum())))
        yield from contest(developed, photos.as_colour(noisy), None, entrants)
    elif jpeg is not None:
        saved = damage.jpeg(whitened(clean, sigma)[None], jpeg, torch.Generator())[0]
        yield from contest(clean, saved, None, entrants)
    else:
        yield from contest(clean, whitened(clean, sigma), sigma / 255, entrants)


def whitened(clean: np.ndarray, sigma: float) -> Tensor:
    """uint8 (H,W,C) -> (C,H,W) with white noise, neither clipped nor rounded."""
    noisy = clean / 255 + fixed_rng().normal(0, sigma / 255, clean.shape)
    return torch.from_numpy(noisy).float().permute(2, 0, 1)


def stays(one: Denoiser) -> None:
    """Says of every clean picture how near to it a denoiser stays, and what it gains where there is a little noise."""
    for name in CLEAN:
        clean = sample(name)
        noisy = photos.as_pixels(whitened(clean, FAINT), clean.shape[2])
        left, cleaned = (
            next(contest(clean, as_floats(pixels.transpose(2, 0, 1)), None, [one])).psnr
            for pixels in (clean, noisy)
        )
        gain = cleaned - decibels(noisy, clean)
        print(f"{name:16} {left:6.2f} dB to the clean input   {gain:+.2f} dB at sigma {FAINT:g}", flush=True)


def sample(name: str) -> np.ndarray:
    """A picture that ships in scikit-image: uint8 (H,W,C)."""
    pixels = data.stereo_motorcycle()[0] if name == "motorcycle_left" else getattr(data, name)()
    return gray_as_one(np.atleast_3d(pixels))


if __name__ == "__main__":
    main()
