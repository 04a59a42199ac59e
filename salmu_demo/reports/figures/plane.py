"""The forgetting-utility plane: how much of the leak is gone, against what is left of everything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from salmu_demo.models.roles import SCALE
from salmu_demo.reports.figures.canvas import (
    FAINT,
    LANDSCAPE_WIDTH,
    MUTED,
    TEXT,
    FigureSheet,
    dot,
    reference_line,
    tell,
)
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.roles import RoleStyle
from salmu_demo.reports.text import listed, number_cell, percent
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.diagnosis import diagnose
from salmu_demo.results.evidence import Evidence
from salmu_demo.results.questions import FORGETS, GENKNOW_DROP, HOLDOUT_KEPT

_TITLE: Final = "Forgetting and utility"
_PANEL: Final = 1.75
_GAP: Final = 0.34
_AXIS: Final = 0.42
_WANTED: Final = "#ecfdf5"

_KNOWLEDGE: Final = "General knowledge kept: GenKnow / Compromised's"
_HOLDOUTS: Final = "Holdouts kept: InterIdSim or IntraIdSim, the smaller share"


@dataclass(frozen=True)
class PlanePoint:
    """Where a model lies, as shares; None where the metrics are missing.

    Attributes:
        number: number of the model.
        name: its name.
        gone: share of the leak that is gone: 0 at Compromised, 1 at Clean.
        knowledge: general knowledge in units of Compromised's.
        holdouts: share of what was learned about the holdouts that is left: 1 at Compromised, 0 at Clean.
        is_reference: whether it is Clean or Compromised.
    """

    number: int
    name: str
    gone: float | None
    knowledge: float | None
    holdouts: float | None
    is_reference: bool

    @property
    def is_wanted(self) -> bool:
        """Whether it lies beyond the thresholds of the first three questions of the diagnosis."""
        if self.gone is None or self.knowledge is None or self.holdouts is None:
            return False
        return self.gone >= FORGETS and self.knowledge > 1 - GENKNOW_DROP and self.holdouts >= HOLDOUT_KEPT


def plane_points(analysis: Analysis) -> list[PlanePoint]:
    """The quantities that decide the first three questions of the diagnosis, for the references too."""
    comparison = analysis.comparison

    def values(number: int) -> dict[str, float | None]:
        return {row.spec.name: row.cells[number].value for row in comparison.rows}

    roles = [role.name for role in analysis.roles]
    at_clean, at_compromised = (Evidence(values(roles.index(role)) if role in roles else {}) for role in SCALE)
    points = []
    for number, model in enumerate(analysis.models):
        found = model.diagnosis or diagnose(Evidence(values(number)), at_clean, at_compromised)
        gone, lost, kept = (criterion.value for criterion in found.criteria[:3])
        knowledge = None if lost is None else 1 - lost
        points.append(PlanePoint(number, analysis.names[number], gone, knowledge, kept, model.diagnosis is None))
    return points


def plane(analysis: Analysis, note: str) -> ReportFigure | MissingFigure:
    """Two panels with the same horizontal axis and the thresholds of the diagnosis."""
    points = plane_points(analysis)
    panels = [
        (title, threshold, [(p, p.gone, y) for p, y in heights if p.gone is not None and y is not None])
        for title, threshold, heights in (
            (_KNOWLEDGE, 1 - GENKNOW_DROP, [(p, p.knowledge) for p in points]),
            (_HOLDOUTS, HOLDOUT_KEPT, [(p, p.holdouts) for p in points]),
        )
    ]
    drawn = [_PlanePanel(title, threshold, found) for title, threshold, found in panels if found]
    if not drawn:
        return MissingFigure(
            _TITLE,
            "It needs RetFail of Clean and of Compromised, and GenKnow or both holdout similarities of the models.",
        )
    table = Table(
        "Share of the leak that is gone, 1 − (RetFail − Clean) / (Compromised − Clean); general knowledge kept, "
        "GenKnow / Compromised's; holdouts kept, the smaller of (InterIdSim − Clean) / "
        "(Compromised − Clean) and the same of IntraIdSim.",
        ("Model", "Leak gone", "Knowledge kept", "Holdouts kept"),
        tuple((p.name, *(number_cell(v) for v in (p.gone, p.knowledge, p.holdouts))) for p in points),
    )
    return ReportFigure(
        "forgetting-utility",
        _TITLE,
        plane_sentence(points),
        table,
        lambda landscape=False: _draw(analysis, drawn, note, landscape),
    )


def plane_sentence(points: Sequence[PlanePoint]) -> str:
    """What the plane shows, with the quantity on each axis."""
    axes = (
        "To the right the share of the leak that is gone (RetFail between Compromised, 0, and Clean, 1), upwards what "
        "is kept of the general knowledge (GenKnow as a share of Compromised's) and of the holdouts (the smaller of "
        "InterIdSim and IntraIdSim between Clean, 0, and Compromised, 1)"
    )
    models = [p for p in points if not p.is_reference]
    if not models:
        return f"{axes}; only the references are shown."
    wanted = [p.name for p in models if p.is_wanted]
    if len(models) == 1:
        (model,) = models
        facts = [
            f"{percent(share)} of the {what}"
            for share, what in ((model.knowledge, "general knowledge"), (model.holdouts, "holdouts"))
            if share is not None
        ]
        gone = "an unknown share" if model.gone is None else percent(model.gone)
        kept = listed(facts) if facts else "an unknown share"
        side = "beyond" if wanted else "not beyond"
        return f"{axes}; for {model.name} {gone} of the leak is gone and {kept} are kept, {side} all dashed thresholds."
    if not wanted:
        return f"{axes}; none of the {len(models)} models lies beyond all dashed thresholds."
    return f"{axes}; beyond all dashed thresholds lie {len(wanted)} of {len(models)} models: {listed(wanted)}."


@dataclass(frozen=True)
class _PlanePanel:
    title: str
    threshold: float
    points: list[tuple[PlanePoint, float, float]]

    @property
    def short_title(self) -> str:
        """The title without how it is computed."""
        return self.title.partition(":")[0]


def _draw(analysis: Analysis, panels: Sequence[_PlanePanel], note: str, landscape: bool) -> Figure:
    """The panels below each other, or side by side."""
    body = (_PANEL + _GAP) * (1 if landscape else len(panels)) + _AXIS
    beside = LANDSCAPE_WIDTH / len(panels)
    sheet = FigureSheet(
        analysis.comparison.models, body, note,
        [reference_line("threshold; wanted is the shaded corner", linestyle=(0, (3, 2)), linewidth=1)], landscape,
    )  # fmt: skip
    xs = [x for panel in panels for _, x, _ in panel.points]
    limits = _limits([*xs, 0.0, 1.0, FORGETS])
    for number, panel in enumerate(panels):
        top = _GAP if landscape else (_PANEL + _GAP) * number + _GAP
        left = beside * number if landscape else 0.0
        sheet.heading(top - 0.08, panel.short_title if landscape else panel.title, left)
        axes = sheet.axes(top, _PANEL, left + 0.5, *([sheet.width - left - beside + 0.14] if landscape else []))
        axes.set_xlim(*limits)
        _draw_panel(axes, panel, sheet.styles)
        is_lowest = landscape or number == len(panels) - 1
        axes.tick_params(axis="x", labelbottom=is_lowest)
        if is_lowest:
            axes.set_xlabel("Share of the leak that is gone", fontsize=9, color=TEXT)
    return sheet.figure


def _draw_panel(axes: Axes, panel: _PlanePanel, styles: list[RoleStyle]) -> None:
    low, high = _limits([*(y for _, _, y in panel.points), panel.threshold, 1.0])
    right = axes.get_xlim()[1]
    axes.set_ylim(low, high)
    axes.add_patch(Rectangle((FORGETS, panel.threshold), right - FORGETS, high - panel.threshold, color=_WANTED))
    line: dict[str, Any] = {"color": TEXT, "linewidth": 1.0, "linestyle": (0, (3, 2)), "zorder": 1}
    axes.axvline(FORGETS, **line)
    axes.axhline(panel.threshold, **line)
    axes.text(
        axes.get_xlim()[0], panel.threshold, f" {panel.threshold:g}", fontsize=7.5, color=MUTED, va="bottom", ha="left"
    )
    axes.text(FORGETS, low, f"{FORGETS:g} ", fontsize=7.5, color=MUTED, va="bottom", ha="right")
    axes.grid(color=FAINT, linewidth=0.5)
    for point, x, y in panel.points:
        (drawn,) = axes.plot(x, y, zorder=3, **dot(styles[point.number]))
        tell(drawn, f"{point.name}: {percent(x)} of the leak is gone. {panel.short_title}: {percent(y)}")
        if styles.count(styles[point.number]) > 1:
            axes.annotate(
                f"{point.number + 1}", (x, y), (5, 0), textcoords="offset points", fontsize=7.5, color=TEXT, va="center"
            )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = (high - low) * 0.09 or 0.01
    return low - margin, high + margin
