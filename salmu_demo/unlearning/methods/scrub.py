"""SCRUB: move away from the original on forget pairs, stay with it on retain pairs, in turns."""

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
from salmu_demo.unlearning.tensors import Step, TextStep, losses, text_losses, torch


def bounded_departure(divergence: torch.Tensor, bound: float) -> torch.Tensor:
    """Minus the divergence, without a gradient beyond the bound: -KL alone would run away."""
    return -divergence.clamp(max=bound)


@register(
    "scrub",
    "SCRUB",
    "CLEAR (arXiv 2410.18057); Kurmanji et al. 2023 (arXiv 2302.09880)",
    "In turns, depart from the original's predictions on forget pairs and return to them on retain pairs.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class Scrub(TrainedMethod):
    """Odd steps: -KL(frozen || current)(forget). Even steps: alpha KL(frozen || current) + gamma NCE on retain.

    At the start the forget half has no gradient at all, so a retain step comes first.
    """

    learning_rate: float = learning_rate(3e-4)
    alpha: float = hyperparameter(1.0, "weight of the divergence on retain pairs", 0, 1000)
    gamma: float = hyperparameter(1.0, "weight of the contrastive loss on retain pairs", 0, 100)
    bound: float = hyperparameter(2.0, "divergence in nats beyond which a batch is left alone", 0.01, 100)
    forget_share: float = hyperparameter(0.7, "share of the run with forget steps", 0, 1)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        if step.number % 2 and step.number < self.forget_share * step.total:
            divergence = losses.symmetric_kl(step.frozen_forget, step.forget, step.scale)
            return Losses(forget=bounded_departure(divergence, self.bound))
        kept = self.alpha * losses.symmetric_kl(step.frozen_retain, step.retain, step.scale)
        return Losses(retain=kept + self.gamma * losses.info_nce(step.retain, step.scale))


@register(
    "scrub",
    "SCRUB",
    "CLEAR (arXiv 2410.18057); Kurmanji et al. 2023 (arXiv 2302.09880), in turns as there",
    "In turns, depart from the original's predictions on forget texts and return to them on retain texts.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeScrub(GenerativeMethod):
    """Odd steps: -KL(frozen || current)(forget). Even steps: alpha KL(frozen || current) + gamma L on retain texts.

    At the start the forget half has no gradient at all, so a retain step comes first.
    """

    learning_rate: float = learning_rate(1e-4)
    alpha: float = hyperparameter(1.0, "weight of the divergence on retain texts", 0, 1000)
    gamma: float = hyperparameter(1.0, "weight of the loss of retain texts", 0, 100)
    bound: float = hyperparameter(2.0, "divergence in nats beyond which a batch is left alone", 0.01, 100)
    forget_share: float = hyperparameter(0.7, "share of the run with forget steps", 0, 1)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        if step.number % 2 and step.number < self.forget_share * step.total:
            return Losses(
                forget=bounded_departure(text_losses.token_kl(step.forget.frozen, step.forget.own), self.bound)
            )
        kept = self.alpha * text_losses.token_kl(step.retain.frozen, step.retain.own)
        return Losses(retain=kept + self.gamma * text_losses.text_loss(step.retain.own))
