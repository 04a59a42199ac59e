"""CLIPErase in the similarity-matrix form of the SALMUBench authors' public code."""

from dataclasses import dataclass

from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.methods.delete_matrix import matrix_losses
from salmu_demo.unlearning.tensors import Step, losses


@register(
    "cliperase-matrix",
    "CLIPErase, similarity-matrix form",
    "github.com/lluisgomez/MultiDelete, commit bba0700; not the loss of the CLIPErase paper",
    "As delete-matrix, and hold the retain embeddings themselves.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class ClipEraseMatrix(TrainedMethod):
    """2 mean S_f^2 + 2 mean (S_r - S_r^0)^2 + MSE(I_r, I_r^0) + MSE(T_r, T_r^0)."""

    learning_rate: float = learning_rate(3e-4)
    retain_weight: float = hyperparameter(1.0, "weight of the two retain terms", 0, 1000)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        forget, matrix = matrix_losses(step.forget, step.retain, step.frozen_retain)
        embeddings = losses.squared_distance(step.retain.images, step.frozen_retain.images) + losses.squared_distance(
            step.retain.texts, step.frozen_retain.texts
        )
        return Losses(forget, self.retain_weight * (matrix + embeddings))
