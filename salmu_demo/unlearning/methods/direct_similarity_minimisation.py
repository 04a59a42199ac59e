"""Direct Similarity Minimisation: push the cosine of every forget pair down."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, learning_rate, register
from salmu_demo.unlearning.tensors import Step


@register(
    "direct-similarity-minimisation",
    "Direct Similarity Minimisation",
    "SALMUBench (arXiv 2603.26316); the loss is inferred from the name",
    "Push the cosine of every forget pair down, without a floor above -1.",
    {Need.FORGET},
)
@dataclass(frozen=True)
class DirectSimilarityMinimisation(TrainedMethod):
    """Mean cosine of the forget pairs."""

    learning_rate: float = learning_rate(1e-4)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(forget=step.forget.similarity.mean())
