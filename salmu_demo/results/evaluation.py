"""Run the metrics on one model: gather features, then call the pure functions."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from salmu_demo import metrics
from salmu_demo.core.errors import MetricError
from salmu_demo.core.notices import MINI_NOTICE
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sample import Sample
from salmu_demo.features.embedder import Embedder
from salmu_demo.metrics import MetricSpec
from salmu_demo.metrics.protocol import GENKNOW_SKIPPED
from salmu_demo.models.source import ModelSource
from salmu_demo.results.cuts import count_cuts, measured_texts
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.kept import KeptMetrics, measuring_key
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel, MetricResult, Provenance


def choose_metrics(names: Iterable[str] | None) -> list[MetricSpec]:
    """The metrics of the given names in the official order, all for None; raises :class:`MetricError`."""
    if names is None:
        return list(metrics.MEASURES)
    wanted = {metrics.metric_by_name(name).name for name in names}
    if not wanted:
        raise MetricError("No metric is chosen; choose at least one.")
    return [spec for spec in metrics.MEASURES if spec.name in wanted]


def evaluate(
    model: ModelSource,
    data: BenchmarkData,
    embedder: Embedder,
    specs: Iterable[MetricSpec] = metrics.MEASURES,
    imagenet: Path | None = None,
    progress: ProgressCallback = ignore_progress,
    sample: Sample | None = None,
    kept: KeptMetrics | None = None,
) -> Evaluation:
    """Measure a model.

    Args:
        model: the model.
        data: the data set.
        embedder: gives the features, from disk or anew.
        specs: the metrics to run.
        imagenet: ImageNet-1k validation folder for GenKnow; without it the data set's own zero-shot set is used, and
            GenKnow is skipped (-1) if it has none.
        progress: told about every batch and metric.
        sample: measure only these rows; distractors and candidates are those of the whole data set all the same.
        kept: finished metrics are kept there, and those already there are not computed again.

    Raises:
        SalmuError: of the kind that fits, if data, model or features are unusable.
    """
    inputs = MetricInputs(data, imagenet, sample)
    run = _Run(model, inputs, embedder, progress)
    about = measured_data(data, sample)
    results = {}
    chosen = list(specs)
    for number, spec in enumerate(chosen):
        progress(Progress(spec.name, number, len(chosen), unit=Unit.METRICS, model=model.name))
        images = inputs.other_images(spec) if kept else ""
        result = kept.load(model, about, spec, images) if kept else None
        if result is None:
            start = time.perf_counter()
            result = run.measure(spec)
            result = replace(result, seconds=time.perf_counter() - start)
            if kept:
                kept.save(model, about, result, images)
        results[spec.name] = result
    progress(Progress("all metrics", len(chosen), len(chosen), unit=Unit.METRICS, model=model.name))
    facts = embedder.facts(model)
    rows = {spec.split: inputs.rows(spec.split) for spec in chosen if not results[spec.name].skipped}
    read = measured_texts(inputs, [spec for spec in chosen if not results[spec.name].skipped])
    measured = MeasuredModel.of(model, facts.parameters, facts.device)
    remarks = (*measured.remarks, *data.remarks, *(cut.sentence for cut in count_cuts(embedder, model, read)))
    return Evaluation(replace(measured, remarks=remarks), about, results, rows, Provenance.now(measuring_key()))


def measured_data(data: BenchmarkData, sample: Sample | None) -> MeasuredData:
    """What results say about the data they were made on."""
    return MeasuredData(
        data.name,
        data.fingerprint,
        data.revision,
        MINI_NOTICE if data.is_mini else "",
        sample.describe(data) if sample else "",
    )


class _Run:
    """One model on one data set: which features each metric is given."""

    def __init__(
        self, model: ModelSource, inputs: MetricInputs, embedder: Embedder, progress: ProgressCallback
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.embedder = embedder
        self.progress = progress

    def measure(self, spec: MetricSpec) -> MetricResult:
        """One metric; `seconds` is left to the caller."""
        special = {
            "RetFail": self._retrieval_failure,
            "ACS": self._association_classification,
            "IdZSC": self._identity_zero_shot,
            "CoreAssoc": self._core_association,
            "GenKnow": self._general_knowledge,
            "LeakRate": self._leakage_rate,
        }
        if spec.name in self.inputs.data.limits.unmeasurable:
            return MetricResult(spec, GENKNOW_SKIPPED)
        self.inputs.check(spec)
        if spec.name in special:
            return special[spec.name](spec)
        similarity = metrics.pair_similarity(self._images(spec.split), self._captions(spec.split))
        return _scored(spec, similarity.mean, similarity.scores)

    def _images(self, split: str) -> NDArray[np.float32]:
        return self.embedder.images(self.model, self.inputs.data, self.inputs.split(split), self.progress)

    def _captions(self, split: str) -> NDArray[np.float32]:
        return self.embedder.captions(self.model, self.inputs.data, self.inputs.split(split), self.progress)

    def _prompts(self, texts: list[str]) -> NDArray[np.float32]:
        return self.embedder.prompts(self.model, texts, self.progress)

    def _retrieval_failure(self, spec: MetricSpec) -> MetricResult:
        inputs = self.inputs
        drawn = self.embedder.captions(self.model, inputs.data, inputs.forget_distractors, self.progress)
        result = metrics.retrieval_failure(
            self._images(layout.FORGET),
            self._captions(layout.FORGET),
            inputs.split(layout.FORGET).texts,
            np.concatenate([drawn, self._prompts(inputs.retain_distractors)]),
            inputs.distractors.texts,
        )
        return replace(
            _scored(spec, result.mrr, 1 / result.outcomes),
            ranks=result.outcomes,
            candidates=result.candidates,
            r_at_1=result.r_at_1,
        )

    def _association_classification(self, spec: MetricSpec) -> MetricResult:
        result = metrics.association_classification(self._images(layout.FORGET), self._captions(layout.FORGET))
        return MetricResult(spec, result.accuracy, result.correct, result.test_rows)

    def _identity_zero_shot(self, spec: MetricSpec) -> MetricResult:
        names = self.inputs.candidate_names
        images = self._images(layout.FORGET_IDENTITY)
        result = metrics.identity_zero_shot(images, names.truth, self._prompts(names.prompts))
        return _scored(spec, result.accuracy, result.credit)

    def _core_association(self, spec: MetricSpec) -> MetricResult:
        bare = self.inputs.bare_prompts
        images = self._images(layout.FORGET)
        result = metrics.core_association(images, self._prompts(bare.prompts), bare.rows, bare.numbers)
        return _scored(spec, result.mean, result.scores)

    def _leakage_rate(self, spec: MetricSpec) -> MetricResult:
        generic = self.inputs.generic_captions
        if generic is None:
            return MetricResult(spec, GENKNOW_SKIPPED)
        images, captions = self._images(layout.FORGET), self._captions(layout.FORGET)
        result = metrics.leakage_rate(images, captions, self._prompts(generic))
        return _scored(spec, result.rate, result.outcomes)

    def _general_knowledge(self, spec: MetricSpec) -> MetricResult:
        zero_shot = self.inputs.zero_shot
        if zero_shot is None:
            return MetricResult(spec, GENKNOW_SKIPPED)
        if zero_shot.folder is None:
            images = self._images(layout.GENKNOW_SPLIT)
        else:
            images = self.embedder.images_of(self.model, zero_shot.folder, self.progress)
        prompts = self._prompts(zero_shot.prompts)
        weights = metrics.class_weights(np.asarray(prompts).reshape(len(zero_shot.classes), -1, prompts.shape[1]))
        result = metrics.general_knowledge(images, zero_shot.labels, weights)
        return replace(_scored(spec, result.accuracy, result.credit), measured_on=zero_shot.name)


def _scored(spec: MetricSpec, value: float, scores: NDArray[np.float64]) -> MetricResult:
    """The result of a metric that scores every row of its split."""
    return MetricResult(spec, value, scores, np.arange(len(scores)))
