"""`python -m core denoise`: files and folders in, files of the same kind out."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from core.__main__ import main
from core.store import Store
from tests.photographs import autoencoder, denoiser, jpeg, scene


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path / "store"))
    store = Store()
    denoiser(store, name="White noise")
    denoiser(store, "camera", "Camera noise")
    return store


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "below").mkdir(parents=True)
    (folder / "lying.jpg").write_bytes(jpeg(scene(60, 40), orientation=6))
    Image.fromarray(scene(30, 20)).save(folder / "below" / "small.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def test_a_folder_comes_back_as_it_was_laid_out(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["denoise", str(album), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.out.split() == [str(out / "below" / "small-denoised.png"), str(out / "lying-denoised.jpg")]
    assert "left out: “broken.jpg”" in told.err and "noise " in told.err
    with Image.open(out / "lying-denoised.jpg") as image:
        assert image.size == (40, 60) and image.getexif()[ExifTags.Base.Make] == "Bottleneck"


def test_strength_nothing_changes_less_than_a_strong_one(store: Store, album: Path, tmp_path: Path) -> None:
    before = np.asarray(Image.open(album / "below" / "small.png")).astype(int)
    changed = []
    for strength in ("0", "1.5"):
        assert (
            main(
                [
                    "denoise",
                    str(album / "below" / "small.png"),
                    "--out",
                    str(tmp_path / strength),
                    "--strength",
                    strength,
                ]
            )
            == 0
        )
        after = np.asarray(Image.open(tmp_path / strength / "small-denoised.png")).astype(int)
        changed.append(np.abs(after - before).mean())
    assert changed[0] == 0 < changed[1]


def test_a_model_can_be_named(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = next(run for run in store.runs() if run.title == "White noise")
    assert main(["denoise", str(album / "lying.jpg"), "--out", str(tmp_path), "--model", run.id]) == 0
    assert f"cleaned by {run.id}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--strength", "2"], "--strength lies between 0.0 and 1.5"),
        (["--texture", "-1"], "--texture between 0 and 1"),
        (["--model", "nobody"], "There is no run 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said(
    store: Store, album: Path, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["denoise", str(album), "--out", str(tmp_path / "out"), *more]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_nothing_readable_and_no_model_are_said(
    tmp_path: Path,
    album: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for wanted in (album / "broken.jpg", tmp_path / "nowhere.png"):
        assert main(["denoise", str(wanted), "--out", str(tmp_path / "out")]) == 2
        assert "no picture was cleaned" in capsys.readouterr().err
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path / "empty"))
    assert main(["denoise", str(album), "--out", str(tmp_path / "out")]) == 2
    assert "there is no model that cleans photographs" in capsys.readouterr().err


def test_no_name_is_no_folder(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As of a variable that is not set: it would be the working folder, with all that lies in it."""
    for file, out in (("", str(tmp_path / "out")), (str(tmp_path), "")):
        assert main(["denoise", file, "--out", out]) == 2
        assert "a file needs a name" in capsys.readouterr().err


def test_what_a_folder_holds_besides_pictures_is_said(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("below/one.HEIC", "two.cr2", ".hidden/three.nef", "README"):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).write_bytes(b"x")
    assert main(["denoise", str(album), "--out", str(tmp_path / "out")]) == 0
    assert "left out: what ends in .cr2, .heic\n" in capsys.readouterr().err


