from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from core.families import FAMILIES, family
from core.family import Autoencoder, Config, Family, Loss, Setting, Span, adam, noise_like, setting


@dataclass(frozen=True, kw_only=True)
class Sample(Config):
    size: int = setting(3, "A whole number", low=1, high=9)
    rate: float = setting(0.5, "A number", low=0.0, high=1.0)
    loud: bool = setting(False, "A switch", when={"kind": ("b",)})
    kind: str = setting("a", "A choice", choices=("a", "b"))
    layers: tuple[int, ...] = setting((), "A list", high=1_000_000)


# --- settings from text -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("size=7", 7),
        ("rate=0.25", 0.25),
        ("rate=1", 1.0),
        ("rate=1e-3", 0.001),
        ("loud=true", True),
        ("loud=No", False),
        ("loud=1", True),
        ("kind=b", "b"),
        ("layers=64,32", (64, 32)),
        ("layers= 64 , 32 ,", (64, 32)),
        ("layers=", ()),
    ],
)
def test_text_becomes_a_setting(assignment: str, value: object) -> None:
    name = assignment.partition("=")[0]
    found = getattr(Sample.parse([assignment]), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("size=3.5", "size takes int, not '3.5'"),
        ("size=", "size takes int, not ''"),
        ("size=10", "size lies between 1 and 9, not 10"),
        ("rate=fast", "rate takes float, not 'fast'"),
        ("rate=nan", "rate has to be finite, not nan"),
        ("rate=inf", "rate has to be finite, not inf"),
        ("loud=maybe", "loud takes bool, not 'maybe'"),
        ("kind=c", "kind is one of a, b, not 'c'"),
        ("layers=64,x", "layers takes numbers separated by commas, not '64,x'"),
        ("layers=64,1000001", "layers takes numbers up to 1000000, not 1000001"),
        ("layers=64,0", r"layers takes positive whole numbers separated by commas, not \[64, 0\]"),
        ("colour=red", "'colour=red' is not name=value with a name of size, rate, loud, kind, layers"),
        ("size", "'size' is not name=value"),
    ],
)
def test_text_that_does_not_fit_is_refused_in_words(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Sample.parse([assignment])


def test_the_last_word_counts_and_the_rest_keep_their_defaults() -> None:
    assert Sample.parse(["size=4", "size=5"]) == Sample(size=5)
    assert Sample.parse([]) == Sample()


@pytest.mark.parametrize("value", [True, "3", 3.0, None])
def test_a_whole_number_is_nothing_else(value: object) -> None:
    with pytest.raises(ValueError, match="size takes int"):
        Sample(size=value)  # type: ignore[arg-type]


def test_a_switch_is_no_number() -> None:
    with pytest.raises(ValueError, match="rate takes float, not True"):
        Sample(rate=True)


def test_a_number_may_be_written_whole_and_a_list_as_a_list() -> None:
    config = Sample(rate=1, layers=[8, 4])  # type: ignore[arg-type]
    assert (type(config.rate), config.layers) == (float, (8, 4))


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sample().size = 4  # type: ignore[misc]


def test_settings_describe_the_fields_in_order() -> None:
    described = Sample.settings()
    assert [one.name for one in described] == ["size", "rate", "loud", "kind", "layers"]
    assert described[2] == Setting("loud", bool, False, "A switch", None, None, (), {"kind": ("b",)}, None)


def test_a_setting_acts_and_has_its_range_by_the_values_beside_it() -> None:
    loud, rate = Sample.settings()[2], Sample.settings()[1]
    assert loud.acts({"kind": "b"}) and not loud.acts({"kind": "a"}) and rate.acts({})
    by = rate._replace(by=("kind", {"b": Span(5.0, 4.0, 6.0, "per second")}))
    assert by.beside({"kind": "a"}) == by.beside({}) == by.beside({"kind": []}) == by
    asked = by.beside({"kind": "b"})
    assert (asked.default, asked.low, asked.high) == (5.0, 4.0, 6.0)
    assert asked.help == f"{rate.help}: per second"


def test_several_unknown_settings_are_all_named() -> None:
    with pytest.raises(ValueError, match="unknown setting a, z; known are kind, layers, loud, rate, size"):
        Sample.from_json({"z": 1, "a": 2, "size": 4})


# --- steps ------------------------------------------------------------------------------------------------------


def test_only_what_is_minimised_has_a_gradient() -> None:
    a, b = torch.tensor(2.0, requires_grad=True), torch.tensor(3.0, requires_grad=True)
    loss = Loss({"first": a * a, "second": 4 * a}, watch={"third": b})
    assert loss.total.item() == 12
    loss.total.backward()
    assert a.grad is not None and a.grad.item() == 8 and b.grad is None


def test_noise_has_the_shape_of_the_tensor_and_comes_from_the_rng_alone() -> None:
    like, before = torch.zeros(40, 50, dtype=torch.float64), torch.get_rng_state()
    noise = noise_like(like, torch.Generator().manual_seed(1))
    assert noise.shape == like.shape and noise.dtype == like.dtype
    assert torch.equal(noise, noise_like(like, torch.Generator().manual_seed(1)))
    assert noise.mean().abs() < 0.1 and 0.9 < noise.std() < 1.1
    assert torch.equal(torch.get_rng_state(), before)


def test_adam_takes_the_rate_and_betas() -> None:
    optimiser = adam(0.25, (0.0, 0.99))([torch.zeros(2, requires_grad=True)])
    assert {name: optimiser.param_groups[0][name] for name in ("lr", "betas")} == {
        "lr": 0.25,
        "betas": (0.0, 0.99),
    }


# --- families ---------------------------------------------------------------------------------------------------


def subclasses(root: type) -> Iterator[type]:
    for child in root.__subclasses__():
        yield child
        yield from subclasses(child)


def test_classes_are_abstract_or_final() -> None:
    assert not any(set(subclasses(one)) & set(FAMILIES) for one in FAMILIES)
    for abstract in (Family, Autoencoder):
        with pytest.raises(TypeError, match="abstract"):
            abstract(Sample(), (1, 8, 8))  # type: ignore[abstract]


def test_a_family_is_found_by_its_key() -> None:
    assert [family(one.key) for one in FAMILIES] == list(FAMILIES)
    with pytest.raises(ValueError, match="no family 'vea'; there are vanilla, denoising, sparse"):
        family("vea")


def test_fresh_weights_have_the_variance_of_he_and_come_from_the_rng_alone() -> None:
    model = family("vanilla")(family("vanilla").Config(net="mlp"), (1, 28, 28))
    before = torch.get_rng_state()
    model.initialise(torch.Generator().manual_seed(0))
    first = next(m for m in model.modules() if isinstance(m, nn.Linear))
    assert first.weight.var().item() == pytest.approx(2 / 784, rel=0.02)
    assert first.bias.abs().max() <= 784**-0.5 and first.bias.unique().numel() > 500
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.initialise(torch.Generator().manual_seed(0))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)
