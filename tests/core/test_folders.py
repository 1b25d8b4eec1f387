"""Anyone's pictures as a dataset."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core import folders, intake
from core.data import SPLITS, DataError, Dataset, is_local, load

pytestmark = pytest.mark.usefixtures("elsewhere")


def everything(dataset: Dataset) -> np.ndarray:
    return np.concatenate([dataset.split(name).images for name in SPLITS])


def draw(path: Path, colour: int | tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(colour, int) else "RGB", size, colour).save(path)


@pytest.fixture
def pics(tmp_path: Path) -> Path:
    """Ten red cats and ten blue dogs."""
    for i in range(10):
        draw(tmp_path / "pics" / "cats" / f"{i}.png", (200 + i, 0, 0))
        draw(tmp_path / "pics" / "dogs" / "deep" / f"{i}.BMP", (0, 0, 200 + i))
    return tmp_path / "pics"


def test_a_folder_becomes_a_dataset_with_its_subfolders_as_classes(pics: Path) -> None:
    loaded = load(f"folder:{pics}@16")
    assert is_local(f"folder:{pics}@16")
    assert (loaded.title, loaded.shape, loaded.class_names) == ("pics", (3, 16, 16), ("cats", "dogs"))
    assert [len(loaded.split(name)) for name in SPLITS] == [16, 2, 2]
    for split in map(loaded.split, SPLITS):
        assert split.labels is not None and split.labels.dtype == np.int64
        blue = split.images[:, 2].max(axis=(1, 2)) > 0
        assert np.array_equal(split.labels, blue.astype(int)), "labels follow their pictures"
        assert not split.images.flags.writeable
    assert len(np.unique(everything(loaded), axis=0)) == 20, "splits are disjoint and complete"
    assert load(f"folder:{pics}@16") is loaded


@pytest.mark.parametrize(
    ("suffix", "shape"),
    [("", (3, 64, 64)), ("@32", (3, 32, 32)), ("@32gray", (1, 32, 32)), ("@gray", (1, 64, 64))],
)
def test_size_and_gray_are_chosen_after_the_at_sign(
    pics: Path, suffix: str, shape: tuple[int, int, int]
) -> None:
    loaded = load(f"folder:{pics}{suffix}")
    assert loaded.shape == shape and loaded.name == f"folder:{pics}{suffix}"


def test_an_at_sign_in_the_path_is_part_of_the_path(pics: Path) -> None:
    other = pics.rename(pics.with_name("me@home"))
    assert load(f"folder:{other}@8").shape == (3, 8, 8)
    assert load(f"folder:{other}").shape == (3, 64, 64)


@pytest.mark.parametrize(
    "name", ["folder:", "folder:pics@3", "folder:pics@2000", "folder:@", "folder:pics@99999", "folder:a\nb"]
)
def test_a_spec_or_path_that_makes_no_sense_says_what_would(name: str) -> None:
    with pytest.raises(DataError, match="cannot be understood. Write folder:PATH|There is no folder"):
        load(name)


@pytest.mark.parametrize("path", ["nowhere", "\0", "x" * 5_000, "~nobody/x"])
def test_a_missing_folder_says_where_it_was_looked_for(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert not is_local(f"folder:{path}")
    with pytest.raises(
        DataError, match=f"There is no folder .* BOTTLENECK_DATA \\({tmp_path}\\) and in {tmp_path}"
    ):
        load(f"folder:{path}")


def test_a_relative_path_is_looked_up_in_the_data_folder_first(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(load("folder:pics@8").train) == 16
    for i in range(5):
        draw(tmp_path / "data" / "pics" / f"{i}.png", i)
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path / "data"))
    assert len(load("folder:pics@8").train) == 3


def test_a_name_found_in_the_working_directory_is_kept_so_that_it_is_found_again(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = [load(f"folder:pics{suffix}") for suffix in ("@8", "@8gray", "")]
    monkeypatch.chdir(pics)
    loaded.append(load("folder:."))
    monkeypatch.chdir("/")
    for one in loaded:
        assert load(one.name).fingerprint == one.fingerprint
    monkeypatch.setenv("BOTTLENECK_DATA", str(tmp_path))
    assert load("folder:pics@8").name == "folder:pics@8"  # as portable as the data folder


def test_without_subfolders_there_are_no_labels_and_gray_pictures_stay_gray(tmp_path: Path) -> None:
    for i in range(4):
        draw(tmp_path / "flat" / f"{i}.png", 10 * i)
    loaded = load(f"folder:{tmp_path / 'flat'}@8")
    assert loaded.shape == (1, 8, 8) and loaded.class_names == ()
    assert [len(loaded.split(name)) for name in SPLITS] == [2, 1, 1]
    assert loaded.train.labels is None
    draw(tmp_path / "flat" / "colour.png", (9, 0, 0))
    assert load(f"folder:{tmp_path / 'flat'}@8").shape == (3, 8, 8)


def test_pictures_beside_subfolders_are_a_class_of_their_own(pics: Path) -> None:
    draw(pics / "stray.png", (1, 1, 1))
    assert load(f"folder:{pics}@8").class_names == ("(no sub-folder)", "cats", "dogs")


def test_broken_files_are_left_out_and_listed(pics: Path) -> None:
    (pics / "empty.png").write_bytes(b"")
    (pics / "text.jpg").write_text("hello")
    whole = (pics / "cats" / "0.png").read_bytes()
    (pics / "cats" / "cut.png").write_bytes(whole[:50])
    (pics / "huge.png").write_bytes(bytes(intake.MAX_BYTES + 1))
    (pics / "notes.txt").write_text("no picture, no problem")
    (pics / ".hidden.png").write_bytes(b"")
    draw(pics / ".trash" / "x.png", 1)
    loaded = load(f"folder:{pics}@8")
    assert len(everything(loaded)) == 20
    names = [problem.split(": ")[0] for problem in loaded.problems]
    assert names == ["cats/cut.png", "empty.png", "huge.png", "text.jpg"]
    assert "is empty" in loaded.problems[1] and "larger than" in loaded.problems[2]


def test_links_that_lead_outside_are_not_followed(pics: Path, tmp_path: Path) -> None:
    draw(tmp_path / "private" / "secret.png", (0, 255, 0))
    (pics / "link.png").symlink_to(tmp_path / "private" / "secret.png")
    (pics / "linked").symlink_to(tmp_path / "private", target_is_directory=True)
    (pics / "dangling.png").symlink_to(tmp_path / "nothing.png")
    (pics / "loop").symlink_to(pics, target_is_directory=True)
    (pics / "inside.png").symlink_to(pics / "cats" / "0.png")
    loaded = load(f"folder:{pics}@8")
    assert len(everything(loaded)) == 21, "the 20 and the link that stays inside"
    assert not (everything(loaded)[:, 1] == 255).any()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_called_a_picture_does_not_block(pics: Path) -> None:
    os.mkfifo(pics / "pipe.png")
    assert len(everything(load(f"folder:{pics}@8"))) == 20


def test_names_that_are_no_text_survive(pics: Path) -> None:
    odd = os.fsencode(pics) + b"/caf\xe9"
    try:
        os.mkdir(odd)
    except OSError:
        pytest.skip("this file system only takes names that are text")
    draw(Path(os.fsdecode(odd)) / "x.png", (1, 2, 3))
    (Path(os.fsdecode(odd)) / "y.png").write_bytes(b"")
    loaded = load(f"folder:{pics}@8")
    assert loaded.class_names[0] == "caf?" and loaded.problems[0].startswith("caf?/y.png: is empty")


def test_a_folder_whose_own_name_is_no_text_is_refused(pics: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(pics) + b"-caf\xe9"))
    try:
        pics.rename(odd)
    except OSError:
        pytest.skip("this file system only takes names that are text")
    for prefix in ("folder", "pieces"):
        with pytest.raises(DataError, match=r"pics-caf\? is no text, so that no run can name it"):
            load(f"{prefix}:{odd}@8")


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_too_few_pictures_is_an_error_that_counts_them(count: int, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for i in range(count):
        draw(folder / f"{i}.png", i)
    (folder / "broken.png").write_bytes(b"")
    with pytest.raises(DataError, match=rf"holds {count} readable pictures.*broken\.png: is empty"):
        load(f"folder:{folder}@8")


def test_a_changed_file_is_read_again(pics: Path) -> None:
    before = load(f"folder:{pics}@8").fingerprint
    draw(pics / "cats" / "0.png", (1, 2, 3), size=(50, 50))
    assert load(f"folder:{pics}@8").fingerprint != before


# --- folders too large for memory ---


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_IN_MEMORY", 100)


def mapped(array: np.ndarray | None) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base  # type: ignore[assignment]
    return False


def test_a_large_folder_is_memory_mapped_and_otherwise_the_same(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pics / "broken.png").write_bytes(b"")
    small = load(f"folder:{pics}@8")
    assert not mapped(small.train.images)
    monkeypatch.setattr(folders, "_IN_MEMORY", 100)
    folders._read_folder.cache_clear()
    large = load(f"folder:{pics}@8")
    assert all(mapped(large.split(name).images) for name in SPLITS)
    assert (large.fingerprint, large.problems) == (small.fingerprint, small.problems)
    assert not large.train.images.flags.writeable
    assert len(list((tmp_path / "cache" / "folders").iterdir())) == 2


@pytest.mark.usefixtures("little_memory")
def test_a_gray_folder_is_gray_when_memory_mapped_too(tmp_path: Path) -> None:
    for i in range(5):
        draw(tmp_path / "flat" / f"{i}.png", 10 * i)
    loaded = load(f"folder:{tmp_path / 'flat'}@8")
    assert loaded.shape == (1, 8, 8) and mapped(loaded.train.images)


@pytest.mark.usefixtures("little_memory")
def test_the_next_process_uses_the_stored_pixels_until_the_folder_changes(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(f"folder:{pics}@8")
    folders._read_folder.cache_clear()
    with monkeypatch.context() as patched:
        patched.delattr(folders, "_decode_into")
        assert load(f"folder:{pics}@8").fingerprint == first.fingerprint
    draw(pics / "cats" / "new.png", (1, 2, 3))
    assert len(everything(load(f"folder:{pics}@8"))) == 21
    assert len(list((tmp_path / "cache" / "folders").iterdir())) == 2, "what is out of date is removed"


@pytest.mark.usefixtures("little_memory")
def test_an_interrupted_decoding_leaves_no_trace(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(intake, "read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load(f"folder:{pics}@8")
    assert not list((tmp_path / "cache" / "folders").iterdir())
    assert len(everything(load(f"folder:{pics}@8"))) == 20


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files are not sparse here, or always")
@pytest.mark.usefixtures("little_memory")
def test_a_disk_that_somebody_else_fills_ends_in_words(
    pics: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        with pytest.raises(DataError, match="No space left on device. Make room"):
            load(f"folder:{pics}@8")
    assert not list((tmp_path / "cache" / "folders").iterdir())
    load(f"folder:{pics}@8")
    (stored,) = (tmp_path / "cache" / "folders").glob("*.npy")
    assert stored.stat().st_blocks * 512 >= stored.stat().st_size, "it has all its room"


@pytest.mark.usefixtures("little_memory")
def test_a_full_disk_is_noticed_before_it_is_written(pics: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(DataError, match="GB are needed. Make room"):
        load(f"folder:{pics}@8")
