"""What is read of a model while a method works. Plain values: whoever shows them need not import torch."""

import math
from dataclasses import dataclass
from typing import Final

LEAST_START: Final = 0.1
"""Retain similarity that a loss is at least a share of; what began lower or below 0 measures no loss."""


def retain_shift(start: float) -> float:
    """What to add to every retain similarity of a run that began at `start` before a share of it is taken.

    Nothing for a start of :data:`LEAST_START` or more. A lower one counts as if the run had begun there, so that no
    share is of next to nothing or of a negative number.

    >>> retain_shift(0.8), round(retain_shift(0.04), 6), round(retain_shift(-0.3), 6)
    (0.0, 0.06, 0.4)
    """
    return max(0.0, LEAST_START - start)


@dataclass(frozen=True)
class TrainingMetrics:
    """Where a run stands.

    Attributes:
        step: steps taken.
        forget_pairs: forget pairs spent of the budget.
        loss: of the latest step, or None before the first.
        forget_similarity: mean cosine of the probe's forget pairs.
        forget_mrr: mean of 1 / rank of their captions among all others of the probe; all ranks are like RetFail's.
        retain_similarity: mean cosine of the probe's retain pairs.
        unrelated_similarity: mean cosine of forget images with captions of other personas.
        persona_ranks: rank of the best own forget caption of a few personas among `candidates`, by persona.
        candidates: captions that such a rank counts, the own one included.
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
        """Whether the model still gives numbers."""
        return math.isfinite(self.forget_similarity + self.retain_similarity)
