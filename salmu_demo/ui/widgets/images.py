"""Small copies of the data set's images, as addresses that need no file on the server."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from PIL import Image as Pillow

from salmu_demo.core.errors import SalmuError
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.probes.people import ShownImage

SIDE: Final = 160
PORTRAIT_SIDE: Final = 96
"""Portraits are many on one page, so they are small: 1 kB each."""

_KEPT: Final = 2000
"""Thumbnails kept: about 10 MB."""


def data_address(content: bytes, kind: str) -> str:
    """A `data:` address of some content, for `src` or `href`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image_address(image: Pillow.Image, side: int = SIDE) -> str:
    """A thumbnail of an image as an address."""
    small = image.copy()
    small.thumbnail((side, side))
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=82)
    return data_address(stream.getvalue(), "image/webp")


class Thumbnails:
    """Thumbnails of a data set, the latest ones kept in memory."""

    def __init__(self, data: BenchmarkData, side: int = SIDE) -> None:
        self._kept = lru_cache(_KEPT)(partial(_thumbnail, data, side))

    def address(self, split: str, row: int) -> str | None:
        """The thumbnail of a row of a stored split, or None if its image is damaged."""
        return self._kept(split, row)


def _thumbnail(data: BenchmarkData, side: int, split: str, row: int) -> str | None:
    try:
        return image_address(data.image(split, row), side)
    except SalmuError:
        # One damaged image must not hide the other results.
        return None


@dataclass(frozen=True)
class Image:
    """One image of a persona: its split, and its thumbnail or None if it is damaged."""

    split: str
    address: str | None


class Portraits:
    """Thumbnails of a data set's personas."""

    def __init__(self, data: BenchmarkData) -> None:
        self._data = data
        self._small = Thumbnails(data, PORTRAIT_SIDE)
        self._large = Thumbnails(data)

    def portrait(self, identity_id: str) -> str | None:
        """The thumbnail of a persona's first image."""
        split, rows = next(iter(self._data.persona_rows(identity_id).items()))
        return self._small.address(split, rows[0])

    def images(self, identity_id: str, count: int) -> list[Image]:
        """Up to `count` images of a persona, as evenly from its splits as they allow."""
        return self.of(ShownImage(*place) for place in spread(self._data.persona_rows(identity_id), count))

    def of(self, shown: Iterable[ShownImage]) -> list[Image]:
        """Some images."""
        return [Image(each.split, self._large.address(each.split, each.row)) for each in shown]


def spread(rows: dict[str, list[int]], count: int) -> list[tuple[str, int]]:
    """Choose rows from several splits in turn, and return them split by split.

    >>> spread({"forget": [4, 5, 6], "holdout": [9]}, 3)
    [('forget', 4), ('forget', 5), ('holdout', 9)]
    """
    longest = max(map(len, rows.values()), default=0)
    in_turn = [(split, places[turn]) for turn in range(longest) for split, places in rows.items() if turn < len(places)]
    order = list(rows)
    return sorted(in_turn[:count], key=lambda place: (order.index(place[0]), place[1]))
