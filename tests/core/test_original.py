"""What was brought comes back: format, size, transparency, colour profile and EXIF data, whatever the file is like."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from core import intake, original
from core.intake import Refused
from core.original import Original, denoised_name, read, suffix, unused, write
from core.profiles import MAX_PROFILE
from tests.core.test_intake import SEEDS, chunk, encoded, mutated, png

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GRAY = COLOUR[:, :, 0]
ALPHA = RNG.integers(0, 256, (12, 20), dtype=np.uint8)
RGBA = Image.fromarray(np.dstack([COLOUR, ALPHA]))
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]
CMYK_PROFILE = SRGB[:16] + b"CMYK" + SRGB[20:]
KEEPS_EXIF = ("PNG", "JPEG", "WEBP", "TIFF")
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
OPTIONS: dict[str, dict[str, Any]] = LOSSLESS | {"JPEG": {"quality": 97, "subsampling": 0}}
PLACE = {1: "N", 2: (IFDRational(51), IFDRational(30), IFDRational(1, 2))}
TAKEN = "2024:05:03 10:20:30"


def camera(orientation: int = 1, description: str = "") -> bytes:
    exif = Image.Exif()
    if description:
        exif[ExifTags.Base.ImageDescription] = description
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.DateTime] = TAKEN
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: TAKEN,
        ExifTags.Base.ExposureTime: IFDRational(1, 50),
        ExifTags.Base.ExifImageWidth: 20,
        ExifTags.Base.ExifImageHeight: 12,
        ExifTags.Base.MakerNote: b"secret of the maker",
    }
    exif[ExifTags.IFD.GPSInfo] = PLACE
    return exif.tobytes()


def with_thumbnail(exif: bytes, thumbnail: bytes) -> bytes:
    """A second directory behind the first, which Pillow does not write."""
    tiff = bytearray(exif.removeprefix(b"Exif\0\0"))
    order = "<" if tiff.startswith(b"II") else ">"
    end = 8 + 2 + 12 * struct.unpack_from(f"{order}H", tiff, 8)[0]
    struct.pack_into(f"{order}I", tiff, end, len(tiff))
    begin = len(tiff) + 2 + 2 * 12 + 4
    tiff += struct.pack(f"{order}HHHIIHHIII", 2, 0x0201, 4, 1, begin, 0x0202, 4, 1, len(thumbnail), 0)
    return b"Exif\0\0" + bytes(tiff) + thumbnail


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def same(one: Original) -> Image.Image:
    """Written with the pixels it came with."""
    return opened(write(one, one.pixels))


# --- there and back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", LOSSLESS)
@pytest.mark.parametrize("pixels", [COLOUR, GRAY], ids=["colour", "gray"])
def test_lossless_formats_give_back_every_pixel(format: str, pixels: np.ndarray) -> None:
    one = read(encoded(pixels, format, **LOSSLESS[format]), "x")
    cleaned = 255 - one.pixels
    back = opened(write(one, cleaned))
    assert back.format == format == one.format
    assert np.array_equal(np.array(back).reshape(cleaned.shape), cleaned)
    assert np.array_equal(read(write(one, cleaned), "x").pixels, cleaned)


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (513, 1031)])
def test_a_tiff_of_any_size_comes_back_packed(size: tuple[int, int]) -> None:
    smooth = np.add.outer(np.arange(size[0]), np.arange(size[1])).astype(np.uint8)
    one = read(encoded(np.dstack([smooth] * 3), "TIFF"), "x")
    data = write(one, one.pixels)
    assert np.array_equal(np.array(opened(data)), one.pixels)
    assert size != (513, 1031) or len(data) < one.pixels.size / 20


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_formats_stay_close(format: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    one = read(encoded(np.dstack([smooth, smooth, 255 - smooth]), format, quality=60), "x")
    back = same(one)
    assert back.format == format
    assert np.abs(np.array(back).astype(int) - one.pixels).mean() < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", KEEPS_EXIF)
def test_turned_pixels_go_back_with_exif_that_is_true_of_them(format: str, orientation: int) -> None:
    data = encoded(COLOUR, format, exif=camera(orientation), **OPTIONS[format])
    one = read(data, "x")
    assert np.array_equal(one.pixels, intake.read(data, "x").pixels)
    assert one.pixels.shape[:2] == ((12, 20) if orientation < 5 else (20, 12))
    back = same(one)
    height, width = one.pixels.shape[:2]
    exif, details = back.getexif(), back.getexif().get_ifd(ExifTags.IFD.Exif)
    assert back.size == (width, height)
    assert exif.get(ExifTags.Base.Orientation, 1) == 1
    assert (exif[ExifTags.Base.Make], exif[ExifTags.Base.DateTime]) == ("Canon", TAKEN)
    assert exif.get_ifd(ExifTags.IFD.GPSInfo) == PLACE
    assert details[ExifTags.Base.DateTimeOriginal] == TAKEN
    assert details[ExifTags.Base.ExposureTime] == IFDRational(1, 50)
    assert (details[ExifTags.Base.ExifImageWidth], details[ExifTags.Base.ExifImageHeight]) == (width, height)
    again = read(write(one, one.pixels), "x")
    assert again.notes == () and again.exif == one.exif
    assert np.abs(again.pixels.astype(int) - one.pixels).max() <= (0 if format in LOSSLESS else 24)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_exif_changes_only_where_it_would_lie(format: str) -> None:
    before, after = camera(6), read(encoded(COLOUR, format, exif=camera(6)), "x").exif
    assert len(after) == len(before)
    assert sum(a != b for a, b in zip(before, after, strict=True)) <= 8
    assert b"secret of the maker" in after


def test_the_thumbnail_goes_and_the_rest_stays() -> None:
    thumbnail = encoded(GRAY, "JPEG")
    one = read(encoded(COLOUR, "JPEG", exif=with_thumbnail(camera(3), thumbnail)), "x")
    assert thumbnail[:40] not in one.exif
    exif = same(one).getexif()
    assert exif.get_ifd(ExifTags.IFD.IFD1) == {}
    assert exif.get_ifd(ExifTags.IFD.GPSInfo) == PLACE


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
def test_a_tiff_of_several_pages_gives_its_first(compression: str) -> None:
    more = [Image.fromarray(COLOUR[::-1].copy())]
    one = read(encoded(COLOUR, "TIFF", compression=compression, save_all=True, append_images=more), "x")
    assert one.notes == ("first of several frames",)
    assert np.array_equal(np.array(same(one)), one.pixels)
    assert getattr(same(one), "n_frames", 1) == 1


def test_exif_of_old_pngs_is_found() -> None:
    block = camera(6)
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    body = b"Raw profile type exif\0\0" + zlib.compress(text)
    data = encoded(COLOUR)
    one = read(data[:33] + chunk(b"zTXt", body) + data[33:], "x")
    assert one.pixels.shape == (20, 12, 3)
    assert same(one).getexif()[ExifTags.Base.Make] == "Canon"


@pytest.mark.parametrize(
    ("format", "pixels", "profile"),
    [
        *((format, COLOUR, SRGB) for format in KEEPS_EXIF),
        *((format, GRAY, GRAY_PROFILE) for format in KEEPS_EXIF if format != "WEBP"),  # which has no gray
    ],
)
def test_the_profile_comes_back_byte_for_byte(format: str, pixels: np.ndarray, profile: bytes) -> None:
    one = read(encoded(pixels, format, icc_profile=profile), "x")
    assert same(one).info["icc_profile"] == profile and one.notes == ()


LINEAR = {
    b"gAMA": struct.pack(">I", 100_000),
    b"cHRM": struct.pack(">8I", 31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000),
    b"cICP": bytes([12, 8, 0, 1]),
}


@pytest.mark.parametrize("pixels", [COLOUR, GRAY], ids=["colour", "gray"])
def test_what_a_png_says_of_its_colours_without_a_profile_comes_back(pixels: np.ndarray) -> None:
    """Else a linear or wide picture would look like another one."""
    data = encoded(pixels)
    told = b"".join(chunk(kind, body) for kind, body in LINEAR.items())
    one = read(data[:33] + told + data[33:], "x")
    back = write(one, one.pixels)
    assert one.notes == () and dict(one.colours) == LINEAR
    assert all(back.count(chunk(kind, body)) == 1 for kind, body in LINEAR.items())
    assert back.index(b"cHRM") < back.index(b"IDAT") and opened(back).info["gamma"] == 1.0


def test_srgb_stands_beside_no_profile() -> None:
    data = encoded(COLOUR, icc_profile=SRGB)
    one = read(data[:33] + chunk(b"sRGB", b"\0") + chunk(b"gAMA", bytes(3) + b"\1") + data[33:], "x")
    back = write(one, one.pixels)
    assert one.icc == SRGB and b"iCCP" in back and b"sRGB" not in back
    assert dict(read(encoded(COLOUR)[:33] + chunk(b"sRGB", b"\0") + encoded(COLOUR)[33:], "x").colours) == {
        b"sRGB": b"\0"
    }


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparency_comes_back_exactly(format: str) -> None:
    one = read(encoded(RGBA, format, **LOSSLESS[format] | ({"exact": True} if format == "WEBP" else {})), "x")
    assert np.array_equal(one.pixels, COLOUR), "pixels lie under the transparency"
    assert one.alpha is not None and np.array_equal(one.alpha, ALPHA)
    assert np.array_equal(np.array(same(one)), np.array(RGBA))


def test_transparency_of_a_lossy_webp_is_kept_exactly() -> None:
    one = read(encoded(RGBA, "WEBP", quality=80), "x")
    assert not one.lossless
    assert np.array_equal(np.array(same(one))[:, :, 3], ALPHA)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_gray_with_transparency_stays_that(format: str) -> None:
    layered = Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(ALPHA)])
    one = read(encoded(layered, format), "x")
    assert one.pixels.shape == (12, 20, 1)
    assert same(one).mode == "LA" and np.array_equal(np.array(same(one)), np.array(layered))


def test_transparency_turns_with_the_picture() -> None:
    one = read(encoded(RGBA, exif=camera(6)), "x")
    assert one.alpha is not None and np.array_equal(one.alpha, np.rot90(ALPHA, -1))


def test_an_opaque_channel_is_none() -> None:
    one = read(encoded(np.dstack([COLOUR, np.full_like(ALPHA, 255)])), "x")
    assert one.alpha is None and one.notes == ()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "BMP"])
def test_the_resolution_comes_back_and_turns_with_the_picture(format: str) -> None:
    exif = {} if format == "BMP" else {"exif": camera(6)}
    one = read(encoded(COLOUR, format, dpi=(300, 600), **exif), "x")
    expected = (300, 600) if format == "BMP" else (600, 300)
    assert same(one).info["dpi"] == pytest.approx(expected, abs=1)


def test_arrays_are_read_only_and_other_shapes_are_an_error() -> None:
    one = read(encoded(RGBA), "x")
    with pytest.raises(ValueError, match="read-only"):
        one.pixels[0, 0, 0] = 1
    for wrong in (one.pixels[:-1], one.pixels[:, :, :1], one.pixels.astype(float)):
        with pytest.raises(ValueError, match=r"uint8 \(12, 20, 3\)"):
            write(one, wrong)


# --- quality ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [10, 75, 94, 95, 98, 100])
@pytest.mark.parametrize("pixels", [COLOUR, GRAY], ids=["colour", "gray"])
def test_a_jpeg_is_never_coarser_than_it_was_nor_than_95(quality: int, pixels: np.ndarray) -> None:
    data = encoded(pixels, "JPEG", quality=quality)
    back, before, least = same(read(data, "x")), opened(data), opened(encoded(pixels, "JPEG", quality=95))
    tables = [image.quantization for image in (back, before, least)]  # type: ignore[attr-defined]
    assert tables[0].keys() == tables[1].keys()
    for key, table in tables[0].items():
        assert table == [min(pair) for pair in zip(tables[1][key], tables[2][key], strict=True)]
    assert all(layer[1:3] == (1, 1) for layer in back.layer)  # type: ignore[attr-defined]


def test_a_table_for_each_component_counts() -> None:
    tables = [[9] * 64, [1] * 64, [7] * 64]
    one = read(encoded(COLOUR, "JPEG", qtables=tables), "x")
    assert [table[0] for table in one.quantisation] == [9, 1, 7]
    assert same(one).quantization[1] == [1] * 64  # type: ignore[attr-defined]


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("kind", ["plain", "with chunks", "animated"])
def test_webp_is_lossless_where_it_was(lossless: bool, kind: str) -> None:
    options: dict[str, Any] = {}
    if kind == "with chunks":
        options = {"exif": camera(), "icc_profile": SRGB}
    if kind == "animated":
        options = {"save_all": True, "append_images": [Image.fromarray(COLOUR[::-1].copy())]}
    one = read(encoded(COLOUR, "WEBP", lossless=lossless, **options), "x")
    assert one.lossless == lossless
    assert (b"VP8L" in write(one, one.pixels)) == lossless


def test_twelve_megapixels_lying_on_their_side() -> None:
    rows, columns = np.indices((3000, 4000), dtype=np.uint16)
    photo = np.dstack([rows // 12, columns // 16, (rows + columns) // 28]).astype(np.uint8)
    one = read(encoded(photo, "JPEG", quality=90, exif=camera(8), icc_profile=SRGB), "IMG_0001.JPG")
    assert one.pixels.shape == (4000, 3000, 3)
    data = write(one, one.pixels)
    back = opened(data)
    assert back.size == (3000, 4000) and len(data) < intake.MAX_BYTES
    assert np.abs(np.array(back).astype(np.int16) - np.rot90(photo)).max() <= 6


# --- what becomes something else, and is said ---------------------------------------------------------------


def test_a_gif_becomes_a_png_with_its_transparency() -> None:
    paletted = Image.new("P", (2, 1))
    paletted.putpalette([10, 20, 30, 200, 100, 50])
    paletted.putpixel((1, 0), 1)
    one = read(encoded(paletted, "GIF", transparency=0), "dance.gif")
    back = same(one)
    assert (one.format, back.format, suffix(one)) == ("GIF", "PNG", ".png")
    assert np.array(back).tolist() == [[[10, 20, 30, 0], [200, 100, 50, 255]]]
    assert one.notes == ("written as PNG: a GIF holds no more than 256 colours",)


def test_a_bmp_with_transparency_becomes_a_png() -> None:
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0) + masks + bytes(52)
    pixels = bytes([1, 2, 3, 4, 5, 6, 7, 255])
    data = b"BM" + struct.pack("<IHHI", 14 + 108 + 8, 0, 0, 14 + 108) + header + pixels
    one = read(data, "x.bmp")
    assert np.array(same(one)).tolist() == [[[3, 2, 1, 4], [7, 6, 5, 255]]]
    assert one.notes == ("written as PNG: a BMP would lose its transparency",) and suffix(one) == ".png"


def test_a_webp_canvas_that_is_too_large_becomes_a_png() -> None:
    frames = {"save_all": True, "append_images": [Image.fromarray(COLOUR[::-1].copy())]}
    data = bytearray(encoded(COLOUR, "WEBP", **frames))
    data[24:27] = (16_400 - 1).to_bytes(3, "little")  # the width in the VP8X chunk
    one = read(bytes(data), "x.webp")
    assert one.pixels.shape == (12, 16_400, 3)
    assert same(one).format == "PNG" and one.notes[-1].startswith("written as PNG: a WebP")


def titled(keyword: str, text: str = "holiday") -> bytes:
    info = PngInfo()
    info.add_text(keyword, text)
    return encoded(COLOUR, pnginfo=info)


def tagged(tag: int) -> bytes:
    tags = ImageFileDirectory_v2()
    tags[tag], tags.tagtype[tag] = b"more", 7
    return encoded(COLOUR, "TIFF", tiffinfo=tags)


@pytest.mark.parametrize(
    ("data", "mode", "note"),
    [
        (encoded(Image.fromarray(COLOUR).quantize(16)), "RGB", "palette turned into RGB"),
        (encoded(Image.fromarray(GRAY).convert("1")), "L", "black and white turned into gray"),
        (encoded(GRAY.astype(np.uint16) * 257), "L", "16-bit values scaled to 8 bits"),
        (png(1, 1, b"\0" + bytes(6), depth=16, colour=2), "RGB", "16-bit values scaled to 8 bits"),
        (png(1, 1, b"\0" + bytes(8), depth=16, colour=6), "RGBA", "16-bit values scaled to 8 bits"),
        (encoded(Image.fromarray(GRAY).convert("1"), "TIFF"), "L", "black and white turned into gray"),
        (encoded(COLOUR, "JPEG", xmp=b"<x/>"), "RGB", "XMP and IPTC data left out"),
        *((tagged(tag), "RGB", "XMP and IPTC data left out") for tag in (700, 33_723, 34_377)),
        (titled("Raw profile type iptc"), "RGB", "XMP and IPTC data left out"),
        (titled("XML:com.adobe.xmp"), "RGB", "XMP and IPTC data left out"),
        (titled("Title"), "RGB", "texts left out"),
        (titled("comment"), "RGB", "texts left out"),
        (
            encoded(COLOUR, "PNG")[:-12] + chunk(b"tEXt", b"Author\0me") + encoded(COLOUR)[-12:],
            "RGB",
            "texts left out",
        ),
        (encoded(COLOUR, "JPEG", comment=b"from the sea"), "RGB", "comment left out"),
    ],
)
def test_what_will_be_different_is_said(data: bytes, mode: str, note: str) -> None:
    one = read(data, "x")
    assert one.notes == (note,)
    assert same(one).mode == mode


def test_a_cmyk_jpeg_becomes_rgb_without_its_profile() -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    one = read(encoded(cyan, "JPEG", quality=95, icc_profile=CMYK_PROFILE, exif=camera()), "x")
    back = same(one)
    assert back.mode == "RGB" and "icc_profile" not in back.info
    assert back.getexif()[ExifTags.Base.Make] == "Canon"
    assert one.notes == ("CMYK turned into RGB without its colour profile",)


def test_a_phones_multi_picture_jpeg_becomes_a_jpeg() -> None:
    frames = [Image.fromarray(COLOUR), Image.fromarray(COLOUR[::-1].copy())]
    one = read(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], exif=camera(6)), "x")
    back = same(one)
    assert (one.format, back.format, back.size) == ("JPEG", "JPEG", (12, 20))
    assert back.getexif()[ExifTags.Base.Make] == "Canon"


# --- metadata that are damaged, huge or hostile -------------------------------------------------------------


@pytest.mark.parametrize(
    "profile",
    [
        b"junk",
        SRGB[:200],
        SRGB[:36] + b"nope" + SRGB[40:],
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        SRGB[:136] + b"\xff\xff\xff\xff" + SRGB[140:],
        SRGB + bytes(MAX_PROFILE),
    ],
    ids=["junk", "cut", "signature", "count", "offset", "huge"],
)
@pytest.mark.parametrize("format", KEEPS_EXIF)
def test_a_bad_profile_costs_only_itself(format: str, profile: bytes) -> None:
    one = read(encoded(COLOUR, format, icc_profile=profile), "x")
    assert one.icc == b"" and one.notes == ("colour profile left out: it is damaged or too large",)
    assert "icc_profile" not in same(one).info


@pytest.mark.parametrize(
    "body",
    [
        b"name\0\0" + zlib.compress(bytes(50 * 2**20)),
        b"name\0\0no zlib",
        b"name\0\7" + zlib.compress(SRGB),
        b"name",
        b"",
    ],
    ids=["bomb", "unpackable", "unknown method", "name only", "empty"],
)
def test_a_bad_profile_chunk_does_not_cost_the_png(body: bytes) -> None:
    data = encoded(COLOUR)
    one = read(data[:33] + chunk(b"iCCP", body) + data[33:], "x")
    assert np.array_equal(one.pixels, COLOUR)
    assert b"iCCP" not in write(one, one.pixels) or one.icc == SRGB


@pytest.mark.parametrize(
    ("pixels", "profile"), [(GRAY, SRGB), (COLOUR, GRAY_PROFILE), (COLOUR, CMYK_PROFILE)]
)
def test_a_profile_for_other_pixels_is_left_out(pixels: np.ndarray, profile: bytes) -> None:
    one = read(encoded(pixels, "PNG", icc_profile=profile), "x")
    assert one.icc == b"" and "it is not made for" in one.notes[0]


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
        b"Exif\0\0neither",
        b"Exif\0\0" + bytes(100),
        camera()[:60],
    ],
    ids=["far", "endless", "header", "zeros", "cut"],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_bad_exif_costs_only_itself(format: str, block: bytes) -> None:
    one = read(encoded(COLOUR, format, exif=block), "x")
    assert one.exif == b"" and one.notes[-1] == "EXIF data left out: they are damaged or too large"
    assert len(same(one).getexif()) == 0


def test_exif_beyond_what_a_jpeg_holds_is_left_out() -> None:
    exif = camera(description="x" * original.MAX_EXIF)
    one = read(encoded(COLOUR, "PNG", exif=exif), "x")
    assert one.exif == b"" and "too large" in one.notes[0]


def test_what_another_reader_would_turn_once_more_is_left_out() -> None:
    """Orientation twice: the last one read wins, so all are set."""
    entry = struct.pack("<HHIHH", ExifTags.Base.Orientation, 3, 1, 6, 0)
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry * 2 + bytes(4)
    one = read(encoded(COLOUR, "JPEG", exif=block), "x")
    assert one.pixels.shape == (20, 12, 3)
    assert one.exif.count(entry[:8] + b"\1\0") == 2 and entry not in one.exif


def test_exif_full_of_pointers_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of 64 kB could ask for 5,400 walks of 5,400 entries, which took gigabytes."""
    walked, directory = [], original._directory
    monkeypatch.setattr(original, "_directory", lambda *told: (walked.append(told), directory(*told))[1])
    pointer = struct.pack("<HHII", ExifTags.IFD.Exif, 4, 1, 8)
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5_000) + pointer * 5_000 + bytes(4)
    assert read(encoded(COLOUR, exif=block), "x").exif == block
    assert len(walked) == 2


