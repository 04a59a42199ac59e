"""What the Benchmark tab shows of jobs and their results; no component is touched here."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from salmu_demo.attacks.document import read_attacks
from salmu_demo.core.errors import JobError, ModelError, QueryError, SalmuError
from salmu_demo.data import layout
from salmu_demo.data.source import is_clear
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.attack import AttackSpec
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import REFERENCES, SCALE, Told
from salmu_demo.models.source import ModelSource, name_of
from salmu_demo.probes.matrix import count_sentences
from salmu_demo.reports.text import listed
from salmu_demo.results.analysis import Analysis
from salmu_demo.ui.jobs.outcomes import BUILT_IN, Outcome, Outcomes, rows_of, whole_rows
from salmu_demo.ui.jobs.page import JobPage, JobPages
from salmu_demo.ui.shell.view import PagePersonas
from salmu_demo.ui.tabs.benchmark import text
from salmu_demo.ui.tabs.benchmark.clear import summary
from salmu_demo.ui.tabs.benchmark.results import (
    attacks_view,
    audits_view,
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


@dataclass(frozen=True)
class ResultPage:
    """The results of a finished job, or those that are shipped, in the order they are read.

    Attributes:
        outcome: what the job left.
        head: title and diagnosis.
        metrics: tables of all metrics.
        attacks: what attacks found in the models, or that none was run.
        can_attack: whether there is a model to attack.
        models: label and number of each model.
        groups: names of the metrics that can be broken down.
    """

    outcome: Outcome
    head: str
    metrics: str
    attacks: str
    can_attack: bool
    models: list[tuple[str, int]]
    groups: list[str]

    @property
    def pair(self) -> tuple[int, int]:
        """Numbers of the two models that are compared first: the first reference and the last model."""
        return 0, len(self.models) - 1


def _not_attacked(is_job: bool, can_attack: bool, of_clear: bool) -> str:
    if of_clear:
        return text.NO_ATTACKS_ON_CLEAR
    if not is_job:
        return text.ATTACK_ABOVE
    return text.NOT_ATTACKED if can_attack else text.NOTHING_TO_ATTACK


class BenchmarkPages(JobPages):
    """Makes the tab's content."""

    def __init__(
        self,
        workbench: Workbench,
        manager: JobManager,
        outcomes: Outcomes | None = None,
        can_be_audited: Callable[[ModelSource], bool] | None = None,
    ) -> None:
        """Take what is evaluated, its jobs, their results if others read them too, and whose audits are at hand."""
        super().__init__(manager, BENCHMARK, empty_state(text.EMPTY_TITLE, text.EMPTY))
        self._workbench = workbench
        self._data = workbench.data
        self._outcomes = outcomes or Outcomes(workbench, manager)
        self._can_be_audited = can_be_audited or workbench.has_verdicts
        self._people = PagePersonas(workbench.data.personas)
        self._thumbnails = Thumbnails(workbench.data)
        self._forget_rows = {name: row for row, name in enumerate(workbench.data.split(layout.FORGET).file_names)}

    def page(self, job_id: str | None, own: Sequence[str], latest: bool = False) -> JobPage:
        """The tab with one job opened, see `JobPages.page`; of attacks on an evaluation it is the evaluation.

        Without any it shows the results that are shipped.
        """
        evaluation = self.attacked_by(job_id)
        page = super().page(evaluation if self.shows(evaluation) else job_id, own, latest)
        if page.job_id or not self._outcomes.shipped():
            return page
        return replace(page, finished=BUILT_IN, panel="" if job_id is None else page.panel)

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
            return job_id not in ("", BUILT_IN) and not set(models).isdisjoint(self.compared(job_id)[0])
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
        here = whole_rows(self._data)
        rows = here if job_id == BUILT_IN else rows_of(self._manager.job(job_id).spec)
        found = []
        if job_id != BUILT_IN and rows == here and self._outcomes.shipped():
            found.append((text.BUILT_IN, BUILT_IN))
        for other in own:
            with suppress(JobError):
                job = self._manager.job(other)
                if other != job_id and job.state is JobState.DONE and rows_of(job.spec) == rows:
                    names = listed([name_of(reference) for reference in dict.fromkeys(job.spec.models)])
                    found.append((f"{names}, job {other[:6]}", other))
        return found

    def results(self, job_id: str, others: Sequence[str] = ()) -> ResultPage:
        """The results of a finished job, beside those of others; raises `SalmuError` if they are gone or damaged."""
        outcome = self._outcomes.of(job_id, others)
        analysis = outcome.analysis
        of_clear, is_job = is_clear(analysis.comparison.data.name), job_id != BUILT_IN and not others
        is_one = any(role.name not in SCALE for role in analysis.roles)
        can_attack = is_job and not of_clear and self._is_here(analysis) and is_one
        title = results_title(analysis, text.BUILT_IN_ABOUT if job_id == BUILT_IN else "")
        return ResultPage(
            outcome=outcome,
            head=title + (summary if of_clear else diagnosis_cards)(analysis),
            metrics=metric_tables(analysis),
            attacks=(
                empty_state(text.NOT_ATTACKED_TITLE, _not_attacked(is_job, can_attack, of_clear))
                if outcome.attacks is None
                else attacks_view(outcome.attacks)
            ),
            can_attack=can_attack,
            models=pair_choices(analysis),
            groups=group_choices(analysis),
        )

    def figures(self, job_id: str, others: Sequence[str] = ()) -> str:
        """All figures of finished jobs, which take longest; raises as `results`."""
        outcome = self._outcomes.of(job_id, others)
        is_here = self._is_here(outcome.analysis)
        data, address = outcome.analysis.comparison.data, self._people.address if is_here else None
        return figures_view(outcome.figures, outcome.drawing, data, address)

    def audits(self, job_id: str, others: Sequence[str] = ()) -> str:
        """What the audits say of the same models, as far as they are at hand; raises as `results`."""
        analysis = self._outcomes.of(job_id, others).analysis
        if not self._is_here(analysis) or is_clear(analysis.comparison.data.name):
            return ""
        subjects = analysis.comparison.models
        found: dict[str, ModelSource] = {}
        for subject in subjects:
            with suppress(ModelError):  # It is gone, so nobody can audit it.
                [model] = self._workbench.models([subject.reference])
                if model.fingerprint == subject.fingerprint and self._can_be_audited(model):
                    found[subject.reference] = model
        held = {role.name: model.reference for role, model in zip(analysis.roles, subjects, strict=True)}
        told = Told(*(held.get(role) for role in REFERENCES)).among(found)
        every = self._workbench.matrices(list(found.values()), told)
        names = {subject.reference: subject.name for subject in subjects}
        sentences = {matrix.model.reference: count_sentences(matrix, every, names) for matrix in every}
        return audits_view(analysis, [" ".join(sentences.get(subject.reference, [])) for subject in subjects])

    def pair(self, job_id: str, first: int, second: int, others: Sequence[str] = ()) -> str:
        """Two models of finished jobs against each other; raises as `results`."""
        analysis = self._outcomes.of(job_id, others).analysis
        is_here = self._is_here(analysis)
        people = self._people if is_here else PagePersonas()
        return pair_view(analysis, first, second, people, self._image if is_here else None)

    def groups(self, job_id: str, metric: str | None, order_by: int, others: Sequence[str] = ()) -> str:
        """A metric of finished jobs by kind and by persona; raises as `results`."""
        analysis = self._outcomes.of(job_id, others).analysis
        return groups_view(analysis, metric, order_by, self._people if self._is_here(analysis) else PagePersonas())

    def _is_here(self, analysis: Analysis) -> bool:
        return analysis.comparison.data.fingerprint == self._data.fingerprint

    def _image(self, file_name: str) -> str | None:
        row = self._forget_rows.get(file_name)
        return None if row is None else self._thumbnails.address(layout.FORGET, row)
