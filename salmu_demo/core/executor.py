"""Executors of independent jobs: processes on this machine, or a Ray cluster."""

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
from salmu_demo.core.garbage import search_seldom
from salmu_demo.core.runtime import quiet_libraries, use_one_blas_thread, use_torch_threads

J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    """Runs independent jobs; `work`, jobs and results must be picklable."""

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Run all jobs and yield their results as they finish."""


class LocalProcesses:
    """Processes on this machine."""

    def __init__(self, workers: int, threads: int) -> None:
        """Set the number of processes and the threads of each."""
        self._workers = workers
        self._threads = threads

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Run all jobs; see `Executor`."""
        # Spawned, not forked: torch does not survive a fork once its threads have started.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self._workers, context, _prepare_local, (self._threads,)) as pool:
            # The first job starts the workers. Ctrl+C reaches all processes of a terminal; only the parent handles it.
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
    """The workers of a Ray cluster: that of `RAY_ADDRESS`, or a local one that is started when needed.

    Every worker must be able to read the data and the models, and to write to the results folder and the cache. A job
    whose worker is killed is begun again on another one, a few times.
    """

    def __init__(self, workers: int, threads: int) -> None:
        """Set the number of workers of a local cluster and the threads of each run.

        Raises:
            SweepError: if Ray is not installed.
        """
        if importlib.util.find_spec("ray") is None:
            raise SweepError("--ray needs Ray installed: pip install 'salmu-demo[ray]'.")
        self._workers = workers
        self._threads = threads

    def run(self, work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
        """Run all jobs; see `Executor`."""
        import ray  # noqa: PLC0415 - an optional extra

        if not ray.is_initialized():
            known = os.environ.get("RAY_ADDRESS")
            # An existing cluster has its own number of workers.
            ray.init(address=known, num_cpus=None if known else self._workers * self._threads)

        def with_threads(job: J) -> R:
            _prepare(self._threads)
            return work(job)

        remote = ray.remote(num_cpus=self._threads)(with_threads)
        waiting = [remote.remote(job) for job in jobs]
        try:
            while waiting:
                ready, waiting = ray.wait(waiting)
                try:
                    done = ray.get(ready[0])
                except ray.exceptions.RayTaskError:
                    raise  # What the job itself raised.
                except ray.exceptions.RayError as error:
                    raise SweepError(
                        f"A worker of the Ray cluster was lost again and again ({type(error).__name__}); what was "
                        "finished is kept: see why it ends, often for want of memory, and give the command again."
                    ) from error
                yield done
        finally:
            for reference in waiting:
                ray.cancel(reference)


def _prepare(threads: int) -> None:
    search_seldom()
    quiet_libraries()
    use_one_blas_thread()
    use_torch_threads(threads)


def _prepare_local(threads: int) -> None:
    end_on_signals(words="")
    _prepare(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process once its parent is gone, so that a killed sweep leaves no run behind.

    A worker waits for work on a pipe that it holds open itself, so it would not notice.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        end(1)
