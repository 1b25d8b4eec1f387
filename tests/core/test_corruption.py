"""Every corruption against its definition: moments and shares within their known sampling error."""

import dataclasses
import math

import pytest
import torch
from torch import Tensor

from core.corruption import (
    BY_NAME,
    CIFAR,
    CORRUPTIONS,
    IMAGENET,
    LEVELS,
    MNIST,
    NOISES,
    OURS,
    corrupt,
    scale_for,
    severity,
)

NAMES = [corruption.name for corruption in CORRUPTIONS]
DRAWS = 200_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def constant(value: float, *, channels: int = 1) -> Tensor:
    """About DRAWS independent values in one batch of square pictures."""
    side = 100
    return torch.full((DRAWS // side**2 // channels, channels, side, side), value)


def assert_mean(values: Tensor, mean: float, sd: float) -> None:
    """Five standard errors: fails by chance once in two million seeds, and the seed is fixed."""
    assert values.double().mean().item() == pytest.approx(mean, abs=5 * sd / math.sqrt(values.numel()))


def assert_sd(values: Tensor, sd: float) -> None:
    # The relative standard error of a sample sd is 1/sqrt(2n) for a Gaussian.
    assert values.double().std().item() == pytest.approx(sd, rel=5 / math.sqrt(2 * values.numel()))


def test_gaussian_adds_the_stated_standard_deviation() -> None:
    noise = corrupt(constant(0.5), "gaussian", 0.08, seeded()) - 0.5  # 6 sd from either clip
    assert_mean(noise, 0.0, 0.08)
    assert_sd(noise, 0.08)


def test_gaussian_is_clipped_as_the_benchmark_does() -> None:
    black = corrupt(constant(0.0), "gaussian", 0.3, seeded())
    assert_mean((black == 0).float(), 0.5, 0.5)
    # E max(0, N(0, sd²)) = sd / sqrt(2 pi)
    assert_mean(black, 0.3 / math.sqrt(2 * math.pi), 0.3)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_masking_hides_the_stated_fraction_of_pixels_in_all_channels(fraction: float) -> None:
    masked = corrupt(constant(0.7, channels=3), "masking", fraction, seeded()) == 0
    assert torch.equal(masked.all(dim=1), masked.any(dim=1))
    assert_mean(masked[:, 0].float(), fraction, math.sqrt(fraction * (1 - fraction)))


def test_masking_leaves_the_other_pixels_alone_and_differs_between_pictures() -> None:
    spoiled = corrupt(constant(0.75), "masking", 0.25, seeded())
    assert spoiled.unique().tolist() == [0.0, 0.75]
    assert not torch.equal(spoiled[0], spoiled[1])


@pytest.mark.parametrize("share", [0.03, 0.27])
def test_impulse_replaces_half_by_salt_and_half_by_pepper(share: float) -> None:
    spoiled = corrupt(constant(0.4, channels=3), "impulse", share, seeded())
    sd = math.sqrt(share / 2 * (1 - share / 2))
    assert_mean((spoiled == 1).float(), share / 2, sd)
    assert_mean((spoiled == 0).float(), share / 2, sd)


def test_impulse_strikes_each_channel_on_its_own() -> None:
    struck = corrupt(constant(0.4, channels=3), "impulse", 0.5, seeded()) != 0.4
    assert not torch.equal(struck.all(dim=1), struck.any(dim=1))


@pytest.mark.parametrize("photons", [25.0, 500.0])
def test_shot_is_poisson_with_the_stated_photons(photons: float) -> None:
    x = 0.3
    spoiled = corrupt(constant(x), "shot", photons, seeded())
    assert_mean(spoiled, x, math.sqrt(x / photons))
    # Var = x/c; a Poisson of mean m has kurtosis 3 + 1/m, hence the wider error of the sample variance.
    error = 5 * math.sqrt((2 + 1 / (x * photons)) / DRAWS)
    assert spoiled.double().var().item() == pytest.approx(x / photons, rel=error)
    counts = spoiled * photons
    assert torch.allclose(counts, counts.round(), atol=1e-3)


def test_fewer_photons_are_noisier_and_black_stays_black() -> None:
    def noise(photons: float) -> float:
        return corrupt(constant(0.3), "shot", photons, seeded()).std().item()

    assert noise(3) > noise(12) > noise(60)
    assert corrupt(constant(0.0), "shot", 3, seeded()).max() == 0


def test_speckle_scales_with_the_intensity() -> None:
    for x in (0.25, 0.5):
        noise = corrupt(constant(x), "speckle", 0.15, seeded()) - x
        assert_mean(noise, 0.0, 0.15 * x)
        assert_sd(noise, 0.15 * x)


@pytest.mark.parametrize("name", ["gaussian", "masking", "impulse", "speckle"])
def test_amount_zero_is_the_identity(name: str) -> None:
    x = torch.rand(4, 3, 9, 7, generator=seeded())
    assert torch.equal(corrupt(x, name, 0.0, seeded()), x)


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_is_the_only_randomness(name: str) -> None:
    x = torch.rand(4, 1, 8, 8, generator=seeded(1))
    amount = BY_NAME[name].default
    first = corrupt(x, name, amount, seeded(7))
    torch.manual_seed(12345)
    state = torch.get_rng_state()
    again = corrupt(x, name, amount, seeded(7))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was drawn from"
    others = [corrupt(x, name, amount, seeded(seed)) for seed in range(8, 14)]
    assert all(torch.equal(first, other) for other in others) == (not BY_NAME[name].random)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 8, 8), (3, 3, 5, 11), (0, 1, 8, 8)])
