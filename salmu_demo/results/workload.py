"""What an evaluation still has to embed: the one expensive step, counted before it is begun."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Metric
from salmu_demo.results.inputs import MetricInputs, chosen_rows


@dataclass(frozen=True)
class Workload:
    """Images and distinct texts that a model has not encoded yet."""

    images: int
    texts: int


def workload(features: FeatureView, inputs: MetricInputs, metrics: Iterable[Metric]) -> Workload:
    """Count what the metrics need and the cache lacks; no model is loaded.

    Args:
        features: the model to be measured, and its cache.
        inputs: the data set, or the sample of it.
        metrics: the metrics to run.

    Raises:
        SalmuError: of the kind that fits, if the data lacks what a metric needs.
    """
    needs = [needed for metric in metrics if (needed := inputs.needs(metric)) is not None]
    pictured = {split for needed in needs for split in needed.images}
    images = [inputs.split(split) for split in pictured if inputs.folder(split) is None]
    folders = [folder for split in pictured if (folder := inputs.folder(split)) is not None]
    texts = [text for needed in needs for text in needed.texts.values()]
    captions = [inputs.split(split) for split in {split for needed in needs for split in needed.captions}]
    captions += [rows for text in texts for rows in chosen_rows(inputs.data, text)]
    return Workload(
        images=sum(features.missing_images(rows) for rows in _union(inputs.data, images))
        + sum(features.missing_images(folder) for folder in folders),
        texts=sum(features.missing_captions(rows) for rows in _union(inputs.data, captions))
        + features.missing_prompts([prompt for text in texts for prompt in text.prompts]),
    )


def _union(data: BenchmarkData, splits: Sequence[Split]) -> list[Split]:
    """Rows of splits, every row once."""
    rows: dict[str, set[int]] = {}
    for split in splits:
        rows.setdefault(split.stored, set()).update(split.rows.tolist())
    return [data.split(stored).take(stored, sorted(found)) for stored, found in rows.items()]
