"""Metrics read while a method works: plain values that can be shown without importing torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from salmu_demo.results.questions import MIN_REFERENCE_GAP

LEAST_START: Final = 0.1
"""Smallest retain similarity that a relative loss refers to; one that starts lower or below 0 cannot measure it."""


def retain_shift(start: float) -> float:
    """Offset added to every retain similarity of a run that started at `start` before a share of it is taken.

    Nothing for a start of `LEAST_START` or more. A lower one counts as if the run had begun there, so that no
    share is of next to nothing or of a negative number.

    >>> retain_shift(0.8), round(retain_shift(0.04), 6), round(retain_shift(-0.3), 6)
    (0.0, 0.06, 0.4)
    """
    return max(0.0, LEAST_START - start)


@dataclass(frozen=True)
class TrainingMetrics:
    """One reading of a run.

    Attributes:
        step: steps taken.
        forget_pairs: forget pairs spent of the budget.
        loss: loss of the latest step, or None before the first.
        forget_similarity: mean cosine of the probe's forget pairs.
        forget_mrr: mean of 1 / rank of their captions among the probe's captions, ranked as in RetFail.
        retain_similarity: mean cosine of the probe's retain pairs.
        unrelated_similarity: mean cosine of forget images with captions of other personas.
        persona_ranks: rank of a persona's best own forget caption among `candidates`, for a few personas.
        candidates: number of ranked captions, including the persona's own.
    """

    step: int
    forget_pairs: int
    loss: float | None
    forget_similarity: float
    forget_mrr: float
    retain_similarity: float
    unrelated_similarity: float
    persona_ranks: dict[str, float]
    candidates: int

    @property
    def is_finite(self) -> bool:
        """Whether the similarities are finite."""
        return math.isfinite(self.forget_similarity + self.retain_similarity)


FORGETS_LITTLE: Final = 0.5
"""Below this share of the way from the original to unrelated pairs, a run forgets little."""

KEEPS_LITTLE: Final = 0.85
"""Below this share of the retain similarity a run damages what is to be kept."""


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
        forgotten: share of the way of the forget similarity from the original's to that of unrelated pairs; above 1 if
            it has gone beyond; None where the original does not tell the two apart.
        kept: share of the original's retain similarity that is left, see `retain_shift`.
    """

    forgotten: float | None
    kept: float

    @classmethod
    def of(cls, first: TrainingMetrics, last: TrainingMetrics) -> "RunStanding":
        """From the first and the latest reading."""
        distance = first.forget_similarity - first.unrelated_similarity
        shift = retain_shift(first.retain_similarity)
        return cls(
            (first.forget_similarity - last.forget_similarity) / distance if distance >= MIN_REFERENCE_GAP else None,
            (last.retain_similarity + shift) / (first.retain_similarity + shift),
        )

    @property
    def outcome(self) -> RunOutcome:
        """What that means."""
        if self.kept < KEEPS_LITTLE:
            return RunOutcome.DAMAGES
        if self.forgotten is None or self.forgotten < FORGETS_LITTLE:
            return RunOutcome.FORGETS_LITTLE
        return RunOutcome.FORGETS


def best_reading(curve: Sequence[TrainingMetrics]) -> TrainingMetrics:
    """The checkpoint to keep, by `BEST`; the earlier of equal ones. It reads nothing but the run's own readings.

    Args:
        curve: readings of a run: one before its first step, and at least one of a checkpoint.
    """
    first, *checkpoints = curve

    def rank(reading: TrainingMetrics) -> tuple[bool, float, float]:
        kept = RunStanding.of(first, reading).kept
        enough = kept >= KEEPS_LITTLE
        return enough, -max(reading.forget_similarity, first.unrelated_similarity) if enough else 0.0, kept

    return max(checkpoints, key=rank)
