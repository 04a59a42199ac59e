"""What a tab shows of a visitor's jobs of one kind; no component is touched here."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from salmu_demo.core.errors import JobError
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui.jobs.status import NO_JOB_TITLE, can_cancel, can_resume, job_list, job_panel, queue_line
from salmu_demo.ui.shell.view import TAB_OF_JOBS, is_job_id
from salmu_demo.ui.widgets.markup import empty_state

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
        live: markup of what the job has found out so far, or an empty text.
        polling: whether the page has to ask again.
        can_cancel: whether the job can be cancelled.
        can_keep: whether it can leave what there is of its result then.
        can_resume: whether it can go on.
        finished: its id if it has results to show, otherwise an empty text.
    """

    job_id: str
    panel: str
    jobs: str
    queue: str
    live: str = ""
    polling: bool = False
    can_cancel: bool = False
    can_keep: bool = False
    can_resume: bool = False
    finished: str = ""


@dataclass(frozen=True)
class JobMoment:
    """What changes of the tab while a job goes on; see `JobPage`."""

    panel: str
    live: str
    can_cancel: bool
    can_keep: bool


class JobPages:
    """Makes what a tab shows of jobs.

    Attributes:
        kind: the kind of jobs.
        tab: the tab that shows them.
    """

    def __init__(self, manager: JobManager, kind: str, empty: str, tab: str = "") -> None:
        """Take the jobs and the markup of a tab without any; the tab is named as the kind unless it is given."""
        self.kind = kind
        self.tab = tab or kind
        self._manager = manager
        self._empty = empty

    def page(self, job_id: str | None, own: Sequence[str], latest: bool = False) -> JobPage:
        """The tab with one job opened; of one that does not exist it says so.

        Args:
            job_id: the job, or None; one of another kind counts as None.
            own: ids of the visitor's jobs.
            latest: whether to open the visitor's latest job if there is none to open.
        """
        everything = self._known(own)
        known = [job for job in everything if self._is_shown(job)]
        queue = queue_line(self._manager.active - sum(not job.state.over for job in everything))
        found = self._find(job_id) if job_id else None
        if isinstance(found, JobError):
            return JobPage("", empty_state(NO_JOB_TITLE, str(found)), job_list(known, job_id), queue)
        if (found is None or not self._is_shown(found)) and latest and known:
            found = known[0]
        if found is None or not self._is_shown(found):
            return JobPage("", self._empty, job_list(known, None), queue)
        return JobPage(
            found.id,
            self._panel(found),
            job_list(known, found.id),
            queue,
            live=self.live(found),
            polling=not found.state.over,
            can_cancel=can_cancel(found),
            can_keep=self.can_keep(found),
            can_resume=can_resume(found),
            finished=found.id if self.has_results(found) else "",
        )

    def progress(self, job_id: str) -> JobMoment | None:
        """What there is to say of a job that goes on, or None if it does not."""
        found = self._find(job_id)
        if isinstance(found, JobError) or found.state.over:
            return None
        return JobMoment(self._panel(found), self.live(found), can_cancel(found), self.can_keep(found))

    def shows(self, job_id: str | None) -> bool:
        """Whether there is such a job, and these pages show it."""
        found = self._find(job_id) if job_id else None
        return isinstance(found, Job) and self._is_shown(found)

    def leaves_view(self, job_id: str | None) -> bool:
        """Whether these pages leave the view's job as it is when their tab is opened.

        Where a tab shows several kinds of jobs, only the one it is named after chooses a job for the view, and not in
        place of another kind's.
        """
        if self.tab != self.kind:
            return True
        found = self._find(job_id) if job_id else None
        return isinstance(found, Job) and not self._is_shown(found) and TAB_OF_JOBS.get(found.spec.kind) == self.tab

    def live(self, job: Job) -> str:
        """Markup of what a job has found out so far; nothing unless its kind tells."""
        return ""

    def can_keep(self, job: Job) -> bool:
        """Whether a job that is cancelled now can leave what there is of its result; not unless its kind can."""
        return False

    def has_results(self, job: Job) -> bool:
        """Whether a job has results to show."""
        return job.state is JobState.DONE

    def _is_shown(self, job: Job) -> bool:
        # A damaged job has forgotten its kind, so that every tab shows it.
        return job.spec.kind in (self.kind, "")

    def _find(self, job_id: str) -> Job | JobError:
        try:
            return self._manager.job(job_id)
        except JobError as error:
            return error

    def _panel(self, job: Job) -> str:
        return job_panel(job, self._manager.position(job.id))

    def _known(self, own: Sequence[str]) -> list[Job]:
        """The jobs that still exist."""
        found = []
        for job_id in own:
            with suppress(JobError):  # Its folder was removed.
                found.append(self._manager.job(job_id))
        return found


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
