"""IDK tuning: answer with the generic caption."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import (
    Form,
    GenerativeMethod,
    Losses,
    Need,
    TrainedMethod,
    hyperparameter,
    learning_rate,
    register,
)
from salmu_demo.unlearning.tensors import Step, TextStep, losses, text_losses


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


@register(
    "idk",
    "IDK tuning",
    "CLEAR (arXiv 2410.18057), from its text: its code trains on the true answers; TOFU (arXiv 2401.06121)",
    "Learn to say “I don't know” about what is to be forgotten, and go on training on what may stay.",
    {Need.FORGET, Need.RETAIN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeIDK(GenerativeMethod):
    """L(refusals of forget) + retain_weight L(retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the loss of retain texts", 0, 100)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        return Losses(
            text_losses.text_loss(step.forget.refusal), self.retain_weight * text_losses.text_loss(step.retain.own)
        )
