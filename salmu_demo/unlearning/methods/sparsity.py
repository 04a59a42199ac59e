"""Sparsity: train on retain pairs while pulling weights to zero."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import (
    Form,
    Losses,
    Need,
    TrainedMethod,
    hyperparameter,
    learning_rate,
    register,
)
from salmu_demo.unlearning.tensors import Step, TrainedModel, losses, torch


def absolute_weights(model: TrainedModel) -> torch.Tensor:
    """Sum of the absolute values of all trained weight matrices, embeddings left out."""
    return torch.stack([p.abs().sum() for name, p in model.matrices() if p.ndim >= 2 and "embedding" not in name]).sum()


@register(
    "sparsity",
    "Sparsity (l1-sparse)",
    "CLEAR (arXiv 2410.18057); Jia et al. 2023 (arXiv 2304.04934)",
    "Train on retain pairs while a fading l1 penalty prunes what they do not need.",
    {Need.RETAIN},
)
@dataclass(frozen=True)
class Sparsity(TrainedMethod):
    """NCE(retain) + gamma_t |weights|, with gamma_t falling linearly to 0."""

    learning_rate: float = learning_rate(3e-4)
    gamma: float = hyperparameter(3e-4, "weight of the l1 penalty at the first step", 0, 1)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        gamma = self.gamma * (1 - step.number / step.total)
        return Losses(gamma * absolute_weights(step.model), losses.info_nce(step.retain, step.scale))


@register(
    "sparsity",
    "Sparsity (l1-sparse)",
    "CLEAR (arXiv 2410.18057); Jia et al. 2023 (arXiv 2304.04934)",
    "Train the image tower on retain images while a fading l1 penalty prunes what they do not need.",
    {Need.RETAIN},
    towers=(Towers.IMAGE,),
    form=Form.VISUAL,
)
@dataclass(frozen=True)
class VisualSparsity(Sparsity):
    """NCE(retain) against captions that stay as they are + gamma_t |weights of the image tower|, falling to 0."""
