"""Imports run one way: app -> pages -> ui -> core, and inside core families lean on four files only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT

OURS = ("app", "pages", "ui", "core", "tests", "benchmarks")
MAY_IMPORT = {
    "app.py": ("ui",),
    "pages": ("ui", "core"),
    "ui": ("ui", "core"),
    "core": ("core",),
    "core/families": ("core.family", "core.families", "core.nets", "core.objectives", "core.corruption"),
}
FILES = [
    ROOT / "app.py",
    *sorted(path for folder in ("pages", "ui", "core") for path in (ROOT / folder).rglob("*.py")),
]


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} line {node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(file: str) -> str:
    return max((one for one in MAY_IMPORT if file == one or file.startswith(f"{one}/")), key=len)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_imports_run_one_way(file: Path) -> None:
    name = file.relative_to(ROOT).as_posix()
    allowed = MAY_IMPORT[layer(name)]
    ours = [one for one in imported(file) if one.split(".")[0] in OURS]
    assert [one for one in ours if not f"{one}.".startswith(tuple(f"{each}." for each in allowed))] == []


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.is_relative_to(ROOT / "core")], ids=lambda file: file.name
)
def test_core_knows_no_screen(file: Path) -> None:
    assert not [one for one in imported(file) if one.split(".")[0] == "streamlit"]


def test_a_family_knows_no_other_family() -> None:
    families = {file.stem for file in (ROOT / "core" / "families").glob("[!_]*.py")}
    for file in (ROOT / "core" / "families").glob("[!_]*.py"):
        assert not [
            one
            for one in imported(file)
            if one.startswith("core.families.") and one.split(".")[2] in families
        ]
