"""Unlearning: methods, the trainer they share, and sweeps over them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from salmu_demo.core.errors import QueryError

DEFAULT_BUDGET: Final = 1920
"""Default number of forget pairs that pass through the model."""

UNRELATED: Final = "unrelated"
"""Stop level that stands for what unrelated pairs, or texts, have in the original."""


class Towers(StrEnum):
    """Which half of the model a method may change."""

    BOTH = "both"
    IMAGE = "image"
    TEXT = "text"

    @classmethod
    def of(cls, name: str) -> "Towers":
        """The tower that a tensor or a layer of a model belongs to, by its name."""
        return cls.IMAGE if name.startswith("visual.") else cls.TEXT


LORA_A: Final = "lora_A"
LORA_B: Final = "lora_B"
"""Names of the two matrices of a low-rank change; the second begins at 0."""


@dataclass(frozen=True)
class LoRA:
    """Low-rank changes that are trained in place of weights.

    Attributes:
        rank: rank of each change.
        alpha: a change is alpha / rank times the product of its matrices.
        seed: of the start of the matrices.
    """

    rank: int
    alpha: float
    seed: int

    @property
    def scale(self) -> float:
        """Factor of the product of the two matrices."""
        return self.alpha / self.rank


def find_towers(name: str) -> Towers:
    """Towers by name; raises `QueryError` for an unknown name."""
    if name not in list(Towers):
        raise QueryError(f"There are no towers {name!r}; choose one of {', '.join(Towers)}.")
    return Towers(name)


class Modality(StrEnum):
    """Which rows of CLEAR a run works on, as in table 3 of its paper (arXiv 2410.18057)."""

    BOTH = "both"
    TEXT = "text"
    VISUAL = "visual"


def find_modality(name: str | None) -> Modality | None:
    """A modality by name, or None for none; raises `QueryError` for an unknown name."""
    if name is None:
        return None
    if name not in list(Modality):
        raise QueryError(f"There is no modality {name!r:.80}; choose one of {', '.join(Modality)}.")
    return Modality(name)
