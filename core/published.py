"""Published datasets: from $BOTTLENECK_DATA, else from the cache folder, else downloaded into it.

Checksums are those of the decompressed bytes, so the same data is welcome in any compression.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from core.dataset import DataError, Progress, Source, Split, cache_folder, data_folder, writing_cache
from core.files import unborn

_HELD_OUT = 5_000  # cut from the end of a published training set for validation; its test set stays untouched
_LARGEST_FILE = 64 * 2**20  # no file of a published set has more decompressed bytes
_TIMEOUT = (5, 30)  # seconds to connect, and between two pieces of a download

SOURCES = (
    Source(
        name="mnist",
        title="MNIST",
        shape=(1, 28, 28),
        licence="CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
        citation="LeCun, Bottou, Bengio & Haffner 1998, http://yann.lecun.com/exdb/mnist/",
        class_names=tuple("0123456789"),
        download_bytes=11_594_722,
    ),
    Source(
        name="fashion-mnist",
        title="Fashion-MNIST",
        shape=(1, 28, 28),
        licence="MIT (Zalando SE)",
        citation="Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        download_bytes=30_878_645,
    ),
    Source(
        name="cifar10",
        title="CIFAR-10",
        shape=(3, 32, 32),
        licence="none stated; for research and teaching, cite Krizhevsky 2009",
        citation="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images, "
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        class_names=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
        download_bytes=170_052_171,
    ),
)

# md5 of the decompressed files, in the order in which they are read.
_MD5 = {
    "mnist": {
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    "cifar10": {
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    },
}

# Tried in this order. Plain http is safe here: what arrives is checked against the sums above.
_MIRRORS = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    "fashion-mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ),
    "cifar10": (
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10",
        "https://www.cs.toronto.edu/~kriz",  # the original; often throttled to an hour for this file
    ),
}
_CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"
_CIFAR_FOLDER = "cifar-10-batches-bin"


# --- where the files are ---


def places() -> tuple[Path, ...]:
    data = data_folder()
    return (cache_folder(),) if data is None else (data, cache_folder())


def is_there(name: str) -> bool:
    """Only looks whether the files are there."""
    if name == "cifar10":
        return _cifar_home(places()) is not None
    return all(_idx_path(name, file, places()) for file in _MD5[name])


def _idx_path(name: str, file: str, places: tuple[Path, ...]) -> Path | None:
    candidates = (place / name / f"{file}{suffix}" for place in places for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _cifar_home(places: tuple[Path, ...]) -> Path | None:
    """The first cifar10 folder that is complete, either in binary files or in mosaics."""
    binary = [f"{_CIFAR_FOLDER}/{file}" for file in _MD5["cifar10"]]
    mosaics = [_mosaic_name(file) for file in _MD5["cifar10"]] + ["labels.npz"]
    homes = (place / "cifar10" for place in places)
    return next((home for home in homes if any(_holds(home, files) for files in (binary, mosaics))), None)


def _holds(folder: Path, files: Iterable[str]) -> bool:
    return all((folder / file).is_file() for file in files)


def _mosaic_name(file: str) -> str:
    return file.replace(".bin", ".webp")


def ways_out(name: str) -> str:
    folder, suffix = (f"cifar10/{_CIFAR_FOLDER}", "") if name == "cifar10" else (name, ".gz")
    files = ", ".join(f"{file}{suffix}" for file in _MD5[name])
    return (
        "Connect to the network and try again, or set BOTTLENECK_DATA to a folder that holds "
        f"{folder}/ with {files}, or choose “digits”, which needs neither."
    )


# --- reading ---


def _unpacked(path: Path) -> bytes:
    """The bytes of a file, decompressed where it is gzip, and no more of them than any published file has."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.GzipFile(path) if packed else path.open("rb") as file:
            return file.read(_LARGEST_FILE + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}. Delete it or replace it by a good copy.") from error


def _checked(raw: bytes, md5: str, path: Path) -> bytes:
    if hashlib.md5(raw, usedforsecurity=False).hexdigest() != md5:
        raise DataError(
            f"{path} is not the published file: its checksum differs. Delete it or replace it by a good copy."
        )
    return raw


def splits(name: str, places: tuple[Path, ...]) -> tuple[Split, Split, Split]:
    """Train, validation and test; the files have to be there."""
    return _cifar(places) if name == "cifar10" else _idx(name, places)


def _idx(name: str, places: tuple[Path, ...]) -> tuple[Split, Split, Split]:
    arrays = []
    for file, md5 in _MD5[name].items():
        path = _idx_path(name, file, places)
        assert path is not None, "load() looked before"
        arrays.append(_parse_idx(_checked(_unpacked(path), md5, path)))
    images, labels, test_images, test_labels = arrays
    return _held_out(
        Split(images[:, None], labels.astype(np.int64)),
        Split(test_images[:, None], test_labels.astype(np.int64)),
    )


