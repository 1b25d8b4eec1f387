"""What can be quoted of a run: every measure of its test pictures, by section, each with its number of pictures.

    reconstruction   evaluation.evaluate, the error of PCA with as many numbers, and that of training pictures
    codes            a linear probe and k-NN, trained on the same training codes; trustworthiness
    contraction      of z = f(x):  mean ||dz/dx||_F,  mean ||dz/dx||_F^2,  and the first over (E||z - E z||^2)^(1/2), which
                     no rescaling of encoder and decoder changes; saturation where a code is a logistic layer
    vae              -ELBO, -log p(x) by importance sampling (Burda et al. 2016, L_k) with its standard error over pictures, KL
                     by number, active units. Of a Bernoulli decoder after dynamic binarisation (binarised 1), in nats; of
                     a Gaussian one of gray pictures, in nats of a density, which may be negative
    sparse           L0: units that are on; units that are dead or always on: "on" is above 0, of logistic units above 0.5;
                     explained variance
    denoising        PSNR gained over doing nothing: by amount of the noise that the model was trained on, and at the five
                     published levels of every noise
    judge, gaussian, mixture, reconstructions, interpolations      core.generation

Which pictures are looked at is fixed, so that models are compared on the same ones; the seed decides what is drawn. A
number that is not finite is kept as null, as JSON has no other, and is missing when it is read again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import elbo, evaluation, latent, measures, nets, objectives
from core.codes import Codes
from core.corruption import LEVELS, NOISES, corrupt, scale_for, severity
from core.dataset import Dataset, Split
from core.families.contractive import Contractive
from core.families.denoising import Denoising
from core.families.sparse import Sparse
from core.families.vae import VAE
from core.family import Autoencoder, Family
from core.latent import Teller
from core.pictures import as_floats
from core.robustness import Probe, randomness
from core.run import Run

TRAINING_CODES = 10_000  # behind probe and k-NN
TRUSTED = 5_000  # pictures behind trustworthiness
DIFFERENTIATED = 200  # pictures whose Jacobians are computed,
FEWEST, ROWS = 10, 100_000  # fewer, but never below, where they have more rows than these together
DAMAGED = 1_000
DRAWS, PICTURES = 500, 1_000  # of importance sampling
LONGEST = 4_096  # of a list: as long as the longest code of a VAE
KEPT_AS = "report"
LISTS = {"kl_by_number", "classes", "amounts", "gain", *(one.name for one in NOISES)}
SECTIONS = (
    "reconstruction",
    "codes",
    "contraction",
    "vae",
    "sparse",
    "denoising",
    "judge",
    "gaussian",
    "mixture",
    "reconstructions",
    "interpolations",
)

Section = dict[str, float | list[float]]
Report = Mapping[str, Mapping[str, float | list[float]]]


def examine(
    model: Autoencoder,
    data: Dataset,
    root: Path,
    *,
    seed: int = 0,
    importance_samples: int = DRAWS,
    pictures: int = PICTURES,
    tell: Teller = lambda fraction, text: None,
) -> dict[str, Section]:
    """The sections that apply. Takes a minute or two on one core, once more where there is no judge of these data.

    `importance_samples` draws for each of as many test `pictures` make the likelihood of a VAE. Raises ValueError where the
    model gives something that is no number.
    """
    tell(0.0, "Rebuilding pictures")
    coded = evaluation.codes(model, data.test)
    if not (coded.codes.isfinite().all() and coded.errors.isfinite().all()):
        raise ValueError("The model turns test pictures into what is no number. Train it again.")
    found = {"reconstruction": reconstruction(model, data)}
    tell(0.1, "Reading codes")
    found["codes"] = legibility(model, data, coded)
    tell(0.3, "Differentiating the encoder")
    found["contraction"] = contraction(model, data.test, coded.codes)
    if isinstance(model, VAE):

        def sampling(fraction: float) -> None:
            tell(0.4 + 0.2 * fraction, "Drawing codes for the likelihood")

        found["vae"] = likelihood(model, data.test, seed, importance_samples, pictures, sampling)
    if isinstance(model, Sparse):
        found["sparse"] = sparsity(model, data.test, coded)
    if isinstance(model, Denoising):
        tell(0.4, "Removing noise")
        found["denoising"] = denoising(model, data.test, seed)
    return found | generation(
        model, data, root, seed, lambda fraction, text: tell(0.6 + 0.4 * fraction, text)
    )


def part(split: Split, most: int) -> Split:
    """A fixed sample of at most this many pictures."""
    return split.part(latent.chosen(len(split), most).numpy())


# --- sections of any autoencoder --------------------------------------------------------------------------------


def reconstruction(model: Autoencoder, data: Dataset) -> Section:
    found: Section = dict(evaluation.evaluate(model, data.test))
    pixels = math.prod(model.shape)
    seen = part(data.train, len(data.test))
    if pixels <= evaluation.MOST_PIXELS:
        pca = evaluation.PCA(data, model.code_numbers())
        found |= {"pca_numbers": len(pca.axes), "pca_sse": pca.sse(data.test), "pca_train_sse": pca.sse(seen)}
    errors = evaluation.codes(model, seen).errors
    return found | {"train_sse": errors.double().mean().item() * pixels}


def legibility(model: Autoencoder, data: Dataset, coded: Codes) -> Section:
    """What can be read from codes without training the encoder further."""
    found: Section = {}
    training = part(data.train, TRAINING_CODES)
    if training.labels is not None and data.test.labels is not None and len(set(training.labels)) > 1:
        codes, answers = evaluation.codes(model, training).codes, data.test.labels
        right = Probe(codes, training.labels).right(coded.codes, answers)
        found = {
            "n": len(codes),
            "probe_error": 1 - right.double().mean().item(),
            "knn_accuracy": measures.knn_accuracy(codes, training.labels, coded.codes, answers),
            "voters": measures.voters(len(codes)),
        }
    some = latent.chosen(len(data.test), TRUSTED)
    if len(some) > 2:
        trust = measures.trustworthiness(data.test.images[some.numpy()], coded.codes[some])
        found |= {
            "trustworthiness": trust,
            "trustworthiness_n": len(some),
            "neighbours": measures.neighbours(len(some)),
        }
    return found


def contraction(model: Autoencoder, split: Split, codes: Tensor) -> Section:
    """Of the encoder, at test pictures with these codes (N,Z)."""
    layer = logistic_layer(model)
    if layer is not None:
        squares = objectives.sigmoid_layer_jacobian_squared(codes, layer.weight.detach().cpu()).double()
    else:
        flat_at_zero = isinstance(model, Sparse) and model.config.sparsity != "kl"
        rows = max(1, int((codes != 0).sum(1).max())) if flat_at_zero else codes.shape[1]
        few = part(split, min(DIFFERENTIATED, max(FEWEST, ROWS // rows)))
        x = as_floats(few.images).to(model.device)
        squares = measures.squared_jacobian(model.encode, x, rows)
    mean = squares.sqrt().mean()
    found: Section = {
        "n": len(squares),
        "jacobian": mean.item(),
        "jacobian_squared": squares.mean().item(),
        "relative_jacobian": (mean / objectives.spread(codes.double()).sqrt()).item(),
    }
    return found | ({"saturation": measures.saturation(codes)} if logistic(model) else {})


def logistic(model: Autoencoder) -> bool:
    """Whether its codes come out of the logistic function."""
    if isinstance(model, Contractive):
        return bool(model.config.net == "tied")
    return isinstance(model, Sparse) and bool(model.config.sparsity == "kl")


def logistic_layer(model: Autoencoder) -> torch.nn.Linear | None:
    """The one layer that makes the code, where a logistic layer is all the encoder there is."""
    if logistic(model) and isinstance(model, Contractive | Sparse) and isinstance(model.encoder, nets.Tied):
        return model.encoder.layer
    return None


# --- sections of some families ----------------------------------------------------------------------------------


def likelihood(
    model: VAE, split: Split, seed: int, draws: int, pictures: int, tell: Callable[[float], None]
) -> Section:
    bernoulli = model.config.likelihood == "bernoulli"
    seen = elbo.binarised(split, seed) if bernoulli else split
    found = elbo.survey(model, seen, seed + 1)  # other seeds: codes must not follow from the pixels' coins
    nll = elbo.importance_nll(model, part(seen, pictures), draws, seed + 2, tell)
    told = {"active": int(found.active.sum()), "numbers": len(found.active)} if len(seen) > 1 else {}
    return {
        "n": len(seen),
        "negative_elbo": found.negative_elbo.double().mean().item(),
        "nll": nll.mean().item(),
        "nll_error": nll.std().item() / math.sqrt(len(nll)) if len(nll) > 1 else math.nan,
        "nll_n": len(nll),
        "importance_samples": draws,
        "binarised": int(bernoulli),
        "kl": found.kl.double().mean().item(),
        "kl_by_number": found.kl_by_dimension.tolist(),
        **told,  # of one picture no number varies
    }


def sparsity(model: Sparse, split: Split, coded: Codes) -> Section:
    speaks = model.speaks(coded.codes)
    squared_error = coded.errors.double().sum().item() * math.prod(model.shape)
    return {
        "n": len(split),
        "l0": measures.l0(speaks),
        "dead": measures.dead(speaks),
        "always_on": measures.always_on(speaks),
        "units": speaks.shape[1],
        "explained_variance": measures.explained_variance(squared_error, split.images),
    }


def denoising(model: Denoising, split: Split, seed: int) -> Section:
    """Of a fixed sample of pictures. A noise that leaves all of them as they are has nothing to gain, and is missing."""
    own, names = model.config.noise, latent.chosen(len(split), DAMAGED)
    by_noise = {
        one.name: {
            amount: gained(model, split, names, one.name, amount, seed) for amount in levels(model, one.name)
        }
        for one in NOISES
    }
    trained_on = {model.config.amount: gained(model, split, names, own, model.config.amount, seed)}
    amounts = {
        amount: gain for amount, gain in sorted((by_noise[own] | trained_on).items()) if gain is not None
    }
    found: Section = {"n": len(names), "amounts": list(amounts), "gain": list(amounts.values())}
    for name, gains in by_noise.items():
        whole = [gain for gain in gains.values() if gain is not None]
        if len(whole) == len(LEVELS):
            found[name] = whole
    return found


def levels(model: Denoising, kind: str) -> list[float]:
    """The amounts of the five published levels."""
    found = [severity(kind, level, scale_for(kind, model.shape)) for level in LEVELS]
    return [amount for amount in found if isinstance(amount, float)]


@torch.inference_mode()
def gained(
    model: Denoising, split: Split, names: Tensor, kind: str, amount: float, seed: int
) -> float | None:
    """In dB, over the pictures at the indices `names`, each with the same noise at every amount."""
    device, errors = model.device, []
    for some in names.split(evaluation.BATCH):
        x = as_floats(split.images[some.numpy()])
        damaged = corrupt(x, kind, amount, [randomness(kind, seed, name) for name in some.tolist()])
        back = model.reconstruct(damaged.to(device)).cpu()
        errors.append([(one - x).square().flatten(1).mean(1) for one in (damaged, back)])
    before, after = (torch.cat(each) for each in zip(*errors, strict=True))
    return measures.gain(before, after)


def generation(model: Autoencoder, data: Dataset, root: Path, seed: int, tell: Teller) -> dict[str, Section]:
    """What the model draws, in the eyes of a classifier; nothing where pictures have no classes, or there is but one."""
    from core.generation import survey
    from core.judge import judge_for

    if len(data.test) < 2:
        return {}
    judge = judge_for(data, root, lambda fraction, text: tell(fraction / 2, text))
    if judge is None:
        return {}
    return survey(model, data, judge, seed, tell=lambda fraction, text: tell((1 + fraction) / 2, text))


def own_samples(kind: type[Family]) -> str:
    """The section on pictures drawn as this family draws them."""
    return "gaussian" if issubclass(kind, Autoencoder) and kind.from_prior else "mixture"


# --- keeping ----------------------------------------------------------------------------------------------------


def keep(run: Run, found: Report) -> None:
    """In run.json, by the weights as they are now. Raises StoreError as `Run.keep` does."""
    run.add_metrics(**{KEPT_AS: {"weights": run.check_unchanged(), **found}})


def kept(run: Run) -> Report | None:
    """What was measured of the weights as they are now; what is no finite number, or list of them, is left out."""
    report = run.record.metrics.get(KEPT_AS, {})
    try:
        if report.get("weights") != run.weights_hash():
            return None
    except OSError:  # there are none
        return None
    found = {name: sound(report[name]) for name in SECTIONS if isinstance(report.get(name), dict)}
    return {name: section for name, section in found.items() if section}


def sound(section: Mapping[str, Any]) -> Section:
    return {
        name: value
        for name, value in section.items()
        if (name not in LISTS and finite(value))
        or (name in LISTS and isinstance(value, list) and len(value) <= LONGEST and all(map(finite, value)))
    }


def finite(value: Any) -> bool:
    """Whether it is a number that fits a float."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False
