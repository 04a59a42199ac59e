"""Unlearning: methods, the trainer they share, and sweeps over them."""

from enum import StrEnum
from typing import Final

from salmu_demo.core.errors import QueryError

DEFAULT_BUDGET: Final = 1920
"""Forget pairs that go forward through the model."""

UNRELATED: Final = "unrelated"
"""In the place of a level to stop at: the one that unrelated pairs have in the original."""


class Towers(StrEnum):
    """Which half of the model a method may change."""

    BOTH = "both"
    IMAGE = "image"
    TEXT = "text"


def find_towers(name: str) -> Towers:
    """The towers of a name; raises `QueryError` if there are none."""
    if name not in list(Towers):
        raise QueryError(f"There are no towers {name!r}; choose one of {', '.join(Towers)}.")
    return Towers(name)
