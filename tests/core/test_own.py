from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from core import own
from core.archives import Archive, ArchiveError
from core.data import is_local, load
from core.dataset import DataError
from core.files import StoreError
from core.pictures import png
from tests.core.test_archives import zipped


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOTTLENECK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "own"


def picture(shade: int, colour: bool = True) -> bytes:
    pixels = np.full((12, 16, 3) if colour else (12, 16), shade, np.uint8)
    if colour:
        pixels[..., 0] = 255 - shade
    return png(pixels)


def archive(files: dict[str, bytes]) -> Archive:
    return Archive(io.BytesIO(zipped(files)))


BEACHES = {
    f"trip/{place}/{number}.png": picture(40 * number) for place in ("Sea", "Land/far") for number in range(5)
}


def everything(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*")} if home.exists() else set()


def test_a_zip_becomes_a_dataset_with_its_folders_as_classes() -> None:
    one = own.keep(archive(BEACHES), "Our trip!")
    assert (one.name, one.title, one.pictures, one.problems) == ("our-trip", "Our trip!", 10, ())
    data = load("own:our-trip@8")
    assert (data.name, data.title, data.shape) == ("own:our-trip@8", "Our trip!", (3, 8, 8))
    assert (
        data.class_names == ("Land", "Sea") and len(data.train) + len(data.validation) + len(data.test) == 10
    )
    assert load("own:our-trip@8gray").shape == (1, 8, 8)
    assert load("own:our-trip").name == "own:our-trip@64"
    assert is_local("own:our-trip@8") and not is_local("own:other")


def test_the_dataset_goes_by_one_name_wherever_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.keep(archive(BEACHES), "trip")
    first = load("own:trip@16")
    monkeypatch.chdir(tmp_path)
    assert load(first.name).fingerprint == first.fingerprint


def test_a_survey_shows_what_is_there_and_keeps_nothing(home: Path) -> None:
    found = own.survey(
        archive(BEACHES | {"trip/Sea/broken.png": b"no", "trip/notes.txt": b"words", "../evil.png": b"x"})
    )
    assert (found.files, found.classes) == (11, {"Land": 5, "Sea": 6})
    assert 1 <= len(found.shown) <= own.SHOWN and found.shown[0].pixels.shape == (12, 16, 3)
    assert any("evil.png" in problem for problem in found.problems)
    assert everything(home) == set()


def test_a_look_holds_small_pictures_and_ends_where_large_ones_cost_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own, "MOST_PIXELS", 2_000_000)
    large = png(np.full((500, 2_000, 3), 9, np.uint8))
    found = own.survey(archive({f"{number}.png": large for number in range(9)}))
    assert found.files == 9 and len(found.shown) == 3
    assert {one.pixels.shape for one in found.shown} == {(64, 256, 3)} and found.shown[0].pixels.max() == 9


