"""What the metrics see: the measured rows of a data set, and one model's features of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Persona, ProbeWordings, Split
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.data.sample import Sample
from salmu_demo.features.pixels import ImageSet
from salmu_demo.features.view import FeatureView
from salmu_demo.features.writing import Prompts, likelihoods, written
from salmu_demo.metrics import Metric, MetricData, Needs, Prompted, Rows, Texts, ZeroShotSet
from salmu_demo.metrics.clear_protocol import END_COUNTS
from salmu_demo.models.source import ModelSource

T = TypeVar("T")


class MetricInputs:
    """The rows and texts of one data set, or of a sample of it, as the metrics read them; a `MetricData`.

    Distractors and candidates are those of the whole data set also for a sample, so that ranks and accuracies stay
    comparable.
    """

    def __init__(self, data: BenchmarkData, imagenet: Path | None = None, sample: Sample | None = None) -> None:
        self.data = data
        self.imagenet = imagenet
        self.sample = sample
        self._sampled: dict[str, Split] = {}
        self._made: dict[Callable[[MetricData], Any], Any] = {}

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.data.name

    @property
    def personas(self) -> list[Persona]:
        """Every persona."""
        return self.data.personas

    @property
    def probe_wordings(self) -> Mapping[str, ProbeWordings]:
        """Wordings by attribute kind; empty if the data have none."""
        return self.data.probe_wordings

    def has(self, split: str) -> bool:
        """Whether there is a stored or derived split of a name."""
        return split in (*self.data.stored_splits, *layout.DERIVED_SPLITS)

    def split(self, name: str) -> Split:
        """The measured rows of a stored or derived split."""
        if self.sample is None:
            return self.data.split(name)
        if name not in self._sampled:
            self._sampled[name] = self.sample.split(self.data, name)
        return self._sampled[name]

    def rows(self, split: str) -> Rows:
        """What the measured rows of a split say."""
        if split == layout.GENKNOW_SPLIT and self.zero_shot is not None:
            classes = [self.zero_shot.classes[label] for label in self.zero_shot.labels]
            names = self._imagenet[2] if self._imagenet else self.split(split).file_names
            return Rows(names, [None] * len(classes), [None] * len(classes), classes)
        return self._rows(self.split(split))

    def all_rows(self, split: str) -> Rows:
        """The same of all rows of a split."""
        return self._rows(self.data.split(split))

    def _rows(self, split: Split) -> Rows:
        kinds = [self.data.kind(file_name) for file_name in split.file_names]
        return Rows(split.file_names, split.identities, kinds, split.texts)

    def generic_caption(self, file_name: str) -> str | None:
        """The plain description of an image, or None."""
        return self.data.generic_caption(file_name)

    def choices(self, split: str, asked: str) -> Sequence[Sequence[str]] | None:
        """What each measured row of a split chooses from, the right answer first; None if the data have none."""
        if self.data.choices is None or asked not in self.data.choices.get(split, {}):
            return None
        found = self.data.choices[split][asked]
        return [found[row] for row in self.split(split).rows.tolist()]

    def once(self, make: Callable[[MetricData], T]) -> T:
        """What a function makes of this data set, made once."""
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made

    def needs(self, metric: Metric) -> Needs | None:
        """What a metric reads, or None if it has no meaning on the data or nothing to be measured on.

        Raises:
            MetricError: if the split of the metric has no rows, or the data lack something else.
        """
        if metric.name in self.data.limits.unmeasurable or self._never_filled(metric):
            return None
        extension = metric.split not in (*layout.REQUIRED_SPLITS, *layout.DERIVED_SPLITS)
        if not extension and not len(self.data.split(metric.split)):
            raise MetricError(f"{metric.name} cannot be measured: {self.name} has no rows in {metric.split}.")
        return metric.needs(self)

    def lacks(self, metric: Metric) -> str:
        """Why `needs` is None, as a clause of a sentence."""
        reason = self.data.limits.unmeasurable.get(metric.name)
        if reason is None and self._never_filled(metric):
            reason = f"{self.name} has no rows in {metric.split}"
        return (reason or metric.lacks(self)).rstrip(".")

    def _never_filled(self, metric: Metric) -> bool:
        """Whether the data by their nature have no row in the stored split that a metric is measured on."""
        return layout.DERIVED_FROM.get(metric.split, (metric.split,))[0] in self.data.limits.empty

    @cached_property
    def _imagenet(self) -> tuple[ImageSet, ZeroShotSet, list[str]] | None:
        """Images, zero-shot set and file names of the ImageNet folder; raises `DataError` if it is not one."""
        if self.imagenet is None:
            return None
        # open_clip imports torch, which a run with cached features does not need.
        from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES  # noqa: PLC0415

        found = load_imagenet(self.imagenet)
        classes = list(IMAGENET_CLASSNAMES)
        # The wording stays: files of earlier versions name the set so, and equal names mean an equal set.
        name = f"ImageNet-1k ({len(classes)} classes, {len(found.names)} pictures)"
        prompts = [template(name) for name in classes for template in OPENAI_IMAGENET_TEMPLATES]
        images = ImageSet(found.fingerprint, "imagenet", len(found.names), found.image)
        return images, ZeroShotSet(name, classes, prompts, np.array(found.labels)), found.names

    def folder(self, split: str) -> ImageSet | None:
        """The images of a split that the data set does not hold itself, or None."""
        return self._imagenet[0] if split == layout.GENKNOW_SPLIT and self._imagenet else None

    @cached_property
    def zero_shot(self) -> ZeroShotSet | None:
        """The ImageNet folder, or else the data set's own zero-shot set; raises `DataError`."""
        if self._imagenet:
            return self._imagenet[1]
        if self.data.zero_shot is None:
            return None
        zero_shot = self.data.zero_shot
        position = {name: number for number, name in enumerate(zero_shot.classes)}
        return ZeroShotSet(
            zero_shot.name,
            zero_shot.classes,
            [template.format(name) for name in zero_shot.classes for template in zero_shot.templates],
            np.array([position[name] for name in self.split(layout.GENKNOW_SPLIT).texts]),
        )


