"""What an evaluation still has to embed: the one expensive step, counted before it is begun."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.pixels import ImageSet
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Metric
from salmu_demo.results.inputs import MetricInputs, chosen_rows


@dataclass(frozen=True)
class Workload:
    """Images and distinct texts that a model has not encoded yet."""

    images: int
    texts: int


@dataclass(frozen=True)
class Needed:
    """What metrics read of a model, every row once.

    Attributes:
        images: rows whose images are read.
        folders: sets of images that the data set does not hold itself.
        captions: rows whose captions are read.
        prompts: texts outside the data's columns.
    """

    images: list[Split]
    folders: list[ImageSet]
    captions: list[Split]
    prompts: list[str]


def needed(inputs: MetricInputs, metrics: Iterable[Metric]) -> Needed:
    """What the metrics read.

    Args:
        inputs: the data set, or the sample of it.
        metrics: the metrics to run.

    Raises:
        SalmuError: of the kind that fits, if the data lacks what a metric needs.
    """
    needs = [found for metric in metrics if (found := inputs.needs(metric)) is not None]
    image_splits = {split for each in needs for split in each.images}
    texts = [text for each in needs for text in each.texts.values()]
    captions = [inputs.split(split) for split in {split for each in needs for split in each.captions}]
    captions += [rows for text in texts for rows in chosen_rows(inputs.data, text)]
    return Needed(
        _union(inputs.data, [inputs.split(split) for split in image_splits if inputs.folder(split) is None]),
        [folder for split in image_splits if (folder := inputs.folder(split)) is not None],
        _union(inputs.data, captions),
        [prompt for text in texts for prompt in text.prompts],
    )


def workload(features: FeatureView, inputs: MetricInputs, metrics: Iterable[Metric]) -> Workload:
    """Count what the metrics need and the cache lacks; no model is loaded.

    Args:
        features: the model to be measured, and its cache.
        inputs: the data set, or the sample of it.
        metrics: the metrics to run.

    Raises:
        SalmuError: of the kind that fits, if the data lacks what a metric needs.
    """
    what = needed(inputs, metrics)
    return Workload(
        images=sum(features.missing_images(rows) for rows in what.images)
        + sum(features.missing_images(folder) for folder in what.folders),
        texts=sum(features.missing_captions(rows) for rows in what.captions) + features.missing_prompts(what.prompts),
    )


def _union(data: BenchmarkData, splits: Sequence[Split]) -> list[Split]:
    """Rows of splits, every row once."""
    rows: dict[str, set[int]] = {}
    for split in splits:
        rows.setdefault(split.stored, set()).update(split.rows.tolist())
    return [data.split(stored).take(stored, sorted(found)) for stored, found in rows.items()]
