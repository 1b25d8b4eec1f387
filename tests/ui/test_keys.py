"""Streamlit carries what the address keeps from page to page by its key: a key has one meaning in the whole app."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests.serving import ROOT

SHARED = {  # on purpose: what is chosen on one page is what the next one opens on, where it offers that
    "data",
    "on",
    "source",
    "chapter",
}


def constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keys(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every key that is written out, and whether the address keeps it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = {one.arg: one.value for one in node.keywords}
            name = constant(given["key"]) if "key" in given else None
            if name is not None:
                yield name, "bind" in given or getattr(node.func, "id", "") == "choice"
        if isinstance(node, ast.Subscript) and getattr(node.value, "attr", "") == "session_state":
            name = constant(node.slice)
            if name is not None:
                yield name, False


def test_what_the_address_keeps_has_one_meaning() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    kept = set()
    files = [*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    for file in files:
        for name, address in keys(ast.parse(file.read_text())):
            places[name].add(str(file))
            kept |= {name} if address else set()
    assert len(kept) > 40
    assert {name for name in kept if len(places[name]) > 1} == SHARED
