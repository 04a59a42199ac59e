"""How an attacker trains; known without torch."""

from dataclasses import dataclass
from typing import Final

from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.metrics.protocol import DISTRACTORS_PER_SOURCE

MOST_PAIRS: Final = 2500
"""Pairs that are read: their captions have to be encoded again after training."""

BATCH: Final = 48
"""Pairs of a step."""


@dataclass(frozen=True)
class AttackRecipe:
    """How an attacker trains.

    Attributes:
        readings: numbers of steps after which the model is read, ascending; training ends with the last.
        learning_rate: of AdamW, after the warm-up.
        image_tower: whether the image tower is trained too; otherwise its features are those that are known.
    """

    readings: tuple[int, ...] = (10, 20)
    learning_rate: float = 1e-3
    image_tower: bool = False


@dataclass(frozen=True)
class DecoderRecipe:
    """How a text decoder is built and trained on image tokens.

    Attributes:
        width: of its states.
        heads: of its attention.
        text_layers: blocks that read the text alone.
        layers: blocks that read the text, each with one that looks at the image.
        epochs: passes over the captions.
        batch_size: captions of a step.
        learning_rate: of AdamW, the peak after the warm-up.
        warm_up: share of the steps until it is reached.
    """

    width: int = 192
    heads: int = 6
    text_layers: int = 1
    layers: int = 2
    epochs: int = 24
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    warm_up: float = 0.05


DEFAULT: Final = AttackRecipe()
THOROUGH: Final = {
    "both towers" if image_tower else "text tower": [
        AttackRecipe(learning_rate=rate, image_tower=image_tower) for rate in (3e-4, 1e-3, 3e-3)
    ]
    for image_tower in (False, True)
}
"""What the thorough attacks try: of each the best learning rate for the attacker counts, for each model."""


THOROUGH_RUNS: Final = 24
"""Trainings of the thorough relearning: four numbers of people, one or both towers, three learning rates."""


def trained_texts(data: BenchmarkData, thorough: bool) -> int:
    """About how many texts a trained attack encodes; a text that is trained on counts as three."""
    read = min(len(data.split(layout.FORGET)), MOST_PAIRS) + 2 * DISTRACTORS_PER_SOURCE
    once = 3 * BATCH * DEFAULT.readings[-1] + len(DEFAULT.readings) * read
    return once * (THOROUGH_RUNS if thorough else 1)
