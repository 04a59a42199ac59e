"""How long a job will still take, from its pace so far."""

import math
from typing import Final

SHORTEST: Final = 0.5
"""Seconds between two looks at the pace; shorter ones would only measure noise."""

MEMORY: Final = 30.0
"""Seconds after which a look at the pace weighs 1/e: long enough to be calm, short enough to follow a busy machine."""


class RemainingTime:
    """Seconds left of work whose done fraction is reported now and then; the pace is an exponential moving average."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._fraction = 0.0
        self._pace: float | None = None

    def update(self, seconds: float, fraction: float) -> float | None:
        """Seconds left, or None as long as nothing is known.

        Args:
            seconds: since the work began, never less than before.
            fraction: how much of it is done, 0 to 1, never less than before.

        >>> time = RemainingTime()
        >>> time.update(5.0, 0.0), time.update(10.0, 0.25), time.update(15.0, 0.5)
        (None, 15.0, 10.0)
        """
        passed = seconds - self._looked
        if passed >= SHORTEST:
            pace = (fraction - self._fraction) / passed
            if self._pace is not None:
                keep = math.exp(-passed / MEMORY)
                self._pace = keep * self._pace + (1 - keep) * pace
            elif pace > 0:
                # What comes before the first progress, such as loading a model, says nothing about the pace.
                self._pace = pace
            self._looked, self._fraction = seconds, fraction
        return (1 - fraction) / self._pace if self._pace else None
