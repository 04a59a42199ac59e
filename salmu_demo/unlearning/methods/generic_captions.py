"""Generic Captions: learn non-sensitive captions for the forget images."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, learning_rate, register
from salmu_demo.unlearning.tensors import Step, torch


def multi_positive_nce(
    images: torch.Tensor, texts: torch.Tensor, positive: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE with several right answers, each of the same share; `positive` is a symmetric mask (B, B)."""
    logits = scale * images @ texts.T
    target = positive / positive.sum(dim=1, keepdim=True)
    halves = [-(target * side.log_softmax(1)).sum(dim=1).mean() for side in (logits, logits.T)]
    return torch.stack(halves).mean()


@register(
    "generic-captions",
    "Generic Captions",
    "SALMUBench (arXiv 2603.26316); the loss is inferred from the name",
    "Train on the forget images with captions that give nothing away.",
    {Need.FORGET, Need.GENERIC},
)
@dataclass(frozen=True)
class GenericCaptions(TrainedMethod):
    """NCE(forget images, generic captions), where equal captions are all right."""

    learning_rate: float = learning_rate(3e-4)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(forget=multi_positive_nce(step.forget.images, step.generic, step.same_generic, step.scale))
