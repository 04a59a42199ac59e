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


def duration_words(seconds: float) -> str:
    """An estimated duration in round words.

    >>> [duration_words(seconds) for seconds in (4, 47, 100, 9000)]
    ['a few seconds', 'about 50 s', 'about 2 min', 'about 2 h 30 min']
    """
    if seconds < 10:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds, -1):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {max(1, minutes)} min"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    return f"about {hours} h {minutes} min" if minutes else f"about {hours} h"
