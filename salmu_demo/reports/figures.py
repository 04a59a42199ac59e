"""The metrics of several models as a dot plot, drawn for a narrow screen first."""

import io
from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from salmu_demo.reports.roles import RoleStyle, role_styles
from salmu_demo.results.comparison import Comparison, ComparisonRow

DPI: Final = 200
WIDTH: Final = 4.6
"""Inches. On a screen of 390 pixels a point is then a little more than a pixel: 9 point text stays legible."""

_LANE: Final = 0.165
_GAP: Final = 0.12
_HEADING: Final = 0.42
_NUMBER: Final = 0.14
"""Width of a number and its distance from the dot, as a share of the row."""

_TEXT: Final = "#1f2937"
_FAINT: Final = "#d1d5db"
_PILLARS: Final = {
    "efficacy": "Forgetting · target: the Clean model's value",
    "utility": "Keeping the rest · target: the Compromised model's value",
}
_MARKERS: Final = {"●": ("o", 6.5), "■": ("s", 6.0), "▲": ("^", 7.0), "◆": ("D", 5.5), "▼": ("v", 7.0), "★": ("*", 9.0)}
"""Matplotlib's marker and size in points for the character that stands for a model in tables."""


def metric_figure(comparison: Comparison, note: str | None = None) -> Figure:
    """Draw every metric as a row with a lane for each model, the target as a vertical line across the row.

    Args:
        comparison: the table behind it.
        note: a sentence to print below.

    Returns:
        A figure with a white ground in any theme; no global state of matplotlib is touched.
    """
    styles = role_styles([model.name for model in comparison.models])
    groups = {
        pillar: [row for row in comparison.rows if row.spec.pillar == pillar]
        for pillar in _PILLARS
        if any(row.spec.pillar == pillar for row in comparison.rows)
    }
    row_height = _LANE * len(styles) + _GAP
    heights = [row_height * len(rows) for rows in groups.values()]
    legend = 0.185 * (len(styles) + 1)
    foot = 0.62 if note else 0.32
    total = legend + foot + sum(heights) + _HEADING * len(groups)

    figure = Figure(figsize=(WIDTH, total), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    limits = _limits(comparison)
    top = total - legend
    for (pillar, rows), height in zip(groups.items(), heights, strict=True):
        top -= _HEADING
        axes = figure.add_axes((0.205, (top - height) / total, 0.765, height / total))
        _draw_group(axes, rows, styles, limits)
        figure.text(0.02, (top + 0.09) / total, _PILLARS[pillar], fontsize=9.5, fontweight="bold", color=_TEXT)
        top -= height
    axes.tick_params(axis="x", labelbottom=True)
    _legend(figure, comparison, styles, total)
    if note:
        figure.text(0.02, 0.06 / total, note, fontsize=6.5, color="#4b5563", wrap=True, va="bottom")
    return figure


def figure_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, facecolor="white")
    return stream.getvalue()


def figure_sentence(comparison: Comparison) -> str:
    """One sentence that says what the figure shows, for readers who cannot see it."""
    names = [model.name for model in comparison.models]
    models = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    count = len(comparison.rows)
    start = f"Dot plot of {count} metric{'s' if count > 1 else ''} for {models}"
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


def _limits(comparison: Comparison) -> tuple[float, float]:
    values = [v for row in comparison.rows for v in (row.target, *(c.value for c in row.cells)) if v is not None]
    low, high = min([0.0, *values]), max([0.1, *values])
    margin = (high - low) * 0.05
    # Room on the right for the number beside the last dot.
    return low - margin, high + (high - low) * 0.22


def _draw_group(
    axes: Axes, rows: Sequence[ComparisonRow], styles: Sequence[RoleStyle], limits: tuple[float, float]
) -> None:
    height = _LANE * len(styles) + _GAP
    axes.set_xlim(*limits)
    axes.set_ylim(height * len(rows), 0)
    offset = (limits[1] - limits[0]) * 0.022
    for position, row in enumerate(rows):
        top = position * height
        if position:
            axes.axhline(top, color=_FAINT, linewidth=0.6, zorder=0)
        if row.target is not None:
            inner = [top + _GAP / 3, top + height - _GAP / 3]
            axes.plot([row.target] * 2, inner, color=_TEXT, linewidth=1.6, zorder=1)
        for lane, (cell, style) in enumerate(zip(row.cells, styles, strict=True)):
            y = top + _GAP / 2 + _LANE * (lane + 0.5)
            if cell.value is None:
                axes.text(limits[0] + offset, y, "not measured", fontsize=8, va="center", color="#4b5563")
                continue
            axes.plot(cell.value, y, zorder=3, **_dot(style))
            # A number goes to the right of its dot, unless the target's line would cross it there.
            width = (limits[1] - limits[0]) * _NUMBER
            crossed = row.target is not None and 0 < row.target - cell.value < width
            left = crossed and cell.value - width > limits[0]
            number = f"{cell.value:.4f}".replace("-", "−")
            x = cell.value - offset if left else cell.value + offset
            side = "right" if left else "left"
            axes.text(x, y, number, fontsize=8, color=_TEXT, zorder=2, va="center", ha=side)
    axes.set_yticks([height * (n + 0.5) for n in range(len(rows))], [row.spec.name for row in rows], fontsize=9)
    axes.tick_params(axis="y", length=0, labelcolor=_TEXT)
    axes.tick_params(axis="x", labelsize=8, labelcolor=_TEXT, labelbottom=False, length=0)
    axes.grid(axis="x", color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)


def _dot(style: RoleStyle) -> dict[str, Any]:
    marker, size = _MARKERS[style.marker]
    # The dark edge keeps light colours visible on white.
    return {
        "linestyle": "none",
        "marker": marker,
        "markersize": size,
        "color": style.colour,
        "markeredgecolor": _TEXT,
        "markeredgewidth": 0.6,
    }


def _legend(figure: Figure, comparison: Comparison, styles: Sequence[RoleStyle], total: float) -> None:
    handles = [
        Line2D([], [], label=_plain(model.name), **_dot(style))
        for model, style in zip(comparison.models, styles, strict=True)
    ]
    if any(row.target is not None for row in comparison.rows):
        handles.append(Line2D([], [], linestyle="none", marker="|", color=_TEXT, label="target",
                              markersize=9, markeredgewidth=1.6))  # fmt: skip
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.03 / total), frameon=False, fontsize=9,
        labelspacing=0.25, handletextpad=0.2, labelcolor=_TEXT,
    )  # fmt: skip


def _plain(name: str) -> str:
    """A name that matplotlib does not take for mathematics or for a hidden label, cut to the width of the figure."""
    short = name if len(name) <= 52 else f"{name[:51]}…"
    escaped = short.replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped
