"""Finetuning on retain pairs only; CLEAR calls it Retain FT."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import (
    Form,
    GenerativeMethod,
    Losses,
    Need,
    TrainedMethod,
    learning_rate,
    register,
)
from salmu_demo.unlearning.tensors import Step, TextStep, losses, text_losses


@register(
    "finetune",
    "Finetuning",
    "SALMUBench (arXiv 2603.26316); Retain FT of CLEAR (arXiv 2410.18057)",
    "Go on training on what may stay, and let the rest fade.",
    {Need.RETAIN},
)
@dataclass(frozen=True)
class Finetune(TrainedMethod):
    """NCE(retain)."""

    learning_rate: float = learning_rate(3e-4)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(retain=losses.info_nce(step.retain, step.scale))


@register(
    "finetune",
    "Retain FT",
    "CLEAR (arXiv 2410.18057)",
    "Go on training on what may stay, and let the rest fade.",
    {Need.RETAIN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeFinetune(GenerativeMethod):
    """L(retain), the loss per token."""

    learning_rate: float = learning_rate(1e-4)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        return Losses(retain=text_losses.text_loss(step.retain.own))