@dataclass(frozen=True)
class MeasuredView:
    """One model's features of the measured rows; a `salmu_demo.metrics.MetricView`.

    Attributes:
        features: the model and the data set.
        data: which of its rows are measured.
        of_gold: the Gold model, for metrics that compare with it, or None.
    """

    features: FeatureView
    data: MetricInputs
    of_gold: ModelSource | None = None

    @property
    def gold(self) -> "MeasuredView | None":
        """The same view of Gold, or None."""
        return None if self.of_gold is None else MeasuredView(self.features.of(self.of_gold), self.data)

    def images(self, split: str) -> NDArray[np.float32]:
        """Features of the measured images of a split, shape (N, D)."""
        return self.features.images(self.data.folder(split) or self.data.split(split))

    def captions(self, split: str) -> NDArray[np.float32]:
        """Features of their captions, shape (N, D)."""
        return self.features.captions(self.data.split(split))

    def prompts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of texts outside the data's columns, shape (K, D)."""
        return self.features.prompts(texts)

    def written(self, prompted: Prompted) -> list[str]:
        """What the model writes about N images after their beginnings."""
        of = self.features
        return written(of.embedder, of.model, of.data, self._prompts(prompted), of.progress)

    def log_likelihoods(self, prompted: Prompted, texts: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean logarithms of the probabilities of the tokens of N lists of texts, shape (N, C), -inf fills up."""
        of = self.features
        found = likelihoods(of.embedder, of.model, of.data, self._prompts(prompted), texts, of.progress)
        means = np.full((len(texts), max(map(len, texts))), -np.inf)
        for row, of_row in enumerate(found):
            means[row, : len(of_row)] = [
                (one.total + one.end) / (one.tokens + 1) if END_COUNTS else one.total / one.tokens for one in of_row
            ]
        return means

    def _prompts(self, prompted: Prompted) -> Prompts:
        rows = self.data.split(prompted.split).take(prompted.split, prompted.rows.tolist())
        return Prompts(rows, prompted.beginnings)

    def texts(self, texts: Texts) -> NDArray[np.float32]:
        """Features of further texts, shape (K, D)."""
        parts = [self.features.captions(split) for split in chosen_rows(self.data.data, texts)]
        if texts.prompts or not parts:
            parts.append(self.prompts(texts.prompts))
        return np.concatenate(parts)


def chosen_rows(data: BenchmarkData, texts: Texts) -> list[Split]:
    """The rows whose captions belong to some texts, split by split."""
    return [data.split(name).take(name, rows.tolist()) for name, rows in texts.captions.items()]
