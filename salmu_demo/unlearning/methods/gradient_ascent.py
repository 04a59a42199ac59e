"""GA of CLEAR: make the model unsure of the forget pairs."""

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
from salmu_demo.unlearning.tensors import Encoded, Step, TextStep, losses, text_losses, torch


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


@register(
    "ga",
    "GA, gradient ascent",
    "CLEAR (arXiv 2410.18057); Jang et al. 2023 (arXiv 2210.01504)",
    "Make the texts to forget ever less likely; nothing bounds it.",
    {Need.FORGET},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeGradientAscent(GenerativeMethod):
    """-L(forget), or -H(predicted tokens of forget)."""

    learning_rate: float = learning_rate(1e-4)
    objective: str = hyperparameter("likelihood", "what is climbed", choices=("likelihood", "entropy"))

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        climbed = text_losses.text_loss if self.objective == "likelihood" else text_losses.token_entropy
        return Losses(forget=-climbed(step.forget.own))
