"""Whatever bytes come in, a Picture or a Refused goes out: never another exception, never a warning."""

import io
import struct
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core import intake
from core.intake import (
    Picture,
    Refused,
    centre_ink,
    clean_name,
    looks_dark_on_light,
    on_black,
    read,
    to_shape,
)

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GRAY = COLOUR[:, :, 0]


def encoded(image: Image.Image | np.ndarray, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(out, format, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes, *, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG by hand, for headers Pillow would not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def picture(pixels: np.ndarray) -> Picture:
    return Picture("drawing", pixels, "PNG")


# --- what is taken ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_arrive_unchanged(format: str) -> None:
    taken = read(encoded(COLOUR, format), "x")
    assert np.array_equal(taken.pixels, COLOUR)
    assert (taken.format, taken.notes) == (format, ())


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_lossy_formats_arrive_close(format: str) -> None:
    smooth = np.full((16, 16, 3), (200, 120, 40), np.uint8)
    taken = read(encoded(smooth, format, quality=95), "x")
    assert taken.format == format
    assert np.abs(taken.pixels.astype(int) - smooth).max() <= 4


def test_gray_stays_gray_and_pixels_are_read_only() -> None:
    taken = read(encoded(GRAY), "x")
    assert np.array_equal(taken.pixels, GRAY[:, :, None])
    with pytest.raises(ValueError, match="read-only"):
        taken.pixels[0, 0, 0] = 1


def test_the_content_decides_not_the_extension() -> None:
    assert read(encoded(COLOUR, "BMP"), "holiday.png").format == "BMP"


def test_one_bit_becomes_black_and_white() -> None:
    taken = read(encoded(Image.fromarray(GRAY).convert("1")), "x")
    assert taken.pixels.shape == (12, 20, 1)
    assert set(np.unique(taken.pixels)) == {0, 255}


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format: str) -> None:
    deep = np.array([[0, 257, 32768, 65535]], np.uint16)
    taken = read(encoded(deep, format), "x")
    assert taken.pixels[0, :, 0].tolist() == [0, 1, 128, 255]
    assert taken.notes == (intake.SCALED,)


@pytest.mark.parametrize(
    ("high", "shown", "note"),
    [
        (200, 200, "taken as 8 bits"),
        (40, 40, "taken as 8 bits"),
        (65535, 255, intake.SCALED),
        (10**6, 255, "stretched"),
    ],
)
def test_integers_of_32_bits_are_taken_by_what_they_hold(high: int, shown: int, note: str) -> None:
    taken = read(encoded(np.array([[0, high]], np.int32), "TIFF"), "x")
    assert taken.pixels[0, :, 0].tolist() == [0, shown]
    assert note in taken.notes[0]


def test_what_is_dark_in_sixteen_bits_stays_dark() -> None:
    taken = read(encoded(np.array([[0, 300, 4095]], np.uint16)), "x")
    assert taken.pixels[0, :, 0].tolist() == [0, 1, 16]


def test_sixteen_bit_colour_keeps_its_high_byte() -> None:
    row = b"\x00" + struct.pack(">6H", 0, 0x80FF, 0xFFFF, 0x0100, 0x1234, 0)
    taken = read(png(2, 1, row, depth=16, colour=2), "x")
    assert taken.pixels.tolist() == [[[0, 0x80, 0xFF], [1, 0x12, 0]]]


@pytest.mark.parametrize(
    ("file", "named", "shown"),
    [
        (
            png(2, 1, struct.pack(">x6H", *[0x8012] * 3, *[0x1212] * 3), depth=16, colour=2),
            [0x8012] * 3,
            [255, 18],
        ),
        (png(4, 1, b"\0\x1b", depth=2), [1], [0, 255, 170, 255]),
        (png(2, 1, b"\0\x2f", depth=4), [2], [255, 255]),
        (png(2, 1, b"\0\x2f", depth=4), [3], [34, 255]),
    ],
)
def test_the_colour_that_is_transparent_is_as_deep_as_the_file(
    file: bytes, named: list[int], shown: list[int]
) -> None:
    start = file.index(b"IDAT") - 4
    transparent = file[:start] + chunk(b"tRNS", struct.pack(f">{len(named)}H", *named)) + file[start:]
    assert read(transparent, "x").pixels[0, :, 0].tolist() == shown


def test_transparency_that_is_left_out_of_deep_gray_is_told() -> None:
    file = png(2, 1, struct.pack(">x2H", 0, 65535), depth=16)
    start = file.index(b"IDAT") - 4
    taken = read(file[:start] + chunk(b"tRNS", bytes(2)) + file[start:], "x")
    assert taken.pixels[0, :, 0].tolist() == [0, 255] and taken.notes == (
        "transparency left out",
        intake.SCALED,
    )


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255], "from 0 to 1"),
        ([0.0, 99.6, 200.0], [0, 100, 200], "rounded"),
        ([-10.0, 0.0, 10.0], [0, 128, 255], "from -10 to 10"),
        ([0.0, 4.0, 8.0], [0, 128, 255], "from 0 to 8 stretched"),  # of light: 8 of 255 would be black
        ([np.nan, 0.0, 3e38], [0, 0, 255], "stretched"),
        ([-3e38, 0.0, 3e38], [0, 128, 255], "stretched"),
        ([-7.0, -7.0, -7.0], [0, 0, 0], "stretched"),
    ],
)
def test_float_tiff(values: list[float], expected: list[int], note: str) -> None:
    taken = read(encoded(np.array([values], np.float32), "TIFF"), "x")
    assert taken.pixels[0, :, 0].tolist() == expected
    assert note in taken.notes[0]


