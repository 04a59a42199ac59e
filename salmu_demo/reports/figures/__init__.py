"""Figures made for reading: each with a sentence and the table behind it, or with the reason why it is missing."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from salmu_demo.reports.figures.canvas import data_note
from salmu_demo.reports.figures.disagreements import disagreements
from salmu_demo.reports.figures.distributions import distributions
from salmu_demo.reports.figures.exposure import exposure
from salmu_demo.reports.figures.metrics import metrics
from salmu_demo.reports.figures.plane import plane
from salmu_demo.reports.figures.positions import positions
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.reports.text import with_printable_names
from salmu_demo.results.analysis import Analysis


def report_figures(analysis: Analysis, people: Mapping[str, str] | None = None) -> list[ReportFigure | MissingFigure]:
    """All figures of an analysis, in the order of a report; nothing is drawn yet.

    Args:
        analysis: what they show.
        people: names of personas by their ids; those that are not known are called by their ids.
    """
    figures = (plane, metrics, positions, distributions, partial(exposure, people=people or {}), disagreements)
    named = with_printable_names(analysis)
    data = analysis.comparison.data
    found = [figure(named, data_note(data)) for figure in figures]
    return [f if isinstance(f, MissingFigure) else replace(f, name=f"{f.name}{data.file_mark}") for f in found]
