"""Metrics read while a method works: plain values that can be shown without importing torch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias, TypeVar

from salmu_demo.results.questions import MIN_REFERENCE_GAP

LEAST_START: Final = 0.1
"""Smallest retain reading that a relative loss refers to; one that starts lower or below 0 cannot measure it."""


def retain_shift(start: float) -> float:
    """Offset added to every retain reading of a run that started at `start` before a share of it is taken.

    Nothing for a start of `LEAST_START` or more. A lower one counts as if the run had begun there, so that no
    share is of next to nothing or of a negative number.

    >>> retain_shift(0.8), round(retain_shift(0.04), 6), round(retain_shift(-0.3), 6)
    (0.0, 0.06, 0.4)
    """
    return max(0.0, LEAST_START - start)


@dataclass(frozen=True)
class TrainingReading(ABC):
    """One reading of a run, in whatever its method works on.

    Attributes:
        quantity: what is read of both sides, in a word.
        curves: the numbers that are drawn: of what is to be forgotten, of what is to be kept, of what was never
            learned, and perhaps more.
        step: steps taken.
        forget_pairs: forget pairs, or texts, spent of the budget.
        loss: loss of the latest step, or None before the first.
    """

    quantity: ClassVar[str]
    curves: ClassVar[tuple[str, ...]]

    step: int
    forget_pairs: int
    loss: float | None

    @property
    @abstractmethod
    def sides(self) -> tuple[float, float, float]:
        """The first three of `curves`."""

    @property
    def is_finite(self) -> bool:
        """Whether what is read of both sides is."""
        forget, retain, _ = self.sides
        return math.isfinite(forget + retain)


@dataclass(frozen=True)
class TrainingMetrics(TrainingReading):
    """One reading of a run on features.

    Attributes:
        forget_similarity: mean cosine of the probe's forget pairs.
        forget_mrr: mean of 1 / rank of their captions among the probe's captions, ranked as in RetFail.
        retain_similarity: mean cosine of the probe's retain pairs.
        unrelated_similarity: mean cosine of forget images with captions of other personas.
        persona_ranks: rank of a persona's best own forget caption among `candidates`, for a few personas.
        candidates: number of ranked captions, including the persona's own.
    """

    quantity = "similarity"
    curves = ("forget_similarity", "retain_similarity", "unrelated_similarity", "forget_mrr")

    forget_similarity: float
    forget_mrr: float
    retain_similarity: float
    unrelated_similarity: float
    persona_ranks: dict[str, float]
    candidates: int

    @property
    def sides(self) -> tuple[float, float, float]:
        """Similarities of pairs to forget, of pairs to retain, and of unrelated ones."""
        return self.forget_similarity, self.retain_similarity, self.unrelated_similarity


@dataclass(frozen=True)
class TextMetrics(TrainingReading):
    """One reading of a run on texts, each by its Probability, see `text_losses.probability`.

    Attributes:
        forget_probability: mean of the probe's texts to forget.
        retain_probability: mean of its texts to retain.
        unrelated_probability: mean of texts about somebody else in place of those to forget.
    """

    quantity = "probability"
    curves = ("forget_probability", "retain_probability", "unrelated_probability")

    forget_probability: float
    retain_probability: float
    unrelated_probability: float

    @property
    def sides(self) -> tuple[float, float, float]:
        """Probabilities of texts to forget, of texts to retain, and of unrelated ones."""
        return self.forget_probability, self.retain_probability, self.unrelated_probability


R = TypeVar("R", bound=TrainingReading)

AnyReading: TypeAlias = TrainingMetrics | TextMetrics
"""As it is read from a file."""


FORGETS_LITTLE: Final = 0.5
"""Below this share of the way from the original to unrelated pairs, a run forgets little."""

KEEPS_LITTLE: Final = 0.85
"""Below this share of the retain similarity, or probability, a run damages what is to be kept."""


class RunOutcome(StrEnum):
    """What a run has come to so far."""

    DAMAGES = "damages what is to be kept"
    FORGETS_LITTLE = "forgets little"
    FORGETS = "forgets, and keeps the rest"


BEST: Final = (
    f"of the checkpoints that keep at least {KEEPS_LITTLE:.0%} of the retain similarity, the one whose forget pairs "
    "are least similar, where less than unrelated pairs were at the start counts as much; among equals the one that "
    "keeps most; if none keeps so much, the one that keeps most"
)
"""The rule of `best_reading`, in words."""


@dataclass(frozen=True)
class RunStanding:
    """How far a run is.

    Attributes:
        forgotten: share of the way from what the original read of what is to be forgotten to what it reads of
            unrelated pairs or texts; above 1 if it has gone beyond; None where the original does not tell them apart.
        kept: share of what the original read of what is to be kept that is left, see `retain_shift`.
    """

    forgotten: float | None
    kept: float

    @classmethod
    def of(cls, first: TrainingReading, last: TrainingReading) -> "RunStanding":
        """From the first and the latest reading."""
        (known, kept, unrelated), (forget, retain, _) = first.sides, last.sides
        distance, shift = known - unrelated, retain_shift(kept)
        return cls(
            (known - forget) / distance if distance >= MIN_REFERENCE_GAP else None, (retain + shift) / (kept + shift)
        )

    @property
    def outcome(self) -> RunOutcome:
        """What that means."""
        if self.kept < KEEPS_LITTLE:
            return RunOutcome.DAMAGES
        if self.forgotten is None or self.forgotten < FORGETS_LITTLE:
            return RunOutcome.FORGETS_LITTLE
        return RunOutcome.FORGETS


def best_reading(curve: Sequence[R]) -> R:
    """The checkpoint to keep, by `BEST`; the earlier of equal ones. It reads nothing but the run's own readings.

    Args:
        curve: readings of a run: one before its first step, and at least one of a checkpoint.
    """
    first, *checkpoints = curve

    def rank(reading: R) -> tuple[bool, float, float]:
        kept = RunStanding.of(first, reading).kept
        enough = kept >= KEEPS_LITTLE
        (forget, *_), (*_, unrelated) = reading.sides, first.sides
        return enough, -max(forget, unrelated) if enough else 0.0, kept

    return max(checkpoints, key=rank)
