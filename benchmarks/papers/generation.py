"""Pictures that were never there: how their distribution lies to that of test pictures, in the features of the judge.

Ghosh et al. 2020, arXiv:1903.12436, table 1: a plain autoencoder on MNIST, FID 58.73 when codes are drawn from one Gaussian and
10.66 from a mixture. Lucic et al. 2018 and Dai & Wipf 2019 (arXiv:1903.05789), table 1: FID 6.8 of a GAN, 16.6 of a VAE. FID
needs a net trained on photographs; the distance here is classifier-Fréchet, of features of a small classifier of digits, and
only its ratios and orders can be set beside published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.papers.protocol import Terms, spread, table
from core import generation
from core.data import Dataset
from core.families.gan import GAN, GANConfig
from core.families.vae import VAE, VAEConfig
from core.families.vanilla import Vanilla, VanillaConfig
from core.family import Autoencoder
from core.glance import store_root
from core.judge import judge_for

NUMBERS = 16  # as in Ghosh et al.
Surveys = Sequence[Mapping[str, Mapping[str, float]]]


def surveys(
    terms: Terms, name: str, model: type[Autoencoder], config: object, data: Dataset, batch_size: int
) -> Surveys:
    judge = judge_for(data, store_root())
    assert judge is not None, "MNIST has classes"
    return [
        generation.survey(
            terms.learnt(name, model(config, data.shape), data, seed=seed, batch_size=batch_size),
            data,
            judge,
            seed,
        )
        for seed in terms.seeds
    ]


def line(title: str, published: str, found: Surveys, source: str) -> tuple[str, ...]:
    def told(number: str, digits: int) -> str:
        return spread([float(one[source][number]) for one in found], digits)

    return title, published, told("frechet", 1), told("precision", 3), told("recall", 3), told("sure", 3)


HEAD = ("pictures", "published FID", "classifier-Fréchet", "precision", "recall", "sure")


def mixture(terms: Terms) -> Iterator[str]:
    data = terms.mnist()
    config = VanillaConfig(latent_dim=NUMBERS, lr=3e-3)
    found = surveys(terms, "plain-16", Vanilla, config, data, 128)
    yield floor(found)
    titles = {
        "reconstructions": ("reconstructions of test pictures", "12.95"),
        "gaussian": ("codes of one Gaussian", "58.73"),
        "mixture": ("codes of a mixture of ten", "10.66"),
        "interpolations": ("midpoints between test codes", "17.12"),
    }
    yield from table(HEAD, [line(*words, found, source) for source, words in titles.items()])
    ratios = [one["gaussian"]["frechet"] / one["mixture"]["frechet"] for one in found]
    yield f"\nGaussian to mixture (published 5.5): {spread(ratios, 1)}"


def samples(terms: Terms) -> Iterator[str]:
    """Each family with its own defaults: the GAN has the smaller net, 96 units where the VAE has 256, and smaller batches."""
    data = terms.mnist()
    vae = surveys(terms, "vae-samples", VAE, VAEConfig(lr=3e-3), data, 128)
    gan = surveys(terms, "gan-samples", GAN, GANConfig(), data, 64)
    yield floor(vae)
    yield from table(
        HEAD, [line("VAE, from the prior", "16.6", vae, "gaussian"), line("GAN", "6.8", gan, "gaussian")]
    )


def floor(found: Surveys) -> str:
    judge = found[0]["judge"]
    return (
        f"the judge is right on {100 * judge['accuracy']:.2f} % of the test pictures; training pictures lie {judge['floor']:.2f} "
        f"from them; n = {judge['n']:,.0f}\n"
    )
