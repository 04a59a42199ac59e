"""What the leaderboard tab shows, as choices and as markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.leaderboard.export import board_csv
from salmu_demo.leaderboard.groups import DataGroup
from salmu_demo.leaderboard.ranking import BY_DATE, BY_DIAGNOSIS, BY_NAME, CLEAR_RULE, RULE, Placed, placed
from salmu_demo.leaderboard.rows import Row, RowSource, plain_text
from salmu_demo.metrics import Benchmark, Metric, all_metrics, metrics_of
from salmu_demo.models.roles import ModelRole
from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.reports.text import NOTHING, signed, unsigned
from salmu_demo.results.questions import Label
from salmu_demo.ui.widgets.images import data_address
from salmu_demo.ui.widgets.markup import Download, empty_state

SOURCES: Final = [("All", ""), *((source.capitalize(), source.value) for source in RowSource)]
"""Label and value of each choice of sources."""


def orders(benchmark: Benchmark) -> list[tuple[str, str]]:
    """Label and value of each order of a benchmark's rows."""
    if benchmark == "CLEAR":
        specs = [spec for spec in metrics_of(benchmark) if spec.benchmark == benchmark and not spec.of_rows]
        found = [(spec.title, spec.name) for spec in specs]
    else:
        found = [("Diagnosis, then distance", BY_DIAGNOSIS)]
        found += [(f"{spec.number} {spec.name}", spec.name) for spec in all_metrics()]
    return [*found, ("Name", BY_NAME), ("Date, newest first", BY_DATE)]


def group_choices(groups: Sequence[DataGroup]) -> list[tuple[str, str]]:
    """Label and id of each data set."""
    return [(group.title, group.id) for group in groups]


def row_choices(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Label and id of each row that may be handed in."""
    return [
        (", ".join(filter(None, (row.name, row.source, row.date[:10], f"id {row.id}"))), row.id)
        for row in rows
        if row.source is not RowSource.PUBLISHED
    ]


@dataclass(frozen=True)
class _MetricHead:
    """A metric at the head of the table: what it aims at, and whether the rows are sorted by it."""

    name: str
    aim: str
    explanation: str
    sorted: bool


@dataclass(frozen=True)
class _BoardCell:
    """A value, or a dash, and what is to be said of it."""

    value: str
    css: str = ""
    gap: str = ""


@dataclass(frozen=True)
class _BoardRow:
    """A row in words; `doubts` are pairs of a mark and its sentence."""

    place: str
    is_shared: bool
    name: str
    style: RoleStyle
    source: str
    origin: str
    date: str
    doubts: Sequence[tuple[str, str]]
    label: Label | None
    diagnosis: str
    reason: str
    distance: str
    cells: Sequence[_BoardCell]


def board_html(group: DataGroup, rows: Sequence[Row], order: str) -> Markup:
    """The table of one data set, in an order that was made already."""
    if not rows:
        return empty_state("No row fits", "Clear the search, or choose another source or data set.")
    parts = (group.title, f"{len(rows)} of {len(group.rows)} rows", group.reference_line)
    return render(
        "ui/templates/leaderboard.html#board",
        remarks=[*filter(None, [group.notice]), *([] if group.identified else [UNKNOWN_DATA])],
        caption=f"{'. '.join(filter(None, parts))}.",
        order=order,
        columns=[_column(group, spec, order) for spec in group.specs],
        rows=[_board_row(group, each, order) for each in placed(group, rows, order)],
        rule=RULE if group.benchmark == "SALMUBench" else CLEAR_RULE,
        diagnosed=group.benchmark == "SALMUBench",
        # The mark at the start tells spreadsheets that it is UTF-8.
        file=Download(
            "leaderboard.csv",
            "Download CSV",
            data_address(("\ufeff" + board_csv([(group, rows)])).encode(), "text/csv"),
        ),
    )


UNKNOWN_DATA: Final = (
    "The file does not say by content or revision on which data it was measured, so its rows are ranked with no others."
)


def problems_html(problems: Sequence[str]) -> Markup:
    """The files that were left out, or nothing."""
    return render("ui/templates/leaderboard.html#problems", problems=problems)


def _column(group: DataGroup, spec: Metric, order: str) -> _MetricHead:
    target = group.target(spec)
    aim = f"target {unsigned(target)}" if target is not None else ("lower" if spec.pillar == "efficacy" else "higher")
    return _MetricHead(spec.name, aim, spec.explanation, spec.name == order)


def _board_row(group: DataGroup, placed: Placed, order: str) -> _BoardRow:
    row, place = placed.row, "" if placed.place is None else f"{placed.place:,}"
    # There are more rows than marks, so each has the one that its model has alone.
    (style,) = role_styles([row.name if row.model is None else row.model.reference], [ModelRole(row.role or "other")])
    origins = [row.origin, *(f"also in {plain_text(path.name)}" for path in row.copies)]
    return _BoardRow(
        place=f"{place} =" if placed.is_shared else place,
        is_shared=placed.is_shared,
        name=row.name,
        style=style,
        source=row.source,
        origin=", ".join(dict.fromkeys(origins)),
        date=row.date,
        doubts=[
            *([(row.mark.kind, row.mark.sentence)] if row.mark else []),
            *(("assumed", remark) for remark in row.remarks),
        ],
        label=row.label,
        diagnosis=row.diagnosis,
        reason=row.reason,
        distance="" if row.distance is None else f"distance {unsigned(row.distance)}",
        cells=[_cell(group, row, spec, order) for spec in group.specs],
    )


def _cell(group: DataGroup, row: Row, spec: Metric, order: str) -> _BoardCell:
    value, target, is_sorted = row.values.get(spec.name), group.target(spec), spec.name == order
    if value is None:
        return _BoardCell(NOTHING, " missing")
    gap = ""
    if group.comparable(row, spec) is None:
        gap = f"on {row.zero_shot or 'an unknown set'}"
    elif is_sorted and target is not None:
        gap = signed(value - target, 4)
    if spec.name in row.spread:
        gap = f"± {row.spread[spec.name]:.4f}{f', {gap}' if gap else ''}"
    return _BoardCell(unsigned(value), " sorted" if is_sorted else "", gap)
