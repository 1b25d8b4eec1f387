"""Published datasets, and downloads from a server of our own.

Only the tests marked `real` need the published files; the others read synthetic ones, whose checksums take
the place of the published.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import data, intake, published
from core.data import SPLITS, DataError, is_local, load

REAL = Path(os.environ.get("BOTTLENECK_DATA") or "-")
real = partial(pytest.mark.skipif, reason="BOTTLENECK_DATA names no folder with these files")
pytestmark = pytest.mark.usefixtures("elsewhere")


# --- files made here ---


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


def md5(raw: bytes) -> str:
    return hashlib.md5(raw, usedforsecurity=False).hexdigest()


@pytest.fixture
def idx_files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """60 + 10 pictures in the four files of MNIST, known to `core.data` as the published ones."""
    rng = np.random.default_rng(0)
    raws = {
        "train-images-idx3-ubyte": idx(rng.integers(0, 256, (60, 28, 28))),
        "train-labels-idx1-ubyte": idx(np.arange(60) % 10),
        "t10k-images-idx3-ubyte": idx(rng.integers(0, 256, (10, 28, 28))),
        "t10k-labels-idx1-ubyte": idx(np.arange(10)),
    }
    monkeypatch.setitem(published._MD5, "mnist", {file: md5(raw) for file, raw in raws.items()})
    monkeypatch.setattr(published, "_HELD_OUT", 5)
    return raws


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, raw in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def packed(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(raw) for name, raw in files.items()}


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("compress", [True, False])
def test_idx_files_in_the_data_folder(
    compress: bool, idx_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mnist", packed(idx_files) if compress else idx_files)
    assert not is_local("mnist")
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    assert is_local("mnist")
    loaded = load("mnist")
    assert [len(loaded.split(name)) for name in SPLITS] == [55, 5, 10]
    stored = np.frombuffer(idx_files["train-images-idx3-ubyte"], np.uint8, offset=16).reshape(60, 1, 28, 28)
    assert np.array_equal(loaded.train.images, stored[:55]), "validation is cut from the end"
    assert np.array_equal(loaded.validation.images, stored[55:])
    assert loaded.validation.labels is not None and loaded.validation.labels.tolist() == [5, 6, 7, 8, 9]
    assert loaded.test.labels is not None and loaded.test.labels.tolist() == list(range(10))
    assert not loaded.train.images.flags.writeable


def test_the_data_folder_comes_before_the_cache_folder(
    idx_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cache" / "mnist", packed(idx_files))
    assert is_local("mnist") and load("mnist").shape == (1, 28, 28)
    write(tmp_path / "mine" / "mnist", {**idx_files, "t10k-labels-idx1-ubyte": b"changed"})
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path / "mine"))
    with pytest.raises(
        DataError, match="mine/mnist/t10k-labels-idx1-ubyte is not the published file.*Delete it or replace"
    ):
        load("mnist")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: raw[:40] + b"?" + raw[41:]])
def test_a_damaged_gzip_file_is_named(
    damage: object, idx_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(damage)
    files = packed(idx_files)
    files["t10k-images-idx3-ubyte.gz"] = damage(files["t10k-images-idx3-ubyte.gz"])
    write(tmp_path / "mnist", files)
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte\.gz (cannot be read|is not the published).*replace it"
    ):
        load("mnist")


def test_a_gzip_bomb_is_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "_LARGEST_FILE", 100_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    assert len(published._unpacked(path)) == 100_001


@pytest.fixture
def cifar_files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Six batches of nine pictures, as square mosaics can hold them, known as the published ones."""
    rng = np.random.default_rng(1)
    rows = {file: rng.integers(0, 256, (9, 3073), dtype=np.uint8) for file in published._MD5["cifar10"]}
    for batch in rows.values():
        batch[:, 0] %= 10
    raws = {file: batch.tobytes() for file, batch in rows.items()}
    monkeypatch.setitem(published._MD5, "cifar10", {file: md5(raw) for file, raw in raws.items()})
    monkeypatch.setattr(published, "_HELD_OUT", 5)
    return raws


