"""What benchmarks found: finished jobs, each by itself or several together, and what is shipped of built-in models."""

import threading
import zipfile
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.errors import JobError, ResultError, SalmuError
from salmu_demo.core.plugins import outside_code
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.jobs.job import JobSpec, JobState
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER, BenchmarkSpec, report_folder
from salmu_demo.jobs.manager import JobManager
from salmu_demo.metrics import metrics_of
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import GOLD, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.figures.canvas import figure_svg
from salmu_demo.reports.files import ReportFiles, find_reports, write_reports
from salmu_demo.reports.markdown import FIGURES_FOLDER
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import RESULTS_FILE, read_results
from salmu_demo.results.merging import with_others
from salmu_demo.results.questions import Label
from salmu_demo.results.records import Evaluation
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.people import found_again, persona_names, verdicts_at_hand

NOTHING_SHIPPED: Final = "No results of the built-in models are shipped for this data set; run a benchmark."

_KEPT: Final = 4
"""Analyses in memory; one of the official data with four models takes about 100 MB."""

MOST_OTHERS: Final = 8
"""Jobs whose models stand beside those of another one."""

_SHOWN: Final = 32
"""Drawings of shipped results that are held: those of a few data sets."""

BUILT_IN: Final = "built-in"
"""Stands for a job where results that are shipped with the built-in models are shown; no job has such an id."""


@dataclass(frozen=True)
class Drawing:
    """The files of a figure.

    Attributes:
        svg: upright, for a screen.
        pdf: landscape, for a paper; None of an earlier version's report.
    """

    svg: bytes
    pdf: bytes | None


@dataclass(frozen=True)
class Outcome:
    """What a finished job left, or what is shipped.

    Attributes:
        analysis: the results.
        files: everything to download; None of what is shipped, which no report was written of.
        figures: all figures.
        attacks: what attacks found in its models, or None.
        folder: that of the files, if they go with this.
    """

    analysis: Analysis
    files: ReportFiles | None
    figures: tuple[ReportFigure | MissingFigure, ...]
    attacks: AttacksDocument | None
    folder: "TemporaryDirectory[str] | None" = None

    def drawing(self, figure: ReportFigure) -> Drawing:
        """The files of a figure; raises `ResultError` if one is gone."""
        if self.files is None:
            return Drawing(_drawn(figure), None)
        wide = next((path for path in self.files.landscape if path.name == f"{figure.name}-landscape.pdf"), None)
        try:
            with zipfile.ZipFile(self.files.archive) as archive:
                svg = archive.read(f"{FIGURES_FOLDER}/{figure.name}.svg")
            return Drawing(svg, None if wide is None else wide.read_bytes())
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ResultError(f"The figure {figure.name} of this job is gone; run the benchmark again.") from error


@lru_cache(_SHOWN)
def _drawn(figure: ReportFigure) -> bytes:
    """A figure of what is shipped, for which there is no file: the same for every visitor."""
    return figure_svg(figure.draw())


