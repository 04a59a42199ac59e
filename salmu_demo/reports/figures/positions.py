"""Where every metric of every model lies between Clean and Compromised, with its interval."""

from typing import Final

from matplotlib.figure import Figure

from salmu_demo.metrics.intervals import Interval
from salmu_demo.metrics.protocol import EFFICACY_REFERENCE
from salmu_demo.models.roles import SCALE
from salmu_demo.reports.figures.canvas import MUTED, FigureSheet
from salmu_demo.reports.figures.lanes import LaneRow, Mark, draw_lanes, lanes_height, lanes_limits, target_entry
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.text import interval_cell, listed, number_cell
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.diagnosis import least_gap, scale_position

_TITLE: Final = "Between the two references"
_HEAD: Final = 0.24
_AXIS: Final = 0.24


def positions(analysis: Analysis, note: str) -> ReportFigure | MissingFigure:
    """A row for each metric with a scale: 0 is Clean, 1 is Compromised."""
    rows = position_rows(analysis)
    if not rows:
        return MissingFigure(_TITLE, "It needs Clean and Compromised among the models, and a metric that differs.")
    table = Table(
        "Position between Clean (0) and Compromised (1), with the 95 % interval of the value on the same scale.",
        ("Metric", "Model", "Position", "95 % interval", "Target"),
        tuple(
            (row.label, name, number_cell(mark.value), interval_cell(mark.interval), f"{row.target:g}")
            for row in rows
            for name, mark in zip(analysis.names, row.marks, strict=True)
        ),
        2,
    )
    return ReportFigure(
        "positions",
        _TITLE,
        positions_sentence(analysis, rows),
        table,
        lambda landscape=False: _draw(analysis, rows, note, landscape),
    )


def position_rows(analysis: Analysis) -> list[LaneRow]:
    """The metrics that have a scale; intervals are those of the values, with the references as they are."""
    comparison = analysis.comparison
    roles = [role.name for role in analysis.roles]
    if not set(SCALE) <= set(roles):
        return []
    rows = []
    for row in comparison.rows:
        ends = [row.cells[roles.index(role)].value for role in SCALE]
        low, high = ends
        if scale_position(0.0, low, high, least_gap(row.spec.name)) is None:
            continue
        marks = tuple(
            Mark(model.positions[row.spec.name], _scaled(model.intervals[row.spec.name], ends))
            for model in analysis.models
        )
        rows.append(LaneRow(row.spec.name, 0.0 if row.spec.reference == EFFICACY_REFERENCE else 1.0, marks))
    return rows


def _scaled(found: Interval | None, ends: list[float | None]) -> Interval | None:
    if found is None:
        return None
    clean, compromised = ends
    low, high = scale_position(found.low, clean, compromised), scale_position(found.high, clean, compromised)
    return None if low is None or high is None else Interval(min(low, high), max(low, high))


def positions_sentence(analysis: Analysis, rows: list[LaneRow]) -> str:
    """What the positions show."""
    start = "Every metric on a scale on which Clean is 0 and Compromised is 1, bars being 95 % intervals"
    left_out = [row.spec.name for row in analysis.comparison.rows if row.spec.name not in {r.label for r in rows}]
    far = [
        (abs(mark.value - row.target), name, row.label, mark.value)
        for row in rows
        for name, mark, model in zip(analysis.names, row.marks, analysis.models, strict=True)
        if mark.value is not None and row.target is not None and model.diagnosis is not None
    ]
    if far:
        size, name, metric, value = max(far)
        start += f"; furthest from its target is {name} in {metric}, at {number_cell(value)}, {size:.4f} away"
    if left_out:
        why = "the references are too close together or one is missing"
        start += f"; without {listed(left_out)}, where {why}"
    return f"{start}."


def _draw(analysis: Analysis, rows: list[LaneRow], note: str, landscape: bool) -> Figure:
    height = lanes_height(len(analysis.names), len(rows), landscape)
    sheet = FigureSheet(analysis.comparison.models, _HEAD + height + _AXIS, note, [target_entry()], landscape)
    axes = sheet.axes(_HEAD, height, 1.18)
    draw_lanes(axes, rows, sheet.styles, analysis.names, lanes_limits(rows, 0.0, 1.0, landscape), landscape)
    for place, label in ((0.0, "Clean"), (1.0, "Compromised")):
        axes.axvline(place, color=MUTED, linewidth=0.8, zorder=0)
        axes.text(place, -0.04, label, fontsize=8, color=MUTED, ha="center", va="bottom")
    return sheet.figure
