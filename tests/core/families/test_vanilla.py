from __future__ import annotations

import numpy as np
import torch

from core import objectives
from core.data import Dataset, Split
from core.evaluation import PCA
from core.families.vanilla import Vanilla
from core.family import Turn
from core.pictures import as_floats
from tests import toy


def test_it_minimises_the_named_distance_per_picture(rng: torch.Generator) -> None:
    x = as_floats(toy.strokes(5, (3, 8, 8)).images)
    for error in ("cross-entropy", "squared error"):
        model = Vanilla(Vanilla.Config(error=error, width=8), (3, 8, 8))
        with torch.no_grad():
            found = model.loss(x, Turn(rng)).minimise
            expected = objectives.reconstruction_error(error, model.decoder(model.encode(x)), x)
        assert found.keys() == {"reconstruction"}
        torch.testing.assert_close(found["reconstruction"], expected.mean())


def test_a_curved_code_keeps_more_than_as_many_principal_components() -> None:
    """Measured: 0.39 to 0.60 of the error of PCA."""
    data = toy.strokes_to_learn()
    model = Vanilla(Vanilla.Config(**toy.QUICK, latent_dim=4), data.shape)
    assert toy.train_quickly(model, data)["mse"] < 0.75 * PCA(data, 4).sse(data.validation) / 16**2


def faint_patterns(count: int, seed: int) -> Split:
    """Two fixed patterns around mid gray, where the logistic function is straight, with a little noise."""
    draw = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), indexing="ij")
    patterns = np.stack([x, y**2 - 0.4]).reshape(2, -1)
    strength = draw.normal(0, 1, (count, 2)) * (0.08, 0.05)
    pixels = 0.5 + strength @ patterns + draw.normal(0, 0.01, (count, 64))
    return Split(np.round(255 * pixels).astype(np.uint8).reshape(-1, 1, 8, 8), None)


def test_one_tied_layer_finds_the_space_of_the_principal_components() -> None:
    train, held_out = faint_patterns(512, 0), faint_patterns(128, 1)
    data = Dataset("faint", "Faint", train, held_out, held_out, (), "CC0", "0" * 16)
    config = Vanilla.Config(net="tied", error="squared error", latent_dim=2, lr=0.01)
    model = Vanilla(config, data.shape)
    mse = toy.train_quickly(model, data, epochs=40)["mse"]
    pca = PCA(data, 2)
    assert mse * 64 < 1.1 * pca.sse(held_out)
    rows = np.linalg.qr(model.encoder.layer.weight.detach().double().numpy().T)[0].T
    cosines = np.linalg.svd(rows @ pca.axes.T, compute_uv=False)  # of the angles between the two planes
    assert cosines.min() > 0.98
