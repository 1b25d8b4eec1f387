from __future__ import annotations

import ast

import pytest

from core.families import FAMILIES, GAN, VAE
from core.family import Autoencoder
from ui.losses import source


@pytest.mark.parametrize("Family", FAMILIES, ids=lambda one: one.key)
def test_the_loss_comes_first_and_is_python(Family: type[Autoencoder]) -> None:
    functions = [node for node in ast.parse(source(Family)).body if isinstance(node, ast.FunctionDef)]
    assert functions[0].name == "loss"
    assert not {"__init__", "encode", "decode", "sample", "players"} & {one.name for one in functions}


def test_what_the_loss_calls_comes_along_however_far_down() -> None:
    names = {node.name for node in ast.parse(source(GAN)).body if isinstance(node, ast.FunctionDef)}
    assert {"critic_loss", "generator_loss", "encoder_loss", "augmented_critic"} <= names
    names = {node.name for node in ast.parse(source(VAE)).body if isinstance(node, ast.FunctionDef)}
    assert {"posterior", "nll", "log_weights", "beta"} <= names
