"""Images: modes, formats and limits. `make()` gives the file; `expected` is a pixel, or a part of the sentence."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tests.accepted import Case

RED = (255, 0, 0)


def encoded(image: Image.Image, encoding: str, **options: Any) -> bytes:
    """The image as a file."""
    stream = io.BytesIO()
    image.save(stream, encoding, **options)
    return stream.getvalue()


def plain(encoding: str, **options: Any) -> Callable[[], bytes]:
    """A red image of a format."""
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
    """A GIF with further blocks before its image."""
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


def array(values: Any, kind: type, encoding: str, **options: Any) -> Callable[[], bytes]:
    """A grey image of 4 x 4 pixels of one value."""
    return lambda: encoded(Image.fromarray(np.full((4, 4), values, kind)), encoding, **options)


def of_mode(mode: str, colour: Any, encoding: str, **options: Any) -> Callable[[], bytes]:
    """An image of 16 x 16 pixels of one colour."""
    return lambda: encoded(Image.new(mode, (16, 16), colour), encoding, **options)


def palette(encoding: str, **options: Any) -> Callable[[], bytes]:
    """An image of a palette whose colour 0 is red."""

    def make() -> bytes:
        image = Image.new("P", (16, 16), 0)
        image.putpalette([*RED, 0, 0, 255])
        return encoded(image, encoding, **options)

    return make


def turned(encoding: str) -> Callable[[], bytes]:
    """An image whose upper left corner is blue as it lies and red when it is rotated upright."""

    def make() -> bytes:
        image = Image.new("RGB", (16, 16), (0, 0, 255))
        image.paste(RED, (0, 8, 16, 16))
        exif = Image.Exif()
        exif[274] = 3
        return encoded(image, encoding, exif=exif)

    return make


def deep_key() -> bytes:
    """A PNG of 16 bits for each colour, of which one colour is transparent."""
    colour = struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)) + chunk(b"tRNS", colour)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


def twelve_bits() -> bytes:
    """A TIFF of 12 bits, two pixels in three bytes, in the middle of its range."""
    return tiff([(258, 3, 1, 12), (279, 4, 1, 96)], bytes((0x80, 0x08, 0x00)) * 40).replace(
        struct.pack("<HHII", 273, 4, 1, 8), struct.pack("<HHII", 273, 4, 1, 122)
    )


_MODES = "Images: modes"
GREY = (128, 128, 128)
WHITE = (255, 255, 255)
_COST = "Images: cost of reading"
CASES: list[Case] = [
    Case(_MODES, "RGB of 8 bits: JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF", "accepted", "as it is", plain("PNG"), RED),
    Case(_MODES, "RGB of 16 bits", "accepted", "the upper 8 bits",
         lambda: deep_key().replace(chunk(b"tRNS", struct.pack(">HHH", 0x1234, 0x5678, 0x9ABC)), b""), (0x12, 0x56,
         0x9A)),
    Case(_MODES, "black and white (`1`)", "accepted", "0 and 255", of_mode("1", 1, "PNG"), WHITE),
    Case(_MODES, "grey of 8 bits (`L`)", "accepted", "three equal values", of_mode("L", 128, "PNG"), GREY),
    Case(_MODES, "grey of 16 bits (`I;16`), PNG", "accepted", "divided by 257, to the nearest", array(128 * 257,
         np.uint16, "PNG"),
         GREY),
    Case(_MODES, "grey of 16 bits (`I;16`), TIFF", "accepted", "the same", array(128 * 257, np.uint16, "TIFF"), GREY),
    Case(_MODES, "the same with white as 0", "accepted", "the same, inverted",
         lambda: array(127 * 257, np.uint16, "TIFF")().replace(struct.pack("<HHIH", 262, 3, 1, 1),
                                                               struct.pack("<HHIH", 262, 3, 1, 0)), GREY),
    Case(_MODES, "grey of 12 bits, TIFF", "accepted", "times 255 / 4095, to the nearest", twelve_bits, GREY),
    Case(_MODES, "32-bit or signed grey (`I`)", "refused", "`does not say how bright white is`",
         array(70_000, np.int32, "TIFF"), "does not say how bright white is"),
    Case(_MODES, "floating point from 0 to 1 (`F`)", "accepted", "times 255, to the nearest", array(0.5, np.float32,
         "TIFF"),
         GREY),
    Case(_MODES, "floating point beyond, or NaN", "refused", "`that do not lie between 0 (black) and 1 (white)`",
         array(128, np.float32, "TIFF"), "do not lie between 0 (black) and 1 (white)"),
    Case(_MODES, "NaN", "refused", "the same", array(np.nan, np.float32, "TIFF"), "do not lie between"),
    Case(_MODES, "palette (`P`)", "accepted", "its colours", palette("PNG"), RED),
    Case(_MODES, "palette with a transparent colour, PNG", "accepted", "white there", palette("PNG", transparency=0),
         WHITE),
    Case(_MODES, "palette with a transparent colour, GIF", "accepted", "white there", palette("GIF", transparency=0),
         WHITE),
    Case(_MODES, "palette with semi-transparent colours", "accepted", "placed on white",
         palette("PNG", transparency=b"\x80\xff"), (255, 127, 127)),
    Case(_MODES, "palette and alpha (`PA`)", "accepted", "placed on white", of_mode("PA", (0, 0), "TIFF"), WHITE),
    Case(_MODES, "RGB and alpha (`RGBA`), PNG", "accepted", "placed on white", of_mode("RGBA", (255, 0, 0, 128), "PNG"),
         (255, 127, 127)),
    Case(_MODES, "the same, WebP", "accepted", "the same", of_mode("RGBA", (255, 0, 0, 128), "WEBP", lossless=True),
         (255, 127, 127)),
    Case(_MODES, "the same, AVIF", "accepted", "the same", of_mode("RGBA", (255, 0, 0, 0), "AVIF"), WHITE),
    Case(_MODES, "RGB with a transparent colour", "accepted", "white there", of_mode("RGB", (1, 2, 3), "PNG",
         transparency=(1, 2, 3)),
         WHITE),
    Case(_MODES, "the same of 16 bits", "accepted", "white where the upper 8 bits are equal", deep_key, WHITE),
    Case(_MODES, "grey and alpha (`LA`)", "accepted", "placed on white", of_mode("LA", (0, 0), "PNG"), WHITE),
    Case(_MODES, "grey with a transparent value", "accepted", "white there", of_mode("L", 7, "PNG", transparency=7),
         WHITE),
    Case(_MODES, "the same of 16 bits", "accepted", "the same", array(700, np.uint16, "PNG", transparency=700), WHITE),
    Case(_MODES, "CMYK, JPEG (inverted, as Adobe writes it)", "accepted", "Pillow's plain formula",
         of_mode("CMYK", (0, 255, 255, 0), "JPEG"), RED),
    Case(_MODES, "CMYK, TIFF", "accepted", "the same", of_mode("CMYK", (0, 255, 255, 0), "TIFF"), RED),
    Case(_MODES, "LAB, TIFF", "accepted", "Pillow's plain formula", of_mode("LAB", (128, 128, 128), "TIFF"), (119,
         119, 119)),
    Case(_MODES, "a colour profile (ICC)", "accepted", "not applied, as in the training of CLIP models",
         plain("PNG", icc_profile=b"a profile"), RED),
    Case(_MODES, "rotated by Exif, JPEG", "accepted", "rotated upright", turned("JPEG"), RED),
    Case(_MODES, "rotated by Exif, PNG", "accepted", "rotated upright", turned("PNG"), RED),
    Case(_COST, "progressive JPEG", "accepted", "up to 100 scans", plain("JPEG", progressive=True), RED),
    Case(_COST, "JPEG followed by a film or a second image", "accepted", "what follows is not read", film,
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
    Case(_COST, "GIF with more than 10,000 blocks before its image", "refused", "`has more than 10,000 blocks …`",
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
    Case(_COST, "the same in a text of a PNG", "refused", "the same",
         lambda: png_with(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(
             b"\nexif\n9\n" + claims(500, 400_000).hex().encode()))), "tags of more"),
    Case(_COST, "the same in a WebP or AVIF", "refused", "the same",
         lambda: plain("WEBP", exif=claims(300, 500_000))(), "tags of more"),
]  # fmt: skip
