"""Running one job: its clock, progress, log and end."""

import math
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from salmu_demo.core.errors import SalmuError, StorageError
from salmu_demo.jobs.job import Job, JobProgress, JobProgressCallback, JobState
from salmu_demo.jobs.store import JobStore, now

FAULT: Final = "A fault in the program stopped this job: its log.txt says more."
WRITE_SECONDS: Final = 2.0
"""Between two writes of the status: the most progress that a killed process loses."""

SHORTEST: Final = 0.5
"""Seconds between two measurements of the pace; shorter intervals measure noise."""

MEMORY: Final = 30.0
"""Seconds after which a measurement weighs 1/e: long enough to be smooth, short enough to follow a busy machine."""


class Stopped(Exception):  # noqa: N818 - not an error
    """Raised by the progress callback to stop the work of a job that someone asked to stop."""

    def __init__(self, state: JobState) -> None:
        super().__init__(state)
        self.state = state


class Execution:
    """Runs a job in the calling thread.

    Attributes:
        job: the job as it is now, not ended; other threads read it, so it is replaced as a whole.
        saved: whether its end has been written to disk.
    """

    def __init__(
        self,
        job: Job,
        store: JobStore,
        asked_to_stop: Callable[[], JobState | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare.

        Args:
            job: the queued job.
            store: writes its status and log.
            asked_to_stop: returns the state to end in if someone asked to stop the job.
            clock: seconds since an arbitrary moment.
        """
        self.job = job
        self.saved = False
        self._store = store
        self._asked_to_stop = asked_to_stop
        self._clock = clock
        self._seconds_before = job.seconds
        self._done_before = job.progress.fraction if job.progress else 0.0
        self._remaining = RemainingTime()
        self._begin: float | None = None
        self._written = 0.0

    def run(self, work: Callable[[JobProgressCallback], tuple[str, ...]]) -> Job:
        """Do the work, which returns the job's failures; whatever happens, the returned job has ended."""
        self._begin = self._written = self._clock()
        error: str | None = None
        failures: tuple[str, ...] = ()
        self.job = replace(self.job, state=JobState.RUNNING, started=self.job.started or now())
        try:
            self._stop_if_asked()
            self._store.write(self.job)
            self._store.log(self.job.id, JobState.RUNNING)
            failures = work(self._report)
            state = JobState.DONE
        except Stopped as stopped:
            state = stopped.state
        except SalmuError as problem:
            state, error = JobState.FAILED, str(problem)
        except Exception:
            # The one place that catches faults of the program: the user sees one sentence, the log has the traceback.
            state, error = JobState.FAILED, FAULT
            self._store.log(self.job.id, traceback.format_exc())
        return self.end(state, error, failures)

    def end(self, state: JobState, error: str | None = None, failures: tuple[str, ...] = ()) -> Job:
        """End the job and write it to disk; a finished job that cannot be written has failed."""
        progress = self.job.progress
        if progress is not None:
            fraction = 1.0 if state is JobState.DONE else progress.fraction
            progress = replace(progress, remaining=None, fraction=fraction)
        seconds = self._seconds()
        job = replace(self.job, state=state, error=error, failures=failures, ended=now(), seconds=seconds)
        job = replace(job, progress=progress)
        try:
            self._store.write(job)
            self.saved = True
        except StorageError as problem:
            state = JobState.FAILED if state is JobState.DONE else state
            job = replace(job, state=state, error=error or str(problem))
        self._store.log(job.id, " ".join(filter(None, (job.state, job.error, *failures))))
        return job

    def _report(self, progress: JobProgress) -> None:
        self._stop_if_asked()
        last = self.job.progress
        if last is None or last.text != progress.text:
            self._store.log(self.job.id, progress.text)
        # A resumed job only has the rest of its work to do.
        fraction = self._done_before + (1 - self._done_before) * progress.fraction
        seconds = self._seconds()
        remaining = self._remaining.update(seconds - self._seconds_before, progress.fraction)
        shown = replace(
            progress,
            fraction=max(fraction, last.fraction if last else 0.0),
            remaining=progress.remaining if remaining is None else remaining,
        )
        self.job = replace(self.job, progress=shown, seconds=seconds)
        if self._clock() - self._written >= WRITE_SECONDS:
            self._written = self._clock()
            self._store.write(self.job)

    def _seconds(self) -> float:
        return self._seconds_before + (0.0 if self._begin is None else self._clock() - self._begin)

    def _stop_if_asked(self) -> None:
        state = self._asked_to_stop()
        if state is not None:
            raise Stopped(state)


class RemainingTime:
    """Estimates the seconds left from the reported fractions; the pace is an exponential moving average."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._fraction = 0.0
        self._pace: float | None = None

    def update(self, seconds: float, fraction: float) -> float | None:
        """Seconds left, or None while the pace is unknown.

        Args:
            seconds: since the work began, never decreasing.
            fraction: share of the work that is done, 0 to 1, never decreasing.

        >>> time = RemainingTime()
        >>> time.update(5.0, 0.0), time.update(10.0, 0.25), time.update(15.0, 0.5)
        (None, 15.0, 10.0)
        """
        passed = seconds - self._looked
        if passed >= SHORTEST:
            pace = (fraction - self._fraction) / passed
            if self._pace is not None:
                keep = math.exp(-passed / MEMORY)
                self._pace = keep * self._pace + (1 - keep) * pace
            elif pace > 0:
                # The time before the first progress, such as loading a model, says nothing about the pace.
                self._pace = pace
            self._looked, self._fraction = seconds, fraction
        return (1 - fraction) / self._pace if self._pace else None
