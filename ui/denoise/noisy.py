"""A picture that is already noisy: nothing is added, and the file goes back as it came, less its noise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from core import intake, original, photos
from core.evaluation import decibels
from core.photos import STRENGTHS, Wish
from core.pictures import as_bytes, as_floats, png, sheet
from core.store import StoreError
from ui import runs, work
from ui.components.compare import compare
from ui.denoise import models as choice
from ui.denoise.models import Models
from ui.denoise.pictures import Photo, shown
from ui.downloads import download
from ui.html import block, captioned
from ui.memory import kept, remembered
from ui.words import as_written

KEPT = 2**29  # bytes of results that the server keeps: seven of 24 megapixels


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A photograph without its noise."""

    key: object  # of the photograph, and of what was asked for
    pixels: np.ndarray  # uint8 (H,W,C)
    by: str  # the run that cleaned it
    noise: photos.Noise
    taken: float  # root of the mean squared difference, of 255
    psnr: tuple[float, float] | None  # before and after, where the clean picture is known


def show(models: Models, pictures: Sequence[Photo]) -> None:
    cells = st.columns([3, 2, 2], gap="medium")
    with cells[0]:
        wanted = choice.pick(models)
    if wanted in models.small:
        through_small(models, wanted, one_of(pictures))
        return
    wish = wished(*cells[1:])
    photo = one_of(pictures)
    cleaned = clean(models, photo, wanted, wish)
    if cleaned is not None:
        present(models, photo, cleaned)
    if len(pictures) > 1:
        all_of_them(models, pictures, wanted, wish)


def wished(left: DeltaGenerator, right: DeltaGenerator) -> Wish:
    low, high = (round(100 * one) for one in STRENGTHS)
    strength = left.slider(
        "Strength (%)", low, high, 100, 5, key="strength", bind="query-params",
        help="How much noise the model is told there is: 100 is what was estimated, and 0 changes nothing. It works anew at each "
        "strength; below 100 only that share is taken of what it would take.",
    )  # fmt: skip
    texture = right.slider(
        "Keep texture (%)", 0, 100, 0, 5, key="texture", bind="query-params",
        help="Gives back this share of all light and dark that was taken away, the grain of the noise together with the texture. "
        "Specks of colour stay out.",
    )  # fmt: skip
    return Wish(strength / 100, texture / 100)


def one_of(pictures: Sequence[Photo]) -> Photo:
    if len(pictures) == 1:
        return pictures[0]
    names = [f"{number}. {photo.name}" for number, photo in enumerate(pictures, 1)]
    name = st.selectbox(f"Shown, of {len(pictures)}", names, len(names) - 1, key="shown")
    return pictures[names.index(name)]


# --- the work ---------------------------------------------------------------------------------------------------


def clean(
    models: Models, photo: Photo, wanted: str, wish: Wish, number: int = 0, told: str = ""
) -> Cleaned | None:
    """From memory, else tile by tile under a progress bar; None where the visitor has stopped it.

    `number` tells buttons apart where several are cleaned in one run of the page, `told` says which of them this is.
    """
    bare = replace(wish, texture=0.0)  # which asks nothing of the net
    key = photo.key, wanted, bare, models.state
    if st.session_state.get("stopped") == key and key not in kept("cleaned"):
        st.info("Stopped. Nothing was changed.", icon=":material/stop_circle:")
        st.button(
            "Clean it", icon=":material/play_arrow:", type="primary", on_click=forget_the_stop, key=f"again-{number}"
        )  # fmt: skip
        return None
    found = remembered(
        "cleaned",
        key,
        lambda: worked(models, photo, wanted, bare, key, number, told),
        lambda one: one.pixels.nbytes,
        KEPT,
    )
    if not wish.texture:
        return found
    pixels = photos.textured(photo.pixels, found.pixels, wish.texture)
    return finished((*key, wish.texture), photo, pixels, found.by, found.noise)


def worked(
    models: Models, photo: Photo, wanted: str, wish: Wish, key: object, number: int, told: str
) -> Cleaned:
    width, height = photo.size
    told = told or f"Cleaning {width * height / 1e6:.1f} megapixels…"
    place = st.empty()
    row = place.container(horizontal=True, vertical_alignment="center")
    with row, work.alone(), work.on_free_cores():
        bar = st.progress(0.0, told)
        st.button(
            "Stop", icon=":material/stop:", on_click=remember_the_stop, args=[key], key=f"stop-{number}"
        )
        by, noise = models.fitting(wanted, photo.pixels)
        tiles = photos.restored(models.restorers[by], photo.pixels, wish.knowing(noise))
        pixels = work.through(tiles, bar, told)
    place.empty()
    return finished(key, photo, pixels, by, noise)


def finished(key: object, photo: Photo, pixels: np.ndarray, by: str, noise: photos.Noise) -> Cleaned:
    return Cleaned(key, pixels, by, noise, distance(photo.pixels, pixels), gain(photo, pixels))


def distance(before: np.ndarray, after: np.ndarray) -> float:
    """Root of the mean squared difference, row by row: a large picture has no room for several copies of it."""
    rows = zip(before, after, strict=True)
    return float(np.sqrt(np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in rows])))


