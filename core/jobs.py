"""Any verb of the command line as a process of its own; its folder is all that anybody needs to follow it.

    models_store/.jobs/20261124-063000-123456-ab12/      a ticket: the name says who came first
      job.json     what is done; the process adds its run, when it began and how it ended
      out, log     what it prints, and what it says meanwhile
      progress.json    how far it is, where the run it trains does not tell
      lock         held as long as the process lives: the kernel lets go of it even on kill -9
      stop         somebody wants it to end
    models_store/.jobs/train-cpu.lock      held by the job at work in this lane

Waiting for the lane's lock is the queue. Nobody owns it: tabs, servers and terminals come and go. Imports no torch, so a
job that waits costs little.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Self

from filelock import FileLock, Timeout

from core.errors import ERROR, INTERRUPTED, Explained, one_line
from core.files import StoreError, held, json_text, read_json, read_text, write_bytes, writing
from core.glance import store_root

ANALYSIS = "analysis"  # the lane of all that is no training
STARTING = 15.0  # seconds that a process may take until it holds its lock
POLL = 0.2  # seconds between two looks at a lane, or for the wish to stop
NICE = 5  # the pages go first
KEPT = 50  # ended jobs
TICKET = "%Y%m%d-%H%M%S-%f"
KEPT_ESTIMATES = 10  # likewise
LATEST = 1e11  # seconds: what lies in a store may claim any time
LAST_WORDS, LONGEST_ERROR = 2_000, 10_000  # bytes of the log
THIS_JOB = "BOTTLENECK_JOB"

OUTCOMES = ("done", "stopped", "failed")


@dataclass(frozen=True)
class Job:
    """A job as its folder tells it. Times are seconds since 1970; `lane` is empty where it need not wait for others."""

    folder: Path
    arguments: tuple[str, ...]  # after `python -m core`
    title: str
    group: str = ""  # of jobs that were started together
    lane: str = ""
    created: float = 0.0
    started: float | None = None  # when its turn came
    ended: float | None = None
    run: str | None = None  # the one it trains
    outcome: str = ""
    message: str = ""  # why it failed

    @classmethod
    def open(cls, folder: Path) -> Job:
        """Raises OSError, ValueError or TypeError where the folder is no job."""
        values = read_json(folder / "job.json")
        job = cls(folder, **values | {"arguments": tuple(map(str, values["arguments"]))})
        texts = (job.title, job.group, job.lane, job.message, job.run or "")
        times = (job.created, job.started or 0, job.ended or 0)
        if not all(isinstance(text, str) for text in texts) or not all(
            type(one) in (int, float) and 0 <= one < LATEST for one in times
        ):
            raise ValueError(f"{folder.name} is no job")
        if any("\0" in word for word in job.arguments):  # which no process can be given
            raise ValueError(f"{folder.name} has arguments that are none")
        return job

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def estimates(self) -> bool:
        """Whether it only measures how long a training would take."""
        return self.arguments[:1] == ("estimate",)

    @property
    def state(self) -> str:
        """starting, waiting, working; done, stopped, failed; or died, where a process ended without a word."""
        if self.ended is not None:
            return self.outcome if self.outcome in OUTCOMES else "failed"
        if self.alive:
            return "working" if self.started is not None else "waiting"
        with suppress(OSError, ValueError, TypeError, KeyError):  # it may have ended between two looks
            if (now := Job.open(self.folder)).ended is not None:
                return now.state
        if 0 <= time.time() - self.created < STARTING and not (self.folder / "lock").exists():
            return "starting"
        return "failed" if self.last_error() else "died"

    @property
    def reason(self) -> str:
        """Why it failed; of a full disk, say, only the log may tell."""
        return self.message or self.last_error()

    @property
    def active(self) -> bool:
        return self.state in ("starting", "waiting", "working")

    @property
    def alive(self) -> bool:
        """Whether its process lives."""
        if not (self.folder / "lock").exists():
            return False
        try:
            with FileLock(self.folder / "lock", timeout=0):  # one who asks at this moment looks alive, too
                return False
        except Timeout:
            return True
        except OSError:
            return False

    @property
    def asked_to_stop(self) -> bool:
        return (self.folder / "stop").exists()

    def stop(self) -> None:
        """Ask the process to end: it does within two seconds, and keeps what it has learnt."""
        with writing(self.folder):
            (self.folder / "stop").touch()

    def last_words(self, most: int = LAST_WORDS) -> str:
        """The end of what the process said, in bytes."""
        try:
            with (self.folder / "log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - most))
                return file.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""

    def last_error(self) -> str:
        """What it said went wrong, where these are its last words."""
        last = self.last_words(LONGEST_ERROR).rpartition("\n")[2]
        return last.removeprefix(ERROR) if last.startswith(ERROR) else ""

    def output(self) -> str:
        """What the process printed. Raises OSError or ValueError."""
        return read_text(self.folder / "out")

    def progress(self) -> tuple[float, str]:
        """A fraction and what is going on."""
        try:
            told = read_json(self.folder / "progress.json")
            return min(1.0, max(0.0, float(told["fraction"]))), str(told["text"])
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return 0.0, ""


class Jobs:
    """The jobs of a store."""

    def __init__(self, root: str | Path | None = None) -> None:
        self.store = store_root(root).absolute()
        self.root = self.store / ".jobs"

    def all(self) -> list[Job]:
        """Those that came first, first."""
        return [job for folder in self.folders() if (job := self.read(folder)) is not None]

    def job(self, id: str) -> Job:
        """Raises StoreError where there is none; no text from outside becomes a path."""
        job = next((self.read(folder) for folder in self.folders() if folder.name == id), None)
        if job is None:
            raise StoreError(
                f"There is no job {one_line(id, 80)!r} any more; only the last {KEPT} are kept. "
                "What it trained is in the Library."
            )
        return job

    def active(self) -> list[Job]:
        return [job for job in self.all() if job.active]

    def ahead(self, job: Job) -> list[Job]:
        """Who is at work in the lane of `job` or has an earlier ticket for it."""
        return [
            one
            for one in self.all()
            if one.lane == job.lane and one.active and (one.id < job.id or (one.started and one.id > job.id))
        ]

    def training(self, run: str) -> Job | None:
        """The latest job that trains or trained this run."""
        return next((job for job in reversed(self.all()) if job.run == run), None)

    def resuming(self, run: str) -> Job | None:
        """The latest job that resumes it, or waits for its turn to."""
        return next((job for job in reversed(self.active()) if resumes(job.arguments, run)), None)

    # --- starting ---

    def start(self, arguments: Sequence[str], title: str, *, lane: str = "", group: str = "") -> Job:
        """Run `python -m core` with these arguments, detached from this process, as soon as the lane is free."""
        self.forget()
        job = self.create(arguments, title, lane=lane, group=group)
        package = str(Path(__file__).parent.parent)
        environment = os.environ | {
            THIS_JOB: job.id,
            "BOTTLENECK_STORE": str(self.store),
            "PYTHONPATH": os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH")))),
            "PYTHONUTF8": "1",
        }
        alone: Any = (
            dict(start_new_session=True)
            if os.name == "posix"
            else dict(creationflags=0x00000208)  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
        )
        with (
            writing(job.folder),
            (job.folder / "out").open("wb") as out,
            (job.folder / "log").open("wb") as log,
        ):
            command = [sys.executable, "-m", "core", *arguments]
            streams: Any = dict(stdin=subprocess.DEVNULL, stdout=out, stderr=log)
            process = subprocess.Popen(command, env=environment, **streams, **alone)
        threading.Thread(
            target=process.wait, name=f"job {job.id}", daemon=True
        ).start()  # else a zombie is left
        return job

    def create(self, arguments: Sequence[str], title: str, *, lane: str = "", group: str = "") -> Job:
        """The folder of a job that is about to begin."""
        folder = self.root / f"{self.ticket():{TICKET}}-{secrets.token_hex(2)}"
        job = Job(folder, tuple(arguments), one_line(title, 200), group, lane, created=time.time())
        with writing(self.store):
            folder.mkdir(parents=True)
        try:
            save(job)
        except StoreError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job

    def ticket(self) -> datetime:
        """The time, or just after the last ticket: clocks are set back at times."""
        now = datetime.now(UTC)
        for last in self.folders()[-1:]:
            with suppress(ValueError, OverflowError):
                given = datetime.strptime(last.name.rpartition("-")[0], TICKET).replace(tzinfo=UTC)
                now = max(now, given + timedelta(microseconds=1))
        return now

    def forget(self) -> None:
        """Remove all but the last jobs that have ended; each look at Train estimates, which is to push nothing else out."""
        ended = [job for job in self.all() if not job.active]
        for alike in (
            [job for job in ended if job.estimates][:-KEPT_ESTIMATES],
            [job for job in ended if not job.estimates][:-KEPT],
        ):
            for job in alike:
                shutil.rmtree(job.folder, ignore_errors=True)

    # --- folders ---

    def folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.iterdir() if path.is_dir() and not path.is_symlink())
        except OSError:
            return []

    def read(self, folder: Path) -> Job | None:
        try:
            return Job.open(folder)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None


def save(job: Job) -> None:
    values = {name: value for name, value in asdict(job).items() if name != "folder"}
    write_bytes(job.folder / "job.json", (json_text(values, indent=1) + "\n").encode())


# --- within the process of a job --------------------------------------------------------------------------------


def interrupt(number: int) -> None:
    """Signal this process; where that can be, what its main thread waits for ends."""
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


def resumes(arguments: Sequence[str], run: str) -> bool:
    return ("--resume", run) in pairwise(arguments) or f"--resume={run}" in arguments


class Stop:
    """True once a signal, or a file called `wish`, has asked to stop.

    While `at_once`, there is nothing to keep, and asking ends the process. A second Ctrl-C interrupts; the run then has its
    last checkpoint.
    """

    def __init__(self, wish: Path | None = None) -> None:
        self.asked, self.at_once = False, True
        self.wish, self.over = wish, threading.Event()

    def __enter__(self) -> Self:
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        self.before = {number: signal.getsignal(number) for number in numbers}
        for number, handler in self.before.items():
            if handler is not signal.SIG_IGN:  # nohup, say
                signal.signal(number, self.ask)
        if self.wish is not None:
            threading.Thread(target=self.watch, args=(self.wish,), name="stop", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def watch(self, wish: Path) -> None:
        while not self.over.wait(POLL):
            if wish.exists():
                interrupt(signal.SIGTERM)  # so that a wish and a signal are one thing, on any system
                return

    def ask(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked, True
        if self.at_once:
            raise SystemExit(INTERRUPTED)
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt

    def heed(self) -> None:
        """End the process where that was asked and got lost, as what a handler raises can while Python compiles an import."""
        if self.asked and self.at_once:
            raise SystemExit(INTERRUPTED)

    def __call__(self) -> bool:
        return self.asked


class Work:
    """What a verb can say and ask as the job that it is."""

    def __init__(self, jobs: Jobs, job: Job, stop: Stop) -> None:
        self.jobs, self.job, self.stop = jobs, job, stop
        self.behind: Job | None = None

    def tell(self, **changes: Any) -> None:
        self.job = replace(self.job, **changes)
        save(self.job)

    def progress(self, fraction: float, text: str) -> None:
        self.stop.heed()
        write_bytes(
            self.job.folder / "progress.json", json_text({"fraction": fraction, "text": text}).encode()
        )

    @contextmanager
    def lane(self, name: str, waiting: Callable[[Job], object] = lambda _: None) -> Iterator[None]:
        """Wait for the turn in a lane and keep it. `waiting` hears once of the job that is next."""
        self.tell(lane=name)
        lock = FileLock(self.jobs.root / f"{name}.lock", timeout=0)
        told = False
        while not self.turn(lock):
            if self.behind and not told:
                waiting(self.behind)
                told = True
            time.sleep(POLL)
        try:
            self.tell(started=time.time())
            self.stop.heed()
            yield
        finally:
            lock.release()

    def turn(self, lock: FileLock) -> bool:
        if self.behind is None or not self.behind.alive:  # else one look is enough, whoever else waits
            self.behind = next(reversed(self.jobs.ahead(self.job)), None)
        if self.behind:
            return False
        try:
            lock.acquire()
        except Timeout:
            return False
        except OSError as error:
            raise StoreError(f"{lock.lock_file} cannot be locked: {error.strerror or error}.") from error
        return True


@contextmanager
def at_work(root: str | Path | None, arguments: Sequence[str], title: str) -> Iterator[Work]:
    """Make this process the job it was started for, or a new one, whose folder goes when it ends: a terminal saw it all."""
    jobs = Jobs(root)
    id = os.environ.pop(THIS_JOB, "")
    job = jobs.job(id) if id else jobs.create(arguments, title)
    if id and hasattr(os, "nice"):
        os.nice(NICE)
    try:
        with held(FileLock(job.folder / "lock", timeout=1), f"{job.id} runs already."):
            yield from at_work_on(jobs, job)
    finally:
        if not id:
            shutil.rmtree(job.folder, ignore_errors=True)


def at_work_on(jobs: Jobs, job: Job) -> Iterator[Work]:
    """Gives the work once, and writes down how it ended."""
    with Stop(job.folder / "stop") as stop:
        work = Work(jobs, job, stop)
        outcome, message = "failed", ""
        try:
            yield work
            outcome = "stopped" if stop.asked else "done"
        except (SystemExit, KeyboardInterrupt):
            outcome = "stopped"
            raise
        except Explained as error:
            message = str(error)
            raise
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            raise
        finally:
            with suppress(StoreError):  # where the folder is gone, nobody waits for the news
                work.tell(ended=time.time(), outcome=outcome, message=one_line(message, 2_000))
