"""What the Benchmark tab shows of jobs and their results; no component is touched here."""

import threading
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from salmu_demo.attacks.document import read_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.errors import JobError, QueryError, ResultError, SalmuError
from salmu_demo.data import layout
from salmu_demo.data.source import is_clear
from salmu_demo.jobs.job import Job, JobSpec, JobState
from salmu_demo.jobs.kinds.attack import AttackSpec
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER, BenchmarkSpec, report_folder
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import REFERENCES, SCALE, Told
from salmu_demo.models.source import name_of
from salmu_demo.reports.figures import report_figures
from salmu_demo.reports.files import ReportFiles, find_reports, write_reports
from salmu_demo.reports.markdown import FIGURES_FOLDER
from salmu_demo.reports.report import MissingFigure, ReportFigure
from salmu_demo.reports.text import listed
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.document import RESULTS_FILE, read_results
from salmu_demo.results.merging import with_others
from salmu_demo.ui.jobs.page import JobPage, JobPages
from salmu_demo.ui.shell.view import People
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.clear import summary
from salmu_demo.ui.tabs.benchmark.results import (
    Drawing,
    attacks_view,
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

MOST_OTHERS: Final = 8
"""Jobs whose models stand beside those of another one."""


@dataclass(frozen=True)
class Outcome:
    """What a finished job left.

    Attributes:
        analysis: the results.
        files: everything to download.
        figures: all figures.
        attacks: what attacks found in its models, or None.
        folder: that of the files, if they go with this.
    """

    analysis: Analysis
    files: ReportFiles
    figures: tuple[ReportFigure | MissingFigure, ...]
    attacks: AttacksDocument | None
    folder: "TemporaryDirectory[str] | None" = None

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
    """Outcomes of jobs, each by itself or several of the same data together."""

    def __init__(self, manager: JobManager, people: Mapping[str, str]) -> None:
        self._manager = manager
        self._people = people
        self._kept = lru_cache(_KEPT)(self._read)
        self._lock = threading.Lock()

    def of(self, job_id: str, others: Sequence[str] = ()) -> Outcome:
        """The outcome of a job that is done, with the models of others.

        Raises:
            JobError: for what is no job id.
            ResultError: if results are gone or damaged, or too many jobs are to be put together.
            SalmuError: if they were not made on the same rows.
        """
        if len(others) > MOST_OTHERS:
            raise ResultError(f"{len(others)} jobs are more than fit one table; choose up to {MOST_OTHERS}.")
        # One at a time: several visitors who open the same job must not all compute its intervals.
        with self._lock:
            folder = self._manager.folder(job_id)
            more = tuple(self._manager.folder(other) for other in others)
            return self._kept(folder, more, _written(report_folder(folder)))

    def _read(self, folder: Path, others: tuple[Path, ...], written: int) -> Outcome:
        """The outcome in a folder whose results were written at a time: they are again when attacks are attached."""
        files = _files(folder)
        if not others:
            attacks = None if files.attacks is None else read_attacks(files.attacks)
            analysis = analyse(read_results(files.results))
            return Outcome(analysis, files, tuple(report_figures(analysis, self._people)), attacks)
        more = [found for other in others for found in read_results(_files(other).results)]
        analysis = analyse(with_others(read_results(files.results), more))
        # The folder goes with the outcome; what a visitor downloads is a copy.
        merged = TemporaryDirectory()
        files = write_reports(analysis, Path(merged.name), people=self._people)
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


@dataclass(frozen=True)
class ResultPage:
    """The results of a finished job, in the order they are read.

    Attributes:
        outcome: what the job left.
        head: title and diagnosis.
        metrics: tables of all metrics.
        figures: all figures.
        attacks: what attacks found in the models, or that none was run.
        can_attack: whether there is a model to attack.
        models: label and number of each model.
        groups: names of the metrics that can be broken down.
    """

    outcome: Outcome
    head: str
    metrics: str
    figures: str
    attacks: str
    can_attack: bool
    models: list[tuple[str, int]]
    groups: list[str]

    @property
    def pair(self) -> tuple[int, int]:
        """Numbers of the two models that are compared first: the first reference and the last model."""
        return 0, len(self.models) - 1


def _measures_the_same(spec: JobSpec, other: JobSpec) -> bool:
    """Whether two jobs are benchmarks of the same rows."""
    if not isinstance(spec, BenchmarkSpec) or not isinstance(other, BenchmarkSpec):
        return False
    return (spec.data, spec.sample) == (other.data, other.sample) and (not spec.sample or spec.seed == other.seed)


class BenchmarkPages(JobPages):
    """Makes the tab's content."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        super().__init__(manager, BENCHMARK, empty_state(text.EMPTY_TITLE, text.EMPTY))
        self._data = workbench.data
        self._outcomes = Outcomes(manager, persona_names(workbench.data.personas))
        self._people = People(workbench.data.personas)
        self._thumbnails = Thumbnails(workbench.data)
        self._forget_rows = {name: row for row, name in enumerate(workbench.data.split(layout.FORGET).file_names)}

    def page(self, job_id: str | None, own: Sequence[str], latest: bool = False) -> JobPage:
        """The tab with one job opened, see `JobPages.page`; of attacks on an evaluation it is the evaluation."""
        evaluation = self.attacked_by(job_id)
        return super().page(evaluation if self.shows(evaluation) else job_id, own, latest)

    def attacked_by(self, job_id: str | None) -> str | None:
        """The evaluation that a job of attacks belongs to, or None."""
        job = self._find(job_id) if job_id else None
        return job.spec.evaluation if isinstance(job, Job) and isinstance(job.spec, AttackSpec) else None

    def tells_of(self, job_id: str, attacks: str) -> bool:
        """Whether the results of a finished job tell what a finished job of attacks found."""
        if not job_id or self.attacked_by(attacks) != job_id:
            return False
        with suppress(SalmuError):  # Gone or damaged: they tell nothing.
            told = self._outcomes.of(job_id).attacks
            return told is not None and told.date == read_attacks(self._manager.folder(attacks) / REPORT_FOLDER).date
        return False

    def measured(self, job_id: str, models: Sequence[str]) -> bool:
        """Whether the results of a finished job are about some of these models, on the data of the page."""
        with suppress(SalmuError):
            return bool(job_id) and not set(models).isdisjoint(self.compared(job_id)[0])
        return False

    def compared(self, job_id: str) -> tuple[list[str], Told]:
        """References of the models of a finished job, and which of them are references.

        Raises:
            QueryError: if they were measured on other data than the page's.
            SalmuError: as `results`.
        """
        analysis = self._outcomes.of(job_id).analysis
        if not self._is_here(analysis):
            raise QueryError(text.OTHER_DATA)
        models = [model.reference for model in analysis.comparison.models]
        held = {role.name: model for role, model in zip(analysis.roles, models, strict=True)}
        return models, Told(*(held.get(role) for role in REFERENCES))

    def companions(self, job_id: str, own: Sequence[str]) -> list[tuple[str, str]]:
        """Label and id of each of the visitor's finished jobs whose models can stand beside those of a job."""
        found = []
        shown = self._manager.job(job_id).spec
        for other in own:
            with suppress(JobError):
                job = self._manager.job(other)
                if other != job_id and job.state is JobState.DONE and _measures_the_same(job.spec, shown):
                    names = listed([name_of(reference) for reference in dict.fromkeys(job.spec.models)])
                    found.append((f"{names}, job {other[:6]}", other))
        return found

    def results(self, job_id: str, others: Sequence[str] = ()) -> ResultPage:
        """The results of a finished job, beside those of others; raises `SalmuError` if they are gone or damaged."""
        outcome = self._outcomes.of(job_id, others)
        analysis = outcome.analysis
        of_clear = is_clear(analysis.comparison.data.name)
        is_one = any(role.name not in SCALE for role in analysis.roles)
        can_attack = not others and not of_clear and self._is_here(analysis) and is_one
        nothing = text.NO_ATTACKS_ON_CLEAR if of_clear else text.NOTHING_TO_ATTACK
        return ResultPage(
            outcome=outcome,
            head=results_title(analysis) + (summary if of_clear else diagnosis_cards)(analysis),
            metrics=metric_tables(analysis),
            figures=figures_view(
                outcome.figures,
                outcome.drawing,
                analysis.comparison.data,
                self._people.address if self._is_here(analysis) else None,
            ),
            attacks=(
                empty_state(text.NOT_ATTACKED_TITLE, text.NOT_ATTACKED if can_attack else nothing)
                if outcome.attacks is None
                else attacks_view(outcome.attacks)
            ),
            can_attack=can_attack,
            models=pair_choices(analysis),
            groups=group_choices(analysis),
        )

    def pair(self, job_id: str, first: int, second: int, others: Sequence[str] = ()) -> str:
        """Two models of finished jobs against each other; raises as `results`."""
        analysis = self._outcomes.of(job_id, others).analysis
        is_here = self._is_here(analysis)
        people = self._people if is_here else People()
        return pair_view(analysis, first, second, people, self._image if is_here else None)

    def groups(self, job_id: str, metric: str | None, order_by: int, others: Sequence[str] = ()) -> str:
        """A metric of finished jobs by kind and by persona; raises as `results`."""
        analysis = self._outcomes.of(job_id, others).analysis
        return groups_view(analysis, metric, order_by, self._people if self._is_here(analysis) else People())

    def _is_here(self, analysis: Analysis) -> bool:
        return analysis.comparison.data.fingerprint == self._data.fingerprint

    def _image(self, file_name: str) -> str | None:
        row = self._forget_rows.get(file_name)
        return None if row is None else self._thumbnails.address(layout.FORGET, row)
