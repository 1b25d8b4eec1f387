from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import restoration
from skimage.metrics import structural_similarity
from torch import Tensor

from core import robustness
from core.corruption import BY_NAME, LEVELS, corrupt, scale_for, severity
from core.data import sample_photos
from core.dataset import Dataset, Split, fixed_rng
from core.families import VAE, Denoising, Vanilla
from core.pictures import as_floats
from core.robustness import Measured, Method, Probe, Progress, Protocol, Sink, measure, randomness
from core.store import Run, Store
from core.tensors import write_tensors
from core.training import Plan
from tests import toy

SHAPE = (1, 16, 16)
FEW = Protocol(pictures=12, seeds=2, corruptions=("gaussian", "contrast"))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return toy.dataset(SHAPE, train=200, held_out=40)


def vanilla() -> Vanilla:
    model = Vanilla(Vanilla.Config(latent_dim=6, width=8, hidden=(16,)), SHAPE)
    model.initialise(torch.Generator().manual_seed(0))
    return model


def a_run(store: Store, data: Dataset, Family=Vanilla, **settings: object) -> Run:
    model = Family(Family.Config(**{"latent_dim": 6, "width": 8, "hidden": (16,)} | settings), data.shape)
    run = store.create(model, Plan(epochs=1, threads=1), data)
    training = run.begin(torch.device("cpu"))
    run.save_weights(training.model)
    return run


def result(
    methods: list[Method], data: Dataset, protocol: Protocol = FEW, batch: int = 500
) -> dict[str, Measured]:
    *progress, found = measure(methods, data, protocol, batch)
    assert all(isinstance(one, Progress) and 0 <= one.fraction < 1 for one in progress)
    assert isinstance(found, dict)
    return found


def modelled(model: Vanilla) -> Method:
    return Method(
        "model", "A model", lambda x: (model.decode(model.encode(x)), model.encode(x)), model.encode
    )


def test_every_number_is_its_definition(data: Dataset) -> None:
    model = vanilla()
    found = result([modelled(model)], data)["model"]
    chosen = FEW.subset(data.test)
    x = as_floats(data.test.images[chosen])
    with torch.inference_mode():
        clean = model.encode(x)
        spread = (clean - clean.mean(0)).square().sum(1).mean().sqrt()
        probe = Probe.of(model.encode, data)
        for kind, name in enumerate(FEW.corruptions):
            for level in (1, 4):
                amount = severity(name, level, scale_for(name, SHAPE))
                backs, codes = [], []
                for seed in range(FEW.seeds):
                    rngs = [randomness(name, seed, int(index)) for index in chosen]
                    codes.append(model.encode(corrupt(x, name, amount, rngs)))
                    backs.append(model.decode(codes[-1]))
                mse = torch.stack([(back - x).square().flatten(1).mean(1) for back in backs]).mean(0)
                torch.testing.assert_close(found.mse[kind, level], mse)
                moved = torch.stack([(z - clean).norm(dim=1) / spread for z in codes]).mean(0)
                torch.testing.assert_close(found.drift[kind, level], moved, rtol=2e-3, atol=1e-3)
                right = torch.stack([probe.right(z, data.test.labels[chosen]) for z in codes]).mean(0)
                torch.testing.assert_close(found.probe[kind, level], right, rtol=1e-3, atol=1e-3)
                alike = [
                    np.mean([
                        structural_similarity(back[i, 0].double().numpy(), x[i, 0].double().numpy(), data_range=1.0)
                        for back in backs
                    ])
                    for i in range(len(x))
                ]  # fmt: skip
                np.testing.assert_allclose(found.ssim[kind, level].numpy(), alike, atol=1e-3)


