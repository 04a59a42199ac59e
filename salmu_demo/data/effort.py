"""What an image file costs to read, told from its structure before anything is decoded.

A file of some kilobytes can ask for minutes or gigabytes without being large on the screen: scans that go over all
pixels again, blocks that are joined one by one, tags that all claim the same megabytes. Images as programs write them
are far below these limits; what is beyond them is refused by every path that reads images.
"""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal

MAX_SCANS: Final = 100
"""Of a JPEG; a progressive one has about 10, and libtiff sets the same limit for those within a TIFF."""
MAX_SCANNED: Final = 1_000_000_000
"""Pixels of a JPEG times its scans; a progressive one of 50 million pixels has half as many."""
MAX_PARTS: Final = 10_000
"""Segments, chunks, blocks, tags or strips of a file; a PNG of 20 MB has about 2,500."""
MAX_TAG_BYTES: Final = 100_000_000
"""Of all tags of a TIFF or of Exif data: each is copied, though all may claim the same bytes."""
MAX_TAG_NUMBERS: Final = 500_000
"""Of all tags, longer than a byte: each becomes an object."""
MAX_TILE_PIXELS: Final = 50_000_000
"""Of a TIFF; a tile is unpacked whole however little of it lies within the image."""

# Restart markers and TEM stand alone. Before the first scan libjpeg refuses all others without a length.
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
_WITH_LENGTH: Final = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE)) - {0xC8}
_HEADER_MARKER: Final = re.compile(rb"\xff+([^\x00\xff])")
_SCAN_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = 0xD9
_EXIF: Final = b"Exif\0\0"

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_RUN_LENGTHS: Final = (1, 2)
_MOST_DIRECTORIES: Final = 100

_TIFF: Final = re.compile(rb"II\*\0|II\0\*|MM\*\0|MM\0\*|II\+\0|MM\0\+|MM\+\0|II\0\+")
_SHORT: Final = 3
_TYPE_BYTES: Final = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8), start=1))
_DIRECTORIES: Final = (34665, 34853, 40965)
"""Tags of Exif, GPS and interoperability, whose directories Pillow reads besides the first one."""
_STRIPS: Final = (273, 324)
_TILE_SIDES: Final = (322, 323)


def too_many_tags(exif: bytes) -> str | None:
    """What Exif data have more of than is read, in words, or None."""
    return _of_tags(memoryview(exif))


