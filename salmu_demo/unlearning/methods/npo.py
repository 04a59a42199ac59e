"""NPO: ascent that fades once a pair is less likely than it was."""

from __future__ import annotations

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
from salmu_demo.unlearning.tensors import Step, TextStep, functional, losses, text_losses, torch


def npo_loss(log_ratio: torch.Tensor, beta: float) -> torch.Tensor:
    """2 / beta mean log(1 + ratio^beta), with the ratio of current to frozen probability.

    Its gradient is ascent's times 2 ratio^beta / (1 + ratio^beta): equal to ascent's at the start.
    """
    return 2 / beta * functional.softplus(beta * log_ratio).mean()


@register(
    "npo",
    "NPO",
    "CLEAR (arXiv 2410.18057); Zhang et al. 2024 (arXiv 2404.05868)",
    "Ascent that fades out for each pair once it has become less likely than in the original.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class NPO(TrainedMethod):
    """2 / beta log(1 + (pi / pi^0)^beta)(forget) + retain_weight NCE(retain)."""

    learning_rate: float = learning_rate(1e-4)
    beta: float = hyperparameter(0.5, "how soon the ascent fades; towards 0 it never does", 1e-3, 10)
    retain_weight: float = hyperparameter(1.0, "weight of the contrastive loss on retain pairs", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        now = losses.log_likelihood(losses.bank_logits(step.forget, None, step.retain, step.scale), 0)
        before = losses.log_likelihood(losses.bank_logits(step.frozen_forget, None, step.frozen_retain, step.scale), 0)
        return Losses(npo_loss(now - before, self.beta), self.retain_weight * losses.info_nce(step.retain, step.scale))


@register(
    "npo",
    "NPO",
    "CLEAR (arXiv 2410.18057), with a retain loss, which CLEAR does not have; Zhang et al. 2024 (arXiv 2404.05868)",
    "Ascent that fades out for each text once it has become less likely than in the original.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeNPO(GenerativeMethod):
    """2 / beta log(1 + (pi / pi^0)^beta)(forget) + retain_weight L(retain), with likelihoods of whole texts."""

    learning_rate: float = learning_rate(1e-4)
    beta: float = hyperparameter(1.0, "how soon the ascent fades; towards 0 it never does", 1e-3, 10)
    retain_weight: float = hyperparameter(1.0, "weight of the loss of retain texts", 0, 100)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        ratio = step.forget.own.log_likelihood - step.forget.frozen.log_likelihood
        return Losses(npo_loss(ratio, self.beta), self.retain_weight * text_losses.text_loss(step.retain.own))
