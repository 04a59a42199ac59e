"""The metrics of several models as a dot plot, each metric against its target."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure

from salmu_demo.metrics.intervals import Interval
from salmu_demo.reports.figures.canvas import Sheet
from salmu_demo.reports.figures.lanes import LaneRow, Mark, draw_lanes, lanes_height, lanes_limits, target_entry
from salmu_demo.reports.report import ReportFigure, Table
from salmu_demo.reports.text import counted, interval_cell, listed, number_cell
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.comparison import Comparison

_HEADING: Final = 0.42
_TICKS: Final = 0.22
_LEFT: Final = 0.94

_PILLARS: Final = {
    "efficacy": "Forgetting · target: the Clean model's value",
    "utility": "Keeping the rest · target: the Compromised model's value",
}


def metrics(analysis: Analysis, note: str) -> ReportFigure:
    """The dot plot of an analysis."""
    comparison = analysis.comparison
    intervals = [model.intervals for model in analysis.models]
    rows = tuple(
        (row.spec.name, name, number_cell(cell.value), interval_cell(found[row.spec.name]), number_cell(row.target))
        for row in comparison.rows
        for name, cell, found in zip(analysis.names, row.cells, intervals, strict=True)
    )
    return ReportFigure(
        "metrics",
        "Every metric against its target",
        figure_sentence(comparison),
        Table("Values, 95 % intervals and targets.", ("Metric", "Model", "Value", "95 % interval", "Target"), rows, 2),
        lambda: metric_figure(comparison, intervals, note),
    )


def metric_figure(comparison: Comparison, intervals: Sequence[Mapping[str, Interval | None]], note: str = "") -> Figure:
    """Draw every metric as a row with a lane for each model, the target as a vertical line across the row.

    Args:
        comparison: the table behind it.
        intervals: of each model, by metric; drawn as bars.
        note: a sentence to print below.
    """
    models = comparison.models
    groups: dict[str, list[LaneRow]] = {}
    for row in comparison.rows:
        marks = [Mark(cell.value, found.get(row.spec.name)) for cell, found in zip(row.cells, intervals, strict=True)]
        groups.setdefault(row.spec.pillar, []).append(LaneRow(row.spec.name, row.target, tuple(marks)))
    heights = [lanes_height(len(models), len(rows)) for rows in groups.values()]
    has_target = any(row.target is not None for row in comparison.rows)
    sheet = Sheet(models, sum(heights) + _HEADING * len(groups) + _TICKS, note, [target_entry()] if has_target else [])
    limits = lanes_limits([row for rows in groups.values() for row in rows], 0.0, 0.1)
    top = 0.0
    for (pillar, rows), height in zip(groups.items(), heights, strict=True):
        top += _HEADING
        sheet.heading(top - 0.09, _PILLARS[pillar])
        axes = sheet.axes(top, height, _LEFT)
        draw_lanes(axes, rows, sheet.styles, limits)
        axes.tick_params(axis="x", labelbottom=False)
        top += height
    axes.tick_params(axis="x", labelbottom=True)
    return sheet.figure


def figure_sentence(comparison: Comparison) -> str:
    """One sentence that says what the figure shows, for readers who cannot see it."""
    names = [model.name for model in comparison.models]
    start = f"Dot plot of {counted(len(comparison.rows), 'metric')} for {listed(names)}"
    far = [
        (abs(distance), distance, row, number)
        for row in comparison.rows
        for number in range(len(names))
        if (distance := row.distance(number)) is not None
    ]
    if not far:
        return f"{start}; no target is drawn, because the reference models are not among them."
    size, distance, row, number = max(far, key=lambda entry: entry[0])
    if size < 0.00005:
        return f"{start}, each against its target; every model is on target."
    side = "above" if distance > 0 else "below"
    return f"{start}, each against its target; furthest off is {names[number]} in {row.spec.name}, {size:.4f} {side}."
