"""GD of CLEAR: climb on forget pairs, descend on retain pairs."""

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
from salmu_demo.unlearning.tensors import Step, TextStep, losses, text_losses


@register(
    "gd",
    "GD, gradient difference",
    "CLEAR (arXiv 2410.18057); Liu et al. 2022 (arXiv 2203.12817)",
    "Climb the loss of forget pairs while descending that of retain pairs.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN},
)
@dataclass(frozen=True)
class GradientDifference(TrainedMethod):
    """-gamma NCE(forget) + alpha NCE(retain)."""

    learning_rate: float = learning_rate(1e-4)
    forget_weight: float = hyperparameter(1.0, "weight of the ascent (gamma)", 0, 100)
    retain_weight: float = hyperparameter(1.0, "weight of the descent (alpha)", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(
            -self.forget_weight * losses.info_nce(step.forget, step.scale),
            self.retain_weight * losses.info_nce(step.retain, step.scale),
        )


@register(
    "gd",
    "GD, gradient difference",
    "CLEAR (arXiv 2410.18057); Liu et al. 2022 (arXiv 2203.12817)",
    "Make the texts to forget less likely and those to retain likelier.",
    {Need.FORGET, Need.RETAIN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeGradientDifference(GenerativeMethod):
    """-gamma L(forget) + alpha L(retain)."""

    learning_rate: float = learning_rate(1e-4)
    forget_weight: float = hyperparameter(1.0, "weight of the ascent (gamma)", 0, 100)
    retain_weight: float = hyperparameter(1.0, "weight of the descent (alpha)", 0, 100)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        return Losses(
            -self.forget_weight * text_losses.text_loss(step.forget.own),
            self.retain_weight * text_losses.text_loss(step.retain.own),
        )
