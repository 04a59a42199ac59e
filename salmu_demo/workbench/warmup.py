"""Computing ahead, in the background, what the verdicts of a model need; and the line that says how far it is."""

import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.progress import Progress
from salmu_demo.models.source import ModelSource
from salmu_demo.workbench.bench import Workbench

_LOG = logging.getLogger(__name__)
MOST_WAITING: Final = 12
"""Models that may wait; a stranger on a public page could otherwise keep the machine busy for days."""

_MOST_PROBLEMS: Final = 100
"""Models whose problem is remembered, the latest ones."""

_MOST_ASKED: Final = 1000
"""Models that are remembered to have been prepared, the latest ones."""

OTHERS_FIRST: Final = "Waiting for other models to be prepared"


@dataclass(frozen=True)
class Preparation:
    """How far the preparation of somebody's models is.

    Attributes:
        line: what is being prepared, or what could not be; empty when there is nothing to say.
        pending: references of those whose verdicts are not ready yet.
    """

    line: str
    pending: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether none of them is being prepared or waits."""
        return not self.pending


class _Closed(Exception):  # noqa: N818 - not an error
    """Raised out of the work by its own report once the process ends."""


class WarmUp:
    """One background thread that prepares models in the order they were added."""

    def __init__(self, workbench: Workbench, begin: threading.Event | None = None) -> None:
        """Wait for models; nothing is prepared before the event `begin` is set."""
        self._workbench = workbench
        self._begin = begin
        self._waiting: queue.SimpleQueue[ModelSource | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._asked: deque[str] = deque(maxlen=_MOST_ASKED)
        self._pending: list[str] = []
        self._current = ""
        self._progress = ""
        self._problems: OrderedDict[str, str] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, models: Iterable[ModelSource]) -> None:
        """Prepare models in the background, unless their verdicts are shipped.

        One that finds the queue full is computed when it is asked for.
        """
        for model in models:
            if self._workbench.has_verdicts(model):
                continue
            with self._lock:
                self._asked.append(model.reference)
                if len(self._pending) >= MOST_WAITING:
                    return
                self._waiting.put(model)
                self._pending.append(model.reference)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)
                    self._thread.start()

    def was_asked(self, reference: str) -> bool:
        """Whether a model was ever to be prepared here."""
        with self._lock:
            return reference in self._asked

    def seen_by(self, listed: Collection[str]) -> Preparation:
        """How far it is, as somebody may know who has these models: nothing is told of any other."""
        with self._lock:
            pending = tuple(reference for reference in self._pending if reference in listed)
            problems = [problem for reference, problem in self._problems.items() if reference in listed]
            if self._current in listed:
                line = self._progress
            elif pending:
                line = OTHERS_FIRST
            else:
                line = problems[-1] if problems else ""
            return Preparation(line, pending)

    @property
    def pending(self) -> tuple[str, ...]:
        """References of the models whose verdicts are not ready yet."""
        with self._lock:
            return tuple(self._pending)

    def close(self, timeout: float = 5.0) -> None:
        """Stop at the next batch: a process that ends while torch computes is aborted, whatever it was doing."""
        with self._lock:
            self._closed = True
            self._waiting.put(None)  # For a thread that waits; one that works finds out by its next report.
        if self._begin is not None:
            self._begin.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        if self._begin is not None:
            self._begin.wait()
        while True:
            model = self._waiting.get()
            if model is None or self._closed:
                return
            problem = ""
            with self._lock:
                self._current = model.reference
            try:
                self._workbench.warm_audit(model, self._report)
            except _Closed:
                return
            except SalmuError as error:
                problem = f"{model.name} could not be prepared: {error}"
            except Exception:
                _LOG.exception("Preparing %s failed", model.name)
                problem = f"{model.name} could not be prepared; the log says why."
            with self._lock:
                self._current = self._progress = ""
                self._note_problem(model.reference, problem)
                self._pending.remove(model.reference)

    def _note_problem(self, reference: str, problem: str) -> None:
        if problem:
            self._problems[reference] = problem
            self._problems.move_to_end(reference)
            if len(self._problems) > _MOST_PROBLEMS:
                self._problems.popitem(last=False)

    def _report(self, progress: Progress) -> None:
        with self._lock:
            if self._closed:
                raise _Closed
            self._progress = f"Preparing {progress.text}, {progress.done:,} of {progress.total:,}"
