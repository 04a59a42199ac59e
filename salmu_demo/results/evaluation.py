"""Run the metrics on a model, and on one model after another."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from salmu_demo.core.errors import MetricError, PluginError, SalmuError, StorageError
from salmu_demo.core.notices import MINI_NOTICE
from salmu_demo.core.plugins import outside_code
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sample import Sample
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import Benchmark, Metric, MetricResult, find_metric, known_metrics, metrics_of
from salmu_demo.models.source import ModelSource
from salmu_demo.results.cuts import count_cuts, measured_texts
from salmu_demo.results.inputs import MeasuredView, MetricInputs
from salmu_demo.results.kept import KeptMetrics, measuring_key
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel, Provenance

S = TypeVar("S")
R = TypeVar("R")

ROUNDING: Final = 0.001
"""As much as rounding adds to a cosine."""


@dataclass(frozen=True)
class Failure:
    """A model that could not be measured, and why."""

    model: str
    error: SalmuError

    @property
    def sentence(self) -> str:
        """The same in words."""
        return f"{self.model}: {self.error}"


def choose_metrics(names: Iterable[str] | None, benchmark: Benchmark = "SALMUBench") -> list[Metric]:
    """The metrics of the given names in the official order, all of a benchmark for None; raises `MetricError`."""
    if names is None:
        return list(metrics_of(benchmark))
    wanted = {find_metric(name).name for name in names}
    if not wanted:
        raise MetricError("No metric is chosen; choose at least one.")
    return [metric for metric in known_metrics() if metric.name in wanted]


def _reference(model: Any) -> str:
    return str(model.reference)


def each_model(
    models: Iterable[S], work: Callable[[S], R], name: Callable[[S], str] = _reference
) -> tuple[list[R], list[Failure]]:
    """Do something with one model after another, such as measuring it; one that fails is noted, and the others go on.

    Args:
        models: the models, or what stands for them.
        work: what is to be done with one of them.
        name: what a failure calls it.

    Returns:
        What came of it, and the models that failed.

    Raises:
        StorageError: at once if something cannot be written, because that stops all of them.
    """
    done: list[R] = []
    failures: list[Failure] = []
    for model in models:
        try:
            done.append(work(model))
        except StorageError:
            raise
        except SalmuError as error:
            failures.append(Failure(name(model), error))
    return done, failures


def evaluate(
    features: FeatureView,
    metrics: Iterable[Metric] | None = None,
    imagenet: Path | None = None,
    sample: Sample | None = None,
    kept: KeptMetrics | None = None,
    gold: ModelSource | None = None,
) -> Evaluation:
    """Measure a model.

    Args:
        features: the model and the data; its `progress` is told about every batch and metric.
        metrics: the metrics to run; None for all of the benchmark that the data belong to.
        imagenet: ImageNet-1k validation folder for GenKnow; without it the data set's own zero-shot set is used, and
            GenKnow is skipped if it has none.
        sample: measure only these rows; distractors and candidates are those of the whole data set all the same.
        kept: finished metrics are kept there, and those already there are not computed again.
        gold: the Gold model, for metrics that compare with it.

    Raises:
        SalmuError: of the kind that fits, if data, model or features are unusable.
    """
    model, data, progress = features.model, features.data, features.progress
    inputs = MetricInputs(data, imagenet, sample)
    view = MeasuredView(features, inputs, gold)
    about = measured_data(data, sample)
    results: dict[str, MetricResult] = {}
    chosen = choose_metrics(None, data.benchmark) if metrics is None else list(metrics)
    needed = {}
    for metric in chosen:  # What the data lack is said before any model computes.
        with _in_words(metric):
            needed[metric.name] = inputs.needs(metric)
    for number, metric in enumerate(chosen):
        progress(Progress(metric.name, number, len(chosen), unit=Unit.METRICS, model=model.name))
        folder = inputs.folder(metric.split) if kept else None
        images = folder.data if folder else gold.fingerprint if metric.against_gold and gold else ""
        result = kept.load(model, about, metric, images) if kept else None
        if result is None:
            start = time.perf_counter()
            reason = inputs.lacks(metric) if needed[metric.name] is None else _unfit(metric, model, gold)
            result = MetricResult(metric, None, reason=reason) if reason else _measure(metric, view)
            result = replace(result, seconds=time.perf_counter() - start)
            if kept:
                kept.save(model, about, result, images)
        results[metric.name] = result
    progress(Progress("all metrics", len(chosen), len(chosen), unit=Unit.METRICS, model=model.name))
    facts = features.facts
    measured = [metric for metric in chosen if not results[metric.name].skipped]
    rows = {metric.split: inputs.rows(metric.split) for metric in measured}
    cuts = count_cuts(features, measured_texts(inputs, measured))
    subject = MeasuredModel.of(model, facts.parameters, facts.device)
    remarks = (*subject.remarks, *data.remarks, *(cut.sentence for cut in cuts))
    return Evaluation(replace(subject, remarks=remarks), about, results, rows, Provenance.now(measuring_key()))


def measured_data(data: BenchmarkData, sample: Sample | None) -> MeasuredData:
    """What results say about the data they were made on."""
    return MeasuredData(
        data.name,
        data.fingerprint,
        data.revision,
        MINI_NOTICE if data.is_mini else "",
        sample.describe(data) if sample else "",
    )


def _unfit(metric: Metric, model: ModelSource, gold: ModelSource | None) -> str:
    """Why a metric has no meaning for a model, as a clause of a sentence; empty if it has."""
    if metric.against_gold and gold is None:
        return f"no Gold model is given that {model.name} could be compared with"
    for one in (model, gold) if metric.against_gold and gold else (model,):
        if metric.decodes and not one.has_decoder:
            return f"{one.name} has no text decoder"
    return ""


def _measure(metric: Metric, view: MeasuredView) -> MetricResult:
    """One metric; `seconds` is left to the caller."""
    with _in_words(metric):
        result = metric.compute(view)
        problem = _problem(result)
    if problem:
        raise PluginError(f"The metric {metric.name} gives {problem}.")
    return result


@contextmanager
def _in_words(metric: Metric) -> Iterator[None]:
    """Make a sentence of whatever goes wrong in a plug-in; its author finds the place in the cause of the error."""
    try:
        yield
    except SalmuError:
        raise
    except Exception as error:
        if not outside_code(type(metric)):
            raise
        problem = f"{type(error).__name__}: {error}".rstrip(".")
        raise PluginError(f"The plug-in metric {metric.name} failed: {problem}.") from error


def _problem(result: MetricResult) -> str:
    """Why tables and files cannot hold a result, or an empty text."""
    if not result.spec.of_rows:
        value = result.value
        return "" if value is not None and abs(value) <= result.spec.largest + ROUNDING else "no number in its range"
    scores, rows = result.scores, result.rows
    if scores is None or rows is None or scores.ndim != 1 or scores.shape != rows.shape or not len(scores):
        return "no score for each row"
    largest = result.spec.largest
    if np.isfinite(scores).all() and abs(scores).max() <= largest + ROUNDING:
        return ""
    return f"scores that do not lie between {-largest:g} and {largest:g}"
