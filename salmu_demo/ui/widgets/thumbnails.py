"""Small copies of the data set's images, as addresses that need no file on the server."""

import base64
import io
import threading
from collections import OrderedDict
from typing import Final

from PIL import Image

from salmu_demo.core.errors import SalmuError
from salmu_demo.data.dataset import BenchmarkData

SIDE: Final = 160
_KEPT: Final = 2000
"""Thumbnails kept: about 10 MB."""


def data_address(content: bytes, kind: str) -> str:
    """A `data:` address of some content, for `src` or `href`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image_address(image: Image.Image, side: int = SIDE) -> str:
    """A thumbnail of an image as an address."""
    small = image.copy()
    small.thumbnail((side, side))
    stream = io.BytesIO()
    small.save(stream, "WEBP", quality=82)
    return data_address(stream.getvalue(), "image/webp")


class Thumbnails:
    """Thumbnails of a data set, the latest ones kept in memory."""

    def __init__(self, data: BenchmarkData, side: int = SIDE) -> None:
        self._data = data
        self._side = side
        self._made: OrderedDict[tuple[str, int], str | None] = OrderedDict()
        self._lock = threading.Lock()

    def address(self, split: str, row: int) -> str | None:
        """The thumbnail of a row of a stored split, or None if its image is damaged."""
        key = (split, row)
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                return self._made[key]
        try:
            address = image_address(self._data.image(split, row), self._side)
        except SalmuError:
            # One damaged image must not hide the other results.
            address = None
        with self._lock:
            self._made[key] = address
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return address