def test_level_zero_is_the_clean_picture(data: Dataset) -> None:
    model = vanilla()
    found = result([modelled(model), robustness.nothing()], data)
    x = as_floats(data.test.images[FEW.subset(data.test)])
    with torch.inference_mode():
        expected = (model.reconstruct(x) - x).square().flatten(1).mean(1)
    for kind in range(2):
        torch.testing.assert_close(found["model"].mse[kind, 0], expected)
        assert (found["model"].drift[kind, 0] == 0).all()
    idle = found["nothing"]
    assert (idle.mse[:, 0] == 0).all() and (idle.ssim[:, 0] == 1).all()
    assert idle.values("psnr")[:, 0].isinf().all() and idle.values("psnr")[:, 1:].isfinite().all()
    assert idle.drift is None and idle.probe is None


def test_the_same_table_twice_and_with_other_batches_and_orders(data: Dataset) -> None:
    model = modelled(vanilla())
    methods = [model, robustness.nothing(), robustness.linear(data, 6), robustness.median()]
    protocol = replace(FEW, corruptions=("gaussian", "motion_blur", "shot"))
    first = result(methods, data, protocol)
    for other in (
        result(methods, data, protocol),
        result(methods, data, protocol, batch=5),
        result(methods[::-1], data, protocol),
    ):
        for key, found in first.items():
            for metric in ("mse", "ssim", "drift", "probe"):
                one, again = found.values(metric), other[key].values(metric)
                assert (one is None) == (again is None)
                if one is not None:
                    assert abs(one.mean((2,)) - again.mean((2,))).max() <= 1e-6
    turned = result(methods, data, replace(protocol, corruptions=protocol.corruptions[::-1]))
    torch.testing.assert_close(turned["nothing"].mse.flip(0), first["nothing"].mse, rtol=0, atol=1e-9)


def test_rescaling_the_code_changes_no_drift(data: Dataset) -> None:
    model = vanilla()
    scaled = Method(
        "scaled", "", lambda x: (model.reconstruct(x), 100 * model.encode(x)), lambda x: 100 * model.encode(x)
    )
    found = result([modelled(model), scaled], data)
    torch.testing.assert_close(found["model"].drift, found["scaled"].drift, rtol=2e-3, atol=1e-4)


def test_one_picture_alone_has_no_drift(data: Dataset) -> None:
    found = result([modelled(vanilla())], data, replace(FEW, pictures=1))["model"]
    assert found.drift is None and found.mse.shape[2] == 1
    assert Measured.unpacked(found.packed(), FEW).n == 1


def test_noise_of_a_picture_depends_on_its_place_the_seed_and_the_damage_alone() -> None:
    draws = {
        key: torch.rand(1, generator=randomness(*key)).item()
        for key in (("gaussian", 0, 5), ("gaussian", 1, 5), ("gaussian", 0, 6), ("shot", 0, 5))
    }
    assert len(set(draws.values())) == 4
    assert torch.rand(1, generator=randomness("gaussian", 0, 5)).item() == draws["gaussian", 0, 5]


