"""The command line: `python -m core <verb>`, in this process where only words matter, in one of its own where signals do."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core import evaluation, packing, report
from core.__main__ import main
from core.data import load
from core.errors import INTERRUPTED
from core.families import FAMILIES, RESTORERS
from core.jobs import Jobs, Stop, Work
from core.store import Run, Store, StoreError
from core.tensors import read_tensors, write_tensors
from core.verbs.console import save
from tests.core.killed import CASES
from tests.photographs import autoencoder, scene

ROOT = Path(__file__).parents[2]
SMALL = ["--set", "net=mlp", "hidden=16", "latent_dim=8"]
DIGITS = ["train", "--family", "vanilla", "--dataset", "digits", "--threads", "1", *SMALL]
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no signals to speak of")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A completed run that no test may change."""
    root = tmp_path_factory.mktemp("made")
    assert main(["--store", str(root), *DIGITS, "--epochs", "1", "--name", "Mine"]) == 0
    (run,) = Store(root).runs()
    return run


@pytest.fixture
def root(made: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of `made`, as BOTTLENECK_STORE names it."""
    monkeypatch.setenv("BOTTLENECK_STORE", str(made.folder.parent))
    return made.folder.parent


@pytest.fixture
def own(made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of `made` in a store of its own."""
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path / "store"))
    return Run.open(shutil.copytree(made.folder, tmp_path / "store" / made.id))


class Terminal:
    """Runs a command line and tells what came of it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> str:
        """Its stdout; it has to succeed."""
        self.capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return self.capsys.readouterr().out

    def json(self, *words: object) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        return json.loads(self(*words, "--json"), parse_constant=refuse)

    def refused(self, *words: object) -> str:
        """Its one line on stderr; it has to be refused."""
        self.capsys.readouterr()
        assert main([str(word) for word in words]) == 2
        out, err = self.capsys.readouterr()
        assert out == "" and err.startswith("error: ") and err.count("\n") == 1
        return err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


# --- what there is ----------------------------------------------------------------------------------------------


def test_families_and_datasets_are_listed(run: Terminal) -> None:
    assert [one["key"] for one in run.json("families")] == [family.key for family in (*FAMILIES, *RESTORERS)]
    assert all(one["title"] and one["paper"] for one in run.json("families"))
    assert [one["name"] for one in run.json("datasets")][:2] == ["digits", "photos"]
    header, first, *_ = run("datasets").splitlines()
    assert header.split() == ["name", "title", "shape", "local", "licence"] and first.startswith("digits")


def test_runs_are_listed_the_damaged_ones_with_their_reason(
    run: Terminal, own: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (own.folder.parent / "empty").mkdir()
    sound, damaged = run.json("runs")
    assert (sound["id"], sound["family"], sound["dataset"], sound["status"]) == (
        own.id,
        "vanilla",
        "digits",
        "completed",
    )
    assert (damaged["id"], damaged["status"]) == ("empty", "damaged") and "no run.json" in damaged["reason"]
    capsys.readouterr()
    assert main(["runs"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["id", own.id, "empty"]
    assert err == "empty cannot be used: there is no run.json. Delete it, or train it again.\n"


def test_a_run_is_shown_with_its_history(run: Terminal, made: Run, root: Path) -> None:
    shown = run.json("show", made.id)
    assert (shown["id"], shown["name"], shown["config"]["latent_dim"]) == (made.id, "Mine", 8)
    assert [epoch["epoch"] for epoch in shown["epochs"]] == [1]
    assert "epoch    1  mse 0." in run("show", made.id)


@posix
def test_devices_and_links_stay_what_they_are(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()), daemon=True)
    read: list[bytes] = []
    reader.start()
    save(tmp_path / "pipe", b"through")
    reader.join(10)
    assert read == [b"through"] and (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("target")
    save(tmp_path / "link", b"there")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"there"


def test_a_seed_that_no_generator_takes_is_refused(run: Terminal, made: Run, root: Path) -> None:
    for seed in (-1, 2**32):
        assert "--seed lies between 0 and" in run.refused("map", made.id, "--seed", seed)


def test_text_from_a_run_reaches_no_terminal_unwashed(run: Terminal, own: Run) -> None:
    (own.folder / "metrics.jsonl").write_text(
        (own.folder / "metrics.jsonl").read_text().replace('"mse"', '"\\u001b[2Jmse"')
    )
    assert "epoch    1  [2Jmse 0." in run("show", own.id)
    record = json.loads((own.folder / "run.json").read_text()) | {"name": "\x1b[2Jgone", "device": "\x1b[2J"}
    (own.folder / "run.json").write_text(json.dumps(record))
    (own.folder.parent / "evil\x1b[2J\n").mkdir()
    assert "\x1b" not in run("runs") + run("show", own.id) + run.refused("show", "evil\x1b[2J\n")


def test_the_store_may_be_named_before_the_verb_after_it_or_around_it(
    run: Terminal, made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path))
    there = made.folder.parent
    assert run.json("runs") == []
    assert run.json("--store", there, "runs") == run.json("runs", "--store", there) != []
    monkeypatch.setenv("BOTTLENECK_STORE", str(there))
    assert len(run.json("runs")) == 1 and run.json("runs", "--store", tmp_path) == []


# --- using runs -------------------------------------------------------------------------------------------------


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what the model draws, for which a classifier would have to be trained."""
    monkeypatch.setattr(report, "generation", lambda *_: {})


