"""The one expensive step on several machines: workers encode ranges of rows into the cache folder that they share.

Every row has the same bits in any company, and whatever is finished is on disk: a worker that is killed leaves what it
has done, its range is given to another one, and the evaluation that follows finds what it would have computed itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np

from salmu_demo.core.errors import DataError, ModelError
from salmu_demo.core.executor import Executor
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import TEXTS, Embedder
from salmu_demo.features.pixels import BATCH, ImageSet, PixelReader
from salmu_demo.features.rows import RowArray, Rows
from salmu_demo.features.store import ArrayStore
from salmu_demo.features.texts import TextTable
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Metric
from salmu_demo.models.references import find_model
from salmu_demo.models.said import split_said
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.workload import needed

IMAGES_OF_A_TASK: Final = 2048
TEXTS_OF_A_TASK: Final = 4096
"""Rows of a task: many minutes of a large model on a CPU, of which a killed worker loses a batch."""

TaskRows = tuple[int, ...]


@dataclass(frozen=True)
class NamedModel:
    """A model as a worker finds it.

    Attributes:
        reference: found from any working folder.
        architecture: if it was named.
        fingerprint: what the worker's must be.
    """

    reference: str
    architecture: str | None
    fingerprint: str

    @classmethod
    def of(cls, model: ModelSource) -> "NamedModel":
        """Name a model for workers."""
        place, said = split_said(model.reference)
        if place.startswith(LOCAL_DIR):
            place = f"{LOCAL_DIR}{Path(place.removeprefix(LOCAL_DIR)).expanduser().resolve()}"
        elif Path(place).is_file():
            place = str(Path(place).resolve())
        return cls(f"{place}{said}", model.architecture, model.fingerprint)

    def found(self, trust_pickle: bool) -> ModelSource:
        """The same model here.

        Raises:
            ModelError: if there is none, or another one.
        """
        model = _model(self.reference, self.architecture, trust_pickle)
        if model.fingerprint != self.fingerprint:
            raise ModelError(
                f"A worker finds another model as {self.reference} than was asked for; give all the same files."
            )
        return model


def name_for_workers(data: BenchmarkData) -> str:
    """The reference of a data set from any working folder."""
    return str(Path(data.name).resolve()) if Path(data.name).is_dir() else data.name


def other_data(reference: str) -> DataError:
    """What to raise if a worker's data are not what was asked for."""
    return DataError(f"A worker finds other data as {reference} than was asked for; give all the same files.")


