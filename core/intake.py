"""Untrusted image bytes -> safe arrays, and those arrays -> the shape a model takes.

Whatever is uploaded comes out as a `Picture` (8-bit, gray or RGB, upright, opaque) or as a `Refused` whose
message can be shown to the visitor. The format is told by content; a file name is only ever displayed.
"""

import io
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from core.errors import Explained
from core.profiles import in_srgb

MAX_BYTES = 25 * 2**20
LAID = "transparency laid over"
SCALED = "16-bit values scaled to 8 bits"
MAX_PIXELS = 50_000_000
MAX_SIDE = 30_000
DIM = 64  # what has fractions and is no brighter does not go to 255: it holds light, of which 1 may be white
MAX_NAME = 80
MAX_NAME_BYTES = 160  # what a name is the beginning of is no longer than disks allow
LONGEST_SUFFIX = 4
FEW_BITS = {"L;2": 85, "L;4": 17}  # what one step of gray becomes of 255
MAD = 1.4826  # the standard deviation of a Gaussian in its median absolute deviations
JUDGED = 512  # pixels along the shorter side by which strokes are told from ground

_PHONES = {b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis"}  # brands of ISO 23008-12
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_FORMATS_IN_WORDS = "PNG, JPEG, WebP, BMP, TIFF or GIF"

# Pillow reports trouble in metadata by Python warnings, and silencing those is process-wide, so one thread at
# a time. That also bounds memory: one picture at the limit takes up to 1 GB while it is decoded.
_DECODING = threading.Lock()

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(Explained, ValueError):
    """A file that is not taken: its name, then the `reason`."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"“{name}” {reason}")
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: read-only uint8 `pixels`, (H, W, 3) RGB or (H, W, 1) gray.

    `format` is one of `FORMATS`; `notes` say in words what was done to the picture on its way in.
    """

    name: str
    pixels: np.ndarray
    format: str
    notes: tuple[str, ...] = ()

    @property
    def had_transparency(self) -> bool:
        return any(note.startswith(LAID) for note in self.notes)


def read(data: bytes, name: str, background: tuple[int, int, int] = (255, 255, 255)) -> Picture:
    """Decode the first frame of a PNG, JPEG, WebP, BMP, TIFF or GIF file.

    Args:
        data: the whole file, at most `MAX_BYTES`.
        name: what the visitor calls it; used for display only, after `clean_name`.
        background: the RGB colour laid under transparent pixels. A gray picture stays gray over a gray one.

    Raises:
        Refused: the file is empty, too large, cut short, damaged, or no such picture. Nothing else is raised.
    """
    name = clean_name(name)
    with decoding(data, name):
        return _decode(data, name, background)


@contextmanager
def decoding(data: bytes, name: str, most: int = MAX_BYTES) -> Iterator[None]:
    """The block in which a file is decoded: for one thread at a time, without warnings.

    Raises Refused for an empty or too large file before the block begins, and in place of whatever the block raises.
    """
    if not data:
        raise Refused(name, "is empty. Choose the file again; the copy may not have finished.")
    if len(data) > most:
        limit = f"{most / 2**20:.0f} MB"
        raise Refused(name, f"is larger than the limit of {limit}. Save a smaller copy, for example as JPEG.")
    try:
        with _DECODING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Refused:
        raise
    # Pillow names no closed set of what hostile bytes raise: OSError, SyntaxError, KeyError, ...
    except Exception as error:
        raise Refused(name, _reason(error, data)) from error


def clean_name(name: str) -> str:
    """The last part of a path without control or direction-changing characters, at most `MAX_NAME` of them with its suffix."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    visible = "".join(c for c in last if c.isspace() or unicodedata.category(c)[0] != "C")
    name = " ".join(visible.split())
    stem, dot, suffix = name.rpartition(".")
    if _beginning(name) != name and dot and len(suffix) <= LONGEST_SUFFIX:
        name = f"{_beginning(stem, len(suffix) + 1)}.{suffix}"
    return _beginning(name) or "picture"


def _beginning(name: str, less: int = 0) -> str:
    short = name[: MAX_NAME - less].encode()[: MAX_NAME_BYTES - less]
    return short.decode(errors="ignore").strip()


def to_shape(
    picture: Picture,
    shape: tuple[int, int, int],
    *,
    how: Literal["crop", "fit"] = "crop",
    invert: bool = False,
) -> np.ndarray:
    """Bring a picture to the shape a model takes.

    Args:
        shape: (C, H, W) with C = 1 (gray by ITU-R 601 luma) or 3 (gray is repeated).
        how: "crop" fills the shape and loses what sticks out, "fit" keeps everything and pads with the median
            colour of the border, so that the ground of a drawing shows no frame.
        invert: exchange dark and light at the end.

    Returns:
        uint8 (C, H, W).
    """
    channels, height, width = shape
    if channels not in (1, 3) or height < 1 or width < 1:
        raise ValueError(f"shape must be (1 or 3, H, W), got {shape}")
    image = _as_image(picture.pixels).convert("L" if channels == 1 else "RGB")
    if how == "crop":
        image = _resized(image, (width, height), _centre_box(image.size, width / height))
    elif how == "fit":
        image = _padded(image, width, height)
    else:
        raise ValueError(f"how must be 'crop' or 'fit', got {how!r}")
    array = np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)
    return np.ascontiguousarray(255 - array if invert else array)


def looks_dark_on_light(picture: Picture) -> bool:
    """Whether these seem dark strokes on a light ground: a reason to offer inversion, never to just do it."""
    step = max(1, min(picture.pixels.shape[:2]) // JUDGED)
    sample = np.ascontiguousarray(picture.pixels[::step, ::step])
    luma = np.asarray(_as_image(sample).convert("L")).astype(int)
    ground = np.median(_border(luma[:, :, None]))
    ink = np.mean(luma < ground - 64)
    return bool(ground > 160 and 0 < ink < 0.5)


def on_black(image: np.ndarray) -> np.ndarray:
    """Light strokes with the ground taken to black, as in MNIST: paper is never quite white, nor quite even.

    The ground is the median of the border, and what scatters there like noise. The lightest stays as light as it is.

    Args:
        image: uint8 (C, H, W), light ink on a dark ground.

    Returns:
        uint8 (C, H, W).
    """
    border = _border(image.transpose(1, 2, 0))
    ground = np.median(border, axis=0)
    ground = ground + 3 * MAD * np.median(np.abs(border - ground), axis=0)
    top = image.max((1, 2))
    left = (image - ground[:, None, None]).clip(0) * (top / np.maximum(top - ground, 1))[:, None, None]
    return left.clip(0, 255).round().astype(np.uint8)


def centre_ink(image: np.ndarray) -> np.ndarray:
    """Normalise a light-on-dark drawing the way MNIST was made.

    LeCun et al. 1998: the digit is scaled, keeping its aspect, until its longer side is 20 of 28 pixels, and
    then placed so that its centre of mass is the centre of the field. Here it is 20/28 of the field's shorter
    side, and ink that would leave the field is pushed back in. A field without ink is returned as it is.

    Args:
        image: uint8 (1, H, W), light ink on a dark ground.

    Returns:
        uint8 (1, H, W).
    """
    _, height, width = image.shape
    ink = image[0] > int(image.max()) * 0.05  # faint noise of a scan or JPEG is no ink
    if not ink.any():
        return image.copy()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    drawing = Image.fromarray(image[0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = min(height, width) * 20 / 28 / max(drawing.size)
    size = (max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale)))
    pixels = np.asarray(_resized(drawing, size))

    top, left = (
        int(np.clip(round(whole / 2 - centre), 0, whole - part))
        for whole, part, centre in zip((height, width), pixels.shape, _centre_of_mass(pixels), strict=True)
    )
    centred = np.zeros_like(image)
    centred[0, top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return centred


def _decode(data: bytes, name: str, background: tuple[int, int, int]) -> Picture:
    notes: list[str] = []
    image = opened(data, name, notes)
    pixels = eight_bit(in_srgb(upright(image, notes), notes), background, notes)
    pixels.setflags(write=False)
    return Picture(name, pixels, container(image), tuple(notes))


def opened(data: bytes, name: str, notes: list[str]) -> ImageFile.ImageFile:
    """A file of which only the header was read. To be called inside `decoding`."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _check_size(image, name)
    if is_deep(image):
        if image.format == "TIFF":
            _see_deep_planes(image)
        if not image.mode.startswith("I"):  # those are scaled here, by what they hold
            notes.append(SCALED)
    if image.format == "PNG":
        _see_transparent_colour(image)
    if getattr(image, "is_animated", False):
        # Not "of 12": counting the frames of a hostile GIF or TIFF walks through the whole file.
        notes.append("first of several frames")
    return image


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether its values have 16 bits. To be asked before it is decoded."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))) == 16  # type: ignore[attr-defined]
    return image.format == "PNG" and any(";16" in str(tile) for tile in image.tile)


def _see_deep_planes(image: ImageFile.ImageFile) -> None:
    """Colours of 16 bits that lie one after the other, not packed, are bytes to Pillow, and the picture would be stripes."""
    order = {b"II": "L", b"MM": "B"}[image.tag_v2.prefix]  # type: ignore[attr-defined]
    for number, tile in enumerate(image.tile):
        args: Any = tile.args
        if tile.codec_name == "raw" and len(args[0]) == 1:
            mode = image.mode if args[0] == "I" else f"{args[0]};16{order}"
            image.tile[number] = tile._replace(args=(mode, *args[1:]))


def _see_transparent_colour(image: ImageFile.ImageFile) -> None:
    """The one that a PNG names is as deep as the file, to Pillow as the pixels that it makes of it: of 16 bits the high 8."""
    named, stored = image.info.get("transparency"), str(image.tile[0].args) if image.tile else ""
    if stored == "RGB;16B" and isinstance(named, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in named)
    if stored in FEW_BITS and isinstance(named, int):
        image.info["transparency"] = named * FEW_BITS[stored]


def upright(image: Image.Image, notes: list[str]) -> Image.Image:
    """The first frame, decoded, and turned as its EXIF tag says. To be called inside `decoding`."""
    orientation = orientation_of(image)
    image.load()
    if orientation in _UPRIGHT:
        notes.append("turned upright by its EXIF tag")
    # TIFF is turned by Pillow while loading and has lost its tag by now; all others still have it.
    return _turned(image, orientation_of(image))


def container(image: Image.Image) -> str:
    """One of `FORMATS`: what phones write as MPO is a JPEG with further pictures behind it."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def _check_size(image: Image.Image, name: str) -> None:
    """Judges by the header: nothing has been decoded yet."""
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limit = f"{MAX_PIXELS // 10**6} million in all and {MAX_SIDE} a side"
        raise Refused(name, f"has {width} × {height} pixels; the limit is {limit}. Save a smaller copy.")


def _reason(error: Exception, data: bytes) -> str:
    text = str(error).lower()
    if isinstance(error, Image.DecompressionBombError):
        return f"has far more pixels than the {MAX_PIXELS // 10**6} million allowed. Save a smaller copy."
    if isinstance(error, UnidentifiedImageError):
        return f"is {_kind(data)}. Save it as PNG or JPEG and try again."
    if isinstance(error, MemoryError):
        return "needs more memory than there is. Save a smaller copy."
    if isinstance(error, EOFError) or "truncated" in text or "unexpected end" in text:
        return "is cut short: the end of the file is missing. Copy or download it again."
    return "is damaged or of an unusual kind. Open it elsewhere, save it as PNG or JPEG and try again."


def _kind(data: bytes) -> str:
    """Of a file that Pillow does not know, by its first bytes."""
    if data[4:8] == b"ftyp" and data[8:12] in _PHONES:
        return "a HEIC or AVIF picture, which cannot be read here"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF of a kind that cannot be read here"
    return f"no {_FORMATS_IN_WORDS} picture that can be read, whatever its name says"


def orientation_of(image: Image.Image) -> int:
    """As EXIF numbers them: 1 is upright, and from 5 on width and height change places."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 (damaged metadata is no reason to refuse good pixels)
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def eight_bit(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> np.ndarray:
    """Any mode Pillow decodes to -> uint8 (H, W, 1 or 3); appends to `notes` what was changed."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        if image.has_transparency_data:
            notes.append("transparency left out")
        return _scaled(np.asarray(image), image.mode, notes)[:, :, None]
    if image.mode == "CMYK":
        notes.append("CMYK turned into RGB without its colour profile")
    gray, paletted = image.mode in ("1", "L", "LA", "La"), image.mode in ("P", "PA")
    if image.has_transparency_data:
        image = _opaque(image, background, notes)
        gray = gray and len(set(background)) == 1
    array = np.array(image.convert("L" if gray else "RGB"))
    if array.ndim == 2:
        return array[:, :, None]
    # A palette says how a picture is stored, not that it has colour.
    colourless = paletted and bool((array == array[:, :, :1]).all())
    return array[:, :, :1].copy() if colourless else array


def _scaled(values: np.ndarray, mode: str, notes: list[str]) -> np.ndarray:
    """Deep gray (H, W) -> uint8 (H, W): scaled, not clipped. An open range is told by the values."""
    deep = np.nan_to_num(values.astype(np.float64), copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(deep.min()), float(deep.max())
    if mode == "F" and low >= 0 and high <= 1:
        low, high, note = 0.0, 1.0, "values from 0 to 1 scaled to 8 bits"
    elif mode == "F" and low >= 0 and DIM < high <= 255:
        low, high, note = 0.0, 255.0, "fractional values rounded to 8 bits"
    elif mode == "I" and low >= 0 and 1 < high <= 255:  # room for more, in which somebody has put 8 bits
        low, high, note = 0.0, 255.0, "values up to 255 taken as 8 bits"
    elif mode != "F" and low >= 0 and high <= 65535:
        low, high, note = 0.0, 65535.0, SCALED
    else:
        note = f"values from {low:g} to {high:g} stretched to 8 bits"
    notes.append(note)
    deep -= low
    deep *= 255 / ((high - low) or 1.0)
    return np.rint(deep, out=deep).astype(np.uint8)


def _opaque(image: Image.Image, background: tuple[int, int, int], notes: list[str]) -> Image.Image:
    layered = image.convert("RGBA")
    lowest, _ = layered.getchannel("A").getextrema()
    if lowest == 255:
        return layered.convert("RGB")
    colour = {(255, 255, 255): "white", (0, 0, 0): "black"}.get(background, f"the colour {background}")
    notes.append(f"{LAID} {colour}")
    ground = Image.new("RGBA", layered.size, (*background, 255))
    return Image.alpha_composite(ground, layered).convert("RGB")


def _as_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    # Lanczos averages over the whole footprint of a target pixel; reducing_gap makes far reductions fast.
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def _centre_box(size: tuple[int, int], aspect: float) -> tuple[float, float, float, float]:
    """The largest centred (left, top, right, bottom) of the given width / height."""
    width, height = size
    inner_width, inner_height = min(width, height * aspect), min(height, width / aspect)
    left, top = (width - inner_width) / 2, (height - inner_height) / 2
    return left, top, left + inner_width, top + inner_height


def _padded(image: Image.Image, width: int, height: int) -> Image.Image:
    scale = min(width / image.width, height / image.height)
    inner = _resized(image, (max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    pixels = np.asarray(image).reshape(image.height, image.width, -1)
    colour = tuple(int(v) for v in np.median(_border(pixels), axis=0))
    canvas = Image.new(image.mode, (width, height), colour if len(colour) > 1 else colour[0])
    canvas.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return canvas


def _border(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (N, C): the outermost pixels."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _centre_of_mass(pixels: np.ndarray) -> tuple[float, float]:
    """(H, W) -> (row, column), in pixels; the middle where nothing has mass."""
    mass = pixels + 1e-6
    rows, columns = np.indices(mass.shape)
    return float((rows * mass).sum() / mass.sum()), float((columns * mass).sum() / mass.sum())
