"""Where the runs of a sweep are done: in processes of this machine, or on a Ray cluster."""

import importlib.util
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Protocol, TypeVar

from salmu_demo.core.ending import end, end_on_signals
from salmu_demo.core.errors import SweepError
from salmu_demo.core.runtime import quiet_libraries, use_one_blas_thread

J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    """Does independent pieces of work somewhere; `work`, jobs and results can be pickled."""

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Do all jobs and give their results in the order in which they end."""


class LocalProcesses:
    """Processes of this machine that share its cores."""

    def __init__(self, workers: int, threads: int) -> None:
        """Set how many processes run at once, and how many threads each computes with."""
        self._workers = workers
        self._threads = threads

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Do all jobs; see :class:`Executor`."""
        # Spawned, not forked: torch does not survive a fork once it has started its threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self._workers, context, _prepare_local, (self._threads,)) as pool:
            # The workers start with the first; a Ctrl+C, which a terminal sends to all, is their parent's to act on.
            waiting = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            futures = [pool.submit(work, job) for job in jobs]
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()


class RayCluster:
    """The workers of a Ray cluster: the one `RAY_ADDRESS` names, or one of this machine that starts when it is needed.

    The folder of the results must be one that every worker can write to.
    """

    def __init__(self, workers: int, threads: int) -> None:
        """Set how many workers a cluster of this machine has, and how many threads each run computes with.

        Raises:
            SweepError: if Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise SweepError("A sweep on Ray needs it installed: pip install 'salmu-demo[ray]'.")
        self._workers = workers
        self._threads = threads

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Do all jobs; see :class:`Executor`."""
        import ray  # noqa: PLC0415 - an optional extra

        if not ray.is_initialized():
            known = os.environ.get("RAY_ADDRESS")
            # A cluster that is there already has its own idea of how many workers it has.
            ray.init(address=known, num_cpus=None if known else self._workers * self._threads)

        def with_threads(job: J) -> R:
            _prepare(self._threads)
            return work(job)

        remote = ray.remote(num_cpus=self._threads)(with_threads)
        waiting = [remote.remote(job) for job in jobs]
        try:
            while waiting:
                ready, waiting = ray.wait(waiting)
                yield ray.get(ready[0])
        finally:
            for reference in waiting:
                ray.cancel(reference)


def _prepare(threads: int) -> None:
    import torch  # noqa: PLC0415 - only the workers compute

    quiet_libraries()
    use_one_blas_thread()
    torch.set_num_threads(threads)


def _prepare_local(threads: int) -> None:
    end_on_signals(words="")
    _prepare(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once the one that started it is gone, so that a killed sweep leaves no run behind.

    A worker waits for work on a pipe that it holds open itself, and would never hear of it.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        end(1)