@pytest.mark.parametrize("count", [30, 47, 71])
def test_a_look_is_spread_over_all_pictures(count: int) -> None:
    """Two folders of the same size, of which either has its share."""
    names = [f"{'cats' if number < count / 2 else 'dogs'}/{number:02}.png" for number in range(count)]
    found = own.survey(archive({name: picture(3 * number) for number, name in enumerate(names)}))
    numbers = [int(Path(one.name).stem) for one in found.shown]
    assert len(numbers) == own.SHOWN and numbers == sorted(set(numbers))
    assert abs(sum(number >= count / 2 for number in numbers) - own.SHOWN // 2) <= 1


def test_pictures_without_folders_have_no_classes() -> None:
    flat = {f"{number}.png": picture(30 * number) for number in range(6)}
    assert own.survey(archive(flat)).classes == {}
    own.keep(archive(flat), "flat")
    assert load("own:flat@8").class_names == ()


def test_what_cannot_be_read_is_left_out_and_listed() -> None:
    one = own.keep(
        archive(BEACHES | {"trip/Sea/x.png": b"no picture", "trip/deep.zip": zipped({"a": b""})}), "t"
    )
    assert one.pictures == 10 and len(one.problems) == 1 and "“x.png” is no PNG" in one.problems[0]
    assert own.kept() == (one,)


def test_progress_goes_from_nothing_to_all() -> None:
    heard: list[tuple[int, int]] = []
    own.keep(archive(BEACHES), "t", lambda done, whole: heard.append((done, whole)))
    assert heard[0] == (0, 10) and heard[-1] == (10, 10) and heard == sorted(heard)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"notes.txt": b"words"},
        {"a.png": b"no picture", "b.jpg": b""},
        {f"{number}.png": picture(number) for number in range(3)},
    ],
)
def test_too_little_is_refused_and_leaves_nothing(home: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(ArchiveError, match="that can be read; a dataset needs 4"):
        own.keep(archive(files), "nothing")
    assert everything(home) == set()


def test_an_error_half_way_leaves_nothing(home: Path) -> None:
    def broken(done: int, whole: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        own.keep(archive(BEACHES), "t", broken)
    assert everything(home) == set() and own.kept() == ()


def test_names_from_outside_never_reach_the_disk(home: Path) -> None:
    hostile = {
        f"{folder}/{number}.png": picture(20 * number)
        for folder in ("con", "ab:c|d?", "ÄÖ ü", "..x", "x" * 300, "CON", "<script>", "a\x1b[31m")
        for number in range(2)
    }
    own.keep(archive(hostile), "../../etc <b>")
    names = set(home.rglob("*"))
    assert all(path.resolve().is_relative_to(home.resolve()) for path in names)
    assert (home / "etc-b" / own.RECORD).exists()
    for path in names:
        assert not set(path.name) & set('<>:"|?*\\\x1b') and len(path.name) <= 70
    assert len(load("own:etc-b@8").class_names) == 7  # "..x" begins with a dot, which systems hide


def test_a_title_may_come_twice() -> None:
    first, second = own.keep(archive(BEACHES), "Trip"), own.keep(archive(BEACHES), "Trip")
    assert first.name == "trip" and second.name.startswith("trip-") and len(own.kept()) == 2


def test_two_at_once_may_have_one_title() -> None:
    """The second begins and ends while the first unpacks."""
    second: list[own.Own] = []

    def meanwhile(done: int, whole: int) -> None:
        if done == whole:
            second.append(own.keep(archive(BEACHES), "Trip"))

    first = own.keep(archive(BEACHES), "Trip", meanwhile)
    assert len({first.name, second[0].name}) == 2
    assert {first.name, second[0].name} == {one.name for one in own.kept()}


def test_removed_pictures_are_gone_and_only_they(home: Path) -> None:
    own.keep(archive(BEACHES), "a")
    own.keep(archive(BEACHES), "b")
    own.remove("a")
    assert [one.name for one in own.kept()] == ["b"] and not (home / "a").exists()
    with pytest.raises(DataError, match="No pictures are kept as “a”. Kept are: b."):
        load("own:a")


@pytest.mark.parametrize("name", ["..", ".", "", "../own", "/etc"])
def test_no_text_from_outside_becomes_a_path(home: Path, name: str) -> None:
    own.keep(archive(BEACHES), "a")
    before = everything(home)
    with pytest.raises((DataError, StoreError)):
        own.remove(name)
    with pytest.raises(DataError):
        load(f"own:{name}")
    assert everything(home) == before


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"title": 1}', '{"title": "x", "pictures": "many"}', "[" * 10**5),
        '{"title": "x", "created": "", "problems": [], "pictures": 1e999}',
    ],
)
def test_a_damaged_record_hides_a_dataset_and_harms_no_other(home: Path, text: str) -> None:
    own.keep(archive(BEACHES), "good")
    own.keep(archive(BEACHES), "bad")
    (home / "bad" / own.RECORD).write_text(text)
    assert [one.name for one in own.kept()] == ["good"]
