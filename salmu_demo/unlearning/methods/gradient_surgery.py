"""Gradient surgery: combine any method's forget loss with any method's retain loss so that they do not fight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from salmu_demo.core.errors import QueryError
from salmu_demo.unlearning.methods.base import (
    Losses,
    Need,
    TrainedMethod,
    find_method,
    hyperparameter,
    learning_rate,
    register,
)
from salmu_demo.unlearning.tensors import Step, torch

_FORGET_LOSSES = (
    "cliperase", "delete", "delete-matrix", "direct-similarity-minimisation", "dpo", "ga", "idk", "negative-gradient",
    "npo", "scrub-bio", "shuffled-captions", "vlunlearn",
)  # fmt: skip
_RETAIN_LOSSES = ("cliperase", "cliperase-matrix", "delete-matrix", "finetune", "kl", "scrub-bio", "vlunlearn")


def projected_conflict(forget: torch.Tensor, retain: torch.Tensor) -> torch.Tensor:
    """PCGrad (Yu et al. 2020): where the gradients conflict, what of `forget` goes against `retain` is removed."""
    product = forget @ retain
    if product < 0:
        forget = forget - product / retain.square().sum() * retain
    return forget + retain


def bargained(forget: torch.Tensor, retain: torch.Tensor) -> torch.Tensor:
    """The Nash bargain of two gradients (MUNBa, Wu & Harandi 2024), each weighted by 1 / (its length sqrt(1 + cos)).

    Opposite gradients have no bargain: then nothing moves.
    """
    lengths = forget.norm(), retain.norm()
    shared: torch.Tensor = 1 + (forget @ retain) / (lengths[0] * lengths[1])
    if not shared > torch.finfo(forget.dtype).eps:
        return torch.zeros_like(forget)
    bargain: torch.Tensor = (forget / lengths[0] + retain / lengths[1]) / shared.sqrt()
    return bargain


@register(
    "gradient-surgery",
    "Gradient surgery",
    "PCGrad (Yu et al. 2020, arXiv 2001.06782); MUNBa (Wu & Harandi 2024, arXiv 2411.15537)",
    "Combine any forget loss with any retain loss so that their gradients do not fight.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class GradientSurgery(TrainedMethod):
    """The forget half of one method and the retain half of another, at those methods' defaults, combined by a rule."""

    learning_rate: float = learning_rate(3e-4)
    forget_loss: str = hyperparameter("delete", "method whose forget half is taken", choices=_FORGET_LOSSES)
    retain_loss: str = hyperparameter("kl", "method whose retain half is taken", choices=_RETAIN_LOSSES)
    rule: str = hyperparameter("pcgrad", "how the gradients are combined", choices=("pcgrad", "munba"))

    @property
    def needs(self) -> frozenset[Need]:
        """What it has to be given, with its forget half."""
        return self.spec.needs | find_method(self.forget_loss).needs

    def losses(self, step: Step) -> Losses:
        """The two halves on one batch."""
        return Losses(
            _half(self.forget_loss).losses(step).forget,
            _half(self.retain_loss).losses(step).retain,
        )

    def backward(self, step: Step) -> float:
        """Set the combined gradients."""
        losses = self.losses(step)
        parameters = step.model.parameters()
        halves = []
        for loss in (losses.forget, losses.retain):
            if loss is None:
                raise QueryError(f"{self.forget_loss} and {self.retain_loss} do not give both halves of an objective.")
            gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            halves.append(
                torch.cat(
                    [
                        (torch.zeros_like(p) if g is None else g).flatten()
                        for p, g in zip(parameters, gradients, strict=True)
                    ]
                )
            )
        combine = projected_conflict if self.rule == "pcgrad" else bargained
        combined = combine(*halves)
        position = 0
        for parameter in parameters:
            parameter.grad = combined[position : position + parameter.numel()].view_as(parameter).clone()
            position += parameter.numel()
        return float(losses.total.detach())


def _half(name: str) -> TrainedMethod:
    return cast(TrainedMethod, find_method(name).method())
