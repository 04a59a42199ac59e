"""CLIPErase, as published."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Step, losses


@register(
    "cliperase",
    "CLIPErase",
    "Yang et al., ACL 2025 (arXiv 2410.23330)",
    "Lower the forget pairs' dot product; hold retain pairs by contrast and by the original's predictions.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class ClipErase(TrainedMethod):
    """l1 NCE(retain) + l2 mean cos(forget) + l3 KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(3e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the contrastive loss on retain pairs (l1)", 0, 100)
    forget_weight: float = hyperparameter(3.0, "weight of the forget pairs' similarity (l2)", 0, 100)
    consistency_weight: float = hyperparameter(3.0, "weight of the divergence on retain pairs (l3)", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        retain = self.retain_weight * losses.info_nce(step.retain, step.scale)
        kept = self.consistency_weight * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale)
        return Losses(self.forget_weight * step.forget.similarity.mean(), retain + kept)
