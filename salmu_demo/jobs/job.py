"""What a job is: its specification, progress and end; and what a kind of job has to provide."""

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
    """State of a job; see `over`."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def over(self) -> bool:
        """Whether the job has ended and stays as it is unless someone resumes it."""
        return self not in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


@dataclass(frozen=True)
class JobSpec:
    """What a job is to do: the fields that all kinds share; each kind adds its own.

    Attributes:
        models: references of the models it works with; empty only for a damaged job.
        kind: name of its kind.
        data: reference of the data set.
        seed: random seed.
        architectures: open_clip architecture by model reference, for bare weight files.
        trust_pickle: whether the user allowed reading pickle files of this machine; only the command line asks.
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
    """Progress of a whole job.

    Attributes:
        fraction: share of the work that is done, 0 to 1; it never decreases, not even when the job is resumed.
        remaining: estimated seconds left, by the recent pace once there is one; None if unknown.
    """

    fraction: FiniteFloat
    remaining: FiniteFloat | None = None

    @classmethod
    def of(cls, progress: Progress, fraction: float, remaining: float | None = None) -> "JobProgress":
        """Progress of the job from that of the part it is at."""
        return cls(**vars(progress), fraction=fraction, remaining=remaining)


JobProgressCallback = Callable[[JobProgress], None]
"""Called by the work of a job at least once a batch; it raises to stop the work."""


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
        id: unguessable; whoever has it may see, cancel and resume the job.
        spec: what it is to do.
        state: its state.
        submitted: when it was submitted, UTC, ISO 8601.
        started: when it first ran, or None.
        ended: when it ended, or None.
        seconds: working time, summed over all resumptions.
        progress: latest progress, or None before the first report.
        error: one sentence if it failed.
        failures: one sentence for each part that failed while the rest succeeded.
        owner: hash of who submitted it, or an empty string; never shown.
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
    """A shorter run on a sample: number of `forget` rows, and seconds."""

    rows: int
    seconds: float


@dataclass(frozen=True)
class Estimate:
    """How long a job takes.

    Attributes:
        seconds: total time.
        images: number of images to encode.
        texts: number of texts to encode.
        sampled: a shorter run, or None if the job is sampled already or has nothing to encode.
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
    """A kind of job: its specification, its work, and the words that describe it.

    To add one, put a module with a registered subclass into `salmu_demo/jobs/kinds/`.

    Attributes:
        name: its name in specifications, and the tab that shows its jobs.
        title: its name for people.
        failed: introduces a job's failures.
        spec: class of its specifications, whose `kind` defaults to the name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    failed: ClassVar[str] = "Not everything could be done"
    spec: type[S]

    @abstractmethod
    def check(self, spec: S) -> None:
        """Reject an invalid specification with a `SalmuError`; fast, loads nothing."""

    @abstractmethod
    def run(self, spec: S, workbench: Workbench, folder: Path, report: JobProgressCallback) -> tuple[str, ...]:
        """Do the work in the job's folder and return one sentence for each part that failed.

        An earlier run of the same job may have left finished parts there; they are not done again. Progress is reported
        at least once a batch.
        """

    @abstractmethod
    def estimate(self, spec: S, workbench: Workbench) -> Estimate:
        """Estimate how long the work takes; may load models to time them."""

    @abstractmethod
    def words(self, spec: S) -> str:
        """Describe a job in a few words."""

    def facts(self, spec: S) -> dict[str, str | None]:
        """What the command line says about a job, by label; empty values are left out."""
        return {"models": ", ".join(spec.models), "data": spec.data}

    def model(self, folder: Path) -> str | None:
        """Reference of the model that a job made in its folder, or None."""
        return None

    def files(self, folder: Path) -> list[Path]:
        """Result files in a job's folder, sorted."""
        return []


KINDS: Final[dict[str, JobKind[Any]]] = {}
"""All kinds by name; complete once `salmu_demo.jobs.kinds` is imported."""


def register(kind: K) -> K:
    """Class decorator that registers a kind of job."""
    KINDS[kind.name] = kind()
    return kind


def job_document(job: Job) -> dict[str, Any]:
    """A job as plain JSON data, from which `read_job` restores an equal one."""
    document: dict[str, Any] = document_of(job)
    return document


def read_job(text: bytes | str, kinds: Mapping[str, JobKind[Any]] = KINDS) -> Job:
    """Read the JSON of a job; the specification of an unknown kind has only the fields that all kinds share.

    Raises:
        JobError: if it does not hold a job; it names the first field that does not match.
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
