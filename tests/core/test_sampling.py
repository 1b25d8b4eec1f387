from __future__ import annotations

import itertools

import numpy as np
import torch

from core.families import GAN
from core.pictures import as_bytes
from core.sampling import BATCH, between, decoded, quantiles, refine


def gan() -> GAN:
    model = GAN(GAN.Config(latent_dim=4, width=8, hidden=(16,)), (1, 8, 8))
    model.initialise(torch.Generator().manual_seed(0))
    return model.eval()


def test_a_search_starts_at_the_encoders_code_and_never_gets_worse(rng: torch.Generator) -> None:
    model = gan()
    x = model.sample(5, rng).detach()
    found = list(refine(model, x, steps=60))
    with torch.no_grad():
        assert torch.equal(found[0].codes, model.encode(x))
    residuals = torch.stack([one.residual for one in found])
    assert (residuals.diff(dim=0) <= 0).all()
    assert (
        residuals[-1] / residuals[0]
    ).median() < 0.1  # its own samples can be rebuilt, but for local minima
    error = (model.decode(found[-1].codes) - x).square().flatten(1).mean(1)
    assert torch.allclose(error, found[-1].residual, atol=1e-7)


def test_a_search_leaves_the_model_alone(rng: torch.Generator) -> None:
    model = gan()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    list(itertools.islice(refine(model, model.sample(2, rng).detach()), 5))  # left early
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_each_picture_is_searched_on_its_own(rng: torch.Generator) -> None:
    model = gan()
    x = model.sample(3, rng).detach()
    *_, together = refine(model, x, steps=10)
    *_, alone = refine(model, x[1:2], steps=10)
    assert torch.allclose(together.codes[1:2], alone.codes, atol=1e-5)


def test_a_line_goes_from_one_code_to_the_other_in_equal_steps() -> None:
    line = between(torch.tensor([0.0, 1.0]), torch.tensor([1.0, -1.0]), 5)
    assert line.tolist() == [[0, 1], [0.25, 0.5], [0.5, 0], [0.75, -0.5], [1, -1]]


def test_quantiles_cut_the_prior_into_equal_shares() -> None:
    grid = quantiles(4)
    assert grid.shape == (4, 4, 2)
    across, up = grid[0, :, 0].double(), grid[:, 0, 1].double()
    shares = torch.special.ndtr(across)
    torch.testing.assert_close(shares, torch.tensor([1, 3, 5, 7]).double() / 8, atol=1e-6, rtol=0)
    torch.testing.assert_close(up.flip(0), across)  # the top row is the highest
    assert (grid[1, :, 1] == grid[1, 0, 1]).all() and (grid[:, 2, 0] == grid[0, 2, 0]).all()


def test_zoom_shows_a_part_and_never_leaves_the_square() -> None:
    part = torch.special.ndtr(quantiles(2, (0.25, 0.75), zoom=2).double())
    torch.testing.assert_close(part[0, :, 0], torch.tensor([0.125, 0.375]).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(part[:, 0, 1], torch.tensor([0.875, 0.625]).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(quantiles(3, (-1.0, 2.0), zoom=4), quantiles(3, (0.125, 0.875), zoom=4))


def test_temperature_stretches_the_prior() -> None:
    torch.testing.assert_close(quantiles(3, temperature=2.0), 2 * quantiles(3))


def test_codes_are_decoded_in_batches_and_none_is_none() -> None:
    model = gan()
    codes = torch.randn(2 * BATCH + 3, model.config.latent_dim, generator=torch.Generator().manual_seed(0))
    pictures = decoded(model, codes)
    with torch.inference_mode():
        whole = as_bytes(model.decode(codes))
    assert pictures.dtype == np.uint8 and np.abs(pictures.astype(int) - whole).max() <= 1
    assert decoded(model, codes[:0]).shape == (0, 1, 8, 8)