def _parse_idx(raw: bytes) -> np.ndarray:
    """IDX: 0, 0, type (8 = uint8), number of dimensions; each dimension as big-endian uint32; the values."""
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", count=dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _held_out(train: Split, test: Split) -> tuple[Split, Split, Split]:
    return train.part(slice(-_HELD_OUT)), train.part(slice(-_HELD_OUT, None)), test


def _cifar(places: tuple[Path, ...]) -> tuple[Split, Split, Split]:
    home = _cifar_home(places)
    assert home is not None, "load() looked before"
    *train, test = (_cifar_batch(home, file, md5) for file, md5 in _MD5["cifar10"].items())
    return _held_out(_cifar_split(train), _cifar_split([test]))


def _cifar_batch(home: Path, file: str, md5: str) -> np.ndarray:
    """uint8 (N, 3073): label, then the red, green and blue plane."""
    path = home / _CIFAR_FOLDER / file
    if path.is_file():
        raw = _unpacked(path)
    else:
        path = home / _mosaic_name(file)
        raw = _from_mosaic(path)
    return np.frombuffer(_checked(raw, md5, path), np.uint8).reshape(-1, 3073)


def _from_mosaic(path: Path) -> bytes:
    """The canonical bytes of a batch from the lossless square mosaic of its pictures and from labels.npz."""
    try:
        with Image.open(path, formats=["WEBP"]) as image:
            mosaic = np.asarray(image.convert("RGB"))
        tiles = len(mosaic) // 32
        planes = mosaic.reshape(tiles, 32, tiles, 32, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3072)
        with np.load(path.with_name("labels.npz"), allow_pickle=False) as labels:
            if path.stem == "test_batch":
                mine = labels["test_labels"]
            else:
                batch = int(path.stem[-1]) - 1
                mine = labels["train_labels"][batch * len(planes) : (batch + 1) * len(planes)]
        return np.column_stack([mine.astype(np.uint8), planes]).tobytes()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} and the labels.npz beside it cannot be read: {error}. Replace both by good copies."
        ) from error


def _cifar_split(batches: list[np.ndarray]) -> Split:
    labels = np.concatenate([batch[:, 0] for batch in batches]).astype(np.int64)
    return Split(np.concatenate([batch[:, 1:] for batch in batches]).reshape(-1, 3, 32, 32), labels)


# --- downloading ---


def download(source: Source, progress: Progress | None) -> None:
    """Fetch what is missing into the cache folder. What arrives is checked before it gets its final name."""
    name = source.name
    with writing_cache(name) as home, unborn(home) as scratch:
        if name == "cifar10":
            _fetch(source, _CIFAR_ARCHIVE, scratch, _install_cifar, progress)
            return
        for file, md5 in _MD5[name].items():
            if not _idx_path(name, file, places()):
                install = functools.partial(_install_idx, md5=md5)
                _fetch(source, f"{file}.gz", scratch, install, progress)


def _fetch(
    source: Source, file: str, scratch: Path, install: Callable[[Path, Path], None], progress: Progress | None
) -> None:
    """Download `file` from the first mirror whose bytes `install(arrived, home)` accepts."""
    import pooch

    bar = True if progress is None else progress
    fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=2**16, timeout=_TIMEOUT)
    failures = []
    for mirror in _MIRRORS[source.name]:
        try:
            fetch(f"{mirror}/{file}", str(scratch / file), None)
            install(scratch / file, scratch.parent)
            return
        except (OSError, DataError) as error:  # every error of requests is an OSError
            failures.append(f"{urlsplit(mirror).hostname}: {_in_words(error)}")
    raise DataError(
        f"{source.title} could not be downloaded ({'; '.join(failures)}). {ways_out(source.name)}"
    )


def _in_words(error: Exception) -> str:
    import requests

    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "no connection"
    return "what arrived is damaged" if isinstance(error, DataError) else str(error)


def _install_idx(arrived: Path, home: Path, *, md5: str) -> None:
    _checked(_unpacked(arrived), md5, arrived)
    os.replace(arrived, home / arrived.name)


def _install_cifar(arrived: Path, home: Path) -> None:
    """Take the six files out of the archive: by name, whatever else it holds and whatever paths it claims."""
    unpacked = arrived.with_name("unpacked")
    unpacked.mkdir(exist_ok=True)
    try:
        with tarfile.open(arrived, "r:gz") as archive:
            for file, md5 in _MD5["cifar10"].items():
                raw = _member(archive, f"{_CIFAR_FOLDER}/{file}")
                (unpacked / file).write_bytes(_checked(raw, md5, arrived))
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{arrived} is no readable archive: {error}") from error
    (home / _CIFAR_FOLDER).mkdir(exist_ok=True)
    for file in _MD5["cifar10"]:
        os.replace(unpacked / file, home / _CIFAR_FOLDER / file)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.getmember(name)
    except KeyError:
        raise DataError(f"{name} is missing in the archive.") from None
    # A link could name any other member, and a size in a header is only a claim.
    stream = archive.extractfile(member) if member.isreg() and member.size <= _LARGEST_FILE else None
    if stream is None:
        raise DataError(f"{name} in the archive is no file of the expected size.")
    return stream.read()
