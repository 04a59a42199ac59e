"""ValExp: does the model know the value behind a face, when no name and no other word gives it away?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.data.values import distinct, value_key
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.metrics.base import Metric, MetricData, MetricResult, MetricView, Needs, Rows, Texts, register
from salmu_demo.metrics.line_up import exposure_above_guess, image_scores, value_rank
from salmu_demo.metrics.ranking import MOST_BITS

WordingsName = Literal["trained", "unseen"]

LEAST_CANDIDATES: Final = 2
"""Values of a kind without which there is nothing to choose from."""


@dataclass(frozen=True)
class KindFacts:
    """The facts of one attribute kind: persona and value, which forget rows give away.

    Attributes:
        kind: the kind.
        values: the C candidates, every distinct value of a persona of the data.
        rows: shape (F,), first measured forget row of each fact.
        people: persona of each fact.
        true: shape (F, C), whether a candidate is a value of the persona.
        images: shape (M,), forget rows of all facts.
        facts: shape (M,), fact of each of these rows.
    """

    kind: str
    values: list[str]
    rows: NDArray[np.int64]
    people: list[str]
    true: NDArray[np.bool_]
    images: NDArray[np.int64]
    facts: NDArray[np.int64]

    def sentences(self, wordings: Sequence[str]) -> list[str]:
        """Every wording about "this person" with every candidate, wording by wording."""
        return [fill(wording, NAMELESS, value) for wording in wordings for value in self.values]


@dataclass(frozen=True)
class FactRanks:
    """Where the true values of F facts stand.

    Attributes:
        rows: shape (F,), the forget row that stands for each fact.
        ranks: shape (F,), from 1, by `value_rank`.
        candidates: shape (F,), how many values each was ranked among.
        true: shape (F,), of how many true values each is the best.
    """

    rows: NDArray[np.int64]
    ranks: NDArray[np.float64]
    candidates: NDArray[np.int64]
    true: NDArray[np.int64]


def kind_facts(data: MetricData) -> list[KindFacts]:
    """The facts of the measured forget rows, by kind; rows of which no value or wording is known are left out."""
    split = data.rows(layout.FORGET)
    people = {person.identity_id: person for person in data.personas}
    rows: dict[str, dict[str, list[int]]] = {}
    for row, (identity, kind) in enumerate(zip(split.identities, split.kinds, strict=True)):
        if identity is None or kind is None or kind not in data.probe_wordings or identity not in people:
            continue
        if people[identity].values(kind):
            rows.setdefault(kind, {}).setdefault(identity, []).append(row)
    found = []
    for kind, by_person in rows.items():
        candidates = distinct(value for person in data.personas for value in person.values(kind))
        if len(candidates) < LEAST_CANDIDATES:
            continue
        own = [{value_key(value) for value in people[identity].values(kind)} for identity in by_person]
        found.append(
            KindFacts(
                kind,
                list(candidates.values()),
                np.array([of_fact[0] for of_fact in by_person.values()]),
                list(by_person),
                np.array([[key in keys for key in candidates] for keys in own]),
                np.concatenate([np.array(of_fact) for of_fact in by_person.values()]),
                np.repeat(np.arange(len(by_person)), [len(of_fact) for of_fact in by_person.values()]),
            )
        )
    return found


def chosen_wordings(data: MetricData, facts: KindFacts, wordings: WordingsName) -> Sequence[str]:
    """The wordings of a kind, those of the training captions or those that no caption has."""
    found = data.probe_wordings[facts.kind]
    return found.trained if wordings == "trained" else found.unseen


def sentences_of(data: MetricData, wordings: WordingsName) -> list[str]:
    """The sentences of all line-ups, kind by kind."""
    return [
        sentence
        for facts in data.once(kind_facts)
        for sentence in facts.sentences(chosen_wordings(data, facts, wordings))
    ]


def fact_ranks(
    facts: KindFacts, images: NDArray[np.float32], of_image: NDArray[np.int64], sentences: NDArray[np.float32]
) -> FactRanks:
    """Line up the values of a kind for each of its facts.

    Args:
        facts: the F facts.
        images: shape (M, D).
        of_image: shape (M,), fact of each image; a fact without one is left out.
        sentences: features of `KindFacts.sentences`, shape (S x C, D).
    """
    used, groups = np.unique(of_image, return_inverse=True)
    sums = np.zeros((len(used), len(facts.values)))
    np.add.at(sums, groups, image_scores(images, sentences.reshape(-1, len(facts.values), sentences.shape[1])))
    means = sums / np.bincount(groups)[:, None]
    found = [value_rank(scores, true) for scores, true in zip(means, facts.true[used], strict=True)]
    return FactRanks(
        facts.rows[used],
        np.array([rank for rank, _ in found]),
        np.array([count for _, count in found], dtype=np.int64),
        facts.true[used].sum(axis=1, dtype=np.int64),
    )


def images_of(facts: KindFacts, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows with an image of a fact's persona, and the fact of each."""
    numbers = {identity: number for number, identity in enumerate(facts.people)}
    pairs = [(row, numbers[i]) for row, i in enumerate(rows.identities) if i is not None and i in numbers]
    return np.array([row for row, _ in pairs], dtype=np.int64), np.array([fact for _, fact in pairs], dtype=np.int64)


