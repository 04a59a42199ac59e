"""Small versions of a data set's pictures, made once, as data addresses that go straight into the page."""

import base64
import io
import threading
from dataclasses import dataclass
from typing import Final

from PIL import Image

from salmu_demo.data.dataset import BenchmarkData

PORTRAIT_SIZE: Final = 96
PICTURE_SIZE: Final = 144
_KEPT: Final = 4096
"""Small pictures kept in memory, about 3 kB each."""


@dataclass(frozen=True)
class Picture:
    """One small picture: where it comes from, and its content as a `data:` address."""

    split: str
    address: str


class Portraits:
    """Small pictures of personas. May be called from several threads."""

    def __init__(self, data: BenchmarkData) -> None:
        self._data = data
        self._made: dict[tuple[str, int, int], Picture] = {}
        self._lock = threading.Lock()

    def portrait(self, identity_id: str) -> Picture:
        """The first picture of a persona."""
        split, rows = next(iter(self._data.persona_rows(identity_id).items()))
        return self._small(split, rows[0], PORTRAIT_SIZE)

    def pictures(self, identity_id: str, count: int) -> list[Picture]:
        """Up to `count` pictures of a persona, the same number from each of its splits where they last."""
        left = {split: list(rows) for split, rows in self._data.persona_rows(identity_id).items()}
        chosen: list[tuple[str, int]] = []
        while len(chosen) < count and any(left.values()):
            chosen += [(split, rows.pop(0)) for split, rows in left.items() if rows]
        order = list(left)
        chosen = sorted(chosen[:count], key=lambda place: (order.index(place[0]), place[1]))
        return [self._small(split, row, PICTURE_SIZE) for split, row in chosen]

    def _small(self, split: str, row: int, size: int) -> Picture:
        key = (split, row, size)
        with self._lock:
            found = self._made.get(key)
        if found is not None:
            return found
        image = self._data.image(split, row)
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        image.save(stream, "WEBP", quality=80)
        picture = Picture(split, "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode())
        with self._lock:
            if len(self._made) >= _KEPT:
                self._made.clear()
            self._made[key] = picture
        return picture
