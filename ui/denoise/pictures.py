"""Photographs on their way in and out of the Denoise page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import streamlit as st
import torch
from PIL import Image

from core import camera, intake, original, photos
from core.data import sample_photos
from core.original import Original
from ui.choices import choice
from ui.components.compare import served
from ui.inputs import PHOTOS
from ui.memory import remembered
from ui.uploads import files, tell_refusals

MOST = 24  # files at a time
LOSSLESS = 1_500_000  # pixels up to which what the page shows is exact
SEED = 69  # of the noise in the examples: strong enough on the first to be seen across a room
UNPACKED = 2**28  # bytes that the server keeps of photographs: two of 24 megapixels and more
ENCODED = 2**27  # and of what the page shows


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph that was brought or is shown as an example; of an example, the clean picture is known.

    It is a file, unpacked when it is looked at: all of a visitor's photographs at once may be too large.
    """

    key: str  # of its bytes
    name: str
    file: bytes
    clean: np.ndarray | None = None  # uint8 (H,W,3)

    @property
    def original(self) -> Original:
        return unpacked(self)

    @property
    def pixels(self) -> np.ndarray:
        return self.original.pixels

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.pixels.shape[:2]
        return width, height


def pick(noisy: bool) -> list[Photo]:
    """Draw the choice of pictures. Examples are clean ones, to which noise as of a camera is added where it has to be `noisy`."""
    source = choice("Pictures", ("Examples", "Upload", "Camera"), "Examples", key="source")
    if source == "Upload":
        return uploads()
    if source == "Camera":
        photo = st.camera_input("Take a photo", key="camera")
        return opened([(photo.getvalue(), "camera.jpg")]) if photo else []
    name = st.pills("Which", PHOTOS, default=PHOTOS[0], required=True, key="example", bind="query-params")
    return [example(name or PHOTOS[0], noisy)]  # an address may name none


def uploads() -> list[Photo]:
    limit = f"up to {original.MAX_BYTES // 2**20} MB and {intake.MAX_PIXELS // 10**6} megapixels each"
    label = f"PNG, JPEG, WebP, BMP, TIFF or GIF, {limit}. They stay on this machine."
    found = files(label, "photographs", most=original.MAX_BYTES, arrived=show_the_newest)
    if len(found) > MOST:
        st.info(f"The last {MOST} of {len(found)} pictures are taken.", icon=":material/info:")
    return opened(found[-MOST:])


def show_the_newest() -> None:
    st.session_state.pop("shown", None)


def which(names: Sequence[str]) -> int:
    """Draw the choice of one of several pictures, where there are several: the newest, until another one is chosen."""
    if len(names) == 1:
        return 0
    numbered = [f"{number}. {name}" for number, name in enumerate(names, 1)]
    if st.session_state.get("shown") not in numbered:
        st.session_state["shown"] = numbered[-1]  # set, as a browser does not hear of a new default
    return numbered.index(st.selectbox(f"Shown, of {len(numbered)}", numbered, key="shown"))


def opened(files: Sequence[tuple[bytes, str]]) -> list[Photo]:
    """What can be read of them; what is wrong with the others is said."""
    refusals: dict[object, str] = st.session_state.setdefault("refusals", {})
    photos, told = [], []
    for data, name in files:
        photo = Photo(blake2b(data, digest_size=8).hexdigest(), intake.clean_name(name), data)
        key = photo.key, photo.name
        if key not in refusals:
            refusals[key] = refusal(photo)
        if refusals[key]:
            told.append(refusals[key])
        else:
            photos.append(photo)
    tell_refusals(told)
    return photos


def refusal(photo: Photo) -> str:
    """Why it cannot be read; empty where it can."""
    try:
        with st.spinner("Reading the picture…"):
            unpacked(photo)
    except intake.Refused as refused:
        return str(refused)
    return ""


def unpacked(photo: Photo) -> Original:
    """Raises Refused."""
    return remembered(
        "originals",
        (photo.key, photo.name),
        lambda: original.read(photo.file, photo.name),
        lambda one: one.pixels.nbytes + (0 if one.alpha is None else one.alpha.nbytes),
        UNPACKED,
    )


@st.cache_resource(max_entries=2 * len(PHOTOS), show_spinner=False)
def example(name: str, noisy: bool) -> Photo:
    clean = sample_photos()[name]
    pixels = clean
    if noisy:
        x = photos.as_colour(clean)[None]
        pixels = photos.as_pixels(camera.photographed(x, torch.Generator().manual_seed(SEED))[0], 3)
    return Photo(f"{name}-{noisy}", f"{name}.png", encoded(pixels, "PNG"), clean)


def encoded(pixels: np.ndarray, kind: str, icc: bytes = b"", alpha: np.ndarray | None = None) -> bytes:
    """uint8 (H,W,1|3) as a PNG, or as a JPEG of very high quality, which has no room for alpha."""
    buffer = io.BytesIO()
    layers = pixels if alpha is None else np.dstack([pixels, alpha])
    image = Image.fromarray(layers[:, :, 0] if layers.shape[2] == 1 else layers)
    if kind == "PNG":
        image.save(buffer, "PNG", compress_level=1, icc_profile=icc)
    else:
        image.save(buffer, "JPEG", quality=97, subsampling=0, icc_profile=icc)
    return buffer.getvalue()


def shown(pixels: np.ndarray, place: str, of: Original | None = None, key: object = None) -> str:
    """The address at which a browser finds pixels (H,W,C), in the colours and as transparent as those `of` a photograph.

    Under a `key` they are encoded once, not at each run of the page.
    """
    alpha, icc = (None, b"") if of is None else (of.alpha, of.icc)
    kind = "PNG" if alpha is not None or pixels.shape[0] * pixels.shape[1] <= LOSSLESS else "JPEG"

    def file() -> bytes:
        return encoded(pixels, kind, icc, alpha)

    data = file() if key is None else remembered("encoded", (place, key), file, len, ENCODED)
    return served(data, f"image/{kind.lower()}", place)
