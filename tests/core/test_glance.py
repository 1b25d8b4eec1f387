from __future__ import annotations

import json
import math
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np

from core import families, glance
from core.pictures import png, sheet
from tests.serving import ROOT

WITHOUT_TORCH = """
import json, sys
from dataclasses import asdict
from core import glance
cards = [asdict(card) for card in glance.cards()]
assert "torch" not in sys.modules
print(json.dumps(cards))
"""


def test_without_torch_the_words_are_those_of_the_classes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], cwd=ROOT, capture_output=True, text=True, check=True
    )
    cards = tuple(glance.Card(**card) for card in json.loads(done.stdout))
    assert cards == glance.cards() == tuple(glance.card_of(family) for family in families.FAMILIES)
    assert all("──▶" in card.diagram for card in cards)


def a_run(folder: Path, **changes: object) -> None:
    folder.mkdir(parents=True)
    record = {
        "status": "completed",
        "family": "vae",
        "dataset": {"name": "digits", "title": "Digits"},
        "shape": [1, 8, 8],
        "metrics": {"test": {"n": 300, "psnr": 20.0}},
        "created": folder.name,
    }
    (folder / "run.json").write_text(json.dumps(record | changes))


def test_finished_runs_oldest_first_and_nothing_else(tmp_path: Path) -> None:
    a_run(tmp_path / "b")
    a_run(tmp_path / "a")
    a_run(tmp_path / "running", status="running")
    a_run(tmp_path / "odd", shape="wide")
    a_run(tmp_path / "list", metrics=[])
    a_run(tmp_path / "huge", shape=[1, 10**9, 8])
    a_run(tmp_path / "unnamed", dataset={"name": [], "title": {}})
    a_run(tmp_path / "endless", shape=[1, math.inf, 8])
    a_run(tmp_path / "half", dataset={"name": "digits", "title": "\ud800"})
    (tmp_path / "pipe").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe" / "run.json")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_bytes(b"\xff\xfe")
    assert [run.id for run in glance.finished(tmp_path)] == ["a", "b"]
    assert glance.finished(tmp_path / "nowhere") == []


def test_scores_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    a_run(tmp_path / "run", metrics={"test": {"n": "many", "psnr": 20.0, "ssim": None}})
    assert glance.finished(tmp_path)[0].test == {"psnr": 20.0}


def test_a_report_is_read_as_far_as_it_holds_numbers(tmp_path: Path) -> None:
    report = {"weights": "0", "vae": {"nll": 86.5, "kl": 10**400, "kl_by_number": [1.0]}, "codes": []}
    a_run(tmp_path / "run", metrics={"test": {}, "report": report})
    assert glance.finished(tmp_path)[0].report == {"vae": {"nll": 86.5}}


def test_stored_pictures_are_cut_into_tiles_and_broken_ones_left_out(tmp_path: Path) -> None:
    a_run(tmp_path / "run")
    (run,) = glance.finished(tmp_path)
    assert run.examples() is None and run.samples() is None
    tiles = np.random.default_rng(0).integers(0, 255, (30, 1, 8, 8), dtype=np.uint8)
    for place, count in (("cache", 10), ("previews", 30)):
        (run.folder / place).mkdir()
        name = "examples.png" if place == "cache" else "epoch-00003.png"
        (run.folder / place / name).write_bytes(png(sheet(tiles[:count], 10)))
    examples, samples = run.examples(), run.samples()
    assert examples is not None and np.array_equal(examples, tiles[:10])
    assert samples is not None and np.array_equal(samples, tiles[10:])
    (run.folder / "cache" / "examples.png").write_bytes(png(np.zeros((4000, 4000), np.uint8)))
    assert run.examples() is None
    plain = png(np.zeros((8, 8), np.uint8))
    head = b"IHDR" + struct.pack(">II", 20_000, 20_000) + plain[24:29]
    bomb = plain[:12] + head + struct.pack(">I", zlib.crc32(head)) + plain[33:]
    (run.folder / "cache" / "examples.png").write_bytes(bomb)
    assert run.examples() is None


def proposed(*runs: tuple[str, int, int, str]) -> set[str]:
    """Ids of what is proposed of runs (family, epochs, seed, id), oldest first."""
    told = {
        id: (family, {"epochs": epochs, "seed": seed}, f"{place:02}")
        for place, (family, epochs, seed, id) in enumerate(runs)
    }
    return set(glance.comparable(told, told.__getitem__).values())


def test_of_each_family_the_latest_of_runs_that_can_be_compared() -> None:
    assert proposed(("vae", 5, 0, "a"), ("gan", 5, 0, "b"), ("vae", 9, 0, "c")) == {"a", "b"}
    assert proposed(("vae", 5, 0, "a"), ("vae", 9, 0, "b")) == {"b"}
    assert proposed(("vae", 5, 0, "a"), ("vae", 5, 0, "b")) == {"b"}
    assert proposed() == set()


def test_of_sets_as_wide_the_latest_and_families_outside_of_it_have_their_latest() -> None:
    two_seeds = [("vae", 5, 0, "a"), ("gan", 5, 0, "b"), ("vae", 5, 1, "c"), ("gan", 5, 1, "d")]
    assert proposed(*two_seeds) == {"c", "d"}
    assert proposed(*two_seeds, ("sparse", 2, 0, "e"), ("sparse", 3, 0, "f")) == {"c", "d", "f"}
