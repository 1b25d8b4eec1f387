"""Colour profiles: whether one is whole, and what colours it means. Pixels without one are sRGB, which is what models see."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE = 2**20  # bytes; what Pillow takes from a PNG
PALETTED = ("P", "PA")
COLOURED = ("RGB", "RGBA", *PALETTED)
SEEN = 1  # of 255, above which a colour counts as another: rounding there and back leaves so much


def is_profile(data: bytes) -> bool:
    """Whether header and tag table are those of a whole ICC profile (ICC.1:2022, 7.2 and 7.3)."""
    if not 132 <= len(data) <= MAX_PROFILE or data[36:40] != b"acsp":
        return False
    (size,), (count,) = struct.unpack_from(">I", data), struct.unpack_from(">I", data, 128)
    if size > len(data) or 132 + 12 * count > size:
        return False
    table = struct.iter_unpack(">4sII", data[132 : 132 + 12 * count])
    return all(offset + length <= size for _, offset, length in table)


def in_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """A picture as it looks, in sRGB; appends to `notes` where that changed it. A bad profile, or one of gray, is ignored."""
    profile = image.info.get("icc_profile")
    if image.mode not in COLOURED or not isinstance(profile, bytes) or not is_profile(profile):
        return image
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        found = ImageCms.profileToProfile(
            plain, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=plain.mode
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    assert found is not None  # it is not changed in place
    if np.abs(np.asarray(found, np.int16) - np.asarray(plain)).max(initial=0) <= SEEN:
        return image
    notes.append("colours turned from the picture's own profile into sRGB")
    if image.mode in PALETTED and np.ptp(np.asarray(found)[..., :3], axis=2).max(initial=0) == 0:
        return found.convert("LA" if found.mode == "RGBA" else "L")  # a palette is no sign of colour
    return found