# --- whatever bytes come in ---------------------------------------------------------------------------------


def _seeds() -> list[bytes]:
    both: dict[str, Any] = {"exif": with_thumbnail(camera(6), b"thumb"), "icc_profile": SRGB}
    return [
        encoded(COLOUR, "PNG", **both),
        encoded(COLOUR, "JPEG", **both),
        encoded(COLOUR, "WEBP", **both),
        encoded(RGBA, "WEBP", lossless=True, **both),
        encoded(COLOUR, "TIFF", exif=camera(6), icc_profile=SRGB),
        encoded(RGBA, "TIFF", exif=camera(8)),
        write(read(encoded(COLOUR, "TIFF", exif=camera(6)), "x"), np.rot90(COLOUR, -1)),
    ]


@pytest.mark.parametrize("data", SEEDS + _seeds())
def test_every_seed_of_the_fuzzing_goes_there_and_back(data: bytes) -> None:
    one = read(data, "x")
    if one.alpha is None:
        assert np.array_equal(one.pixels, intake.read(data, "x").pixels)
    again = read(write(one, one.pixels), "x")
    assert again.pixels.shape[:2] == one.pixels.shape[:2]
    assert (again.exif, again.icc) == (one.exif, one.icc)


@pytest.mark.filterwarnings("error")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(mutated(SEEDS + _seeds()))
def test_mutated_files_are_refused_or_can_be_written(data: bytes) -> None:
    try:
        one = read(data, "fuzz")
    except Refused as refusal:
        assert str(refusal).startswith("“fuzz”")
        return
    again = read(write(one, one.pixels), "again")
    assert again.pixels.shape[:2] == one.pixels.shape[:2]
    assert not any("turned upright" in note for note in again.notes)


