"""What a linear classifier can read from frozen features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.papers.protocol import Terms, cut, each, joined, logistic_error, say, spread, sse, table
from core import nets, objectives
from core.data import Dataset, Split, load
from core.families.contractive import Contractive, ContractiveConfig
from core.families.denoising import Denoising, DenoisingConfig
from core.families.sparse import Sparse, SparseConfig
from core.families.vanilla import Vanilla, VanillaConfig
from core.family import Loss, Turn

UNITS = 1_000


def read(seen: Tensor, unseen: Tensor, data: Dataset) -> float:
    """Test error in % of logistic regression on features (N,F) of the training and of the test pictures."""
    assert data.train.labels is not None and data.test.labels is not None
    return logistic_error(seen, data.train.labels, unseen, data.test.labels)


def error_of(features: Callable[[Tensor], Tensor], data: Dataset, device: torch.device) -> float:
    """Likewise, of features (B,C,H,W) -> (B,F)."""
    return read(each(data.train, features, device), each(data.test, features, device), data)


# --- Makhzani & Frey 2013, arXiv:1312.5663, table 1 -------------------------------------------------------------


ACTIVE = 25
KEPT = 3  # times as many units speak when features are read as in training (ibid., sec. 2.2)
DECAY = 5e-4


class KSparse(Sparse):
    """z = the k largest of W(x - m) + b, x' = W'z + c + m, unbounded (ibid., sec. 2.1); minimise ||x - x'||^2 + DECAY/2 ||W||^2.

    m, the mean picture, takes nothing from what the layer can be, for b and c could make up for it. But without it the
    first steps turn every unit towards m, which few can win with: the others fall silent and stay so.

    Chosen on held-out pictures, with two to four minutes of training: its features are read with 1.7 % errors, those of the
    bounded one with 2.8 %; with the first weights of other nets, 2.4 times as large, 2.9 %, and seven units in ten died.
    """

    widest = 4  # k falls from 100, as in the paper
    encoder: nets.Tied
    mean: Tensor

    def __init__(self, config: SparseConfig, mean: Tensor) -> None:
        """`mean`: the mean picture (C,H,W)."""
        super().__init__(config, (mean.shape[0], mean.shape[1], mean.shape[2]))
        self.register_buffer("mean", mean)

    def initialise(self, rng: torch.Generator) -> None:
        super().initialise(rng)
        nn.init.normal_(self.encoder.layer.weight, std=0.02, generator=rng)

    def respond(self, x: Tensor) -> Tensor:
        """What each unit would say: (B,C,H,W) -> (B,units)."""
        return self.encoder(x - self.mean)

    def encode(self, x: Tensor) -> Tensor:
        return self.sparsify(self.respond(x), self.config.k)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z) + self.mean

    def loss(self, x: Tensor, turn: Turn) -> Loss:
        spoken = self.respond(x).relu().topk(self.annealed_k(turn.progress))
        weights = self.encoder.layer.weight
        # W'z from the units that speak: a training takes two thirds of the time
        drawn = F.embedding_bag(spoken.indices, weights, per_sample_weights=spoken.values, mode="sum")
        error = (drawn + self.encoder.pixel_bias - (x - self.mean).flatten(1)).square().sum(1).mean()
        return Loss({"reconstruction": error, "decay": DECAY / 2 * weights.square().sum()})


def sparse(terms: Terms) -> Iterator[str]:
    """One tied layer, the k largest of 1,000 units kept; k falls over the first part of training, so that no unit dies."""
    data = terms.mnist()
    raw = error_of(nn.Flatten(), data, terms.device)
    kept = {
        f"the {ACTIVE} largest units": ACTIVE,
        f"the {KEPT * ACTIVE} largest": KEPT * ACTIVE,
        "all above zero": UNITS,
    }
    errors: dict[str, list[float]] = {title: [] for title in kept}
    dead = []
    config = SparseConfig(net="tied", latent_dim=UNITS, k=ACTIVE, lr=3e-3)
    mean = each(data.train, Tensor.double, torch.device("cpu")).mean(0).float()
    for seed in terms.seeds:
        model = terms.learnt("k-sparse", KSparse(config, mean), data, seed=seed, batch_size=256)
        seen, unseen = (each(split, model.respond, terms.device) for split in (data.train, data.test))
        for title, units in kept.items():
            errors[title].append(read(model.sparsify(seen, units), model.sparsify(unseen, units), data))
        dead.append(float((model.sparsify(unseen, ACTIVE).count_nonzero(0) == 0).sum()))
    yield from table(
        ("features", "published error, %", "here"),
        [
            ("raw pixels", "7.20", f"{raw:.2f}"),
            *(
                (f"{UNITS:,} units, k = {ACTIVE}: {title}", "1.35", spread(found))
                for title, found in errors.items()
            ),
        ],
    )
    yield f"\nunits that never speak: {spread(dead, 0)}"


# --- Rifai et al., ICML 2011, table 1 ---------------------------------------------------------------------------


CONTRACTIONS = (0.0, 1.0)


def contractive(terms: Terms) -> Iterator[str]:
    """One tied sigmoid layer of 1,000 units. The paper's Jacobians are of unknown scale: only their ratio is compared."""
    data = terms.mnist()
    rows, norms = [], {}
    for weight in CONTRACTIONS:
        squared, plain, saturated, errors, returned = [], [], [], [], []
        for seed in terms.seeds:
            config = ContractiveConfig(net="tied", latent_dim=UNITS, weight=weight, lr=1e-3)
            model = terms.learnt(f"contractive-{weight:g}", Contractive(config, data.shape), data, seed=seed)
            assert isinstance(model.encoder, nets.Tied)
            codes = each(data.test, model.encode, terms.device)
            jacobian = objectives.sigmoid_layer_jacobian_squared(
                codes, model.encoder.layer.weight.detach().cpu()
            ).double()
            squared.append(jacobian.mean().item())
            plain.append(jacobian.sqrt().mean().item())
            saturated.append(100 * ((codes < 0.05) | (codes > 0.95)).double().mean().item())
            errors.append(error_of(model.encode, data, terms.device))
            returned.append(sse(model, data.test, terms.device))
        norms[weight] = squared, plain
        published = ("0.73e-4", "86.36", "1.14") if weight else ("17.5e-4", "49.90", "1.78")
        title = f"contractive, weight {weight:g}" if weight else "the same without the penalty"
        here = spread(plain), spread(squared), spread(saturated, 1), spread(errors), spread(returned)
        rows.append((title, *published, *here))
    yield from table(
        ("", "published norm", "saturated, %", "error fine-tuned, %",
         "here mean norm", "mean squared norm", "saturated, %", "error of codes, %", "SSE"),
        rows,
    )  # fmt: skip
    (loose, loose_plain), (tight, tight_plain) = norms[CONTRACTIONS[0]], norms[CONTRACTIONS[1]]
    by_square = [a / b for a, b in zip(loose, tight, strict=True)]
    by_norm = [a / b for a, b in zip(loose_plain, tight_plain, strict=True)]
    yield f"\nratios without to with the penalty: squared norms {spread(by_square, 1)}, norms {spread(by_norm, 1)} (published 24)"


