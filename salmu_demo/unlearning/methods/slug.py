"""SLUG: one step along the forget gradient, in the one layer where it disturbs least."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Need, OneShotMethod, hyperparameter, register
from salmu_demo.unlearning.tensors import Step, TrainedModel, losses, torch

_SKIPPED: Final = ("embedding", "bias", "logit")


@dataclass(frozen=True)
class Layer:
    """A candidate for the step.

    Attributes:
        name: name of the tensor.
        importance: length of its forget gradient by its own length.
        alignment: absolute cosine of its forget and retain gradients.
    """

    name: str
    importance: float
    alignment: float


def pareto_front(layers: list[Layer]) -> list[Layer]:
    """Layers that no other one beats in both importance (more) and alignment (less)."""
    return [
        layer
        for layer in layers
        if not any(
            other.importance >= layer.importance and other.alignment <= layer.alignment and other != layer
            for other in layers
        )
    ]


def choose_layer(layers: list[Layer]) -> Layer:
    """Of the Pareto front, the layer with most importance for its alignment."""
    return max(pareto_front(layers), key=lambda layer: layer.importance * (1 - layer.alignment))


def search_step(start: float, tries: int, is_enough: Callable[[float], bool]) -> float:
    """The smallest step that is enough, as far as some tries tell: doubled until it is, then bisected.

    >>> search_step(1.0, 8, lambda step: step >= 5)
    5.0
    """
    low, step, best = 0.0, start, None
    for _ in range(tries):
        if is_enough(step):
            best = step
            step = (low + step) / 2
        else:
            low = step
            step = step * 2 if best is None else (step + best) / 2
    return step if best is None else best


@register(
    "slug",
    "SLUG, single layer unlearning gradient",
    "Cai et al., ICML 2025 (arXiv 2407.11867)",
    "Without training, move one layer of each tower along the forget gradient, just far enough.",
    {Need.FORGET, Need.RETAIN},
)
@dataclass(frozen=True)
class SLUG(OneShotMethod):
    """theta_l - step * gradient of mean cos(forget), in the best layer of each tower."""

    tries: int = hyperparameter(10, "evaluations of the step search", 1, 50)
    level: float = hyperparameter(
        0.3, "share of the forget pairs' similarity over unrelated ones that may be left", 0, 1
    )

    def edit(self, steps: Sequence[Step], model: TrainedModel) -> None:
        """Edit the model in place."""
        names = [name for name, _ in model.trained()]
        forget = self._gradients(steps, model, lambda step: step.forget.similarity.mean())
        retain = self._gradients(steps, model, lambda step: losses.info_nce(step.retain, step.scale))
        weights = dict(model.trained())
        chosen: list[Layer] = []
        for tower in (Towers.IMAGE, Towers.TEXT):
            layers = [
                _layer(name, weights[name], f, r)
                for name, f, r in zip(names, forget, retain, strict=True)
                if name.startswith("visual.") == (tower is Towers.IMAGE)
                and weights[name].ndim >= 2
                and not any(word in name for word in _SKIPPED)
                and f.norm() > 0
            ]
            if layers:
                chosen.append(choose_layer(layers))
        start = model.state()
        gradients = dict(zip(names, forget, strict=True))
        probe = steps[0]
        wanted = probe.unrelated_level + self.level * (
            float(probe.frozen_forget.similarity.mean()) - probe.unrelated_level
        )

        @torch.no_grad()
        def move(step: float) -> float:
            model.load(start)
            for layer in chosen:
                length = weights[layer.name].norm() / gradients[layer.name].norm()
                weights[layer.name].sub_(step * length * gradients[layer.name])
            return float(steps[0].forget.similarity.mean())

        # A tenth of the layer's length is where the paper's search starts.
        move(search_step(0.1, self.tries, lambda step: move(step) <= wanted))

    @staticmethod
    def _gradients(
        steps: Sequence[Step], model: TrainedModel, loss: Callable[[Step], torch.Tensor]
    ) -> list[torch.Tensor]:
        sums = [torch.zeros_like(p) for p in model.parameters()]
        for step in steps:
            gradients = torch.autograd.grad(loss(step), model.parameters(), allow_unused=True)
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    total += gradient / len(steps)
        return sums


def _layer(name: str, weight: torch.Tensor, forget: torch.Tensor, retain: torch.Tensor) -> Layer:
    cosine = torch.nn.functional.cosine_similarity(forget.flatten(), retain.flatten(), dim=0)
    return Layer(name, float(forget.norm() / weight.detach().norm()), float(cosine.abs()))
