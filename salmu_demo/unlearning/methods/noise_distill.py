"""Unlearn, noise, distil: forget, damage the weights, and let the damaged model learn again what may be kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.methods.pinpoint import excess
from salmu_demo.unlearning.tensors import Step, losses, torch


def damaged(weight: torch.Tensor, alpha: float, beta: float, generator: torch.Generator) -> torch.Tensor:
    """(1 - alpha) weight + alpha beta noise (UNDO, arXiv 2506.06278), with noise as large as the weights are.

    Args:
        weight: any shape; a tensor of a single value keeps it, for its spread is 0.
        alpha: share of the weight that is lost.
        beta: size of the noise, in standard deviations of the weight.
        generator: of the noise.
    """
    noise = torch.randn(weight.shape, generator=generator).to(weight)
    return (1 - alpha) * weight + alpha * beta * weight.std(correction=0) * noise


@register(
    "noise-distill",
    "Unlearn, noise, distill (UNDO)",
    "Lee et al. 2025 (arXiv 2506.06278), distilled from the original on retain rows and made-up captions only",
    "Forget first, then damage all weights, and distil into them what the original does with what is kept.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    towers=(Towers.TEXT, Towers.BOTH, Towers.IMAGE),
    budget=12800,
)
@dataclass(frozen=True)
class NoiseDistill(TrainedMethod):
    """Pinpoint's bounded forgetting with a retain term; then damage; then drift of retain rows and of strangers.

    UNDO distils the suppressed model on all data into a damaged copy of itself. Here the teacher is the original, and
    the copy sees only what the original may pass on: retain pairs, and captions about people who do not exist.
    """

    edits_weights: ClassVar[bool] = True

    learning_rate: float = learning_rate(1e-3)
    batch_size: int = hyperparameter(32, "pairs to forget, and to retain, in a step", 2, 4096)
    forgetting: float = hyperparameter(0.25, "share of the steps before the damage", 0, 1)
    alpha: float = hyperparameter(0.4, "share of the weights that is lost", 0, 1)
    beta: float = hyperparameter(0.1, "size of the noise, in standard deviations of a tensor", 0, 10)
    likeness: float = hyperparameter(0.5, "share of unrelated pairs that a forgotten pair may look like", 0, 1)

    def backward(self, step: Step) -> float:
        """Set the gradients of a step; the weights are damaged before the first step of distillation."""
        if step.number == self._boundary(step):
            generator = step.run_generator("damage")
            with torch.no_grad():
                for _, weight in step.model.trained():
                    # Gains of 1 and biases of 0 are not knowledge.
                    if weight.ndim >= 2:
                        weight.copy_(damaged(weight, self.alpha, self.beta, generator))
        return super().backward(step)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch: of forgetting, or of distillation."""
        kept = retain_and_strangers(step)
        if step.number >= self._boundary(step):
            return Losses(retain=kept)
        return Losses(excess(step.forget.similarity, step.unrelated_quantile(self.likeness)), kept)

    def _boundary(self, step: Step) -> int:
        return round(self.forgetting * step.total)


def retain_and_strangers(step: Step) -> torch.Tensor:
    """Drift of the retain batch's features and of captions about people who do not exist, in the trained towers."""
    kept = losses.drift(step.retain.images, step.frozen_retain.images) + losses.drift(
        step.retain.texts, step.frozen_retain.texts
    )
    if step.model.towers is Towers.IMAGE:
        return kept
    captions = step.stand_ins.strangers(len(step.forget_rows), step.generator("strangers"))
    now, before = step.encode_captions(captions)
    return kept + losses.drift(now, before)
