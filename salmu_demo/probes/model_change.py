"""What changed between two models: their weights, and how alike their features are."""

from dataclasses import dataclass

from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.embedder import Embedder
from salmu_demo.metrics.representation import linear_cka
from salmu_demo.models.difference import WeightDifference, weight_difference
from salmu_demo.models.source import ModelSource


@dataclass(frozen=True)
class ModelChange:
    """A model against another one.

    Attributes:
        model: the model.
        against: the model it is compared with, in most cases the one it was made from.
        weights: relative changes by layer and tower.
        split: the split whose features are compared.
        rows: number of its rows.
        cka_images: linear CKA of the features of the split's images.
        cka_captions: the same for its captions.
    """

    model: ModelSource
    against: ModelSource
    weights: WeightDifference
    split: str
    rows: int
    cka_images: float
    cka_captions: float


def measure_change(
    embedder: Embedder,
    data: BenchmarkData,
    model: ModelSource,
    against: ModelSource,
    split_name: str,
    progress: ProgressCallback = ignore_progress,
) -> ModelChange:
    """Compare two models; their features of the split are computed if they are not known yet.

    Raises:
        DataError: if there is no such split.
        MetricError: if a model gives every item the same feature.
        ModelError: if a model cannot be loaded or the two have different architectures.
    """
    split = data.split(split_name)
    with model.unchanged(), against.unchanged():
        weights = weight_difference(model.reader(), against.reader())
    images = [embedder.images(source, data, split, progress) for source in (model, against)]
    captions = [embedder.captions(source, data, split, progress) for source in (model, against)]
    return ModelChange(model, against, weights, split_name, len(split), linear_cka(*images), linear_cka(*captions))
