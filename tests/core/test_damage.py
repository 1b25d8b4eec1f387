"""The formulas that are no plain noise, each against its definition or another library."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage import color, filters, transform
from torch import Tensor

from core import damage
from core.pictures import as_bytes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(*shape: int) -> Tensor:
    return torch.rand(shape, generator=seeded(1))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 6.0])
@pytest.mark.parametrize("shape", [(2, 3, 9, 14), (1, 1, 28, 28), (1, 1, 1, 5)])
def test_gaussian_blur_is_scikit_images(sigma: float, shape: tuple[int, ...]) -> None:
    x = pictures(*shape)
    expected = [[filters.gaussian(channel, sigma, mode="nearest") for channel in one] for one in x.numpy()]
    found = damage.gaussian_blur(x, sigma, seeded())
    torch.testing.assert_close(found, torch.tensor(np.array(expected)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("amount", [(3.0, 0.1), (10.0, 0.5), (0.3, 0.4)])
@pytest.mark.parametrize("shape", [(1, 1, 28, 28), (2, 3, 8, 6), (1, 1, 1, 1)])
def test_defocus_is_a_mirrored_convolution_with_a_soft_disk(
    amount: tuple[float, float], shape: tuple[int, ...]
) -> None:
    x, kernel = pictures(*shape), damage.disk(*amount)
    assert kernel.sum().item() == pytest.approx(1, abs=0.02)
    expected = [
        [ndimage.correlate(c, kernel.numpy(), mode="mirror") for c in one] for one in x.double().numpy()
    ]
    found = damage.defocus_blur(x.double(), amount, seeded())
    torch.testing.assert_close(found, torch.tensor(np.array(expected)), rtol=1e-6, atol=1e-8)


def test_a_disk_holds_the_pixels_within_its_radius() -> None:
    kernel = damage.disk(3.0, 0.05)  # a smoothing too narrow to reach the next pixel
    steps = torch.arange(-8, 9)
    inside = steps[:, None].square() + steps.square() <= 9
    torch.testing.assert_close(kernel, inside.double() / inside.sum())
    assert damage.disk(10.0, 0.5).shape == (21, 21)


@pytest.mark.parametrize("amount", [(3.0, 1.0), (10.0, 3.0)])
def test_motion_runs_along_a_line_within_45_degrees(amount: tuple[float, float]) -> None:
    """Of a single light pixel what is left is the path itself, run backwards."""
    x = torch.zeros(40, 1, 61, 61)
    x[:, :, 30, 30] = 1
    found = damage.motion_blur(x, amount, seeded())
    taps = np.arange(2 * int(amount[0]) + 1)
    weights = np.exp(-0.5 * (taps / amount[1]) ** 2)
    weights /= weights.sum()
    angles = (torch.rand(40, 1, generator=seeded())[:, 0].double() - 0.5) * math.pi / 2
    assert angles.abs().max() <= math.pi / 4
    for one, angle in zip(found[:, 0], angles.tolist(), strict=True):
        expected = np.zeros((61, 61))
        for tap, weight in zip(taps, weights, strict=True):
            down, across = (math.ceil(tap * way - 0.5) for way in (math.sin(angle), math.cos(angle)))
            expected[30 - down, 30 - across] += weight
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-6)


def test_motion_leaves_a_flat_picture_alone() -> None:
    x = torch.full((2, 1, 9, 9), 0.3)
    torch.testing.assert_close(damage.motion_blur(x, (10.0, 3.0), seeded()), x)


def test_glass_swaps_pixels_and_loses_none() -> None:
    x = torch.arange(400.0).view(1, 1, 20, 20) / 400
    found = damage.glass_blur(x, (1e-3, 2.0, 3.0), seeded())  # hardly smoothed
    assert not torch.equal(found, x)
    torch.testing.assert_close(found.flatten().sort().values, x.flatten())
    edge = torch.ones(20, 20, dtype=torch.bool)
    edge[1:20, 1:20] = False
    torch.testing.assert_close(found[0, 0][edge], x[0, 0][edge])  # no swap reaches row or column 0


def test_glass_follows_the_swaps_one_by_one() -> None:
    places = list(range(16))
    for (y, z), (across, down) in zip([(3, 3), (3, 2), (2, 3)], [(-1, 0), (0, -1), (-1, -1)], strict=True):
        here, there = 4 * y + z, 4 * (y + down) + z + across
        places[here], places[there] = places[there], places[here]
    path = [(3, 3), (3, 2), (2, 3)]
    assert damage.swapped(4, 4, path, 1, [[-1, 0], [0, -1], [-1, -1]]) == places


def test_glass_looks_from_minus_delta_to_delta_less_one() -> None:
    """Of 3x3 with reach 1 the last row and column are swapped, with themselves or what lies before."""
    x = torch.arange(9.0).view(1, 1, 3, 3).expand(400, -1, -1, -1) / 9
    corner = damage.glass_blur(x, (1e-3, 1.0, 1.0), seeded())[:, 0, 2, 2]
    came_from = (corner * 9).round().long().unique().tolist()
    assert came_from == [4, 5, 7, 8]


def test_contrast_is_taken_from_the_distance_to_the_mean() -> None:
    x = pictures(2, 3, 6, 5)
    found = damage.contrast(x, 0.3, seeded())
    torch.testing.assert_close(found.mean((2, 3)), x.mean((2, 3)))
    torch.testing.assert_close(found.std((2, 3)), 0.3 * x.std((2, 3)))


def test_brightness_raises_the_value_and_keeps_hue_and_saturation() -> None:
    x = pictures(1, 3, 12, 9)
    x[:, :, 0] = 0  # black has no hue
    hsv = color.rgb2hsv(x[0].permute(1, 2, 0).double().numpy())
    hsv[..., 2] = np.clip(hsv[..., 2] + 0.3, 0, 1)
    expected = torch.tensor(color.hsv2rgb(hsv)).permute(2, 0, 1)
    found = damage.brightness(x.double(), 0.3, seeded())[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    gray = pictures(2, 1, 4, 4)
    torch.testing.assert_close(damage.brightness(gray, 0.2, seeded()), (gray + 0.2).clamp(max=1))


def test_fog_lies_over_the_picture_and_keeps_its_brightest_value_in_reach() -> None:
    x = pictures(20, 1, 28, 28)
    found = damage.fog(x, (2.0, 2.0), seeded())
    cloud = damage.plasma(20, 28, 2.0, x, seeded())[:, None, :28, :28].float()
    top = x.amax((1, 2, 3), keepdim=True)
    torch.testing.assert_close(found, (x + 2 * cloud) * top / (top + 2))
    assert found.max() <= x.max()


def test_clouds_fill_the_unit_interval_and_are_smoother_with_more_decay() -> None:
    def roughness(decay: float) -> float:
        cloud = damage.plasma(50, 32, decay, torch.zeros(()), seeded())
        assert cloud.shape == (50, 32, 32)
        assert cloud.amin((1, 2)).abs().max() == 0 and (cloud.amax((1, 2)) == 1).all()
        return float((cloud.diff(dim=1).square().mean() / cloud.var()).sqrt())

    assert roughness(3.0) < roughness(2.0) < roughness(1.4)
    assert damage.plasma(1, 33, 2.0, torch.zeros(()), seeded()).shape == (1, 64, 64)


def test_clouds_are_the_diamond_square_algorithm() -> None:
    """On 4x4, written out point by point from the same noise, as high and falling as fast as in the published program."""
    noise = (torch.rand(1, 4, 4, generator=seeded()) * 2 - 1)[0].double().numpy()
    cloud, wibble, decay = np.zeros((4, 4)), 100.0, 2.0
    for step in (4, 2):
        half = step // 2
        for y in range(0, 4, step):
            for z in range(0, 4, step):
                corners = [cloud[(y + a) % 4, (z + b) % 4] for a in (0, step) for b in (0, step)]
                cloud[y + half, z + half] = sum(corners) / 4 + wibble * wibble * noise[y + half, z + half]
        before = cloud.copy()
        for y in range(0, 4, half):
            for z in range(0, 4, half):
                if (y // half + z // half) % 2:
                    near = [
                        before[(y + a) % 4, (z + b) % 4]
                        for a, b in ((half, 0), (-half, 0), (0, half), (0, -half))
                    ]
                    cloud[y, z] = sum(near) / 4 + wibble * wibble * noise[y, z]
        wibble /= decay
    cloud = (cloud - cloud.min()) / (cloud - cloud.min()).max()
    np.testing.assert_allclose(
        damage.plasma(1, 4, decay, torch.zeros(()), seeded())[0].numpy(), cloud, atol=1e-12
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows(channels: int) -> None:
    x = pictures(2, channels, 24, 17)
    found = damage.jpeg(x, 15.0, seeded())
    for one, pixels in zip(found, as_bytes(x), strict=True):
        file = io.BytesIO()
        plain = pixels[0] if channels == 1 else pixels.transpose(1, 2, 0)
        Image.fromarray(plain).save(file, "JPEG", quality=15)
        back = np.asarray(Image.open(file)).reshape(24, 17, channels).transpose(2, 0, 1)
        np.testing.assert_array_equal(as_bytes(one), back)


def test_pixelate_makes_blocks_of_means() -> None:
    x = pictures(1, 1, 8, 8)
    blocks = torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(damage.pixelate(x, 0.5, seeded()), blocks, rtol=0, atol=1.1 / 255)


@pytest.mark.parametrize("name", ["rotate", "shear", "scale", "translate"])
@pytest.mark.parametrize("size", [(28, 28), (9, 14)])
def test_geometry_is_scikit_images(name: str, size: tuple[int, int]) -> None:
    x = pictures(6, 1, *size).double()
    amount = {"rotate": 0.6, "shear": 0.4, "scale": 0.7, "translate": 3.0}[name]
    found = getattr(damage, name)(x, amount, seeded())
    bits = damage.signs(2 if name == "translate" else 1, x, seeded())
    middle = (np.array(size[::-1]) - 1) / 2
    for one, picture, bit in zip(found[:, 0].numpy(), x[:, 0].numpy(), bits.numpy(), strict=True):
        a = amount * bit[0]
        matrix, shift = np.eye(2), np.zeros(2)
        if name == "rotate":
            matrix = np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]])
        elif name == "shear":
            matrix = np.array([[1, -math.sin(a)], [0, math.cos(a)]])
        elif name == "scale":
            matrix = np.eye(2) / amount
        else:
            shift = amount * bit
        whole = np.eye(3)
        whole[:2, :2], whole[:2, 2] = matrix, middle - matrix @ middle + shift
        expected = transform.warp(picture, transform.AffineTransform(whole), order=1)
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_a_shift_moves_whole_pixels_and_leaves_black_behind() -> None:
    x = torch.ones(30, 1, 7, 7)
    found = damage.translate(x, 2.0, seeded())
    assert {round(v, 4) for v in found.unique().tolist()} == {0, 1}
    assert (found.flatten(1).sum(1) == 25).all()
    assert len({tuple(one.flatten().tolist()) for one in found.round()}) == 4  # to all four corners
