"""How fast a model encodes on this machine, timed once and kept beside its features."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from salmu_demo.core.files import write_text
from salmu_demo.data import layout
from salmu_demo.features.embedder import TEXTS
from salmu_demo.features.pixels import BATCH
from salmu_demo.features.view import FeatureView

LONG_ENOUGH: Final = 0.5
"""Seconds of a trial that is believed: a full batch of a large model takes a quarter of a minute on two cores."""


@dataclass(frozen=True)
class Rates:
    """What one model encodes in a second.

    Attributes:
        images: images, decoding included.
        texts: texts.
    """

    images: float
    texts: float


def rates_of(features: FeatureView) -> Rates:
    """The rates of a model on this machine's device; the first call times them with images and texts of the data.

    Raises:
        ModelError: if the model cannot be loaded.
        StorageError: if the cache cannot be written.
    """
    # Only whoever has something to encode asks, and then torch is needed anyway; the model itself not yet.
    from salmu_demo.models.encoder import best_device  # noqa: PLC0415

    embedder, model, data = features.embedder, features.model, features.data
    device = str(best_device())
    path = embedder.store.facts_path(model.fingerprint).with_name("rates.json")
    try:
        return _read_rates(json.loads(path.read_text("utf-8"))[device])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    split = data.split(layout.FORGET)
    with embedder.encoders.lend(model) as encoder:

        def encode_images(count: int) -> None:
            encoder.encode_pixels(
                np.stack([encoder.pixels(data.image(split.stored, int(row))) for row in split.rows[:count]]), fill=False
            )

        rates = Rates(
            images=_rate(encode_images, min(BATCH, len(split))),
            texts=_rate(lambda count: encoder.encode_texts(split.texts[:count], fill=False), min(TEXTS, len(split))),
        )
    write_text(path, json.dumps({device: asdict(rates)}), "The cache")
    return rates


def _rate(work: Callable[[int], Any], most: int) -> float:
    """Pieces a second, of trials that grow until one lasts long enough or is as large as the batches of real work."""
    count = 1
    while True:
        start = time.perf_counter()
        work(count)
        seconds = time.perf_counter() - start
        if seconds >= LONG_ENOUGH or count == most:
            return count / seconds
        count = min(4 * count, most)


def _read_rates(entry: dict[str, Any]) -> Rates:
    rates = Rates(float(entry["images"]), float(entry["texts"]))
    if not (0 < rates.images < float("inf") and 0 < rates.texts < float("inf")):
        raise ValueError("rates must be positive")
    return rates
