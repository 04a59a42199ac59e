"""Twins of CLEAR: embed forget pairs as the original embeds altered twins of them."""

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
from salmu_demo.unlearning.tensors import Encoded, Step, batches, functional, losses, torch


def altered(inputs: torch.Tensor, change: str) -> torch.Tensor:
    """Images (B, 3, H, W) mirrored, or reduced to patches of a twelfth of their side so that no face is left."""
    if change == "mirror":
        return inputs.flip(3)
    height, width = inputs.shape[2:]
    small = functional.interpolate(inputs, size=(12, 12), mode="area")
    return functional.interpolate(small, size=(height, width), mode="nearest")


def twins_loss(current: Encoded, target: Encoded) -> torch.Tensor:
    """MSE of both embeddings to those of the twins."""
    return losses.squared_distance(current.images, target.images) + losses.squared_distance(current.texts, target.texts)


@register(
    "twins",
    "Twins",
    "CLEAR (arXiv 2410.18057); images made unrecognisable where CLEAR mirrors them, which keeps the identity",
    "Embed forget pairs as the original embeds unrecognisable images and generic captions.",
    {Need.FORGET, Need.RETAIN, Need.GENERIC, Need.FROZEN},
)
@dataclass(frozen=True)
class Twins(TrainedMethod):
    """MSE(current, frozen of the twins)(forget) + retain_weight MSE(current, frozen)(retain)."""

    learning_rate: float = learning_rate(1e-3)
    change: str = hyperparameter("pixelate", "how an image becomes its twin", choices=("pixelate", "mirror"))
    retain_weight: float = hyperparameter(1.0, "weight of the retain half", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        with torch.no_grad():
            images = step.model.frozen.encode_image(altered(step.forget_inputs, self.change), normalize=True)
        twins = batches.Encoded(images, step.frozen_generic, step.forget.groups)
        kept = twins_loss(step.retain, step.frozen_retain)
        return Losses(twins_loss(step.forget, twins), self.retain_weight * kept)


@register(
    "twins",
    "Twins",
    "CLEAR (arXiv 2410.18057)",
    "Embed forget images as the original embeds altered twins of them, and all others as it embeds these.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    towers=(Towers.IMAGE,),
    form=Form.VISUAL,
)
@dataclass(frozen=True)
class VisualTwins(TrainedMethod):
    """MSE(current, frozen of the twins)(forget) + retain_weight MSE(current, frozen)(retain), of images."""

    learning_rate: float = learning_rate(1e-3)
    change: str = hyperparameter("mirror", "how an image becomes its twin", choices=("mirror", "pixelate"))
    retain_weight: float = hyperparameter(1.0, "weight of the retain half", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        with torch.no_grad():
            twins = step.model.frozen.encode_image(altered(step.forget_inputs, self.change), normalize=True)
        return Losses(
            losses.squared_distance(step.forget.images, twins),
            self.retain_weight * losses.squared_distance(step.retain.images, step.frozen_retain.images),
        )
