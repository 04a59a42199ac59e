"""SSD: dampen the weights that matter more to forget pairs than to retain pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Need, OneShotMethod, hyperparameter, register
from salmu_demo.unlearning.tensors import Encoded, Step, TrainedModel, losses, torch


def dampened(
    weight: torch.Tensor, forget: torch.Tensor, retain: torch.Tensor, alpha: float, dampening: float
) -> torch.Tensor:
    """Weights whose forget importance exceeds `alpha` times the retain importance, times
    min(dampening retain / forget, 1); the others as they are."""
    factor = (dampening * retain / forget.clamp(min=torch.finfo(forget.dtype).tiny)).clamp(max=1)
    return torch.where(forget > alpha * retain, weight * factor, weight)


def importances(steps: Sequence[Step], model: TrainedModel, pairs: Callable[[Step], Encoded]) -> list[torch.Tensor]:
    """Mean squared batch gradient of the contrastive loss, for each trained tensor (a diagonal Fisher information)."""
    sums = [torch.zeros_like(p) for p in model.parameters()]
    for step in steps:
        gradients = torch.autograd.grad(losses.info_nce(pairs(step), step.scale), model.parameters(), allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total += gradient.square() / len(steps)
    return sums


@register(
    "ssd",
    "SSD, selective synaptic dampening",
    "Foster et al., AAAI 2024 (arXiv 2308.07707)",
    "Without training, shrink the weights that matter much more to forget than to retain pairs.",
    {Need.FORGET, Need.RETAIN},
)
@dataclass(frozen=True)
class SSD(OneShotMethod):
    """weight * min(dampening F_retain / F_forget, 1) wherever F_forget > alpha F_retain."""

    alpha: float = hyperparameter(10.0, "how much more a weight must matter to forget pairs", 0.1, 10000)
    dampening: float = hyperparameter(1.0, "dampening constant (lambda); smaller shrinks more", 0, 100)

    def edit(self, steps: Sequence[Step], model: TrainedModel) -> None:
        """Edit the model in place."""
        forget = importances(steps, model, lambda step: step.forget)
        retain = importances(steps, model, lambda step: step.retain)
        with torch.no_grad():
            for weight, f, r in zip(model.parameters(), forget, retain, strict=True):
                weight.copy_(dampened(weight, f, r, self.alpha, self.dampening))
