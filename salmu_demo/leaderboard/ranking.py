"""Which rows of a group are shown, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from salmu_demo.core.errors import MetricError, QueryError
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.rows import Row, RowSource
from salmu_demo.metrics import Benchmark, Metric, find_metric
from salmu_demo.models.roles import REFERENCES, SCALE
from salmu_demo.results.comparison import target_role
from salmu_demo.results.evidence import interval_of
from salmu_demo.results.questions import Label

BY_DIAGNOSIS: Final = "diagnosis"
BY_NAME: Final = "name"
BY_DATE: Final = "date"
DEFAULT_ORDERS: Final[dict[Benchmark, str]] = {"SALMUBench": BY_DIAGNOSIS, "CLEAR": "ForgetTables"}
DEFAULT_ORDER: Final = DEFAULT_ORDERS["SALMUBench"]
CLEAR_RULE: Final = (
    "By a metric, the row closest to its target comes first: Gold's value for what is to be forgotten, Base's for what "
    "is to be kept; without that reference the lowest or the highest comes first. By date, the newest. Rows without a "
    "value come last. References have no place. Nothing here ranks a model by all metrics at once: one that forgets "
    "everything is near Gold in what is forgotten alone."
)
RULE: Final = (
    "By diagnosis, the model whose first question answered with no comes latest stands first, and among equal labels "
    "the one nearest to what was wanted: the mean of the leak left, the general knowledge lost and the holdouts "
    "lost. By a metric, the row closest to its target comes first: Clean's value for metrics 1.x, Compromised's for "
    "2.x. Without that reference the lowest 1.x or the highest 2.x comes first. By date, the newest. Rows without a "
    "value come last. Rows share a place (=) if no paired interval shows a difference to the first of them: in the "
    "metric, or with equal labels in the four metrics of the first three questions. References have no place."
)

_BEST_FIRST: Final = (
    Label.PASS,
    Label.UNDECIDED,
    Label.CONSPICUOUS,
    Label.HIDDEN,
    Label.OVER_GENERALISED,
    Label.CATASTROPHIC,
    Label.INEFFECTIVE,
    Label.UNKNOWN,
)
"""The later the first question that is answered with no, the better."""

_DECIDING: Final = ("RetFail", "GenKnow", "InterIdSim", "IntraIdSim")

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
    source: RowSource | None = None
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
        QueryError: if it is not a metric, `diagnosis`, `name` or `date`.

    >>> check_order("retfail")
    'RetFail'
    """
    if order in (BY_DIAGNOSIS, BY_NAME, BY_DATE):
        return order
    try:
        return find_metric(order).name
    except MetricError as error:
        raise QueryError(
            f"Rows cannot be sorted by {order!r}: give diagnosis, name, date or a metric such as RetFail."
        ) from error


def ranked(group: DataGroup, order: str = DEFAULT_ORDER, choice: Choice | None = None) -> list[Row]:
    """The chosen rows of a group in an order, see `RULE`; equal rows keep their order.

    Raises:
        QueryError: if there is no such order.
    """
    order = check_order(order)
    rows = [row for row in group.rows if (choice or Choice()).takes(row)]
    if order == BY_DIAGNOSIS:
        return sorted(rows, key=_by_diagnosis)
    if order == BY_NAME:
        return sorted(rows, key=lambda row: row.name.casefold())
    if order == BY_DATE:
        return sorted(rows, key=lambda row: row.date, reverse=True)
    spec = find_metric(order)
    return sorted(rows, key=lambda row: _last_if_missing(badness(group, row, spec)))


@dataclass(frozen=True)
class Placed:
    """A row in an order.

    Attributes:
        row: the row.
        place: 1 for the first; rows that share a place have the same. None without one.
        is_shared: whether other rows have it too.
    """

    row: Row
    place: int | None = None
    is_shared: bool = False


def placed(group: DataGroup, rows: Sequence[Row], order: str) -> list[Placed]:
    """Places of rows that are in an order already; by name or date nobody has one.

    A row shares the place of the row before it if nothing shows that it differs from the first one at that place.
    """
    if order in (BY_NAME, BY_DATE):
        return [Placed(row) for row in rows]
    metrics = [find_metric(name) for name in (_DECIDING if order == BY_DIAGNOSIS else (order,))]
    places: list[list[Row]] = []
    for row in rows:
        if _has_place(group, row, order):
            if places and _are_alike(group, places[-1][0], row, metrics, order):
                places[-1].append(row)
            else:
                places.append([row])
    found, before = {}, 0
    for together in places:
        found.update({row.id: Placed(row, before + 1, len(together) > 1) for row in together})
        before += len(together)
    return [found.get(row.id, Placed(row)) for row in rows]


def _has_place(group: DataGroup, row: Row, order: str) -> bool:
    if row.role in (REFERENCES if group.benchmark == "CLEAR" else SCALE):
        return False
    if order == BY_DIAGNOSIS:
        return row.label not in (None, Label.UNKNOWN)
    return group.comparable(row, find_metric(order)) is not None


def _are_alike(group: DataGroup, first: Row, second: Row, metrics: Sequence[Metric], order: str) -> bool:
    """Whether the rows of both are known and no metric differs clearly."""
    if order == BY_DIAGNOSIS and first.label != second.label:
        return False
    return all(_is_unclear(group, first, second, spec) for spec in metrics)


def _is_unclear(group: DataGroup, first: Row, second: Row, spec: Metric) -> bool:
    values = [group.comparable(row, spec) for row in (first, second)]
    if None in values:
        return False
    if values[0] == values[1]:
        return True
    means = [None if row.evidence is None else row.evidence.mean(spec.name) for row in (first, second)]
    known = [mean for mean in means if mean is not None]
    found = interval_of(lambda a, b: a - b, known) if len(known) == len(means) else None
    if found is None:
        return False
    reference = group.references.get(target_role(spec))
    target = None if reference is None or reference.evidence is None else reference.evidence.mean(spec.name)
    farther = None if target is None else interval_of(lambda a, b, t: abs(a - t) - abs(b - t), [*known, target])
    return any(ends.low <= 0 <= ends.high for ends in (found, farther) if ends is not None)


def _by_diagnosis(row: Row) -> tuple[int, bool, float]:
    if row.role in SCALE:
        return -len(SCALE) + SCALE.index(row.role), False, 0.0
    return _BEST_FIRST.index(row.label or Label.UNKNOWN), *_last_if_missing(row.distance)


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
