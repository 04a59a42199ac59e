"""Meta-unlearning: forget so that neither fine-tuning on a few pairs nor a linear map brings the others back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.methods.noise_distill import retain_and_strangers
from salmu_demo.unlearning.methods.pinpoint import excess
from salmu_demo.unlearning.tensors import Step, batches, losses, torch

RIDGE: Final = 0.1
"""Penalty of the linear map: the one that the attack of this kind is measured with."""


def mapped(texts: torch.Tensor, known: torch.Tensor, wanted: torch.Tensor, ridge: float) -> torch.Tensor:
    """Features (N, D) after the linear map that takes known features (M, D) to wanted ones (M, D), normalised.

    The map is the ridge regression (X'X + ridge I)^-1 X'Y on centred features, as an attacker fits it on pairs that
    nobody asked to forget.
    """
    centre, aim = known.mean(dim=0), wanted.mean(dim=0)
    x = known - centre
    gram = x.T @ x + ridge * torch.eye(x.shape[1], device=x.device, dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.T @ (wanted - aim))
    return torch.nn.functional.normalize((texts - centre) @ weights + aim, dim=1)


@register(
    "meta-unlearning",
    "Meta-unlearning",
    "First order as MAML's (arXiv 1703.03400), against tampering as TAR (arXiv 2408.00761), on relearning of pairs",
    "Forget so that the pairs stay unrelated after a few steps of relearning others, and after a linear map.",
    {Need.FORGET, Need.PEOPLE, Need.RETAIN, Need.FROZEN},
    towers=(Towers.TEXT,),
    budget=6400,
)
@dataclass(frozen=True)
class MetaUnlearning(TrainedMethod):
    """Excess similarity as it is, after an attack by relearning, and after one by a linear map; and drift of the rest.

    In each step the personas of the forget batch are split. The attacker fine-tunes a copy contrastively on the first
    half; the gradient of what the second half's pairs then exceed unrelated ones is applied to the model as it was
    before (first order). The linear map is fitted on the retain batch and strangers' captions.
    """

    learning_rate: float = learning_rate(5e-4)
    batch_size: int = hyperparameter(32, "pairs to forget, and to retain, in a step", 2, 4096)
    likeness: float = hyperparameter(0.5, "share of unrelated pairs that a forgotten pair may look like", 0, 1)
    relearning_weight: float = hyperparameter(1.0, "weight of what relearning brings back", 0, 100)
    relearning_steps: int = hyperparameter(3, "steps of the attacker in each step", 1, 100)
    relearning_rate: float = hyperparameter(1e-3, "learning rate of the attacker, whose steps have signs only", 1e-9, 1)
    map_weight: float = hyperparameter(0.5, "weight of what a linear map brings back", 0, 100)
    retain_weight: float = hyperparameter(1.0, "weight of the drift of what is kept", 0, 100)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch, without the attack by relearning."""
        level = step.unrelated_quantile(self.likeness)
        forget = excess(step.forget.similarity, level)
        if self.map_weight:
            strangers = step.encode_captions(
                step.stand_ins.strangers(len(step.forget_rows), step.generator("mapped strangers"))
            )
            known, wanted = (
                torch.cat(side) for side in zip((step.retain.texts, step.frozen_retain.texts), strangers, strict=True)
            )
            brought = mapped(step.forget.texts, known, wanted, RIDGE)
            forget = forget + self.map_weight * excess((step.frozen_forget.images * brought).sum(dim=1), level)
        return Losses(forget, self.retain_weight * retain_and_strangers(step))

    def backward(self, step: Step) -> float:
        """Set the gradients of the objective and add those after the attack."""
        value = super().backward(step)
        if self.relearning_weight:
            value += self._add_gradients_after_relearning(step)
        return value

    def _add_gradients_after_relearning(self, step: Step) -> float:
        model, pairs = step.model, step.frozen_forget
        learnt, others = halves(pairs.groups)
        with model.holding(model.state()):
            for _ in range(self.relearning_steps):
                texts = model.texts(step.forget_tokens[learnt])
                loss = losses.info_nce(batches.Encoded(pairs.images[learnt], texts, pairs.groups[learnt]), step.scale)
                gradients = torch.autograd.grad(loss, model.parameters(), allow_unused=True)
                with torch.no_grad():
                    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                        if gradient is not None:
                            parameter.sub_(self.relearning_rate * gradient.sign())
            similarity = (pairs.images[others] * model.texts(step.forget_tokens[others])).sum(dim=1)
            loss = self.relearning_weight * excess(similarity, step.unrelated_quantile(self.likeness))
            gradients = torch.autograd.grad(loss, model.parameters(), allow_unused=True)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return float(loss.detach())


def halves(groups: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the first half of the groups, in order of appearance, and of the second."""
    order = list(dict.fromkeys(groups.tolist()))
    first = torch.isin(groups, torch.tensor(order[: len(order) // 2], device=groups.device))
    return first.nonzero()[:, 0], (~first).nonzero()[:, 0]
