"""What a job is: what was asked for, how far it is, and how it ended. Plain values, to JSON and back."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.source import MINI
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.roles import NOTHING_TOLD, REFERENCES, Told

BENCHMARK: Final = "benchmark"
UNLEARN: Final = "unlearn"


class JobState(StrEnum):
    """Where a job is in its life; see :attr:`over`."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def over(self) -> bool:
        """Whether nothing happens to the job any more, unless someone resumes it."""
        return self not in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


@dataclass(frozen=True)
class UnlearningSpec:
    """What a job of the kind `unlearn` is to do, beside its base model, data and seed.

    Attributes:
        method: name of the method.
        towers: which towers may change.
        budget: forget pairs that go through the model.
        settings: hyperparameters that are not at their defaults, by name.
        forget_level: when to stop earlier, see :class:`salmu_demo.unlearning.plan.StopRules`.
        retain_drop: the same.
    """

    method: str
    towers: str
    budget: int
    settings: dict[str, float | str] = field(default_factory=dict)
    forget_level: str | float | None = None
    retain_drop: float | None = None


@dataclass(frozen=True)
class JobSpec:
    """What a job is to do.

    Attributes:
        models: references of models: those to measure, or the one to start from.
        metrics: names of metrics.
        data: reference of the data set.
        sample: number of `forget` rows to measure, or None for all rows.
        seed: seed of the sample, or of an unlearning run.
        imagenet: ImageNet-1k validation folder for GenKnow, or None.
        architectures: open_clip architecture by model reference, for bare weight files.
        kind: which work it is, a key of :data:`salmu_demo.jobs.kinds.KINDS`.
        trust_pickle: whether the user has said that pickles of this machine may be read; only the command line asks.
        unlearning: of a job of the kind `unlearn`, otherwise None.
        told: which of the models are the references, as far as the user has said so.
    """

    models: tuple[str, ...]
    metrics: tuple[str, ...]
    data: str = MINI
    sample: int | None = None
    seed: int = SEED
    imagenet: str | None = None
    architectures: dict[str, str] = field(default_factory=dict)
    kind: str = BENCHMARK
    trust_pickle: bool = False
    unlearning: UnlearningSpec | None = None
    told: Told = NOTHING_TOLD


@dataclass(frozen=True)
class JobProgress(Progress):
    """How far a job is.

    Attributes:
        fraction: how much of all its work is done, 0 to 1; it never goes back, not even when the job is resumed.
        remaining: seconds it will still take: at its recent pace, before that as it was estimated; None if unknown.
    """

    fraction: float
    remaining: float | None = None

    @classmethod
    def of(cls, progress: Progress, fraction: float, remaining: float | None = None) -> "JobProgress":
        """How far a job is while one of its parts is so far."""
        return cls(**vars(progress), fraction=fraction, remaining=remaining)


Report = Callable[[JobProgress], None]
"""Given to the work of a job; called at least once a batch. It raises to stop the work."""


@dataclass(frozen=True)
class Job:
    """A job at one moment.

    Attributes:
        id: unguessable; whoever holds it may see the job and cancel it.
        spec: what it is to do.
        state: where it is in its life.
        submitted: when it was submitted, UTC, ISO 8601.
        started: when it first ran, or None.
        ended: when it was over, or None.
        seconds: how long it has worked, summed over all times it was resumed.
        progress: its latest report, or None before the first.
        error: one sentence, if it failed.
        failures: one sentence for each part that could not be done while the rest was.
        owner: hash of who submitted it, or an empty text; never shown.
    """

    id: str
    spec: JobSpec
    state: JobState
    submitted: str
    started: str | None = None
    ended: str | None = None
    seconds: float = 0.0
    progress: JobProgress | None = None
    error: str | None = None
    failures: tuple[str, ...] = ()
    owner: str = ""


def job_document(job: Job) -> dict[str, Any]:
    """A job as JSON; :func:`read_job` gives an equal one back."""
    document = asdict(job)
    if job.spec.unlearning is None:
        del document["spec"]["unlearning"]
    return document


