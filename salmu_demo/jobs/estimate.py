"""How long a benchmark takes on this machine: what has to be encoded, by the rates of the models, and the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from salmu_demo.core.progress import duration_words
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sample import Sample
from salmu_demo.features.rates import Rates, rates_of
from salmu_demo.jobs.job import JobSpec
from salmu_demo.models.source import ModelSource
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.workload import Workload, workload
from salmu_demo.workbench.bench import Workbench

METRICS_SECONDS: Final = 0.1
METRICS_SECONDS_PER_ROW: Final = 0.0002
"""The metrics of one model from features on disk, and for each row of `forget`. Rough, as the next two are: what takes
long is encoding, whose rates are measured."""

REPORT_SECONDS: Final = 3.0
REPORT_SECONDS_PER_ROW: Final = 0.0005
"""Comparison with its intervals, figures and reports, and for each row of `forget` and model."""

SUGGESTED_SHARE: Final = 0.1
"""Share of the rows in the sample that is suggested in place of a full run."""


@dataclass(frozen=True)
class SampledEstimate:
    """A sampled run in place of a full one: number of `forget` rows, and how long it takes."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """How long a job takes.

    Attributes:
        seconds: in all.
        images: how many have to be encoded.
        texts: how many have to be encoded.
        sampled: a shorter run, or None if the job is sampled itself or has nothing to encode.
    """

    seconds: float
    images: int
    texts: int
    sampled: SampledEstimate | None = None

    @property
    def cached(self) -> bool:
        """Whether everything is encoded already."""
        return not self.images and not self.texts

    @property
    def words(self) -> str:
        """The estimate as sentences.

        >>> Estimate(9000, 40_000, 12, SampledEstimate(3000, 900)).words
        'It takes about 2 h 30 min here: 40,000 images and 12 texts have to be encoded. A sample of 3,000 forget \
rows takes about 15 min.'
        >>> Estimate(8, 0, 0).words
        'It takes a few seconds here: everything is encoded already.'
        """
        why = (
            "everything is encoded already"
            if self.cached
            else f"{self.images:,} images and {self.texts:,} texts have to be encoded"
        )
        words = f"It takes {duration_words(self.seconds)} here: {why}."
        if self.sampled:
            words += f" A sample of {self.sampled.rows:,} forget rows takes {duration_words(self.sampled.seconds)}."
        return words


@dataclass(frozen=True)
class ModelPlan:
    """What a benchmark of one model takes.

    Attributes:
        model: the model.
        workload: what has to be encoded.
        rates: how fast it encodes; None if there is nothing to encode, because finding out means loading the model.
        rows: measured rows of `forget`.
    """

    model: ModelSource
    workload: Workload
    rates: Rates | None
    rows: int

    @property
    def encoding(self) -> float:
        """Seconds of encoding."""
        return encoding_seconds(self.workload.images, self.workload.texts, self.rates)

    @property
    def measuring(self) -> float:
        """Seconds of computing metrics from features."""
        return METRICS_SECONDS + METRICS_SECONDS_PER_ROW * self.rows


def encoding_seconds(images: int, texts: int, rates: Rates | None) -> float:
    """How long encoding takes; without rates there is nothing to encode.

    >>> encoding_seconds(100, 30, Rates(images=4.0, texts=10.0))
    28.0
    """
    return images / rates.images + texts / rates.texts if rates else 0.0


def reporting_seconds(models: int, rows: int) -> float:
    """How long comparing and reporting so many models with so many rows of `forget` takes."""
    return REPORT_SECONDS + REPORT_SECONDS_PER_ROW * rows * models


def total_seconds(plans: Sequence[ModelPlan]) -> float:
    """How long a whole benchmark takes."""
    rows = max(plan.rows for plan in plans)
    return sum(plan.encoding + plan.measuring for plan in plans) + reporting_seconds(len(plans), rows)


def measured_rows(spec: JobSpec, data: BenchmarkData) -> MetricInputs:
    """The rows a benchmark measures.

    Raises:
        DataError: if its sample cannot be taken, or its ImageNet folder is none.
    """
    sample = None if spec.sample is None else Sample(spec.sample, spec.seed)
    if sample:
        sample.check(data)
    return MetricInputs(data, Path(spec.imagenet) if spec.imagenet else None, sample)


def plan_model(spec: JobSpec, workbench: Workbench, inputs: MetricInputs, reference: str) -> ModelPlan:
    """Find out what a benchmark of one model takes; loads it if it has anything to encode and was never timed.

    Raises:
        SalmuError: of the kind that fits, if the model or data is unusable.
    """
    (model,) = workbench.models([reference], spec.architectures.get(reference), spec.trust_pickle)
    load = workload(model, inputs, workbench.embedder, choose_metrics(spec.metrics))
    rates = rates_of(workbench.embedder, model, inputs.data) if load.images or load.texts else None
    return ModelPlan(model, load, rates, len(inputs.split(layout.FORGET)))


def estimate_benchmark(spec: JobSpec, workbench: Workbench) -> Estimate:
    """How long a benchmark takes, and a sampled one in its place; raises as :func:`plan_model` does."""
    full = _estimate(spec, workbench)
    rows = None if full.cached or spec.sample else suggested_rows(workbench.data)
    if rows is None:
        return full
    return replace(full, sampled=SampledEstimate(rows, _estimate(replace(spec, sample=rows), workbench).seconds))


def _estimate(spec: JobSpec, workbench: Workbench) -> Estimate:
    inputs = measured_rows(spec, workbench.data)
    plans = [plan_model(spec, workbench, inputs, reference) for reference in dict.fromkeys(spec.models)]
    loads = [plan.workload for plan in plans]
    return Estimate(total_seconds(plans), sum(load.images for load in loads), sum(load.texts for load in loads))


def suggested_rows(data: BenchmarkData) -> int | None:
    """Size of a sample that gives a first answer, or None if the data is too small for one."""
    forget = data.split(layout.FORGET)
    rows = max(len(set(forget.identities)), round(SUGGESTED_SHARE * len(forget)))
    return rows if rows < len(forget) else None
