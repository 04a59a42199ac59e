"""DELETE in the similarity-matrix form of the SALMUBench authors' public code."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Encoded, Step, losses, torch


def matrix_losses(forget: Encoded, retain: Encoded, frozen_retain: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
    """2 mean S_f^2 and 2 mean (S_r - S_r^0)^2; the factor is there because both directions are counted.

    All but B of the B^2 forget targets are off the diagonal, so the whole neighbourhood is flattened.
    """
    to_zero = losses.similarities(forget).square().mean()
    kept = losses.squared_distance(losses.similarities(retain), losses.similarities(frozen_retain))
    return 2 * to_zero, 2 * kept


@register(
    "delete-matrix",
    "DELETE, similarity-matrix form",
    "github.com/lluisgomez/MultiDelete, commit bba0700; not the loss of the DELETE paper",
    "Push all similarities among forget pairs to zero; hold those among retain pairs.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class DeleteMatrix(TrainedMethod):
    """2 mean S_f^2 + 2 mean (S_r - S_r^0)^2."""

    learning_rate: float = learning_rate(3e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the retain term", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        forget, retain = matrix_losses(step.forget, step.retain, step.frozen_retain)
        return Losses(forget, self.retain_weight * retain)
