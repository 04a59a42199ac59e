"""SCRUB_bio of CLEAR: turn embeddings away from what they were."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import (
    Form,
    Losses,
    Need,
    TrainedMethod,
    hyperparameter,
    learning_rate,
    register,
)
from salmu_demo.unlearning.tensors import Encoded, Step, functional, losses, torch


def departure(current: Encoded, frozen: Encoded, form: str) -> torch.Tensor:
    """Mean of max(0, cosine with the original), so that it stops at a right angle.

    With `form` "embedding" each embedding is compared with its own former self, as published: at the start that has no
    gradient. With "association" it is compared with the former self of the other modality's.
    """
    if form == "embedding":
        images, texts = frozen.images, frozen.texts
    else:
        images, texts = frozen.texts, frozen.images
    cosines = torch.cat([(current.images * images).sum(dim=1), (current.texts * texts).sum(dim=1)])
    return 2 * cosines.clamp(min=0).mean()


@register(
    "scrub-bio",
    "SCRUB_bio",
    "CLEAR (arXiv 2410.18057)",
    "Turn forget embeddings at a right angle to the original's; hold retain embeddings.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class ScrubBio(TrainedMethod):
    """max(0, cos(current, frozen))(forget) + retain_weight (1 - cos(current, frozen))(retain), for both towers."""

    learning_rate: float = learning_rate(3e-4)
    form: str = hyperparameter(
        "association",
        "turn from the other modality's former embedding, or as published from one's own",
        choices=("association", "embedding"),
    )
    retain_weight: float = hyperparameter(1.0, "weight of the retain half", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        kept = losses.drift(step.retain.images, step.frozen_retain.images) + losses.drift(
            step.retain.texts, step.frozen_retain.texts
        )
        return Losses(departure(step.forget, step.frozen_forget, self.form), self.retain_weight * kept)


def turned_away(current: torch.Tensor, former: torch.Tensor) -> torch.Tensor:
    """Mean of max(0, cosine) of embeddings, (B, D) each, so that it stops at a right angle."""
    return (current * former).sum(dim=1).clamp(min=0).mean()


@register(
    "scrub-bio",
    "SCRUB_bio",
    "CLEAR (arXiv 2410.18057), from which it differs by a jitter: at the start the published objective has no gradient",
    "Turn the embeddings of forget images at a right angle to the original's; hold all others.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    towers=(Towers.IMAGE,),
    form=Form.VISUAL,
)
@dataclass(frozen=True)
class VisualScrubBio(TrainedMethod):
    """max(0, cos(current, jittered frozen))(forget) + retain_weight (1 - cos(current, frozen))(retain), of images."""

    learning_rate: float = learning_rate(3e-4)
    jitter: float = hyperparameter(0.01, "length of the noise that breaks the tie at the start", 1e-6, 1)
    retain_weight: float = hyperparameter(1.0, "weight of the retain half", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        former = step.frozen_forget.images
        noise = functional.normalize(torch.randn(former.shape, generator=step.generator("jitter")), dim=1)
        aim = functional.normalize(former + self.jitter * noise.to(former.device), dim=1)
        kept = losses.drift(step.retain.images, step.frozen_retain.images)
        return Losses(turned_away(step.forget.images, aim), self.retain_weight * kept)
