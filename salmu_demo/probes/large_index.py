"""Search in galleries too large to compare a query with every item: inverted lists, with what they miss measured."""

import math
import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError
from salmu_demo.probes.index import ExactIndex, in_order

EXACT_VARIABLE: Final = "SALMU_EXACT_ITEMS"
EXACT_ITEMS: Final = 1_000_000
"""Items that are searched exactly unless the variable says otherwise: about 2 GB and 83 ms for 512 dimensions."""

RECALL_AT: Final = 10
RECALL_GOAL: Final = 0.95
"""Share of the exact search's ten best that is to be found; lists are added until it is, or all are visited."""

TRIALS: Final = 200
"""Queries of the other modality that recall is measured with."""

APPROXIMATE: Final = "The search is approximate: by measurement it finds {recall:.1%} of the ten best."
"""What stands beside every answer of such a search."""

_FIRST_LISTS: Final = 8
_TRAINED_PER_LIST: Final = 40
_CANDIDATES: Final = 4
"""Candidates for each result: half precision confuses neighbours, and the exact cosine then sorts them."""
_CHUNK: Final = 100_000


def exact_items() -> int:
    """The most items that are searched exactly: `SALMU_EXACT_ITEMS`, or a million.

    Raises:
        QueryError: if the variable is not a positive number.
    """
    value = os.environ.get(EXACT_VARIABLE)
    if value is None:
        return EXACT_ITEMS
    if not value.isdecimal() or int(value) < 1:
        raise QueryError(f"{EXACT_VARIABLE} is {value!r}; it must be a positive number of items.")
    return int(value)


class LargeIndex:
    """FAISS's inverted lists of half-precision features; what they find is scored with the features themselves.

    A query visits the lists whose centres are nearest. How many is chosen by measuring.

    Attributes:
        features: what was indexed, shape (N, D); not to be changed.
        recall: share of the `RECALL_AT` best items of the exact search that are found, over the trial queries.
    """

    def __init__(self, features: NDArray[np.float32], trials: NDArray[np.float32]) -> None:
        """Index features, and measure with trial queries, shapes (N, D) and (Q, D)."""
        import faiss  # noqa: PLC0415 - as for `FaissIndex`

        self.features: NDArray[np.float32] = np.ascontiguousarray(features, dtype=np.float32)
        count, width = self.features.shape
        # About four times the root of the number of items, as FAISS advises, a power of two.
        self._lists = 1 << max(0, round(math.log2(4 * math.sqrt(count))))
        # FAISS's stubs know no index of lists.
        index: Any = faiss.index_factory(width, f"IVF{self._lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
        chosen = np.random.default_rng(0).permutation(count)[: _TRAINED_PER_LIST * self._lists]
        self._index = index
        self._index.train(self.features[np.sort(chosen)])
        for start in range(0, count, _CHUNK):
            self._index.add(self.features[start : start + _CHUNK])
        self._index.nprobe = min(_FIRST_LISTS, self._lists)
        truth = _best(self.features, trials)
        self.recall = self._recall(truth, trials)
        while self.recall < RECALL_GOAL and self._index.nprobe < self._lists:
            self._index.nprobe = min(2 * self._index.nprobe, self._lists)
            self.recall = self._recall(truth, trials)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Index`, but that some of the best may be missing."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        k = min(k, self._index.ntotal)
        found = [self._one(query[None], k) for query in queries]
        return np.concatenate([scores for scores, _ in found]), np.concatenate([items for _, items in found])

    def _one(self, query: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        import faiss  # noqa: PLC0415 - as above

        visited = self._index.nprobe
        while True:
            settings = faiss.SearchParametersIVF(nprobe=visited)  # type: ignore[call-arg]
            _, items = self._index.search(query, min(_CANDIDATES * k, self._index.ntotal), params=settings)
            # Too few items in the lists that were visited leave places empty.
            candidates = items[items >= 0][None]
            if candidates.shape[1] >= k or visited == self._lists:
                return in_order(query @ self.features[candidates[0]].T, candidates, k)
            visited = min(2 * visited, self._lists)

    def _recall(self, truth: NDArray[np.int64], trials: NDArray[np.float32]) -> float:
        _, items = self.search(trials, truth.shape[1])
        return float(np.mean([np.isin(found, best).mean() for found, best in zip(items, truth, strict=True)]))


def _best(features: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.int64]:
    """The best items of the exact search for each query, shape (Q, `RECALL_AT`), chunk by chunk."""
    scores = np.empty((len(queries), 0), np.float32)
    items = np.empty((len(queries), 0), np.int64)
    for start in range(0, len(features), _CHUNK):
        more, places = ExactIndex(features[start : start + _CHUNK]).search(queries, RECALL_AT)
        scores, items = np.concatenate([scores, more], axis=1), np.concatenate([items, places + start], axis=1)
        scores, items = in_order(scores, items, RECALL_AT)
    return items
