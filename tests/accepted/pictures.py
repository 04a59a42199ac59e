"""Pictures: modes, formats and limits. `make()` gives the file; `expected` is a pixel, or a part of the sentence."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from tests.accepted import Case

RED = (255, 0, 0)


def encoded(image: Image.Image, encoding: str, **options: Any) -> bytes:
    """The picture as a file."""
    stream = io.BytesIO()
    image.save(stream, encoding, **options)
    return stream.getvalue()


def plain(encoding: str, **options: Any) -> Callable[[], bytes]:
    """A red picture of a format."""
    return lambda: encoded(Image.new("RGB", (16, 16), RED), encoding, **options)


def scanned(size: int, further: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    whole = encoded(Image.new("RGB", (size, size), RED), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * further + b"\xff\xd9"


def jpeg_with(segments: bytes) -> bytes:
    """A JPEG with further segments at its beginning."""
    whole = plain("JPEG")()
    return whole[:2] + segments + whole[2:]


def exif_of(data: bytes) -> bytes:
    """Exif data as segments of a JPEG, which Pillow joins."""
    parts = [data[start : start + 60_000] for start in range(0, len(data), 60_000)]
    return b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 8) + b"Exif\0\0" + part for part in parts)


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_with(chunks: bytes) -> bytes:
    """A PNG with further chunks after its header."""
    whole = plain("PNG")()
    return whole[:33] + chunks + whole[33:]


def gif_with(blocks: bytes) -> bytes:
    """A GIF with further blocks before its picture."""
    whole = encoded(Image.new("P", (8, 8)), "GIF")
    start = 13 + (3 << (whole[10] & 7) + 1 if whole[10] & 0x80 else 0)
    return whole[:start] + blocks + whole[start:]


def directory(entries: Sequence[tuple[int, int, int, int]]) -> bytes:
    """The head of a TIFF or of Exif data: tag, type, count and value of each entry."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4)


def tiff(further: Sequence[tuple[int, int, int, int]] = (), tail: bytes = bytes(200)) -> bytes:
    """A grey TIFF of 8 x 8 pixels with further tags."""
    tags = {256: (3, 1, 8), 257: (3, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8),
            277: (3, 1, 1), 278: (3, 1, 8), 279: (4, 1, 64)}  # fmt: skip
    tags |= {tag: rest for tag, *rest in further}  # type: ignore[misc]
    return directory([(tag, *rest) for tag, rest in tags.items()]) + tail


def one_tile() -> bytes:
    """A TIFF of 8 x 8 pixels in the corner of a tile of 64 million."""
    packed = zlib.compress(bytes(8000 * 8000), 1)
    tags = [(256, 3, 1, 8), (257, 3, 1, 8), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1),
            (322, 3, 1, 8000), (323, 3, 1, 8000), (324, 4, 1, 134), (325, 4, 1, len(packed))]  # fmt: skip
    return directory(tags) + packed


def claims(count: int, size: int) -> bytes:
    """Exif data with tags that all claim the same bytes."""
    return directory([(40_000 + number, 7, size, 0) for number in range(count)]) + bytes(size)


def run_lengths() -> bytes:
    """A BMP compressed by run lengths."""
    head = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + head + bytes(1024) + b"\x08\x07" * 8 + b"\0\1"


def film() -> bytes:
    """A JPEG as phones write them, with a film behind it in which the bytes of a scan occur by chance."""
    return plain("JPEG", progressive=True)() + b"ftyp" + b"\xff\xda\0" * 500


def sequence(encoding: str, **options: Any) -> Callable[[], bytes]:
    """300 frames, the first of them red."""

    def make() -> bytes:
        frames = [Image.new("RGB", (16, 16), (0, number % 256, number // 256)) for number in range(1, 300)]
        first = Image.new("RGB", (16, 16), RED)
        return encoded(first, encoding, save_all=True, append_images=frames, **options)

    return make


_COST = "Pictures: cost of reading"
CASES: list[Case] = [
    Case(_COST, "progressive JPEG", "accepted", "up to 100 scans", plain("JPEG", progressive=True), RED),
    Case(_COST, "JPEG with a film or a second picture behind it", "accepted", "what is behind it is not read", film,
         RED),
    Case(_COST, "animated GIF, WebP, PNG, AVIF; TIFF of many pages", "accepted", "the first frame; no other is decoded",
         sequence("WEBP", lossless=True), RED),
    Case(_COST, "JPEG with more than 100 scans", "refused", "`has more than 100 scans`", lambda: scanned(64, 120),
         "more than 100 scans of 4,096 pixels"),
    Case(_COST, "JPEG whose pixels times scans are more than 10⁹", "refused", "`has more than 27 scans of … pixels`",
         lambda: scanned(6000, 30), "more than 27 scans of 36,000,000 pixels"),
    Case(_COST, "JPEG with 10,000 segments or bytes of padding", "refused", "`has more than 10,000 segments`",
         lambda: jpeg_with(b"\xff\xfe\0\2" * 10_001), "more than 10,000 segments"),
    Case(_COST, "PNG with more than 10,000 chunks", "refused", "`has more than 10,000 chunks`",
         lambda: png_with(chunk(b"prIv", b"") * 10_001), "more than 10,000 chunks"),
    Case(_COST, "GIF with more than 10,000 blocks before its picture", "refused", "`has more than 10,000 blocks …`",
         lambda: gif_with(b"!\xfe" + b"\1a" * 10_001 + b"\0"), "more than 10,000 blocks"),
    Case(_COST, "BMP with run-length compression", "refused", "`has the run-length compression of BMP …`", run_lengths,
         "run-length compression"),
    Case(_COST, "TIFF with more than 10,000 strips or tiles", "refused", "`has more than 10,000 tags, strips or tiles`",
         lambda: tiff([(257, 4, 1, 10_001), (273, 4, 10_001, 130), (278, 3, 1, 1), (279, 4, 10_001, 130)],
                      struct.pack("<I", 8) * 20_000), "more than 10,000 tags, strips or tiles"),
    Case(_COST, "TIFF with tiles of over 50 million pixels", "refused", "`has tiles of more than 50,000,000 pixels`",
         one_tile, "tiles of more than"),
    Case(_COST, "tags of a TIFF or Exif data that claim more than 100 MB together", "refused", "`has tags of …`",
         lambda: tiff([(40_000 + number, 7, 1_000_000, 0) for number in range(120)], bytes(1_010_000)),
         "tags of more than"),
    Case(_COST, "the same in a JPEG", "refused", "the same", lambda: jpeg_with(exif_of(claims(300, 500_000))),
         "tags of more"),
    Case(_COST, "the same in a PNG", "refused", "the same", lambda: png_with(chunk(b"eXIf", claims(300, 500_000))),
         "tags of more"),
    Case(_COST, "the same in a WebP or AVIF", "refused", "the same",
         lambda: plain("WEBP", exif=claims(300, 500_000))(), "tags of more"),
]  # fmt: skip
