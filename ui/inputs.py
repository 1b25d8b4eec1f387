"""Where pictures come from: examples, uploads, the camera, a drawing, or the data a group of runs was trained on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np
import streamlit as st
from torch import Tensor

from core import examples, intake
from core.data import BY_NAME, DataError, Dataset, is_offered, load, sample_photos
from core.family import Shape
from ui.choices import choice
from ui.components.pad import Strokes, pad
from ui.datasets import offer_download, where_from
from ui.memory import remembered
from ui.uploads import files, tell_refusals
from ui.words import as_written

SOURCES = ("Examples", "Upload", "Camera", "Draw", "Test pictures")
PHOTOS = ("cat", "astronaut", "coffee", "rocket")  # examples of photographs
MOST = 24  # pictures at a time
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
READ = 2**29  # bytes that the server keeps of them: fourteen of 12 megapixels
SMALLEST_PHOTOGRAPH = 64  # pixels a side
LOOK = 128  # pixels of the longer side at which drawings are told from photographs
LIKE_GROUND = 40  # of 255: how far paper in uneven light may be from its median
COLOURFUL = 12  # of 255: above what strokes in blue ink come to
INK = 64  # of 255: how far strokes are from it


@dataclass(frozen=True, eq=False)
class Input:
    """A picture on its way into models."""

    name: str
    pixels: np.ndarray  # uint8 (C,H,W): what the models see
    photograph: str = ""  # "gray" or "colour", where one was brought; it is not kept: pages hold on to inputs
    notes: tuple[str, ...] = ()

    def code_by(self, run: str) -> Tensor | None:
        """Its code by a run, where that is all that is left of it."""
        return None


def pick_one(shape: Shape, dataset: str) -> Input | None:
    """Draw the choice of a single picture."""
    return next(iter(pick(shape, dataset, lambda: None, single=True)), None)


def pick(shape: Shape, dataset: str, arrived: Callable[[], None], single: bool = False) -> list[Input]:
    """Draw the choice and give the chosen pictures, at most `MOST`.

    `arrived` is called when files or a photo came in, and when they are to come from elsewhere.
    """
    source = choice("Pictures", SOURCES, SOURCES[0], key="source", on_change=arrived)
    match source:
        case "Upload":
            chosen = uploads(shape, arrived, single)
        case "Camera":
            chosen = camera(shape, arrived)
        case "Draw":
            chosen = drawing(shape)
        case "Test pictures":
            chosen = data_pictures(shape, dataset, single)
        case _:
            chosen = example_pictures(shape, dataset, single)
    if len(chosen) > MOST:
        st.info(f"The first {MOST} of {len(chosen)} pictures are shown.", icon=":material/info:")
    return renamed(chosen[:MOST])


# --- examples ---------------------------------------------------------------------------------------------------


def example_pictures(shape: Shape, dataset: str, single: bool) -> list[Input]:
    tiles = _examples(shape, dataset)
    names = list(tiles)
    start = [name for name in ("digit 2", "digit 5", "digit 8") if name in names] or names[:3]
    key = "-".join(names[0].split())
    if single:
        one = st.pills("Which", names, default=start[0], key=f"example-{key}", bind="query-params", wrap=True)
        chosen = [one] if one else []
    else:
        chosen = st.pills(
            "Which", names, selection_mode="multi", default=start, key=f"examples-{key}", bind="query-params", wrap=True
        )  # fmt: skip
    return [Input(name, tiles[name]) for name in names if name in chosen]


@st.cache_data(show_spinner=False, max_entries=8)
def _examples(shape: Shape, dataset: str) -> dict[str, np.ndarray]:
    return examples.named(shape, dataset)


# --- files and the camera ---------------------------------------------------------------------------------------


def uploads(shape: Shape, arrived: Callable[[], None], single: bool) -> list[Input]:
    return adapted(upload_files(arrived, single), shape)


def upload_files(arrived: Callable[[], None], single: bool) -> list[tuple[bytes, str]]:
    limit = f"{intake.MAX_BYTES / 2**20:.0f} MB"
    label = f"PNG, JPEG, WebP, BMP, TIFF or GIF, up to {limit} each. They stay on this machine."
    found = files(label, "upload" if single else "uploads", single=single, arrived=arrived)
    if len(found) > MOST:
        st.info(f"The last {MOST} of {len(found)} pictures are taken.", icon=":material/info:")
    return found[-MOST:]


def brought() -> list[intake.Picture]:
    """What lies in the uploader or the camera, as far as it can be read."""
    lying = [*st.session_state.get("uploads", [])[-MOST:], st.session_state.get("camera")]
    outcomes = (_read(file.getvalue(), file.name, WHITE) for file in lying if file)
    return [outcome for outcome in outcomes if isinstance(outcome, intake.Picture)]


def photographs(arrived: Callable[[], None] = lambda: None) -> list[intake.Picture]:
    """Draw the choice of photographs that stay as large as they are, with the widgets of `pick`: what was uploaded stays."""
    source = choice("Pictures", SOURCES[:3], SOURCES[0], key="source")
    if source == "Upload":
        taken = upload_files(arrived, single=False)
    elif source == "Camera":
        taken = photo_files(arrived)
    else:
        name = st.pills("Which", PHOTOS, default=PHOTOS[0], required=True, key="photo", bind="query-params")
        name = name or PHOTOS[0]  # an address may name none
        return [intake.Picture(name, sample_photos()[name], "PNG")]
    return received(taken)


def camera(shape: Shape, arrived: Callable[[], None]) -> list[Input]:
    return adapted(photo_files(arrived), shape)


def photo_files(arrived: Callable[[], None]) -> list[tuple[bytes, str]]:
    photo = st.camera_input("Take a photo", key="camera", on_change=arrived)
    return [(photo.getvalue(), "camera.jpg")] if photo else []


def adapted(files: list[tuple[bytes, str]], shape: Shape) -> list[Input]:
    """Read files, say what was refused, and ask how they become pictures of `shape`."""
    pictures = received(files)
    if not pictures:
        return []
    how, ground = st.columns([2, 3], vertical_alignment="bottom")
    frame = choice(
        "Into the models' frame", ("Crop", "Fit"), "Crop", key="frame",
        help="Crop cuts the middle out; Fit keeps the whole picture and pads it.", place=how
    )  # fmt: skip
    if any(picture.had_transparency for picture in pictures):
        usual = "#000000" if any(is_white_on_nothing(*file) for file in files) else "#ffffff"
        colour = ground.color_picker("What lies behind transparent parts", usual, key="ground")
        red, green, blue = bytes.fromhex(colour.lstrip("#"))
        outcomes = (_read(*file, (red, green, blue)) for file in files)
        pictures = [picture for picture in outcomes if isinstance(picture, intake.Picture)]
    invert = centre = False
    inked = [shape[0] == 1 and intake.looks_dark_on_light(picture) for picture in pictures]
    if any(inked):
        st.info(
            "This looks like dark ink on light paper. The gray models here saw light ink on dark.",
            icon=":material/invert_colors:",
        )
        invert = st.toggle("Invert dark-on-light pictures", value=True, key="invert", bind="query-params")
        centre = st.toggle("Centre and size the ink as the digits were", key="centre", bind="query-params")
    return [
        as_input(picture, shape, frame == "Fit", invert and dark, centre)
        for picture, dark in zip(pictures, inked, strict=True)
    ]


def is_white_on_nothing(data: bytes, name: str) -> bool:
    """Whether a transparent picture cannot be seen on white, but can on black."""
    over_white, over_black = (_read(data, name, ground) for ground in (WHITE, BLACK))
    return (
        isinstance(over_white, intake.Picture)
        and isinstance(over_black, intake.Picture)
        and over_white.had_transparency
        and over_white.pixels.min() == 255
        and bool(over_black.pixels.any())
    )


def received(files: list[tuple[bytes, str]]) -> list[intake.Picture]:
    """The pictures in files; what is wrong with the others is said."""
    outcomes = [_read(data, name, WHITE) for data, name in files]
    tell_refusals([one for one in outcomes if isinstance(one, str)])
    return [one for one in outcomes if not isinstance(one, str)]


def _read(data: bytes, name: str, background: tuple[int, int, int]) -> intake.Picture | str:
    """From memory, else from the file."""

    def read() -> intake.Picture | str:
        try:
            with st.spinner("Reading the picture…"):
                return intake.read(data, name, background)
        except intake.Refused as refusal:
            return str(refusal)

    key = blake2b(data, digest_size=16).digest(), name, background
    return remembered(
        "read", key, read, lambda one: 1_000 if isinstance(one, str) else one.pixels.nbytes, READ
    )


def as_input(picture: intake.Picture, shape: Shape, whole: bool, invert: bool, centre: bool) -> Input:
    pixels = intake.to_shape(picture, shape, how="fit" if whole else "crop", invert=invert)
    if invert:
        pixels = intake.on_black(pixels)
    if centre:
        pixels = intake.centre_ink(pixels)
    photograph = ("gray" if picture.pixels.shape[2] == 1 else "colour") if is_photograph(picture) else ""
    return Input(picture.name, pixels, photograph, picture.notes + (("inverted",) if invert else ()))


# --- drawings and data ------------------------------------------------------------------------------------------


def drawing(shape: Shape) -> list[Input]:
    # an address that remembers a drawing is of that one
    strokes = pad(() if st.query_params.get("codes") else _smooth(5), key="pad")
    if not strokes:
        st.caption("Draw something to see what each model keeps of it.")
        return []
    gray = (1, *shape[1:])
    pixels = examples.drawn(strokes, gray[1:])
    return [Input("drawing", np.repeat(pixels, shape[0], 0))]


def _smooth(digit: int) -> Strokes:
    curves = (examples.through(np.array(stroke), per_segment=8) for stroke in examples.DIGITS[digit])
    return tuple(tuple((round(float(x), 3), round(float(y), 3)) for x, y in curve) for curve in curves)


def data_pictures(shape: Shape, name: str, single: bool) -> list[Input]:
    data = test_data(name)
    if data is None or data.shape != shape:
        return []
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    first = left.number_input(
        f"{'Test' if single else 'From test'} picture number (of {len(data.test):,})",
        0,
        len(data.test) - 1,
        0,
        key="first",
        bind="query-params",
    )
    count = 1 if single else right.number_input("How many", 1, MOST, 4, key="count", bind="query-params")
    chosen = range(int(first), min(int(first) + int(count), len(data.test)))
    return [Input(f"{titled(data, index)}", np.array(data.test.images[index])) for index in chosen]


def titled(data: Dataset, index: int) -> str:
    if data.test.labels is None:
        return f"test {index}"
    return f"test {index}: {data.class_names[data.test.labels[index]]}"


def test_data(name: str) -> Dataset | None:
    """The data, or None and what to do about it. Only published sets are ever fetched, and only when asked to."""
    if not is_offered(name):
        if name in BY_NAME:
            offer_download(name)
        else:
            st.info(f"{where_from(name)} Upload some of them instead.", icon=":material/folder_off:")
        return None
    try:
        with st.spinner("Reading the pictures…"):
            return load(name)
    except DataError as error:
        st.warning(as_written(str(error)), icon=":material/broken_image:")
        return None


# --- photograph or drawing? -------------------------------------------------------------------------------------


def is_photograph(picture: intake.Picture) -> bool:
    """Larger than what small models see, and in colour or no drawing."""
    pixels = picture.pixels
    if min(pixels.shape[:2]) < SMALLEST_PHOTOGRAPH:
        return False
    return is_colourful(pixels) or not is_drawing(picture)


def is_colourful(pixels: np.ndarray) -> bool:
    """uint8 (H,W,1|3), beyond the tint that paper and lamps give to all of it."""
    sampled = pixels[:: max(1, pixels.shape[0] // 64), :: max(1, pixels.shape[1] // 64)].astype(int)
    tinted = sampled - np.median(sampled, axis=(0, 1))
    return float((tinted.max(2) - tinted.min(2)).mean()) > COLOURFUL


def is_drawing(picture: intake.Picture) -> bool:
    """Strokes on an even ground: the ground is nearly all around, and most of what is not like it is far from it.

    Digits scanned from gray paper in uneven light are found. Of 432 photographs 7 were mistaken without their colours,
    3 of which are not colourful.
    """
    height, width = (-(-LOOK * side // max(picture.pixels.shape)) for side in picture.pixels.shape[:2])
    luma = intake.to_shape(picture, (1, height, width))[0].astype(int)
    around = np.concatenate([luma[0], luma[-1], luma[:, 0], luma[:, -1]])
    ground = int(np.median(around))
    away = np.abs(luma - ground)
    even = float((np.abs(around - ground) <= LIKE_GROUND).mean()) >= 0.9
    return even and int((away > INK).sum()) >= 2 / 3 * int((away > LIKE_GROUND).sum())


def renamed(inputs: list[Input]) -> list[Input]:
    """Two files of one name stay two rows."""
    found: dict[str, Input] = {}
    for one in inputs:
        further = (f"{one.name} ({number})" for number in itertools.count(2))
        name = next(name for name in itertools.chain([one.name], further) if name not in found)
        found[name] = one if name == one.name else replace(one, name=name)
    return list(found.values())
