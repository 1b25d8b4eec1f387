"""A picture that is already noisy: nothing is added, and the file goes back as it came, less its noise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch

from core import intake, original, photos
from core.denoisers import decibels
from core.photos import STRENGTHS, Wish
from core.pictures import as_bytes, as_floats, png, sheet
from core.store import StoreError
from ui import runs, work
from ui.components.compare import compare
from ui.denoise import models as choice
from ui.denoise.models import Models
from ui.denoise.pictures import MOST, Photo, shown
from ui.html import block, captioned
from ui.words import as_written

REMEMBERED = MOST  # results that a visitor's session keeps, so that looking back costs nothing
TAKES_A_WHILE = 3_000_000  # pixels from which on several pictures are cleaned only when asked


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A photograph without its noise."""

    pixels: np.ndarray  # uint8 (H,W,C)
    by: str  # the run that cleaned it
    noise: photos.Noise


def show(models: Models, pictures: Sequence[Photo]) -> None:
    cells = st.columns([3, 2, 2], gap="medium")
    with cells[0]:
        wanted = choice.pick(models)
    low, high = (round(100 * one) for one in STRENGTHS)
    strength = cells[1].slider(
        "Strength (%)", low, high, 100, 5, key="strength", bind="query-params",
        help="How much noise the model is told there is: 100 is what was estimated. It works anew at each strength.",
    )  # fmt: skip
    texture = cells[2].slider(
        "Keep texture (%)", 0, 100, 0, 5, key="texture", bind="query-params",
        help="Gives back this share of the fine light and dark that was taken away. Specks of colour stay out.",
    )  # fmt: skip
    photo = one_of(pictures)
    if wanted in models.small:
        through_small(models, wanted, photo)
        return
    wish = Wish(strength / 100, texture / 100)
    cleaned = clean(models, photo, wanted, wish)
    if cleaned is not None:
        present(models, photo, cleaned)
    if len(pictures) > 1:
        all_of_them(models, pictures, wanted, wish)


def one_of(pictures: Sequence[Photo]) -> Photo:
    if len(pictures) == 1:
        return pictures[0]
    names = [f"{number}. {photo.original.name}" for number, photo in enumerate(pictures, 1)]
    name = st.selectbox(f"Shown, of {len(pictures)}", names, key="shown")
    return pictures[names.index(name)]


# --- the work ---------------------------------------------------------------------------------------------------


def clean(models: Models, photo: Photo, wanted: str, wish: Wish) -> Cleaned | None:
    """From memory, else tile by tile under a progress bar; None where the visitor has stopped it."""
    memory: dict[object, Cleaned] = st.session_state.setdefault("cleaned", {})
    key = photo.key, wanted, wish, tuple(models.restorers)
    if key not in memory:
        if st.session_state.get("stopped") == key:
            st.info("Stopped. Nothing was changed.", icon=":material/stop_circle:")
            st.button("Clean it", icon=":material/play_arrow:", type="primary", on_click=forget_the_stop)
            return None
        place = st.empty()
        with place.container(horizontal=True, vertical_alignment="center"):
            memory[key] = worked(models, photo, wanted, wish, key)
        place.empty()
        for old in list(memory)[:-REMEMBERED]:
            del memory[old]
    return memory[key]


def worked(models: Models, photo: Photo, wanted: str, wish: Wish, key: object) -> Cleaned:
    width, height = photo.size
    told = f"Cleaning {width * height / 1e6:.1f} megapixels…"
    bar = st.progress(0.0, told)
    st.button("Stop", icon=":material/stop:", on_click=remember_the_stop, args=[key], key=f"stop-{photo.key}")
    with work.alone():
        by, noise = models.fitting(wanted, photo.pixels)
        tiles = photos.restored(models.restorers[by], photo.pixels, wish.knowing(noise))
        while True:
            try:
                bar.progress(next(tiles), told)
            except StopIteration as end:
                return Cleaned(end.value, by, noise)


