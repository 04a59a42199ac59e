"""How similar images and their captions are: what was to be forgotten, and what was to be kept."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from salmu_demo.reports.figures.canvas import FAINT, LANDSCAPE_WIDTH, TEXT, FigureSheet, dot, tell
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.text import listed, number_cell, unsigned
from salmu_demo.results.analysis import Analysis

_TITLE: Final = "Distributions of similarity"
_SETS: Final = {
    "AssocStr": "To forget (forget, AssocStr)",
    "InterIdSim": "To keep: other personas (holdout_identity, InterIdSim)",
    "IntraIdSim": "To keep: other pairs (holdout_association, IntraIdSim)",
}
_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS: Final = 64
_PANEL: Final = 1.05
_LANDSCAPE_PANEL: Final = 1.6
_GAP: Final = 0.32
_AXIS: Final = 0.42
_DASHES: Final[tuple[tuple[float, ...], ...]] = ((), (5, 1.5), (1.5, 1), (5, 1, 1, 1), (8, 2), (3, 1, 1, 1, 1, 1))


@dataclass(frozen=True)
class _Scores:
    metric: str
    models: tuple[tuple[int, NDArray[np.float64]], ...]


def distributions(analysis: Analysis, note: str) -> ReportFigure | MissingFigure:
    """A panel for each set of pairs, a curve for each model whose scores are known."""
    panels = [_Scores(metric, tuple(_known(analysis, metric))) for metric in _SETS]
    panels = [panel for panel in panels if panel.models]
    if not panels:
        return MissingFigure(_TITLE, "No model has the scores of single rows; a results.json holds them.")
    table = Table(
        "Cosine of image and caption: mean and quantiles over rows.",
        ("Pairs", "Model", "Rows", "Mean", *(f"{q:.0%}".replace("%", " %") for q in _QUANTILES)),
        tuple(
            (panel.metric, analysis.names[number], f"{len(scores):,}", number_cell(float(scores.mean())),
             *(number_cell(float(q)) for q in np.quantile(scores, _QUANTILES)))
            for panel in panels
            for number, scores in panel.models
        ),
        2,
    )  # fmt: skip
    return ReportFigure(
        "similarity-distributions",
        _TITLE,
        _sentence(analysis, panels),
        table,
        lambda landscape=False: _draw(analysis, panels, note, landscape),
    )


def _known(analysis: Analysis, metric: str) -> list[tuple[int, NDArray[np.float64]]]:
    results = [(number, model.evaluation.results.get(metric)) for number, model in enumerate(analysis.models)]
    return [(n, r.scores) for n, r in results if r is not None and r.scores is not None and len(r.scores)]


def _sentence(analysis: Analysis, panels: list[_Scores]) -> str:
    medians = [
        f"{number_cell(float(np.median(scores)))} for {analysis.names[number]}" for number, scores in panels[0].models
    ]
    shown = listed([panel.metric for panel in panels])
    missing = [metric for metric in _SETS if metric not in {panel.metric for panel in panels}]
    end = f", and of {listed(missing)} no scores of single rows are known" if missing else ""
    return (
        f"Distributions of the cosine of image and caption in {shown}, the dots being means; the median of "
        f"{panels[0].metric} is {listed(medians)}{end}."
    )


def _draw(analysis: Analysis, panels: list[_Scores], note: str, landscape: bool) -> Figure:
    """The panels below each other, or side by side."""
    panel_height = _LANDSCAPE_PANEL if landscape else _PANEL
    body = (panel_height + _GAP) * (1 if landscape else len(panels)) + _AXIS
    sheet = FigureSheet(analysis.comparison.models, body, note, landscape=landscape)
    beside = LANDSCAPE_WIDTH / len(panels)
    every = np.concatenate([scores for panel in panels for _, scores in panel.models])
    low, high = float(every.min()), float(every.max())
    # A collapsed model has one similarity for all rows.
    edges = np.linspace(low, high if high - low > 1e-6 else low + 0.01, _BINS + 1)
    for position, panel in enumerate(panels):
        top = _GAP if landscape else (_PANEL + _GAP) * position + _GAP
        left = beside * position if landscape else 0.0
        sheet.heading(top - 0.08, panel.metric if landscape else _SETS[panel.metric], left)
        axes = sheet.axes(top, panel_height, left + 0.14, *([sheet.width - left - beside + 0.14] if landscape else []))
        for number, scores in panel.models:
            style = sheet.styles[number]
            share = np.histogram(scores, edges)[0] / len(scores)
            axes.stairs(share, edges, color=style.colour, fill=True, alpha=0.13)
            axes.stairs(
                share, edges, color=style.colour, linewidth=1.5, linestyle=(0, _DASHES[number % len(_DASHES)] or None)
            )
            mean = float(scores.mean())
            at = min(int(np.searchsorted(edges, mean, side="right")) - 1, _BINS - 1)
            (drawn,) = axes.plot(mean, share[at], zorder=4, **dot(style))
            tell(drawn, f"{panel.metric} of {analysis.names[number]}: mean {unsigned(mean)}")
        axes.margins(0.01, 0.12)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.grid(axis="x", color=FAINT, linewidth=0.5)
        is_lowest = landscape or position == len(panels) - 1
        axes.tick_params(axis="x", labelbottom=is_lowest)
        if is_lowest:
            axes.set_xlabel("Cosine of image and caption", fontsize=9, color=TEXT)
    return sheet.figure
