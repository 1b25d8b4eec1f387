from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from core import judge
from core.data import Dataset, is_local, load
from core.files import StoreError
from core.judge import Judge, judge_for, trained
from core.tensors import read_tensors, write_tensors
from tests import toy

SHIPPED = ("digits", "mnist", "fashion-mnist", "cifar10")


@pytest.fixture
def data() -> Dataset:
    return toy.dataset((1, 8, 8), train=256, held_out=128)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "EPOCHS", (1, 2))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 9), (1, 28, 28), (3, 32, 32), (3, 9, 70), (3, 128, 64)])
def test_any_shape_and_number_of_classes(shape: tuple[int, int, int], rng: torch.Generator) -> None:
    one = Judge(shape, 7)
    one.initialise(rng)
    x = torch.rand(3, *shape, generator=rng)
    assert one.features(x).shape == (3, 64)
    assert one.probabilities(x).shape == (3, 7)
    torch.testing.assert_close(one.probabilities(x).sum(1), torch.ones(3))
    torch.testing.assert_close(one.features(x[:1]), one.features(x)[:1])  # whoever else is in the batch


def test_it_learns_to_tell_classes_apart(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "EPOCHS", (1, 10))
    found = trained(data)
    assert found.accuracy > 0.95
    assert found.accuracy == judge.accuracy(found, data.test)


def test_the_seed_decides_on_everything(data: Dataset, short: None) -> None:
    x = torch.rand(2, 1, 8, 8)
    torch.manual_seed(1)
    first = trained(data, seed=3).probabilities(x)
    torch.manual_seed(2)
    assert torch.equal(trained(data, seed=3).probabilities(x), first)
    assert not torch.equal(trained(data, seed=4).probabilities(x), first)


def test_pictures_are_moved_whole_and_by_little(rng: torch.Generator) -> None:
    x = torch.zeros(200, 1, 28, 28)
    x[:, :, 14, 14] = 1
    places = judge.shifted(x, rng).flatten(1)
    assert (places.sum(1) == 1).all()
    rows, columns = places.argmax(1) // 28, places.argmax(1) % 28
    assert set(rows.tolist()) == set(columns.tolist()) == {12, 13, 14, 15, 16}


def test_it_is_kept_and_judges_the_same_when_it_is_read_again(
    data: Dataset, short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    first = judge_for(data, tmp_path, lambda fraction, text: texts.append(text))
    assert first is not None and texts[0] == "Training the judge, epoch 1 of 2"
    _, told = read_tensors(judge.file_of(tmp_path, data))
    assert told["accuracy"] == repr(first.accuracy) and told["classes"] == "3" and told["epochs"] == "2"
    monkeypatch.setattr(judge, "trained", None)  # nothing is trained any more
    again = judge_for(data, tmp_path)
    assert again is not None and (again.accuracy, again.seed) == (first.accuracy, 0)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(again.features(x), first.features(x))


def test_the_box_is_asked_before_anything_is_trained(
    data: Dataset, short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge.keep(trained(data), tmp_path / "box", data)
    monkeypatch.setattr(judge, "BOX", tmp_path / "box")
    monkeypatch.setattr(judge, "trained", None)
    assert judge_for(data, tmp_path / "store") is not None
    assert not (tmp_path / "store").exists()


def damage(file: Path, kind: str) -> None:
    weights, told = read_tensors(file)
    if kind == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif kind == "text":
        file.write_text("{}")
    elif kind == "huge":
        with file.open("r+b") as open_file:
            open_file.truncate(judge.MOST_BYTES + 1)
    elif kind == "pipe":
        file.unlink()
        os.mkfifo(file)
    elif kind == "shape":
        write_tensors(file, weights | {"head.bias": torch.zeros(4)}, told)
    elif kind == "missing":
        weights.popitem()
        write_tensors(file, weights, told)
    elif kind == "infinite":
        write_tensors(file, weights | {"head.bias": torch.full((3,), torch.nan)}, told)
    else:
        name, _, value = kind.partition("=")
        write_tensors(file, weights, told | {name: value})


KINDS = ("cut", "text", "huge", "shape", "missing", "infinite", "version=0", "classes=9", "epochs=many")
KINDS += ("accuracy=nan", "accuracy=2", "accuracy=good", "pipe")


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_replaced(kind: str, data: Dataset, short: None, tmp_path: Path) -> None:
    first = judge_for(data, tmp_path)
    damage(judge.file_of(tmp_path, data), kind)
    assert judge.kept(tmp_path, data) is None
    again = judge_for(data, tmp_path)
    mended = judge.kept(tmp_path, data)
    assert first is not None and again is not None and mended is not None
    assert first.accuracy == again.accuracy == mended.accuracy


def test_without_classes_there_is_no_judge(data: Dataset, tmp_path: Path) -> None:
    unnamed = replace(data, train=replace(data.train, labels=None))
    untested = replace(data, test=replace(data.test, labels=None))
    alike = replace(data, train=replace(data.train, labels=np.zeros(len(data.train), np.int64)))
    assert [judge_for(one, tmp_path) for one in (unnamed, untested, alike)] == [None] * 3
    assert not [*tmp_path.iterdir()]


def test_where_it_cannot_be_kept_it_says_so(data: Dataset, short: None, tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        judge_for(data, tmp_path / "store")


real = partial(pytest.mark.skipif, reason="BOTTLENECK_DATA names no folder with these files")


@pytest.mark.parametrize("name", [pytest.param(name, marks=real(not is_local(name))) for name in SHIPPED])
def test_the_judges_in_the_box_are_as_good_as_they_say(name: str) -> None:
    data = load(name)
    found = judge.kept(judge.BOX, data)
    assert found is not None and judge.file_of(judge.BOX, data).stat().st_size < 2**20
    assert judge.accuracy(found, data.test) == pytest.approx(found.accuracy, abs=2e-4)
    assert found.accuracy > {"digits": 0.97, "mnist": 0.99, "fashion-mnist": 0.9, "cifar10": 0.6}[name]
