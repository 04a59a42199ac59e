"""VLUnlearn, the name MultiDelete has in its authors' code."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Encoded, Step, functional, losses, torch


def decoupling(current: Encoded, frozen: Encoded, permutation: torch.Tensor) -> torch.Tensor:
    """2 mean (S - S^0[permuted captions])^2: pairs get the similarity unrelated ones had in the original."""
    return 2 * losses.squared_distance(losses.similarities(current), frozen.images @ frozen.texts[permutation].T)


def knowledge_retention(current: Encoded, frozen: Encoded) -> torch.Tensor:
    """MSE of the pairs' mean directions, which stand in for a fusion encoder, and of both modalities."""
    together = losses.squared_distance(
        functional.normalize(current.images + current.texts, dim=1),
        functional.normalize(frozen.images + frozen.texts, dim=1),
    )
    return (
        together
        + losses.squared_distance(current.images, frozen.images)
        + losses.squared_distance(current.texts, frozen.texts)
    )


@register(
    "vlunlearn",
    "VLUnlearn (MultiDelete)",
    "Cheng & Amiri, ECCV 2024 (arXiv 2311.12047), in the dual-encoder form of github.com/lluisgomez/MultiDelete",
    "Give forget pairs the similarity that unrelated pairs had in the original; hold the retain embeddings.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class VLUnlearn(TrainedMethod):
    """Modality decoupling on forget + retain_weight (multimodal + unimodal retention on retain)."""

    learning_rate: float = learning_rate(1e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the retain terms", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        permutation = losses.derangement(step.frozen_forget.groups, step.generator("captions"))
        forget = decoupling(step.forget, step.frozen_forget, permutation)
        return Losses(forget, self.retain_weight * knowledge_retention(step.retain, step.frozen_retain))