def gain(photo: Photo, pixels: np.ndarray) -> tuple[float, float] | None:
    """PSNR before and after, where the clean picture is known."""
    if photo.clean is None:
        return None
    return decibels(photo.pixels, photo.clean), decibels(pixels, photo.clean)


def remember_the_stop(key: object) -> None:
    st.session_state["stopped"] = key


def forget_the_stop() -> None:
    st.session_state.pop("stopped", None)


# --- what came of it --------------------------------------------------------------------------------------------


def present(models: Models, photo: Photo, cleaned: Cleaned) -> None:
    came = photo.original
    figures(models, photo, cleaned)
    for note in came.notes:
        st.caption(f":material/info: {as_written(photo.name)}: {as_written(note)}.")
    compare(
        shown(came.pixels, "before", came, photo.key),
        shown(cleaned.pixels, "after", came, cleaned.key),
        photo.size,
        ("as it came", "cleaned"),
        f"{photo.name}, noisy on the left and cleaned on the right",
        key="compare",
        truth=None if photo.clean is None else shown(photo.clean, "truth", key=photo.key),
    )
    width, height = photo.size
    st.download_button(
        f"Download · {width}×{height} {original.suffix(came).lstrip('.').upper()}",
        lambda: original.write(came, cleaned.pixels),
        original.denoised_name(came),
        icon=":material/download:",
        type="primary",
        on_click="ignore",
        help="At its own size and in its own format, with camera data, colour profile and transparency as they came.",
    )


def figures(models: Models, photo: Photo, cleaned: Cleaned) -> None:
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "Noise found", f"{255 * cleaned.noise.sigma:.1f} of 255", help="Its standard deviation.", width="content"
        )  # fmt: skip
        st.metric(
            "Taken away", f"{cleaned.taken:.1f} of 255", help="Root of the mean squared difference.", width="content"
        )  # fmt: skip
        if cleaned.psnr is None:
            st.metric("Size", f"{photo.size[0]} × {photo.size[1]}", width="content")
        else:
            before, after = cleaned.psnr
            st.metric(
                "PSNR", f"{after:.2f} dB", f"{after - before:+.2f} dB", width="content",
                delta_color="normal" if round(after - before, 2) else "off",
                help="Against the clean picture, which is known here: noise as of a camera was added to the example.",
            )  # fmt: skip
        st.metric("Model", as_written(models.titles[cleaned.by]), width="content")
    st.caption(f"The noise: {cleaned.noise.kind}.")


def all_of_them(models: Models, pictures: Sequence[Photo], wanted: str, wish: Wish) -> None:
    """Of all of them only the zip is kept: a session may have no room for their pixels."""
    key = wanted, wish, models.state, tuple((photo.key, photo.name) for photo in pictures)
    made, file = st.session_state.get("archive", (None, b""))
    if made != key:
        st.session_state.pop("archive", None)
        place = st.empty()
        if not place.button(
            f"Clean all {len(pictures)}", icon=":material/photo_library:", on_click=forget_the_stop
        ):
            return
        place.empty()
        file = archive(one_by_one(models, pictures, wanted, wish))
        st.session_state["archive"] = key, file
    download(
        f"Download all {len(pictures)} as a zip",
        lambda: file,
        "denoised.zip",
        "application/zip",
        "folder_zip",
    )


def one_by_one(
    models: Models, pictures: Sequence[Photo], wanted: str, wish: Wish
) -> Iterator[tuple[Photo, Cleaned]]:
    """Without those that the visitor has stopped."""
    for number, photo in enumerate(pictures, 1):
        told = f"{number} of {len(pictures)}: {as_written(photo.name)}"
        cleaned = clean(models, photo, wanted, wish, number, told)
        if cleaned is not None:
            yield photo, cleaned


def archive(done: Iterable[tuple[Photo, Cleaned]]) -> bytes:
    """Each file under its name, numbered where two have the same."""
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w") as file:
        for photo, cleaned in done:
            name = original.unused(original.denoised_name(photo.original), taken)
            file.writestr(name, original.write(photo.original, cleaned.pixels))
    return buffer.getvalue()


# --- the small ones ---------------------------------------------------------------------------------------------


def through_small(models: Models, id: str, photo: Photo) -> None:
    """The denoising autoencoders of the comparison see a picture at one size only; that is said and shown."""
    try:
        model = runs.model(models.small[id])
    except StoreError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return
    _, height, width = model.shape
    st.info(
        f"This model sees {width}×{height} pixels{' without colour' if model.shape[0] == 1 else ''}, and gives back no more. "
        "For a photograph at its own size choose one of the others.",
        icon=":material/photo_size_select_small:",
    )
    picture = intake.Picture(photo.name, photo.pixels, "PNG")
    seen = intake.to_shape(picture, model.shape)
    with torch.inference_mode():
        back = as_bytes(model.reconstruct(as_floats(seen)[None]))[0]
    st.html(block(captioned([("as it sees it", seen), ("cleaned", back)], "14rem")))
    words = f"Download · {width}×{height} PNG"
    download(words, lambda: png(sheet(back[None], 1)), "denoised.png", "image/png", "download")
