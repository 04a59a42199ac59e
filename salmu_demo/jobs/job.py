"""What a job is: what was asked for, how far it is and how it ended, and what a kind of job says and does."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

from pydantic import AfterValidator, FiniteFloat, SerializeAsAny

from salmu_demo.core.documents import MismatchError, document_of, parse_model
from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import Progress, duration_words
from salmu_demo.data.source import MINI
from salmu_demo.metrics.protocol import SEED
from salmu_demo.workbench.bench import Workbench


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
class JobSpec:
    """What a job is to do, as far as all kinds have it in common; each kind adds its own fields.

    Attributes:
        models: references of the models it works with; none only where the job is damaged.
        kind: name of its kind.
        data: reference of the data set.
        seed: seed of everything random.
        architectures: open_clip architecture by model reference, for bare weight files.
        trust_pickle: whether the user has said that pickles of this machine may be read; only the command line asks.
    """

    models: tuple[str, ...]
    _: KW_ONLY
    kind: str = ""
    data: str = MINI
    seed: int = SEED
    architectures: dict[str, str] = field(default_factory=dict)
    trust_pickle: bool = False


@dataclass(frozen=True)
class JobProgress(Progress):
    """How far a job is.

    Attributes:
        fraction: how much of all its work is done, 0 to 1; it never goes back, not even when the job is resumed.
        remaining: seconds it will still take: at its recent pace, before that as it was estimated; None if unknown.
    """

    fraction: FiniteFloat
    remaining: FiniteFloat | None = None

    @classmethod
    def of(cls, progress: Progress, fraction: float, remaining: float | None = None) -> "JobProgress":
        """How far a job is while one of its parts is so far."""
        return cls(**vars(progress), fraction=fraction, remaining=remaining)


JobProgressCallback = Callable[[JobProgress], None]
"""Given to the work of a job; called at least once a batch. It raises to stop the work."""


def _check_time(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("it must be a time in ISO 8601") from error
    return value


_Time = Annotated[str, AfterValidator(_check_time)]


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
    spec: SerializeAsAny[JobSpec]
    state: JobState
    submitted: _Time
    started: _Time | None = None
    ended: _Time | None = None
    seconds: FiniteFloat = 0.0
    progress: JobProgress | None = None
    error: str | None = None
    failures: tuple[str, ...] = ()
    owner: str = ""


@dataclass(frozen=True)
class SampledEstimate:
    """A sampled run in place of a full one: number of `forget` rows, and how long it takes."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """How long a job takes.

    Attributes:
        seconds: in all.
        images: how many have to be encoded.
        texts: how many have to be encoded.
        sampled: a shorter run, or None if the job is sampled itself or has nothing to encode.
    """

    seconds: float
    images: int
    texts: int
    sampled: SampledEstimate | None = None

    @property
    def cached(self) -> bool:
        """Whether everything is encoded already."""
        return not self.images and not self.texts

    @property
    def words(self) -> str:
        """The estimate as sentences.

        >>> Estimate(9000, 40_000, 12, SampledEstimate(3000, 900)).words
        'It takes about 2 h 30 min here: 40,000 images and 12 texts have to be encoded. A sample of 3,000 forget \
rows takes about 15 min.'
        >>> Estimate(8, 0, 0).words
        'It takes a few seconds here: everything is encoded already.'
        """
        why = (
            "everything is encoded already"
            if self.cached
            else f"{self.images:,} images and {self.texts:,} texts have to be encoded"
        )
        words = f"It takes {duration_words(self.seconds)} here: {why}."
        if self.sampled:
            words += f" A sample of {self.sampled.rows:,} forget rows takes {duration_words(self.sampled.seconds)}."
        return words


S = TypeVar("S", bound=JobSpec)
K = TypeVar("K", bound="type[JobKind[Any]]")


class JobKind(ABC, Generic[S]):
    """A kind of job: what can be asked for, how it is done, and the words for it.

    A new kind is a module in `salmu_demo/jobs/kinds/` with a subclass that is registered.

    Attributes:
        name: its name in specifications, and that of the tab which shows its jobs.
        title: the same for people.
        spec: its specification, whose `kind` is by default the name.
        failed: what is said before a job's failures.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    failed: ClassVar[str] = "Not everything could be done"
    spec: type[S]

    @abstractmethod
    def check(self, spec: S) -> None:
        """Refuse a specification that makes no sense with a :class:`SalmuError`; quick, loads nothing."""

    @abstractmethod
    def run(self, spec: S, workbench: Workbench, folder: Path, report: JobProgressCallback) -> tuple[str, ...]:
        """Do the work.

        It leaves its files in the folder, finds there what an earlier run of the same job has finished, reports at
        least once a batch, and returns one sentence for each part that could not be done.
        """

    @abstractmethod
    def estimate(self, spec: S, workbench: Workbench) -> Estimate:
        """How long the work would take; may load models to time them."""

    @abstractmethod
    def words(self, spec: S) -> str:
        """What a job does, in a few words."""

    def facts(self, spec: S) -> dict[str, str | None]:
        """What a job is asked for, as the lines that the command line shows; empty ones are left out."""
        return {"models": ", ".join(spec.models), "data": spec.data}

    def model(self, folder: Path) -> str | None:
        """Reference of the model that a job has left in its folder, if its kind makes one."""
        return None

    def files(self, folder: Path) -> list[Path]:
        """The files of a job's folder that are its results, sorted."""
        return []


KINDS: Final[dict[str, JobKind[Any]]] = {}
"""Every kind by its name; complete once :mod:`salmu_demo.jobs.kinds` is imported."""


def register(kind: K) -> K:
    """Class decorator that adds a kind of job."""
    KINDS[kind.name] = kind()
    return kind


def job_document(job: Job) -> dict[str, Any]:
    """A job as JSON; :func:`read_job` gives an equal one back."""
    document: dict[str, Any] = document_of(job)
    return document


def read_job(text: bytes | str, kinds: Mapping[str, JobKind[Any]] = KINDS) -> Job:
    """Read a job's document; of an unknown kind the specification is what all kinds have in common.

    Raises:
        JobError: if it is none; it names the first value that does not fit.
    """
    try:
        job = parse_model(text, Job)
        kind = kinds.get(job.spec.kind)
        return job if kind is None else replace(job, spec=_read_spec(text, kind))
    except MismatchError as error:
        raise JobError(str(error)) from error


def _read_spec(text: bytes | str, kind: JobKind[S]) -> S:
    try:
        return parse_model(json.dumps(json.loads(text)["spec"]), kind.spec)
    except MismatchError as error:
        raise MismatchError(f"spec.{error}") from error