def write_mosaics(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    labels = {}
    for file, raw in files.items():
        batch = np.frombuffer(raw, np.uint8).reshape(9, 3073)
        labels[file] = batch[:, 0]
        tiles = batch[:, 1:].reshape(3, 3, 3, 32, 32).transpose(0, 3, 1, 4, 2)  # row, y, column, x, channel
        name = file.replace(".bin", ".webp")
        Image.fromarray(tiles.reshape(96, 96, 3)).save(folder / name, lossless=True, exact=True)
    *train, test = labels.values()
    np.savez(folder / "labels.npz", train_labels=np.concatenate(train), test_labels=test)


@pytest.mark.usefixtures("no_network")
def test_cifar_from_binary_files_and_from_mosaics_is_the_same(
    cifar_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a" / "cifar10" / "cifar-10-batches-bin", cifar_files)
    write_mosaics(tmp_path / "b" / "cifar10", cifar_files)
    loaded = []
    for place in ("a", "b"):
        monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path / place))
        loaded.append(load("cifar10"))
    binary, mosaics = loaded
    assert binary is not mosaics and binary.fingerprint == mosaics.fingerprint
    assert [len(binary.split(name)) for name in SPLITS] == [40, 5, 9]
    first = np.frombuffer(cifar_files["data_batch_1.bin"], np.uint8)
    assert np.array_equal(binary.train.images[0].ravel(), first[1:3073]), "red, green and blue plane"
    assert binary.train.labels is not None and binary.train.labels[0] == first[0]
    assert binary.class_names[0] == "airplane" and binary.shape == (3, 32, 32)


