from __future__ import annotations

import base64
import csv
import io
import re
import shutil
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from core import examples, glance
from core.data import load
from core.families import FAMILIES
from core.pictures import as_bytes, as_floats
from core.store import Store
from tests.pages.conftest import Open, carried, links, shown
from ui import cards
from ui.cards import SHOWN
from ui.html import picture


def assert_shown(pixels: np.ndarray, alt: str, html: str) -> None:
    """Computed a second time, a value may round the other way: it depends on where memory lies."""
    (data,) = re.findall(f'<img alt="{re.escape(alt)}"[^>]*src="data:image/png;base64,([^"]+)"', html)
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.abs(np.asarray(image).astype(int) - pixels[0]).max() <= 1


def words(app) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def test_every_family_has_its_row(open_page: Open, six: Store) -> None:
    home = open_page("start/home.py", six)
    assert not home.exception
    for family in FAMILIES:
        assert family.title in words(home) and family.idea in words(home) and family.choose in words(home)
        assert family.objective in words(home)
        assert escape(glance.card_of(family).diagram) in shown(home)


def test_rows_show_what_the_models_make_of_the_examples(open_page: Open, six: Store) -> None:
    html = shown(open_page("start/home.py", six))
    tiles = examples.pictures((1, 8, 8))[:SHOWN]
    for run in six.runs():
        rebuilt = as_bytes(run.load().reconstruct(as_floats(tiles)))
        title = next(family.title for family in FAMILIES if family.key == run.record.family)
        for number, pixels in enumerate(rebuilt, 1):
            assert_shown(pixels, f"picture {number} rebuilt by {title}", html)


def test_other_pictures_are_rebuilt_live(open_page: Open, six: Store) -> None:
    html = shown(open_page("start/home.py", six, pictures="Test pictures"))
    images = load("digits").test.images[:SHOWN]
    run = next(run for run in six.runs() if run.record.family == "vanilla")
    rebuilt = as_bytes(run.load().reconstruct(as_floats(images)))
    assert_shown(rebuilt[0], "picture 1 rebuilt by Vanilla", html)


def test_the_numbers_of_all_rows_can_be_taken_away(open_page: Open, six: Store) -> None:
    (button,) = open_page("start/home.py", six).get("download_button")
    assert button.label == "Table"
    rows = list(csv.DictReader(io.StringIO(cards.csv(cards.shelves()["digits"]).decode())))
    assert [row["family"] for row in rows] == [family.title for family in FAMILIES]
    for row, family in zip(rows, FAMILIES, strict=True):
        run = next(one for one in six.runs() if one.record.family == family.key)
        assert row["run"] == run.id and float(row["SSE"]) == run.record.metrics["test"]["sse"]


def test_the_means_are_said_to_be_over_as_many_pictures_as_they_are(
    open_page: Open, six: Store, tmp_path: Path
) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    for run in Store(tmp_path).runs():
        run.add_metrics(test={**run.record.metrics["test"], "n": 10_000, "ssim_n": 1_000})
    said = words(open_page("start/home.py", Store(tmp_path)))
    assert "over 10,000 test pictures that no model has seen, SSIM over the first 1,000 of them." in said
    assert "over 300 test pictures that no model has seen. One training" in words(
        open_page("start/home.py", six)
    )


def test_a_title_from_outside_formats_nothing(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    for run in Store(tmp_path).runs():
        run.update(dataset={**run.record.dataset, "title": "![x](http://example.invalid/x.png)"})
    page = open_page("start/home.py", Store(tmp_path))
    (option,) = page.segmented_control(key="on").options
    assert not page.exception and r"!\[x\]" in option


def test_an_empty_store_says_how_to_begin(open_page: Open, tmp_path: Path) -> None:
    home = open_page("start/home.py", Store(tmp_path / "nothing"))
    assert not home.exception
    assert "No model is trained yet" in home.info[0].value
    assert "Train the first" in links(home)
    assert all(family.idea in words(home) for family in FAMILIES)


def test_a_family_without_a_run_says_how_to_get_one(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.runs()[0].folder, tmp_path / "only")
    home = open_page("start/home.py", Store(tmp_path))
    assert [link for link in links(home) if link.startswith("Train ")] == [
        f"Train {family.title}" for family in FAMILIES if family.key != six.runs()[0].record.family
    ]
    assert carried(home) == {"family", "dataset", "data", "source", "anew"}


def test_training_is_offered_only_on_the_same_pictures(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.runs()[0].folder, tmp_path / "only")
    (run,) = Store(tmp_path).runs()
    run.update(dataset={**run.record.dataset, "name": "folder:nowhere@64"})
    home = open_page("start/home.py", Store(tmp_path))
    assert not home.exception and "has been trained on" in words(home)
    assert not [link for link in links(home) if link.startswith("Train ")]


def test_damaged_runs_do_not_take_home_down(open_page: Open, six: Store, tmp_path: Path) -> None:
    shutil.copytree(six.root, tmp_path, dirs_exist_ok=True)
    runs = Store(tmp_path).runs()
    (runs[0].folder / "run.json").write_bytes(b"\x80\x04")
    (runs[1].folder / "cache" / "examples.png").write_bytes(b"no picture")
    (runs[1].folder / "weights.safetensors").write_bytes(b"\xff" * 64)
    shutil.rmtree(runs[2].folder / "previews")
    home = open_page("start/home.py", Store(tmp_path))
    assert not home.exception


def test_nonsense_in_the_address_is_ignored(open_page: Open, six: Store) -> None:
    home = open_page("start/home.py", six, on="../../etc", pictures="<script>")
    assert not home.exception
    assert picture(examples.pictures((1, 8, 8))[0], "picture 1") in shown(home)
