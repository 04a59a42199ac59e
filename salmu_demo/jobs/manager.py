"""The queue of jobs and the threads that run them."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from salmu_demo.core.errors import JobError
from salmu_demo.core.settings import runs_dir
from salmu_demo.jobs.execution import Execution
from salmu_demo.jobs.job import Estimate, Job, JobKind, JobSpec, JobState
from salmu_demo.jobs.kinds import KINDS
from salmu_demo.jobs.store import JobStore, new_id, now
from salmu_demo.workbench.bench import Workbench

NICENESS: Final = 15
"""Of working threads: they take about 3 % of the processor time that a probe asks for, yet other load does not starve
them."""

_LOOK_SECONDS: Final = 0.2
"""Between two looks at another process's job that someone waits for."""


@dataclass
class _QueuedJob:
    """A job that this process has queued or runs.

    Attributes:
        execution: holds the job.
        lock: the job's lock.
        stop: the state to end in, once someone asked to stop the job.
    """

    execution: Execution
    lock: FileLock
    stop: JobState | None = None


class JobManager:
    """Runs jobs one after another; all methods are thread-safe.

    Several processes may share a folder: each runs the jobs that were submitted to it and sees those of all.
    """

    def __init__(
        self,
        folder: Path | None = None,
        workbench_for: Callable[[str], Workbench] = Workbench,
        workers: int = 1,
        max_queued: int = 16,
        one_per_owner: bool = False,
        kinds: Mapping[str, JobKind[Any]] = KINDS,
    ) -> None:
        """Open a folder of jobs; those whose process has died become interrupted.

        Args:
            folder: folder of all jobs, by default `salmu_demo.core.settings.runs_dir`.
            workbench_for: returns the workbench of a data reference; only called by working threads and for estimates.
            workers: number of jobs that run at once.
            max_queued: number of jobs that may wait.
            one_per_owner: whether an owner may have only one job that has not ended.
            kinds: the kinds of jobs by name.
        """
        self._store = JobStore(folder or runs_dir(), kinds)
        self._workbench_for = workbench_for
        self._workers = workers
        self._max_queued = max_queued
        self._one_per_owner = one_per_owner
        self._kinds = kinds
        self._changed = threading.Condition()
        self._queue: deque[_QueuedJob] = deque()
        self._runs: dict[str, _QueuedJob] = {}
        self._unsaved: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.jobs()  # Looking at a job whose process has died settles it.

    def submit(self, spec: JobSpec, owner: str = "") -> Job:
        """Put a new job at the end of the queue.

        Args:
            spec: what it is to do.
            owner: hash of who submits it.

        Raises:
            JobError: if the queue is full, or the owner has a job that has not ended.
            SalmuError: of the kind that fits, if the specification is invalid.
            StorageError: if the job cannot be written.
        """
        self._kind(spec).check(spec)
        return self._enqueue(Job(new_id(), spec, JobState.QUEUED, now(), owner=owner))

    def resume(self, job_id: str) -> Job:
        """Queue a stopped job again; what it has finished is not done again.

        Raises:
            JobError: if there is no such job, it is damaged, done or has not ended, or the queue is full.
            StorageError: if the job cannot be written.
        """
        job = self.job(job_id)
        if not job.state.over or job.state is JobState.DONE:
            raise JobError(f"The job {job_id} is {job.state}; only one that was stopped can be resumed.")
        if not job.spec.models:
            raise JobError(job.error or f"The job {job_id} is damaged; start it anew.")
        return self._enqueue(replace(job, state=JobState.QUEUED, ended=None, error=None, failures=()))

    def job(self, job_id: str) -> Job:
        """A job as it is now; raises `JobError` if there is no such job."""
        with self._changed:
            run = self._runs.get(job_id)
            if run is not None:
                asked = self._asked_to_stop(run) is JobState.CANCELLED
                return replace(run.execution.job, state=JobState.CANCELLING) if asked else run.execution.job
            if job_id in self._unsaved:
                return self._unsaved[job_id]
        return self._store.settled(job_id)

    def jobs(self) -> list[Job]:
        """All jobs, the newest first."""
        found = []
        for job_id in self._store.ids():
            with suppress(JobError):  # Removed since it was listed.
                found.append(self.job(job_id))
        return sorted(found, key=lambda job: job.submitted, reverse=True)

    @property
    def waiting(self) -> int:
        """Length of this process's queue."""
        return len(self._queue)

    @property
    def active(self) -> int:
        """Number of jobs this process has queued or runs."""
        return len(self._runs)

    def position(self, job_id: str) -> int | None:
        """Number of jobs ahead of a job in this process's queue, or None if it does not wait there."""
        with self._changed:
            return next((n for n, run in enumerate(self._queue) if run.execution.job.id == job_id), None)

    def cancel(self, job_id: str, keep: bool = False) -> Job:
        """Remove a job from the queue, or ask it to stop at its next batch; does nothing once it has ended.

        Args:
            job_id: the job.
            keep: whether the job should leave its result so far, if its kind can.

        Raises:
            JobError: if there is no such job.
            StorageError: if the request has to be written, for another process or with `keep`, and cannot be.
        """
        if self.job(job_id).state.over:
            return self.job(job_id)
        if keep:
            self._store.ask_to_keep(job_id)
        with self._changed:
            run = self._runs.get(job_id)
            if run is not None:
                run.stop = JobState.CANCELLED
                if run in self._queue:
                    self._queue.remove(run)
                    self._release(run, run.execution.end(run.stop))
        if run is None:
            self._store.ask_to_cancel(job_id)
        return self.job(job_id)

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Wait until a job has ended, at most `timeout` seconds; raises `JobError` if there is no such job."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (job := self.job(job_id)).state.over:
            left = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if left <= 0:
                break
            with self._changed:
                self._changed.wait(left)
        return job

    def folder(self, job_id: str) -> Path:
        """Folder of a job: its status, log, finished metrics and reports; raises `JobError` for a wrong id."""
        return self._store.folder(job_id)

    def results(self, job: Job) -> tuple[list[Path], str | None]:
        """A job's result files, and the reference of the model it made or None."""
        kind, folder = self._kinds.get(job.spec.kind), self.folder(job.id)
        return (kind.files(folder), kind.model(folder)) if kind else ([], None)

    def estimate(self, spec: JobSpec) -> Estimate:
        """Estimate how long a job takes on this machine; may load models to time them.

        Raises:
            SalmuError: of the kind that fits, if the specification is invalid or its data or models cannot be used.
        """
        kind = self._kind(spec)
        kind.check(spec)
        return kind.estimate(spec, self._workbench_for(spec.data))

    def close(self, timeout: float = 2.0) -> None:
        """Stop because the process is about to end; queued and running jobs become interrupted.

        So does a job that does not reach its next batch within `timeout` seconds.
        """
        with self._changed:
            self._closed = True
            for run in self._runs.values():
                run.stop = run.stop or JobState.INTERRUPTED
            while self._queue:
                run = self._queue.popleft()
                self._release(run, run.execution.end(run.stop or JobState.INTERRUPTED))
            self._changed.notify_all()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        with self._changed:
            for run in self._runs.values():
                run.execution.end(run.stop or JobState.INTERRUPTED)

    def _kind(self, spec: JobSpec) -> JobKind[Any]:
        kind = self._kinds.get(spec.kind)
        if kind is None:
            raise JobError(f"There is no kind of job {spec.kind!r:.60}; known: {', '.join(self._kinds)}.")
        return kind

    def _enqueue(self, job: Job) -> Job:
        self._kind(job.spec)
        with self._changed:
            self._check_room(job)
            lock = self._store.acquire(job.id)
            try:
                self._store.forget_cancel(job.id)
                self._store.write(job)
            except BaseException:
                self._store.release(job.id, lock)
                raise
            run = _QueuedJob(Execution(job, self._store, lambda: self._asked_to_stop(run)), lock)
            self._unsaved.pop(job.id, None)
            self._runs[job.id] = run
            self._queue.append(run)
            if len(self._threads) < self._workers:
                # Daemon threads: the process must not wait for hours of work, whose files are atomic anyway.
                self._threads.append(threading.Thread(target=self._work, name="jobs", daemon=True))
                self._threads[-1].start()
            self._changed.notify_all()
        return job

    def _check_room(self, job: Job) -> None:
        if self._closed:
            raise JobError("The program is being closed; start the job when it runs again.")
        if job.id in self._runs:
            raise JobError(f"The job {job.id} has been resumed already.")
        if self._one_per_owner and any(run.execution.job.owner == job.owner for run in self._runs.values()):
            raise JobError("You have a job that is not over yet; cancel it or wait for it, then start the next one.")
        if len(self._queue) >= self._max_queued:
            raise JobError(f"{len(self._queue)} jobs are waiting already; try again when one of them has begun.")

    def _asked_to_stop(self, run: _QueuedJob) -> JobState | None:
        if run.stop is None and self._store.cancel_asked(run.execution.job.id):
            run.stop = JobState.CANCELLED
        return run.stop

    def _work(self) -> None:
        _yield_to_others()
        while (run := self._next()) is not None:
            job = self._run(run.execution)
            with self._changed:
                self._release(run, job)

    def _run(self, execution: Execution) -> Job:
        spec, folder = execution.job.spec, self._store.folder(execution.job.id)
        kind = self._kind(spec)
        return execution.run(lambda report: kind.run(spec, self._workbench_for(spec.data), folder, report))

    def _next(self) -> _QueuedJob | None:
        with self._changed:
            while not self._queue:
                if self._closed:
                    return None
                self._changed.wait()
            return self._queue.popleft()

    def _release(self, run: _QueuedJob, job: Job) -> None:
        """Forget a job that has ended, unless its end could not be written."""
        if not run.execution.saved:
            self._unsaved[job.id] = job
        del self._runs[job.id]
        self._store.release(job.id, run.lock)
        self._changed.notify_all()


def _yield_to_others() -> None:
    """Lower the priority of the calling thread, so that live probes stay fast while it works.

    On Linux, priority belongs to a thread and is inherited by the threads it starts: those that decode images, and
    torch's, because OpenMP keeps a team for each computing thread. Elsewhere it belongs to the whole process.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        # Only root may raise a thread's priority, and the process may have a lower one already.
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
