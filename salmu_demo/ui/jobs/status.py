"""Jobs as markup: how far one is, the list of a visitor's own, and how busy the queue is."""

from collections.abc import Sequence
from html import escape
from typing import Final

from salmu_demo.core.progress import duration_words
from salmu_demo.jobs.job import UNLEARN, Job, JobSpec, JobState, UnlearningSpec
from salmu_demo.reports.text import counted
from salmu_demo.ui.jobs import text
from salmu_demo.ui.widgets.markup import CHOICE, notice
from salmu_demo.unlearning import UNRELATED

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
        f'<section class="card job" aria-label="{_kind(job.spec)} job"><p class="job-head">{state_badge(job.state)} '
        f'<span class="quiet">{escape(job_words(job.spec))}</span></p>{rest}</section>'
    )


def job_words(spec: JobSpec) -> str:
    """What a job does, in a few words; nothing for a damaged job.

    >>> job_words(JobSpec(("a", "b"), ("RetFail",))), job_words(JobSpec(("a",), ("RetFail",), sample=1200, seed=7))
    ('2 models, 1 metric, mini, all rows', '1 model, 1 metric, mini, sampled: 1,200 forget rows, seed 7')
    >>> job_words(JobSpec(("a",), (), seed=3, kind=UNLEARN, unlearning=UnlearningSpec("npo", "both", 6400)))
    'npo, towers both, 6,400 forget pairs, seed 3, mini'
    >>> stopping = UnlearningSpec("npo", "both", 6400, forget_level=0.2, retain_drop=0.1)
    >>> job_words(JobSpec(("a",), (), seed=3, kind=UNLEARN, unlearning=stopping))
    'npo, towers both, 6,400 forget pairs, stops at forget similarity 0.2 (oracle), stops at 10% less retain \
similarity, seed 3, mini'
    """
    if not spec.models:
        return ""
    if spec.unlearning is not None:
        asked = spec.unlearning
        settings = [f"{key} {value}" for key, value in asked.settings.items()]
        parts = [asked.method, *settings, f"towers {asked.towers}", f"{asked.budget:,} forget pairs"]
        return ", ".join([*parts, *_stop_words(asked), f"seed {spec.seed}", spec.data])
    rows = "all rows" if spec.sample is None else f"sampled: {spec.sample:,} forget rows, seed {spec.seed}"
    return ", ".join([counted(len(spec.models), "model"), counted(len(spec.metrics), "metric"), spec.data, rows])


def _stop_words(asked: UnlearningSpec) -> list[str]:
    """What ends an unlearning run before its budget is spent."""
    words = []
    if asked.forget_level == UNRELATED:
        words.append("stops once forget pairs look unrelated")
    elif asked.forget_level is not None:
        words.append(f"stops at forget similarity {asked.forget_level} (oracle)")
    if asked.retain_drop is not None:
        words.append(f"stops at {100 * asked.retain_drop:g}% less retain similarity")
    return words


def _kind(spec: JobSpec) -> str:
    return "Unlearning" if spec.kind == UNLEARN else "Benchmark"


def _progress(job: Job) -> str:
    elapsed = f"{clock(job.seconds)} elapsed"
    kind, progress = _kind(job.spec), job.progress
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
        failures = f'<p>Not every model could be measured:</p><ul class="job-error">{failures}</ul>'
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
    return " · ".join(filter(None, [job.submitted[:16].replace("T", " "), job_words(job.spec)]))


def queue_line(others: int) -> str:
    """How many jobs of other visitors run or wait; nothing when there are none."""
    if others <= 0:
        return ""
    words = text.QUEUE.format(jobs=counted(others, "job"), verb="is" if others == 1 else "are")
    return notice(words, "status")