def read_job(document: Any) -> Job:
    """Read what :func:`job_document` wrote; raises :class:`JobError` naming the first value that does not fit."""
    entry = _checked(document, dict, "the job")
    state = _checked(entry.get("state"), str, "state")
    if state not in list(JobState):
        raise JobError(f"state is {state!r}")
    progress = entry.get("progress")
    return Job(
        id=_checked(entry.get("id"), str, "id"),
        spec=_read_spec(_checked(entry.get("spec"), dict, "spec")),
        state=JobState(state),
        submitted=_time(entry.get("submitted"), "submitted"),
        started=None if entry.get("started") is None else _time(entry["started"], "started"),
        ended=None if entry.get("ended") is None else _time(entry["ended"], "ended"),
        seconds=_number(entry.get("seconds"), "seconds"),
        progress=None if progress is None else _read_progress(_checked(progress, dict, "progress")),
        error=_checked(entry.get("error"), str | None, "error"),
        failures=_texts(entry.get("failures"), "failures"),
        owner=_checked(entry.get("owner"), str, "owner"),
    )


def _read_spec(entry: dict[str, Any]) -> JobSpec:
    architectures = _checked(entry.get("architectures"), dict, "spec.architectures")
    unlearning = entry.get("unlearning")
    # Jobs of earlier versions were told nothing.
    told = _checked(entry.get("told", {}), dict, "spec.told")
    return JobSpec(
        models=_texts(entry.get("models"), "spec.models"),
        metrics=_texts(entry.get("metrics"), "spec.metrics"),
        data=_checked(entry.get("data"), str, "spec.data"),
        sample=_checked(entry.get("sample"), int | None, "spec.sample"),
        seed=_checked(entry.get("seed"), int, "spec.seed"),
        imagenet=_checked(entry.get("imagenet"), str | None, "spec.imagenet"),
        architectures={model: _checked(name, str, "spec.architectures") for model, name in architectures.items()},
        kind=_checked(entry.get("kind"), str, "spec.kind"),
        trust_pickle=_checked(entry.get("trust_pickle"), bool, "spec.trust_pickle"),
        unlearning=None if unlearning is None else _read_unlearning(_checked(unlearning, dict, "spec.unlearning")),
        told=Told(*(_checked(told.get(role), str | None, f"spec.told.{role}") for role in REFERENCES)),
    )


def _read_unlearning(entry: dict[str, Any]) -> UnlearningSpec:
    settings = _checked(entry.get("settings"), dict, "spec.unlearning.settings")
    return UnlearningSpec(
        method=_checked(entry.get("method"), str, "spec.unlearning.method"),
        towers=_checked(entry.get("towers"), str, "spec.unlearning.towers"),
        budget=_checked(entry.get("budget"), int, "spec.unlearning.budget"),
        settings={key: _checked(value, int | float | str, f"settings.{key:.40}") for key, value in settings.items()},
        # Jobs of earlier versions have no stop rules.
        forget_level=_checked(entry.get("forget_level"), int | float | str | None, "spec.unlearning.forget_level"),
        retain_drop=_checked(entry.get("retain_drop"), int | float | None, "spec.unlearning.retain_drop"),
    )


def _read_progress(entry: dict[str, Any]) -> JobProgress:
    remaining = entry.get("remaining")
    return JobProgress(
        stage=_checked(entry.get("stage"), str, "progress.stage"),
        done=_checked(entry.get("done"), int, "progress.done"),
        total=_checked(entry.get("total"), int, "progress.total"),
        unit=_unit(entry.get("unit", Unit.PARTS)),  # Jobs of earlier versions have none.
        model=_checked(entry.get("model", ""), str, "progress.model"),
        fraction=_number(entry.get("fraction"), "progress.fraction"),
        remaining=None if remaining is None else _number(remaining, "progress.remaining"),
    )


def _unit(value: Any) -> Unit:
    if value not in list(Unit):
        raise JobError(f"progress.unit is {value!r:.40}")
    return Unit(value)


def _number(value: Any, where: str) -> float:
    number = float(_checked(value, int | float, where))
    if not math.isfinite(number):
        raise JobError(f"{where} is {number}")
    return number


def _time(value: Any, where: str) -> str:
    try:
        datetime.fromisoformat(_checked(value, str, where))
    except ValueError as error:
        raise JobError(f"{where} is {value!r:.40}") from error
    return str(value)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    return tuple(_checked(entry, str, where) for entry in _checked(value, list, where))


def _checked(value: Any, kind: Any, where: str) -> Any:
    # Python counts a bool as a whole number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise JobError(f"{where} is {value!r:.40}")
    return value
