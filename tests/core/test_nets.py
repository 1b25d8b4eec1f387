from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core import nets
from core.families import GAN, Vanilla
from core.family import Shape

SIDES = st.integers(8, 40)


def config(**values: object) -> nets.DeterministicConfig:
    return nets.DeterministicConfig(**{"latent_dim": 5, "width": 4, "hidden": (12,)} | values)


@pytest.mark.parametrize("net", ["conv", "mlp", "tied"])
@settings(max_examples=20, deadline=None)
@given(channels=st.integers(1, 4), height=SIDES, width=SIDES)
@torch.no_grad()
def test_any_shape_goes_to_a_code_and_back(net: str, channels: int, height: int, width: int) -> None:
    shape = channels, height, width
    encoder = nets.encoder(config(net=net), shape, 5)
    decoder = nets.decoder(config(net=net), shape, encoder)
    z = encoder(torch.rand(3, *shape))
    assert z.shape == (3, 5)
    assert decoder(z).shape == (3, *shape)


@torch.no_grad()
def test_a_layer_of_one_is_refused_since_its_norm_leaves_nothing() -> None:
    with pytest.raises(ValueError, match="hidden takes numbers from 2 on, not 1"):
        Vanilla.Config(hidden=(16, 1))
    assert GAN.Config(hidden=(2,)).hidden == (2,)


def test_a_critic_gives_each_picture_a_number() -> None:
    for net in ("conv", "mlp"):
        scores = nets.critic(nets.BackboneConfig(net=net, width=4, hidden=(12,)), (3, 9, 13))(
            torch.rand(6, 3, 9, 13)
        )
        assert scores.shape == (6,)


@pytest.mark.parametrize("net", ["conv", "mlp"])
def test_every_pixel_reaches_the_code_and_every_logit_hears_of_it(net: str) -> None:
    shape = (2, 13, 9)
    encoder = nets.encoder(config(net=net), shape, 5)
    decoder = nets.decoder(config(net=net), shape, encoder)
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (to_code,) = torch.autograd.grad(encoder(x).square().sum(), x)
    assert (to_code != 0).all()
    z = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))
    assert (decoder(z) != decoder(z + 1)).all()


@given(height=st.integers(8, 128), width=st.integers(8, 128))
def test_the_coarsest_grid_is_small_and_covers_the_picture(height: int, width: int) -> None:
    grid = nets.Grid.of((1, height, width), 4)
    step = 2**grid.halvings
    assert 4 <= max(grid.height, grid.width) <= nets.LARGEST_GRID
    assert 0 <= grid.padded[0] - height < step and 0 <= grid.padded[1] - width < step
    assert max(grid.widths) <= 4 * grid.widths[0]


@pytest.mark.parametrize("shape", [(1, 9, 13), (3, 8, 31)])
def test_padding_repeats_the_edge_and_cropping_takes_it_off(shape: Shape) -> None:
    x = torch.rand(2, *shape)
    padded = nets.Pad(shape, (16, 32))(x)
    assert padded.shape[-2:] == (16, 32)
    assert torch.equal(nets.Crop(shape)(padded), x)
    assert torch.equal(padded[..., -1, -1], x[..., -1, -1])
    assert torch.equal(padded[..., 3, -1], x[..., 3, -1])


def test_a_tied_decoder_is_the_encoder_s_transpose_and_has_no_weights_of_its_own() -> None:
    shape = (2, 3, 4)
    encoder = nets.encoder(config(net="tied"), shape, 5)
    decoder = nets.decoder(config(net="tied"), shape, encoder)
    assert not list(decoder.parameters())
    z, weight, bias = torch.rand(3, 5), encoder.layer.weight, encoder.pixel_bias
    with torch.no_grad():
        bias.copy_(torch.arange(24))
        torch.testing.assert_close(decoder(z).flatten(1), z @ weight + bias)
        weight.zero_()
        torch.testing.assert_close(decoder(z).flatten(1), bias.expand(3, -1))  # still the same weights