def too_much(content: bytes) -> str | None:
    """What an image file has more of than is read, in words, or None.

    Only the structure is looked at: whether it is an image at all is for the decoder to say.

    Raises:
        ValueError: if it is damaged in a way that the decoder would follow at any cost.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return _of_jpeg(content)
    if content.startswith(_PNG):
        return _of_png(content)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return _of_gif(content)
    if content.startswith(b"BM") and int.from_bytes(content[30:34], "little") in _RUN_LENGTHS:
        return "the run-length compression of BMP, which is read a pixel at a time"
    if _TIFF.match(content):
        return too_many_tags(content)
    if content.startswith(b"RIFF") or content[4:8] == b"ftyp":
        # Exif data lie anywhere in WebP and AVIF.
        found = list(islice((_of_tags(tags) for tags in _embedded(content)), _MOST_DIRECTORIES + 1))
        if len(found) > _MOST_DIRECTORIES:
            return f"more than {_MOST_DIRECTORIES} directories of tags"
        return next(filter(None, found), None)
    return None


def _of_jpeg(content: bytes) -> str | None:
    place, parts, pixels, exif = 2, 0, 0, b""
    marker = 0
    while marker != _START_OF_SCAN:
        found = _HEADER_MARKER.search(content, place)
        if found is None:
            raise ValueError("no scan")
        # Pillow looks at every byte of padding.
        parts += found.end() - 1 - place
        if parts > MAX_PARTS:
            return f"more than {MAX_PARTS:,} segments or bytes of padding"
        marker, place = found[1][0], found.end()
        if marker in _WITH_LENGTH:
            segment = content[place + 2 : place + int.from_bytes(content[place : place + 2])]
            place += 2 + len(segment)
            if marker in _FRAMES:
                pixels = int.from_bytes(segment[1:3]) * int.from_bytes(segment[3:5])
            if segment.startswith(_EXIF):
                exif += segment[len(_EXIF) :]
        elif marker not in _ALONE:
            raise ValueError("a marker that stands for nothing")
    most = min(MAX_SCANS, MAX_SCANNED // max(pixels, 1))
    # A film may follow the image of a phone, in which the two bytes occur by chance: that is looked at closely.
    if content.count(bytes((0xFF, _START_OF_SCAN))) > most and _scans(content, place) > most:
        return f"more than {most} scans of {pixels:,} pixels"
    return too_many_tags(exif)


def _scans(content: bytes, place: int) -> int:
    """Scans of a JPEG; `place` is where the data of the first one begin."""
    count = 1
    while found := _SCAN_MARKER.search(content, place):
        marker, place = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            break
        count += marker == _START_OF_SCAN
        if marker in _WITH_LENGTH:
            place += int.from_bytes(content[place : place + 2])
    return count


def _of_png(content: bytes) -> str | None:
    place = len(_PNG)
    for _ in range(MAX_PARTS):
        if place >= len(content):
            return None
        length, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        if kind == b"eXIf" and (problem := too_many_tags(content[place + 8 : place + 8 + length])):
            return problem
        place += 12 + length
    return f"more than {MAX_PARTS:,} chunks"


def _of_gif(content: bytes) -> str | None:
    """Pillow joins the blocks before the image one by one."""
    place = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    inside = False
    for _ in range(MAX_PARTS):
        if inside:
            length = content[place]
            place += 1 + length
            inside = length > 0
        elif content[place] == ord("!"):
            place += 2
            inside = True
        elif content[place] == ord(","):
            return None
        else:
            place += 1
    return f"more than {MAX_PARTS:,} blocks before its image"


def _embedded(content: bytes) -> Iterator[memoryview]:
    """Every part of a file that looks like the beginning of Exif data."""
    for found in _TIFF.finditer(content):
        tags = memoryview(content)[found.start() :]
        if _Directories(tags).first < len(tags):
            yield tags


class _Directories:
    """Directories of tags in a TIFF file or in Exif data (TIFF 6.0, BigTIFF)."""

    def __init__(self, tags: memoryview) -> None:
        self._tags = tags
        self._order = "<" if bytes(tags[:2]) == b"II" else ">"
        self._large = tags[2] == ord("+")
        (self.first,) = self._unpack("Q" if self._large else "I", 8 if self._large else 4)

    def entries(self, place: int) -> Iterator[tuple[int, int, int, int]]:
        """Tag, bytes of a number, count, and first number of each entry that lies within the data."""
        form, head = ("HHQ8s", 8) if self._large else ("HHI4s", 2)
        if place + head > len(self._tags):
            return
        (count,) = self._unpack("Q" if self._large else "H", place)
        size = struct.calcsize(self._order + form)
        whole = min(count, (len(self._tags) - place - head) // size)
        part = self._tags[place + head : place + head + whole * size]
        byteorder: Literal["little", "big"] = "little" if self._order == "<" else "big"
        for tag, kind, numbers, value in struct.iter_unpack(self._order + form, part):
            first = value[:2] if kind == _SHORT else value
            yield tag, _TYPE_BYTES.get(kind, 0), numbers, int.from_bytes(first, byteorder)

    def _unpack(self, form: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, self._tags, place)


def _of_tags(tags: memoryview) -> str | None:
    if not _TIFF.match(tags):
        return None
    directories = _Directories(tags)
    places = [directories.first]
    parts = claimed = numbers = 0
    for place in places:
        sides = 1
        for tag, size, count, value in directories.entries(place):
            parts = max(parts + 1, count if tag in _STRIPS else 0)
            claimed += min(size * count, len(tags))
            numbers += min(count, len(tags)) if size > 1 else 0
            sides *= value if tag in _TILE_SIDES else 1
            if tag in _DIRECTORIES and len(places) <= len(_DIRECTORIES):
                places.append(value)
            if parts > MAX_PARTS:
                return f"more than {MAX_PARTS:,} tags, strips or tiles"
            if claimed > MAX_TAG_BYTES or numbers > MAX_TAG_NUMBERS:
                return f"tags of more than {MAX_TAG_BYTES:,} bytes or {MAX_TAG_NUMBERS:,} numbers"
            if sides > MAX_TILE_PIXELS:
                return f"tiles of more than {MAX_TILE_PIXELS:,} pixels"
    return None