def test_damaged_mosaics_are_named(
    cifar_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    write_mosaics(tmp_path / "cifar10", cifar_files)
    second = tmp_path / "cifar10" / "data_batch_2.webp"
    second.write_bytes(second.read_bytes()[:200])
    with pytest.raises(DataError, match=r"data_batch_2\.webp .*cannot be read"):
        load("cifar10")
    Image.new("RGB", (96, 96)).save(second, lossless=True)
    with pytest.raises(DataError, match=r"data_batch_2\.webp is not the published file"):
        load("cifar10")


def test_labels_that_would_need_unpickling_are_refused(
    cifar_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    write_mosaics(tmp_path / "cifar10", cifar_files)
    np.savez(
        tmp_path / "cifar10" / "labels.npz", train_labels=np.array([{}], object), test_labels=np.zeros(9)
    )
    with pytest.raises(DataError, match=r"labels\.npz beside it cannot be read"):
        load("cifar10")


# --- downloading, from a server of our own ---


class Mirror:
    """A web server over a folder, and what was asked of it."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                asked.append(self.path)

        self.root = root
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mirror, Mirror]]:
    pair = Mirror(tmp_path / "first"), Mirror(tmp_path / "second")
    for name in published._MIRRORS:
        monkeypatch.setitem(published._MIRRORS, name, tuple(mirror.url for mirror in pair))
    yield pair
    for mirror in pair:
        mirror.server.shutdown()
        mirror.server.server_close()


class Bar:
    """A progress bar as a page would hand it in."""

    total: float = 0

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.closed = 0

    def update(self, n: int) -> None:
        self.seen.append(n)

    def reset(self) -> None:
        self.seen.clear()

    def close(self) -> None:
        self.closed += 1


def test_a_download_is_checked_cached_and_shown(
    idx_files: dict[str, bytes], mirrors: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    write(mirrors[0].root, packed(idx_files))
    bar = Bar()
    loaded = load("mnist", progress=bar)
    assert len(loaded.train) == 55
    assert bar.closed == 4 and sum(bar.seen) == bar.total > 0
    assert sorted(path.name for path in (tmp_path / "cache" / "mnist").iterdir()) == sorted(packed(idx_files))

    data._read.cache_clear()
    asked = len(mirrors[0].asked)
    assert is_local("mnist") and load("mnist").fingerprint == loaded.fingerprint
    assert len(mirrors[0].asked) == asked and not mirrors[1].asked


def test_only_missing_files_are_fetched_and_a_bar_goes_to_stderr(
    idx_files: dict[str, bytes],
    mirrors: tuple[Mirror, Mirror],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    write(mirrors[0].root, packed(idx_files))
    files = packed(idx_files)
    del files["t10k-labels-idx1-ubyte.gz"]
    write(tmp_path / "cache" / "mnist", files)
    load("mnist")
    assert mirrors[0].asked == ["/t10k-labels-idx1-ubyte.gz"]
    out, err = capfd.readouterr()
    assert "100%" in err and not out


def test_the_second_mirror_steps_in_when_the_first_fails_or_lies(
    idx_files: dict[str, bytes], mirrors: tuple[Mirror, Mirror]
) -> None:
    first, second = mirrors
    write(first.root, {"train-images-idx3-ubyte.gz": b"<html>moved</html>"})  # and 404 for the other three
    write(second.root, packed(idx_files))
    assert len(load("mnist", progress=Bar()).test) == 10
    assert len(second.asked) == 4


def test_when_all_mirrors_fail_the_message_says_why_and_what_to_do(
    idx_files: dict[str, bytes], mirrors: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    write(mirrors[0].root, {"train-images-idx3-ubyte.gz": gzip.compress(b"something else")})
    with pytest.raises(DataError) as failure:
        load("mnist", progress=Bar())
    message = str(failure.value)
    for part in (
        "what arrived is damaged",
        "404",
        "BOTTLENECK_DATA",
        "mnist/ with train-images-idx3-ubyte.gz",
        "“digits”",
    ):
        assert part in message
    assert not is_local("mnist") and not list((tmp_path / "cache" / "mnist").iterdir())


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_without_a_network_the_message_says_so(name: str) -> None:
    with pytest.raises(
        DataError, match=r"could not be downloaded \(.*no connection.*BOTTLENECK_DATA.*digits"
    ):
        load(name, progress=Bar())


def test_a_cache_folder_that_cannot_be_written_is_named(
    idx_files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BOTTLENECK_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cache folder .*file.* cannot be written.*BOTTLENECK_CACHE"):
        load("mnist")


def archive(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def in_folder(files: dict[str, bytes]) -> dict[str, bytes | tarfile.TarInfo]:
    return {f"cifar-10-batches-bin/{file}": raw for file, raw in files.items()}


def test_of_the_cifar_archive_only_the_six_files_are_taken(
    cifar_files: dict[str, bytes], mirrors: tuple[Mirror, Mirror], tmp_path: Path
) -> None:
    hostile: dict[str, bytes | tarfile.TarInfo] = {
        "../../evil.txt": b"x",
        "/tmp/evil.txt": b"x",
        "cifar-10-batches-bin/more.bin": b"x",
    }
    write(mirrors[0].root, {published._CIFAR_ARCHIVE: archive({**hostile, **in_folder(cifar_files)})})
    assert not is_local("cifar10")
    assert len(load("cifar10", progress=Bar()).train) == 40
    kept = [
        path.relative_to(tmp_path / "cache") for path in (tmp_path / "cache").rglob("*") if path.is_file()
    ]
    assert sorted(path.name for path in kept) == sorted(cifar_files)
    assert {path.parent for path in kept} == {Path("cifar10", "cifar-10-batches-bin")}
    assert not list(tmp_path.rglob("evil.txt"))


def link_to(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize("bad", ["missing", "link", "oversized", "altered", "no archive", "cut short"])
def test_a_bad_cifar_archive_leaves_nothing_behind(
    bad: str,
    cifar_files: dict[str, bytes],
    mirrors: tuple[Mirror, Mirror],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = in_folder(cifar_files)
    last = "cifar-10-batches-bin/test_batch.bin"
    if bad == "missing":
        del members[last]
    elif bad == "link":
        members[last] = link_to("data_batch_1.bin")
    elif bad == "altered":
        members[last] = cifar_files["test_batch.bin"][::-1]
    elif bad == "oversized":
        monkeypatch.setattr(published, "_LARGEST_FILE", 1_000)
    raw = {"no archive": b"<html>", "cut short": archive(members)[:-5_000]}.get(bad, archive(members))
    write(mirrors[0].root, {published._CIFAR_ARCHIVE: raw})
    with pytest.raises(DataError, match="could not be downloaded .*what arrived is damaged"):
        load("cifar10", progress=Bar())
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


# --- the real files ---


@real(not (REAL / "mnist").is_dir())
@pytest.mark.parametrize(
    ("name", "mean", "sd"), [("mnist", 0.130660, 0.308108), ("fashion-mnist", 0.286041, 0.353024)]
)
def test_real_idx_files(name: str, mean: float, sd: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTLENECK_DATA", str(REAL))
    loaded = load(name)
    assert [len(loaded.split(split)) for split in SPLITS] == [55_000, 5_000, 10_000]
    published = np.concatenate([loaded.train.images, loaded.validation.images])
    assert published.mean() / 255 == pytest.approx(mean, abs=5e-7)
    assert published.std() / 255 == pytest.approx(sd, abs=5e-7)
    assert loaded.shape == data.BY_NAME[name].shape and len(loaded.class_names) == 10


@real(not (REAL / "mnist").is_dir())
def test_real_digits_are_already_centred_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    """`intake.centre_ink` undoes what MNIST undid: on MNIST itself it changes almost nothing."""
    monkeypatch.setenv("BOTTLENECK_DATA", str(REAL))
    images = load("mnist").test.images[:300]
    change = [np.abs(intake.centre_ink(image).astype(int) - image).mean() for image in images]
    assert np.mean(change) < 0.1
    assert np.mean(np.array(change) == 0) > 0.9


@real(not (REAL / "cifar10").is_dir())
def test_real_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTTLENECK_DATA", str(REAL))
    loaded = load("cifar10")
    assert [len(loaded.split(split)) for split in SPLITS] == [45_000, 5_000, 10_000]
    assert loaded.test.labels is not None and np.bincount(loaded.test.labels).tolist() == [1_000] * 10
    means = loaded.train.images.mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.001)
