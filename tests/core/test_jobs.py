"""Jobs: processes of their own that anybody can follow, stop and find again through a folder."""

from __future__ import annotations

import itertools
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest

from core import jobs as module
from core.files import StoreError
from core.jobs import Job, Jobs, Stop, at_work
from core.store import Store
from tests.conftest import Alone
from tests.serving import ROOT

SMALL = ["--set", "net=mlp", "hidden=16", "latent_dim=8"]
DIGITS = ["train", "--family", "vanilla", "--dataset", "digits", "--threads", "1", *SMALL]
LONG = [*DIGITS, "--epochs", "100000"]
PATIENCE = 60.0  # seconds; a busy machine imports torch slowly
posix = pytest.mark.skipif(os.name != "posix", reason="this system has no signals to speak of")

WORKER = """
import sys, time
from core.jobs import at_work
root, lane, word, seconds = sys.argv[1:]
with at_work(root, [word], word) as work:
    print("there", flush=True)
    with work.lane(lane, waiting=lambda job: print("behind", job.title, flush=True)):
        print("turn", time.time(), flush=True)
        time.sleep(float(seconds))
    print("out", time.time(), flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    found = Jobs(tmp_path)
    yield found
    living = [job for job in found.active() if job.alive]
    for job in living:
        job.stop()
    wait(lambda: not any(job.alive for job in living))


def wait(until: Callable[[], object], seconds: float = PATIENCE) -> float:
    """How long it took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < seconds
        time.sleep(0.05)
    return time.monotonic() - began


def ended(job: Job) -> Job:
    wait(lambda: Job.open(job.folder).ended is not None)
    return Job.open(job.folder)


def learning(jobs: Jobs, job: Job) -> Job:
    """The job once its run has taken steps."""
    wait(lambda: (run := jobs.job(job.id).run) and Store(jobs.store).run(run).steps())
    return jobs.job(job.id)


