from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core import transfer
from core.archives import ArchiveError
from core.data import load
from core.errors import Explained
from core.evaluation import summarise
from core.families import FAMILIES, VAE
from core.family import Autoencoder
from core.store import Run, Store, StoreError
from core.training import Plan, train
from core.transfer import MARK
from tests.core.test_archives import special, zipped
from tests.photographs import autoencoder, denoiser


def made(root: Path, Family: type[Autoencoder] = VAE, steps: int | None = None) -> Run:
    """A finished run, or one that was stopped after some steps."""
    data = load("digits")
    run = Store(root).create(
        Family(Family.Config(width=8, hidden=(16,)), data.shape),
        Plan(epochs=2, threads=1, previews=2),
        data,
        "<b>Mine</b>",
    )
    training = run.begin(torch.device("cpu"))
    stop = (lambda: training.step >= steps) if steps else (lambda: False)
    for _ in run.record_events(train(training, data, stop), training):
        pass
    if steps is None:
        summarise(run, training.model, data)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Shared by all tests: do not change it."""
    return made(tmp_path_factory.mktemp("from"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def everything(store: Store) -> set[str]:
    return (
        {path.relative_to(store.root).as_posix() for path in store.root.rglob("*")}
        if store.root.exists()
        else set()
    )


def receive(data: bytes, store: Store) -> Run:
    return transfer.receive(io.BytesIO(data), store)


def files_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def rezipped(run: Run, **changes: bytes | None) -> bytes:
    """An exported run with files changed, added or, for None, left out; `__` stands for a slash, `_` for a dot."""
    files = files_of(transfer.export(run))
    for name, data in changes.items():
        path = f"{run.id}/{name.replace('__', '/').replace('_', '.')}"
        if data is None:
            del files[path]
        else:
            files[path] = data
    return zipped(files)


# --- there and back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("Family", FAMILIES, ids=lambda one: one.key)
def test_a_run_comes_back_as_it_was(Family: type[Autoencoder], tmp_path: Path, store: Store) -> None:
    run = made(tmp_path / "from", Family)
    back = receive(transfer.export(run), store)
    assert back.id == run.id and back.record == run.record and back.metrics() == run.metrics()
    assert back.weights_file.read_bytes() == run.weights_file.read_bytes()
    assert back.preview_epochs() == run.preview_epochs() == [1, 2]
    codes, expected = back.codes(), run.codes()
    assert codes is not None and expected is not None and torch.equal(codes.codes, expected.codes)
    assert [one.id for one in store.runs()] == [run.id]


@pytest.mark.parametrize("kind", [denoiser, autoencoder])
def test_what_restores_photographs_comes_back_as_well(
    kind: Callable[[Store], Run], tmp_path: Path, store: Store
) -> None:
    run = kind(Store(tmp_path / "from"))
    back = receive(transfer.export(run), store)
    assert back.id == run.id and back.codes() is None
    x = torch.rand(1, 3, 9, 13)
    assert torch.equal(back.restorer().restore(x), run.restorer().restore(x))


def test_the_same_run_gives_the_same_bytes(run: Run) -> None:
    assert transfer.export(run) == transfer.export(Run.open(run.folder))


def test_a_run_that_is_gone_is_not_exported(run: Run, tmp_path: Path) -> None:
    gone = Run.open(shutil.copytree(run.folder, tmp_path / run.id))
    shutil.rmtree(gone.folder)
    with pytest.raises(StoreError, match="was deleted"):
        transfer.export(gone)


def test_nothing_goes_along_that_is_not_the_runs(run: Run) -> None:
    names = {name.partition("/")[2] for name in files_of(transfer.export(run))}
    assert "lock" not in names
    assert names >= {
        "run.json",
        "weights.safetensors",
        "metrics.jsonl",
        "cache/codes.safetensors",
        "previews/epoch-00002.png",
    }
    assert not {name for name in names if name.endswith((".lock", ".pkl", "lock"))}


def test_links_within_a_run_lead_nobody_out(run: Run, tmp_path: Path) -> None:
    own = Run.open(shutil.copytree(run.folder, tmp_path / run.id))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "map.safetensors").write_bytes(b"of somebody else")
    before = set(files_of(transfer.export(own)))
    (own.folder / "cache" / "map.safetensors").symlink_to(tmp_path / "secret" / "map.safetensors")
    (own.folder / "shipped").symlink_to(tmp_path / "secret")
    assert set(files_of(transfer.export(own))) == before


def test_a_stopped_run_goes_on_elsewhere_to_the_same_end(tmp_path: Path, store: Store) -> None:
    stopped, whole = made(tmp_path / "a", steps=25), made(tmp_path / "b")
    back = receive(transfer.export(stopped), store)
    assert back.status == "stopped"
    data = load("digits")
    training = back.resume(torch.device("cpu"), data)
    for _ in back.record_events(train(training, data), training):
        pass
    assert back.weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_a_second_copy_gets_an_id_of_its_own(run: Run, store: Store) -> None:
    first, second = receive(transfer.export(run), store), receive(transfer.export(run), store)
    assert first.id == run.id != second.id and second.id.startswith("digits-vae-")
    assert second.load() and len(store.runs()) == 2


def test_what_was_in_training_was_interrupted(run: Run, store: Store) -> None:
    record = json.loads((run.folder / "run.json").read_text()) | {"status": "running"}
    assert receive(rezipped(run, run_json=json.dumps(record).encode()), store).record.status == "interrupted"


def test_a_zip_without_a_folder_around_its_files_will_do(run: Run, store: Store) -> None:
    files = {name.partition("/")[2]: data for name, data in files_of(transfer.export(run)).items()}
    assert receive(zipped(files), store).id.startswith("digits-vae-")


def test_a_run_without_weights_cannot_be_exported(tmp_path: Path) -> None:
    data = load("digits")
    run = Store(tmp_path).create(VAE(VAE.Config(width=8), data.shape), Plan(epochs=1), data)
    with pytest.raises(StoreError, match="has no weights yet"):
        transfer.export(run)


def test_a_run_from_the_box_is_nobodys_box_elsewhere(run: Run, tmp_path: Path, store: Store) -> None:
    boxed = Run.open(shutil.copytree(run.folder, tmp_path / "box" / "digits-vae"))
    (boxed.folder / "cache").rename(boxed.folder / "shipped")
    back = receive(transfer.export(boxed), store)
    assert not (back.folder / "shipped").exists() and back.codes() is not None


# --- hostile ----------------------------------------------------------------------------------------------------


def lying_header() -> bytes:
    return struct.pack("<Q", 10**12) + b'{"x":{"dtype":"F32","shape":[10],"data_offsets":[0,40]}}'


def other_record(run: Run, **changes: Any) -> bytes:
    return json.dumps(json.loads((run.folder / "run.json").read_text()) | changes).encode()


HOSTILE = {
    "lying weights": lambda run: rezipped(run, weights_safetensors=lying_header()),
    "a pickle for weights": lambda run: rezipped(run, weights_safetensors=b"\x80\x04cos\nsystem\n(S'x'\ntR."),
    "no weights": lambda run: rezipped(run, weights_safetensors=None),
    "no json": lambda run: rezipped(run, run_json=b"{"),
    "an unknown family": lambda run: rezipped(run, run_json=other_record(run, family="../gan")),
    "an unknown setting": lambda run: rezipped(run, run_json=other_record(run, config={"x": 1})),
    "a gigantic net": lambda run: rezipped(
        run, run_json=other_record(run, config={"width": 256, "hidden": [10**6] * 9})
    ),
    "another family's weights": lambda run: rezipped(
        run, run_json=other_record(run, family="gan", config={})
    ),
    "two records": lambda run: zipped(files_of(transfer.export(run)) | {"other/run.json": b"{}"}),
    "no record": lambda run: zipped({"notes.txt": b"x"}),
    "a link": lambda run: special(f"{run.id}/run.json", 0o120777),
    "no zip": lambda run: b"hello",
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_hostile_zips_are_refused_and_leave_nothing(harm: str, run: Run, store: Store) -> None:
    receive(transfer.export(run), store)
    before = everything(store)
    with pytest.raises(Explained) as refused:
        receive(HOSTILE[harm](run), store)
    assert isinstance(refused.value, StoreError | ArchiveError) and ".creating" not in str(refused.value)
    assert everything(store) == before


@pytest.mark.parametrize("changed", [{"weights_safetensors": lying_header()}, {"run_json": b"{"}])
def test_a_refusal_gives_no_advice_on_a_run_that_is_not_there(
    changed: dict[str, bytes], run: Run, store: Store
) -> None:
    with pytest.raises(StoreError, match="Export it once more where it comes from.$") as refused:
        receive(rezipped(run, **changed), store)
    assert run.id in str(refused.value) and "elete it" not in str(refused.value)


def test_what_no_run_has_is_left_out(run: Run, store: Store) -> None:
    extra = {
        f"{run.id}/code.pkl": b"\x80\x04.",
        f"{run.id}/previews/../../evil.png": b"x",
        f"{run.id}/previews/epoch-1.png.exe": b"x",
        f"{run.id}/shipped/decoder.bin": b"x",
        "elsewhere/weights.safetensors": b"x",
        "../weights.safetensors": b"x",
    }
    sent = files_of(transfer.export(run))
    back = receive(zipped(sent | extra), store)
    names = {path.relative_to(back.folder).as_posix() for path in back.folder.rglob("*") if path.is_file()}
    assert names == {name.partition("/")[2] for name in sent} | {MARK}
    assert back.weights_file.read_bytes() == run.weights_file.read_bytes()
    assert everything(store) == {
        back.id,
        *(f"{back.id}/{name}" for name in names),
        *(f"{back.id}/{n}" for n in ("cache", "previews")),
    }


@pytest.mark.parametrize("id", ["..", ".hidden", "a b", "x" * 200, "-rf", "con.txt", "ä"])
def test_a_folder_name_that_is_no_id_is_not_taken(id: str, run: Run, store: Store) -> None:
    files = {f"{id}/{name.partition('/')[2]}": data for name, data in files_of(transfer.export(run)).items()}
    try:
        back = receive(zipped(files), store)
    except ArchiveError:
        assert everything(store) == set()
    else:
        assert back.id.startswith("digits-vae-") and len(back.id) < 30


def test_a_name_stays_text(run: Run, store: Store) -> None:
    back = receive(rezipped(run, run_json=other_record(run, name="a\n\x1b[31mb" + "c" * 500)), store)
    assert back.record.name == "a [31mb" + "c" * 72 + "…"


def test_what_came_from_elsewhere_is_known_to(run: Run, store: Store) -> None:
    back = receive(rezipped(run), store)
    assert transfer.is_from_elsewhere(back) and not transfer.is_from_elsewhere(run)
    assert MARK not in files_of(transfer.export(back))


def test_what_would_not_be_taken_in_does_not_go_out(
    run: Run, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(transfer.KNOWN, r"(metrics|steps)\.jsonl", 10)
    data = transfer.export(run)
    assert not any(name.endswith(".jsonl") for name in files_of(data))
    assert receive(data, store).has_weights
    monkeypatch.setitem(transfer.KNOWN, r"(weights|checkpoint)\.safetensors", 10)
    with pytest.raises(StoreError, match="cannot be exported: weights.safetensors has more than"):
        transfer.export(run)


def test_a_bomb_within_a_run_is_refused(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transfer.KNOWN, r"(metrics|steps)\.jsonl", 1_000)
    with pytest.raises(ArchiveError, match="it has more than"):
        receive(rezipped(run, metrics_jsonl=bytes(10**6)), store)
    assert everything(store) == set()


# --- from the command line --------------------------------------------------------------------------------------


def test_out_and_in_from_a_terminal(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from core.__main__ import main

    monkeypatch.setenv("BOTTLENECK_CACHE", str(tmp_path / "cache"))
    file, other = tmp_path / "run.zip", tmp_path / "other"
    assert main(["--store", str(run.folder.parent), "export", run.id, "--out", str(file)]) == 0
    assert main(["--store", str(other), "import", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n{run.id}\n"
    file.write_bytes(zipped(files_of(file.read_bytes()) | {"../evil.png": b"x"}))
    assert main(["--store", str(tmp_path / "third"), "import", str(file)]) == 0
    assert capsys.readouterr() == (f"{run.id}\n", "left out: ../evil.png: its name leads outside.\n")
    pictures = tmp_path / "Our trip.zip"
    pictures.write_bytes(
        zipped({f"{n}.png": (run.folder / "previews" / "epoch-00001.png").read_bytes() for n in range(5)})
    )
    assert main(["import", str(pictures)]) == 0
    assert capsys.readouterr().out == "own:our-trip\n"
    assert main(["datasets"]) == 0
    assert "own:our-trip" in capsys.readouterr().out
    for broken in (tmp_path / "nowhere.zip", tmp_path, file.with_suffix(".txt")):
        file.with_suffix(".txt").write_text("no zip")
        assert main(["--store", str(other), "import", str(broken)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1
