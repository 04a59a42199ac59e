"""The metrics of several models as a dot plot, each metric against its target."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure

from salmu_demo.metrics.intervals import Interval
from salmu_demo.reports.figures.canvas import LANDSCAPE_WIDTH, FigureSheet
from salmu_demo.reports.figures.lanes import LaneRow, Mark, draw_lanes, lanes_height, lanes_limits, target_entry
from salmu_demo.reports.report import ReportFigure, Table
from salmu_demo.reports.text import counted, interval_cell, listed, number_cell
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.comparison import Comparison

_HEADING: Final = 0.42
_TICKS: Final = 0.22
_LEFT: Final = 1.18

_PILLARS: Final = {
    "efficacy": "Forgetting · target: Clean's value",
    "utility": "Keeping the rest · target: Compromised's value",
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
        lambda landscape=False: metric_figure(comparison, intervals, note, landscape),
    )


def metric_figure(
    comparison: Comparison,
    intervals: Sequence[Mapping[str, Interval | None]],
    note: str = "",
    landscape: bool = False,
) -> Figure:
    """Draw every metric as a row with a lane for each model, the target as a vertical line across the row.

    Args:
        comparison: the table behind it.
        intervals: of each model, by metric; drawn as bars.
        note: a sentence to print below.
        landscape: whether the pillars stand side by side, in dense rows without numbers.
    """
    models = comparison.models
    groups: dict[str, list[LaneRow]] = {}
    for row in comparison.rows:
        marks = [Mark(cell.value, found.get(row.spec.name)) for cell, found in zip(row.cells, intervals, strict=True)]
        groups.setdefault(row.spec.pillar, []).append(LaneRow(row.spec.name, row.target, tuple(marks)))
    names = [model.name for model in models]
    heights = [lanes_height(len(models), len(rows), landscape) for rows in groups.values()]
    has_target = any(row.target is not None for row in comparison.rows)
    beside = LANDSCAPE_WIDTH / len(groups) if landscape else 0.0
    body = (max(heights) + _HEADING if landscape else sum(heights) + _HEADING * len(groups)) + _TICKS
    sheet = FigureSheet(models, body, note, [target_entry()] if has_target else [], landscape)
    limits = lanes_limits([row for rows in groups.values() for row in rows], 0.0, 0.1, landscape)
    top = 0.0
    for number, ((pillar, rows), height) in enumerate(zip(groups.items(), heights, strict=True)):
        top = _HEADING if landscape else top + _HEADING
        left = beside * number
        sheet.heading(top - 0.09, _PILLARS[pillar], left)
        axes = sheet.axes(top, height, left + _LEFT, *([sheet.width - left - beside + 0.14] if landscape else []))
        draw_lanes(axes, rows, sheet.styles, names, limits, landscape)
        axes.tick_params(axis="x", labelbottom=landscape)
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
