"""One view of a model and a data set: every feature that probes, metrics and unlearning ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.embedder import Embedder, Features, ModelFacts
from salmu_demo.features.pixels import ImageSet
from salmu_demo.models.source import ModelSource


@dataclass(frozen=True)
class FeatureView:
    """Features of one model on one data set, from disk if they are there, else computed and kept.

    Attributes:
        model: the model.
        data: the data set.
        embedder: gives and keeps the features; by default those of the cache folder.
        progress: told about every batch that has to be computed; it may raise to stop.
    """

    model: ModelSource
    data: BenchmarkData
    embedder: Embedder = field(default_factory=Embedder)
    progress: ProgressCallback = ignore_progress

    def images(self, rows: str | Split | ImageSet) -> Features:
        """Features of images, shape (N, D): of a split, of some rows of one, or of a folder."""
        if isinstance(rows, ImageSet):
            return self.embedder.images_of(self.model, rows, self.progress)
        return self.embedder.images(self.model, self.data, self._rows(rows), self.progress)

    def captions(self, rows: str | Split) -> Features:
        """Features of the captions of a split, or of some rows of one, shape (N, D)."""
        return self.embedder.captions(self.model, self.data, self._rows(rows), self.progress)

    def prompts(self, texts: Sequence[str]) -> Features:
        """Features of texts outside the data's columns, shape (K, D)."""
        return self.embedder.prompts(self.model, texts, self.progress)

    def missing_images(self, rows: str | Split | ImageSet) -> int:
        """How many images have no features yet."""
        if isinstance(rows, ImageSet):
            return self.embedder.missing_images_of(self.model, rows)
        return self.embedder.missing_images(self.model, self.data, self._rows(rows))

    def missing_captions(self, rows: str | Split) -> int:
        """How many distinct captions have no features yet."""
        return self.embedder.missing_captions(self.model, self.data, self._rows(rows))

    def missing_prompts(self, texts: Sequence[str]) -> int:
        """How many distinct texts have no features yet."""
        return self.embedder.missing_prompts(self.model, texts)

    @property
    def facts(self) -> ModelFacts:
        """What loading the model once has told."""
        return self.embedder.facts(self.model)

    def of(self, model: ModelSource) -> "FeatureView":
        """The same view of another model."""
        return replace(self, model=model)

    def _rows(self, rows: str | Split) -> Split:
        return self.data.split(rows) if isinstance(rows, str) else rows