@dataclass(frozen=True)
class Portion:
    """A range of rows for one worker.

    Attributes:
        data: reference of the data set, and its fingerprint.
        model: the model.
        trust_pickle: whether the model may be a pickle.
        store: the cache folder.
        split: stored split; empty for texts outside the data's columns.
        column: image or text.
        rows: rows of the split to encode.
        texts: texts outside the data's columns to encode.
    """

    data: tuple[str, str]
    model: NamedModel
    trust_pickle: bool
    store: Path
    split: str = ""
    column: str = layout.TEXT
    rows: TaskRows = ()
    texts: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Rows and texts in it."""
        return len(self.rows) + len(self.texts)


def spread(
    views: Sequence[FeatureView],
    inputs: MetricInputs,
    metrics: Iterable[Metric],
    executor: Executor,
    progress: ProgressCallback = ignore_progress,
    trust_pickle: bool = False,
) -> None:
    """Have workers encode whatever an evaluation of some models needs and the cache lacks.

    Args:
        views: each model, and its cache.
        inputs: the data set, or the sample of it.
        metrics: the metrics to run.
        executor: runs the tasks.
        progress: told after each task; may raise to stop, and what is finished stays.
        trust_pickle: whether models may be pickles.

    Raises:
        DataError, ModelError: if a worker finds other data or another model by the same reference.
        SalmuError: of the kind that fits, if something cannot be encoded.
    """
    chosen = list(metrics)
    portions = [part for view in views for part in _portions(view, inputs, chosen, trust_pickle)]
    total, done = sum(part.count for part in portions), 0
    step = partial(Progress, "rows by workers", total=total, unit=Unit.PARTS)
    progress(step(done=0))
    for count in executor.run(encode, portions):
        done += count
        progress(step(done=done))


def _portions(
    features: FeatureView, inputs: MetricInputs, metrics: Sequence[Metric], trust_pickle: bool
) -> Iterator[Portion]:
    model, data, store = features.model, features.data, features.embedder.store
    named = name_for_workers(data), data.fingerprint
    portion = partial(Portion, named, NamedModel.of(model), trust_pickle, store.root.resolve())
    what = needed(inputs, metrics)
    for rows in what.images:
        array = _array(store, model, data, rows, layout.IMAGE)
        for part in _ranges(array.missing(rows.rows).tolist(), IMAGES_OF_A_TASK):
            yield portion(rows.stored, layout.IMAGE, part)
    for rows in what.captions:
        missing = _array(store, model, data, rows, layout.TEXT).missing(rows.rows).tolist()
        stored = data.split(rows.stored).texts
        # Captions repeat, and one is encoded once where its rows are together.
        for part in _ranges(sorted(missing, key=lambda row: (-len(stored[row]), stored[row], row)), TEXTS_OF_A_TASK):
            yield portion(rows.stored, layout.TEXT, part)
    texts = TextTable(store.prompts_path(model.fingerprint)).missing(what.prompts)
    for start in range(0, len(texts), TEXTS_OF_A_TASK):
        yield portion(texts=tuple(texts[start : start + TEXTS_OF_A_TASK]))


def _ranges(rows: list[int], size: int) -> Iterator[TaskRows]:
    for start in range(0, len(rows), size):
        yield tuple(rows[start : start + size])


def encode(portion: Portion) -> int:
    """Encode what is missing of a portion, and return how many rows and texts it has; raises as `spread` does."""
    data, embedder = _worker(portion.data[0], portion.store)
    if data.fingerprint != portion.data[1]:
        raise other_data(portion.data[0])
    model = portion.model.found(portion.trust_pickle)
    if portion.texts:
        _encode_texts(portion, model, embedder)
    else:
        split = data.split(portion.split)
        array = _array(embedder.store, model, data, split, portion.column)
        missing = array.missing(np.array(portion.rows, dtype=np.int64))
        encode_column = _encode_images if portion.column == layout.IMAGE else _encode_captions
        encode_column(missing, split, model, data, embedder)
    return portion.count


def _encode_images(rows: Rows, split: Split, model: ModelSource, data: BenchmarkData, embedder: Embedder) -> None:
    store, array = embedder.store, _array(embedder.store, model, data, split, layout.IMAGE)
    images = ImageSet(data.fingerprint, split.stored, len(split), lambda row: data.image(split.stored, row))
    with embedder.encoders.lend(model) as encoder, PixelReader(store, images, encoder) as reader:
        for start in range(0, len(rows), BATCH):
            batch, following = rows[start : start + BATCH], rows[start + BATCH : start + 3 * BATCH]
            features = encoder.encode_pixels(reader.read(batch, following))
            # The turn is for writing alone, or one worker would wait for another.
            with store.turn(_path(store, model, data, split, layout.IMAGE)):
                array.write(batch, features)


def _encode_captions(rows: Rows, split: Split, model: ModelSource, data: BenchmarkData, embedder: Embedder) -> None:
    store, array = embedder.store, _array(embedder.store, model, data, split, layout.TEXT)
    of_text: dict[str, list[int]] = {}
    for row in rows.tolist():
        of_text.setdefault(split.texts[row], []).append(row)
    for texts in _batches(list(of_text)):
        with embedder.encoders.lend(model) as encoder:
            features = encoder.encode_texts(texts)
        own = [(row, number) for number, text in enumerate(texts) for row in of_text[text]]
        found, numbers = (np.array(side, dtype=np.int64) for side in zip(*sorted(own), strict=True))
        with store.turn(_path(store, model, data, split, layout.TEXT)):
            array.write(found, features[numbers])


def _encode_texts(portion: Portion, model: ModelSource, embedder: Embedder) -> None:
    store, table = embedder.store, TextTable(embedder.store.prompts_path(model.fingerprint))
    for texts in _batches(table.missing(portion.texts)):
        with embedder.encoders.lend(model) as encoder:
            features = encoder.encode_texts(texts)
        with store.turn(table.path):
            table.append(texts, features)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), TEXTS):
        yield texts[start : start + TEXTS]


def _path(store: ArrayStore, model: ModelSource, data: BenchmarkData, split: Split, column: str) -> Path:
    return store.feature_path(model.fingerprint, data.fingerprint, f"{split.stored}.{column}")


def _array(store: ArrayStore, model: ModelSource, data: BenchmarkData, split: Split, column: str) -> RowArray:
    return RowArray(_path(store, model, data, split, column), len(data.split(split.stored)))


@cache
def _worker(data: str, store: Path) -> tuple[BenchmarkData, Embedder]:
    """What the tasks of a worker share."""
    return load_data(data), Embedder(ArrayStore(store))


@cache
def _model(reference: str, architecture: str | None, trust_pickle: bool) -> ModelSource:
    return find_model(reference, architecture, trust_pickle)