@pytest.mark.filterwarnings("ignore")  # Pillow's about single values, which stay as damaged as they came
@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_any_exif_block_is_trued_or_left_out(data: st.DataObject) -> None:
    block = bytearray(with_thumbnail(camera(6), b"thumb"))
    for _ in range(data.draw(st.integers(1, 12))):
        block[data.draw(st.integers(6, len(block) - 1))] = data.draw(st.sampled_from([0, 1, 8, 0x80, 0xFF]))
    one = read(encoded(COLOUR, "PNG", exif=bytes(block[: data.draw(st.integers(6, len(block)))])), "x")
    assert same(one).getexif().get(ExifTags.Base.Orientation, 1) == 1


def test_a_file_of_nothing_but_profiles_is_read_in_no_time() -> None:
    data = encoded(COLOUR)
    one = read(data[:33] + chunk(b"iCCP", b"x\0\0") * 300_000 + data[33:], "x")
    assert np.array_equal(one.pixels, COLOUR) and one.icc == b""


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("holiday.jpg", "holiday-denoised.jpg"),
        ("C:\\pics\\IMG_0001.JPEG", "IMG_0001-denoised.jpg"),
        ("2024.05.03", "2024.05.03-denoised.jpg"),
        ("../..", "picture-denoised.jpg"),
        (".jpg", "picture-denoised.jpg"),
        ("", "picture-denoised.jpg"),
        ("Größe 大.png", "Größe 大-denoised.jpg"),
    ],
)
def test_the_name_says_what_was_done_and_the_suffix_what_it_is(name: str, shown: str) -> None:
    one = read(encoded(COLOUR, "JPEG"), name)
    assert denoised_name(one) == shown and one.format == "JPEG"


