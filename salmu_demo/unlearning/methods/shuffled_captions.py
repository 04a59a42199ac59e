"""Shuffled Captions: learn wrong captions for the forget images."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Encoded, Step, losses, optimisation, torch


def shuffled_nce(pairs: Encoded, permutation: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """NCE of the images with the captions of other pairs."""
    return optimisation.contrastive_loss(pairs.images, pairs.texts[permutation], pairs.groups[permutation], scale)


@register(
    "shuffled-captions",
    "Shuffled Captions",
    "SALMUBench (arXiv 2603.26316); the loss is inferred from the name",
    "Train on the forget images with one another's captions.",
    {Need.FORGET, Need.PEOPLE},
)
@dataclass(frozen=True)
class ShuffledCaptions(TrainedMethod):
    """NCE(forget images, permuted captions) + retain_weight NCE(retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(0.0, "weight of the contrastive loss on retain pairs", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        permutation = losses.derangement(step.forget.groups, step.generator("captions"))
        retain = self.retain_weight * losses.info_nce(step.retain, step.scale) if self.retain_weight else None
        return Losses(shuffled_nce(step.forget, permutation, step.scale), retain)
