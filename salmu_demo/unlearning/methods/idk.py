"""IDK tuning: answer with the generic caption."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Step, losses


@register(
    "idk",
    "IDK tuning",
    "CLEAR (arXiv 2410.18057); TOFU (arXiv 2401.06121)",
    "Let every forget image prefer its generic caption over its sensitive one and all others.",
    {Need.FORGET, Need.RETAIN, Need.GENERIC},
)
@dataclass(frozen=True)
class IDK(TrainedMethod):
    """-log softmax over {sensitive, generic, others}[generic] (forget) + retain_weight NCE(retain)."""

    learning_rate: float = learning_rate(3e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the contrastive loss on retain pairs", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        logits = losses.bank_logits(step.forget, step.generic, step.retain, step.scale)
        return Losses(
            -losses.log_likelihood(logits, 1).mean(), self.retain_weight * losses.info_nce(step.retain, step.scale)
        )
