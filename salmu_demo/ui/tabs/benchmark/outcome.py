"""The results of finished jobs, read once and kept while visitors look at them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from salmu_demo.core.errors import ResultError
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.files import ReportFiles, find_reports
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import read_results

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

    def figure_png(self, figure: ReportFigure) -> bytes:
        """The image of a figure; raises :class:`ResultError` if its file is gone."""
        try:
            return next(path for path in self.files.figures if path.stem == figure.name).read_bytes()
        except (OSError, StopIteration) as error:
            raise ResultError(f"The figure {figure.name} of this job is gone; run the benchmark again.") from error


class Outcomes:
    """Outcomes by job."""

    def __init__(self, manager: JobManager) -> None:
        self._manager = manager
        self._known: OrderedDict[str, Outcome] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, job_id: str) -> Outcome:
        """The outcome of a job that is done.

        Raises:
            JobError: for what is no job id.
            ResultError: if its results are gone or damaged.
        """
        # One at a time: several visitors who open the same job must not all compute its intervals.
        with self._lock:
            if job_id not in self._known:
                self._known[job_id] = self._read(job_id)
            self._known.move_to_end(job_id)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
            return self._known[job_id]

    def _read(self, job_id: str) -> Outcome:
        files = find_reports(self._manager.folder(job_id) / REPORT_FOLDER)
        if files is None:
            raise ResultError("The results of this job are gone; run the benchmark again.")
        analysis = analyse(read_results(files.results))
        return Outcome(analysis, files, tuple(report_figures(analysis)))
