"""DPO: prefer the generic caption to the sensitive one, compared with the original."""

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
from salmu_demo.unlearning.tensors import (
    DecoderOutput,
    Encoded,
    Step,
    TextStep,
    functional,
    losses,
    text_losses,
    torch,
)


def preference_margin(pairs: Encoded, generic: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Log-odds of the generic over the sensitive caption, shape (B,).

    Over one list of candidates the normaliser is the same for both and cancels.
    """
    return scale * ((pairs.images * generic).sum(dim=1) - pairs.similarity)


def dpo_loss(margin: torch.Tensor, frozen_margin: torch.Tensor, beta: float) -> torch.Tensor:
    """-mean log sigmoid(beta (margin - frozen margin)); ln 2 at the start."""
    return -functional.logsigmoid(beta * (margin - frozen_margin)).mean()


@register(
    "dpo",
    "DPO",
    "CLEAR (arXiv 2410.18057); Rafailov et al. 2023 (arXiv 2305.18290), with the base model as reference",
    "Prefer the generic to the sensitive caption more than the original did.",
    {Need.FORGET, Need.RETAIN, Need.GENERIC, Need.FROZEN},
)
@dataclass(frozen=True)
class DPO(TrainedMethod):
    """-log sigmoid(beta (margin - frozen margin))(forget) + retain_weight KL(frozen || current)(retain)."""

    learning_rate: float = learning_rate(3e-4)
    beta: float = hyperparameter(0.1, "how sharply the preference is asked for", 1e-3, 10)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain pairs", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        margin = preference_margin(step.forget, step.generic, step.scale)
        before = preference_margin(step.frozen_forget, step.frozen_generic, step.scale)
        return Losses(
            dpo_loss(margin, before, self.beta),
            self.retain_weight * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale),
        )


def refusal_margin(refusal: DecoderOutput, own: DecoderOutput) -> torch.Tensor:
    """Log-odds of the refusal over the text itself, whole texts, shape (B,)."""
    return refusal.log_likelihood - own.log_likelihood


@register(
    "dpo",
    "DPO",
    "CLEAR (arXiv 2410.18057), with the base model as reference and a divergence on retain texts, which CLEAR does "
    "not have; Rafailov et al. 2023 (arXiv 2305.18290)",
    "Prefer “I don't know” to what is to be forgotten more than the original did.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeDPO(GenerativeMethod):
    """task_weight L(refusals) - log sigmoid(beta (margin - frozen margin)) + retain_weight KL(retain).

    The margin is that of the log likelihoods of whole texts, as in preference optimisation, and KL the divergence
    KL(frozen || current).
    """

    learning_rate: float = learning_rate(1e-4)
    beta: float = hyperparameter(0.1, "how sharply the preference is asked for", 1e-3, 10)
    task_weight: float = hyperparameter(1.0, "weight of the loss of refusals (lambda 1)", 0, 100)
    retain_weight: float = hyperparameter(1.0, "weight of the divergence on retain texts", 0, 1000)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        margin = refusal_margin(step.forget.refusal, step.forget.own)
        before = refusal_margin(step.forget.frozen_refusal, step.forget.frozen)
        forget = self.task_weight * text_losses.text_loss(step.forget.refusal) + dpo_loss(margin, before, self.beta)
        return Losses(forget, self.retain_weight * text_losses.token_kl(step.retain.frozen, step.retain.own))
