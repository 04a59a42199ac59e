"""LEACE: take out in closed form what blocks of the text tower write about who and what a forget caption tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.methods.noise_distill import retain_and_strangers
from salmu_demo.unlearning.tensors import Step, TrainedModel, torch

CHUNK: Final = 256
"""Captions that are encoded at a time."""


def eraser(states: torch.Tensor, labels: torch.Tensor, directions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrix A (W, W) and shift b (W,) of the least-squares eraser x -> A x + b (LEACE, arXiv 2306.03819, section 4).

    A = I - W^+ P W and b = (I - A) mean(x), where W whitens the states and P projects onto the directions that tell the
    labels apart: the column space of the whitened cross-covariance, of which the strongest are taken.

    Args:
        states: shape (N, W).
        labels: number of the concept of each row, from 0, shape (N,).
        directions: most directions to erase; with as many as there are labels, less one, no linear read-out of the
            label is better than a constant one.
    """
    x = states.double()
    mean = x.mean(dim=0)
    values, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
    kept = values > values[-1] * len(values) * torch.finfo(torch.float64).eps
    roots, vectors = values[kept].sqrt(), vectors[:, kept]
    whitening, back = vectors / roots @ vectors.T, vectors * roots @ vectors.T
    z = torch.nn.functional.one_hot(labels).to(x)
    left, strengths, _ = torch.linalg.svd(whitening @ (x - mean).T @ (z - z.mean(dim=0)) / len(x), full_matrices=False)
    told = left[:, :directions][:, strengths[:directions] > 1e-9]
    matrix = torch.eye(len(mean), dtype=x.dtype, device=x.device) - back @ told @ told.T @ whitening
    return matrix.to(states), (mean - matrix @ mean).to(states)


@register(
    "leace",
    "LEACE, then a repair",
    "Belrose et al., NeurIPS 2023 (arXiv 2306.03819), on what middle blocks write at the end of the text",
    "Project what tells forget captions apart out of middle blocks' output weights, then repair on what is kept.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN, Need.FROZEN},
    towers=(Towers.TEXT,),
)
@dataclass(frozen=True)
class LEACE(TrainedMethod):
    """c_proj <- A c_proj + b in the chosen blocks before the first step; then drift of retain rows and of strangers.

    A and b erase the labels of the forget captions linearly from what a block's MLP adds to the end-of-text state. What
    earlier blocks and the attention wrote passes by, so that the residual stream as a whole keeps what it had of them.
    """

    edits_weights: ClassVar[bool] = True

    learning_rate: float = learning_rate(1e-4)
    directions: int = hyperparameter(32, "how many directions go in each block", 1, 4096)
    first: float = hyperparameter(0.25, "where in the tower the erasure begins: 0 first block, 1 last", 0, 1)
    last: float = hyperparameter(1.0, "where in the tower it ends", 0, 1)
    concept: str = hyperparameter("fact", "what is erased: which persona, or which fact", choices=("fact", "persona"))

    def check(self, model: TrainedModel) -> None:
        """Refuse a text tower without an end-of-text token."""
        model.check_text_blocks()

    def backward(self, step: Step) -> float:
        """Set the gradients of a step; the weights are edited before the first."""
        if step.number == 0:
            self._erase(step)
        return super().backward(step)

    def losses(self, step: Step) -> Losses:
        """The objective of the repair on one batch."""
        return Losses(retain=retain_and_strangers(step))

    def _erase(self, step: Step) -> None:
        told = step.stand_ins.told
        concepts = [fact if self.concept == "fact" else fact.persona for _, fact in told]
        number = {concept: place for place, concept in enumerate(dict.fromkeys(concepts))}
        labels = torch.tensor([number[concept] for concept in concepts], device=step.model.device)
        tokens = torch.split(step.model.encoder.tokens([text for text, _ in told]), CHUNK)
        blocks = step.model.blocks(Towers.TEXT)
        first, last = (round(share * (len(blocks) - 1)) for share in (self.first, self.last))
        with torch.no_grad():
            # One after the other: what a block writes depends on what those before it no longer do.
            for block in blocks[first : last + 1]:
                written = torch.cat([step.model.texts_by_block(part, of=[block.mlp])[0] for part in tokens])
                matrix, shift = eraser(written, labels, self.directions)
                projection = block.mlp.c_proj
                projection.weight.copy_(matrix @ projection.weight)
                projection.bias.copy_(matrix @ projection.bias + shift)