def test_slow_methods_see_the_first_of_the_same_pictures(
    data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(robustness.nothing(), key="slow", most=5)
    found = result([slow, robustness.nothing()], data)
    assert found["slow"].n == 5
    torch.testing.assert_close(found["slow"].mse, found["nothing"].mse[:, :, :5])


def test_the_probe_reads_classes_from_clean_codes(data: Dataset) -> None:
    probe = Probe.of(lambda x: x.flatten(1), data)
    right = probe.right(as_floats(data.test.images).flatten(1), data.test.labels)
    assert right.mean() > 0.9
    nameless = replace(data, train=Split(data.train.images, None))
    assert Probe.of(lambda x: x.flatten(1), nameless) is None
    alike = replace(data, train=Split(data.train.images, np.zeros(len(data.train), np.int64)))
    assert Probe.of(lambda x: x.flatten(1), alike) is None


def test_pca_of_all_components_gives_back_what_they_are_of(data: Dataset) -> None:
    """n pictures have n - 1 components: further axes would be any."""
    few = replace(data, train=Split(data.train.images[:20], None))
    for one, components in ((data, min(256, len(data.train) - 1)), (few, 19)):
        x = as_floats(one.train.images[:4])
        back, codes = robustness.linear(one, 256).rebuild(x)
        torch.testing.assert_close(back, x, atol=1e-5, rtol=0)
        assert codes.shape == (4, components)


def test_the_median_takes_salt_and_pepper_away() -> None:
    x = torch.full((1, 3, 9, 9), 0.5)
    spoiled = x.clone()
    spoiled[0, :, 4, 4], spoiled[0, :, 1, 7] = 1.0, 0.0
    torch.testing.assert_close(robustness.median().rebuild(spoiled)[0], x)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_classical_denoisers_take_noise_away_and_stand_flat_pictures(shape: tuple[int, int, int]) -> None:
    x = as_floats(toy.strokes(2, shape).images)
    noisy = corrupt(x, "gaussian", 0.15, torch.Generator().manual_seed(0))
    for method in robustness.classical():
        back, codes = method.rebuild(noisy)
        assert codes is None and back.shape == x.shape and method.most == robustness.FEW
        assert (back - x).square().mean() < (noisy - x).square().mean()
        for flat in (torch.zeros(1, *shape), torch.full((1, *shape), 0.4)):
            torch.testing.assert_close(method.rebuild(flat)[0], flat, atol=0.02, rtol=0)


def test_classical_denoisers_are_set_as_those_who_publish_them_say() -> None:
    """On a photograph: colours of which most is light, and a patch distance from which the noise is taken already."""
    clean = sample_photos()["cat"][100:164, 200:264] / 255
    noisy = clean + fixed_rng().normal(0, 25 / 255, clean.shape)
    x = torch.from_numpy(noisy).float().permute(2, 0, 1)[None]
    methods = {method.key: method for method in robustness.classical()}
    sigma = restoration.estimate_sigma(noisy, average_sigmas=True, channel_axis=2)
    weaker = {
        "nl-means": (
            restoration.denoise_nl_means(noisy, 5, 6, h=0.8 * sigma, sigma=sigma, channel_axis=2),
            0.2,
        ),
        "wavelet": (restoration.denoise_wavelet(noisy, channel_axis=2, rescale_sigma=True), 0.5),
    }
    for key, (other, gain) in weaker.items():
        ours = methods[key].rebuild(x)[0][0].permute(1, 2, 0).numpy()
        before, after = (-10 * np.log10(np.square(one.clip(0, 1) - clean).mean()) for one in (other, ours))
        assert after > before + gain, key


def test_a_search_finds_codes_at_least_as_good_as_the_encoders(tmp_path: Path, data: Dataset) -> None:
    run = a_run(Store(tmp_path), data)
    model = run.load()
    x = as_floats(data.test.images[:3])
    with torch.inference_mode():
        searched, _ = robustness.searching(run, model).rebuild(x)
        plain, _ = robustness.of_model(run, model).rebuild(x)
    assert (
        (searched - x).square().flatten(1).mean(1) <= (plain - x).square().flatten(1).mean(1) + 1e-7
    ).all()


def test_what_a_run_learnt_with(tmp_path: Path, data: Dataset) -> None:
    store = Store(tmp_path)
    assert robustness.trained_on(a_run(store, data, Denoising, noise="shot", amount=12.0)) == ("shot",)
    assert robustness.trained_on(a_run(store, data)) == ()
    assert robustness.trained_on(a_run(store, data, VAE, likelihood="gaussian")) == ()


def test_pictures_that_belong_to_no_data_are_measured_without_probe_and_drift() -> None:
    x = as_floats(toy.strokes(3, SHAPE).images)
    *_, found = robustness.measure_pictures([modelled(vanilla()), robustness.nothing()], x, FEW)
    assert found["model"].drift is None and found["model"].probe is None
    assert found["nothing"].mse.shape == (2, 6, 3)


def test_pictures_too_small_for_ssim_have_none() -> None:
    *_, found = robustness.measure_pictures([robustness.nothing()], torch.rand(2, 1, 2, 9), FEW)
    assert found["nothing"].ssim is None


# --- protocols and keeping --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [{"pictures": 0}, {"pictures": 10**6}, {"seeds": 0}, {"seeds": True}, {"corruptions": ()},
              {"corruptions": ("hail",)}, {"corruptions": ("shot", "shot")}],
)  # fmt: skip
def test_a_protocol_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="pictures is|seeds is|corruptions are"):
        Protocol(**wrong)


