"""The one expensive step: features of images and texts, computed once for each (model, data) and kept on disk."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from salmu_demo.core.errors import QueryError, SalmuError, StorageError
from salmu_demo.core.files import read_checked, write_checked
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.pixels import BATCH, ImageSet, PixelReader, VisitorImage
from salmu_demo.features.rows import RowArray, Rows
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.texts import TextTable
from salmu_demo.models.registry import EncoderRegistry
from salmu_demo.models.source import ModelSource

Features = NDArray[np.float32]
TEXTS: Final = 256
"""Texts encoded, and kept, at a time."""

MOST_TABLES: Final = 8
"""Models whose kept texts are remembered; those of another are looked up in its file, which takes a moment."""

_NOTHING_COUNTED: Final[dict[str, Any]] = {"counted": [], "cut": {}}

TURN_SECONDS: Final = 2.0
MOST_BATCHES: Final = 64
"""Batches of images of one turn: for so long, at least one, and at most so many. To reach the disk takes about as
long as a small model takes for a batch; whoever waits for a turn, or is killed, loses no more than this."""


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model that its files do not tell without loading it.

    Attributes:
        dim: width of the features.
        parameters: number of parameters.
        logit_scale: the factor the model multiplies cosines by before a softmax.
        device: where its features are computed.
        weights_digest: equal for models with the same weights, see `salmu_demo.models.weights.WeightSummary`.
    """

    dim: int
    parameters: int
    logit_scale: float
    device: str
    weights_digest: str


