"""How long work tells whoever waits how far it is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report: what is being done, and how many of how many pieces are finished."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]
"""Called often; it may raise to stop the work, which then leaves no half-written file."""


def ignore_progress(progress: Progress) -> None:
    """The callback of callers that do not want to know."""
