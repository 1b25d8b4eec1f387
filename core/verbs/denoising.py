"""Photographs cleaned: `denoise`."""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.verbs.console import BadInput, read_file, save, say
from core.verbs.declaring import Verbs

if TYPE_CHECKING:
    from core.families.photo_denoiser import PhotoDenoiser
    from core.store import Run, Store

AUTO = "auto"
TOLD = 10  # endings of files


def declare(verbs: Verbs) -> None:
    one = verbs.add(denoise, "Clean noisy photographs, each at its own size and in its own format.")
    one.add_argument("file", nargs="+", type=named, metavar="FILE", help="pictures, or folders of them")
    one.add_argument(
        "--out", required=True, type=named, metavar="FOLDER",
        help="for the results; pictures that lie there are left out where it is a folder within another",
    )  # fmt: skip
    one.add_argument("--model", default=AUTO, metavar="RUN", help="default: auto, by the kind of noise")
    one.add_argument("--strength", type=float, default=1.0, metavar="X", help="0 to 1.5; default: 1")
    one.add_argument(
        "--texture",
        type=float,
        default=0.0,
        metavar="X",
        help="share of light and dark, grain and all, to give back, 0 to 1",
    )


def named(text: str) -> Path:
    """No text is the working folder to Path, and an empty variable to a shell: all in it would be cleaned."""
    if not text:
        raise argparse.ArgumentTypeError("a file needs a name")
    return Path(text)


def denoise(options: argparse.Namespace) -> None:
    """Files that cannot be read are said and left out; bad input where nothing could be cleaned."""
    import torch

    from core import original, photos
    from core.errors import printable
    from core.intake import Refused
    from core.photos import STRENGTHS, Wish
    from core.training import free_cores

    low, high = STRENGTHS
    if not low <= options.strength <= high or not 0 <= options.texture <= 1:
        raise BadInput(f"--strength lies between {low} and {high}, --texture between 0 and 1")
    models = chosen(options)
    torch.set_num_threads(free_cores())
    wish = Wish(options.strength, options.texture)
    cleaned = 0
    pictures = [*wanted(options.file, options.out)]  # before anything is written among them
    places = Places(path for path, _ in pictures)
    for path, under in pictures:
        try:
            photo = original.read(read_file(path, original.MAX_BYTES), path.name)
        except (Refused, BadInput) as error:
            say(f"left out: {error}")
            continue
        seen = original.seen(photo)
        name, noise = photos.fitting(models, photos.as_colour(seen))
        pixels = photos.finished(photos.restored(models[name], seen, wish.knowing(noise)))
        file = places.free(options.out / under, original.denoised_name(photo))
        if file.exists():
            say(f"replaced: {file}")
        save(file, original.write(photo, original.covered(photo, pixels)))
        cleaned += 1
        say(f"{path}: noise {255 * noise.sigma:.1f} of 255, {noise.kind}; cleaned by {name}")
        for note in photo.notes:
            say(f"{path}: {note}")
        print(printable(str(file)))
    if not cleaned:
        raise BadInput(
            "no picture was cleaned: name PNG, JPEG, WebP, BMP, TIFF or GIF files, or folders of them"
        )


def chosen(options: argparse.Namespace) -> dict[str, PhotoDenoiser]:
    """The models to choose from: what is sound in the store, or the one that was named. Raises StoreError or BadInput."""
    from core.photos import denoisers, opened
    from core.store import Store

    store = Store(options.store)
    if options.model != AUTO:
        return {options.model: cleaner(store.run(options.model), store)}
    models, problems = opened(denoisers(store))
    for problem in problems:
        say(f"left out: {problem}")
    if not models:
        raise BadInput(
            "there is no model that cleans photographs; train one with "
            "`python -m core train --family photo_denoiser --dataset pieces:FOLDER`"
        )
    return models


def cleaner(run: Run, store: Store) -> PhotoDenoiser:
    """Raises StoreError where it is damaged, and BadInput where it does something else."""
    from core.families.photo_denoiser import PhotoDenoiser
    from core.photos import denoisers

    model = run.restorer()
    if not isinstance(model, PhotoDenoiser):
        raise BadInput(f"{run.id} does not remove noise; choose one of {', '.join(denoisers(store))}")
    return model


def tell_of_others(endings: set[str]) -> None:
    """Of files not named like a picture here, as the raw ones of cameras: nobody is to take them for cleaned."""
    from core.errors import printable

    if others := sorted(endings - {""}):
        more = f" and {len(others) - TOLD} other endings" if len(others) > TOLD else ""
        say(f"left out: what ends in {', '.join(map(printable, others[:TOLD]))}{more}")


class Places:
    """For results: on none of the pictures that were brought, by whatever name, and on no other result."""

    def __init__(self, brought: Iterable[Path]) -> None:
        self.taken: defaultdict[str, set[str]] = defaultdict(set)
        for path in brought:
            for file in (path, Path(os.path.realpath(path))):
                self.names(file.parent).add(file.name.casefold())

    def free(self, folder: Path, name: str) -> Path:
        from core.original import unused

        return folder / unused(name, self.names(folder))

    def names(self, folder: Path) -> set[str]:
        """Those that are taken there."""
        return self.taken[os.path.realpath(folder).casefold()]


def wanted(paths: list[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Pictures, and the folder below --out for each: files as they are named, folders with all that lies in them.

    Save what lies in --out where that is a folder within: results of the last time.
    """
    from core.folders import picture_files

    def unread(error: OSError) -> None:
        say(f"left out: {error.filename} cannot be read: {error.strerror}")

    results = Path(os.path.realpath(out))  # unlike Path.resolve, never raises
    for path in paths:
        if os.path.isdir(path):  # unlike Path.is_dir, never raises
            root = Path(os.path.realpath(path))
            endings: set[str] = set()
            files = picture_files(root, unread, endings.add)
            tell_of_others(endings)
            within = results != root and results.is_relative_to(root)
            for file in files:
                if not (within and (root / file.path).is_relative_to(results)):
                    yield path / file.path, Path(file.path).parent
        else:
            yield path, Path()
