"""Null-space projection: take the directions of the sensitive captions out of the image projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Need, OneShotMethod, hyperparameter, register
from salmu_demo.unlearning.tensors import Step, TrainedModel, torch


def principal_directions(rows: torch.Tensor, count: int) -> torch.Tensor:
    """Orthonormal directions (D, count) that hold most of the rows' (N, D) squares."""
    right: torch.Tensor = torch.linalg.svd(rows, full_matrices=False).Vh
    return right[:count].T


def without_directions(projection: torch.Tensor, directions: torch.Tensor, strength: float) -> torch.Tensor:
    """W (I - strength V V^T) of a projection (width, D) and directions V (D, k)."""
    return projection - strength * (projection @ directions) @ directions.T


@register(
    "null-space",
    "Null-space projection",
    "Mishra et al., Erasing CLIP Memories (arXiv 2512.14137), on what sensitive captions add to generic ones",
    "Without training, project the sensitive captions' directions out of the image tower.",
    {Need.FORGET, Need.GENERIC, Need.FROZEN},
    towers=(Towers.IMAGE,),
)
@dataclass(frozen=True)
class NullSpace(OneShotMethod):
    """W (I - strength V V^T), with V the principal directions of sensitive minus generic caption features."""

    strength: float = hyperparameter(1.0, "how much of the directions goes (gamma)", 0, 1)
    directions: int = hyperparameter(24, "how many directions go", 1, 4096)

    def check(self, model: TrainedModel) -> None:
        """Refuse an image tower without a projection."""
        model.projection()

    def edit(self, steps: Sequence[Step], model: TrainedModel) -> None:
        """Edit the model in place."""
        with torch.no_grad():
            residuals = torch.cat([step.frozen_forget.texts - step.frozen_generic for step in steps])
            projection = model.projection()
            directions = principal_directions(residuals, self.directions)
            projection.copy_(without_directions(projection, directions, self.strength))