def test_transparency_is_laid_over_the_chosen_background() -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [255, 0, 128]  # black: opaque, absent, half
    white, red = read(encoded(rgba), "x"), read(encoded(rgba), "x", background=(255, 0, 0))
    assert white.pixels[0, :, 0].tolist() == [0, 255, 127]
    assert white.notes == ("transparency laid over white",)
    assert red.pixels[0, 1].tolist() == [255, 0, 0]


def test_an_opaque_alpha_channel_is_not_worth_a_note() -> None:
    opaque = np.dstack([COLOUR, np.full((12, 20), 255, np.uint8)])
    taken = read(encoded(opaque), "x")
    assert np.array_equal(taken.pixels, COLOUR) and taken.notes == ()


def test_gray_with_alpha_stays_gray_unless_the_background_has_colour() -> None:
    la = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 0)])
    assert read(encoded(la), "x").pixels.tolist() == [[[255]]]
    assert read(encoded(la), "x", background=(0, 0, 255)).pixels.tolist() == [[[0, 0, 255]]]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_entry(format: str) -> None:
    paletted = Image.new("P", (2, 1))
    paletted.putpalette([10, 20, 30, 200, 100, 50])
    paletted.putpixel((1, 0), 1)
    taken = read(encoded(paletted, format, transparency=0), "x")
    assert taken.pixels.tolist() == [[[255, 255, 255], [200, 100, 50]]]


def test_a_palette_without_colour_is_gray() -> None:
    paletted = Image.new("P", (2, 1))
    paletted.putpalette([9, 9, 9, 70, 70, 70])
    paletted.putpixel((1, 0), 1)
    assert read(encoded(paletted), "x").pixels.tolist() == [[[9], [70]]]


