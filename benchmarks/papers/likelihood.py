"""Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519, table 1: MNIST, one stochastic layer, dynamic binarisation, L5000.

784-200-200-50 and back, white and black pixels drawn anew from the gray values at every step. The paper's layers are tanh, its
3,280 passes go in batches of 20 with a rate that falls in steps. Ours are normalised, with GELU: in the same time they come 3 nats
further. The rate falls along the loop's cosine, and the time is what is given.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.papers.protocol import Terms, spread, table
from core import elbo
from core.families.vae import VAE, VAEConfig

DRAWS = 5_000
PUBLISHED = {1: "86.76", 5: "85.54", 50: "84.78"}


def row(terms: Terms, samples: int) -> Iterator[str]:
    data = terms.mnist()
    config = VAEConfig(
        net="mlp", hidden=(200, 200), latent_dim=50, binarise=True, importance_samples=samples, lr=2e-3
    )
    found = []
    for seed in terms.seeds:
        model = terms.learnt(f"iwae-{samples}", VAE(config, data.shape), data, seed=seed, batch_size=100)
        found.append((elbo.likelihood(model, data.test, DRAWS, seed=seed), elbo.survey(model, data.test)))
    yield f"k = {samples} in training, {DRAWS:,} draws for the test set of {len(data.test):,}; nats, lower is better"
    yield from table(
        ("published NLL", "here NLL", "active numbers"),
        [
            (
                PUBLISHED[samples],
                spread([one.nll for one, _ in found]),
                spread([float(s.active.sum()) for _, s in found], 0),
            )
        ],
    )
