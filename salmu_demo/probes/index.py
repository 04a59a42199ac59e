"""Exact inner-product search: FAISS on the GPU if it has one, else on the CPU, and an exact numpy twin."""

import logging
import threading
from contextlib import nullcontext
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError

MAX_K: Final = 1000
_GPU_MAX_K: Final = 2048
"""Results FAISS gives at most on a GPU."""

_log = logging.getLogger(__name__)
_gpu_lock = threading.Lock()
"""GPU indices are not safe for concurrent use, not even for reading (FAISS wiki, threads and asynchronous calls)."""


class Index(Protocol):
    """What a gallery needs of a search."""

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Best `k` items for each query: scores and item numbers, both (Q, k), best first, ties by number."""


def check_k(k: int, size: int) -> int:
    """The number of results a search returns: `k`, or the size of a smaller gallery.

    Raises:
        QueryError: if `k` is not between 1 and `MAX_K`.
    """
    if not 1 <= k <= MAX_K:
        raise QueryError(f"k is {k}; choose a number of results between 1 and {MAX_K}.")
    return min(k, size)


class ExactIndex:
    """Brute force in numpy: slow, simple, and the truth that the tests hold FAISS against."""

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._features = features

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Index`."""
        scores = queries @ self._features.T
        return in_order(scores, np.broadcast_to(np.arange(scores.shape[1]), scores.shape), k)


class FaissIndex:
    """`IndexFlatIP`: exact inner products, on the GPU when there is one that works.

    Attributes:
        features: what was indexed, shape (N, D); not to be changed, nor used longer than the index.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        # A fifth of a second to import, which an evaluation, for one, does without.
        import faiss  # noqa: PLC0415

        cpu = faiss.IndexFlatIP(features.shape[1])
        cpu.add(np.ascontiguousarray(features, dtype=np.float32))
        self._resources = gpu_resources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, cpu) if self._resources is not None else cpu
        # One copy in memory: on the CPU it is the index's own, which lives as long as the index.
        self.features: NDArray[np.float32] = (
            faiss.rev_swig_ptr(cpu.get_xb(), features.size).reshape(features.shape)
            if self._resources is None
            else np.ascontiguousarray(features, dtype=np.float32)
        )

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Index`."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        most = self._index.ntotal if self._resources is None else min(self._index.ntotal, _GPU_MAX_K)
        k = min(k, most)
        # FAISS keeps any of the items that tie for the last place: more are asked for until the tie is whole.
        asked = min(k + 1, most)
        while True:
            with nullcontext() if self._resources is None else _gpu_lock:
                scores, items = self._index.search(queries, asked)
            if asked == most or (scores[:, -1] < scores[:, k - 1]).all():
                return in_order(scores, items, k)
            asked = min(2 * asked, most)


def in_order(
    scores: NDArray[np.float32], items: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Sort each row by score, ties by item number, and keep the first `k`; all shapes (Q, C)."""
    order = np.lexsort((items, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(items, order, axis=1).astype(np.int64)


def gpu_resources() -> Any | None:
    """GPU resources if FAISS has GPU support and a trial search works, else None with the reason in the log."""
    import faiss  # noqa: PLC0415 - as for `FaissIndex`

    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        return None
    with _gpu_lock:
        try:
            resources = faiss.StandardGpuResources()
            trial = faiss.GpuIndexFlatIP(resources, 4)
            trial.add(np.eye(1, 4, dtype=np.float32))
            trial.search(np.eye(1, 4, dtype=np.float32), 1)
        except RuntimeError as error:
            _log.warning("FAISS searches on the CPU, because its GPU failed a trial: %s", error)
            return None
    return resources
