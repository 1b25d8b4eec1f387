"""The store: runs that come back bit by bit, and whatever else may lie in its folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from core import codes, export, files, report
from core import run as runs
from core import training as loop
from core.codes import Codes, packed, unpacked
from core.evaluation import summarise
from core.families import FAMILIES, family
from core.family import Autoencoder
from core.files import LONG_DEAD, unborn, write_bytes
from core.pictures import png, sheet
from core.record import Record, outline
from core.store import Damaged, Run, Store, StoreError
from core.tensors import read_tensors, write_tensors
from core.training import (
    SCATTERED,
    Diverged,
    EpochEnded,
    Event,
    Finished,
    Plan,
    Previews,
    Stepped,
    Training,
    train,
)
from tests import toy

DATA = toy.dataset((1, 8, 8), train=64, held_out=16)
CPU = torch.device("cpu")
HOLD = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); sys.stdin.read()"
needs_posix = pytest.mark.skipif(
    os.name != "posix", reason="this system has neither links for everybody nor pipes"
)


def new(root: Path, key: str = "vanilla", name: str = "", **plan: Any) -> Run:
    sparse = {"k": 2} if key == "sparse" else {}
    config = family(key).Config(latent_dim=6, net="mlp", hidden=(16,), **sparse)
    plan = {"epochs": 2, "batch_size": 32, "threads": 1, "previews": 0} | plan
    return Store(root).create(family(key)(config, DATA.shape), Plan(**plan), DATA, name)


def follow(run: Run, training: Training, should_stop: Callable[[], bool] = lambda: False) -> list[Event]:
    return list(run.record_events(train(training, DATA, should_stop), training))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A completed run that no test may change."""
    run = new(tmp_path_factory.mktemp("finished"), name="The first")
    follow(run, run.begin(CPU))
    return run


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of it in a store of its own, to be damaged."""
    return Run.open(shutil.copytree(finished.folder, tmp_path / "store" / finished.id))


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose consumer left after the third of its four steps, one epoch and a half."""
    monkeypatch.setattr(loop, "READ_EVERY", -1.0)
    run = new(tmp_path / "store")
    training = run.begin(CPU)
    for event in run.record_events(train(training, DATA), training):
        if isinstance(event, Stepped) and event.step == 3:
            break
    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "LOCK_PATIENCE", 0.05)