def test_a_name_that_is_taken_is_numbered_until_it_is_free() -> None:
    taken: set[str] = set()
    names = [unused(name, taken) for name in ("a.jpg", "03-a.jpg", "a.jpg", "A.JPG", "b.jpg", "a.jpg")]
    assert names == ["a.jpg", "03-a.jpg", "02-a.jpg", "04-A.JPG", "b.jpg", "05-a.jpg"]
    assert len({name.casefold() for name in names}) == len(names)


# --- what TIFFs say ---


def deep_planes(values: np.ndarray, order: str) -> bytes:
    """A TIFF of uint16 (C,H,W) with a strip for each colour, not packed."""
    depth, height, width = values.shape
    size = 2 * height * width
    tags = ImageFileDirectory_v2(ifh={"<": b"II*\0\0\0\0\0", ">": b"MM\0*\0\0\0\0"}[order])
    tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength] = width, height
    tags[ExifTags.Base.BitsPerSample] = (16,) * depth
    tags[ExifTags.Base.Compression] = 1
    tags[ExifTags.Base.PhotometricInterpretation] = 1 if depth == 1 else 2
    tags[ExifTags.Base.SamplesPerPixel] = depth
    tags[ExifTags.Base.PlanarConfiguration] = 2
    tags[ExifTags.Base.RowsPerStrip] = height
    tags[ExifTags.Base.StripByteCounts] = (size,) * depth
    tags[ExifTags.Base.StripOffsets] = tuple(size * number for number in range(depth))
    if depth == 4:
        tags[ExifTags.Base.ExtraSamples] = 2
    out = io.BytesIO()
    tags.save(out)
    return out.getvalue() + values.astype(f"{order}u2").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [1, 3, 4])
