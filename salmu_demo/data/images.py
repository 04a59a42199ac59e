"""Decode images safely and by one rule: bounded size and cost, upright, RGB on white."""

import io
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps

from salmu_demo.core.errors import ImageError
from salmu_demo.data.effort import too_many_tags, too_much

MAX_PIXELS: Final = 50_000_000
"""Largest image that is decoded; a compressed file can claim far more than memory holds (decompression bomb)."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow reads many more, among them some that start other programs (EPS runs Ghostscript on what the file says)."""
_WHITE: Final = 255
_EXIF_TEXT: Final = "Raw profile type exif"
_BITS: Final = 258
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
"""Tags of a TIFF. Pillow heeds them for 8 bits, not for more."""
MAX_BYTES: Final = 20_000_000
"""Largest image file that is read into memory."""

# What Pillow's readers raise for damaged files; which one depends on the format and the damage.
_UNREADABLE: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip


def decode_image(content: bytes, what: str) -> Image.Image:
    """Decode an image to RGB with 8 bits, turned upright as its EXIF orientation says.

    Transparency becomes white. Grey of 16 bits is divided by 257, that of 12 by 4095 / 255; grey in floating point
    numbers reaches from 0 (black) to 1 (white). CMYK, YCbCr and LAB are converted by Pillow's plain formulas; colour
    profiles are not applied, as they are not where CLIP models are trained. Of an animation the first frame is taken.

    Args:
        content: the encoded image: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.
        what: name of the image, for the message.

    Raises:
        ImageError: if the bytes are not an image, are cut off, hold more than `MAX_PIXELS` pixels, cost more to
            read than `salmu_demo.data.effort.too_much` allows, or do not say how bright white is.
    """
    try:
        excess = too_much(content)
        if excess is None:
            with warnings.catch_warnings():
                # Pillow warns about large images at its own limit; ours is checked here, before any pixel is read.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(content), formats=_FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(_too_large(what))
            image.load()
            # Text of a PNG, the only Exif data that are known but now.
            excess = too_many_tags(_exif_in_text(image.info.get(_EXIF_TEXT, "")))
        if excess is not None:
            raise ImageError(f"{what} has {excess}; such images are not read. Save it again as a plain JPEG or PNG.")
        # Turned first: what else the image says of itself is lost by the conversion.
        return rgb_image(image, what)
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(what)) from error
    except _UNREADABLE as error:
        raise ImageError(f"{what} is not an image that can be read; use a whole JPEG, PNG or WebP file.") from error


def rgb_image(image: Image.Image, what: str) -> Image.Image:
    """A decoded image by the same rule; raises `ImageError` if it does not say how bright white is."""
    return _rgb(ImageOps.exif_transpose(image), getattr(image, "tag_v2", {}), what)


def _rgb(image: Image.Image, tags: Mapping[int, Any], what: str) -> Image.Image:
    if image.mode in ("F", "I") or image.mode.startswith("I;16"):
        image = _grey(image, tags, what)
    if not image.has_transparency_data:
        return image.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > _WHITE:
        # Of 16 bits, of which Pillow keeps the upper eight of the image itself.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _grey(image: Image.Image, tags: Mapping[int, Any], what: str) -> Image.Image:
    """Grey of more than 8 bits as grey of 8, with transparency where the image has it; `tags` are those of a TIFF."""
    values = np.asarray(image)
    if image.mode == "I":
        raise ImageError(
            f"{what} has grey values of 32 bits and does not say how bright white is; save it with 8 or 16."
        )
    if image.mode == "F":
        if not ((values >= 0) & (values <= 1)).all():
            raise ImageError(f"{what} has floating point numbers that do not lie between 0 (black) and 1 (white).")
        grey = np.rint(values * _WHITE)
    else:
        white = 4095 if _first(tags.get(_BITS)) == 12 else 65535
        grey = (values.astype(np.uint32) * _WHITE + white // 2) // white
    if _first(tags.get(_PHOTOMETRIC)) == _WHITE_IS_ZERO:
        grey = _WHITE - grey
    result = Image.fromarray(grey.astype(np.uint8))
    key = image.info.get("transparency")
    if key is not None:
        result.putalpha(Image.fromarray(np.where(values == key, 0, _WHITE).astype(np.uint8)))
    return result


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def _exif_in_text(text: str) -> bytes:
    """Exif data as ImageMagick writes them into a PNG: three lines, then hexadecimal digits."""
    return bytes.fromhex("".join(text.split("\n")[3:]))


def _too_large(what: str) -> str:
    return f"{what} has more than the {MAX_PIXELS:,} pixels that are read; make it smaller."


def read_image(path: Path) -> Image.Image:
    """Decode an image file; raises `ImageError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return decode_image(content, str(path))
