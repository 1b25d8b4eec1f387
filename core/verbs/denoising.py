"""Photographs cleaned: `denoise`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.verbs.console import BadInput, read_file, save, say

if TYPE_CHECKING:
    from core.families.photo_denoiser import PhotoDenoiser

AUTO = "auto"


def denoise(options: argparse.Namespace) -> None:
    """Files that cannot be read are said and left out; bad input where nothing could be cleaned."""
    from core import original, photos
    from core.intake import Refused
    from core.photos import STRENGTHS, Wish

    low, high = STRENGTHS
    if not low <= options.strength <= high or not 0 <= options.texture <= 1:
        raise BadInput(f"--strength lies between {low} and {high}, --texture between 0 and 1")
    models = chosen(options)
    wish = Wish(options.strength, options.texture)
    cleaned = 0
    for path, under in wanted(options.file):
        try:
            photo = original.read(read_file(path), path.name)
        except (Refused, BadInput) as error:
            say(f"left out: {error}")
            continue
        x = photos.as_colour(photo.pixels)
        name, noise = photos.fitting(models, x)
        pixels = photos.finished(photos.restored(models[name], photo.pixels, wish.knowing(noise)))
        file = options.out / under / original.denoised_name(photo)
        if file.resolve() == path.resolve():
            raise BadInput(f"{file} is one of the pictures that came in: choose another --out")
        save(file, original.write(photo, pixels))
        cleaned += 1
        say(f"{path}: noise {255 * noise.sigma:.1f} of 255, {noise.kind}; cleaned by {name}")
        print(file)
    if not cleaned:
        raise BadInput(
            "no picture was cleaned: name PNG, JPEG, WebP, BMP, TIFF or GIF files, or folders of them"
        )


def chosen(options: argparse.Namespace) -> dict[str, PhotoDenoiser]:
    """The models to choose from: all of the store, or the one that was named. Raises StoreError or BadInput."""
    from core.families.photo_denoiser import PhotoDenoiser
    from core.photos import denoisers
    from core.store import Store

    store = Store(options.store)
    runs = denoisers(store) if options.model == AUTO else {options.model: store.run(options.model)}
    if not runs:
        raise BadInput(
            "there is no model that cleans photographs; train one with "
            "`python -m core train --family photo_denoiser --dataset pieces:FOLDER`"
        )
    models = {}
    for id, run in runs.items():
        model = run.restorer()
        if not isinstance(model, PhotoDenoiser):
            raise BadInput(f"{id} does not remove noise; choose one of {', '.join(denoisers(store))}")
        models[id] = model
    return models


def wanted(paths: list[Path]) -> Iterator[tuple[Path, Path]]:
    """Pictures, and the folder below --out for each: files as they are named, folders with all that lies in them."""
    from core.folders import picture_files

    for path in paths:
        if path.is_dir():
            for file in picture_files(path.resolve()):
                yield path / file.path, Path(file.path).parent
        else:
            yield path, Path()