def worker(root: Path, lane: str, word: str, seconds: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(root), lane, word, str(seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = b""
    while not told.endswith(b"\n"):  # byte by byte: what is read ahead here would be missing in `communicate`
        byte = os.read(process.stdout.fileno(), 1)
        assert byte, "it has ended"
        told += byte
    assert told.strip() == b"there"
    return process


# --- from beginning to end --------------------------------------------------------------------------------------


def test_a_job_trains_a_run_and_tells_how_it_went(jobs: Jobs) -> None:
    job = jobs.start([*DIGITS, "--epochs", "2"], "A short one", lane="train-cpu", group="together")
    assert job.active and jobs.job(job.id).title == "A short one"
    done = ended(job)
    assert (done.state, done.lane, done.group, done.active) == ("done", "train-cpu", "together", False)
    run = Store(jobs.store).run(done.run or "")
    assert run.status == "completed" and done.output() == f"{run.id}\n"
    assert done.created <= (done.started or 0) <= (done.ended or 0)
    assert "epoch    2" in done.last_words() and "Traceback" not in done.last_words()
    assert jobs.training(run.id) == done and jobs.active() == []


def test_stop_acts_within_two_seconds_and_keeps_what_was_learnt(jobs: Jobs, alone: Alone) -> None:
    job = learning(jobs, jobs.start(LONG, "A long one"))
    assert job.state == "working"
    with alone():
        job.stop()
        assert wait(lambda: not jobs.job(job.id).active) < 2.0
    assert jobs.job(job.id).state == "stopped"
    run = Store(jobs.store).run(job.run or "")
    assert run.status == "stopped" and run.checkpoint_file.exists()
    assert run.load().mixture.fitted


@posix
def test_a_killed_job_is_noticed_at_once_and_its_run_can_go_on(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch, alone: Alone
) -> None:
    processes: list[subprocess.Popen[bytes]] = []

    def popen(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        processes.append(subprocess_popen(*words, **options))
        return processes[-1]

    subprocess_popen = subprocess.Popen
    monkeypatch.setattr(module.subprocess, "Popen", popen)
    with alone():  # before it starts: it would not train for as long as another test may take
        job = learning(jobs, jobs.start([*DIGITS, "--epochs", "150"], "The victim"))
        assert os.getsid(processes[0].pid) != os.getsid(0), "Ctrl-C in the server's terminal would end it"
        processes[0].kill()
        assert wait(lambda: jobs.job(job.id).state == "died") < 3.0
    assert "training on Digits" in job.last_words()
    run = Store(jobs.store).run(job.run or "")
    assert run.status == "interrupted"
    again = ended(jobs.start(["train", "--resume", run.id], "Again"))
    assert (again.state, again.run) == ("done", run.id)
    assert [epoch["epoch"] for epoch in run.metrics()] == list(range(1, 151))
    assert jobs.training(run.id) == again


def test_what_cannot_be_done_fails_with_a_sentence(jobs: Jobs) -> None:
    failed = ended(jobs.start([*DIGITS[:3], "--dataset", "nothing"], "Nonsense"))
    assert (failed.state, failed.run) == ("failed", None)
    assert failed.message.startswith("There is no dataset “nothing”. Choose one of")
    assert "Traceback" not in failed.last_words()


@posix
def test_a_wish_ends_what_the_main_thread_waits_for(tmp_path: Path) -> None:
    here, there = socket.socketpair()
    ended, gave_up = threading.Event(), threading.Event()

    def speak_at_last() -> None:
        if not ended.wait(PATIENCE):
            gave_up.set()
            there.send(b"x")

    threading.Thread(target=speak_at_last).start()
    (tmp_path / "wish").touch()
    with here, there, Stop(tmp_path / "wish"), pytest.raises(SystemExit):
        here.recv(1)
    ended.set()
    assert not gave_up.is_set()


def test_a_wish_that_got_lost_in_an_import_is_heeded_at_the_next_word(jobs: Jobs) -> None:
    with at_work(jobs.store, ["evaluate"], "Evaluation") as work:
        with suppress(SystemExit):  # as a compiler may
            work.stop.ask(signal.SIGTERM, None)
        with pytest.raises(SystemExit):
            work.progress(0.5, "half")
        with pytest.raises(SystemExit), work.lane("analysis"):
            pass
        work.stop.at_once = False  # from here on the loop asks by itself
        work.progress(0.6, "more than half")


def test_a_run_keeps_its_own_job_where_another_cannot_resume_it(jobs: Jobs) -> None:
    first = ended(jobs.start([*DIGITS, "--epochs", "1"], "First"))
    second = ended(jobs.start(["train", "--resume", first.run or ""], "Second"))
    assert second.state == "failed" and "nothing to resume" in second.message
    assert jobs.training(first.run or "") == first


def test_estimates_push_no_training_out(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    monkeypatch.setattr(module, "KEPT_ESTIMATES", 2)
    for verb in ("train", *["estimate"] * 5, "evaluate"):
        module.save(module.replace(jobs.create([verb], verb), ended=1.0, outcome="done"))
    jobs.forget()
    assert [job.title for job in jobs.all()] == ["train", "estimate", "estimate", "evaluate"]


def test_a_stop_before_anything_has_begun_leaves_nothing(jobs: Jobs) -> None:
    job = jobs.start(LONG, "Regretted")
    job.stop()
    assert ended(job).state == "stopped"
    assert [run.record.status for run in Store(jobs.store).runs()] in ([], ["stopped"])


# --- lanes ------------------------------------------------------------------------------------------------------


def test_a_lane_is_taken_in_the_order_of_the_tickets(tmp_path: Path) -> None:
    processes = [worker(tmp_path, "train-cpu", word, 2.0) for word in ("first", "second", "third")]
    told = [process.communicate(timeout=PATIENCE)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert told[1][0] == "behind first" and told[2][0] == "behind second"
    times = [[float(line.split()[1]) for line in lines if line[:3] in ("tur", "out")] for lines in told]
    for (_, out), (turn, _) in itertools.pairwise(times):
        assert out <= turn + 0.01


def test_who_came_later_and_is_at_work_is_ahead_and_a_resume_that_waits_is_found_by_its_run(
    jobs: Jobs,
) -> None:
    first = jobs.create(["train", "--resume", "mnist-vae-1"], "First", lane="train-cpu")
    later = jobs.create([], "Later", lane="train-cpu")
    assert later in jobs.active() and jobs.ahead(first) == [] and jobs.resuming("mnist-vae-1") == first
    assert jobs.training("mnist-vae-1") is None and jobs.resuming("mnist-vae") is None
    for one in (first, later):
        module.save(replace(one, created=1.0))  # so long ago that it no longer counts as starting
    busy = worker(jobs.store, "train-cpu", "busy", 60)
    wait(lambda: [one.title for one in jobs.ahead(first)] == ["busy"])
    busy.kill()
    busy.communicate()


def test_another_lane_is_free(tmp_path: Path) -> None:
    busy = worker(tmp_path, "train-cpu", "busy", 30)
    other = worker(tmp_path, module.ANALYSIS, "other")
    assert other.communicate(timeout=PATIENCE)[0].startswith("turn")
    busy.kill()
    busy.communicate()


@posix
def test_the_kernel_gives_a_lane_back_when_its_holder_is_killed(tmp_path: Path, alone: Alone) -> None:
    holder = worker(tmp_path, "train-cpu", "holder", 60)
    waiting = worker(tmp_path, "train-cpu", "waiting")
    assert waiting.stdout is not None and waiting.stdout.readline() == "behind holder\n"
    with alone():
        holder.kill()
        holder.communicate()
        assert waiting.communicate(timeout=3)[0].startswith("turn")


def test_who_waits_is_seen_to_wait_and_can_be_stopped(jobs: Jobs, alone: Alone) -> None:
    busy = worker(jobs.store, "train-cpu", "busy", 60)
    job = jobs.start([*LONG, "--device", "cpu"], "The next", lane="train-cpu")
    wait(lambda: "waiting for busy" in job.last_words())
    assert jobs.job(job.id).state == "waiting" and [one.title for one in jobs.ahead(job)] == ["busy"]
    with alone():
        job.stop()
        assert wait(lambda: jobs.job(job.id).state == "stopped") < 2.0
    busy.kill()
    busy.communicate()
    assert Store(jobs.store).list() == []


def test_a_clock_that_is_set_back_gives_no_earlier_ticket(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(module.datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=5)

    with monkeypatch.context() as early:
        early.setattr(module, "datetime", Ahead)
        first = jobs.create(["train"], "by the fast clock")
    then = jobs.create(["train"], "by the right one")
    for job in (first, then):
        module.save(replace(job, run="mine"))
    assert jobs.training("mine").title == then.title and [one.id for one in jobs.all()] == [first.id, then.id]
    assert abs(then.created - time.time()) < 60


def test_a_ticket_of_the_last_of_all_days_stops_nobody(jobs: Jobs) -> None:
    (jobs.root / "99991231-235959-999999-abcd").mkdir(parents=True)
    job = jobs.create(["train"], "after all")
    assert jobs.job(job.id).title == "after all" and job.state == "starting"


def test_a_terminal_leaves_no_ticket_behind(tmp_path: Path) -> None:
    with at_work(tmp_path, ["evaluate"], "evaluate in a terminal") as work:
        assert [job.title for job in Jobs(tmp_path).active()] == ["evaluate in a terminal"]
        with work.lane(module.ANALYSIS):
            work.progress(0.25, "a quarter")
            assert Jobs(tmp_path).job(work.job.id).progress() == (0.25, "a quarter")
    assert Jobs(tmp_path).folders() == []


# --- folders that cannot be trusted -----------------------------------------------------------------------------

SOUND = {"arguments": ["train"], "title": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"title": "x"}',
        json.dumps(SOUND | {"arguments": 3}),
        json.dumps(SOUND | {"title": ["x"]}),
        json.dumps(SOUND | {"created": "now"}),
        json.dumps(SOUND | {"run": {"id": 1}}),
        json.dumps(SOUND | {"surprise": 1}),
        json.dumps(SOUND | {"created": 10**400}),
        json.dumps(SOUND | {"started": math.nan}),
        json.dumps(SOUND | {"title": "\ud800"}),
        json.dumps(SOUND | {"arguments": ["train", "\0"]}),
        "[" * 100_000,
    ],
)
def test_a_damaged_ticket_is_no_job(jobs: Jobs, text: str) -> None:
    folder = jobs.root / "20260101-000000-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(text)
    assert jobs.all() == [] and jobs.active() == []
    with pytest.raises(StoreError, match="There is no job"):
        jobs.job(folder.name)


def test_an_outcome_nobody_knows_is_a_failure(jobs: Jobs) -> None:
    folder = jobs.root / "20260101-000000-000000-abcd"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(SOUND | {"ended": 1.0, "outcome": "<b>splendid</b>"}))
    assert jobs.job(folder.name).state == "failed"


@pytest.mark.parametrize("id", ["..", ".", "../x", "", "/etc", "20260101-000000-000000-abcd/.."])
def test_no_text_from_outside_becomes_a_path(jobs: Jobs, id: str) -> None:
    with pytest.raises(StoreError, match="There is no job"):
        jobs.job(id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"fraction": "much", "text": 1}',
        '{"fraction": 1e999}',
        f'{{"fraction": {10**400}, "text": ""}}',
        "[" * 100_000,
    ],
)
def test_nonsense_progress_is_none(jobs: Jobs, text: str) -> None:
    job = jobs.create(["fetch"], "x")
    (job.folder / "progress.json").write_text(text)
    assert job.progress() == (0.0, "")


def test_a_process_that_never_came_is_given_up(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs.create(["train"], "x")
    assert job.state == "starting"
    monkeypatch.setattr(module, "STARTING", 0.0)
    assert jobs.job(job.id).state == "died"


def test_of_a_full_disk_the_log_tells(jobs: Jobs) -> None:
    job = jobs.create(["evaluate"], "x")
    (job.folder / "lock").touch()
    (job.folder / "log").write_text("50%  Reading codes\nerror: run.json cannot be written: No space left.\n")
    assert job.state == "failed" and job.reason == "run.json cannot be written: No space left."
    (job.folder / "log").write_text("error: an old one\n50%  Reading codes\n")
    assert job.state == "died" and job.reason == ""


def test_a_job_that_cannot_be_written_down_leaves_no_folder(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("No space left.")

    monkeypatch.setattr(module, "save", full)
    with pytest.raises(StoreError):
        jobs.create(["evaluate"], "x")
    assert jobs.folders() == []


def test_only_the_last_that_ended_are_kept(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    for number in range(4):
        module.save(module.replace(jobs.create(["train"], str(number)), ended=1.0, outcome="done"))
    running = jobs.create(["train"], "running")
    jobs.forget()
    assert [job.title for job in jobs.all()] == ["2", "3", running.title]


# --- from the command line --------------------------------------------------------------------------------------


def test_jobs_are_listed_and_stopped_from_a_terminal(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    from core.__main__ import main

    job = learning(jobs, jobs.start(LONG, "A long one"))
    assert main(["--store", str(jobs.store), "jobs", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["id"], row["state"], row["run"]) == (job.id, "working", job.run)
    assert row["command"].startswith("python -m core train --family vanilla")
    assert main(["--store", str(jobs.store), "stop", job.run or ""]) == 0
    assert capsys.readouterr().out == f"{job.id}\n"
    assert ended(job).state == "stopped"
    assert main(["--store", str(jobs.store), "stop", job.id]) == 2
    assert "has ended already (stopped)" in capsys.readouterr().err


def test_a_run_goes_on_from_the_weights_of_another(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    from core.__main__ import main

    assert main(["--store", str(jobs.store), *DIGITS, "--epochs", "30"]) == 0
    first = Store(jobs.store).run(capsys.readouterr().out.strip())
    assert main(["--store", str(jobs.store), "train", "--from", first.id, "--epochs", "1"]) == 0
    second = Store(jobs.store).run(capsys.readouterr().out.strip())
    assert second.record.origin == first.id and second.record.config == first.record.config
    before, after = first.metrics(), second.metrics()
    assert after[0]["validation"]["mse"] < 0.5 * before[0]["validation"]["mse"]
    assert not second.origin_file.exists()
    assert second.record.command()[:6] == ["python", "-m", "core", "train", "--from", first.id]
