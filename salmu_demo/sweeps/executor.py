"""Where the runs of a sweep are done: in processes of this machine."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Protocol, TypeVar

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
        with ProcessPoolExecutor(self._workers, context, _use_threads, (self._threads,)) as pool:
            futures = [pool.submit(work, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()


def _use_threads(count: int) -> None:
    import torch  # noqa: PLC0415 - only the workers compute

    torch.set_num_threads(count)
