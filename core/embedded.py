"""Datasets inside installed libraries: scikit-learn's digits, and crops of scikit-image's photographs."""

from __future__ import annotations

import functools
import itertools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from core.dataset import DataError, Source, Split, fixed_rng, frozen

# Shown name -> function in skimage.data. All are free to use and ship inside the wheel.
_PHOTOS = {
    "astronaut": "astronaut",
    "cat": "chelsea",
    "coffee": "coffee",
    "rocket": "rocket",
    "galaxies": "hubble_deep_field",
    "tissue": "immunohistochemistry",
    "retina": "retina",
}

SOURCES = (
    Source(
        name="digits",
        title="Digits 8×8",
        shape=(1, 8, 8),
        licence="CC BY 4.0 (E. Alpaydin, C. Kaynak; UCI)",
        citation="Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, doi:10.24432/C50P49",
        class_names=tuple("0123456789"),
    ),
    Source(
        name="photos",
        title="Photo crops 32×32",
        shape=(3, 32, 32),
        licence="CC0 or public domain (NASA, SpaceX, CMMI, M. Häggström, R. Michetti, S. van der Walt)",
        citation="scikit-image sample data, https://scikit-image.org/docs/stable/api/skimage.data.html",
        class_names=tuple(_PHOTOS),
    ),
)

_CROP, _BLOCK = 32, 64  # pixels a side


def splits(name: str) -> tuple[Split, Split, Split]:
    return {"digits": digits, "photos": photo_crops}[name]()


def digits() -> tuple[Split, Split, Split]:
    """1,297 / 200 / 300 of scikit-learn's digits, every class in its share; 0..16 becomes 0..255."""
    # load_digits() returns the same numbers after importing most of scikit-learn, which takes over a second.
    table = np.loadtxt(_installed("sklearn") / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = table[:, -1].astype(np.int64)

    shuffled = fixed_rng().permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    test, rest = _every_nth(by_class, 300)
    validation, train = _every_nth(rest, 200)
    # Back in the original order, in which classes alternate: the first few pictures are then a fair sample.
    ours = [Split(images[part], labels[part]) for part in map(np.sort, (train, validation, test))]
    return ours[0], ours[1], ours[2]


def _installed(package: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"The library {package} is missing. Run: pip install -r requirements.txt")
    return Path(spec.origin).parent


def _every_nth(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` evenly spaced values, and the others."""
    taken = np.linspace(0, len(values) - 1, count).round().astype(int)
    return values[taken], np.delete(values, taken)


@functools.cache
def photographs() -> dict[str, np.ndarray]:
    import skimage.data

    return {name: frozen(getattr(skimage.data, function)()) for name, function in _PHOTOS.items()}


def photo_crops() -> tuple[Split, Split, Split]:
    """Random crops, 400 / 50 / 50 of each photograph, the photographs taking turns.

    Each photograph is cut into blocks, every block belongs to one split, and no crop leaves its block: splits
    share no pixel.
    """
    rng = fixed_rng()
    train, validation, test = [], [], []
    for photo in map(_reduced, photographs().values()):
        blocks = rng.permutation(_blocks(photo))
        held = max(1, round(len(blocks) / 8))
        test.append(_crops(photo, blocks[:held], 50, rng))
        validation.append(_crops(photo, blocks[held : 2 * held], 50, rng))
        train.append(_crops(photo, blocks[2 * held :], 400, rng))
    return _taking_turns(train), _taking_turns(validation), _taking_turns(test)


def _blocks(photo: np.ndarray) -> np.ndarray:
    """(N, 2): the top left corners of all whole blocks."""
    height, width, _ = photo.shape
    rows = range(0, height - _BLOCK + 1, _BLOCK)
    columns = range(0, width - _BLOCK + 1, _BLOCK)
    return np.array(list(itertools.product(rows, columns)))


def _crops(photo: np.ndarray, blocks: np.ndarray, count: int, rng: np.random.RandomState) -> np.ndarray:
    """(count, 32, 32, 3), each from anywhere inside one of the blocks."""
    corners = blocks[rng.randint(len(blocks), size=count)] + rng.randint(_BLOCK - _CROP + 1, size=(count, 2))
    return np.stack([photo[y : y + _CROP, x : x + _CROP] for y, x in corners])


def _reduced(photo: np.ndarray, shorter: int = 320) -> np.ndarray:
    """At this size a crop shows a thing, not a texture."""
    height, width, _ = photo.shape
    scale = min(1.0, shorter / min(height, width))
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def _taking_turns(groups: list[np.ndarray]) -> Split:
    """Groups of (N, H, W, C), one per class -> a split that starts with the first of each."""
    mixed = np.stack(groups, axis=1)  # (N, classes, H, W, C)
    images = mixed.reshape(-1, *mixed.shape[2:]).transpose(0, 3, 1, 2)
    return Split(np.ascontiguousarray(images), np.tile(np.arange(len(groups), dtype=np.int64), len(mixed)))
