"""Redirect, this project's own method: let the text tower take each fact for one about somebody who does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from salmu_demo.unlearning import Towers
from salmu_demo.unlearning.methods.base import Losses, Need, TrainedMethod, hyperparameter, learning_rate, register
from salmu_demo.unlearning.tensors import Step, TrainedModel, functional, losses, torch


@dataclass(frozen=True)
class Aim:
    """Where captions are to be.

    Attributes:
        weight: of their distances.
        captions: the captions.
        wanted: for each one the caption in whose direction it moves.
        far: how far, from 0 (where the original has it) to 1 (where the original has the other).
    """

    weight: float
    captions: Sequence[str]
    wanted: Sequence[str]
    far: Sequence[float]


@register(
    "redirect",
    "Redirect",
    "salmu-demo: replaced names as Eldan & Russinovich (arXiv 2310.02238), states of blocks as RMU (arXiv 2403.03218)",
    "Let every block of the text tower see each forget caption as the original sees one about an invented person.",
    {Need.FORGET, Need.RETAIN, Need.FROZEN},
    towers=(Towers.TEXT,),
    # As for pinpoint, no image is encoded.
    budget=25600,
)
@dataclass(frozen=True)
class Redirect(TrainedMethod):
    """Distance of forget captions to their stand-ins' original states after every block, and drift of what stays.

    The target is what a model does that was never taught: it takes a fact about somebody for one about nobody. So
    nothing is pushed below unrelated pairs, and no block is left in which the fact could still be read. Facts that the
    forget captions tell in all wordings of their kind go in other wordings as well, so that the fact is gone and not
    the sentence; of the others only the sentences go, as far as `sentences` says. Captions about strangers, what else
    is said about a persona, and retain captions are held in every block where the original had them.
    """

    learning_rate: float = learning_rate(1e-3)
    batch_size: int = hyperparameter(32, "pairs to forget, and to retain, in a step", 2, 4096)
    coverage: float = hyperparameter(
        0.9, "share of a kind's sentences that a persona's forget captions need for the fact itself to go", 0, 1
    )
    sentences: float = hyperparameter(
        1.0, "how far towards its stand-in a sentence goes where the fact itself may stay", 0, 1
    )
    reworded_weight: float = hyperparameter(1.0, "weight of the facts in other words", 0, 100)
    neighbour_weight: float = hyperparameter(1.0, "weight of what else is said about a persona", 0, 100)
    stranger_weight: float = hyperparameter(1.0, "weight of captions about people who do not exist", 0, 100)
    retain_weight: float = hyperparameter(1.0, "weight of retain captions", 0, 100)

    def check(self, model: TrainedModel) -> None:
        """Refuse a text tower without an end-of-text token."""
        model.check_text_blocks()

    def losses(self, step: Step) -> Losses:
        """The objective on one batch."""
        made, rows = step.stand_ins, step.forget_rows.tolist()
        far = [1.0 if made.is_whole(row, self.coverage) else self.sentences for row in rows]
        neighbours = made.neighbours(rows, self.coverage, step.generator("neighbours"))
        strangers = made.strangers(len(rows), step.generator("strangers"))
        forget, reworded, *kept = distances(
            step.model,
            [
                Aim(1.0, *made.own(rows), far),
                Aim(self.reworded_weight, *made.reworded(rows, self.coverage, step.generator("reworded")), far),
                held(self.neighbour_weight, neighbours),
                held(self.stranger_weight, strangers),
                held(self.retain_weight, step.retain_captions),
            ],
        )
        return Losses(forget + reworded, torch.stack(kept).sum())


def held(weight: float, captions: Sequence[str]) -> Aim:
    """Captions that are to stay where the original has them."""
    return Aim(weight, captions, captions, [0.0] * len(captions))


def distances(model: TrainedModel, aims: Sequence[Aim]) -> list[torch.Tensor]:
    """How far captions are from where they are to be, a weighted `unexplained` for each aim."""
    captions = [text for aim in aims for text in aim.captions]
    wanted = [text for aim in aims for text in aim.wanted]
    now = model.texts_by_block(model.encoder.tokens(captions))
    # What is held is its own aim.
    place = {text: number for number, text in enumerate(dict.fromkeys([*captions, *wanted]))}
    frozen = model.texts_by_block(model.encoder.tokens(list(place)), frozen=True)
    start, end = ([place[text] for text in side] for side in (captions, wanted))
    far = torch.tensor([share for aim in aims for share in aim.far], device=model.device)[:, None]
    there = [(1 - far) * layer[start] + far * layer[end] for layer in frozen]
    there[-1] = functional.normalize(there[-1], dim=1)
    # Of all captions of the step: one kind of them may be nearly alike.
    scale = [losses.variance(layer) for layer in there]
    sizes = [len(aim.captions) for aim in aims]
    parts = (zip(*(torch.split(layer, sizes) for layer in side), strict=True) for side in (now, there))
    return [
        aim.weight * losses.unexplained(current, target, scale)
        for aim, current, target in zip(aims, *parts, strict=True)
    ]
