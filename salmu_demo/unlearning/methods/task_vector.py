"""Task-vector negation: learn the forget pairs better, then walk the other way."""

from dataclasses import dataclass

from salmu_demo.unlearning import LORA_A
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import State, Step, losses


def negated(start: State, trained: State, strength: float) -> State:
    """start - strength (trained - start), tensor by tensor.

    Of a low-rank change B A one matrix alone walks the other way, since both together would change nothing: B, which
    begins at 0.
    """
    return {
        name: trained[name] if name.endswith(f".{LORA_A}") else value - strength * (trained[name] - value)
        for name, value in start.items()
    }


@register(
    "task-vector",
    "Task-vector negation",
    "Ilharco et al., ICLR 2023 (arXiv 2212.04089)",
    "Fine-tune on the forget pairs, then subtract what that changed.",
    {Need.FORGET, Need.PEOPLE},
)
@dataclass(frozen=True)
class TaskVector(TrainedMethod):
    """NCE(forget) while training; start - strength (trained - start) is handed out."""

    learning_rate: float = learning_rate(3e-4)
    strength: float = hyperparameter(1.0, "how far to walk the other way", 0, 10)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        return Losses(forget=losses.info_nce(step.forget, step.scale))

    def deploy(self, start: State, trained: State) -> State:
        """The tensors to hand out."""
        return negated(start, trained, self.strength)
