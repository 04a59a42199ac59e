"""What the Benchmark tab shows of jobs and their results; no component is touched here."""

import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from salmu_demo.core.errors import ResultError
from salmu_demo.data import layout
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.files import ReportFiles, find_reports
from salmu_demo.reports.markdown import FIGURES_FOLDER
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import read_results
from salmu_demo.ui.jobs.page import JobPages
from salmu_demo.ui.shell.view import People
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.results import (
    Drawing,
    diagnosis_cards,
    figures_view,
    group_choices,
    groups_view,
    metric_tables,
    pair_choices,
    pair_view,
    results_title,
)
from salmu_demo.ui.widgets.images import Thumbnails
from salmu_demo.ui.widgets.markup import empty_state
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.people import persona_names

_KEPT: Final = 4
"""Analyses in memory; one of the official data with four models takes about 100 MB."""


@dataclass(frozen=True)
class Outcome:
    """What a finished job left.

    Attributes:
        analysis: the results.
        files: everything to download.
        figures: all figures.
    """

    analysis: Analysis
    files: ReportFiles
    figures: tuple[ReportFigure | MissingFigure, ...]

    def drawing(self, figure: ReportFigure) -> Drawing:
        """The files of a figure; raises `ResultError` if one is gone."""
        wide = next((path for path in self.files.landscape if path.name == f"{figure.name}-landscape.pdf"), None)
        try:
            with zipfile.ZipFile(self.files.archive) as archive:
                svg = archive.read(f"{FIGURES_FOLDER}/{figure.name}.svg")
            return Drawing(svg, None if wide is None else wide.read_bytes())
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ResultError(f"The figure {figure.name} of this job is gone; run the benchmark again.") from error


class Outcomes:
    """Outcomes by job."""

    def __init__(self, manager: JobManager, people: Mapping[str, str]) -> None:
        self._manager = manager
        self._people = people
        self._kept = lru_cache(_KEPT)(self._read)
        self._lock = threading.Lock()

    def of(self, job_id: str) -> Outcome:
        """The outcome of a job that is done.

        Raises:
            JobError: for what is no job id.
            ResultError: if its results are gone or damaged.
        """
        # One at a time: several visitors who open the same job must not all compute its intervals.
        with self._lock:
            return self._kept(job_id)

    def _read(self, job_id: str) -> Outcome:
        files = find_reports(self._manager.folder(job_id) / REPORT_FOLDER)
        if files is None:
            raise ResultError("The results of this job are gone; run the benchmark again.")
        analysis = analyse(read_results(files.results))
        return Outcome(analysis, files, tuple(report_figures(analysis, self._people)))


@dataclass(frozen=True)
class ResultPage:
    """The results of a finished job, in the order they are read.

    Attributes:
        outcome: what the job left.
        head: title and diagnosis.
        metrics: tables of all metrics.
        figures: all figures.
        models: label and number of each model.
        groups: names of the metrics that can be broken down.
    """

    outcome: Outcome
    head: str
    metrics: str
    figures: str
    models: list[tuple[str, int]]
    groups: list[str]

    @property
    def pair(self) -> tuple[int, int]:
        """Numbers of the two models that are compared first: the first reference and the last model."""
        return 0, len(self.models) - 1


class BenchmarkPages(JobPages):
    """Makes the tab's content."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        super().__init__(manager, BENCHMARK, empty_state(text.EMPTY_TITLE, text.EMPTY))
        self._data = workbench.data
        self._outcomes = Outcomes(manager, persona_names(workbench.data.personas))
        self._people = People(workbench.data.personas)
        self._thumbnails = Thumbnails(workbench.data)
        self._forget_rows = {name: row for row, name in enumerate(workbench.data.split(layout.FORGET).file_names)}

    def results(self, job_id: str) -> ResultPage:
        """The results of a finished job; raises `SalmuError` if they are gone or damaged."""
        outcome = self._outcomes.of(job_id)
        analysis = outcome.analysis
        return ResultPage(
            outcome=outcome,
            head=results_title(analysis) + diagnosis_cards(analysis),
            metrics=metric_tables(analysis),
            figures=figures_view(
                outcome.figures,
                outcome.drawing,
                analysis.comparison.data,
                self._people.address if self._is_here(analysis) else None,
            ),
            models=pair_choices(analysis),
            groups=group_choices(analysis),
        )

    def pair(self, job_id: str, first: int, second: int) -> str:
        """Two models of a finished job against each other; raises as `results`."""
        analysis = self._outcomes.of(job_id).analysis
        is_here = self._is_here(analysis)
        people = self._people if is_here else People()
        return pair_view(analysis, first, second, people, self._image if is_here else None)

    def groups(self, job_id: str, metric: str | None, order_by: int) -> str:
        """A metric of a finished job by kind and by persona; raises as `results`."""
        analysis = self._outcomes.of(job_id).analysis
        return groups_view(analysis, metric, order_by, self._people if self._is_here(analysis) else People())

    def _is_here(self, analysis: Analysis) -> bool:
        return analysis.comparison.data.fingerprint == self._data.fingerprint

    def _image(self, file_name: str) -> str | None:
        row = self._forget_rows.get(file_name)
        return None if row is None else self._thumbnails.address(layout.FORGET, row)
