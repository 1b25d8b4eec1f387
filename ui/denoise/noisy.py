"""A picture that is already noisy: nothing is added, and the file goes back as it came, less its noise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from core import intake, original, photos
from core.evaluation import decibels
from core.original import Original
from core.photos import STRENGTHS, Wish
from core.pictures import as_bytes, as_floats, png, sheet
from core.store import StoreError
from ui import runs, work
from ui.components.compare import compare
from ui.denoise import models as choice
from ui.denoise.models import Models
from ui.denoise.pictures import Photo, shown, which
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
        put_away()
        through_small(models, wanted, one_of(pictures))
        return
    wish = wished(*cells[1:])
    photo = one_of(pictures)
    if len(pictures) > 1:
        all_of_them(models, pictures, wanted, wish, photo)
    else:
        put_away()
    doing, done = work.stage(known(models, photo, wanted, wish))
    with doing:
        cleaned = clean(models, photo, wanted, wish)
    with done():
        if cleaned is None:
            st.info("Stopped. Nothing was changed.", icon=":material/stop_circle:")
            st.button("Clean it", icon=":material/play_arrow:", type="primary", on_click=forget_the_stop)
        else:
            present(models, photo, cleaned)


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
    return pictures[which([photo.name for photo in pictures])]


# --- the work ---------------------------------------------------------------------------------------------------


def clean(
    models: Models, photo: Photo, wanted: str, wish: Wish, number: int = 0, told: str = ""
) -> Cleaned | None:
    """From memory, else tile by tile under a progress bar; None where the visitor has stopped it.

    `number` tells buttons apart where several are cleaned in one run of the page, `told` says which of them this is.
    """
    key = name_of(models, photo, wanted, wish)
    if st.session_state.get("stopped") == key and key not in kept("cleaned"):
        return None
    found = remembered(
        "cleaned",
        key,
        lambda: worked(models, photo, wanted, wish, key, number, told),
        lambda one: one.pixels.nbytes,
        KEPT,
    )
    if not wish.texture:
        return found
    pixels = photos.textured(photo.pixels, found.pixels, wish.texture)
    return finished((*key, wish.texture), photo, pixels, found.by, found.noise)


def name_of(models: Models, photo: Photo, wanted: str, wish: Wish) -> tuple[object, ...]:
    """Of the work: texture asks nothing of the net."""
    return photo.key, wanted, replace(wish, texture=0.0), models.state


def known(models: Models, photo: Photo, wanted: str, wish: Wish) -> bool:
    """Whether there is nothing to wait for."""
    return name_of(models, photo, wanted, wish) in kept("cleaned")


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
        seen = original.seen(photo.original)
        by, noise = models.fitting(wanted, seen)
        bare = replace(wish, texture=0.0)  # which is given back afterwards
        tiles = photos.restored(models.restorers[by], seen, bare.knowing(noise))
        pixels = original.covered(photo.original, work.through(tiles, bar, told))
    place.empty()
    return finished(key, photo, pixels, by, noise)


def finished(key: object, photo: Photo, pixels: np.ndarray, by: str, noise: photos.Noise) -> Cleaned:
    return Cleaned(key, pixels, by, noise, distance(photo.original, pixels), gain(photo, pixels))


def distance(before: Original, after: np.ndarray) -> float:
    """Root of the mean squared difference where anything can be seen, row by row: a large picture has no room for copies."""
    rows = zip(before.pixels, after, strict=True)
    share = 1.0 if before.alpha is None else max(int(np.count_nonzero(before.alpha)), 1) / before.alpha.size
    return float(np.sqrt(np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in rows]) / share))


def gain(photo: Photo, pixels: np.ndarray) -> tuple[float, float] | None:
    """PSNR before and after, where the clean picture is known."""
    if photo.clean is None:
        return None
    return decibels(photo.pixels, photo.clean), decibels(pixels, photo.clean)


def remember_the_stop(key: object) -> None:
    st.session_state["stopped"] = key
    if batch := st.session_state.get("album"):
        batch.going = False  # its turn had not come yet


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
        (came.pixels.shape[1], came.pixels.shape[0]),
        ("as it came", "cleaned"),
        f"{photo.name}, noisy on the left and cleaned on the right",
        key="compare",
        truth=None if photo.clean is None else shown(photo.clean, "truth", key=photo.key),
    )
    height, width = came.pixels.shape[:2]
    st.download_button(
        f"Download · {width}×{height} {original.suffix(came).lstrip('.').upper()}",
        lambda: original.write(
            photo.original, cleaned.pixels
        ),  # which lives as long as the page: of large things one
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


@dataclass
class Batch:
    """All that were brought, on their way into one zip. Of each only its file is kept: a session may have no room for pixels."""

    key: object  # of the pictures, and of what was asked for
    going: bool = False
    done: list[tuple[str, bytes]] = field(default_factory=list)  # names and files, in this order
    notes: list[str] = field(default_factory=list)  # what else is not as it was


def all_of_them(models: Models, pictures: Sequence[Photo], wanted: str, wish: Wish, looked_at: Photo) -> None:
    key = wanted, wish, models.state, tuple((photo.key, photo.name) for photo in pictures)
    batch: Batch | None = st.session_state.get("album")
    if batch is None or batch.key != key:
        put_away()
        batch = Batch(key)
    start = st.empty()
    begun = "album" in st.session_state
    if batch.going or not begun:
        words = f"Clean all {len(pictures)}"  # drawn while it works, too: Streamlit would leave the old one
        start.button(
            words, icon=":material/photo_library:", disabled=batch.going, on_click=begin, args=[batch]
        )
    if not begun:
        return
    if batch.going:
        batch.going = False  # what ends this run of the page before its time has stopped it
        go_through(batch, models, pictures, wanted, wish, looked_at)
        start.empty()
    with st.container(horizontal=True, vertical_alignment="center"):
        done = len(batch.done)
        if done < len(pictures):
            st.caption(f":material/stop_circle: Stopped after {done} of {len(pictures)}.", width="content")
            st.button("Go on", icon=":material/play_arrow:", on_click=begin, args=[batch])
        if done:
            words = f"Download {'all ' if done == len(pictures) else ''}{done} as a zip"
            download(words, lambda: archive(batch.done), "denoised.zip", "application/zip", "folder_zip")
    if batch.notes:
        with st.expander(f"What else has changed · {len(batch.notes)}", icon=":material/info:"):
            st.markdown("\n".join(f"- {as_written(note)}" for note in batch.notes))


def put_away() -> None:
    """Files of pictures that are here no more, or were asked for otherwise."""
    st.session_state.pop("album", None)


def begin(batch: Batch) -> None:
    forget_the_stop()
    batch.going = True
    st.session_state["album"] = batch


def go_through(
    batch: Batch, models: Models, pictures: Sequence[Photo], wanted: str, wish: Wish, looked_at: Photo
) -> None:
    """What is not done yet. First what is `looked_at`, which the page draws next: it stays in memory as long as there is room."""
    if not known(models, looked_at, wanted, wish):
        told = f"First {as_written(looked_at.name)}"
        clean(models, looked_at, wanted, wish, len(pictures) + 1, told)
    taken = {name.casefold() for name, _ in batch.done}
    for number, photo in list(enumerate(pictures, 1))[len(batch.done) :]:
        if known(models, looked_at, wanted, wish):
            clean(models, looked_at, wanted, wish)
        told = f"{number} of {len(pictures)}: {as_written(photo.name)}"
        cleaned = clean(models, photo, wanted, wish, number, told)
        assert cleaned is not None, "a stop ends the run of the page, and is forgotten before the next one"
        name = original.unused(original.denoised_name(photo.original), taken)
        batch.done.append((name, original.write(photo.original, cleaned.pixels)))
        batch.notes += [f"{photo.name}: {note}." for note in photo.original.notes]


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, data in files:
            zipped.writestr(name, data)
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
