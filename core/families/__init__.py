"""The families in teaching order, and the restorers of photographs. Another is a file beside these and a name in a tuple."""

from core.families.contractive import Contractive
from core.families.denoising import Denoising
from core.families.gan import GAN
from core.families.photo_autoencoder import PhotoAutoencoder
from core.families.photo_denoiser import PhotoDenoiser
from core.families.sparse import Sparse
from core.families.vae import VAE
from core.families.vanilla import Vanilla
from core.family import Autoencoder, Family, Restorer

FAMILIES: tuple[type[Autoencoder], ...] = (Vanilla, Denoising, Sparse, Contractive, VAE, GAN)
RESTORERS: tuple[type[Restorer], ...] = (PhotoDenoiser, PhotoAutoencoder)


def family(key: str) -> type[Family]:
    """The family with this key. Raises ValueError naming the known ones."""
    everything = (*FAMILIES, *RESTORERS)
    for one in everything:
        if one.key == key:
            return one
    raise ValueError(f"no family {key!r}; there are {', '.join(one.key for one in everything)}")
