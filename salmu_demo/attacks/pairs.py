"""The pairs to be forgotten, and the two galleries in which an attack reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.data.values import value_key
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.protocol import SEED
from salmu_demo.metrics.ranking import ROWS_PER_CHUNK, tied_ranks
from salmu_demo.metrics.retrieval_failure import Distractors, draw_distractors, retrieval_failure

Floats = NDArray[np.floating[Any]]

MIXED: Final = "mixed"
"""RetFail's gallery: captions to be forgotten and captions to be kept."""
SAME_KIND: Final = "same-kind"
"""Captions to be forgotten of the same kind: what lifting other captions above all of them hides in RetFail."""
MRR: Final = "MRR"
BITS: Final = "bits"
GALLERIES: Final = (MIXED, SAME_KIND)
MEASURES: Final = (MRR, BITS)


@dataclass(frozen=True)
class PairFeatures:
    """What an attacker has of some pairs and of the captions that they are ranked among; any length, of one width D.

    Attributes:
        images: shape (N, D).
        captions: shape (N, D).
        distractors: shape (K, D), RetFail's: those of forget, then those of retain.
    """

    images: Floats
    captions: Floats
    distractors: Floats


@dataclass(frozen=True)
class Ranks:
    """Rank of each pair's caption, and the number of captions it was ranked among, itself included; shape (N,)."""

    ranks: NDArray[np.float64]
    candidates: NDArray[np.int64]

    def scores(self, measure: str) -> NDArray[np.float64]:
        """What each pair contributes to a measure: 1 / rank, or log2(candidates) - log2(rank) in bits."""
        if measure == MRR:
            return 1 / self.ranks
        bits: NDArray[np.float64] = np.log2(self.candidates) - np.log2(self.ranks)
        return bits


@dataclass(frozen=True)
class ForgetPairs:
    """Rows of the forget split that are measured.

    Attributes:
        data: the data set.
        rows: shape (N,), their places in the split.
    """

    data: BenchmarkData
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, data: BenchmarkData) -> "ForgetPairs":
        """All of them; raises `DataError`."""
        return cls(data, np.arange(len(data.split(layout.FORGET))))

    def sampled(self, most: int, seed: int = SEED) -> "ForgetPairs":
        """Whole personas, drawn until the next one would make more than so many pairs; all pairs if they are fewer."""
        if len(self.rows) <= most:
            return self
        identities = np.array([identity or "" for identity in self.identities])
        people = np.unique(identities)
        chosen: list[NDArray[np.int64]] = []
        for person in np.random.default_rng(seed).permutation(people):
            own = self.rows[identities == person]
            if chosen and sum(map(len, chosen)) + len(own) > most:
                break
            chosen.append(own)
        return ForgetPairs(self.data, np.sort(np.concatenate(chosen)))

    @cached_property
    def split(self) -> Split:
        """The rows."""
        return self.data.split(layout.FORGET).take(layout.FORGET, self.rows.tolist())

    @property
    def identities(self) -> list[str | None]:
        """Their personas."""
        return self.split.identities

    @cached_property
    def distractors(self) -> Distractors:
        """RetFail's, which depend on the whole data alone."""
        return draw_distractors(self.data.split(layout.FORGET).texts, self.data.split(layout.RETAIN_DISJOINT).texts)

    @property
    def distractor_splits(self) -> tuple[Split, Split]:
        """The captions that are drawn, from forget and from retain."""
        drawn = self.distractors
        forget, retain = self.data.split(layout.FORGET), self.data.split(layout.RETAIN_DISJOINT)
        return forget.take(forget.name, drawn.forget_rows.tolist()), retain.take(
            retain.name, drawn.retain_rows.tolist()
        )

    @cached_property
    def _facts(self) -> list[tuple[str, ...]]:
        """What each caption gives away, as something to compare."""
        people = {person.identity_id: person for person in self.data.personas}
        found = []
        for identity, name, text in zip(self.identities, self.split.file_names, self.split.texts, strict=True):
            kind = self.data.kind(name)
            person = people.get(identity or "")
            values = sorted(map(value_key, person.values(kind))) if person and kind else []
            found.append((kind or "", *(values or [text])))
        return found

    def ranks(self, features: PairFeatures, gallery: str) -> Ranks:
        """Rank each pair's caption in a gallery; raises `MetricError` if features are not usable."""
        if gallery == MIXED:
            ranks, candidates = retrieval_failure(
                features.images, features.captions, self.split.texts, features.distractors, self.distractors.texts
            )
            return Ranks(ranks, candidates)
        return rank_among_kind(
            features.images, features.captions, [fact[0] for fact in self._facts], self._facts, self.split.texts
        )


def rank_among_kind(
    images: Floats,
    captions: Floats,
    kinds: Sequence[str],
    facts: Sequence[tuple[str, ...]],
    texts: Sequence[str],
) -> Ranks:
    """Rank every image's own caption among the captions of its kind that say something else, each text once.

    Args:
        images: shape (N, D).
        captions: shape (N, D).
        kinds: N kinds of attribute.
        facts: N facts; captions of the same fact are right as well and do not compete.
        texts: the N captions.
    """
    images = normalised(images, "image_features")
    captions = normalised(captions, "caption_features")
    numbers: dict[tuple[str, ...], int] = {}
    said = np.array([numbers.setdefault(fact, len(numbers)) for fact in facts])
    first = np.zeros(len(texts), dtype=bool)
    first[list({text: row for row, text in reversed(list(enumerate(texts)))}.values())] = True
    ranks = np.empty(len(images))
    candidates = np.empty(len(images), dtype=np.int64)
    kind_of = np.array(kinds)
    for kind in dict.fromkeys(kinds):
        of_kind = np.flatnonzero(kind_of == kind)
        rivals = np.flatnonzero((kind_of == kind) & first)
        for start in range(0, len(of_kind), ROWS_PER_CHUNK):
            rows = of_kind[start : start + ROWS_PER_CHUNK]
            competes = said[rows, None] != said[rivals]
            own = np.einsum("nd,nd->n", images[rows], captions[rows])
            ranks[rows] = tied_ranks(own, images[rows] @ captions[rivals].T, competes)
            candidates[rows] = 1 + np.count_nonzero(competes, axis=1)
    return Ranks(ranks, candidates)
