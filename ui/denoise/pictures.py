"""Photographs on their way in and out of the Denoise page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from PIL import Image

from core import camera, intake, original, photos
from core.data import sample_photos
from core.original import Original
from ui.components.compare import served
from ui.inputs import PHOTOS

MOST = 24  # files at a time
LOSSLESS = 1_500_000  # pixels up to which what the page shows is exact
SEED = 8  # of the noise in the examples


@dataclass(frozen=True, eq=False)
class Photo:
    """A photograph that was brought or is shown as an example; of an example, the clean picture is known."""

    key: str  # of its bytes
    original: Original
    clean: np.ndarray | None = None  # uint8 (H,W,3)

    @property
    def pixels(self) -> np.ndarray:
        return self.original.pixels

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.pixels.shape[:2]
        return width, height


def pick(noisy: bool) -> list[Photo]:
    """Draw the choice of pictures. Examples are clean ones, to which noise as of a camera is added where it has to be `noisy`."""
    source = st.segmented_control(
        "Pictures", ("Examples", "Upload", "Camera"), default="Examples", required=True, key="source", bind="query-params"
    )  # fmt: skip
    if source == "Upload":
        return uploads()
    if source == "Camera":
        photo = st.camera_input("Take a photo", key="camera")
        return opened([(photo.getvalue(), "camera.jpg")]) if photo else []
    name = st.pills("Which", PHOTOS, default=PHOTOS[0], required=True, key="example", bind="query-params")
    return [example(name, noisy)]


def uploads() -> list[Photo]:
    found = st.file_uploader(
        "PNG, JPEG, WebP, BMP, TIFF or GIF, up to 25 MB each, at any size. They stay on this machine.",
        type=["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"],
        accept_multiple_files=True,
        max_upload_size=intake.MAX_BYTES // 2**20,
        key="photographs",
    )
    if len(found) > MOST:
        st.info(f"The first {MOST} of {len(found)} pictures are taken.", icon=":material/info:")
    return opened([(file.getvalue(), file.name) for file in found[:MOST]])


def opened(files: Sequence[tuple[bytes, str]]) -> list[Photo]:
    """What can be read of them; what is wrong with the others is said."""
    photos = []
    for data, name in files:
        outcome = _read(data, name)
        if isinstance(outcome, str):
            st.warning(outcome, icon=":material/block:")
        else:
            photos.append(outcome)
    return photos


@st.cache_resource(max_entries=MOST, show_spinner="Reading the picture…")
def _read(data: bytes, name: str) -> Photo | str:
    from hashlib import blake2b

    try:
        return Photo(blake2b(data, digest_size=8).hexdigest(), original.read(data, name))
    except intake.Refused as refusal:
        return str(refusal)


@st.cache_resource(max_entries=2 * len(PHOTOS), show_spinner=False)
def example(name: str, noisy: bool) -> Photo:
    clean = sample_photos()[name]
    pixels = clean
    if noisy:
        x = photos.as_colour(clean)[None]
        pixels = photos.as_pixels(camera.photographed(x, torch.Generator().manual_seed(SEED))[0], 3)
    return Photo(f"{name}-{noisy}", original.read(encoded(pixels, "PNG"), f"{name}.png"), clean)


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """uint8 (H,W,1|3) as a PNG or a JPEG of very high quality."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if kind == "PNG":
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=97, subsampling=0)
    return buffer.getvalue()


def shown(pixels: np.ndarray, place: str) -> str:
    """The address at which a browser finds pixels (H,W,C)."""
    kind = "PNG" if pixels.shape[0] * pixels.shape[1] <= LOSSLESS else "JPEG"
    return served(encoded(pixels, kind), f"image/{kind.lower()}", place)
