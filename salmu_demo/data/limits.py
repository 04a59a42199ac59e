"""What a data set cannot give, and why, where that is known and no fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """Gaps of a data set that loading it accepts.

    Attributes:
        empty: required splits that have no rows, because the data has nothing of the kind.
        absent: required splits that are not on this machine, each with a sentence that says how to get them.
        unmeasurable: metrics that have no meaning on the data, each with the reason; evaluations skip them.
    """

    empty: frozenset[str] = frozenset()
    absent: Mapping[str, str] = field(default_factory=dict)
    unmeasurable: Mapping[str, str] = field(default_factory=dict)
