"""Decoded and resized pictures, made once for each (data, preprocessing) and shared by all models."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.embeddings.store import ArrayStore
from salmu_demo.errors import StorageError
from salmu_demo.files import atomic_path

if TYPE_CHECKING:
    from salmu_demo.models.encoder import Encoder

BATCH: Final = 64
AHEAD: Final = 3
"""Batches decoded ahead of the encoder, so that it never waits for a JPEG."""

DEFAULT_BUDGET_GB: Final = 2.0


@dataclass(frozen=True)
class PictureSet:
    """Pictures to encode: the rows of a split, or the files of a folder.

    Attributes:
        data: fingerprint of the data they come from.
        name: their name within the data.
        count: how many there are.
        decode: returns one of them as an RGB picture.
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


def pixel_batches(store: ArrayStore, pictures: PictureSet, encoder: "Encoder") -> Iterator[NDArray[np.uint8]]:
    """Preprocessed pictures in batches of :data:`BATCH`: arrays (n, H, W, 3) of bytes.

    The first model of a preprocessing decodes and, within the budget, writes them; the following ones read them.

    Raises:
        ImageError: if a picture cannot be decoded.
        StorageError: if the cache cannot be written.
    """
    height, width = encoder.image_size
    path = store.pixel_path(pictures.data, f"{pictures.name}.{encoder.preprocessing}")
    if pictures.count * height * width * 3 > pixel_budget():
        yield from _decode(pictures, encoder)
        return
    with store.lock(path):
        stored = store.load(path, pictures.count)
        if stored is None:
            with atomic_path(path, "The cache") as temporary, temporary.open("wb") as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": (pictures.count, height, width, 3)}
                npy.write_array_header_2_0(stream, header)
                for batch in _decode(pictures, encoder):
                    # Plain writes, not a writable map: a full disk is then an error and not a crash.
                    stream.write(batch.tobytes())
                    yield batch
            return
    for start in range(0, pictures.count, BATCH):
        yield np.asarray(stored[start : start + BATCH])


def _decode(pictures: PictureSet, encoder: "Encoder") -> Iterator[NDArray[np.uint8]]:
    def batch(start: int) -> NDArray[np.uint8]:
        stop = min(start + BATCH, pictures.count)
        return np.stack([encoder.pixels(pictures.decode(number)) for number in range(start, stop)])

    with ThreadPoolExecutor(max_workers=max(1, (os.cpu_count() or 2) - 1)) as pool:
        waiting: deque[Future[NDArray[np.uint8]]] = deque()
        try:
            for start in range(0, pictures.count, BATCH):
                waiting.append(pool.submit(batch, start))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
