"""KL of CLEAR: climb on forget pairs, keep the original's predictions on retain pairs."""

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
    "kl",
    "KL minimisation",
    "CLEAR (arXiv 2410.18057); TOFU (Maini et al. 2024, arXiv 2401.06121)",
    "Climb the loss of forget pairs; keep the original's predictions on retain pairs.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class KLMinimisation(TrainedMethod):
    """-NCE(forget) + retain_weight KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain pairs", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(
            -losses.info_nce(step.forget, step.scale),
            self.retain_weight * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale),
        )


@register(
    "kl",
    "KL minimisation",
    "CLEAR (arXiv 2410.18057), with the divergence on retain texts as its code has it; TOFU (arXiv 2401.06121)",
    "Make the texts to forget less likely; keep the original's predictions on those to retain.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeKLMinimisation(GenerativeMethod):
    """-L(forget) + retain_weight KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain texts", 0, 1000)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        kept = text_losses.token_kl(step.retain.frozen, step.retain.own)
        return Losses(-text_losses.text_loss(step.forget.own), self.retain_weight * kept)
