"""What each metric reads: rows of splits, and texts that are no column of the data. No model is needed to know it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from salmu_demo import metrics
from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.imagenet import load_imagenet
from salmu_demo.data.sample import Sample
from salmu_demo.features.pixels import ImageSet
from salmu_demo.metrics import MetricSpec
from salmu_demo.metrics.protocol import IDZSC_CANDIDATE_SPLIT, IDZSC_PROMPT
from salmu_demo.results.records import Rows


@dataclass(frozen=True)
class CandidateNames:
    """What IdZSC classifies into.

    Attributes:
        prompts: one for each of the C candidates.
        truth: shape (N,), number of the candidate that each measured row shows.
    """

    prompts: list[str]
    truth: NDArray[np.int64]


@dataclass(frozen=True)
class BarePrompts:
    """What CoreAssoc compares images with, see :func:`salmu_demo.metrics.core_association`.

    Attributes:
        prompts: P distinct prompts.
        rows: shape (M,), row of each pair.
        numbers: shape (M,), prompt of each pair.
    """

    prompts: list[str]
    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]


@dataclass(frozen=True)
class ZeroShotSet:
    """What GenKnow is measured on.

    Attributes:
        name: for reports.
        classes: names of the C classes.
        prompts: C x T texts, the T prompts of a class after one another.
        labels: shape (N,), number of each image's class.
        file_names: N file names of the images.
        folder: the images, if they are not those of the data set's own split.
    """

    name: str
    classes: list[str]
    prompts: list[str]
    labels: NDArray[np.int64]
    file_names: list[str]
    folder: ImageSet | None


class MetricInputs:
    """The rows and texts of one data set, or of a sample of it, as the metrics read them.

    Distractors and candidates are those of the whole data set also for a sample, so that ranks and accuracies stay
    comparable.
    """

    def __init__(self, data: BenchmarkData, imagenet: Path | None = None, sample: Sample | None = None) -> None:
        self.data = data
        self.imagenet = imagenet
        self.sample = sample

    def split(self, name: str) -> Split:
        """The measured rows of a stored or derived split."""
        return self.sample.split(self.data, name) if self.sample else self.data.split(name)

    def check(self, spec: MetricSpec) -> None:
        """Refuse a metric on a split without rows; raises :class:`MetricError`."""
        if spec.split != layout.GENKNOW_SPLIT and not len(self.data.split(spec.split)):
            raise MetricError(f"{spec.name} cannot be measured: {self.data.name} has no rows in {spec.split}.")

    def other_images(self, spec: MetricSpec) -> str:
        """Fingerprint of the images that a metric reads and the data set does not hold, or an empty text."""
        zero_shot = self.zero_shot if spec.split == layout.GENKNOW_SPLIT else None
        return zero_shot.folder.data if zero_shot is not None and zero_shot.folder is not None else ""

    def rows(self, name: str) -> Rows:
        """What reports say about the measured rows of a split."""
        if name == layout.GENKNOW_SPLIT and self.zero_shot is not None:
            classes = [self.zero_shot.classes[label] for label in self.zero_shot.labels]
            return Rows(self.zero_shot.file_names, [None] * len(classes), [None] * len(classes), classes)
        split = self.split(name)
        kinds = [self.data.kind(file_name) for file_name in split.file_names]
        return Rows(split.file_names, split.identities, kinds, split.texts)

    @cached_property
    def distractors(self) -> metrics.Distractors:
        """The captions that RetFail's compete with."""
        return metrics.draw_distractors(
            self.data.split(layout.FORGET).texts, self.data.split(layout.RETAIN_DISJOINT).texts
        )

    @property
    def forget_distractors(self) -> Split:
        """The forget rows whose captions are distractors."""
        return self.data.split(layout.FORGET).take(layout.FORGET, self.distractors.forget_rows.tolist())

    @property
    def retain_distractors(self) -> list[str]:
        """The captions of retain_disjoint that are distractors."""
        return self.distractors.texts[len(self.distractors.forget_rows) :]

    @cached_property
    def candidate_names(self) -> CandidateNames:
        """The personas IdZSC chooses from; raises :class:`MetricError` if one has no name."""
        present = set(self.data.split(IDZSC_CANDIDATE_SPLIT).identities)
        candidates = [p for p in self.data.personas if p.identity_id in present]
        position = {persona.identity_id: number for number, persona in enumerate(candidates)}
        unknown = sorted(str(i) for i in present if i not in position)
        if unknown or not candidates:
            raise MetricError(
                f"IdZSC needs the name of every persona in forget_identity; {self.data.name} has none for "
                f"{unknown[0] if unknown else 'any'}."
            )
        truth = [position[str(identity)] for identity in self.split(layout.FORGET_IDENTITY).identities]
        return CandidateNames([IDZSC_PROMPT.format(name=p.name) for p in candidates], np.array(truth))

    @cached_property
    def bare_prompts(self) -> BarePrompts:
        """Names with values for CoreAssoc; raises :class:`MetricError` if a forget row has none."""
        split = self.split(layout.FORGET)
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
        return BarePrompts(list(number), np.array(rows), np.array(prompts))

    @cached_property
    def generic_captions(self) -> list[str] | None:
        """The generic caption of every measured forget row, or None if the data lacks one of them."""
        found = [self.data.generic_caption(name) for name in self.split(layout.FORGET).file_names]
        captions = [text for text in found if text]
        return captions if len(captions) == len(found) else None

    @cached_property
    def zero_shot(self) -> ZeroShotSet | None:
        """What GenKnow is measured on; raises :class:`DataError` if the ImageNet folder is not one."""
        if self.imagenet is not None:
            # open_clip imports torch, which a run with cached features does not need.
            from open_clip import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES  # noqa: PLC0415

            found = load_imagenet(self.imagenet)
            classes = list(IMAGENET_CLASSNAMES)
            return ZeroShotSet(
                # The wording stays: files of earlier versions name the set so, and equal names mean an equal set.
                f"ImageNet-1k ({len(classes)} classes, {len(found.names)} pictures)",
                classes,
                [template(name) for name in classes for template in OPENAI_IMAGENET_TEMPLATES],
                np.array(found.labels),
                found.names,
                ImageSet(found.fingerprint, "imagenet", len(found.names), found.image),
            )
        if self.data.zero_shot is None:
            return None
        zero_shot, split = self.data.zero_shot, self.split(layout.GENKNOW_SPLIT)
        position = {name: number for number, name in enumerate(zero_shot.classes)}
        return ZeroShotSet(
            zero_shot.name,
            zero_shot.classes,
            [template.format(name) for name in zero_shot.classes for template in zero_shot.templates],
            np.array([position[name] for name in split.texts]),
            split.file_names,
            None,
        )
