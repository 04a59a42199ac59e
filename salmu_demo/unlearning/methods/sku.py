"""SKU: learn the bad, then subtract it."""

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
from salmu_demo.unlearning.methods.scrub import bounded_departure
from salmu_demo.unlearning.methods.task_vector import negated
from salmu_demo.unlearning.tensors import Encoded, State, Step, TextStep, losses, text_losses, torch


def other_answers(pairs: Encoded, same_kind: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each image with the captions of other personas that give away the same kind of attribute.

    All those of the batch are right answers of the same share; an image without any counts nothing.
    """
    strangers = pairs.groups[:, None] != pairs.groups[None, :]
    wanted = (same_kind & strangers).to(pairs.images.dtype)
    logits = (scale * losses.similarities(pairs)).masked_fill(losses.false_negatives(pairs.groups), losses.MASKED)
    share = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1)
    return -(share * logits.log_softmax(1)).sum(dim=1).mean()


@register(
    "sku",
    "SKU",
    "CLEAR (arXiv 2410.18057); Liu et al. 2024 (arXiv 2402.10058)",
    "Learn the forget pairs, wrong answers and a departure on retain pairs; then subtract all that.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class SKU(TrainedMethod):
    """e1 NCE(forget) + e2 CE(others' captions) - e3 KL(frozen || current)(retain), then negated as a task vector."""

    learning_rate: float = learning_rate(1e-4)
    guided_weight: float = hyperparameter(2.5, "weight of the forget pairs (e1)", 0, 100)
    random_weight: float = hyperparameter(2.5, "weight of the wrong answers (e2)", 0, 100)
    departure_weight: float = hyperparameter(1.0, "weight of the departure on retain pairs (e3)", 0, 100)
    bound: float = hyperparameter(1.0, "divergence in nats beyond which the departure stops", 0.01, 100)
    strength: float = hyperparameter(1.0, "how far to walk the other way", 0, 10)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        wrong = other_answers(step.forget, step.same_kind, step.scale)
        forget = self.guided_weight * losses.info_nce(step.forget, step.scale) + self.random_weight * wrong
        divergence = losses.symmetric_kl(step.frozen_retain, step.retain, step.scale)
        return Losses(forget, self.departure_weight * bounded_departure(divergence, self.bound))

    def deploy(self, start: State, trained: State) -> State:
        """The tensors to hand out."""
        return negated(start, trained, self.strength)


@register(
    "sku",
    "SKU",
    "CLEAR (arXiv 2410.18057), with one wrong text a step; Liu et al. 2024 (arXiv 2402.10058)",
    "Learn the forget texts, wrong ones in their place and a departure on retain texts; then subtract all that.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeSKU(GenerativeMethod):
    """e1 L(forget) + e2 L(texts about others) - e3 KL(frozen || current)(retain), then negated as a task vector."""

    learning_rate: float = learning_rate(1e-4)
    guided_weight: float = hyperparameter(2.5, "weight of the forget texts (e1)", 0, 100)
    random_weight: float = hyperparameter(2.5, "weight of the wrong texts (e2)", 0, 100)
    departure_weight: float = hyperparameter(1.0, "weight of the departure on retain texts (e3)", 0, 100)
    bound: float = hyperparameter(1.0, "divergence in nats beyond which the departure stops", 0.01, 100)
    strength: float = hyperparameter(1.0, "how far to walk the other way", 0, 10)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        guided = self.guided_weight * text_losses.text_loss(step.forget.own)
        wrong = self.random_weight * text_losses.text_loss(step.forget.other)
        divergence = text_losses.token_kl(step.retain.frozen, step.retain.own)
        return Losses(guided + wrong, self.departure_weight * bounded_departure(divergence, self.bound))

    def deploy(self, start: State, trained: State) -> State:
        """The tensors to hand out."""
        return negated(start, trained, self.strength)
