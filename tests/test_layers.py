"""Imports run one way: app -> pages -> ui -> core, and inside core families lean on the files below only."""

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
    "benchmarks": ("benchmarks", "core", "tests", "ui"),
    "core": ("core",),
    "core/families": (
        "core.augmentation",
        "core.camera",
        "core.corruption",
        "core.crops",
        "core.families",
        "core.family",
        "core.nets",
        "core.objectives",
        "core.unet",
    ),
}
FILES = [
    ROOT / "app.py",
    *sorted(
        path for folder in ("pages", "ui", "core", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    ),
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


def test_the_loop_knows_no_family_no_disk_and_no_screen() -> None:
    ours = {
        ".".join(one.split(".")[:2])
        for one in imported(ROOT / "core" / "training.py")
        if one.startswith("core.")
    }
    assert ours == {"core.dataset", "core.family", "core.pictures", "core.plane"}


def test_no_two_files_of_core_lean_on_each_other() -> None:
    files = {f"core.{file.stem}": file for file in (ROOT / "core").glob("*.py")}
    leans = {name: (modules_of(file) & files.keys()) - {name} for name, file in files.items()}
    while free := [name for name, on in leans.items() if not on & leans.keys()]:
        for name in free:
            del leans[name]
    assert leans == {}


def modules_of(file: Path) -> set[str]:
    """Modules of core that `file` imports, however deep inside a function."""
    return {".".join(one.split(".")[:2]) for one in imported(file)}


UNPICKLERS = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_is_ever_unpickled(file: Path) -> None:
    names = set(imported(file))
    assert not UNPICKLERS & {one.split(".")[0] for one in names}
    assert not {"numpy.load", "torch.load", "torch.save", "torch.jit.load", "pandas.read_pickle"} & names
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in ("torch.load", "torch.save", "torch.jit.load")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
            assert "allow_pickle=False" in map(ast.unparse, node.keywords)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_what_a_server_must_not_load_is_imported_in_functions_only(file: Path) -> None:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
            )
            assert not {"llvmlite", "numba", "pynndescent", "umap"} & {name.split(".")[0] for name in names}