def test_colours_of_16_bits_that_lie_one_after_the_other_are_seen(order: str, depth: int) -> None:
    values = RNG.integers(0, 2**16, (depth, 12, 20))
    one = read(deep_planes(values, order), "scan.tif")
    expected = (values >> 8 if depth > 1 else (values / 257).round()).transpose(1, 2, 0)
    assert np.array_equal(one.pixels, expected[:, :, :3]) and one.notes == (intake.SCALED,)
    assert (one.alpha is None) if depth < 4 else np.array_equal(one.alpha, expected[:, :, 3])


def tiff(tags: dict[int, Any], kinds: dict[int, int] | None = None) -> bytes:
    """Of gray pixels, saying `tags` as well; of one that Pillow does not know, `kinds` has the type."""
    info = ImageFileDirectory_v2()
    for tag, value in tags.items():
        info.tagtype[tag] = (kinds or {}).get(tag, 2)
        info[tag] = value
    out = io.BytesIO()
    Image.fromarray(GRAY).save(out, "TIFF", tiffinfo=info)
    return out.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_texts_of_a_tiff_keep_their_bytes(encoding: str) -> None:
    artist, rights = "Jürgen Müller".encode(encoding), "© 2024 José".encode(encoding)
    data = tiff({ExifTags.Base.Artist: artist, ExifTags.Base.Copyright: rights})
    assert artist in data and rights in data
    one = read(data, "x.tif")
    again = read(write(one, one.pixels), "x.tif")
    for found in (write(one, one.pixels), write(again, again.pixels)):
        assert artist + b"\0" in found and rights + b"\0" in found


def test_ratings_and_titles_of_a_tiff_are_kept() -> None:
    title = "Küste".encode("utf-16-le")
    one = read(tiff({ExifTags.Base.Rating: 4, ExifTags.Base.XPTitle: title}, {0x4746: 3, 0x9C9B: 1}), "x.tif")
    kept = opened(write(one, one.pixels)).getexif()
    assert kept[ExifTags.Base.Rating] == 4 and bytes(kept[ExifTags.Base.XPTitle]) == title


def test_a_tiff_that_tells_no_resolution_is_given_none() -> None:
    one = read(tiff({}), "x.tif")
    assert one.dpi is None and ExifTags.Base.XResolution not in opened(write(one, one.pixels)).tag_v2
    assert read(encoded(GRAY, "TIFF", dpi=(300, 150)), "x.tif").dpi == (300, 150)


@pytest.mark.parametrize("orientation", [1, 6])
def test_sizes_and_resolutions_turn_with_the_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageWidth], exif[ExifTags.Base.ImageLength] = 20, 12
    exif[ExifTags.Base.XResolution], exif[ExifTags.Base.YResolution] = IFDRational(300), IFDRational(150)
    exif[ExifTags.Base.Orientation] = orientation
    one = read(encoded(Image.fromarray(COLOUR), "JPEG", exif=exif.tobytes(), dpi=(300, 150)), "x.jpg")
    image = opened(write(one, one.pixels))
    told = image.getexif()
    upright = [told[tag] for tag in (ExifTags.Base.ImageWidth, ExifTags.Base.ImageLength)]
    assert upright == list(image.size) == ([20, 12] if orientation == 1 else [12, 20])
    resolution = (told[ExifTags.Base.XResolution], told[ExifTags.Base.YResolution])
    assert resolution == image.info["dpi"] == ((300, 150) if orientation == 1 else (150, 300))