def remember_the_stop(key: object) -> None:
    st.session_state["stopped"] = key


def forget_the_stop() -> None:
    st.session_state.pop("stopped", None)


# --- what came of it --------------------------------------------------------------------------------------------


def present(models: Models, photo: Photo, cleaned: Cleaned) -> None:
    figures(models, photo, cleaned)
    for note in photo.original.notes:
        st.caption(f":material/info: {as_written(photo.original.name)}: {as_written(note)}.")
    truth = None if photo.clean is None else shown(photo.clean, "truth")
    compare(
        shown(photo.pixels, "before"),
        shown(cleaned.pixels, "after"),
        photo.size,
        ("as it came", "cleaned"),
        f"{photo.original.name}, noisy on the left and cleaned on the right",
        key="compare",
        truth=truth,
    )
    width, height = photo.size
    st.download_button(
        f"Download · {width}×{height} {original.suffix(photo.original).lstrip('.').upper()}",
        lambda: original.write(photo.original, cleaned.pixels),
        original.denoised_name(photo.original),
        icon=":material/download:",
        type="primary",
        on_click="ignore",
        help="At its own size and in its own format, with camera data, colour profile and transparency as they came.",
    )


def figures(models: Models, photo: Photo, cleaned: Cleaned) -> None:
    taken = float(np.sqrt(np.mean(np.square(photo.pixels.astype(np.float32) - cleaned.pixels))))
    cells = st.columns(4, gap="medium")
    cells[0].metric("Noise found", f"{255 * cleaned.noise.sigma:.1f} of 255", help="Its standard deviation.")
    cells[1].metric("Taken away", f"{taken:.1f} of 255", help="Root of the mean squared difference.")
    if photo.clean is None:
        cells[2].metric("Size", f"{photo.size[0]} × {photo.size[1]}")
    else:
        before, after = decibels(photo.pixels, photo.clean), decibels(cleaned.pixels, photo.clean)
        cells[2].metric(
            "PSNR", f"{after:.2f} dB", f"{after - before:+.2f} dB",
            help="Against the clean picture, which is known here: noise as of a camera was added to the example.",
        )  # fmt: skip
    cells[3].metric("Cleaned by", models.titles[cleaned.by])
    st.caption(f"The noise: {cleaned.noise.kind}.")


def all_of_them(models: Models, pictures: Sequence[Photo], wanted: str, wish: Wish) -> None:
    memory: dict[object, Cleaned] = st.session_state["cleaned"]
    keys = [(photo.key, wanted, wish, tuple(models.restorers)) for photo in pictures]
    if not all(key in memory for key in keys):
        if not st.button(f"Clean all {len(pictures)}", icon=":material/photo_library:"):
            return
        for photo in pictures:
            clean(models, photo, wanted, wish)
    done = [(photo, memory[key]) for photo, key in zip(pictures, keys, strict=True) if key in memory]
    st.download_button(
        f"Download all {len(done)} as a zip", lambda: archive(done), "denoised.zip", "application/zip",
        icon=":material/folder_zip:", on_click="ignore",
    )  # fmt: skip


def archive(done: Sequence[tuple[Photo, Cleaned]]) -> bytes:
    """Each file under its name, numbered where two have the same."""
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w") as file:
        for number, (photo, cleaned) in enumerate(done, 1):
            name = original.denoised_name(photo.original)
            name = f"{number:02}-{name}" if name in taken else name
            taken.add(name)
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
    picture = intake.Picture(photo.original.name, photo.pixels, "PNG")
    seen = intake.to_shape(picture, model.shape)
    with torch.inference_mode():
        back = as_bytes(model.reconstruct(as_floats(seen)[None]))[0]
    st.html(block(captioned([("as it sees it", seen), ("cleaned", back)], "14rem")))
    st.download_button(
        f"Download · {width}×{height} PNG", lambda: png(sheet(back[None], 1)), "denoised.png", "image/png",
        icon=":material/download:", on_click="ignore",
    )  # fmt: skip
