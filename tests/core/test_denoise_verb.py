"""`python -m core denoise`: files and folders in, files of the same kind out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from core.__main__ import main
from core.store import Store
from tests.photographs import denoiser, jpeg, scene


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
    assert changed[0] != changed[1]


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


def test_a_picture_is_never_written_over(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file called like its own result: "x-denoised.png" becomes "x-denoised-denoised.png"."""
    buffer = io.BytesIO()
    Image.fromarray(scene(20, 20)).save(buffer, "PNG")
    file = tmp_path / "x-denoised.png"
    file.write_bytes(buffer.getvalue())
    assert main(["denoise", str(file), "--out", str(tmp_path)]) == 0
    assert file.read_bytes() == buffer.getvalue()
