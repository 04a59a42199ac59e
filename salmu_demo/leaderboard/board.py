"""The whole leaderboard: every source read, marked, grouped and diagnosed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.core.notices import left_out_metrics
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import DataGroup, group_rows, merged
from salmu_demo.leaderboard.rows import Row, Source, file_rows, published_rows
from salmu_demo.leaderboard.sweeps import sweep_rows
from salmu_demo.models.roles import NOTHING_TOLD, REFERENCES, Told


@dataclass(frozen=True)
class Board:
    """The leaderboard at one moment.

    Attributes:
        groups: one for each data set and sample, the official data first.
        problems: one sentence for each file that was left out, and one on metrics that were.
    """

    groups: tuple[DataGroup, ...]
    problems: tuple[str, ...] = ()


def find_row(name: str, rows: Iterable[Row]) -> Row:
    """The one row with an id or a name.

    Raises:
        QueryError: if there is none, or several.
    """
    found = [row for row in rows if name in (row.id, row.name)]
    if len(found) > 1:
        ids = ", ".join(row.id for row in found)
        raise QueryError(f"{len(found)} rows are called {name!r}; give the id of one of them: {ids}.")
    if not found:
        raise QueryError(f"The leaderboard has no row {name!r}; give the name or id of one that is shown.")
    return found[0]


def read_board(
    local: Iterable[Path],
    imported: Iterable[Path],
    freshness: Freshness,
    told: Told = NOTHING_TOLD,
    sweeps: Iterable[Path] = (),
    own: str | None = None,
    scored: Iterable[Path] = (),
) -> Board:
    """Read the leaderboard; a file that cannot be read is left out and named.

    Args:
        local: result files of this machine's own evaluations.
        imported: result files of others.
        freshness: marks local rows.
        told: names or ids of rows that are the references of their groups.
        sweeps: folders of the results of sweeps.
        own: fingerprint of data whose groups come first; None for the official data.
        scored: result files of what was submitted to this page and evaluated by its queue.

    Raises:
        QueryError: if `told` names no row, or several, or one twice.
    """
    rows, problems = [*published_rows("SALMUBench"), *published_rows("CLEAR")], []
    for source, paths in ((Source.LOCAL, local), (Source.SCORED, scored), (Source.IMPORTED, imported)):
        for path in paths:
            try:
                rows += file_rows(path, source)
            except ResultError as error:
                problems.append(f"A file was left out. {error}")
    for folder in sweeps:
        try:
            rows += sweep_rows(folder)
        except ResultError as error:
            problems.append(f"A sweep was left out. {error}")
    problems += left_out_metrics(name for row in rows for name in row.left_out)
    marked = merged(freshness.mark(rows))
    if told != NOTHING_TOLD:
        marked = _as_told(marked, told)
    groups = group_rows(marked)
    if own is not None:
        groups.sort(key=lambda group: all(row.data.fingerprint != own for row in group.rows))
    return Board(tuple(groups), tuple(problems))


def _as_told(rows: Iterable[Row], told: Told) -> list[Row]:
    rows = list(rows)
    found = {find_row(name, rows).id: role for role in REFERENCES if (name := told.of(role)) is not None}
    if len(found) < sum(told.of(role) is not None for role in REFERENCES):
        raise QueryError(f"{told.contradiction or 'One row is told to have two roles'}; name different rows.")
    return [
        replace(row, role=found[row.id], role_from="told", is_told=True, label=None) if row.id in found else row
        for row in rows
    ]
