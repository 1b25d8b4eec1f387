"""The objective of a family as it is in the source: what the Train page shows is what runs."""

from __future__ import annotations

import ast
import inspect
import textwrap

from core.family import Autoencoder

NOT_THE_OBJECTIVE = {"encode", "decode", "sample", "players"}


def source(Family: type[Autoencoder]) -> str:
    """`loss`, then the methods of the family that it calls, in the order of the file."""
    names = reached(Family, "loss")
    methods = sorted((name for name in vars(Family) if name in names), key=lambda name: name != "loss")
    return "\n\n".join(textwrap.dedent(inspect.getsource(vars(Family)[name])).rstrip() for name in methods)


def reached(Family: type[Autoencoder], name: str, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """`name` and the methods that it uses of itself, however far down."""
    known |= {name}
    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(Family)[name])))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            own = inspect.isfunction(vars(Family).get(node.attr)) and node.attr not in NOT_THE_OBJECTIVE
            if own and node.attr not in known:
                known |= reached(Family, node.attr, known)
    return known
