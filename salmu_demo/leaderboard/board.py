"""The whole leaderboard: every source read, marked, grouped and diagnosed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from salmu_demo.core.errors import QueryError, ResultError, quoted
from salmu_demo.core.notices import left_out_metrics
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.groups import DataGroup, group_rows, merged
from salmu_demo.leaderboard.rows import Row, RowSource, file_rows, published_rows
from salmu_demo.leaderboard.sweeps import sweep_rows
from salmu_demo.models.names import check_names
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
    for source, paths in ((RowSource.LOCAL, local), (RowSource.SCORED, scored), (RowSource.IMPORTED, imported)):
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


def called(rows: Iterable[Row]) -> list[str]:
    """Everything that rows may be called by whoever gives them names."""
    return [name for row in rows for name in _names_of(row)]


def with_names(board: Board, names: Mapping[str, str]) -> Board:
    """The board with other names of rows.

    Args:
        board: the board.
        names: what rows are to be called, by their ids or names, or by the references of their models; a name or
            reference is that of all its rows.

    Raises:
        QueryError: if no row is called so, a name cannot be shown, or it is that of another model of the same data.
    """
    rows = [row for group in board.groups for row in group.rows]
    check_names(names, called(rows))
    given = {row.id: names[own[0]] for row in rows if (own := [name for name in _names_of(row) if name in names])}
    for group in board.groups:
        shown = {(given.get(row.id, row.name), row.name) for row in group.rows}
        for name in given.values():
            if sum(new == name for new, _ in shown) > 1:
                raise QueryError(f"Two rows would be called {quoted(name)}; give each a name of its own.")
    groups = (
        replace(group, rows=tuple(replace(row, name=given.get(row.id, row.name)) for row in group.rows))
        for group in board.groups
    )
    return replace(board, groups=tuple(groups))


def _names_of(row: Row) -> tuple[str, ...]:
    """The most telling first."""
    return (row.id, row.name) if row.model is None else (row.id, row.model.reference, row.name)


def _as_told(rows: Iterable[Row], told: Told) -> list[Row]:
    rows = list(rows)
    found = {find_row(name, rows).id: role for role in REFERENCES if (name := told.of(role)) is not None}
    if len(found) < sum(told.of(role) is not None for role in REFERENCES):
        raise QueryError(f"{told.contradiction or 'One row is told to have two roles'}; name different rows.")
    return [
        replace(row, role=found[row.id], role_from="told", is_told=True, label=None) if row.id in found else row
        for row in rows
    ]
