"""Long work in a thread of its own: started once, asked how far it is, cancelled within one batch."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from salmu_demo.errors import SalmuError

P = TypeVar("P")
R = TypeVar("R")

FAULT: Final = "A fault in the program: see its log."

_log = logging.getLogger(__name__)


class State(StrEnum):
    """Where a run is in its life; the last three are final."""

    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


class BusyError(SalmuError):
    """A second run while one is under way."""


class Cancelled(Exception):  # noqa: N818 - not an error
    """Raised out of the work by its own report when someone asked to stop it."""


@dataclass(frozen=True)
class Status(Generic[P, R]):
    """A run at one moment.

    Attributes:
        state: where it is in its life.
        progress: its latest report, or None before the first.
        seconds: how long it has run, or ran.
        result: what the work returned, once finished.
        error: the sentence to show, once failed.
    """

    state: State
    progress: P | None
    seconds: float
    result: R | None = None
    error: str | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in (State.RUNNING, State.CANCELLING)


class BackgroundRun(Generic[P, R]):
    """One piece of work in a thread.

    Attributes:
        id: unguessable; whoever holds it may see the result and cancel.
    """

    def __init__(self, work: Callable[[Callable[[P], None]], R]) -> None:
        """Start the work; it is given the callback to report to, which raises once the run is cancelled."""
        self.id = secrets.token_urlsafe(16)
        self._work = work
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._started = time.monotonic()
        self._ended: float | None = None
        self._state = State.RUNNING
        self._progress: P | None = None
        self._result: R | None = None
        self._error: str | None = None
        # A daemon: closing the app must not wait for hours of work, which leaves whole files or none.
        self._thread = threading.Thread(target=self._run, name=f"background-{self.id[:6]}", daemon=True)
        self._thread.start()

    def status(self) -> Status[P, R]:
        """How the run is now."""
        with self._lock:
            state = State.CANCELLING if self._state is State.RUNNING and self._cancel.is_set() else self._state
            seconds = (self._ended or time.monotonic()) - self._started
            return Status(state, self._progress, seconds, self._result, self._error)

    def cancel(self) -> None:
        """Ask the work to stop at its next report; without effect once it is over."""
        self._cancel.set()

    def wait(self, timeout: float | None = None) -> Status[P, R]:
        """Wait until the run is over, or for `timeout` seconds."""
        self._thread.join(timeout)
        return self.status()

    def _report(self, progress: P) -> None:
        if self._cancel.is_set():
            raise Cancelled
        with self._lock:
            self._progress = progress

    def _run(self) -> None:
        result, error = None, None
        try:
            result = self._work(self._report)
            state = State.FINISHED
        except Cancelled:
            state = State.CANCELLED
        except SalmuError as problem:
            state, error = State.FAILED, str(problem)
        except Exception:
            _log.exception("A background run failed")
            state, error = State.FAILED, FAULT
        with self._lock:
            self._state, self._result, self._error = state, result, error
            self._ended = time.monotonic()


class Runner(Generic[P, R]):
    """Runs one piece of work at a time and remembers the latest, so that a reloaded page finds it again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: BackgroundRun[P, R] | None = None

    @property
    def latest(self) -> BackgroundRun[P, R] | None:
        """The run under way, or the one that ended last."""
        return self._latest

    def start(self, work: Callable[[Callable[[P], None]], R]) -> BackgroundRun[P, R]:
        """Start work; raises :class:`BusyError` while another run is under way."""
        with self._lock:
            if self._latest is not None and not self._latest.status().over:
                raise BusyError("Another benchmark is running; wait until it has ended, then start yours.")
            self._latest = BackgroundRun(work)
            return self._latest
