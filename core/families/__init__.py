"""The families in teaching order. A seventh is a file beside these and a name in the tuple."""

from core.families.contractive import Contractive
from core.families.denoising import Denoising
from core.families.gan import GAN
from core.families.sparse import Sparse
from core.families.vae import VAE
from core.families.vanilla import Vanilla
from core.family import Autoencoder

FAMILIES: tuple[type[Autoencoder], ...] = (Vanilla, Denoising, Sparse, Contractive, VAE, GAN)


def family(key: str) -> type[Autoencoder]:
    """The family with this key. Raises ValueError naming the known ones."""
    for one in FAMILIES:
        if one.key == key:
            return one
    raise ValueError(f"no family {key!r}; there are {', '.join(one.key for one in FAMILIES)}")