@pytest.mark.parametrize("fill", [0.0, 0.5, 1.0])
def test_results_are_finite_and_in_range_at_both_ends(name: str, shape: tuple[int, ...], fill: float) -> None:
    x = torch.full(shape, fill)
    before = x.clone()
    for amount in (BY_NAME[name].low, BY_NAME[name].default, BY_NAME[name].high):
        spoiled = corrupt(x, name, amount, seeded())
        assert spoiled.shape == x.shape and spoiled.dtype == x.dtype
        assert torch.isfinite(spoiled).all()
        assert ((spoiled >= 0) & (spoiled <= 1)).all()
        assert spoiled is not x and torch.equal(x, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_noise_does_not_depend_on_the_precision(name: str, dtype: torch.dtype) -> None:
    x = torch.full((2, 3, 8, 8), 0.5)
    amount = BY_NAME[name].default
    spoiled = corrupt(x.to(dtype), name, amount, seeded())
    assert spoiled.dtype == dtype
    assert torch.allclose(spoiled.float(), corrupt(x, name, amount, seeded()), atol=0.01)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("amount", [-0.01, 1e9, math.nan, math.inf])
def test_amounts_out_of_range_are_refused_with_the_range(name: str, amount: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: .* must be between"):
        corrupt(torch.zeros(1, 1, 2, 2), name, amount, seeded())


def test_an_unknown_name_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=f"'hail'; choose one of {', '.join(NAMES)}"):
        corrupt(torch.zeros(1, 1, 2, 2), "hail", 0.1, seeded())


@pytest.mark.parametrize("x", [torch.zeros(1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.uint8)])
def test_anything_but_a_float_batch_is_refused(x: Tensor) -> None:
    with pytest.raises(ValueError, match="float batch"):
        corrupt(x, "gaussian", 0.1, seeded())


def parts(amount: object) -> tuple[float, ...]:
    return amount if isinstance(amount, tuple) else (amount,)


def test_every_default_lies_in_its_range_and_entries_cannot_change() -> None:
    for one in CORRUPTIONS:
        for low, default, high in zip(*map(parts, (one.low, one.default, one.high)), strict=True):
            assert low <= default <= high
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.low = -1.0  # type: ignore[misc]
    assert [one.name for one in NOISES] == ["gaussian", "masking", "impulse", "shot", "speckle"]


def test_amounts_of_several_numbers_have_to_be_as_many() -> None:
    for amount in (3.0, (3.0,), (3.0, 0.5, 1.0)):
        with pytest.raises(
            ValueError, match="defocus_blur: radius in pixels, .* must be between 0, 0.05 and"
        ):
            corrupt(torch.zeros(1, 1, 2, 2), "defocus_blur", amount, seeded())


# --- levels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_scale_has_five_levels_within_the_range(name: str) -> None:
    one = BY_NAME[name]
    for scale, amounts in one.levels.items():
        assert len(amounts) == len(LEVELS) == len(set(amounts))
        for level, amount in zip(LEVELS, amounts, strict=True):
            assert severity(name, level, scale) == amount
            for low, value, high in zip(*map(parts, (one.low, amount, one.high)), strict=True):
                assert low <= value <= high


PUBLISHED = {
    IMAGENET: {
        "gaussian": (0.08, 0.12, 0.18, 0.26, 0.38),
        "shot": (60, 25, 12, 5, 3),
        "impulse": (0.03, 0.06, 0.09, 0.17, 0.27),
        "speckle": (0.15, 0.2, 0.35, 0.45, 0.6),
        "gaussian_blur": (1, 2, 3, 4, 6),
        "defocus_blur": ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        "glass_blur": ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        "motion_blur": ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        "fog": ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
        "brightness": (0.1, 0.2, 0.3, 0.4, 0.5),
        "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
        "jpeg": (25, 18, 15, 10, 7),
        "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
    },
    CIFAR: {
        "gaussian": (0.04, 0.06, 0.08, 0.09, 0.10),
        "shot": (500, 250, 100, 75, 50),
        "impulse": (0.01, 0.02, 0.03, 0.05, 0.07),
        "speckle": (0.06, 0.1, 0.12, 0.16, 0.2),
        "gaussian_blur": (0.4, 0.6, 0.7, 0.8, 1),
        "defocus_blur": ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
        "glass_blur": ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
        "motion_blur": ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
        "fog": ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
        "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
        "jpeg": (80, 65, 58, 50, 40),
        "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
    },
    MNIST: {
        "rotate": (0.2, 0.4, 0.6, 0.8, 1),
        "shear": (0.2, 0.4, 0.6, 0.8, 1),
        "scale": (0.9, 0.8, 0.7, 0.6, 0.5),
        "translate": (1, 2, 3, 4, 5),
    },
}


def test_levels_are_the_published_ones() -> None:
    """Hendrycks & Dietterich 2019 (ImageNet-C, CIFAR-10-C), Mu & Gilmer 2019 (MNIST-C); masking's are our own."""
    ours = {(name, scale) for name in NAMES for scale in BY_NAME[name].levels if scale != OURS}
    assert ours == {(name, scale) for scale, levels in PUBLISHED.items() for name in levels}
    for name, scale in ours:
        assert tuple(severity(name, level, scale) for level in LEVELS) == PUBLISHED[scale][name]


@pytest.mark.parametrize(("level", "scale"), [(0, IMAGENET), (6, IMAGENET), (1, MNIST), (1, "none")])
def test_levels_without_a_source_are_refused(level: int, scale: str) -> None:
    with pytest.raises(ValueError, match="gaussian has levels 1 to 5 on ImageNet-C, CIFAR-10-C"):
        severity("gaussian", level, scale)


@pytest.mark.parametrize(
    ("name", "shape", "scale"),
    [
        ("gaussian", (1, 28, 28), IMAGENET),
        ("gaussian", (3, 32, 32), CIFAR),
        ("gaussian", (3, 48, 48), IMAGENET),
        ("gaussian", (1, 8, 8), CIFAR),
        ("rotate", (3, 32, 32), MNIST),
        ("masking", (1, 28, 28), OURS),
    ],
)
def test_the_scale_follows_from_the_size_of_the_pictures(
    name: str, shape: tuple[int, int, int], scale: str
) -> None:
    assert scale_for(name, shape) == scale


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (2, 1, 8, 8), (2, 3, 28, 28), (1, 3, 480, 321)])
def test_every_level_is_defined_on_pictures_of_any_size(name: str, shape: tuple[int, ...]) -> None:
    pictures = [torch.rand(shape, generator=seeded())]
    if shape[2] < 100:
        pictures += [torch.full(shape, 0.4), torch.zeros(shape), torch.ones(shape)]
    for scale in BY_NAME[name].levels:
        for level in LEVELS if shape[2] < 100 else (1, 3, 5):
            for x in pictures:
                spoiled = corrupt(x, name, severity(name, level, scale), seeded())
                assert spoiled.shape == x.shape
                assert spoiled.isfinite().all() and spoiled.min() >= 0 and spoiled.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_with_a_generator_each_pictures_do_not_depend_on_their_batch_mates(name: str) -> None:
    x = torch.rand(5, 3, 12, 10, generator=seeded())
    amount = BY_NAME[name].default
    together = corrupt(x, name, amount, [seeded(place) for place in range(5)])
    order = [3, 0, 4]
    apart = corrupt(x[order], name, amount, [seeded(place) for place in order])
    torch.testing.assert_close(apart, together[order], rtol=0, atol=1e-6)
    assert (not BY_NAME[name].random) or not torch.equal(
        together, corrupt(x, name, amount, [seeded(place + 9) for place in range(5)])
    )
