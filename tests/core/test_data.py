"""The catalogue of datasets, and the embedded ones as they ship."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core import embedded
from core.data import BY_NAME, SOURCES, SPLITS, DataError, Split, is_local, is_offered, load, sample_photos
from core.dataset import fingerprint

pytestmark = pytest.mark.usefixtures("elsewhere")


# --- the catalogue ---


def test_the_sources_in_order_and_what_they_promise() -> None:
    assert [source.name for source in SOURCES] == ["digits", "photos", "mnist", "fashion-mnist", "cifar10"]
    assert [source.embedded for source in SOURCES] == [True, True, False, False, False]
    assert all(source.licence and source.citation and source.title for source in SOURCES)


def test_importing_the_module_imports_nothing_heavy() -> None:
    heavy = "{'sklearn', 'skimage', 'scipy', 'torch', 'pooch', 'requests', 'streamlit'}"
    code = f"import sys, core.data; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("ask", [load, is_local])
def test_an_unknown_name_lists_the_known_ones(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(
        DataError, match="“emnist”. Choose one of digits, photos, mnist, fashion-mnist, cifar10, or fold"
    ):
        ask("emnist")


def test_a_name_from_somewhere_opens_what_lies_in_the_data_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("data/pictures", "private"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (8, 8), number).save(tmp_path / folder / f"{number}.png")
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert all(map(is_offered, ("digits", "folder:pictures", "folder:pictures@16gray")))
    others = ("mnist", "emnist", "own:nothing", "pieces:pictures", "folder:pictures@5000", "folder:nowhere")
    outside = (
        "folder:private",
        "folder:../private",
        f"folder:{tmp_path / 'private'}",
        "folder:pictures/../../private",
    )
    assert is_local("folder:private") and not any(map(is_offered, others + outside))


# --- embedded ---


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["digits", "photos"])
def test_embedded_sets_load_without_a_network_and_keep_their_promises(name: str) -> None:
    assert is_local(name)
    loaded = load(name)
    source = BY_NAME[name]
    assert (loaded.name, loaded.title, loaded.licence) == (name, source.title, source.licence)
    assert loaded.shape == source.shape
    for split in map(loaded.split, SPLITS):
        assert split.labels is not None
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int64
        assert split.images.shape == (len(split), *source.shape) and split.labels.shape == (len(split),)
        assert set(split.labels) == set(range(len(loaded.class_names)))
        assert not split.images.flags.writeable and not split.labels.flags.writeable
        assert split.images.flags.c_contiguous
    assert load(name) is loaded, "the second call must cost nothing"


def test_digits_are_those_of_scikit_learn_scaled_to_255() -> None:
    from sklearn.datasets import load_digits

    loaded, original = load("digits"), load_digits()
    scaled = np.rint(original.images * 255 / 16).astype(np.uint8)
    ours = np.concatenate([loaded.split(name).images for name in SPLITS]).reshape(-1, 64)
    assert np.array_equal(np.unique(ours, axis=0), np.unique(scaled.reshape(-1, 64), axis=0))
    assert (ours.min(), ours.max(), ours.sum()) == (0, 255, scaled.sum())
    assert loaded.class_names == tuple("0123456789")


def test_digits_are_split_once_and_for_all_with_every_class_in_its_share() -> None:
    loaded = load("digits")
    assert [len(loaded.split(name)) for name in SPLITS] == [1297, 200, 300]
    shares = [np.bincount(loaded.split(name).labels) / len(loaded.split(name)) for name in SPLITS]
    assert np.abs(np.diff(shares, axis=0)).max() < 0.01
    assert loaded.fingerprint == "4fe5c41efcbc9ebb"


def test_photo_crops_are_balanced_and_take_turns() -> None:
    loaded = load("photos")
    assert [len(loaded.split(name)) for name in SPLITS] == [2800, 350, 350]
    assert loaded.class_names == tuple(sample_photos())
    for split in map(loaded.split, SPLITS):
        assert split.labels is not None
        assert split.labels[:7].tolist() == list(range(7))
        assert len(set(np.bincount(split.labels))) == 1


def test_photo_crops_of_different_splits_share_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    height, width = 330, 450
    position = np.arange(height * width).reshape(height, width)
    numbered = np.stack([position >> 16, position >> 8, position], axis=-1).astype(np.uint8)
    monkeypatch.setattr(embedded, "photographs", lambda: {"numbered": numbered})
    monkeypatch.setattr(embedded, "_reduced", lambda photo: photo)

    def pixels(split: Split) -> set[int]:
        red, green, blue = split.images.astype(int).transpose(1, 0, 2, 3)
        return set((red * 65536 + green * 256 + blue).ravel().tolist())

    train, validation, test = map(pixels, embedded.photo_crops())
    assert not (train & validation or train & test or validation & test)
    assert len(train) > 0.75 * 27 * 64**2, "of the 35 blocks 27 are for training, and the crops fill them"


def test_a_fingerprint_changes_with_a_pixel_a_label_and_a_split() -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (9, 1, 2, 2), dtype=np.uint8), np.arange(9)

    def cut(images: np.ndarray, labels: np.ndarray | None, *ends: int) -> str:
        parts = [slice(None, ends[0]), slice(*ends), slice(ends[1], None)]
        return fingerprint(Split(images[p], None if labels is None else labels[p]) for p in parts)

    other = images.copy()
    other[8, 0, 1, 1] ^= 1
    prints = [
        cut(images, labels, 5, 7),
        cut(other, labels, 5, 7),
        cut(images, labels[::-1], 5, 7),
        cut(images, None, 5, 7),
        cut(images, labels, 5, 8),
    ]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in prints)
    assert cut(images.copy(), labels.astype(np.int32), 5, 7) == prints[0]


def test_an_unknown_split_lists_the_three() -> None:
    with pytest.raises(DataError, match="“dev”. Choose one of train, validation, test"):
        load("digits").split("dev")


@pytest.mark.usefixtures("no_network")
def test_sample_photos_are_colour_photographs_of_full_size() -> None:
    photos = sample_photos()
    assert len(photos) == 7
    for photo in photos.values():
        assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
        assert min(photo.shape[:2]) >= 300 and not photo.flags.writeable
    photos.clear()
    assert len(sample_photos()) == 7
