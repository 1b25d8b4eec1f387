"""A photograph taken out of its file to be worked on, and put back into a file like the one that was brought.

Unlike a `Picture` of `core.intake`, an `Original` still knows its transparency, its colour profile and its EXIF data.
Pixels stay in the colour space of their profile, or of what a PNG says without one: nothing is converted. XMP, IPTC, texts and
comments are not carried over.

    JPEG  4:4:4, and each coefficient as fine as in the file that came in and as at `QUALITY`, whichever is finer
    WebP  lossless where the file was, else `QUALITY`
    TIFF  one page, deflate
    PNG   in place of GIF, BMP with transparency, and WebP that is too large
"""

import functools
import io
import itertools
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from core.intake import clean_name, container, decoding, eight_bit, opened, orientation_of, upright
from core.profiles import MAX_PROFILE, is_profile

MAX_BYTES = 150 * 2**20  # as many as three for each of the pixels that a picture may have
QUALITY = 95
MAX_EXIF = 65_533  # bytes that fit into a JPEG segment
WEBP_SIDE = 16_383  # pixels; only the canvas of an animation can be larger

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
_SPACES = {1: b"GRAY", 3: b"RGB "}  # of ICC profiles, by channels
_PNG = b"\x89PNG\r\n\x1a\n"
_EXIF = b"Exif\0\0"
_OLD_EXIF = "Raw profile type exif"  # in PNGs by ImageMagick
_STRIP = 2**18  # bytes of a TIFF that are packed together
_MIRRORS = 4  # times that what can be seen is mirrored; each time it grows threefold

# Chunks of a PNG that say what its values mean, and how many bytes they hold.
_COLOURS = {b"cICP": 4, b"cHRM": 32, b"gAMA": 4, b"sRGB": 1}

# Where Pillow puts XMP and IPTC, by name or as tags of a TIFF.
_XMP = {
    "xmp",
    "XML:com.adobe.xmp",
    "photoshop",
    *(f"Raw profile type {kind}" for kind in ("xmp", "iptc", "8bim")),
}
_XMP_TAGS = {ExifTags.Base.XMLPacket, ExifTags.Base.ImageResources, ExifTags.Base.IPTCNAA}

