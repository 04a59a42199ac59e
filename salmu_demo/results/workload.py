"""What an evaluation still has to embed: the one expensive step, counted before it is begun."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from salmu_demo.data import layout
from salmu_demo.data.dataset import Split
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.pixels import ImageSet
from salmu_demo.metrics import MetricSpec
from salmu_demo.models.source import ModelSource
from salmu_demo.results.inputs import MetricInputs


@dataclass(frozen=True)
class Workload:
    """Images and distinct texts that a model has not encoded yet."""

    images: int
    texts: int


def workload(model: ModelSource, inputs: MetricInputs, embedder: Embedder, specs: Iterable[MetricSpec]) -> Workload:
    """Count what the metrics need and the cache lacks; no model is loaded.

    Args:
        model: the model to be measured.
        inputs: the data set, or the sample of it.
        embedder: whose cache is looked at.
        specs: the metrics to run.

    Raises:
        SalmuError: of the kind that fits, if the data lacks what a metric needs.
    """
    specs = [spec for spec in specs if spec.name not in inputs.data.limits.unmeasurable]
    images, captions = _splits(inputs, specs)
    prompts, folder = _prompts(inputs, specs)
    return Workload(
        images=sum(embedder.missing_images(model, inputs.data, split) for split in images)
        + (embedder.missing_images_of(model, folder) if folder else 0),
        texts=sum(embedder.missing_captions(model, inputs.data, split) for split in captions)
        + embedder.missing_prompts(model, prompts),
    )


def _splits(inputs: MetricInputs, specs: Sequence[MetricSpec]) -> tuple[list[Split], list[Split]]:
    """Rows whose images and rows whose captions are read, every row once."""
    images: list[Split] = []
    captions: list[Split] = []
    for spec in specs:
        if spec.name == "GenKnow":
            if inputs.imagenet is None and inputs.data.zero_shot is not None:
                images.append(inputs.split(layout.GENKNOW_SPLIT))
            continue
        images.append(inputs.split(spec.split))
        if spec.name != "IdZSC":
            captions.append(inputs.split(spec.split))
        if spec.name == "RetFail":
            captions.append(inputs.forget_distractors)
    return _union(inputs, images), _union(inputs, captions)


def _union(inputs: MetricInputs, splits: Sequence[Split]) -> list[Split]:
    rows: dict[str, set[int]] = {}
    for split in splits:
        rows.setdefault(split.stored, set()).update(split.rows.tolist())
    return [inputs.data.split(stored).take(stored, sorted(found)) for stored, found in rows.items()]


def _prompts(inputs: MetricInputs, specs: Sequence[MetricSpec]) -> tuple[list[str], ImageSet | None]:
    """Texts that are no column of the data, and the folder of images if GenKnow reads one."""
    prompts: list[str] = []
    folder = None
    for name in {spec.name for spec in specs}:
        if name == "RetFail":
            prompts += inputs.retain_distractors
        elif name == "IdZSC":
            prompts += inputs.candidate_names.prompts
        elif name == "CoreAssoc":
            prompts += inputs.bare_prompts.prompts
        elif name == "LeakRate":
            prompts += inputs.generic_captions or []
        elif name == "GenKnow" and inputs.zero_shot is not None:
            prompts += inputs.zero_shot.prompts
            folder = inputs.zero_shot.folder
    return prompts, folder
