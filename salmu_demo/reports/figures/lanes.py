"""Rows of dots: a row for each metric, in it a lane for each model, and a target across the row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from salmu_demo.metrics.intervals import Interval
from salmu_demo.reports.figures.canvas import FAINT, MUTED, TEXT, dot, reference_line, tell
from salmu_demo.reports.roles import RoleStyle
from salmu_demo.reports.text import interval_cell, unsigned

_LANE: Final = 0.165
_GAP: Final = 0.12
_DENSE_LANE: Final = 0.085
_DENSE_ROW: Final = 0.42
_NUMBER: Final = 0.15
"""Width of a number and its distance from the dot, as a share of the row."""


@dataclass(frozen=True)
class Mark:
    """A value and its interval; None where not known."""

    value: float | None
    interval: Interval | None = None

    @property
    def low(self) -> float | None:
        """The leftmost point that is drawn."""
        return self.value if self.value is None or self.interval is None else min(self.value, self.interval.low)

    @property
    def high(self) -> float | None:
        """The rightmost point that is drawn."""
        return self.value if self.value is None or self.interval is None else max(self.value, self.interval.high)


@dataclass(frozen=True)
class LaneRow:
    """One row: its label, the target to draw if any, and a mark for each model."""

    label: str
    target: float | None
    marks: tuple[Mark, ...]


def target_entry() -> Line2D:
    """The target's line in the legend."""
    return reference_line("target", linestyle="none", marker="|", markersize=9, markeredgewidth=1.6)


def lanes_height(models: int, rows: int, dense: bool = False) -> float:
    """Inches that rows need; dense ones, without numbers, are no higher than fits a page."""
    return (_lane(models, dense) * models + _GAP) * rows


def _lane(models: int, dense: bool) -> float:
    return min(_DENSE_LANE, (_DENSE_ROW - _GAP) / models) if dense else _LANE


def lanes_limits(rows: Sequence[LaneRow], low: float, high: float, dense: bool = False) -> tuple[float, float]:
    """Limits that hold everything, at least from `low` to `high`, with room for the number beside the last dot."""
    values = [
        v for row in rows for v in (row.target, *(m.low for m in row.marks), *(m.high for m in row.marks))
        if v is not None
    ]  # fmt: skip
    low, high = min([low, *values]), max([high, *values])
    return low - (high - low) * 0.05, high + (high - low) * (0.05 if dense else 0.22)


def draw_lanes(
    axes: Axes,
    rows: Sequence[LaneRow],
    styles: Sequence[RoleStyle],
    names: Sequence[str],
    limits: tuple[float, float],
    dense: bool = False,
) -> None:
    """Draw rows from top to bottom, a lane for each of the named models; dense ones have no numbers."""
    height, lane_height = lanes_height(len(styles), 1, dense), _lane(len(styles), dense)
    axes.set_xlim(*limits)
    axes.set_ylim(height * len(rows), 0)
    for position, row in enumerate(rows):
        top = position * height
        if position:
            axes.axhline(top, color=FAINT, linewidth=0.6, zorder=0)
        if row.target is not None:
            inner = [top + _GAP / 3, top + height - _GAP / 3]
            axes.plot([row.target] * 2, inner, color=TEXT, linewidth=1.6, zorder=1)
        for lane, (mark, style) in enumerate(zip(row.marks, styles, strict=True)):
            y = top + _GAP / 2 + lane_height * (lane + 0.5)
            if mark.value is not None:
                if mark.interval is not None:
                    ends = [mark.interval.low, mark.interval.high]
                    axes.plot(ends, [y, y], color=style.colour, linewidth=2.2, zorder=2)
                (drawn,) = axes.plot(mark.value, y, zorder=3, **dot(style))
                tell(drawn, _words(row, names[lane], mark.value, mark.interval))
            if not dense:
                _draw_number(axes, mark, y, row.target)
    axes.set_yticks([height * (n + 0.5) for n in range(len(rows))], [row.label for row in rows], fontsize=8.5)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)


def _words(row: LaneRow, name: str, value: float, found: Interval | None) -> str:
    interval = "" if found is None else f" ({interval_cell(found)})"
    target = "" if row.target is None else f", target {unsigned(row.target)}"
    return f"{row.label} of {name}: {unsigned(value)}{interval}{target}"


def _draw_number(axes: Axes, mark: Mark, y: float, target: float | None) -> None:
    left, right = axes.get_xlim()
    offset = (right - left) * 0.022
    if mark.value is None or mark.low is None or mark.high is None:
        axes.text(left + offset, y, "not measured", fontsize=8, va="center", color=MUTED)
        return
    # A number goes to the right of its dot, unless the target's line would cross it there.
    width = (right - left) * _NUMBER
    crossed = target is not None and 0 < target - mark.high < width
    on_left = crossed and mark.low - width > left
    x, side = (mark.low - offset, "right") if on_left else (mark.high + offset, "left")
    axes.text(x, y, unsigned(mark.value), fontsize=8, color=TEXT, zorder=4, va="center", ha=side)