def test_cmyk_jpeg_keeps_its_colours() -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    taken = read(encoded(cyan, "JPEG", quality=95), "x")
    assert np.abs(taken.pixels.astype(int) - (0, 255, 255)).max() <= 8
    assert "CMYK" in taken.notes[0]


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_6_is_turned_upright(format: str) -> None:
    lying = np.zeros((16, 32, 3), np.uint8)
    lying[:8, :8] = (255, 0, 0)  # top left as stored is top right when turned clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    options: dict[str, object] = {"quality": 95} if format in ("JPEG", "WEBP") else {}
    taken = read(encoded(lying, format, exif=exif, **options), "x")
    assert taken.pixels.shape == (32, 16, 3)
    assert taken.pixels[1, 14].tolist() == pytest.approx([255, 0, 0], abs=60)
    assert taken.pixels[1, 1].max() < 60
    assert taken.notes == ("turned upright by its EXIF tag",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_agrees_with_its_definition(orientation: int) -> None:
    # Where the stored (row 0, column 0) is seen, by the EXIF standard: (top?, left?).
    top, left = {1: (1, 1), 2: (1, 0), 3: (0, 0), 4: (0, 1), 5: (1, 1), 6: (1, 0), 7: (0, 0), 8: (0, 1)}[
        orientation
    ]
    stored = np.zeros((3, 5), np.uint8)
    stored[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = read(encoded(stored, exif=exif), "x").pixels[:, :, 0]
    assert seen.shape == ((3, 5) if orientation < 5 else (5, 3))
    assert seen[0 if top else -1, 0 if left else -1] == 255


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(COLOUR, "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read(data, "x").notes == ()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first_is_taken(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (shade, shade // 2, 0)) for shade in (250, 120, 10)]
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    taken = read(encoded(frames[0], format, save_all=True, append_images=frames[1:], **options), "x")
    assert taken.pixels[4, 4].tolist() == pytest.approx([250, 125, 0], abs=3)
    assert taken.notes == ("first of several frames",)


def test_a_phones_multi_picture_jpeg_is_a_jpeg() -> None:
    frames = [Image.new("RGB", (8, 8), (shade, shade, shade)) for shade in (250, 10)]
    taken = read(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), "x")
    assert taken.format == "JPEG" and taken.pixels[4, 4, 0] > 240


# --- what is refused ----------------------------------------------------------------------------------------


def zip_file() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "hello")
    return out.getvalue()


REFUSED = {
    "empty": (b"", "is empty"),
    "text": (b"dear diary, today I renamed a file", "whatever its name says"),
    "zip": (zip_file(), "whatever its name says"),
    "icon": (encoded(Image.new("RGB", (16, 16)), "ICO"), "whatever its name says"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "whatever its name says"),
    "from a phone": (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "is a HEIC or AVIF picture, which cannot be read",
    ),
    "odd tiff": (b"II*\0\x08\0\0\0\0\0", "is a TIFF of a kind that cannot be read here. Save it as PNG"),
    "truncated jpeg": (encoded(COLOUR, "JPEG")[:-40], "is cut short"),
    "truncated png": (encoded(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8))[:6000], "is cut short"),
    "huge header": (png(50_000, 50_000, b""), "more pixels than the 50 million"),
    "just above": (png(10_000, 5_001, b""), "10000 × 5001 pixels; the limit is 50 million"),
    "long and thin": (png(30_001, 1, b""), "30000 a side"),
    "warning range": (png(10_000, 10_000, b""), "the limit is 50 million"),
    "bomb": (png(17_000, 17_000, b"\x00" * 17_001 * 17_000, depth=8), "million"),
    "too many bytes": (b"\x89PNG" + bytes(intake.MAX_BYTES), "the limit of 25 MB"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_hostile_files_are_refused_at_once_with_a_reason(data: bytes, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(Refused, match=message) as refusal:
        read(data, "holiday.png")
    assert time.perf_counter() - start < 2.0
    assert str(refusal.value).startswith("“holiday.png”")


def test_a_header_just_below_the_limit_is_decoded() -> None:
    assert read(png(5_000, 1_000, b"\x00" * 5_001 * 1_000), "x").pixels.shape == (1_000, 5_000, 1)


def test_running_out_of_memory_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> Picture:
        raise MemoryError

    monkeypatch.setattr(intake, "_decode", exhausted)
    with pytest.raises(Refused, match="more memory"):
        read(encoded(COLOUR), "x")


def _seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    rgba = Image.fromarray(np.dstack([COLOUR, GRAY]))
    frames: dict[str, object] = {"save_all": True, "append_images": [Image.fromarray(COLOUR[::-1].copy())]}
    return [
        encoded(COLOUR),
        encoded(rgba),
        encoded(rgba.convert("LA")),
        encoded(Image.fromarray(COLOUR).quantize(16), transparency=3),
        encoded(GRAY.astype(np.uint16) * 257),
        encoded(COLOUR, "PNG", **frames),
        encoded(COLOUR, "JPEG", exif=exif),
        encoded(COLOUR, "JPEG", progressive=True),
        encoded(Image.new("CMYK", (9, 9), (1, 2, 3, 4)), "JPEG"),
        encoded(COLOUR, "WEBP", lossless=True, exif=exif),
        encoded(rgba, "WEBP"),
        encoded(COLOUR, "WEBP", **frames),
        encoded(COLOUR, "BMP"),
        encoded(Image.fromarray(GRAY).convert("1"), "BMP"),
        encoded(COLOUR, "GIF", **frames),
        encoded(COLOUR, "TIFF", exif=exif),
        encoded(COLOUR, "TIFF", compression="tiff_lzw"),
        encoded(COLOUR, "TIFF", compression="jpeg"),
        encoded(GRAY.astype(np.float32), "TIFF", compression="tiff_adobe_deflate"),
        encoded(Image.fromarray(GRAY).convert("1"), "TIFF", compression="group4"),
    ]


SEEDS = _seeds()


def test_every_seed_of_the_fuzzing_is_valid() -> None:
    for data in SEEDS:
        assert read(data, "x").pixels.dtype == np.uint8


@st.composite
def mutated(draw: st.DrawFn, seeds: list[bytes] = SEEDS) -> bytes:
    """A valid file with some bytes overwritten, a piece cut out, and perhaps its end lost."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 8))):
        # Headers come first and are where parsers go wrong: half of the hits land in the first 64 bytes,
        # but past the signature, which would only send the file away early.
        reach = draw(st.sampled_from([min(64, len(data)), len(data)]))
        data[draw(st.integers(4, reach - 1))] = draw(
            st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        )
    harm = draw(st.sampled_from(["none", "none", "cut out", "cut short"]))
    place = draw(st.integers(0, len(data) - 1))
    if harm == "cut out":
        del data[place : place + draw(st.integers(1, 32))]
    if harm == "cut short":
        del data[place:]
    return bytes(data)


@pytest.mark.filterwarnings("error")
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(mutated())
def test_mutated_files_give_a_picture_or_a_refusal(data: bytes) -> None:
    try:
        taken = read(data, "fuzz")
    except Refused as refusal:
        assert str(refusal).startswith("“fuzz”")
        return
    height, width, channels = taken.pixels.shape
    assert taken.pixels.dtype == np.uint8
    assert channels in (1, 3) and 0 < height * width <= intake.MAX_PIXELS
    assert taken.format in intake.FORMATS


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\x00", b"RIFF"]),
)
def test_random_bytes_are_refused(body: bytes, signature: bytes) -> None:
    with pytest.raises(Refused):
        read(signature + body, "noise")


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../x.png", "x.png"),
        ("C:\\Users\\me\\x.png", "x.png"),
        ("a\x00b\nc\x1b[31m.png", "ab c[31m.png"),
        ("cod\u202egnp.exe", "codgnp.exe"),
        ("bad\udcff.png", "bad.png"),
        ("Größe 大.png", "Größe 大.png"),
        ("", "picture"),
        ("../..", ".."),
        ("///", "picture"),
        ("x" * 500, "x" * 80),
    ],
)
def test_names_become_short_plain_text(name: str, shown: str) -> None:
    assert clean_name(name) == shown
    assert read(encoded(GRAY), name).name == shown


def test_a_long_name_keeps_its_suffix() -> None:
    assert clean_name("a" * 100 + ".jpg") == "a" * 76 + ".jpg"
    assert clean_name("写" * 76 + ".jpeg") == "写" * 51 + ".jpeg"  # of 160 bytes
    assert clean_name("a" * 100) == clean_name("a" * 100 + "." + "b" * 9)[:80] == "a" * 80


@given(st.text(max_size=300))
def test_any_name_can_be_shown(name: str) -> None:
    shown = clean_name(name)
    assert 0 < len(shown) <= intake.MAX_NAME
    assert "/" not in shown and "\\" not in shown and shown.isprintable()
    shown.encode("utf-8")


# --- to the shape of a model --------------------------------------------------------------------------------


def test_crop_takes_the_centre_and_fit_keeps_everything() -> None:
    pixels = np.zeros((32, 96, 3), np.uint8)
    pixels[:, 32:64] = (0, 200, 0)
    cropped = to_shape(picture(pixels), (3, 32, 32))
    assert np.array_equal(cropped, np.broadcast_to(np.array([0, 200, 0])[:, None, None], (3, 32, 32)))
    fitted = to_shape(picture(pixels), (3, 32, 32), how="fit")
    assert abs(int(fitted[1, 16].max()) - 200) <= 20
    assert fitted[1, :10].max() == 0


def test_fit_pads_with_the_median_of_the_border_so_no_frame_shows() -> None:
    paper = np.full((40, 10, 1), 230, np.uint8)
    paper[10:30, 4:6] = 20
    fitted = to_shape(picture(paper), (1, 28, 28), how="fit")
    assert (fitted[0, :, :8] == 230).all() and (fitted[0, :, -8:] == 230).all()
    assert fitted.min() < 80


def test_gray_uses_the_601_luma_and_colour_repeats_gray() -> None:
    primaries = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert to_shape(picture(primaries), (1, 1, 3)).tolist() == [[[76, 150, 29]]]
    repeated = to_shape(picture(GRAY[:, :, None]), (3, 12, 20))
    assert all(np.array_equal(plane, GRAY) for plane in repeated)


def test_reducing_averages_over_the_area_instead_of_picking_pixels() -> None:
    checkers = (np.indices((280, 280)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    small = to_shape(picture(checkers), (1, 28, 28))
    assert np.abs(small.astype(int) - 127.5).max() <= 2


def test_invert_exchanges_dark_and_light() -> None:
    plain = to_shape(picture(COLOUR), (3, 8, 8))
    assert np.array_equal(to_shape(picture(COLOUR), (3, 8, 8), invert=True), 255 - plain)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    shape=st.tuples(st.sampled_from([1, 3]), st.integers(1, 64), st.integers(1, 64)),
    gray=st.booleans(),
    how=st.sampled_from(["crop", "fit"]),
)
def test_any_size_fits_any_shape_and_a_constant_stays_constant(
    size: tuple[int, int], shape: tuple[int, int, int], gray: bool, how: str
) -> None:
    flat = np.full((*size, 1 if gray else 3), 77, np.uint8)
    shaped = to_shape(picture(flat), shape, how=how)  # type: ignore[arg-type]
    assert shaped.shape == shape and shaped.dtype == np.uint8 and shaped.flags.c_contiguous
    assert (shaped == 77).all()


def test_extreme_aspects_survive() -> None:
    thread = np.full((1, 20_000, 3), 9, np.uint8)
    assert to_shape(picture(thread), (3, 32, 32)).shape == (3, 32, 32)
    assert to_shape(picture(thread), (3, 32, 32), how="fit").shape == (3, 32, 32)


@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 0, 8)])
def test_impossible_shapes_are_an_error(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="shape must be"):
        to_shape(picture(COLOUR), shape)


def test_an_unknown_way_to_shape_is_an_error() -> None:
    with pytest.raises(ValueError, match="'stretch'"):
        to_shape(picture(COLOUR), (3, 8, 8), how="stretch")  # type: ignore[arg-type]


# --- drawings -----------------------------------------------------------------------------------------------


def stroke(ground: int, ink: int) -> np.ndarray:
    paper = np.full((60, 60, 1), ground, np.uint8)
    paper[10:50, 28:33] = ink
    return paper


def test_only_dark_strokes_on_a_light_ground_invite_inversion() -> None:
    assert looks_dark_on_light(picture(stroke(245, 10)))
    assert looks_dark_on_light(picture(np.repeat(stroke(245, 10), 3, axis=2)))
    assert not looks_dark_on_light(picture(stroke(10, 245)))
    assert not looks_dark_on_light(picture(stroke(245, 245)))
    mostly_dark = np.full((60, 60, 1), 20, np.uint8)
    mostly_dark[[0, -1]] = mostly_dark[:, [0, -1]] = 250
    assert not looks_dark_on_light(picture(mostly_dark))


@pytest.mark.parametrize("channels", [1, 3])
def test_paper_that_is_not_white_becomes_black_and_ink_stays_as_light(channels: int) -> None:
    rng = np.random.default_rng(0)
    drawing = np.zeros((channels, 28, 28), np.uint8)
    drawing[:, 8:20, 12:16] = 230
    assert np.array_equal(on_black(drawing), drawing)
    paper = np.maximum(drawing, rng.normal(15, 2, drawing.shape).clip(0, 30).round().astype(np.uint8))
    found = on_black(paper)
    assert (found[drawing == 0] > 0).mean() < 0.03 and (found[drawing > 0] == 230).all()
    shrunk = centre_ink(on_black(paper[:1]))
    assert np.ptp(np.flatnonzero((shrunk[0] > 100).any(1))) + 1 == 20  # not the sheet
    assert not on_black(np.full((1, 8, 8), 9, np.uint8)).any()


@pytest.mark.parametrize("side", [28, 32, 8])
@pytest.mark.parametrize("corner", [0, 40])
def test_ink_is_scaled_to_20_of_28_and_centred_by_mass(side: int, corner: int) -> None:
    drawing = np.zeros((1, 100, 100), np.uint8)
    drawing[0, corner : corner + 50, corner : corner + 25] = 255
    shrunk = to_shape(picture(drawing[0][:, :, None]), (1, side, side))
    centred = centre_ink(shrunk)[0] > 127
    height = np.ptp(np.flatnonzero(centred.any(axis=1))) + 1
    assert height == pytest.approx(side * 20 / 28, abs=1)
    rows, columns = np.nonzero(centred)
    assert rows.mean() == pytest.approx(side / 2, abs=0.75)
    assert columns.mean() == pytest.approx(side / 2, abs=0.75)


def test_heavy_ends_are_centred_by_mass_not_by_box() -> None:
    drawing = np.zeros((1, 28, 28), np.uint8)
    drawing[0, 4:24, 5] = 255  # a stem, and to its right a faint arm of 9 pixels
    drawing[0, 14, 6:15] = 100
    # The mass lies (9 · 100 · 5) / (20 · 255 + 9 · 100) = 0.75 right of the stem, which goes to 14 - 1.
    centred = centre_ink(drawing)[0]
    assert np.flatnonzero((centred > 200).any(axis=0)).tolist() == [13]


def test_ink_that_would_leave_the_field_is_pushed_back() -> None:
    drawing = np.zeros((1, 28, 28), np.uint8)
    drawing[0, 4:24, 5] = 255
    drawing[0, 14, 5:25] = 60  # centred by mass, this arm would end at column 31
    assert (centre_ink(drawing)[0, :, -1] > 0).any()


def test_a_blank_field_and_the_faintest_ink_survive() -> None:
    blank = np.zeros((1, 28, 28), np.uint8)
    assert np.array_equal(centre_ink(blank), blank)
    scattered = np.zeros((1, 400, 28), np.uint8)
    scattered[0, [0, 399], [0, 27]] = 1
    assert centre_ink(scattered).shape == scattered.shape


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_any_field_can_be_centred(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    field = rng.integers(0, 256, (1, height, width), dtype=np.uint8) * (rng.random((1, height, width)) < 0.1)
    centred = centre_ink(field.astype(np.uint8))
    assert centred.shape == field.shape and centred.dtype == np.uint8


def test_formats_can_be_read_in_parallel_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda data: read(data, "x").pixels.shape, SEEDS * 3))
    assert taken == [read(data, "x").pixels.shape for data in SEEDS * 3]
