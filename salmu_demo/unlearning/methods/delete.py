"""DELETE, as published: decoupled distillation with a mask."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Encoded, Step, losses, torch


def mask_distillation(frozen: Encoded, current: Encoded, scale: torch.Tensor) -> torch.Tensor:
    """KL of the current predictions from the original's without the right answers, averaged over both directions.

    Its gradient on the logit of a pair is the pair's own probability: strong while the pair is known, nothing once it
    is not. Other pairs of the same persona count as right answers too.
    """
    right = current.groups[:, None] == current.groups[None, :]
    target = (scale * losses.similarities(frozen)).masked_fill(right, losses.MASKED)
    logits = scale * losses.similarities(current)
    return (losses.kl(target, logits) + losses.kl(target.T, logits.T)) / 2


@register(
    "delete",
    "DELETE",
    "Zhou et al., CVPR 2025 (arXiv 2503.23751)",
    "Distil the original's predictions with the right answer masked out; stops by itself.",
    {Need.FORGET, Need.PEOPLE, Need.FROZEN},
)
@dataclass(frozen=True)
class Delete(TrainedMethod):
    """KL(softmax(masked frozen logits) || softmax(logits))(forget) + retain_weight KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(0.0, "weight of the divergence on retain pairs", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        forget = mask_distillation(step.frozen_forget, step.forget, step.scale)
        if not self.retain_weight:
            return Losses(forget)
        return Losses(forget, self.retain_weight * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale))
