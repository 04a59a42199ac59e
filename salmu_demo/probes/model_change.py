"""What changed between two models: their weights, and how alike their features are."""

from dataclasses import dataclass

from salmu_demo.features.view import FeatureView
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


def measure_change(features: FeatureView, against: ModelSource, split_name: str) -> ModelChange:
    """Compare a model with another one; their features of the split are computed if they are not known yet.

    Raises:
        DataError: if there is no such split.
        MetricError: if a model gives every item the same feature.
        ModelError: if a model cannot be loaded or the two have different architectures.
    """
    model, split = features.model, features.data.split(split_name)
    with model.unchanged(), against.unchanged():
        weights = weight_difference(model.reader(), against.reader())
    views = (features, features.of(against))
    images = [view.images(split) for view in views]
    captions = [view.captions(split) for view in views]
    return ModelChange(model, against, weights, split_name, len(split), linear_cka(*images), linear_cka(*captions))
