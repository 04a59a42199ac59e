"""GA of CLEAR: make the model unsure of the forget pairs."""

from __future__ import annotations

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Encoded, Step, losses, torch


def negative_entropy(pairs: Encoded, scale: torch.Tensor) -> torch.Tensor:
    """Minus the entropy of each image's and each text's predictions, averaged; at least -log B."""
    logits = scale * losses.similarities(pairs)
    halves = [(side.log_softmax(1) * side.softmax(1)).sum(dim=1).mean() for side in (logits, logits.T)]
    return torch.stack(halves).mean()


@register(
    "ga",
    "GA, gradient ascent",
    "CLEAR (arXiv 2410.18057), whose variant of maximal entropy is the default; with objective=likelihood it is "
    "Negative Gradient",
    "Make every prediction about the forget pairs as uncertain as possible.",
    {Need.FORGET, Need.PEOPLE},
)
@dataclass(frozen=True)
class GradientAscent(TrainedMethod):
    """-H(predictions on forget), or -NCE(forget)."""

    learning_rate: float = learning_rate(1e-4)
    objective: str = hyperparameter("entropy", "what is climbed", choices=("entropy", "likelihood"))

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        if self.objective == "entropy":
            return Losses(forget=negative_entropy(step.forget, step.scale))
        return Losses(forget=-losses.info_nce(step.forget, step.scale))
