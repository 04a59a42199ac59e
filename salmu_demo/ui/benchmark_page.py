"""What the Benchmark tab shows of a visitor's jobs and of the results; no component is touched here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from salmu_demo.data import layout
from salmu_demo.errors import JobError
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.manager import JobManager
from salmu_demo.results.analysis import Analysis
from salmu_demo.ui import benchmark_text as text
from salmu_demo.ui.benchmark_figures import figures_view
from salmu_demo.ui.benchmark_groups import group_choices, groups_view
from salmu_demo.ui.benchmark_outcome import Outcome, Outcomes
from salmu_demo.ui.benchmark_pair import pair_choices, pair_view
from salmu_demo.ui.benchmark_results import diagnosis_cards, metric_tables, results_title
from salmu_demo.ui.benchmark_status import can_cancel, can_resume, job_list, job_panel, queue_line
from salmu_demo.ui.components import empty_state
from salmu_demo.ui.people import People
from salmu_demo.ui.state import is_job_id
from salmu_demo.ui.thumbnails import Thumbnails
from salmu_demo.workbench import Workbench

MOST_JOBS: Final = 20
"""Jobs a browser remembers, the newest first."""


@dataclass(frozen=True)
class JobPage:
    """The tab at one moment.

    Attributes:
        job_id: the job that is shown, or an empty text.
        panel: markup of that job, or of what to do.
        jobs: markup of the list of the visitor's jobs, or an empty text.
        queue: markup that says how busy the queue is, or an empty text.
        polling: whether the page has to ask again.
        can_cancel: whether the job can be cancelled.
        can_resume: whether it can go on.
        finished: its id if it has results to show, otherwise an empty text.
    """

    job_id: str
    panel: str
    jobs: str
    queue: str
    polling: bool = False
    can_cancel: bool = False
    can_resume: bool = False
    finished: str = ""


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


class BenchmarkPages:
    """Makes the tab's content."""

    def __init__(self, workbench: Workbench, manager: JobManager) -> None:
        self._data = workbench.data
        self._manager = manager
        self._outcomes = Outcomes(manager)
        self._people = People(workbench.data.personas)
        self._thumbnails = Thumbnails(workbench.data)
        self._forget_rows = {name: row for row, name in enumerate(workbench.data.split(layout.FORGET).file_names)}

    def page(self, job_id: str | None, own: Sequence[str], latest: bool = False) -> JobPage:
        """The tab with one job opened; of one that does not exist it says so.

        Args:
            job_id: the job, or None.
            own: ids of the visitor's jobs.
            latest: whether to open the visitor's latest job if `job_id` is None.
        """
        known = self._known(own)
        if job_id is None and latest and known:
            job_id = known[0].id
        jobs = job_list(known, job_id)
        queue = queue_line(self._manager.active - sum(not job.state.over for job in known))
        if job_id is None:
            return JobPage("", empty_state(text.EMPTY_TITLE, text.EMPTY), jobs, queue)
        try:
            job = self._manager.job(job_id)
        except JobError as error:
            return JobPage("", empty_state(text.NO_JOB_TITLE, str(error)), jobs, queue)
        return JobPage(
            job.id,
            self._panel(job),
            jobs,
            queue,
            polling=not job.state.over,
            can_cancel=can_cancel(job),
            can_resume=can_resume(job),
            finished=job.id if job.state is JobState.DONE else "",
        )

    def progress(self, job_id: str) -> str | None:
        """The panel of a job that goes on, or None if it does not."""
        try:
            job = self._manager.job(job_id)
        except JobError:
            return None
        return None if job.state.over else self._panel(job)

    def results(self, job_id: str) -> ResultPage:
        """The results of a finished job; raises :class:`SalmuError` if they are gone or damaged."""
        outcome = self._outcomes.of(job_id)
        analysis = outcome.analysis
        return ResultPage(
            outcome=outcome,
            head=results_title(analysis) + diagnosis_cards(analysis),
            metrics=metric_tables(analysis),
            figures=figures_view(outcome.figures, outcome.figure_png, analysis.comparison.data),
            models=pair_choices(analysis),
            groups=group_choices(analysis),
        )

    def pair(self, job_id: str, first: int, second: int) -> str:
        """Two models of a finished job against each other; raises as :meth:`results`."""
        analysis = self._outcomes.of(job_id).analysis
        is_here = self._is_here(analysis)
        people = self._people if is_here else People()
        return pair_view(analysis, first, second, people, self._picture if is_here else None)

    def groups(self, job_id: str, metric: str | None, order_by: int) -> str:
        """A metric of a finished job by kind and by persona; raises as :meth:`results`."""
        analysis = self._outcomes.of(job_id).analysis
        return groups_view(analysis, metric, order_by, self._people if self._is_here(analysis) else People())

    def _panel(self, job: Job) -> str:
        return job_panel(job, self._manager.position(job.id))

    def _known(self, own: Sequence[str]) -> list[Job]:
        """The jobs that still exist."""
        found = []
        for job_id in own:
            try:
                found.append(self._manager.job(job_id))
            except JobError:
                # Its folder was removed.
                continue
        return found

    def _is_here(self, analysis: Analysis) -> bool:
        return analysis.comparison.data.fingerprint == self._data.fingerprint

    def _picture(self, file_name: str) -> str | None:
        row = self._forget_rows.get(file_name)
        return None if row is None else self._thumbnails.address(layout.FORGET, row)


def own_ids(value: Any) -> list[str]:
    """The job ids a browser remembers; what a visitor may have put there instead is left out.

    >>> own_ids(["k3Jf0-_aZ9qLmN4tRv7wXy", "../x", 7]), own_ids("text")
    (['k3Jf0-_aZ9qLmN4tRv7wXy'], [])
    """
    return list(filter(is_job_id, value))[:MOST_JOBS] if isinstance(value, list) else []


def with_job(job_id: str, own: Sequence[str]) -> list[str]:
    """The ids with one more in front.

    >>> with_job("b", ["a", "b"])
    ['b', 'a']
    """
    return [job_id, *(known for known in own if known != job_id)][:MOST_JOBS]
