"""Jobs on disk: one folder each, with a status file that is replaced atomically."""

import json
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from salmu_demo.core.errors import JobError, StorageError
from salmu_demo.core.files import write_text
from salmu_demo.jobs.job import KINDS, Job, JobKind, JobSpec, JobState, job_document, read_job

STATUS_FILE: Final = "status.json"
LOG_FILE: Final = "log.txt"
_LOCK_FILE: Final = "lock"
_CANCEL_FILE: Final = "cancel"
_KEEP_FILE: Final = "keep"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{21}")
_RESERVE_FILE: Final = "reserve"
_RESERVE: Final = b"\xff" * 32_768
"""Disk space for the last status of a job, which must be written even if the disk is full; larger than any status."""

_LOCK_SECONDS: Final = 1.0
"""Another process takes a free lock for a moment to see whether a job's process is alive."""


def now() -> str:
    """The current time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_id() -> str:
    """An unguessable id of 128 random bits that does not look like a command-line option."""
    while not _ID.fullmatch(job_id := secrets.token_urlsafe(16)):
        pass
    return job_id


def check_id(job_id: str) -> None:
    """Refuse anything but an id, before it can become a path; raises `JobError`."""
    if not _ID.fullmatch(job_id):
        raise JobError(f"{job_id!r:.60} is not a job id; copy the whole id.")


def keep_asked(folder: Path) -> bool:
    """Whether the job of a folder was cancelled with the request to keep its result so far."""
    return (folder / _KEEP_FILE).exists()


class JobStore:
    """The folders of all jobs.

    A process holds the lock of every job that it has queued or runs. The operating system releases it however the
    process dies, so a job that has not ended and whose lock is free has lost its process.
    """

    def __init__(self, root: Path, kinds: Mapping[str, JobKind[Any]] = KINDS) -> None:
        """Use a folder; `kinds` says whose specifications can be read."""
        self.root = root
        self._kinds = kinds

    def folder(self, job_id: str) -> Path:
        """Folder of a job; raises `JobError` for anything but an id, before it can become a path."""
        check_id(job_id)
        return self.root / job_id

    def acquire(self, job_id: str) -> FileLock:
        """Acquire the lock of a job for this process and reserve disk space for its end; `release` undoes both.

        Raises:
            JobError: if another process holds it.
            StorageError: if the folder cannot be written.
        """
        # The submitting thread acquires it, the working thread releases it.
        lock = FileLock(self.folder(job_id) / _LOCK_FILE, timeout=_LOCK_SECONDS, thread_local=False)
        try:
            self.folder(job_id).mkdir(parents=True, exist_ok=True)
            lock.acquire()
            (self.folder(job_id) / _RESERVE_FILE).write_bytes(_RESERVE)
        except Timeout as error:
            raise JobError(f"The job {job_id} is running in another process; cancel it or wait for it.") from error
        except OSError as error:
            self.release(job_id, lock)
            raise StorageError(
                f"The job folder {self.folder(job_id)} cannot be written: {error.strerror or error}; "
                "set SALMU_RUNS_DIR."
            ) from error
        return lock

    def release(self, job_id: str, lock: FileLock) -> None:
        """Release the lock and the reserved space of a job; one that was never written leaves nothing behind."""
        folder = self.folder(job_id)
        self._free_room(job_id)
        if not (folder / STATUS_FILE).exists():
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()

    def write(self, job: Job) -> None:
        """Write the status of a job, even on a full disk if the job has ended; raises `StorageError`."""
        # ASCII, because paths on a command line need not be valid UTF-8.
        text = json.dumps(job_document(job), indent=1) + "\n"
        try:
            write_text(self.folder(job.id) / STATUS_FILE, text, "The job status")
        except StorageError:
            if not job.state.over:
                raise
            self._free_room(job.id)
            write_text(self.folder(job.id) / STATUS_FILE, text, "The job status")
        if job.state.over:
            self._free_room(job.id)

    def _free_room(self, job_id: str) -> None:
        with suppress(OSError):
            (self.folder(job_id) / _RESERVE_FILE).unlink(missing_ok=True)

    def read(self, job_id: str) -> Job:
        """The last written status of a job; a damaged one is a failed job with an empty specification.

        Raises:
            JobError: if there is no such job.
        """
        path = self.folder(job_id) / STATUS_FILE
        try:
            job = read_job(path.read_bytes(), self._kinds)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise JobError(f"There is no job {job_id}; it may have been removed.") from error
        except OSError as error:
            return self._damaged(job_id, error.strerror or str(error))
        except JobError as error:
            return self._damaged(job_id, str(error))
        return job if job.id == job_id else self._damaged(job_id, "it belongs to another job")

    def settled(self, job_id: str) -> Job:
        """The status of a job; one whose process died becomes interrupted, or cancelled if that was requested.

        Raises:
            JobError: if there is no such job.
        """
        job = self.read(job_id)
        if job.state.over:
            return job
        lock = FileLock(self.folder(job_id) / _LOCK_FILE, timeout=0)
        try:
            lock.acquire()
        except (Timeout, OSError):
            # Its process is alive, or the folder cannot be accessed.
            return replace(job, state=JobState.CANCELLING) if self.cancel_asked(job_id) else job
        try:
            # Only now can no other process write.
            job = self.read(job_id)
            if not job.state.over:
                state = JobState.CANCELLED if self.cancel_asked(job_id) else JobState.INTERRUPTED
                job = replace(job, state=state, ended=now())
                with suppress(StorageError):  # The job is interrupted even if that cannot be written.
                    self.write(job)
        finally:
            lock.release()
        return job

    def ids(self) -> list[str]:
        """The ids of all jobs."""
        with suppress(OSError):
            return [path.parent.name for path in self.root.glob(f"*/{STATUS_FILE}") if _ID.fullmatch(path.parent.name)]
        return []

    def ask_to_cancel(self, job_id: str) -> None:
        """Leave a file that the process of a job looks for; raises `StorageError`."""
        write_text(self.folder(job_id) / _CANCEL_FILE, "", "The request to cancel")

    def cancel_asked(self, job_id: str) -> bool:
        """Whether `ask_to_cancel` was called."""
        return (self.folder(job_id) / _CANCEL_FILE).exists()

    def ask_to_keep(self, job_id: str) -> None:
        """Leave a file that a cancelled job looks for, see `keep_asked`; raises `StorageError`."""
        write_text(self.folder(job_id) / _KEEP_FILE, "", "The request to keep the result so far")

    def forget_cancel(self, job_id: str) -> None:
        """Undo `ask_to_cancel` and `ask_to_keep`."""
        for name in (_CANCEL_FILE, _KEEP_FILE):
            (self.folder(job_id) / name).unlink(missing_ok=True)

    def log(self, job_id: str, text: str) -> None:
        """Append to the log of a job; a full disk does not stop the job."""
        path = self.folder(job_id) / LOG_FILE
        with suppress(OSError), path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(f"{now()} {text}\n")

    def _damaged(self, job_id: str, reason: str) -> Job:
        path = self.folder(job_id) / STATUS_FILE
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="microseconds")
        except OSError:
            written = ""
        error = f"The status file {path} is damaged ({reason}); start the job anew."
        return Job(job_id, JobSpec(()), JobState.FAILED, written, error=error)