class Embedder:
    """Features of a model, from disk if they are there, else computed and kept.

    All features are float32, L2-normalised and read-only. Probes, metrics and plots share them. They are kept by row of
    the stored split and by distinct text, so that a derived split, a sample and an interrupted run leave nothing to be
    computed twice. A row has the same bits whatever else was asked for with it, see `Encoder`.
    """

    def __init__(self, store: ArrayStore | None = None, encoders: EncoderRegistry | None = None) -> None:
        self.store = store or ArrayStore()
        self.encoders = encoders or EncoderRegistry()
        self._lock = threading.Lock()
        self._tables: OrderedDict[Path, TextTable] = OrderedDict()

    def images(
        self, model: ModelSource, data: BenchmarkData, split: Split, progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of a split's images, shape (N, D)."""
        images = ImageSet(
            data.fingerprint,
            split.stored,
            len(data.split(split.stored)),
            lambda row: data.image(split.stored, row),
        )
        return self._fill_images(model, images, split.rows, progress)

    def captions(
        self, model: ModelSource, data: BenchmarkData, split: Split, progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of a split's captions, shape (N, D)."""
        path, count = self._column(model, data, split, layout.TEXT)
        found = _read(path, count, split.rows)
        return found if found is not None else self._fill_captions(model, data, split, progress)

    def images_of(self, model: ModelSource, images: ImageSet, progress: ProgressCallback = ignore_progress) -> Features:
        """Features of all images of a set, shape (N, D)."""
        return self._fill_images(model, images, np.arange(images.count), progress)

    def prompts(
        self, model: ModelSource, texts: Sequence[str], progress: ProgressCallback = ignore_progress
    ) -> Features:
        """Features of texts outside the data's columns, shape (N, D); each distinct text is kept once."""
        table = self._prompts(model)
        found = table.read(texts)
        if found is not None:
            return found
        step, total = partial(Progress, "texts", unit=Unit.TEXTS, model=model.name), len(set(texts))
        with self.encoders.lend(model) as encoder:

            def write_batch() -> None:
                missing = _alike_in_length(table.missing(texts))
                progress(step(total - len(missing), total))
                if missing:
                    table.append(missing[:TEXTS], encoder.encode_texts(missing[:TEXTS]))

            features = self._fill(table.path, total, lambda: table.read(texts), write_batch)
        progress(step(total, total))
        return features

    def missing_images(self, model: ModelSource, data: BenchmarkData, split: Split) -> int:
        """How many images of a split have no features yet."""
        return len(RowArray(*self._column(model, data, split, layout.IMAGE)).missing(split.rows))

    def missing_images_of(self, model: ModelSource, images: ImageSet) -> int:
        """How many images of a set have no features yet."""
        path = self._image_path(model, images.data, images.name)
        return len(RowArray(path, images.count).missing(np.arange(images.count)))

    def missing_captions(self, model: ModelSource, data: BenchmarkData, split: Split) -> int:
        """How many distinct captions of a split have no features yet."""
        missing = RowArray(*self._column(model, data, split, layout.TEXT)).missing(split.rows)
        stored = data.split(split.stored).texts
        return len({stored[row] for row in missing})

    def missing_prompts(self, model: ModelSource, texts: Sequence[str]) -> int:
        """How many distinct texts have no features yet."""
        return len(self._prompts(model).missing(texts))

    def query_text(self, model: ModelSource, text: str) -> Features:
        """Feature of a user's text, shape (1, D); never stored.

        Raises:
            QueryError: if the text is empty.
        """
        if not text.strip():
            raise QueryError("The query is empty; type a text, for example a name or a phone number.")
        with self.encoders.lend(model) as encoder:
            return encoder.encode_texts([text.strip()], fill=False)

    def query_image(self, model: ModelSource, image: Image.Image | VisitorImage) -> Features:
        """Feature of a user's image, shape (1, D); never stored.

        Raises:
            ImageError: if it is not kept at the size that the model needs.
        """
        with self.encoders.lend(model) as encoder:
            pixels = image.pixels(encoder) if isinstance(image, VisitorImage) else encoder.pixels(image)
            return encoder.encode_pixels(pixels[None], fill=False)

    def facts(self, model: ModelSource) -> ModelFacts:
        """What loading the model once has told; kept on disk, so that cached features need no loading."""
        known = self.known_facts(model)
        if known is not None:
            return known
        with self.encoders.lend(model) as encoder:
            facts = ModelFacts(
                encoder.dim, encoder.parameters, encoder.logit_scale, str(encoder.device), encoder.weights_digest
            )
        write_checked(self.store.facts_path(model.fingerprint), asdict(facts), "The cache")
        return facts

    def known_facts(self, model: ModelSource) -> ModelFacts | None:
        """The same if the model has been loaded before, else None."""
        found = read_checked(self.store.facts_path(model.fingerprint))
        return None if found is None else ModelFacts(**found)

    def cut_texts(self, model: ModelSource, texts: Iterable[str]) -> dict[str, str]:
        """The texts that are longer than a model reads, each with a key of what it reads of it.

        Lists of texts that were counted before are looked up on disk, so that cached features need no tokenizer.
        """
        distinct = sorted(set(texts))
        counted = _digest("\0".join(distinct))
        path = self.store.cuts_path(model.fingerprint)
        known = read_checked(path) or _NOTHING_COUNTED
        if counted not in known["counted"]:
            # open_clip imports torch, which a run with cached features does not need.
            from salmu_demo.models.tokenizer import cut_texts, make_tokenizer  # noqa: PLC0415

            with model.unchanged():
                found = cut_texts(make_tokenizer(model), distinct)
            with self.store.turn(path):
                known = read_checked(path) or _NOTHING_COUNTED
                cut = {_digest(text): hashlib.sha256(tokens).hexdigest()[:16] for text, tokens in found.items()}
                known = {"counted": [*known["counted"], counted], "cut": {**known["cut"], **cut}}
                write_checked(path, known, "The cache")
        return {text: key for text in distinct if (key := known["cut"].get(_digest(text))) is not None}

    def _column(self, model: ModelSource, data: BenchmarkData, split: Split, column: str) -> tuple[Path, int]:
        """Path and number of rows of the array that holds a column of the stored split."""
        path = self.store.feature_path(model.fingerprint, data.fingerprint, f"{split.stored}.{column}")
        return path, len(data.split(split.stored))

    def _image_path(self, model: ModelSource, data: str, name: str) -> Path:
        return self.store.feature_path(model.fingerprint, data, f"{name}.{layout.IMAGE}")

    def _prompts(self, model: ModelSource) -> TextTable:
        path = self.store.prompts_path(model.fingerprint)
        with self._lock:
            table = self._tables.setdefault(path, TextTable(path))
            self._tables.move_to_end(path)
            if len(self._tables) > MOST_TABLES:
                self._tables.popitem(last=False)
            return table

    def _fill_images(self, model: ModelSource, images: ImageSet, rows: Rows, progress: ProgressCallback) -> Features:
        path = self._image_path(model, images.data, images.name)
        found = _read(path, images.count, rows)
        if found is not None:
            return found
        step = partial(Progress, f"images of {images.name}", unit=Unit.IMAGES, model=model.name)
        with self.encoders.lend(model) as encoder, PixelReader(self.store, images, encoder) as reader:

            def write_batches() -> None:
                array = RowArray(path, images.count)
                missing = array.to_write(rows)
                done = len(rows) - len(missing)
                encoded: list[Features] = []
                end = time.monotonic() + TURN_SECONDS
                try:
                    for start in range(0, min(len(missing), MOST_BATCHES * BATCH), BATCH):
                        if start and time.monotonic() > end:
                            break
                        progress(step(done + start, len(rows)))
                        batch, following = missing[start : start + BATCH], missing[start + BATCH : start + 3 * BATCH]
                        encoded.append(encoder.encode_pixels(reader.read(batch, following)))
                except SalmuError:
                    # Data that changed or cannot be read: what was just read of it is in doubt too.
                    encoded.clear()
                    raise
                finally:
                    # What is finished is kept even if someone stops the work.
                    if encoded:
                        features = np.concatenate(encoded)
                        array.write(missing[: len(features)], features)

            features = self._fill(path, len(rows), lambda: _read(path, images.count, rows), write_batches)
        progress(step(len(rows), len(rows)))
        return features

    def _fill_captions(
        self, model: ModelSource, data: BenchmarkData, split: Split, progress: ProgressCallback
    ) -> Features:
        path, count = self._column(model, data, split, layout.TEXT)
        step = partial(Progress, f"captions of {split.stored}", unit=Unit.TEXTS, model=model.name)
        stored = data.split(split.stored).texts
        total = len(set(split.texts))
        with self.encoders.lend(model) as encoder:

            def write_batch() -> None:
                array = RowArray(path, count)
                missing = array.to_write(split.rows)
                # Captions repeat; each distinct one is encoded once.
                texts = _alike_in_length({stored[row] for row in missing})
                progress(step(total - len(texts), total))
                number = {text: position for position, text in enumerate(texts[:TEXTS])}
                if number:
                    batch = missing[[stored[row] in number for row in missing]]
                    features = encoder.encode_texts(list(number))
                    array.write(batch, features[[number[stored[row]] for row in batch]])

            features = self._fill(path, len(split), lambda: _read(path, count, split.rows), write_batch)
        progress(step(total, total))
        return features

    def _fill(
        self, path: Path, most: int, read: Callable[[], Features | None], write_batch: Callable[[], None]
    ) -> Features:
        """Have batches written in at most so many turns with others, until everything can be read."""
        for _ in range(most + 1):
            with self.store.turn(path):
                write_batch()
            found = read()
            if found is not None:
                return found
        raise StorageError(f"The cache file {path} vanishes while it is written; stop what clears the cache.")


def _alike_in_length(texts: Iterable[str]) -> list[str]:
    """Distinct texts, neighbours of about one length, since those of one length are encoded together.

    The longest come first, so that what is left never takes longer than it seemed.
    """
    return sorted(texts, key=lambda text: (-len(text), text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path, count: int, rows: Rows) -> Features | None:
    """Features of some rows of an array of `count` rows, or None if one is missing."""
    array = RowArray(path, count)
    if len(rows) == count and np.array_equal(rows, np.arange(count)):
        return array.read()
    return array.read(rows)