class Outcomes:
    """Outcomes of jobs, each by itself or several of the same data together, and of what is shipped."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        self._workbench = workbench
        self._manager = manager
        self._people = persona_names(workbench.data.personas)
        self._kept = lru_cache(_KEPT)(self._read)
        self._lock = threading.Lock()
        self._shipped: Outcome | None = None

    def shipped(self) -> list[Evaluation]:
        """What is shipped of the built-in models on the data of the page, every metric of its benchmark."""
        # Those of plug-ins are measured by whoever installs them.
        benchmark = self._workbench.data.benchmark
        own = (spec for spec in metrics_of(benchmark) if spec.benchmark == benchmark)
        metrics = [spec for spec in own if not outside_code(type(spec))]
        models = self._workbench.models(builtin_models(benchmark))
        gold = find_reference(models, GOLD)
        found = [self._workbench.shipped_evaluation(model, metrics, gold) for model in models]
        return [evaluation for evaluation in found if evaluation is not None]

    def of(self, job_id: str, others: Sequence[str] = ()) -> Outcome:
        """The outcome of a job that is done, or of `BUILT_IN`, with the models of others.

        Raises:
            JobError: for what is not a job id.
            ResultError: if results are gone or damaged, or too many jobs are to be put together.
            SalmuError: if they were not made on the same rows.
        """
        if len(others) > MOST_OTHERS:
            raise ResultError(f"{len(others)} jobs are more than fit one table; choose up to {MOST_OTHERS}.")
        # One at a time: several visitors who open the same job must not all compute its intervals.
        with self._lock:
            if job_id == BUILT_IN and not others:
                self._shipped = self._shipped or self._of_shipped()
                return self._shipped
            # With others beside them, those that are shipped come first whichever was opened.
            jobs = [job for job in (job_id, *others) if job != BUILT_IN]
            folder, *more = (self._manager.folder(job) for job in jobs)
            return self._kept(folder, tuple(more), BUILT_IN in (job_id, *others), _written(report_folder(folder)))

    def diagnoses(self, models: Sequence[ModelSource], own: Sequence[str]) -> dict[str, Label]:
        """What benchmarks on all rows of the page's data say of models, by their references.

        Args:
            models: the models; one whose weights have changed since is not the model that was measured.
            own: ids of the visitor's jobs, the newest first, which count before what is shipped.
        """
        found: dict[str, Label] = {}
        fingerprints = {model.reference: model.fingerprint for model in models}
        for job_id in (*own, BUILT_IN):
            missing = fingerprints.keys() - found.keys()
            if not missing or (job_id != BUILT_IN and not self._measured(job_id, missing)):
                continue
            with suppress(SalmuError):  # Gone, damaged or not shipped: then it says nothing.
                analysis = self.of(job_id).analysis
                for subject, model in zip(analysis.comparison.models, analysis.models, strict=True):
                    is_same = fingerprints.get(subject.reference) == subject.fingerprint
                    label = None if model.diagnosis is None else model.diagnosis.label
                    if subject.reference in missing and is_same and label not in (None, Label.UNKNOWN):
                        found[subject.reference] = label
        return found

    def _measured(self, job_id: str, models: Collection[str]) -> bool:
        """Whether a finished job measured one of these models on all rows of the page's data."""
        with suppress(JobError):
            job = self._manager.job(job_id)
            here = rows_of(job.spec) == whole_rows(self._workbench.data)
            return here and job.state is JobState.DONE and not set(job.spec.models).isdisjoint(models)
        return False

    def _of_shipped(self) -> Outcome:
        evaluations = self.shipped()
        if not evaluations:
            raise ResultError(NOTHING_SHIPPED)
        analysis = analyse(evaluations)
        return Outcome(analysis, None, tuple(report_figures(analysis, self._people)), None)

    def _read(self, folder: Path, others: tuple[Path, ...], with_shipped: bool, written: int) -> Outcome:
        """The outcome in a folder whose results were written at a time: they are again when attacks are attached."""
        files = _files(folder)
        if not others and not with_shipped:
            attacks = None if files.attacks is None else read_attacks(files.attacks)
            analysis = analyse(read_results(files.results))
            return Outcome(analysis, files, tuple(report_figures(analysis, self._people)), attacks)
        more = [found for other in others for found in read_results(_files(other).results)]
        own = read_results(files.results)
        analysis = analyse(with_others(self.shipped(), [*own, *more]) if with_shipped else with_others(own, more))
        # The folder goes with the outcome; what a visitor downloads is a copy.
        merged = TemporaryDirectory()
        bench = self._workbench
        everybody = verdicts_at_hand(bench, analysis, found_again(bench, analysis))
        files = write_reports(analysis, Path(merged.name), people=self._people, everybody=everybody)
        return Outcome(analysis, files, tuple(report_figures(analysis, self._people)), None, merged)


def _files(folder: Path) -> ReportFiles:
    files = find_reports(report_folder(folder)) or find_reports(folder / REPORT_FOLDER)
    if files is None:
        raise ResultError("The results of this job are gone; run the benchmark again.")
    return files


def _written(report: Path) -> int:
    """When the results of a report were written, in ns; 0 if there are none."""
    try:
        return (report / RESULTS_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def whole_rows(data: BenchmarkData) -> tuple[object, ...]:
    """What `rows_of` says of a benchmark on all rows of a data set."""
    return (data.name, None, None)


def rows_of(spec: JobSpec) -> tuple[object, ...] | None:
    """Which rows a job measures, or None if it is not a benchmark."""
    if not isinstance(spec, BenchmarkSpec):
        return None
    return (spec.data, spec.sample, spec.seed if spec.sample else None)
