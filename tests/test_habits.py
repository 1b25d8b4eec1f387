"""What the project's own files promise about one another."""

from __future__ import annotations

import ast
import os
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from tests.serving import ROOT

START = "pip install -r requirements.txt && streamlit run app.py"
TEST = "pip install -r requirements-dev.txt && pytest"
OURS = {"app", "benchmarks", "core", "pages", "tests", "ui"}
CODE = [
    ROOT / "app.py",
    *(path for folder in ("core", "pages", "ui") for path in (ROOT / folder).rglob("*.py")),
]
CI = ROOT / ".ci" / "run"


def text(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def pins(file: str) -> dict[str, str]:
    lines = [line for line in text(file).splitlines() if not line.startswith("-r ")]
    return dict(line.split("==") for line in lines)


def third_parties(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names} - OURS - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("package", "pinned"), (pins("requirements.txt") | pins("requirements-dev.txt")).items()
)
def test_what_is_tested_is_what_is_pinned(package: str, pinned: str) -> None:
    assert version(package).split("+")[0] == pinned  # torch adds "+cpu" to its CPU builds


def test_what_the_code_imports_is_pinned() -> None:
    distributions = packages_distributions()
    imported = {distributions[name][0].lower() for file in CODE for name in third_parties(file)}
    assert imported <= set(pins("requirements.txt"))


@pytest.mark.parametrize(
    "file", [file for file in CODE if "plotly" in third_parties(file)], ids=lambda file: file.name
)
def test_who_draws_charts_has_imported_all_of_pandas(file: Path) -> None:
    """A chart is no longer drawn where plotly comes upon a pandas that another thread has begun to import."""
    assert "pandas" in third_parties(file)


def test_the_readme_starts_and_tests_the_app_with_one_command_each() -> None:
    commands = text("README.md").splitlines()
    assert START in commands
    assert TEST in commands


def test_ci_runs_what_make_check_and_the_readme_run() -> None:
    steps = text(".ci", "run").splitlines()
    assert steps[-1] == TEST
    recipe = text("Makefile").split("check:\n")[1].split("\n\n")[0]
    assert [line.strip() for line in recipe.splitlines() if line.strip() not in steps] == ["pytest"]
    assert os.access(CI, os.X_OK)
