"""Which images stand for a persona."""

from dataclasses import dataclass
from typing import Final

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.ui.widgets.thumbnails import Thumbnails

PORTRAIT_SIDE: Final = 96
"""Portraits are many on one page, so they are small: 1 kB each."""


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
        places = spread(self._data.persona_rows(identity_id), count)
        return [Image(split, self._large.address(split, row)) for split, row in places]


def spread(rows: dict[str, list[int]], count: int) -> list[tuple[str, int]]:
    """Choose rows from several splits in turn, and return them split by split.

    >>> spread({"forget": [4, 5, 6], "holdout": [9]}, 3)
    [('forget', 4), ('forget', 5), ('holdout', 9)]
    """
    longest = max(map(len, rows.values()), default=0)
    in_turn = [(split, places[turn]) for turn in range(longest) for split, places in rows.items() if turn < len(places)]
    order = list(rows)
    return sorted(in_turn[:count], key=lambda place: (order.index(place[0]), place[1]))
