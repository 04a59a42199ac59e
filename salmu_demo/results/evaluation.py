"""Run the official metrics on one model: gather features, then call the pure functions."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from salmu_demo import metrics
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.embeddings.embedder import Embedder, ModelFacts
from salmu_demo.embeddings.pixels import PictureSet
from salmu_demo.errors import MetricError
from salmu_demo.metrics import MetricSpec
from salmu_demo.metrics.protocol import GENKNOW_SKIPPED, IDZSC_CANDIDATE_SPLIT, IDZSC_PROMPT
from salmu_demo.models.source import ModelSource
from salmu_demo.progress import Progress, ProgressCallback, ignore_progress


@dataclass(frozen=True)
class MetricResult:
    """One metric of one model.

    Attributes:
        spec: which metric.
        value: its headline value; -1 for GenKnow without a zero-shot set.
        details: further values of the official file, by their official keys: numbers or per-row lists.
        seconds: how long it took, features included.
    """

    spec: MetricSpec
    value: float
    details: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """All metrics of one model on one data set.

    Attributes:
        model: the model.
        data: the data set.
        results: by metric name, in the official order.
        zero_shot: what GenKnow was measured on, or None.
        facts: size and device of the model.
    """

    model: ModelSource
    data: BenchmarkData
    results: dict[str, MetricResult]
    zero_shot: str | None
    facts: ModelFacts

    def value(self, metric: str) -> float | None:
        """Headline value of a metric, or None if it was not run or skipped."""
        result = self.results.get(metric)
        return None if result is None or result.value == GENKNOW_SKIPPED else result.value


def choose_metrics(names: Iterable[str] | None) -> list[MetricSpec]:
    """The metrics of the given names in the official order, all ten for None; raises :class:`MetricError`."""
    if names is None:
        return list(metrics.METRICS)
    wanted = {metrics.metric_by_name(name).name for name in names}
    if not wanted:
        raise MetricError("No metric is chosen; choose at least one.")
    return [spec for spec in metrics.METRICS if spec.name in wanted]


def evaluate(
    model: ModelSource,
    data: BenchmarkData,
    embedder: Embedder,
    specs: Iterable[MetricSpec] = metrics.METRICS,
    imagenet: Path | None = None,
    progress: ProgressCallback = ignore_progress,
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

    Raises:
        SalmuError: of the kind that fits, if data, model or features are unusable.
    """
    run = _Run(model, data, embedder, imagenet, progress)
    results = {}
    chosen = list(specs)
    for number, spec in enumerate(chosen):
        progress(Progress(f"{model.name}: {spec.name}", number, len(chosen)))
        start = time.perf_counter()
        value, details = run.measure(spec)
        results[spec.name] = MetricResult(spec, value, details, time.perf_counter() - start)
    progress(Progress(f"{model.name}: all metrics", len(chosen), len(chosen)))
    return Evaluation(model, data, results, run.zero_shot, embedder.facts(model))