# --- Vincent et al., JMLR 11:3371, 2010, tables 3 and 5 ---------------------------------------------------------


TRAINING = 12_000
MASKED = 0.25
SETTINGS: dict[str, Any] = dict(net="mlp", hidden=(UNITS, UNITS), latent_dim=UNITS, lr=1e-3)


def hidden(model: Vanilla | Denoising) -> nn.Module:
    """Its encoder up to the last hidden layer."""
    assert isinstance(model.encoder, nn.Sequential)
    return model.encoder[:-1]


def rotated(choosing: bool) -> Dataset:
    """MNIST, each picture turned by an angle of its own: 12,000 to learn from and 50,000 to be asked about.

    The published set (Larochelle et al. 2007) is turned likewise; its angles and its choice of pictures are not ours.
    """
    from scipy.ndimage import rotate

    data = load("mnist")
    whole = joined(joined(data.train, data.validation), data.test)
    assert whole.labels is not None
    rng = np.random.Generator(np.random.PCG64(0))
    order = rng.permutation(len(whole))[: TRAINING + 50_000]
    angles = rng.uniform(0, 360, len(order))
    turned = [
        rotate(whole.images[place, 0], angle, reshape=False, order=1)
        for place, angle in zip(order, angles, strict=True)
    ]
    every = Split(np.stack(turned)[:, None], whole.labels[order])
    learning = TRAINING - 2_000 if choosing else TRAINING
    test = cut(every, learning, TRAINING) if choosing else cut(every, TRAINING, len(every))
    return replace(data, train=cut(every, 0, learning), validation=cut(every, 0, 1_000), test=test)


def denoising(terms: Terms) -> Iterator[str]:
    """The same net learns to give pictures back: from the pictures, and from pictures with a quarter of their pixels put out."""
    data = rotated(terms.choosing)
    raw = error_of(nn.Flatten(), data, terms.device)
    models: dict[str, Callable[[], Vanilla | Denoising]] = {
        "plain": lambda: Vanilla(VanillaConfig(**SETTINGS), data.shape),
        "denoising": lambda: Denoising(
            DenoisingConfig(noise="masking", amount=MASKED, **SETTINGS), data.shape
        ),
    }
    errors: dict[str, list[float]] = {}
    for title, make in models.items():
        learnt = [terms.learnt(f"rotated-{title}", make(), data, seed=seed) for seed in terms.seeds]
        errors[title] = [error_of(hidden(model), data, terms.device) for model in learnt]
        say(f"{title}: {errors[title]}")
    yield from table(
        ("", "published, fine-tuned, %", "here, frozen features, %"),
        [
            ("raw pixels", "", f"{raw:.2f}"),
            ("plain", "10.30", spread(errors["plain"])),
            ("denoising", "9.53", spread(errors["denoising"])),
        ],
    )
    n = len(data.test)
    wide = [1.96 * 100 * (e / 100 * (1 - e / 100) / n) ** 0.5 for e in (np.mean(v) for v in errors.values())]
    yield f"\n95 % intervals of one error over {n:,} test pictures: ± {max(wide):.2f}"
