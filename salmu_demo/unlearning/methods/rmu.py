"""RMU: steer a middle layer to a fixed random direction on forget pairs, hold it on retain pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from salmu_demo.unlearning import Towers
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
from salmu_demo.unlearning.tensors import Step, TextStep, TrainedModel, losses, optimisation, torch


def block_output(block: torch.nn.Module, run: Callable[[], Any]) -> torch.Tensor:
    """What a transformer block gives while `run` runs the model, tokens first: shape (B L, W)."""
    outputs: list[torch.Tensor] = []
    handle = block.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.flatten(0, 1)))
    try:
        run()
    finally:
        handle.remove()
    # A caption batch is encoded in two parts, see `encode_captions`.
    return torch.cat(outputs)


def steering_target(frozen: torch.Tensor, direction: torch.Tensor, strength: float) -> torch.Tensor:
    """The random direction, as long as `strength` times the mean length of the original's tokens; shape (W,)."""
    length: torch.Tensor = frozen.norm(dim=1).mean()
    return strength * length * direction


@register(
    "rmu",
    "RMU",
    "CLEAR (arXiv 2410.18057); Li et al. 2024 (arXiv 2403.03218), scaled as in Adaptive RMU (arXiv 2408.06223)",
    "Steer a middle layer to a random direction on forget pairs; hold it on retain pairs.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
)
@dataclass(frozen=True)
class RMU(TrainedMethod):
    """MSE(h(forget), k n u) + alpha MSE(h(retain), h^0(retain)) after one block, summed over the trained towers."""

    learning_rate: float = learning_rate(1e-3)
    depth: float = hyperparameter(0.5, "where in the tower the steered block lies: 0 first, 1 last", 0, 1)
    strength: float = hyperparameter(2.0, "length of the target, in mean token lengths (k)", 0.1, 100)
    alpha: float = hyperparameter(10.0, "weight of the retain half", 0, 10000)

    def check(self, model: TrainedModel) -> None:
        """Refuse towers that are not transformers."""
        for tower in _trained_towers(model):
            model.blocks(tower)

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        halves = [self._tower(step, tower) for tower in _trained_towers(step.model)]
        forget, retain = (torch.stack(side).sum() for side in zip(*halves, strict=True))
        return Losses(forget, self.alpha * retain)

    def _tower(self, step: Step, tower: Towers) -> tuple[torch.Tensor, torch.Tensor]:
        number = round(self.depth * (len(step.model.blocks(tower)) - 1))
        forget, retain = (self._activations(step, tower, number, side, frozen=False) for side in ("forget", "retain"))
        with torch.no_grad():
            before, kept = (self._activations(step, tower, number, side, frozen=True) for side in ("forget", "retain"))
        # The same direction in every step of a run, because it is drawn from the step-independent generator.
        draw = torch.rand(forget.shape[1], generator=step.run_generator(f"direction of {tower}"))
        target = steering_target(before, (draw / draw.norm()).to(forget.device), self.strength)
        return losses.squared_distance(forget, target.expand_as(forget)), losses.squared_distance(retain, kept)

    @staticmethod
    def _activations(step: Step, tower: Towers, number: int, side: str, frozen: bool) -> torch.Tensor:
        module = step.model.frozen if frozen else step.model.module
        block = step.model.blocks(tower, frozen)[number]
        if tower is Towers.IMAGE:
            inputs = step.forget_inputs if side == "forget" else step.retain_inputs
            return block_output(block, lambda: module.encode_image(inputs))
        tokens = step.forget_tokens if side == "forget" else step.retain_tokens
        return block_output(block, lambda: optimisation.encode_captions(module, tokens))


def _trained_towers(model: TrainedModel) -> list[Towers]:
    return [tower for tower in (Towers.IMAGE, Towers.TEXT) if model.towers in (Towers.BOTH, tower)]


@register(
    "rmu",
    "RMU",
    "CLEAR (arXiv 2410.18057); Li et al. 2024 (arXiv 2403.03218), scaled as in Adaptive RMU (arXiv 2408.06223)",
    "Steer a layer of the text decoder to a random direction on forget texts; hold it on retain texts.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    form=Form.GENERATIVE,
)
@dataclass(frozen=True)
class GenerativeRMU(GenerativeMethod):
    """MSE(h(forget), k n u) + alpha MSE(h(retain), h^0(retain)) after one layer of the decoder, over all tokens."""

    learning_rate: float = learning_rate(1e-4)
    depth: float = hyperparameter(0.5, "where in the decoder the steered layer lies: 0 first, 1 last", 0, 1)
    strength: float = hyperparameter(2.0, "length of the target, in mean token lengths (k)", 0.1, 100)
    alpha: float = hyperparameter(1.0, "weight of the retain half", 0, 10000)

    def losses(self, step: TextStep) -> Losses:
        """The objective on one batch."""
        number = round(self.depth * (len(step.model.decoder_layers()) - 1))
        forget, retain = (side.states(number, frozen=False) for side in (step.forget, step.retain))
        before, kept = (side.states(number, frozen=True) for side in (step.forget, step.retain))
        draw = torch.rand(forget.shape[1], generator=step.run_generator("direction of the decoder"))
        target = steering_target(before, (draw / draw.norm()).to(forget.device), self.strength)
        return Losses(
            losses.squared_distance(forget, target.expand_as(forget)),
            self.alpha * losses.squared_distance(retain, kept),
        )
