"""Negative Gradient: climb the contrastive loss of the forget pairs."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, learning_rate, register
from salmu_demo.unlearning.tensors import Step, losses


@register(
    "negative-gradient",
    "Negative Gradient",
    "SALMUBench (arXiv 2603.26316); Thudi et al. 2022 (arXiv 2109.13398)",
    "Climb the contrastive loss of the pairs to forget; nothing bounds it.",
    {Need.FORGET, Need.PEOPLE},
)
@dataclass(frozen=True)
class NegativeGradient(TrainedMethod):
    """-NCE(forget)."""

    learning_rate: float = learning_rate(1e-4)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(forget=-losses.info_nce(step.forget, step.scale))
