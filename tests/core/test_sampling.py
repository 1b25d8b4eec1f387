from __future__ import annotations

import itertools

import torch

from core.families import GAN
from core.sampling import refine


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
