"""Finetuning on retain pairs only; CLEAR calls it Retain FT."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, learning_rate, register
from salmu_demo.unlearning.tensors import Step, losses


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