def test_a_subset_is_fixed_and_a_smaller_one_its_beginning(data: Dataset) -> None:
    small, large = Protocol(pictures=5).subset(data.test), Protocol(pictures=30).subset(data.test)
    assert small.tolist() == large[:5].tolist()
    assert len(set(Protocol(pictures=1_000).subset(data.test).tolist())) == len(data.test)


def test_what_was_measured_is_kept_for_weights_data_and_protocol(tmp_path: Path, data: Dataset) -> None:
    run = a_run(Store(tmp_path), data)
    found = result([robustness.of_model(run, run.load())], data)[run.id]
    robustness.keep(run, data, FEW, found)
    again = robustness.kept(run, run.record.dataset, FEW)
    for metric in ("mse", "ssim", "drift", "probe"):
        assert torch.equal(again.values(metric), found.values(metric))
    assert robustness.kept(run, data, replace(FEW, seeds=3)) is None
    assert robustness.kept(run, replace(data, fingerprint="1" * 16), FEW) is None
    model = run.load()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    run.save_weights(model)
    assert robustness.kept(run, data, FEW) is None


def measured(n: int = 4) -> Measured:
    return Measured(mse=torch.rand(2, 6, n), ssim=torch.rand(2, 6, n))


@pytest.mark.parametrize(
    "change",
    [
        {"mse.clean": torch.zeros(3)},
        {"mse.damaged": torch.zeros(1, 5, 4)},
        {"mse.damaged": torch.full((2, 5, 4), math.nan)},
        {"mse.clean": torch.zeros(0), "mse.damaged": torch.zeros(2, 5, 0)},
        {"ssim.clean": torch.zeros(7), "ssim.damaged": torch.zeros(2, 5, 7)},
        {"ssim.damaged": torch.full((2, 5, 4), -9.0)},
        {name: tensor.repeat_interleave(4, -1) for name, tensor in measured().packed().items()},
        {"mse.clean": torch.full((4,), -1e30)},
        {"mse.damaged": torch.full((2, 5, 4), -0.5)},
        {"mse.damaged": torch.full((2, 5, 4), 3e38)},
        {"probe.clean": torch.full((4,), 7.0), "probe.damaged": torch.ones(2, 5, 4)},
        {"mse.clean": torch.zeros(4, 1)},
    ],
)
def test_what_does_not_fit_is_none(tmp_path: Path, data: Dataset, change: dict[str, Tensor]) -> None:
    robustness.keep_baseline(tmp_path, "nothing", data, FEW, measured())
    assert robustness.kept_baseline(tmp_path, "nothing", data, FEW) is not None
    file = robustness.baseline_file(tmp_path, "nothing", data, FEW)
    write_tensors(file, measured().packed() | change, {})
    assert robustness.kept_baseline(tmp_path, "nothing", data, FEW) is None
    file.write_bytes(b"\x80\x04")
    assert robustness.kept_baseline(tmp_path, "nothing", data, FEW) is None


def test_methods_that_are_set_anew_are_measured_anew_and_no_others(tmp_path: Path, data: Dataset) -> None:
    files = {key: robustness.baseline_file(tmp_path, key, data, FEW).stem for key in ("tv", "nl-means")}
    name = robustness.file_name(data, FEW)
    assert files == {"tv": f"{name}-tv", "nl-means": f"{name}-nl-means-{robustness.REVISED['nl-means']}"}


def test_all_corruptions_and_levels_count() -> None:
    assert Protocol().corruptions == tuple(BY_NAME)
    sink = Sink(robustness.nothing(), torch.rand(3, 1, 8, 8), None, None, Protocol(3, 1), 2)
    assert sink.sums["mse"].shape == (len(BY_NAME), 1 + len(LEVELS), 3)