def line_up_all(view: MetricView, images: str, wordings: WordingsName) -> FactRanks:
    """The ranks of all facts.

    Args:
        view: the model and the data.
        images: `forget` for the images of each fact itself, or a split with other images of the personas.
        wordings: which wordings.
    """
    data = view.data
    features, texts = np.asarray(view.images(images)), np.asarray(view.prompts(sentences_of(data, wordings)))
    found, start = [], 0
    for facts in data.once(kind_facts):
        count = len(facts.values) * len(chosen_wordings(data, facts, wordings))
        sentences, start = texts[start : start + count], start + count
        rows, of_image = (facts.images, facts.facts) if images == layout.FORGET else images_of(facts, data.rows(images))
        if len(rows):
            found.append(fact_ranks(facts, features[rows], of_image, sentences))
    return FactRanks(
        np.concatenate([ranks.rows for ranks in found]),
        np.concatenate([ranks.ranks for ranks in found]),
        np.concatenate([ranks.candidates for ranks in found]),
        np.concatenate([ranks.true for ranks in found]),
    )


class LineUpMetric(Metric):
    """A metric over the facts of the forget rows, by the line-up without a name.

    Attributes:
        images: split of the images.
        wordings: which wordings.
    """

    pillar = "efficacy"
    split = layout.FORGET
    grouped = True
    images: ClassVar[str] = layout.FORGET
    wordings: ClassVar[WordingsName] = "trained"

    def needs(self, data: MetricData) -> Needs | None:
        if self.lacks(data):
            return None
        return Needs((self.images,), texts={f"sentences of {self.name}": Texts(sentences_of(data, self.wordings))})

    def lacks(self, data: MetricData) -> str:
        if not data.probe_wordings:
            return f"{data.name} has no wordings for line-ups"
        if not data.has(self.images):
            return f"{data.name} has no split {self.images}"
        if self.wordings == "unseen" and not any(found.unseen for found in data.probe_wordings.values()):
            return f"{data.name} has no wordings that no caption has"
        facts = data.once(kind_facts)
        if not any(len(images_of(fact, data.rows(self.images))[0]) for fact in facts):
            return f"no row of forget in {data.name} has a persona with images, a value and a wording"
        return ""

    def ranks(self, view: MetricView) -> FactRanks:
        """The ranks of all facts."""
        return line_up_all(view, self.images, self.wordings)


class _ValueExposure(LineUpMetric):
    """Exposure of the value above a guess, mean over facts."""

    unit = "bits"
    largest = MOST_BITS

    def compute(self, view: MetricView) -> MetricResult:
        found = self.ranks(view)
        return self.result(
            exposure_above_guess(found.ranks, found.candidates, found.true),
            found.rows,
            ranks=found.ranks,
            candidates=found.candidates,
            r_at_1=float((found.ranks == 1).mean()),
        )


@register
class ValExp(_ValueExposure):
    """Face to value: own images, trained wordings."""

    name = "ValExp"
    title = "Value found by the face"
    explanation = (
        "How far ahead of all others of its kind an image to be forgotten puts the true value, in trained wordings "
        "without a name, in bits above a guess. Not one of the ten official metrics."
    )


@register
class ValExpUnseenImg(_ValueExposure):
    """Whether the person is known, or only the image."""

    name = "ValExpUnseenImg"
    title = "Value found by images never trained"
    explanation = (
        "The same as ValExp with images of the persona that no model was trained on, so that knowing the person is "
        "told from knowing an image. Not one of the ten official metrics."
    )
    images = layout.UNSEEN_IMAGES


@register
class ValExpUnseenTxt(_ValueExposure):
    """Whether the fact is known, or only the sentence."""

    name = "ValExpUnseenTxt"
    title = "Value found in wordings never trained"
    explanation = (
        "The same as ValExp in wordings that no caption has, so that knowing a fact is told from knowing a sentence. "
        "Not one of the ten official metrics."
    )
    wordings = "unseen"
