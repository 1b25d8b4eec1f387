"""What the README says works: its commands, shortened, and its example."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from core import examples
from core.__main__ import main
from core.data import load
from core.families import GAN
from core.jobs import Jobs
from core.pictures import png
from core.store import Run, Store
from core.training import Plan, train
from tests.photographs import autoencoder, denoiser
from tests.serving import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line)[3:] for line in README.splitlines() if line.startswith("python -m core ")]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def stopped() -> Run:
    """A run that can be used and resumed."""
    data = load("digits")
    run = Store().create(GAN(GAN.Config(width=8, hidden=(16,)), data.shape), Plan(epochs=1, threads=1), data)
    training = run.begin(torch.device("cpu"))
    for _ in run.record_events(train(training, data, lambda: training.step > 5), training):
        pass
    return run


def test_every_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BOTTLENECK_STORE", str(tmp_path / "store"))
    Path("photo.jpg").write_bytes(png(examples.pictures((1, 28, 28))[3][0]))
    instead = {
        "RUN": stopped().id,
        "mnist": "digits",  # which has to be fetched from nowhere
        "60": "1",
        "20": "1",
    }
    denoiser(Store())
    instead["photos-autoencoder"] = autoencoder(Store()).id
    assert len(COMMANDS) >= 15
    for command in COMMANDS:
        if "JOB" in command:  # only now: a job that does not begin within seconds has died
            instead["JOB"] = Jobs().create(["train"], "about to begin").id
        assert main([instead.get(word, word) for word in command]) == 0, command
    assert {"photo.jpg", "rebuilt", "squeezed", "grid.png", "codes.npz"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(EXAMPLE.replace("epochs=20", "epochs=1"), "README.md", "exec"), {})
    assert "EpochEnded(epoch=1" in capsys.readouterr().out
