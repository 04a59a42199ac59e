"""Jobs as markup: how far one is, the list of a visitor's own, and how busy the queue is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from salmu_demo.core.markup import render
from salmu_demo.core.progress import duration_words
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds import failed_of, title_of, words_of
from salmu_demo.reports.text import counted
from salmu_demo.ui.widgets.markup import notice

ESTIMATED: Final = "Estimated before the start: {time} on this machine."
WAITS: Final = "{before} before yours in the queue."
IS_NEXT: Final = "Yours is next: it starts when the running job is over."
QUEUE: Final = "{jobs} of other visitors {verb} running or waiting; a new one takes its turn."
LINK: Final = "Opens the job on any device. Anyone with the link can see, cancel and resume the job."
RESUME: Final = "What is finished is kept: Resume goes on from there."
NO_JOB_TITLE: Final = "Job not found"

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


def job_panel(job: Job, position: int | None) -> Markup:
    """How a job is: its state, what it does, how far it is or how it ended.

    Args:
        job: the job.
        position: how many jobs wait before it, if it waits.
    """
    about = {"kind": title_of(job.spec), "state": _STATES[job.state], "words": words_of(job.spec)}
    if job.state.over:
        return render(
            "ui/templates/jobs.html#over",
            **about,
            line=_STOPPED[job.state].format(clock=clock(job.seconds)),
            error=job.error,
            failed=f"{failed_of(job.spec)}:",
            failures=job.failures,
            hint=RESUME if can_resume(job) else "",
        )
    if job.state is JobState.QUEUED:
        line = WAITS.format(before=counted(position, "job")) if position else IS_NEXT
        return render("ui/templates/jobs.html#waiting", **about, line=line)
    elapsed, progress = f"{clock(job.seconds)} elapsed", job.progress
    if progress is None:
        words = {"spoken": f"Starting, {elapsed}", "line": f"Starting · {elapsed}"}
        return render("ui/templates/jobs.html#running", **about, percent=None, **words)
    left = "" if progress.remaining is None else f"{duration_words(progress.remaining)} left"
    line = " · ".join(filter(None, [f"{progress.text}, {progress.done:,} of {progress.total:,}", elapsed, left]))
    percent = int(100 * progress.fraction)
    return render("ui/templates/jobs.html#running", **about, percent=percent, spoken=line, line=line)


@dataclass(frozen=True)
class _OwnJob:
    """One of a visitor's jobs in a few words."""

    id: str
    state: tuple[str, str, str]
    models: str
    words: str
    chosen: bool


def job_list(jobs: Sequence[Job], chosen: str | None) -> Markup:
    """A button for each of a visitor's jobs."""
    shown = [
        _OwnJob(
            id=job.id,
            state=_STATES[job.state] if job.state.over else _UNDER_WAY,
            models=", ".join(job.spec.models),
            # To the minute.
            words=" · ".join(filter(None, [job.submitted[:16].replace("T", " "), words_of(job.spec)])),
            chosen=job.id == chosen,
        )
        for job in jobs
    ]
    return render("ui/templates/jobs.html#own", jobs=shown) if shown else Markup()


def queue_line(others: int) -> Markup:
    """How many jobs of other visitors run or wait; nothing when there are none."""
    if others <= 0:
        return Markup()
    return notice(QUEUE.format(jobs=counted(others, "job"), verb="is" if others == 1 else "are"), "status")