def test_a_path_or_folder_that_cannot_be_read_ends_nothing(
    store: Store,
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The folder as the system would tell it to others than root, to whom nothing is locked."""
    scandir = os.scandir

    def locked(path: str) -> object:
        if Path(path).name == "below":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert main(["denoise", "x" * 300, str(album), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert "cannot be read: File name too long" in told
    assert f"left out: {album / 'below'} cannot be read: Permission denied" in told


def test_what_is_replaced_is_said(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lying-denoised.jpg").write_text("mine")
    assert main(["denoise", str(album / "lying.jpg"), "--out", str(tmp_path)]) == 0
    assert f"replaced: {tmp_path / 'lying-denoised.jpg'}" in capsys.readouterr().err


def test_as_large_a_file_is_taken_as_its_pixels_need(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "noise.png"
    save(file)
    monkeypatch.setattr("core.intake.MAX_BYTES", len(file.read_bytes()) - 1)
    assert main(["denoise", str(file), "--out", str(tmp_path / "out")]) == 0
    monkeypatch.setattr("core.original.MAX_BYTES", len(file.read_bytes()) - 1)
    assert main(["denoise", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "Save a smaller copy" in capsys.readouterr().err


def save(file: Path, seed: int = 0, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(scene(20, 20, seed=seed)).save(buffer, kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def test_pictures_of_one_name_do_not_share_a_result(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two folders, with two suffixes of one format, and where only the size of letters differs."""
    files = [
        tmp_path / name
        for name in ("day1/a.jpg", "day1/a.jpeg", "day1/A.jpg", "day2/a.jpg", "day2/02-a.jpg", "day2/b.jpg")
    ]
    for seed, file in enumerate(files):
        save(file, seed, "JPEG")
    out = tmp_path / "out"
    assert main(["denoise", *map(str, files), "--out", str(out)]) == 0
    results = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len({file.name.casefold() for file in results}) == len(files) == len([*out.iterdir()])
    for file, result in zip(files, results, strict=True):
        distance = np.abs(np.asarray(Image.open(file)).astype(int) - np.asarray(Image.open(result))).mean()
        others = [other for other in files if other is not file]
        assert distance < min(
            np.abs(np.asarray(Image.open(other)).astype(int) - np.asarray(Image.open(result))).mean()
            for other in others
        )


def test_two_folders_with_the_same_names_inside(store: Store, tmp_path: Path) -> None:
    for seed, day in enumerate(("day1", "day2")):
        save(tmp_path / day / "sea" / "x.png", seed)
    assert (
        main(["denoise", str(tmp_path / "day1"), str(tmp_path / "day2"), "--out", str(tmp_path / "out")]) == 0
    )
    assert {file.name for file in (tmp_path / "out" / "sea").iterdir()} == {
        "x-denoised.png",
        "02-x-denoised.png",
    }


@pytest.mark.parametrize("link", [False, True])
def test_results_within_the_folder_are_not_cleaned_again(store: Store, tmp_path: Path, link: bool) -> None:
    album, out = tmp_path / "album", tmp_path / "album" / "cleaned"
    save(album / "x.png")
    save(out / "before-denoised.png")
    if link:
        (tmp_path / "link").symlink_to(album)
        out = tmp_path / "link" / "cleaned"
    for _ in range(2):
        assert main(["denoise", str(album), "--out", str(out)]) == 0
    assert {file.name for file in out.iterdir()} == {"before-denoised.png", "x-denoised.png"}


def test_results_may_lie_above_the_pictures(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "album" / "2024" / "x.png")
    monkeypatch.chdir(tmp_path)
    assert main(["denoise", "album", "--out", "."]) == 0
    assert (tmp_path / "2024" / "x-denoised.png").exists()
    (tmp_path / "loop").symlink_to("loop")
    capsys.readouterr()
    assert main(["denoise", "album", "--out", "loop"]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("link", [False, True])
def test_a_picture_is_never_written_over(store: Store, tmp_path: Path, link: bool) -> None:
    """Not even one that is called like the result of another, or reached through a link."""
    album, out = tmp_path / "album", tmp_path / "album"
    before = {name: save(album / name, seed) for seed, name in enumerate(("x.png", "x-denoised.png"))}
    if link:
        out = tmp_path / "same"
        out.symlink_to(album)
    assert main(["denoise", str(album), "--out", str(out)]) == 0
    assert {name: (album / name).read_bytes() for name in before} == before
    assert {file.name for file in album.iterdir()} - before.keys() == {
        "02-x-denoised.png",
        "x-denoised-denoised.png",
    }


def test_what_will_be_different_is_said(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray(scene(20, 20)[:, :, 0].astype(np.uint16) * 257).save(deep)
    assert main(["denoise", str(deep), "--out", str(tmp_path / "out")]) == 0
    assert f"{deep}: 16-bit values scaled to 8 bits" in capsys.readouterr().err


def test_a_damaged_model_is_left_out_unless_it_was_named(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = next(run for run in store.runs() if run.title == "White noise")
    broken.weights_file.write_bytes(b"no weights")
    command = ["denoise", str(album / "lying.jpg"), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert f"left out: {broken.id}" in told and "cleaned by" in told
    assert main([*command, "--model", broken.id]) == 2


def test_a_model_that_cannot_clean_photographs_is_said(
    store: Store, album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for gray alone, and one that does something else."""
    gray, other = denoiser(store, name="Gray"), autoencoder(store)
    gray.update(shape=(1, 32, 32))
    command = ["denoise", str(album / "lying.jpg"), "--out", str(tmp_path / "out")]
    for run, said in ((gray, "cannot be loaded"), (other, "does not remove noise")):
        assert main([*command, "--model", run.id]) == 2
        assert f"{run.id} {said}" in capsys.readouterr().err
    assert main(command) == 0