class _Run:
    """One model on one data set: which features each metric is given."""

    def __init__(
        self,
        model: ModelSource,
        data: BenchmarkData,
        embedder: Embedder,
        imagenet: Path | None,
        progress: ProgressCallback,
    ) -> None:
        self.model = model
        self.data = data
        self.embedder = embedder
        self.imagenet = imagenet
        self.progress = progress
        self.zero_shot: str | None = None

    def measure(self, spec: MetricSpec) -> tuple[float, dict[str, Any]]:
        special = {
            "RetFail": self._retrieval_failure,
            "ACS": self._association_classification,
            "IdZSC": self._identity_zero_shot,
            "CoreAssoc": self._core_association,
            "GenKnow": self._general_knowledge,
        }
        if spec.split in layout.DERIVED_SPLITS and not len(self.data.split(spec.split)):
            raise MetricError(f"{spec.name} cannot be measured: {self.data.name} has no rows in {spec.split}.")
        if spec.name in special:
            return special[spec.name]()
        similarity = metrics.pair_similarity(self._images(spec.split), self._captions(spec.split))
        # The official file lists the scores of the forget rows only.
        details = {"scores": similarity.scores.tolist()} if spec.split == layout.FORGET else {}
        return similarity.mean, details

    def _images(self, split: str) -> NDArray[np.float32]:
        return self.embedder.images(self.model, self.data, self.data.split(split), self.progress)

    def _captions(self, split: str) -> NDArray[np.float32]:
        return self.embedder.captions(self.model, self.data, self.data.split(split), self.progress)

    def _prompts(self, texts: list[str]) -> NDArray[np.float32]:
        return self.embedder.prompts(self.model, texts, self.progress)

    def _retrieval_failure(self) -> tuple[float, dict[str, Any]]:
        forget, retain = self.data.split(layout.FORGET), self.data.split(layout.RETAIN_DISJOINT)
        distractors = metrics.draw_distractors(forget.texts, retain.texts)
        captions = self._captions(layout.FORGET)
        retained = self._prompts([retain.texts[row] for row in distractors.retain_rows])
        result = metrics.retrieval_failure(
            self._images(layout.FORGET),
            captions,
            forget.texts,
            np.concatenate([captions[distractors.forget_rows], retained]),
            distractors.texts,
        )
        return result.mrr, {"R@1": result.r_at_1, "outcomes": result.outcomes.tolist()}

    def _association_classification(self) -> tuple[float, dict[str, Any]]:
        images, captions = self._images(layout.FORGET), self._captions(layout.FORGET)
        return metrics.association_classification(images, captions), {}

    def _identity_zero_shot(self) -> tuple[float, dict[str, Any]]:
        split = self.data.split(layout.FORGET_IDENTITY)
        present = set(self.data.split(IDZSC_CANDIDATE_SPLIT).identities)
        candidates = [p for p in self.data.personas if p.identity_id in present]
        position = {persona.identity_id: number for number, persona in enumerate(candidates)}
        unknown = sorted(str(i) for i in present if i not in position)
        if unknown or not candidates:
            raise MetricError(
                f"IdZSC needs the name of every persona in forget_identity; {self.data.name} has none for "
                f"{unknown[0] if unknown else 'any'}."
            )
        index = np.array([position[str(identity)] for identity in split.identities])
        names = self._prompts([IDZSC_PROMPT.format(name=p.name) for p in candidates])
        return metrics.identity_zero_shot(self._images(layout.FORGET_IDENTITY), index, names).accuracy, {}

    def _core_association(self) -> tuple[float, dict[str, Any]]:
        split = self.data.split(layout.FORGET)
        people = {persona.identity_id: persona for persona in self.data.personas}
        number: dict[str, int] = {}
        rows: list[int] = []
        prompts: list[int] = []
        for row, (identity, file_name) in enumerate(zip(split.identities, split.file_names, strict=True)):
            persona, kind = people.get(str(identity)), self.data.kind(file_name)
            values = persona.values(kind) if persona and kind else []
            if persona is None or not values:
                raise MetricError(
                    f"CoreAssoc needs a name and a value for every forget row; row {row} ({file_name}, kind {kind}) of "
                    f"{self.data.name} has none."
                )
            for prompt in metrics.core_prompts(persona.name, values):
                rows.append(row)
                prompts.append(number.setdefault(prompt, len(number)))
        result = metrics.core_association(
            self._images(layout.FORGET), self._prompts(list(number)), np.array(rows), np.array(prompts)
        )
        return result.mean, {"scores": result.scores.tolist()}

    def _general_knowledge(self) -> tuple[float, dict[str, Any]]:
        if self.imagenet is not None:
            # open_clip imports torch, which a run with cached features does not need.
            from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES  # noqa: PLC0415

            folder = load_imagenet(self.imagenet)
            pictures = PictureSet(folder.fingerprint, "imagenet", len(folder.files), folder.image)
            images = self.embedder.pictures(self.model, pictures, self.progress)
            labels = np.array(folder.labels)
            texts = [template(name) for name in IMAGENET_CLASSNAMES for template in OPENAI_IMAGENET_TEMPLATES]
            classes = len(IMAGENET_CLASSNAMES)
            self.zero_shot = f"ImageNet-1k folder ({classes} classes, {len(labels)} pictures)"
        elif self.data.zero_shot is not None:
            zero_shot, split = self.data.zero_shot, self.data.split(layout.GENKNOW_SPLIT)
            position = {name: number for number, name in enumerate(zero_shot.classes)}
            images = self._images(layout.GENKNOW_SPLIT)
            labels = np.array([position[name] for name in split.texts])
            texts = [template.format(name) for name in zero_shot.classes for template in zero_shot.templates]
            classes = len(zero_shot.classes)
            self.zero_shot = zero_shot.name
        else:
            return GENKNOW_SKIPPED, {}
        prompts = self._prompts(texts)
        weights = metrics.class_weights(np.asarray(prompts).reshape(classes, -1, prompts.shape[1]))
        return metrics.general_knowledge(images, labels, weights), {}
