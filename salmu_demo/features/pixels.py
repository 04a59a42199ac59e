"""Decoded and resized images, made once for each (data, preprocessing) and shared by all models."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.core.errors import ImageError, SalmuError, StorageError
from salmu_demo.features.rows import RowArray, Rows
from salmu_demo.features.store import ArrayStore

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

BATCH: Final = 64
"""Images encoded, and kept, at a time."""

DEFAULT_BUDGET_GB: Final = 2.0
_WRITE_BYTES: Final = 32_000_000


@dataclass(frozen=True)
class ImageSet:
    """Images that can be encoded: those of a stored split, or the files of a folder.

    Attributes:
        data: fingerprint of the data they come from.
        name: their name within the data.
        count: how many there are.
        decode: returns one of them, by its row, as an RGB image.
    """

    data: str
    name: str
    count: int
    decode: Callable[[int], Image.Image]


def pixel_budget() -> int:
    """Largest pixel array that is kept on disk, in bytes: `SALMU_PIXEL_CACHE_GB` per split; 0 keeps none."""
    budget = os.environ.get("SALMU_PIXEL_CACHE_GB", DEFAULT_BUDGET_GB)
    try:
        return int(float(budget) * 1e9)
    except (ValueError, OverflowError) as error:
        raise StorageError(f"SALMU_PIXEL_CACHE_GB is {budget!r}; it must be a number of gigabytes.") from error


class VisitorImage:
    """A visitor's image: whole until the models have looked at it, afterwards only at their input sizes.

    A model that is asked again gets the same pixels, and gives the same feature to the last bit.
    """

    def __init__(self, image: Image.Image) -> None:
        """Start with an RGB image of any size."""
        self._image: Image.Image | None = image
        self._pixels: dict[str, NDArray[np.uint8]] = {}

    def pixels(self, encoder: "Encoder") -> NDArray[np.uint8]:
        """The image preprocessed for a model, shape (H, W, 3).

        Raises:
            ImageError: if only other sizes, or nothing, is left of it.
        """
        known = self._pixels.get(encoder.preprocessing)
        if known is None:
            image = self._image
            if image is None:
                raise ImageError(
                    f"Your image is no longer kept, or not at the size that {encoder.source.name} needs; give it again."
                )
            known = self._pixels[encoder.preprocessing] = encoder.pixels(image)
        return known

    @property
    def kept_bytes(self) -> int:
        """What it takes once `reduce` was called."""
        return sum(pixels.nbytes for pixels in list(self._pixels.values()))

    def reduce(self) -> None:
        """Drop the whole image."""
        self._image = None

    def drop(self) -> None:
        """Drop everything."""
        self._image = None
        self._pixels = {}


class PixelReader:
    """Preprocessed images as bytes, from disk or decoded anew; the next batch is decoded while one is encoded.

    The first model of a preprocessing decodes and, within the budget, keeps them; the following ones read them. Used as
    a context manager, because it owns threads.
    """

    def __init__(self, store: ArrayStore, images: ImageSet, encoder: "Encoder") -> None:
        height, width = encoder.image_size
        self._store = store
        self._images = images
        self._encoder = encoder
        self._path = store.pixel_path(images.data, f"{images.name}.{encoder.preprocessing}")
        self._kept = images.count * height * width * 3 <= pixel_budget()
        self._pool = ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) - 1))
        self._ahead: dict[int, Future[NDArray[np.uint8]]] = {}
        self._unwritten: list[tuple[Rows, NDArray[np.uint8]]] = []

    def __enter__(self) -> "PixelReader":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        if kind is None or not issubclass(kind, SalmuError):
            self._write()

    def read(self, rows: Rows, following: Rows) -> NDArray[np.uint8]:
        """Images of some rows, shape (n, H, W, 3); those of the `following` rows are begun.

        Raises:
            ImageError: if an image cannot be decoded.
            StorageError: if the cache cannot be read or written.
        """
        if not self._kept:
            return self._decode(rows, following)
        array = RowArray(self._path, self._images.count)
        stored = array.read(rows)
        if stored is not None:
            return stored
        decoded = self._decode(rows, following[np.isin(following, array.missing(following))])
        self._unwritten.append((rows, decoded))
        if sum(values.nbytes for _, values in self._unwritten) >= _WRITE_BYTES:
            self._write()
        return decoded

    def _write(self) -> None:
        """Keep what was decoded: many batches at once, because the disk takes as long for one as a small model does."""
        if not self._unwritten:
            return
        rows, values = (np.concatenate(parts) for parts in zip(*self._unwritten, strict=True))
        self._unwritten = []
        with self._store.turn(self._path):
            array = RowArray(self._path, self._images.count)
            # Another model may have written some of them meanwhile; the others are missing, or damaged.
            array.drop_damaged(rows)
            missing = array.missing(rows)
            if len(missing):
                array.write(missing, values[np.isin(rows, missing)])

    def _decode(self, rows: Rows, following: Rows) -> NDArray[np.uint8]:
        for row in [*rows.tolist(), *following.tolist()]:
            if row not in self._ahead:
                self._ahead[row] = self._pool.submit(self._image, row)
        return np.stack([self._ahead.pop(row).result() for row in rows.tolist()])

    def _image(self, row: int) -> NDArray[np.uint8]:
        return self._encoder.pixels(self._images.decode(row))
