"""Unlearning: methods, the trainer they share, and sweeps over them."""

from enum import StrEnum
from typing import Final

from salmu_demo.core.errors import QueryError

DEFAULT_BUDGET: Final = 1920
"""Default number of forget pairs that pass through the model."""

UNRELATED: Final = "unrelated"
"""Stop level that stands for the mean similarity of unrelated pairs in the original."""


class Towers(StrEnum):
    """Which half of the model a method may change."""

    BOTH = "both"
    IMAGE = "image"
    TEXT = "text"


def find_towers(name: str) -> Towers:
    """Towers by name; raises `QueryError` for an unknown name."""
    if name not in list(Towers):
        raise QueryError(f"There are no towers {name!r}; choose one of {', '.join(Towers)}.")
    return Towers(name)
