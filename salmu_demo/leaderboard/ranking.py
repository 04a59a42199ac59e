"""Which rows of a group are shown, and in which order."""

from dataclasses import dataclass
from typing import Final, Literal

from salmu_demo.core.errors import MetricError, QueryError
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.rows import Row, Source
from salmu_demo.metrics import Metric, find_metric, official_metrics

BY_NAME: Final = "name"
BY_DATE: Final = "date"
DEFAULT_ORDER: Final = official_metrics()[0].name
RULE: Final = (
    "By a metric, the row closest to its target comes first: Clean's value for metrics 1.x, Compromised's for 2.x. "
    "Without that reference the lowest 1.x or the highest 2.x comes first. "
    "By date, the newest. Rows without a value come last."
)

Extent = Literal["full", "sampled"]


@dataclass(frozen=True)
class Choice:
    """What of the leaderboard is shown.

    Attributes:
        data: name of the data or start of their fingerprint; empty for all.
        revision: start of their revision; empty for all.
        extent: only runs over all rows, only samples, or None for both.
        source: only rows of this source, or None for all.
        search: part of the model's name, in any case; empty for all.
    """

    data: str = ""
    revision: str = ""
    extent: Extent | None = None
    source: Source | None = None
    search: str = ""

    def takes(self, row: Row) -> bool:
        """Whether a row is shown.

        The fingerprint is compared from its start on, and the name as a whole, with or without a revision.
        """
        data = row.data
        names = (data.name, data.name.partition("@")[0])
        return (
            (not self.data or self.data in names or (data.fingerprint or "").startswith(self.data))
            and (not self.revision or (data.revision or "").startswith(self.revision))
            and (self.extent is None or (self.extent == "sampled") == bool(data.sample))
            and (self.source is None or row.source is self.source)
            and self.search.strip().casefold() in row.name.casefold()
        )


def check_order(order: str) -> str:
    """The order a user named, in its own spelling.

    Raises:
        QueryError: if it is not a metric, `name` or `date`.

    >>> check_order("retfail")
    'RetFail'
    """
    if order in (BY_NAME, BY_DATE):
        return order
    try:
        return find_metric(order).name
    except MetricError as error:
        raise QueryError(f"Rows cannot be sorted by {order!r}: give name, date or a metric such as RetFail.") from error


def ranked(group: DataGroup, order: str = DEFAULT_ORDER, choice: Choice | None = None) -> list[Row]:
    """The chosen rows of a group in an order, see `RULE`; equal rows keep their order.

    Raises:
        QueryError: if there is no such order.
    """
    order = check_order(order)
    rows = [row for row in group.rows if (choice or Choice()).takes(row)]
    if order == BY_NAME:
        return sorted(rows, key=lambda row: row.name.casefold())
    if order == BY_DATE:
        return sorted(rows, key=lambda row: row.date, reverse=True)
    spec = find_metric(order)
    return sorted(rows, key=lambda row: _last_if_missing(badness(group, row, spec)))


def badness(group: DataGroup, row: Row, spec: Metric) -> float | None:
    """What a metric sorts by, the smallest first: the distance to the target; None if the value is missing."""
    value, target = group.comparable(row, spec), group.target(spec)
    if value is None:
        return None
    if target is None:
        return value if spec.pillar == "efficacy" else -value
    return abs(value - target)


def _last_if_missing(value: float | None) -> tuple[bool, float]:
    return (value is None, value or 0.0)