def test_a_run_is_evaluated_on_its_test_pictures(
    run: Terminal, made: Run, root: Path, unjudged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run.json("evaluate", made.id)
    assert set(found) == {"reconstruction", "codes", "contraction"}
    numbers = found["reconstruction"]
    assert (
        numbers["n"] == 300
        and 0 < numbers["mse"] < 0.2
        and numbers["sse"] == pytest.approx(64 * numbers["mse"])
    )
    assert 5 < numbers["psnr"] < 30 and 0 < numbers["ssim"] < 1
    test = made.record.metrics["test"]
    assert {name: numbers[name] for name in test} == pytest.approx(test)
    assert main(["evaluate", made.id]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("reconstruction\n  n              300\n  mse            ") and "\n\ncodes\n" in out
    assert f"{numbers['mse']:.4g}" in out and "Reading codes" in err
    assert report.kept(Run.open(made.folder)) is None


def test_what_was_measured_is_kept_where_one_asks_for_it(run: Terminal, own: Run, unjudged: None) -> None:
    found = run.json("evaluate", own.id, "--keep")
    again = Run.open(own.folder)
    assert report.kept(again) == found and again.codes() is not None
    assert {name: found["reconstruction"][name] for name in again.record.metrics["test"]} == (
        again.record.metrics["test"]
    )
    tensors, _ = read_tensors(own.weights_file)
    write_tensors(own.checkpoint_file, {f"model.{name}": one for name, one in tensors.items()}, {})
    own.weights_file.unlink()
    for asked in (
        ("evaluate", own.id, "--keep"),
        ("decoder", own.id),
        ("map", own.id),
        ("robustness", own.id),
    ):
        assert "has no final weights, by which results are kept" in run.refused(*asked)


def test_importance_samples_and_pictures_are_chosen(
    run: Terminal, made: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(report, "examine", lambda *_, tell, **options: asked.append(options) or {})
    run("evaluate", made.id, "--importance-samples", 5_000, "--pictures", 7)
    run("evaluate", made.id)
    assert asked == [
        {"importance_samples": 5_000, "pictures": 7},
        {"importance_samples": report.DRAWS, "pictures": report.PICTURES},
    ]


def test_an_infinite_number_is_a_text_in_json(
    run: Terminal, made: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"reconstruction": {"psnr": float("inf"), "n": 10_000}, "vae": {"kl_by_number": [0.5] * 13}}
    monkeypatch.setattr(report, "examine", lambda *_, **__: found)
    assert run.json("evaluate", made.id) == found | {"reconstruction": {"psnr": "inf", "n": 10_000}}
    shown = "0.5 " * 12 + "… (13, all of them with --json)"
    assert run("evaluate", made.id) == (
        f"reconstruction\n  psnr  inf\n  n     10,000\n\nvae\n  kl_by_number  {shown}\n"
    )


def test_pictures_go_through_several_runs_into_a_folder(run: Terminal, own: Run, tmp_path: Path) -> None:
    shutil.copytree(own.folder, own.folder.with_name("twin"))
    for name, size in (("a.png", (40, 30)), ("b.jpg", (8, 8))):
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / name)
    out = tmp_path / "deep" / "out"
    told = run(
        "reconstruct", own.id, "twin", "--images", tmp_path / "a.png", tmp_path / "b.jpg", "--out", out
    )
    assert told == f"{out / 'metrics.json'}\n"
    table = json.loads((out / "metrics.json").read_text())
    assert [(row["image"], row["run"]) for row in table] == [
        (i, r) for i in ("a.png", "b.jpg") for r in (own.id, "twin")
    ]
    assert {row["file"] for row in table} | {"metrics.json"} == {path.name for path in out.iterdir()}
    for row in table:
        assert row["mse"] > 0 and row["sse"] == pytest.approx(64 * row["mse"])
        with Image.open(out / row["file"]) as picture:
            assert (picture.size, picture.mode) == ((8, 8), "L")


def test_a_photograph_goes_through_a_bottleneck_at_its_own_size(
    run: Terminal, own: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeezing = autoencoder(Store()).id
    Image.fromarray(scene(70, 50)).save(tmp_path / "a.png")
    asked = ("reconstruct", squeezing, "--images", tmp_path / "a.png", "--out", tmp_path / "out")
    run(*asked, "--rate", 2)
    ((row,), name) = json.loads((tmp_path / "out" / "metrics.json").read_text()), f"001-a-{squeezing}.png"
    assert (
        row["file"] == name
        and row["numbers"] == 2
        and row["jpeg_psnr"] > 0
        and 0 < row["bytes"] < 70 * 50 * 3
    )
    with Image.open(tmp_path / "out" / name) as picture:
        assert (picture.size, picture.mode) == ((70, 50), "RGB")
    assert f"--rate of {squeezing} is one of 2, 4, not 0" in run.refused(*asked, "--rate", 0)
    assert "--rate is for runs that squeeze photographs" in run.refused(
        "reconstruct", own.id, *asked[2:], "--rate", 2
    )
    monkeypatch.setattr(packing, "MOST_NUMBERS", 1)
    assert main([str(word) for word in (*asked, "--rate", 2)]) == 2
    assert "too large for 2 numbers a square; choose a smaller --rate" in run.capsys.readouterr().err


WAITING = """
import sys
from core.__main__ import main
from core.jobs import Work

def lane(self, name, **_):
    assert "torch" not in sys.modules, sys.argv
    raise SystemExit(name)

Work.lane = lane
TRAIN = "train --family vanilla --dataset digits --device cpu"
for words in ("evaluate x", "decoder x", "map x", "robustness x", "train --resume x --device cpu",
              "train --from x --device cpu", TRAIN):
    try:
        main(words.split())
    except SystemExit as end:
        assert end.code == ("train-cpu" if words.startswith("train") else "analysis"), words
    else:
        raise AssertionError(words)
"""


def test_who_waits_for_a_turn_has_not_imported_torch_and_waits_for_the_right_ones(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    environment = os.environ | {"BOTTLENECK_STORE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", WAITING], check=True, cwd=ROOT, env=environment)


@pytest.mark.parametrize("words", ["--family vee --dataset digits", "--family vanilla", "--dataset digits"])
def test_what_is_mistyped_does_not_wait_for_its_turn(
    run: Terminal, root: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr(Work, "lane", lambda *_, **__: pytest.fail("it waits"))
    assert run.refused("train", *words.split(), "--device", "cpu")


def test_samples_fill_a_grid_and_depend_on_the_seed_alone(
    run: Terminal, made: Run, root: Path, tmp_path: Path
) -> None:
    grids = []
    for seed in (0, 0, 1):
        run("sample", made.id, "-n", 9, "--seed", seed, "--out", tmp_path / "grid.png")
        grids.append(np.asarray(Image.open(tmp_path / "grid.png")))
    assert grids[0].shape == (24, 24)
    assert np.array_equal(grids[0], grids[1]) and not np.array_equal(grids[0], grids[2])


def test_codes_are_those_of_the_split_in_its_order(
    run: Terminal, made: Run, root: Path, tmp_path: Path
) -> None:
    run("codes", made.id, "--dataset", "digits", "--split", "validation", "--out", tmp_path / "codes.npz")
    expected = evaluation.codes(made.load(), load("digits").validation)
    with np.load(tmp_path / "codes.npz") as archive:
        assert archive["codes"].shape == (200, 8)
        np.testing.assert_array_equal(archive["codes"], expected.codes)
        np.testing.assert_array_equal(archive["labels"], load("digits").validation.labels)


# --- what cannot be done ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "the following arguments are required: VERB"),
        ("dance", "invalid choice: 'dance'"),
        ("train", "train needs --family and --dataset, or --resume RUN"),
        ("train --family vanilla", "train needs --family and --dataset"),
        ("train --family transformer --dataset digits", "no family 'transformer'; there are vanilla"),
        ("train --family vanilla --dataset emnist", "There is no dataset “emnist”. Choose one of digits"),
        ("train --family vanilla --dataset folder:nowhere", "There is no folder “nowhere”"),
        (
            "train --family vanilla --dataset digits --epochs 0",
            "epochs takes a whole number from 1 to 100000, not 0",
        ),
        (
            "train --family vanilla --dataset digits --epochs 1.5",
            "argument --epochs: invalid int value: '1.5'",
        ),
        ("train --family vanilla --dataset digits --epochs 1 --seconds 9", "not allowed with argument"),
        ("train --family vanilla --dataset digits --seconds nan", "seconds takes a number from 1"),
        ("train --family vanilla --dataset digits --batch-size 1", "batch-size takes a whole number from 2"),
        ("train --family vanilla --dataset digits --device tpu", "argument --device: invalid choice: 'tpu'"),
        (
            "train --family vanilla --dataset digits --set wings=2",
            "'wings=2' is not name=value with a name of latent_dim",
        ),
        ("train --family vanilla --dataset digits --set lr=fast", "lr takes float, not 'fast'"),
        (
            "train --family vanilla --dataset digits --set net=mlp hidden=60000,60000",
            "its weights would take 27",
        ),
        ("train --resume nobody", "There is no run 'nobody'"),
        ("train --resume {id}", "has completed: there is nothing to resume"),
        ("train --resume {id} --epochs 9", "a resumed run goes on as it began: leave out --epochs"),
        ("train --resume {id} --set lr=1", "leave out --set"),
        ("show ../{id}", "There is no run '../{id}'"),
        ("show {root}/{id}", "There is no run"),
        ("evaluate ..", "There is no run '..'"),
        ("evaluate {id} --importance-samples 5001", "lies between 1 and 5000, not 5001"),
        ("evaluate {id} --pictures 0", "--pictures is at least 1, not 0"),
        ("codes {id} --dataset photos --out x.npz", "sees pictures of (1, 8, 8), photos has (3, 32, 32)"),
        ("codes {id} --split dev --out x.npz", "invalid choice: 'dev'"),
        ("codes {id} --out {root}", "cannot be written: Is a directory"),
        ("sample {id} -n 0 --out x.png", "-n lies between 1 and 10000, not 0"),
        ("sample {id} --seed 99999999999 --out x.png", "--seed lies between 0 and 2147483647"),
        ("sample {id} --out {root}/{id}/run.json/x.png", "run.json/x.png cannot be written: "),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    run: Terminal,
    made: Run,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"id": made.id, "root": root}
    assert complaint.format(**names) in run.refused(*(word.format(**names) for word in words.split()))
    assert list(tmp_path.iterdir()) == [] and [run.id for run in Store(root).list()] == [made.id]
    assert Jobs(root).folders() == []


def never(*_: object) -> None:
    pytest.fail("it would wait for its turn")


@pytest.mark.parametrize(
    "words", ["train --resume nobody", "train --from nobody", "evaluate nobody", "robustness {id} nobody"]
)
def test_who_mistypes_a_run_need_not_wait_for_a_turn(
    run: Terminal, made: Run, root: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("core.jobs.at_work", never)
    assert "There is no run 'nobody'" in run.refused(*words.format(id=made.id).split())


def test_a_store_that_cannot_be_written_is_named(run: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file cannot be written: " in run.refused("--store", tmp_path / "file", *DIGITS)


# --- training ---------------------------------------------------------------------------------------------------


def test_the_last_line_of_train_is_the_run_which_is_completed_and_scored(
    made: Run, run: Terminal, tmp_path: Path
) -> None:
    told = run("--store", tmp_path, *DIGITS, "--epochs", 1, "--name", "Mine")
    (again,) = Store(tmp_path).runs()
    assert told == f"{again.id}\n"
    assert (again.status, again.record.plan["epochs"], again.record.name) == ("completed", 1, "Mine")
    assert again.record.metrics["test"] == made.record.metrics["test"]  # the same seed
    codes = again.codes()
    assert codes is not None and codes.codes.shape == (300, 8)


def test_options_that_are_left_out_take_their_defaults(
    run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stop, "__call__", lambda self: True)
    run("--store", tmp_path, "train", "--family", "vae", "--dataset", "digits", *SMALL)
    (stopped,) = Store(tmp_path).runs()
    plan = stopped.record.plan
    assert (plan["epochs"], plan["seconds"], plan["seed"], stopped.status) == (20, None, 0, "stopped")


def test_a_run_on_a_folder_goes_on_from_anywhere_unless_its_pictures_have_changed(
    run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pics"
    folder.mkdir()
    for shade in range(12):
        Image.new("L", (9, 9), 20 * shade).save(folder / f"{shade}.png")
    monkeypatch.delenv("BOTTLENECK_DATA", raising=False)
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as stopping:
        stopping.setattr(Stop, "__call__", lambda self: True)
        run("train", "--family", "vanilla", "--dataset", "folder:pics@8", "--epochs", 1, *SMALL)
    (stopped,) = Store().runs()
    monkeypatch.chdir("/")
    Image.new("L", (9, 9), 250).save(folder / "new.png")
    assert "no longer holds the pictures that" in run.refused("train", "--resume", stopped.id)
    (folder / "new.png").unlink()
    run("train", "--resume", stopped.id)
    assert Store().run(stopped.id).status == "completed"
    Image.new("L", (9, 9), 250).save(folder / "new.png")
    shutil.rmtree(Store().run(stopped.id).folder / "cache")  # kept codes are those of its own test
    for asked in (("evaluate", stopped.id, "--keep"), ("map", stopped.id), ("robustness", stopped.id)):
        assert "its test may hold some of them. Train a new run." in run.refused(*asked)


# --- signals ----------------------------------------------------------------------------------------------------


@posix
def test_a_signal_ends_what_has_nothing_to_keep_and_asks_a_training_to_stop() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stop() as stop:
        with pytest.raises(SystemExit) as left:
            signal.raise_signal(signal.SIGTERM)
        assert left.value.code == INTERRUPTED
    with Stop() as stop:
        assert not stop()
        stop.at_once = False
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
            signal.raise_signal(number)
            assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) is before


@posix
def test_a_signal_that_was_to_be_ignored_still_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stop():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Tests started in the background may have SIGINT ignored, and their children would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def started(root: Path, *words: str, code: str = "") -> subprocess.Popen[str]:
    command = (
        ["-c", f"{code}\nimport sys; from core.__main__ import main; sys.exit(main())"]
        if code
        else ["-m", "core"]
    )
    return subprocess.Popen(
        [sys.executable, *command, "--store", str(root), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_torch_is_imported_ends_quietly_and_leaves_no_run(
    tmp_path: Path, number: signal.Signals
) -> None:
    code = (
        "import os, sys\n"
        "class Signal:\n"
        "    def find_spec(self, name, *_):\n"
        f"        name == 'torch' and os.kill(os.getpid(), {number})\n"
        "sys.meta_path.insert(0, Signal())\n"
    )
    process = started(tmp_path, *DIGITS, code=code)
    assert process.communicate(timeout=60) == ("", "") and process.returncode == INTERRUPTED
    assert Store(tmp_path).list() == [] and Jobs(tmp_path).folders() == []


@posix
def test_a_signal_in_training_keeps_the_weights_and_the_way_on(tmp_path: Path) -> None:
    process = started(tmp_path, *DIGITS, "--epochs", "100000")
    assert process.stderr is not None
    while not process.stderr.readline().startswith("epoch"):
        assert process.poll() is None
    process.terminate()
    out, err = process.communicate(timeout=60)
    (stopped,) = Store(tmp_path).runs()
    assert process.returncode == 0 and out == f"{stopped.id}\n" and "Traceback" not in err
    assert f"stopped; `python -m core train --resume {stopped.id}` goes on" in err
    assert stopped.status == "stopped" and stopped.checkpoint_file.exists()
    assert stopped.load().mixture.fitted


@posix
def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    process = started(tmp_path, "datasets")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    with process.stderr as stderr:
        assert (process.wait(timeout=60), stderr.read()) == (0, "")


def test_pictures_that_cannot_be_read_are_left_out(
    run: Terminal, own: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene(20, 20)).save(tmp_path / "a.png")
    (tmp_path / "b.txt").write_text("no picture")
    brought = [str(tmp_path / name) for name in ("b.txt", "nowhere.png", "a.png")]
    assert main(["reconstruct", own.id, "--images", *brought, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "left out: “b.txt” is no PNG, JPEG" in said
    assert "nowhere.png cannot be read: No such file or directory" in said
    assert {file.name for file in (tmp_path / "out").iterdir()} == {f"001-a-{own.id}.png", "metrics.json"}
    assert main(["reconstruct", own.id, "--images", *brought[:2], str(tmp_path), "--out", "x"]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path.name} is no file" in said and said.splitlines()[-1].startswith(
        "error: no picture could be"
    )
    (tmp_path / "file").touch()
    assert main(["reconstruct", own.id, "--images", brought[-1], "--out", str(tmp_path / "file")]) == 2
    assert "a file is where a folder has to be. Choose another folder." in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_results_for_which_there_is_no_room_end_in_words(made: Run) -> None:
    command = [sys.executable, "-m", "core", "--store", str(made.folder.parent), "runs"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: the results cannot be written: No space left on device. Make room")


def test_measures_are_printed_even_where_they_cannot_be_kept(
    own: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained_on(*_: object) -> None:
        raise StoreError("It was trained on meanwhile.")

    monkeypatch.setattr(report, "examine", lambda *_, **__: {"codes": {"n": 40}})
    monkeypatch.setattr(report, "keep", trained_on)
    assert main(["evaluate", own.id, "--keep"]) == 2
    out, err = capsys.readouterr()
    assert out == "codes\n  n  40\n" and err.endswith("error: It was trained on meanwhile.\n")


def test_a_training_takes_no_more_threads_than_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[int] = []
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    assert main(["--store", str(tmp_path), *DIGITS, "--threads", "64", "--epochs", "1"]) == 0
    assert taken == [3] and "with 3 threads instead of 64" in capsys.readouterr().err
    (trained,) = Store(tmp_path).runs()
    assert trained.record.training_plan().threads == 64


class Deaf(io.StringIO):
    """A stderr whose reader has left."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_training_goes_on_when_nobody_reads_its_progress(
    run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Deaf())
    run("--store", tmp_path, *DIGITS, "--epochs", 1)
    (completed,) = Store(tmp_path).runs()
    assert completed.status == "completed"


def test_bad_input_ends_a_process_with_two_and_no_traceback(tmp_path: Path) -> None:
    process = started(tmp_path, "dance")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("error: argument VERB: invalid choice: 'dance'") and err.count("\n") == 1


# --- kill -9 ----------------------------------------------------------------------------------------------------

Outcome = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """What `tests.core.killed` did, by family and moment."""
    root = tmp_path_factory.mktemp("killed")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # no threads: it forks
    command = [sys.executable, "-m", "tests.core.killed", str(root)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return root, {(row["family"], row["moment"]): row for row in rows}


@posix
@pytest.mark.parametrize(("family", "moment"), [(family, moment.__name__) for family, moment in CASES])
def test_a_killed_run_goes_on_to_the_history_of_one_that_was_not(
    killed: tuple[Path, Outcome], family: str, moment: str
) -> None:
    root, outcomes = killed
    outcome, whole = outcomes[family, moment], outcomes[family, "never"]
    assert (outcome["ended"], outcome["resumed"], whole["ended"]) == (-signal.SIGKILL, 0, 0)
    assert outcome["left"] > 0, "it began again"
    run = Run.open(root / f"{family}-{moment}" / outcome["id"])
    expected = Run.open(root / f"{family}-never" / whole["id"])
    assert run.status == "completed"
    assert without_clock(run) == without_clock(expected) != []
    assert run.weights_file.read_bytes() == expected.weights_file.read_bytes()
    assert run.preview_epochs() == expected.preview_epochs() == [1, 2]
    assert run.record.metrics == expected.record.metrics
    steps = [line["step"] for line in run.steps()]
    assert steps == sorted(set(steps)) and steps[-1] == 10


def without_clock(run: Run) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    return [
        {k: v for k, v in record.items() if k not in ("seconds", "images_per_second")} for record in records
    ]