def test_gray_of_16_bits_with_transparency_stays_gray() -> None:
    rows = RNG.integers(0, 2**16, (12, 20, 2)).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    one = read(png(20, 12, raw, depth=16, colour=4), "x.png")
    assert one.pixels.shape == (12, 20, 1) and one.alpha is not None
    assert same(one).mode == "LA" and one.notes == (intake.SCALED,)


# --- what a net gets to see ---


def veiled(pixels: np.ndarray, alpha: np.ndarray) -> Original:
    return read(encoded(Image.fromarray(np.dstack([pixels, alpha]))), "x.png")


def test_what_is_transparent_is_mirrored_across_its_edge() -> None:
    alpha = np.full((12, 20), 255, np.uint8)
    alpha[:, 13:] = 0
    alpha[:, 12] = 1  # which can be seen
    seen = original.seen(veiled(COLOUR, alpha))
    assert np.array_equal(seen, np.concatenate([COLOUR[:, :13], COLOUR[:, 11:4:-1]], 1))


@pytest.mark.parametrize("radius", [0.5, 3, 8])
def test_nothing_depends_on_what_nobody_sees(radius: float) -> None:
    y, x = np.mgrid[:120, :150]
    alpha = np.where(np.hypot(y - 40, x - 50) <= radius, 255, 0).astype(np.uint8)
    pixels = RNG.integers(0, 256, (120, 150, 3), dtype=np.uint8)
    one, other = (veiled(np.where(alpha[..., None] == 255, pixels, ground), alpha) for ground in (0, 250))
    assert np.array_equal(original.seen(one), original.seen(other))
    shown = pixels[alpha == 255]
    assert np.array_equal(original.seen(one)[alpha == 255], shown)
    assert shown.min() <= original.seen(one).min() and original.seen(one).max() <= shown.max()
    back = original.covered(other, 255 - original.seen(other))
    assert np.array_equal(back, np.where(alpha[..., None] == 255, 255 - pixels, 250))


@pytest.mark.parametrize("opacity", [255, 0])
def test_what_is_all_opaque_or_all_transparent_is_seen_as_it_is(opacity: int) -> None:
    one = veiled(COLOUR, np.full((12, 20), opacity, np.uint8))
    assert original.seen(one) is one.pixels
    assert np.array_equal(original.covered(one, 255 - COLOUR), COLOUR if opacity == 0 else 255 - COLOUR)