# The tags of a TIFF that say something about the photograph; all others say how the file is laid out.
_ABOUT = (
    ExifTags.Base.DocumentName,
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
# These lead to places in the file, which will be other ones.
_PLACES = (ExifTags.Base.MakerNote, ExifTags.IFD.Interop)


@dataclass(frozen=True, eq=False)
class Original:
    """A photograph and what its file said about it. Arrays are read-only.

    `notes` say in words what was changed on the way in, and what will be different in the file that `write` makes.
    """

    name: str
    # uint8 (H, W, 3) RGB or (H, W, 1) gray, upright; what lies under transparency as it is
    pixels: np.ndarray
    alpha: np.ndarray | None  # uint8 (H, W), 255 is opaque; None where all of it is
    format: str  # one of `intake.FORMATS`
    exif: bytes = b""  # true of the upright pixels, without thumbnail
    icc: bytes = b""  # of the colour space of the pixels
    colours: tuple[tuple[bytes, bytes], ...] = ()  # the same without a profile: chunks of a PNG
    dpi: tuple[float, float] | None = None
    quantisation: tuple[tuple[int, ...], ...] = ()  # of a JPEG: a table of 64 steps for each component
    lossless: bool = False  # of a WebP
    notes: tuple[str, ...] = ()


def read(data: bytes, name: str) -> Original:
    """Take the first frame out of a PNG, JPEG, WebP, BMP, TIFF or GIF file.

    EXIF data and colour profiles that are damaged, too large or made for other pixels are left out, with a note.

    Args:
        data: the whole file, at most `MAX_BYTES`.
        name: what the visitor calls it; `clean_name` makes it fit for display.

    Raises:
        Refused: as `intake.read` does. Nothing else is raised.
    """
    name = clean_name(name)
    with decoding(data, name, MAX_BYTES):
        return _decode(data, name)


def write(original: Original, pixels: np.ndarray) -> bytes:
    """The file that was brought, but with other pixels: uint8, of the shape of the original's.

    Raises ValueError for any other array.
    """
    if pixels.dtype != np.uint8 or pixels.shape != original.pixels.shape:
        raise ValueError(f"pixels must be uint8 {original.pixels.shape}, got {pixels.dtype} {pixels.shape}")
    layers = pixels if original.alpha is None else np.dstack([pixels, original.alpha])
    if _format(original) == "TIFF":
        return _tiff(original, layers)
    image = Image.fromarray(layers[:, :, 0] if layers.shape[2] == 1 else layers)
    options: dict[str, Any] = {"exif": original.exif, "icc_profile": original.icc}
    if original.dpi:
        options["dpi"] = original.dpi
    if _format(original) == "PNG":
        options["pnginfo"] = _info(original)
    if _format(original) == "JPEG":
        options |= {"qtables": _tables(original), "subsampling": "4:4:4"}
    if _format(original) == "WEBP":
        options |= {"lossless": original.lossless, "exact": True, "quality": QUALITY}
    out = io.BytesIO()
    image.save(out, _format(original), **options)
    return out.getvalue()


def seen(original: Original) -> np.ndarray:
    """The pixels for a net to look at: what is wholly transparent lies mirrored there, as if what can be seen went on.

    A net looks at what surrounds a pixel. Whatever a file holds where nobody sees it would seep into its edges, and be taken for
    a part of the noise.
    """
    hidden = _hidden(original)
    if not hidden.any() or hidden.all():
        return original.pixels
    pixels = original.pixels.copy()
    for _ in range(_MIRRORS):
        hidden = _mirrored(pixels, hidden)
        if not hidden.any():
            return pixels
    pixels[hidden] = pixels[~hidden].mean(0).round()
    return pixels


def covered(original: Original, pixels: np.ndarray) -> np.ndarray:
    """What a net made of them, and what is wholly transparent as it was."""
    hidden = _hidden(original)
    return np.where(hidden[:, :, None], original.pixels, pixels) if hidden.any() else pixels


def _hidden(original: Original) -> np.ndarray:
    """Where nothing is to be seen, bool (H,W)."""
    if original.alpha is None:
        return np.zeros(original.pixels.shape[:2], bool)
    return original.alpha == 0


def _mirrored(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """Fill hidden pixels across the nearest edge, in place, as far as there is something to mirror; the rest is given back."""
    from scipy.ndimage import distance_transform_edt

    rest = hidden.copy()
    edge = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    # row by row: a large picture has no room for all places at once
    for row in np.flatnonzero(hidden.any(1)):
        columns = np.flatnonzero(hidden[row])
        rows, across = 2 * edge[0, row, columns] - row, 2 * edge[1, row, columns] - columns
        inside = (rows >= 0) & (rows < hidden.shape[0]) & (across >= 0) & (across < hidden.shape[1])
        columns, rows, across = columns[inside], rows[inside], across[inside]
        there = ~hidden[rows, across]
        pixels[row, columns[there]] = pixels[rows[there], across[there]]
        rest[row, columns[there]] = False
    return rest


def suffix(original: Original) -> str:
    """Of the name of the file that `write` makes, with its dot."""
    return _SUFFIXES[_format(original)]


def denoised_name(original: Original) -> str:
    """holiday.JPG -> holiday-denoised.jpg"""
    stem = re.sub(r"\.[a-z][a-z0-9]{1,4}$", "", original.name, flags=re.IGNORECASE).strip(". ")
    return f"{stem or 'picture'}-denoised{suffix(original)}"


def unused(name: str, taken: set[str]) -> str:
    """`name`, with a number before it where another has it; then it is taken too. To many disks, A and a are the same."""
    numbered = (f"{number:02}-{name}" for number in itertools.count(2))
    free = next(one for one in itertools.chain([name], numbered) if one.casefold() not in taken)
    taken.add(free.casefold())
    return free


def _format(original: Original) -> str:
    """What it is written as."""
    side = max(original.pixels.shape)
    return "PNG" if _unfit(original.format, side, original.alpha is not None) else original.format


def _unfit(format: str, side: int, transparent: bool) -> str:
    """Why such a picture is written as PNG; empty where it is written as what it was."""
    if format == "GIF":
        return "a GIF holds no more than 256 colours"
    if format == "BMP" and transparent:
        return "a BMP would lose its transparency"
    if format == "WEBP" and side > WEBP_SIDE:
        return f"a WebP holds no more than {WEBP_SIDE} pixels a side"
    return ""


# --- from the file ---


def _decode(data: bytes, name: str) -> Original:
    notes: list[str] = []
    data, profile = _without_profile(data)
    image = opened(data, name, notes)
    gray = any("LA;16" in str(tile) for tile in image.tile)  # which Pillow opens in three equal colours
    sideways = orientation_of(image) > 4
    bare, alpha = _uncovered(upright(image, notes), gray)
    pixels = eight_bit(bare, (255, 255, 255), notes)
    height, width, channels = pixels.shape
    notes += _changes(image, channels)
    if why := _unfit(container(image), max(pixels.shape), alpha is not None):
        notes.append(f"written as PNG: {why}")
    for array in (pixels, alpha):
        if array is not None:
            array.setflags(write=False)
    return Original(
        name,
        pixels,
        alpha,
        container(image),
        exif=_exif(image, width, height, sideways, notes),
        icc=b"" if image.mode == "CMYK" else _icc(image.info | profile, channels, notes),
        colours=_colours(data),
        dpi=_dpi(image, sideways),
        quantisation=_quantisation(image),
        lossless=image.format == "WEBP" and _is_lossless(data),
        notes=tuple(notes),
    )


def _uncovered(image: Image.Image, gray: bool) -> tuple[Image.Image, np.ndarray | None]:
    """The picture without its transparency, and that: uint8 (H, W), or None where all is opaque."""
    if not image.has_transparency_data or image.mode.startswith("I"):  # of which `eight_bit` says it
        return image, None
    layered = image.convert("RGBA")
    alpha = np.array(layered.getchannel("A"))
    bare = layered.convert("L" if gray or image.mode in ("1", "L", "LA", "La") else "RGB")
    return bare, None if alpha.min() == 255 else alpha


def _changes(image: Image.Image, channels: int) -> list[str]:
    """How the file to come will differ from the one that came, apart from what is noted already."""
    changes = []
    if image.mode in ("P", "PA") and image.format != "GIF":
        changes.append(f"palette turned into {'gray' if channels == 1 else 'RGB'}")
    if image.mode == "1":
        changes.append("black and white turned into gray")
    texts, tags = _texts(image), set(getattr(image, "tag_v2", ()))
    if _XMP & (image.info.keys() | texts) or _XMP_TAGS & tags:
        changes.append("XMP and IPTC data left out")
    if texts - _XMP - {_OLD_EXIF}:
        changes.append("texts left out")
    elif "comment" in image.info:  # of a JPEG or GIF
        changes.append("comment left out")
    return changes


def _texts(image: Image.Image) -> set[str]:
    """What the texts in a PNG are called. For those of an animated one, Pillow would go through all of its frames."""
    return set() if getattr(image, "is_animated", False) else set(getattr(image, "text", ()))


def _dpi(image: Image.Image, sideways: bool) -> tuple[float, float] | None:
    if image.format == "TIFF" and ExifTags.Base.XResolution not in image.tag_v2:  # type: ignore[attr-defined]
        return None  # of which Pillow makes one dot an inch
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    if not (1 <= across <= 65_535 and 1 <= down <= 65_535):
        return None
    return (down, across) if sideways else (across, down)


def _quantisation(image: Image.Image) -> tuple[tuple[int, ...], ...]:
    """The table of each component of a JPEG; none for other formats."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    used = [tables.get(layer[3], []) for layer in getattr(image, "layer", ())]
    return tuple(tuple(table) for table in used) if all(len(table) == 64 for table in used) else ()


def _is_lossless(webp: bytes) -> bool:
    """Whether the first picture in the file is: it may lie beside other chunks, or inside that of a frame."""
    at = 12
    while at + 8 <= len(webp):
        kind, length = struct.unpack_from("<4sI", webp, at)
        if kind in (b"VP8 ", b"VP8L"):
            return bool(kind == b"VP8L")
        at += 8 + (16 if kind == b"ANMF" else length + length % 2)
    return False


# --- colour profiles ---


def _icc(info: dict[Any, Any], channels: int, notes: list[str]) -> bytes:
    """The profile byte for byte, where it is whole and made for such pixels."""
    if "icc_profile" not in info:
        return b""
    profile = info["icc_profile"]
    if not isinstance(profile, bytes) or not is_profile(profile):
        notes.append("colour profile left out: it is damaged or too large")
        return b""
    if profile[16:20] != _SPACES[channels]:
        notes.append(f"colour profile left out: it is not made for {'gray' if channels == 1 else 'RGB'}")
        return b""
    return profile


def _without_profile(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """A PNG, and its profile as Pillow would file it: Pillow itself refuses the whole picture for a bad one.

    A profile that cannot be unpacked is empty. Other files are returned as they are.
    """
    profiles = [(start, end) for kind, start, end in _chunks(data) if kind == b"iCCP"]
    if not profiles:
        return data, {}
    start, end = profiles[0]
    edges = [0, *itertools.chain(*profiles), len(data)]
    rest = b"".join(data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    return rest, {"icc_profile": _unpacked(data[start + 8 : end - 4])}


def _colours(data: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Each of `_COLOURS` that is whole, with its content."""
    found = {kind: data[start + 8 : end - 4] for kind, start, end in _chunks(data) if kind in _COLOURS}
    return tuple((kind, told) for kind, told in found.items() if len(told) == _COLOURS[kind])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of everything before the pixels of a PNG; nothing for other files."""
    at = len(_PNG) if data.startswith(_PNG) else len(data)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return
        yield kind, at, at + 12 + length
        at += 12 + length


def _unpacked(chunk: bytes) -> bytes:
    """The profile in an iCCP chunk (PNG 11.3.2.3), which is a name, 0, the method, and packed bytes."""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(chunk.partition(b"\0")[2][1:], MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if unpacker.eof else b""


# --- EXIF ---


def _exif(image: Image.Image, width: int, height: int, sideways: bool, notes: list[str]) -> bytes:
    try:
        found = _exif_of_tiff(image) if image.format == "TIFF" else _exif_block(image.info)
        exif = _trued(found, width, height, sideways) if found else b""
        if len(exif) <= MAX_EXIF:
            return exif
    except Exception:  # noqa: BLE001 (damaged metadata is no reason to refuse good pixels)
        pass
    notes.append("EXIF data left out: they are damaged or too large")
    return b""


def _exif_block(info: dict[Any, Any]) -> bytes:
    """As it lies in a JPEG, WebP or PNG, from its TIFF header on."""
    block: bytes = info.get("exif", b"")
    if not block and _OLD_EXIF in info:
        block = bytes.fromhex("".join(info[_OLD_EXIF].split("\n")[3:]))
    return block.removeprefix(_EXIF).removeprefix(_EXIF)


def _exif_of_tiff(image: Image.Image) -> bytes:
    """A TIFF has no such block: it is one. What it says about the photograph is gathered into a new one."""
    exif, kept = image.getexif(), Image.Exif()
    for tag in _ABOUT:
        if tag in exif:
            kept[tag] = _verbatim(exif[tag])
    for part in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        if about := {
            tag: _verbatim(value) for tag, value in exif.get_ifd(part).items() if tag not in _PLACES
        }:
            kept[part] = about
    return kept.tobytes().removeprefix(_EXIF) if len(kept) else b""


def _trued(block: bytes, width: int, height: int, sideways: bool) -> bytes:
    """The block, upright, of this size and without its thumbnail; resolutions change places where width and height did.

    It is changed in place: a camera's own notes hold offsets that nobody could mend.

    Raises an exception of any kind for a damaged one.
    """
    tiff = bytearray(block)
    order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(tiff[:4])]
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    entries, end = _directory(tiff, order, start)
    if end + 4 <= len(tiff):
        with suppress(struct.error):
            _blank_thumbnail(tiff, order, *struct.unpack_from(f"{order}I", tiff, end))
        struct.pack_into(f"{order}I", tiff, end, 0)
    true: dict[int, int] = {
        ExifTags.Base.Orientation: 1,
        ExifTags.Base.ImageWidth: width,
        ExifTags.Base.ImageLength: height,
        ExifTags.Base.ExifImageWidth: width,
        ExifTags.Base.ExifImageHeight: height,
    }
    if sideways:
        _exchange(tiff, dict(entries), ExifTags.Base.XResolution, ExifTags.Base.YResolution)
    # of several pointers the last, as Pillow does: a block may have thousands, each to a directory of thousands
    inner = dict(entries).get(ExifTags.IFD.Exif)
    if inner is not None:
        entries += _directory(tiff, order, *struct.unpack_from(f"{order}I", tiff, inner + 8))[0]
    for tag, at in entries:
        if tag in true:
            struct.pack_into(f"{order}HHIHH", tiff, at, tag, 3, 1, true[tag], 0)  # one number of type SHORT
    exif = Image.Exif()
    exif.load(_EXIF + tiff)
    if exif.get(ExifTags.Base.Orientation, 1) != 1:
        raise ValueError("another reader would turn the picture once more")
    return _EXIF + bytes(tiff)


def _directory(tiff: bytes | bytearray, order: str, start: int) -> tuple[list[tuple[int, int]], int]:
    """Each entry's tag and place, and the end of the list (TIFF 6.0, section 2)."""
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    end = start + 2 + 12 * count
    return [(struct.unpack_from(f"{order}H", tiff, at)[0], at) for at in range(start + 2, end, 12)], end


def _exchange(tiff: bytearray, entries: dict[int, int], *tags: int) -> None:
    """What two entries say, where there are both: their type, count and value."""
    if all(tag in entries for tag in tags):
        one, other = (slice(entries[tag] + 2, entries[tag] + 12) for tag in tags)
        tiff[one], tiff[other] = tiff[other], tiff[one]


def _blank_thumbnail(tiff: bytearray, order: str, start: int) -> None:
    """It shows the photograph as it was, and lying on its side."""
    if not start:
        return
    entries, _ = _directory(tiff, order, start)
    says = {tag: struct.unpack_from(f"{order}I", tiff, at + 8)[0] for tag, at in entries}
    begin = says.get(ExifTags.Base.JpegIFOffset, len(tiff))
    shown = tiff[begin : begin + says.get(ExifTags.Base.JpegIFByteCount, 0)]
    tiff[begin : begin + len(shown)] = bytes(len(shown))


# --- to the file ---


def _info(original: Original) -> PngInfo:
    info = PngInfo()
    for kind, told in original.colours:
        info.add(kind, told)
    return info


def _tables(original: Original) -> list[list[int]]:
    """Quantisation for light and for colour: the finer step of what came in and of `QUALITY`."""
    light, colour = _tables_at(QUALITY)
    first, *others = original.quantisation or (light,)
    tables = [_finest(light, first), _finest(colour, *others)]
    return tables[: 1 if original.pixels.shape[2] == 1 else 2]


def _finest(*tables: tuple[int, ...]) -> list[int]:
    return [max(1, min(steps)) for steps in zip(*tables, strict=True)]


@functools.cache
def _tables_at(quality: int) -> list[tuple[int, ...]]:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG", quality=quality)
    with Image.open(out, formats=["JPEG"]) as image:
        return list(_quantisation(image))[:2]


def _tiff(original: Original, layers: np.ndarray) -> bytes:
    """Written here, because the one packed TIFF that Pillow makes loses camera and place."""
    height, width, depth = layers.shape
    steps = layers.copy()
    steps[:, 1:] -= layers[:, :-1]  # to the pixel on the left: these pack better
    rows = max(1, _STRIP // (width * depth))
    strips = [zlib.compress(steps[top : top + rows].tobytes()) for top in range(0, height, rows)]

    tags = _tags(original.exif)
    tags[ExifTags.Base.ImageWidth] = width
    tags[ExifTags.Base.ImageLength] = height
    tags[ExifTags.Base.BitsPerSample] = (8,) * depth
    tags[ExifTags.Base.Compression] = 8  # deflate
    tags[ExifTags.Base.Predictor] = 2  # horizontal differences
    tags[ExifTags.Base.PhotometricInterpretation] = 1 if original.pixels.shape[2] == 1 else 2  # gray, RGB
    tags[ExifTags.Base.SamplesPerPixel] = depth
    tags[ExifTags.Base.PlanarConfiguration] = 1
    tags[ExifTags.Base.RowsPerStrip] = rows
    tags[ExifTags.Base.StripByteCounts] = tuple(map(len, strips))
    tags[ExifTags.Base.StripOffsets] = tuple(int(at) for at in np.cumsum([0, *map(len, strips[:-1])]))
    if original.alpha is not None:
        tags[ExifTags.Base.ExtraSamples] = 2  # opacity, by which colours are not multiplied
    if original.icc:
        tags[ExifTags.Base.InterColorProfile] = original.icc
    if original.dpi:
        tags[ExifTags.Base.XResolution], tags[ExifTags.Base.YResolution] = original.dpi
        tags[ExifTags.Base.ResolutionUnit] = 2  # inch
    out = io.BytesIO()
    tags.save(out)  # which moves the offsets behind what it writes itself
    return out.getvalue() + b"".join(strips)


def _tags(block: bytes) -> ImageFileDirectory_v2:
    """Of EXIF data that `_exif_of_tiff` gathered."""
    tags, exif = ImageFileDirectory_v2(), Image.Exif()
    exif.load(block)
    for tag, value in exif.items():
        if tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            tags[tag] = {inner: _verbatim(one) for inner, one in exif.get_ifd(tag).items()}
        else:
            tags[tag] = _verbatim(value)
    return tags


class _Text(str):
    """A text of a TIFF as Pillow reads it, one letter for a byte, and as it has to be written: Pillow would put a ? for every
    byte that is not ASCII."""

    def encode(self, *_: object) -> bytes:
        return super().encode("latin-1")


def _verbatim(value: Any) -> Any:
    return _Text(value) if isinstance(value, str) else value