@pytest.fixture
def trained_elsewhere(interrupted: Run, impatient: None) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `interrupted`."""
    command = [sys.executable, "-c", HOLD, str(interrupted.folder / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def edit(run: Run, **changes: Any) -> None:
    record = json.loads((run.folder / "run.json").read_text()) | changes
    (run.folder / "run.json").write_text(json.dumps(record))


def only(root: Path) -> Run | Damaged:
    (one,) = Store(root).list()
    return one


# --- a run from beginning to end --------------------------------------------------------------------------------


def test_what_comes_to_nothing_leaves_nothing_and_what_is_long_dead_goes(tmp_path: Path) -> None:
    dead, young = tmp_path / ".creating-1", tmp_path / ".creating-2"
    for left in (dead, young):
        left.mkdir()
    os.utime(dead, (time.time() - 2 * LONG_DEAD,) * 2)
    origin = new(tmp_path)  # has no weights to lend
    with pytest.raises(StoreError, match="has no weights yet"):
        Store(tmp_path).create(origin.record.outline(), Plan(epochs=1), DATA, origin=origin)
    assert set(tmp_path.iterdir()) == {young, origin.folder}


def test_a_new_run_is_there_whole_from_the_first_second(tmp_path: Path) -> None:
    run = new(tmp_path, name="  A\tname \x1b[31m" + "x" * 100)
    assert [path.name for path in tmp_path.iterdir()] == [run.id]
    found = Store(tmp_path).run(run.id)
    assert found.record == run.record
    assert (found.record.family, found.record.shape, found.record.device) == ("vanilla", (1, 8, 8), "cpu")
    assert found.record.dataset["fingerprint"] == DATA.fingerprint
    assert found.title.startswith("A name [31mxxx") and len(found.title) == 80
    assert not found.has_weights and found.metrics() == [] and found.preview_epochs() == []
    with pytest.raises(StoreError, match="has no weights yet"):
        found.load()


def test_a_completed_run_keeps_its_weights_its_history_and_its_pictures(finished: Run) -> None:
    run = Run.open(finished.folder)
    assert (run.status, run.title) == ("completed", "The first")
    assert [record["epoch"] for record in run.metrics()] == [1, 2]
    assert run.metrics()[1]["validation"].keys() == {"mse", "reconstruction"}
    assert run.preview_epochs() == [1]
    previews = run.previews(1)
    assert previews.reconstructions.shape == (10, 1, 8, 8) and previews.samples.shape == (20, 1, 8, 8)
    files_there = {path.name for path in run.folder.iterdir()}
    assert files_there == {
        "run.json",
        "weights.safetensors",
        "metrics.jsonl",
        "steps.jsonl",
        "previews",
        "lock",
        "record.lock",
    }
    with pytest.raises(StoreError, match="has completed: there is nothing to resume"):
        run.resume(CPU, DATA)


@pytest.mark.parametrize("one", FAMILIES, ids=lambda one: one.key)
def test_a_loaded_model_gives_the_same_bits(one: type[Autoencoder], tmp_path: Path) -> None:
    run = new(tmp_path, one.key, epochs=1)
    training = run.begin(CPU)
    follow(run, training)
    loaded = Store(tmp_path).run(run.id).load()
    x = torch.tensor(DATA.test.images).float() / 255
    with torch.inference_mode():
        assert torch.equal(loaded.reconstruct(x), training.model.reconstruct(x))
        drawn = [model.sample(4, torch.Generator().manual_seed(0)) for model in (loaded, training.model)]
    assert torch.equal(*drawn)
    assert not loaded.training and loaded.config == training.model.config


def test_events_pass_through_and_the_stored_history_is_theirs(tmp_path: Path) -> None:
    run = new(tmp_path)
    events = follow(run, run.begin(CPU))
    assert {type(event) for event in events} == {Stepped, EpochEnded, Finished}
    told = [(e.epoch, e.step, e.train, e.validation) for e in events if isinstance(e, EpochEnded)]
    assert [(r["epoch"], r["step"], r["train"], r["validation"]) for r in run.metrics()] == told


def test_previews_of_few_pictures_come_back_without_empty_tiles(tmp_path: Path) -> None:
    few = toy.dataset((3, 8, 12), train=8, held_out=3)
    model = family("vanilla")(family("vanilla").Config(latent_dim=2, net="mlp", hidden=(4,)), few.shape)
    run = Store(tmp_path).create(model, Plan(epochs=1, threads=1), few)
    training = run.begin(CPU)
    events = list(run.record_events(train(training, few), training))
    (shown,) = (event.previews for event in events if isinstance(event, EpochEnded))
    assert shown is not None and len(shown.reconstructions) == 3
    np.testing.assert_array_equal(run.previews(1).reconstructions, shown.reconstructions)
    np.testing.assert_array_equal(run.previews(1).samples, shown.samples)


def test_a_number_that_is_not_finite_is_no_number_on_disk(run: Run) -> None:
    run.append_metrics(EpochEnded(3, 6, 1.0, {"a": float("nan")}, {"b": float("inf")}, 1.0, 1.0, None))
    run.update(metrics={"test": {"psnr": float("inf"), "mse": 0.0}})
    for text in (run.metrics_file.read_text(), (run.folder / "run.json").read_text()):
        assert "NaN" not in text and "Infinity" not in text
    assert run.metrics()[-1]["train"] == {"a": None}
    assert Run.open(run.folder).record.metrics == {"test": {"psnr": None, "mse": 0.0}}


def test_of_thousands_of_epochs_fewer_and_fewer_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "EPOCHS_KEPT", 20)
    shown = Previews(*np.zeros((2, 1, 1, 8, 8), np.uint8))

    def epochs(count: int) -> Iterator[Event]:
        for n in range(1, count + 1):
            yield EpochEnded(n, n, n / count, {}, {}, n / 100, 1.0, shown if n == count - 2 else None)
        yield Finished("completed", count / 100)

    run = new(tmp_path)
    list(run.record_events(epochs(200), run.begin(CPU)))
    written = [one["epoch"] for one in run.metrics()]
    assert written[:20] == list(range(1, 21)) and written[-2:] == [198, 200]
    assert 50 < len(written) < 75  # about 20 (1 + log 10)


def test_a_history_ends_where_its_weights_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "EPOCHS_KEPT", 1)  # a line for the first epoch alone
    run = new(tmp_path, epochs=4)
    training = run.begin(CPU)
    for event in run.record_events(train(training, DATA), training):
        if isinstance(event, EpochEnded) and event.epoch == 4:
            break  # the consumer leaves at the very end
    run = Run.open(run.folder)
    follow(run, run.resume(CPU, DATA))
    assert run.metrics()[-1]["epoch"] == 4 and run.status == "completed"


# --- going on ---------------------------------------------------------------------------------------------------


def numbers(run: Run) -> list[tuple[Any, ...]]:
    return [(r["epoch"], r["step"], r["train"], r["validation"]) for r in run.metrics()]


def test_a_stopped_run_has_weights_and_goes_on_to_the_history_of_one_that_was_not(
    finished: Run, tmp_path: Path
) -> None:
    run = new(tmp_path)
    training = run.begin(CPU)
    follow(run, training, lambda: training.step >= 1)
    stopped = Store(tmp_path).run(run.id)
    assert stopped.status == "stopped" and stopped.load() and stopped.checkpoint_file.exists()
    follow(stopped, stopped.resume(CPU, DATA))
    assert stopped.status == "completed" and not stopped.checkpoint_file.exists()
    assert numbers(stopped) == numbers(finished)
    assert stopped.weights_file.read_bytes() == finished.weights_file.read_bytes()


def test_a_consumer_that_leaves_keeps_the_weights_of_that_moment(interrupted: Run, finished: Run) -> None:
    assert Run.open(interrupted.folder).status == "interrupted"
    assert interrupted.has_weights and interrupted.load()
    assert interrupted.resume(CPU, DATA).step == 3
    assert [record["epoch"] for record in interrupted.metrics()] == [1]
    follow(interrupted, interrupted.resume(CPU, DATA))
    assert numbers(interrupted) == numbers(finished)


def test_a_checkpoint_is_written_every_so_often(tmp_path: Path) -> None:
    run = new(tmp_path)
    training = run.begin(CPU)
    moments = (0.1, 0.9 * runs.CHECKPOINT_EVERY, 1.1 * runs.CHECKPOINT_EVERY)
    events = (Stepped(step, 1, 0.1, {}, seconds) for step, seconds in enumerate(moments, 1))
    there = [run.checkpoint_file.exists() for _ in run.record_events(events, training)]
    assert there == [False, False, True]


def test_an_error_amid_training_leaves_the_last_checkpoint(interrupted: Run) -> None:
    before = interrupted.checkpoint_file.read_bytes()
    training = interrupted.resume(CPU, DATA)

    def events() -> Iterator[Event]:
        training.step += 1
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        list(interrupted.record_events(events(), training))
    assert interrupted.status == "interrupted" and interrupted.checkpoint_file.read_bytes() == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    finished: Run, tmp_path: Path
) -> None:
    run = new(tmp_path)
    run.update(status="running")
    run.metrics_file.write_text('{"epoch": 1, "half a li')
    assert run.status == "interrupted"
    follow(run, run.resume(CPU, DATA))
    assert numbers(run) == numbers(finished)


def test_what_a_killed_process_left_half_written_is_cleared_away(interrupted: Run) -> None:
    (interrupted.folder / "previews").mkdir(exist_ok=True)
    left = [interrupted.folder / ".writing-1", interrupted.folder / "previews" / ".writing-2"]
    (interrupted.folder / "cache").mkdir()
    left.append(interrupted.folder / "cache" / ".writing-4")
    fresh = interrupted.folder / ".writing-3"
    for path in [*left, fresh]:
        path.write_bytes(b"half")
    for path in left:
        os.utime(path, (time.time() - 100,) * 2)
    follow(interrupted, interrupted.resume(CPU, DATA))
    assert [path.exists() for path in [*left, fresh]] == [False, False, False, True]


def test_weights_of_an_earlier_stop_do_not_hide_those_of_a_later_crash(tmp_path: Path) -> None:
    run = new(tmp_path)
    training = run.begin(CPU)
    follow(run, training, lambda: training.step >= 1)
    training = run.resume(CPU, DATA)
    for event in run.record_events(train(training, DATA), training):
        if isinstance(event, EpochEnded):
            break
    loaded = run.load().state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in training.weights().items())


def test_a_diverged_run_keeps_weights_and_is_not_resumed(tmp_path: Path) -> None:
    run = new(tmp_path)
    training = run.begin(CPU)
    list(run.record_events(iter([Diverged(1, "model")]), training))
    assert run.status == "diverged" and run.load() and not run.checkpoint_file.exists()
    with pytest.raises(StoreError, match="has diverged"):
        run.resume(CPU, DATA)


def test_resuming_needs_the_same_pictures_and_the_same_kind_of_device(interrupted: Run) -> None:
    with pytest.raises(StoreError, match="toy no longer holds the pictures that .* was trained on"):
        interrupted.resume(CPU, toy.dataset((1, 8, 8), seed=1))
    with pytest.raises(StoreError, match="was trained on cpu and can only go on there"):
        interrupted.resume(torch.device("meta"), DATA)


def test_a_run_with_weights_but_without_checkpoint_is_not_trained_over(interrupted: Run) -> None:
    interrupted.save_weights(interrupted.load())
    interrupted.checkpoint_file.unlink()
    with pytest.raises(StoreError, match="has weights but no checkpoint"):
        interrupted.resume(CPU, DATA)
    assert len(interrupted.metrics()) == 1


@pytest.mark.parametrize(
    "header", [{}, {"counters": "[]"}, {"counters": '{"epoch": 1}', "metrics_bytes": "9"}]
)
def test_a_broken_checkpoint_is_reported_and_touches_nothing(
    interrupted: Run, header: dict[str, str]
) -> None:
    tensors, _ = read_tensors(interrupted.checkpoint_file)
    write_tensors(interrupted.checkpoint_file, tensors, header)
    with pytest.raises(StoreError, match="cannot be resumed: .*Delete it and train it again"):
        interrupted.resume(CPU, DATA)
    assert len(interrupted.metrics()) == 1


# --- two at once ------------------------------------------------------------------------------------------------


def test_what_another_process_trains_is_left_alone(
    interrupted: Run, trained_elsewhere: subprocess.Popen[str]
) -> None:
    interrupted.update(status="running")
    before = {path: path.read_bytes() for path in interrupted.folder.iterdir() if path.is_file()}
    assert interrupted.status == "running"
    training = interrupted.begin(CPU)
    for attempt in (
        lambda: interrupted.resume(CPU, DATA),
        lambda: list(interrupted.record_events(train(training, DATA), training)),
        lambda: Store(interrupted.folder.parent).delete(interrupted.id),
    ):
        with pytest.raises(StoreError, match="being trained"):
            attempt()
    assert {path: path.read_bytes() for path in interrupted.folder.iterdir() if path.is_file()} == before


@pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")
def test_a_killed_process_lets_go_of_its_run(
    interrupted: Run, trained_elsewhere: subprocess.Popen[str]
) -> None:
    interrupted.update(status="running")
    trained_elsewhere.send_signal(signal.SIGKILL)
    trained_elsewhere.wait()
    assert interrupted.status == "interrupted"
    follow(interrupted, interrupted.resume(CPU, DATA))
    assert interrupted.status == "completed"


@pytest.mark.usefixtures("impatient")
def test_a_run_may_be_held_around_its_recording(interrupted: Run) -> None:
    with interrupted.held():
        follow(interrupted, interrupted.resume(CPU, DATA))
        assert Run.open(interrupted.folder).record.status == "completed"
        with pytest.raises(StoreError, match="being trained by another"), Run.open(interrupted.folder).held():
            pass


def test_a_look_at_the_status_does_not_get_in_the_way_of_training(interrupted: Run) -> None:
    with files.held(runs.lock(interrupted.folder), "held"):
        assert Run.open(interrupted.folder).status == "interrupted"  # as recorded: the lock is not even asked
    interrupted.update(status="created")
    assert [Run.open(interrupted.folder).status for _ in range(3)] == ["interrupted"] * 3
    with interrupted.held():
        assert Run.open(interrupted.folder).status == "running"


def test_a_change_by_one_process_survives_the_change_by_another(run: Run) -> None:
    Run.open(run.folder).update(name="Renamed")
    run.update(status="stopped")
    record = Run.open(run.folder).record
    assert (record.name, record.status) == ("Renamed", "stopped")


def test_changes_at_once_are_all_kept(run: Run) -> None:
    """Four by four, each from what it knew when it began."""
    runs = [Run.open(run.folder) for _ in range(4)]

    def change(one: int) -> None:
        for turn in range(4):
            runs[one].add_metrics(**{f"{one} {turn}": {"n": turn}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    assert set(Run.open(run.folder).record.metrics) >= {
        f"{one} {turn}" for one in range(4) for turn in range(4)
    }


def test_readers_see_the_old_file_or_the_new_one_and_never_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def full_disk(*_: object) -> None:
        assert path.read_bytes() == b"old"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(StoreError, match="file cannot be written: No space left on device. Make room"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and [one.name for one in tmp_path.iterdir()] == ["file"]


@needs_posix
def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    assert Store(tmp_path / "missing").list() == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="The store .*file cannot be read: Not a directory. Choose another"):
        Store(tmp_path / "file").list()
    with pytest.raises(StoreError, match="file cannot be written: .* Choose another folder"):
        new(tmp_path / "file")


# --- which run is meant -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id", ["../outside", "..", ".", "", "/", "outside", "a/../b", ".hidden", "x" * 5_000, "\0"]
)
@pytest.mark.parametrize("verb", ["run", "delete"])
def test_an_id_is_a_name_in_the_listing_and_never_a_path(run: Run, id: str, verb: str) -> None:
    root = run.folder.parent
    shutil.copytree(run.folder, root.parent / "outside")
    shutil.copytree(run.folder, root / ".hidden")
    with pytest.raises(StoreError, match=rf"There is no run .* in store/. Runs there: {run.id}\."):
        getattr(Store(root), verb)(id)
    with pytest.raises(StoreError, match="There is no run"):
        getattr(Store(root), verb)(str(root.parent / "outside"))
    assert run.load() and (root.parent / "outside" / "run.json").exists()


def test_a_deleted_run_is_put_away_and_comes_back_or_goes_for_good(run: Run) -> None:
    store, weights = Store(run.folder.parent), run.weights_file.read_bytes()
    (store.root / "damaged").mkdir()
    for id in (run.id, "damaged"):
        store.delete(id)
    assert store.list() == [] and {one.id for one in store.deleted()} == {run.id, "damaged"}
    keys = {one.id: one.key for one in store.deleted()}
    assert store.restore(keys[run.id]) == run.id
    assert store.run(run.id).weights_file.read_bytes() == weights
    store.erase(keys["damaged"])
    assert store.deleted() == () and not list(store.root.glob(".deleted/*"))
    with pytest.raises(StoreError, match="not among the deleted runs any more"):
        store.restore(keys["damaged"])


def test_what_is_measured_of_a_deleted_run_does_not_bring_it_back(run: Run) -> None:
    store = Store(run.folder.parent)
    store.delete(run.id)
    with pytest.raises(StoreError, match="was deleted. The Library can bring it back"):
        run.add_metrics(test={"n": 1})
    with pytest.raises(StoreError, match="was deleted"), run.held():
        pytest.fail("what is not there cannot be held")
    assert not run.folder.exists()
    (away,) = store.deleted()
    assert store.restore(away.key) == run.id


def test_a_dot_in_a_name_stays_there(run: Run) -> None:
    store = Store(run.folder.parent)
    for _ in range(2):  # in one second
        shutil.copytree(run.folder, store.root / "mine.old")
        assert store.delete("mine.old") in {one.key for one in store.deleted()}
    assert [one.id for one in store.deleted()] == ["mine.old"] * 2
    assert store.restore(store.deleted()[0].key) == "mine.old"


def test_what_is_restored_takes_the_place_of_nothing(run: Run) -> None:
    store = Store(run.folder.parent)
    twin = shutil.copytree(run.folder, store.root.parent / "twin")
    store.delete(run.id)
    shutil.copytree(twin, run.folder)
    (away,) = store.deleted()
    back = store.restore(away.key)
    assert back != run.id and back.startswith(f"{run.id}-")
    assert {one.id for one in store.runs()} == {run.id, back}


@pytest.mark.parametrize("key", ["..", "../store", "", ".", "/", "x" * 300])
def test_no_text_from_outside_reaches_beyond_what_was_put_away(run: Run, key: str) -> None:
    store = Store(run.folder.parent)
    store.delete(run.id)
    for act in (store.restore, store.erase):
        with pytest.raises(StoreError):
            act(key)
    assert len(store.deleted()) == 1


@needs_posix
def test_a_link_is_no_run_and_deleting_it_spares_what_it_leads_to(run: Run, tmp_path: Path) -> None:
    link = tmp_path / "other" / "linked"
    link.parent.mkdir()
    link.symlink_to(run.folder, target_is_directory=True)
    damaged = only(link.parent)
    assert isinstance(damaged, Damaged) and "it is a link" in damaged.reason
    with pytest.raises(StoreError, match="it is a link"):
        Store(link.parent).run("linked")
    Store(link.parent).delete("linked")
    assert not link.exists() and run.load()


@needs_posix
def test_a_folder_whose_name_is_no_text_is_damaged_and_has_a_name_once_restored(run: Run) -> None:
    store = Store(run.folder.parent)
    for name in (b"vae-\xe9", b"vae-\xe8"):
        shutil.copytree(run.folder, run.folder.with_name(os.fsdecode(name)))
    sound, *damaged = store.list()
    assert sound.id == run.id and sorted(one.id for one in damaged) == [r"vae-\udce8", r"vae-\udce9"]
    assert all(one.reason.isprintable() and "is no text" in one.reason for one in damaged)
    with pytest.raises(StoreError, match="is no text"):
        store.run(damaged[0].id)
    restored = store.restore(store.delete(damaged[0].id))
    assert store.run(restored).load()
    (store.deleted_root / os.fsdecode(b"put \xff")).mkdir()
    assert store.deleted() == ()


def test_what_is_measured_of_a_run_that_was_deleted_meanwhile_says_so(finished: Run) -> None:
    copy = Run.open(Path(shutil.copytree(finished.folder, finished.folder.with_name("copy"))))
    copy.load()
    Store(copy.folder.parent).delete("copy")
    with pytest.raises(StoreError, match="copy was deleted. The Library can bring it back"):
        copy.check_unchanged()


# --- damage -----------------------------------------------------------------------------------------------------


def no_json(run: Run) -> None:
    (run.folder / "run.json").write_text("{")


def deep_json(run: Run) -> None:
    (run.folder / "run.json").write_text("[" * 100_000)


def deep_setting(run: Run) -> None:
    text = json.dumps(json.loads((run.folder / "run.json").read_text()) | {"config": {"hidden": "HERE"}})
    depth = sys.getrecursionlimit() - 120
    (run.folder / "run.json").write_text(text.replace('"HERE"', "[" * depth + "]" * depth))


def no_text(run: Run) -> None:
    (run.folder / "run.json").write_bytes(b'{"family": "\xff"}')


def huge(run: Run) -> None:
    (run.folder / "run.json").write_bytes(b" " * 2**20 + b"{}")


def folder_in_place(run: Run) -> None:
    (run.folder / "run.json").unlink()
    (run.folder / "run.json").mkdir()


def pipe_in_place(run: Run) -> None:
    (run.folder / "run.json").unlink()
    os.mkfifo(run.folder / "run.json")


def linked_metrics(run: Run) -> None:
    run.metrics_file.unlink()
    run.metrics_file.symlink_to(run.folder / "run.json")


def absent(run: Run) -> None:
    (run.folder / "run.json").unlink()


def field(**changes: Any) -> Callable[[Run], None]:
    return lambda run: edit(run, **changes)


BAD_RECORDS: list[tuple[Callable[[Run], None], str]] = [
    (no_json, "run.json is not JSON"),
    (deep_json, "run.json is not JSON"),
    (deep_setting, "hidden takes positive whole numbers|recursion"),
    (no_text, "can't decode"),
    (huge, "run.json is larger than 1048576 bytes"),
    (folder_in_place, "run.json is no file"),
    (absent, "there is no run.json"),
    (field(format=99), "its format is 99, this version reads 1"),
    (field(family="transformer"), "no family 'transformer'; there are vanilla"),
    (field(config={"wings": 2}), "unknown setting wings"),
    (field(config={"latent_dim": 10**9}), "latent_dim lies between"),
    (field(config={"lr": 10**400}), "lr takes float"),
    (field(family="photo_denoiser", config={"blocks": [10**9, 1, 1]}), "blocks takes numbers up to 64"),
    (field(family="photo_denoiser", config={"widths": [], "blocks": []}), "take one number for each level"),
    (field(config={"hidden": [1] * 100_000}), "hidden takes at most 16 numbers, not 100000"),
    (field(config={"net": "x" * 10_000}), "net is one of"),
    (field(plan={"epochs": "many"}), "epochs takes a whole number"),
    (field(plan={"epochs": 1, "wings": 2}), r"unknown fields \['wings'\] in its plan"),
    (field(shape=[1, 10**9, 8]), "is outside what the families handle"),
    (field(shape=[2, 8, 8]), "is outside what the families handle"),
    (field(shape=[1, 2, 2]), "is outside what the families handle"),
    (field(shape=[1, 8]), "its shape is not three whole numbers"),
    (field(status="fine"), "its status is 'fine'"),
    (field(created=5), "created in run.json is int, not str"),
    (field(metrics=[]), "metrics in run.json is list, not dict"),
    (field(dataset={"name": "toy", "title": 5}), "title in run.json is int, not str"),
    (field(dataset={}), "its dataset lacks a name"),
    (field(wings=2), r"unknown fields \['wings'\]"),
]
POSIX_ONLY = [
    (pipe_in_place, "run.json in it is neither file nor folder"),
    (linked_metrics, "metrics.jsonl in it is neither"),
]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [*BAD_RECORDS, *(pytest.param(*bad, marks=needs_posix) for bad in POSIX_ONLY)],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_damaged_run_is_listed_with_the_reason_and_hides_no_other(
    run: Run, finished: Run, damage: Callable[[Run], None], reason: str
) -> None:
    shutil.copytree(finished.folder, run.folder.with_name("sound"))
    damage(run)
    sound, damaged = Store(run.folder.parent).list()
    assert isinstance(sound, Run) and sound.id == "sound"
    assert isinstance(damaged, Damaged) and damaged.id == run.id
    with pytest.raises(
        StoreError, match=f"{run.id} cannot be used: .*({reason}).*Delete it, or train it again"
    ):
        Store(run.folder.parent).run(run.id)
    assert len(damaged.reason) < 450 and damaged.reason.isprintable()


def test_what_a_record_may_leave_out_takes_its_default(run: Run) -> None:
    record = json.loads((run.folder / "run.json").read_text())
    for name in ("name", "created", "versions", "metrics", "device"):
        del record[name]
    del record["config"]["lr"]
    (run.folder / "run.json").write_text(json.dumps(record))
    found = Run.open(run.folder)
    assert found.load().config.lr == family("vanilla").Config().lr
    assert (found.record.created, found.record.versions, found.title) == ("", {}, run.id)


def pickled_weights(run: Run) -> None:
    """What `pickle.dumps(os.system)` would give."""
    run.weights_file.write_bytes(
        b"\x80\x04\x95\x14\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    )


def lying_header(run: Run) -> None:
    header = json.dumps(
        {"encoder.1.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ).encode()
    run.weights_file.write_bytes(struct.pack("<Q", len(header)) + header)


def cut_short(run: Run) -> None:
    run.weights_file.write_bytes(run.weights_file.read_bytes()[:-10])


def other_names(run: Run) -> None:
    run.weights_file.write_bytes(safetensors.torch.save({"w": torch.zeros(2)}))


def other_shapes(run: Run) -> None:
    edit(run, config=dict(run.record.config) | {"latent_dim": 7})


def other_kind(run: Run) -> None:
    state = {name: value.to(torch.complex64) for name, value in run.load().state_dict().items()}
    run.weights_file.write_bytes(safetensors.torch.save(state))


def no_numbers(run: Run) -> None:
    state = run.load().state_dict()
    name = next(iter(state))
    run.weights_file.write_bytes(safetensors.torch.save(state | {name: state[name] * torch.nan}))


def no_shares(run: Run) -> None:
    state = run.load().state_dict()
    run.weights_file.write_bytes(safetensors.torch.save(state | {"mixture.weights": torch.zeros(10)}))


def absurd_size(run: Run) -> None:
    edit(
        run,
        config=dict(run.record.config) | {"hidden": [2**40, 2**40], "latent_dim": 4096},
        shape=[3, 1024, 1024],
    )


def folder_for_weights(run: Run) -> None:
    run.weights_file.unlink()
    run.weights_file.mkdir()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (pickled_weights, "weights.safetensors is not a sound safetensors file"),
        (lying_header, "weights.safetensors is not a sound safetensors file"),
        (cut_short, "weights.safetensors is not a sound safetensors file"),
        (folder_for_weights, "weights.safetensors is no file"),
        (other_names, "its weights do not fit its settings"),
        (other_shapes, "its weights do not fit its settings"),
        (other_kind, "its weights do not fit its settings"),
        (no_numbers, "some of its weights are no finite numbers"),
        (no_shares, "the weights of its mixture are no shares of one"),
        (absurd_size, "these settings make no net|its weights would take"),
    ],
)
def test_damaged_weights_are_refused_with_the_reason(
    run: Run, damage: Callable[[Run], None], reason: str
) -> None:
    damage(run)
    with pytest.raises(StoreError, match=f"cannot be loaded: .*({reason})"):
        Run.open(run.folder).load()


def test_an_extra_file_is_never_opened(run: Run) -> None:
    (run.folder / "weights.pkl").write_bytes(b"cos\nabort\n(tR.")  # would end the process
    assert Run.open(run.folder).load()


def test_settings_beyond_all_memory_are_refused_before_anything_is_allocated() -> None:
    config = family("vanilla").Config(net="mlp", hidden=(60_000, 60_000))
    with pytest.raises(ValueError, match="its weights would take 27842 MB; the limit is 512 MB"):
        outline(family("vanilla"), config, (1, 28, 28))


def test_loading_a_model_imports_nothing_that_takes_seconds(finished: Run) -> None:
    code = (
        f"import sys; from core.store import Store; Store({str(finished.folder.parent)!r}).run({finished.id!r}).load();"
        "print({'sympy', 'sklearn', 'skimage', 'scipy', 'torch._dynamo', 'umap', 'streamlit'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_model_loaded_in_inference_mode_can_be_differentiated_through(run: Run) -> None:
    with torch.inference_mode():
        model = run.load()
    code = torch.zeros(1, model.config.latent_dim, requires_grad=True)
    model.decode(code).sum().backward()
    assert code.grad is not None and code.grad.any()


def test_a_loaded_model_does_not_depend_on_its_file_any_more(run: Run) -> None:
    model = run.load()
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    with run.weights_file.open("r+b") as file:
        file.write(bytes(run.weights_file.stat().st_size))
        file.truncate(0)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("seconds", ["1e999", "-1e999", "NaN"])
def test_a_line_with_a_number_beyond_all_numbers_is_left_out(run: Run, seconds: str) -> None:
    line = '{"epoch": 1, "step": 2, "train": {}, "validation": {}, "seconds": %s, "images_per_second": 1.0}'
    run.metrics_file.write_text(line % "1.0" + "\n" + line % seconds + "\n")
    assert [one["seconds"] for one in run.metrics()] == [1.0]
    step = '{"epoch": 1, "step": 2, "progress": 0.5, "numbers": {}, "seconds": %s}'
    run.steps_file.write_text(step % seconds + "\n")
    assert run.steps() == []


def test_no_more_is_read_of_a_training_than_one_can_have_left(run: Run) -> None:
    """A zip of a megabyte may hold gigabytes of zeros."""
    folder = run.folder / "previews"
    write_tensors(folder / "places-00001.safetensors", {"places": torch.zeros(SCATTERED + 1, 2)}, {})
    write_tensors(folder / "places-00002.safetensors", {"places": torch.ones(SCATTERED, 2)}, {})
    places, _ = run.places()
    assert [epoch for epoch, _ in places] == [2]
    for epoch in range(2_001):
        (folder / f"epoch-{epoch:05d}.png").touch()
    assert run.preview_epochs() == list(range(1_001, 2_001))


def test_makers_and_sweepers_do_not_trip_over_each_other(tmp_path: Path) -> None:
    """A folder or a file may get its own name between the listing of those without and a look at how old they are."""
    home, folder = tmp_path / "home", tmp_path / "run"
    folder.mkdir()
    run = Run(folder, Record("vanilla", (1, 8, 8), {}, {}, {}, "cpu"))
    ended = time.monotonic() + 1.5

    def make() -> None:
        with unborn(home) as made:
            made.rename(home / made.name.removeprefix(files.UNBORN))

    def busily(work: Callable[[], object]) -> None:
        while time.monotonic() < ended:
            work()

    works = (make, make, lambda: write_bytes(folder / "name", b"x"), run.clear_unfinished)
    with ThreadPoolExecutor(len(works)) as threads:
        assert list(threads.map(busily, works)) == [None] * len(works)
    assert not list(tmp_path.rglob(".*"))


def test_of_broken_metrics_the_sound_lines_are_kept(run: Run) -> None:
    good = run.metrics_file.read_text()
    sound = json.loads(good.splitlines()[0])
    odd = (
        {"seconds": None},
        {"step": -1},
        {"epoch": 10**320},
        {"train": {"mse": 10**320}},
        {"train": {"\ud800": 1}},
    )
    bad = [
        *(json.dumps(sound | one) for one in odd),
        json.dumps({name: value for name, value in sound.items() if name != "step"}),
        "",
        "[]",
        "nonsense",
        "[" * 5_000,
        '{"epoch": 3}',
        '{"epoch": 1, "train": {"a": "b"}, "validation": {}}',
    ]
    run.metrics_file.write_text(
        good + "\n".join(bad) + "\n" + good.splitlines()[0]
    )  # the last one is being written
    assert [record["epoch"] for record in run.metrics()] == [1, 2]
    run.metrics_file.write_bytes(b"\xff\n")
    assert run.metrics() == []


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"cos\nabort\n(tR."])
def test_a_broken_preview_is_reported(run: Run, content: bytes) -> None:
    (run.folder / "previews" / "epoch-00001.png").write_bytes(content)
    with pytest.raises(StoreError, match=f"epoch-00001.png of {run.id} cannot be read"):
        run.previews(1)
    with pytest.raises(StoreError, match="epoch-00002.png of"):
        run.previews(2)


@pytest.mark.parametrize(
    ("pixels", "complaint"), [((1, 4000, 4000), "larger than previews are"), ((3, 24, 16), "other colours")]
)
def test_a_preview_that_is_none_of_its_run_is_reported(
    run: Run, pixels: tuple[int, int, int], complaint: str
) -> None:
    (run.folder / "previews").mkdir(exist_ok=True)
    run.preview_file(1).write_bytes(png(sheet(np.full((1, *pixels), 90, np.uint8), 1)))
    with pytest.raises(StoreError, match=complaint):
        run.previews(1)


def test_places_of_no_pictures_hide_none(run: Run) -> None:
    (run.folder / "previews").mkdir(exist_ok=True)
    for epoch, places in {0: torch.zeros(0, 2), 1: torch.ones(3, 2)}.items():
        write_tensors(run.folder / "previews" / f"places-{epoch:05d}.safetensors", {"places": places}, {})
    ((epoch, found),), _ = run.places()
    assert epoch == 1 and torch.equal(found, torch.ones(3, 2))


# --- codes ------------------------------------------------------------------------------------------------------


def codes_of(z: torch.Tensor) -> Codes:
    return Codes(z, torch.arange(len(z)) % 3, torch.linspace(0, 1, len(z)))


def test_dense_codes_come_back_in_half_precision(run: Run) -> None:
    z = torch.randn(9, 6, generator=torch.Generator().manual_seed(0))
    run.save_codes(codes_of(z))
    found = Run.open(run.folder).codes()
    assert found is not None and found.labels is not None
    assert torch.equal(found.codes, z.half().float())
    assert torch.equal(found.labels, torch.arange(9) % 3)
    assert torch.equal(found.errors, torch.linspace(0, 1, 9))


def test_sparse_codes_take_the_room_of_their_active_numbers() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(50, 512, generator=generator).relu() * (torch.rand(50, 512, generator=generator) < 0.02)
    tensors = packed(codes_of(z))
    assert tensors["values"].shape == tensors["units"].shape == (50, int((z.half() != 0).sum(1).max()))
    assert torch.equal(unpacked(tensors, 512, 3).codes, z.half().float())
    silent = codes_of(torch.zeros(3, 8))
    assert torch.equal(unpacked(packed(silent), 8, 3).codes, silent.codes)


def test_codes_beyond_half_precision_are_kept_whole() -> None:
    z = torch.tensor([[70_000.0, 1.0]])
    assert torch.equal(unpacked(packed(codes_of(z)), 2, 3).codes, z)


def test_codes_without_labels_stay_without() -> None:
    found = unpacked(packed(Codes(torch.ones(2, 3), None, torch.zeros(2))), 3, 0)
    assert found.labels is None and torch.equal(found.codes, torch.ones(2, 3))


def test_codes_of_other_weights_are_ignored(run: Run) -> None:
    run.save_codes(codes_of(torch.zeros(4, 6)), "shipped")
    assert run.codes() is not None
    run.save_weights(perturbed(run.load()))
    assert run.codes() is None
    run.save_codes(codes_of(torch.ones(4, 6)))
    found = run.codes()
    assert found is not None and found.codes.sum() == 24


def test_nothing_of_weights_that_were_replaced_meanwhile_is_kept(finished: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(finished.folder, tmp_path / finished.id)
    run, another = Run.open(folder), Run.open(folder)
    model = run.load()
    another.save_weights(perturbed(another.load()))
    before = Run.open(folder).record.metrics
    for keeping in (
        lambda: run.keep("map", {"xy": torch.zeros(1)}),
        lambda: report.keep(run, {"codes": {"n": 1}}),
        lambda: export.keep(run, model),
        lambda: summarise(run, model, DATA),
    ):
        with pytest.raises(StoreError, match="was trained on meanwhile.* Do it again"):
            keeping()
    assert Run.open(folder).record.metrics == before
    assert not any((folder / "cache").glob("*"))
    summarise(another, another.load(), DATA)
    assert another.codes() is not None


def test_nothing_of_a_checkpoint_is_kept_as_of_the_final_weights(interrupted: Run) -> None:
    another = Run.open(interrupted.folder)
    another.load()
    follow(interrupted, interrupted.resume(CPU, DATA))
    with pytest.raises(StoreError, match="was trained on meanwhile"):
        another.keep("map", {"xy": torch.zeros(1)})


def perturbed(model: Autoencoder) -> Autoencoder:
    with torch.no_grad():
        next(model.parameters()).add_(1)
    return model


def test_codes_beyond_all_memory_are_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = {"errors": torch.zeros(3), "values": torch.zeros(3, 2), "units": torch.zeros(3, 2)}
    assert unpacked(tensors, 8, 0).codes.shape == (3, 8)
    monkeypatch.setattr(codes, "MAX_TENSOR_BYTES", 95)
    with pytest.raises(ValueError, match="too much memory"):
        unpacked(tensors, 8, 0)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"errors": torch.zeros(3)},
        {"errors": torch.tensor(0.0), "codes": torch.zeros(1, 6)},
        {"errors": torch.zeros(3), "codes": torch.zeros(4, 6)},
        {"errors": torch.zeros(3), "codes": torch.zeros(3, 5)},
        {"errors": torch.zeros(3), "codes": torch.zeros(3, 6), "labels": torch.zeros(2)},
        {"errors": torch.zeros(3), "values": torch.zeros(3, 2), "units": torch.full((3, 2), 6)},
        {"errors": torch.zeros(3), "codes": torch.full((3, 6), torch.nan)},
        {"errors": torch.zeros(3), "codes": torch.full((3, 6), 1e30)},
        {"errors": torch.full((3,), torch.inf), "codes": torch.zeros(3, 6)},
    ],
)
def test_codes_that_do_not_fit_are_none(run: Run, tensors: dict[str, torch.Tensor]) -> None:
    (run.folder / "cache").mkdir()
    header = {"weights": run.weights_hash()}
    write_tensors(run.folder / "cache" / "codes.safetensors", tensors, header)
    assert run.codes() is None


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_labels_that_name_no_class_are_left_out(run: Run, label: int) -> None:
    z = torch.ones(2, 6)
    run.save_codes(Codes(z, torch.tensor([0, label]), torch.zeros(2)))
    found = run.codes()
    assert found is not None and torch.equal(found.codes, z) and found.labels is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"created": "\ud800"}, "characters that are no text"),
        ({"dataset": {"name": "digits", "title": "\ud800"}}, "characters that are no text"),
        ({"metrics": {"test": [1]}}, "test in run.json is list, not dict"),
    ],
)
def test_a_record_that_no_page_could_show_is_damaged(run: Run, changes: dict[str, Any], reason: str) -> None:
    edit(run, **changes)
    damaged = only(run.folder.parent)
    assert isinstance(damaged, Damaged) and reason in damaged.reason
