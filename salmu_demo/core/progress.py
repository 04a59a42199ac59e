"""How long-running work reports its progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Unit(StrEnum):
    """What progress counts."""

    IMAGES = "images"
    TEXTS = "texts"
    METRICS = "metrics"
    MODELS = "models"
    STEPS = "steps"
    MEGABYTES = "megabytes"
    PARTS = "parts"


@dataclass(frozen=True)
class Progress:
    """One report: what is being done, and how much of it is finished.

    Attributes:
        stage: what is being done, in words for people.
        done: number of finished units.
        total: number of all units.
        unit: what is counted.
        model: name of the model in question, or an empty string.
    """

    stage: str
    done: int
    total: int
    unit: Unit = field(default=Unit.PARTS, kw_only=True)
    model: str = field(default="", kw_only=True)

    @property
    def text(self) -> str:
        """Model and stage as one phrase.

        >>> Progress("images of forget", 64, 128, unit=Unit.IMAGES, model="mini-clean").text
        'mini-clean: images of forget'
        """
        return f"{self.model}: {self.stage}" if self.model else self.stage


ProgressCallback = Callable[[Progress], None]
"""Called often; it may raise to stop the work, which then leaves no half-written file."""


def ignore_progress(progress: Progress) -> None:
    """The callback of callers that do not need progress."""


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
