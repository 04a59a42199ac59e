"""LLMU: a little ascent, other answers for forget images, the original's predictions on the rest."""

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
    "llmu",
    "LLMU",
    "CLEAR (arXiv 2410.18057); Yao et al. 2023 (arXiv 2310.10683)",
    "A little ascent, the generic caption as answer, and the original's predictions on retain pairs.",
    {Need.FORGET, Need.RETAIN, Need.GENERIC, Need.FROZEN},
)
@dataclass(frozen=True)
class LLMU(TrainedMethod):
    """-e1 NCE(forget) + e2 IDK(forget) + e3 KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(3e-4)
    ascent_weight: float = hyperparameter(0.02, "weight of the ascent (e1); must be small beside the others", 0, 10)
    answer_weight: float = hyperparameter(0.05, "weight of the generic answer (e2)", 0, 10)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain pairs (e3)", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        logits = losses.bank_logits(step.forget, step.generic, step.retain, step.scale)
        forget = self.answer_weight * -losses.log_likelihood(logits, 1).mean()
        return Losses(
            forget - self.ascent_weight * losses.info_nce(step.forget, step.scale),
            self.retain_weight * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale),
        )


@register(
    "llmu",
    "LLMU",
    "CLEAR (arXiv 2410.18057), with weights; Yao et al. 2023 (arXiv 2310.10683)",
    "A little ascent, “I don't know” as answer, and the original's predictions on retain texts.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeLLMU(GenerativeMethod):
    """-e1 L(forget) + e2 L(refusals of forget) + e3 KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(1e-4)
    ascent_weight: float = hyperparameter(0.1, "weight of the ascent (e1); must be small beside the others", 0, 10)
    answer_weight: float = hyperparameter(1.0, "weight of the refusals (e2)", 0, 10)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain texts (e3)", 0, 1000)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        climbed = self.ascent_weight * text_losses.text_loss(step.forget.own)
        refused = self.answer_weight * text_losses.text_loss(step.forget.refusal)
        kept = self.retain_weight * text_losses.token_kl(step.retain.frozen, step.retain.own)
        return Losses(refused - climbed, kept)
