"""Jobs as markup: how far one is, the list of a visitor's own, and how busy the queue is."""

from collections.abc import Sequence
from html import escape
from typing import Final

from salmu_demo.core.progress import duration_words
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds import failed_of, title_of, words_of
from salmu_demo.reports.text import counted
from salmu_demo.ui.jobs import text
from salmu_demo.ui.widgets.markup import CHOICE, notice

_STATES: Final = {
    JobState.QUEUED: ("◷", "Waiting", "partly"),
    JobState.RUNNING: ("▶", "Running", "running"),
    JobState.CANCELLING: ("■", "Cancelling after this batch", "partly"),
    JobState.CANCELLED: ("■", "Cancelled", "unknown"),
    JobState.DONE: ("✓", "Finished", "forgotten"),
    JobState.FAILED: ("✗", "Failed", "leaks"),
    JobState.INTERRUPTED: ("‖", "Interrupted", "partly"),
}
"""Icon, words and colour of each state."""

_UNDER_WAY: Final = ("▶", "Under way", "running")
"""Of a job that is not over, where its state is not followed."""

_STOPPED: Final = {
    JobState.CANCELLED: "It was stopped after {clock}.",
    JobState.DONE: "It took {clock}.",
    JobState.FAILED: "It stopped after {clock}.",
    JobState.INTERRUPTED: "The server stopped before this job was over, after {clock} of work.",
}


def clock(seconds: float) -> str:
    """A duration as on a stop watch.

    >>> clock(42.9), clock(3725)
    ('0:42', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def can_resume(job: Job) -> bool:
    """Whether a job can go on from where it stopped; a damaged one has forgotten what it was to do."""
    return bool(job.spec.models) and job.state in (JobState.CANCELLED, JobState.FAILED, JobState.INTERRUPTED)


def can_cancel(job: Job) -> bool:
    """Whether a job can still be stopped."""
    return job.state in (JobState.QUEUED, JobState.RUNNING)


def state_badge(state: JobState) -> str:
    """A state as icon, words and colour.

    >>> state_badge(JobState.DONE)
    '<span class="verdict verdict-forgotten"><span aria-hidden="true">✓</span> Finished</span>'
    """
    return _badge(*_STATES[state])


def _badge(icon: str, words: str, css: str) -> str:
    return f'<span class="verdict verdict-{css}"><span aria-hidden="true">{icon}</span> {words}</span>'


def job_panel(job: Job, position: int | None) -> str:
    """How a job is: its state, what it does, how far it is or how it ended.

    Args:
        job: the job.
        position: how many jobs wait before it, if it waits.
    """
    if job.state.over:
        rest = _end(job)
    elif job.state is JobState.QUEUED:
        rest = (
            f'<p role="status">{text.WAITS.format(before=counted(position, "job")) if position else text.IS_NEXT}</p>'
        )
    else:
        rest = _progress(job)
    return (
        f'<section class="card job" aria-label="{title_of(job.spec)} job"><p class="job-head">{state_badge(job.state)} '
        f'<span class="quiet">{escape(words_of(job.spec))}</span></p>{rest}</section>'
    )


def _progress(job: Job) -> str:
    elapsed = f"{clock(job.seconds)} elapsed"
    kind, progress = title_of(job.spec), job.progress
    if progress is None:
        return f'{_bar(kind, 0, f"Starting, {elapsed}")}<p class="words">Starting · {elapsed}</p>'
    percent = int(100 * progress.fraction)
    left = "" if progress.remaining is None else f"{duration_words(progress.remaining)} left"
    words = " · ".join(filter(None, [f"{progress.text}, {progress.done:,} of {progress.total:,}", elapsed, left]))
    return f'{_bar(kind, percent, words)}<p class="words"><b>{percent} %</b> {escape(words)}</p>'


def _bar(kind: str, percent: int, words: str) -> str:
    return (
        f'<div class="meter" role="progressbar" aria-label="{kind}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{escape(words)}"><span style="width:{percent}%"></span></div>'
    )


def _end(job: Job) -> str:
    words = _STOPPED[job.state].format(clock=clock(job.seconds))
    error = f'<p class="job-error">{escape(job.error)}</p>' if job.error else ""
    failures = "".join(f"<li>{escape(failure)}</li>" for failure in job.failures)
    if failures:
        failures = f'<p>{failed_of(job.spec)}:</p><ul class="job-error">{failures}</ul>'
    hint = notice(text.RESUME, "quiet") if can_resume(job) else ""
    return f'<p role="status">{escape(words)}</p>{error}{failures}{hint}'


def job_list(jobs: Sequence[Job], chosen: str | None) -> str:
    """A button for each of a visitor's jobs."""
    if not jobs:
        return ""
    badges = [_badge(*(_STATES[job.state] if job.state.over else _UNDER_WAY)) for job in jobs]
    items = "".join(
        f'<li><button type="button" class="job-button" {CHOICE}="{escape(job.id)}" '
        f'aria-pressed="{str(job.id == chosen).lower()}">{badge} '
        f'<span class="job-models">{escape(", ".join(job.spec.models))}</span> '
        f'<span class="quiet">{escape(_when(job))}</span></button></li>'
        for job, badge in zip(jobs, badges, strict=True)
    )
    return f'<ul class="jobs" aria-label="Your jobs">{items}</ul>'


def _when(job: Job) -> str:
    """When a job was submitted, to the minute, and what it does."""
    return " · ".join(filter(None, [job.submitted[:16].replace("T", " "), words_of(job.spec)]))


def queue_line(others: int) -> str:
    """How many jobs of other visitors run or wait; nothing when there are none."""
    if others <= 0:
        return ""
    words = text.QUEUE.format(jobs=counted(others, "job"), verb="is" if others == 1 else "are")
    return notice(words, "status")
