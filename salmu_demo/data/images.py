"""Decode pictures safely: bounded size, upright, RGB."""

import io
import struct
import warnings
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from salmu_demo.data.effort import too_much
from salmu_demo.errors import ImageError

MAX_PIXELS: Final = 50_000_000
"""Largest picture that is decoded; a compressed file can claim far more than memory holds (decompression bomb)."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""Pillow reads many more, among them some that start other programs (EPS runs Ghostscript on what the file says)."""
MAX_BYTES: Final = 20_000_000
"""Largest picture file that is read into memory."""

# What Pillow's readers raise for damaged files; which one depends on the format and the damage.
_UNREADABLE: Final = (
    ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip


def decode_image(content: bytes, what: str) -> Image.Image:
    """Decode a picture to RGB, turned upright as its EXIF orientation says.

    Args:
        content: the encoded picture: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.
        what: name of the picture, for the message.

    Raises:
        ImageError: if the bytes are no picture, are cut off, hold more than :data:`MAX_PIXELS` pixels, or cost more to
            read than :func:`salmu_demo.data.effort.too_much` allows.
    """
    try:
        excess = too_much(content)
    except _UNREADABLE as error:
        raise ImageError(_no_picture(what)) from error
    if excess is not None:
        raise ImageError(f"{what} has {excess}; such pictures are not read. Save it again as a plain JPEG or PNG.")
    too_large = f"{what} has more than the {MAX_PIXELS:,} pixels that are read; make it smaller."
    try:
        with warnings.catch_warnings():
            # Pillow warns about large pictures at its own limit; ours is checked below, before any pixel is read.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=_FORMATS)
        small_enough = image.width * image.height <= MAX_PIXELS
        upright = ImageOps.exif_transpose(image).convert("RGB") if small_enough else None
    except Image.DecompressionBombError as error:
        raise ImageError(too_large) from error
    except _UNREADABLE as error:
        raise ImageError(_no_picture(what)) from error
    if upright is None:
        raise ImageError(too_large)
    return upright


def _no_picture(what: str) -> str:
    return f"{what} is not a picture that can be read; use a whole JPEG, PNG or WebP file."


def read_image(path: Path) -> Image.Image:
    """Decode a picture file; raises :class:`ImageError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error
    return decode_image(content, str(path))
