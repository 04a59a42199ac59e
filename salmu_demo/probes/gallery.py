"""Galleries: the captions or faces of one or more splits that a query is searched in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import QueryError
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import check_finite
from salmu_demo.probes.index import FaissIndex, check_k
from salmu_demo.probes.large_index import TRIALS, LargeIndex, exact_items
from salmu_demo.probes.torch_index import TorchIndex, exact_index

Content = Literal["captions", "faces"]

GALLERIES: Final[dict[str, tuple[str, ...]]] = {
    "forget": (layout.FORGET,),
    "holdouts": (layout.HOLDOUT_ASSOCIATION, layout.HOLDOUT_IDENTITY),
    "retain": (layout.RETAIN_SYNTH,),
    "all": layout.REQUIRED_SPLITS,
}
"""Name of a gallery to the stored splits it holds."""


_ITEM_BYTES: Final = 200
"""What an item takes without its texts."""


@dataclass(frozen=True)
class Item:
    """One caption or face of a gallery."""

    split: str
    row: int
    text: str
    identity: str | None
    file_name: str


class Gallery:
    """What is searched: items of some splits, the same for every model. Equal captions are one item."""

    def __init__(self, data: BenchmarkData, name: str, content: Content) -> None:
        if name not in GALLERIES:
            raise QueryError(f"There is no gallery {name!r}; choose one of {', '.join(GALLERIES)}.")
        self.data = data
        self.name = name
        self.content = content
        splits = [data.split(split) for split in GALLERIES[name]]
        self._splits: Sequence[Split] = [split for split in splits if len(split)]
        items = [
            Item(s.name, row, s.texts[row], s.identities[row], s.file_names[row])
            for s in self._splits
            for row in range(len(s))
        ]
        if content == "captions":
            first: dict[str, int] = {}
            for number, item in enumerate(items):
                first.setdefault(item.text, number)
            self._kept = np.fromiter(first.values(), dtype=np.int64)
        else:
            self._kept = np.arange(len(items))
        self.items = [items[i] for i in self._kept]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def nbytes(self) -> int:
        """About how many bytes the items take; their texts are the data set's."""
        return self._kept.nbytes + self._identities.nbytes + len(self.items) * _ITEM_BYTES

    @cached_property
    def _identities(self) -> NDArray[np.str_]:
        return np.array([item.identity or "" for item in self.items])

    def of_persona(self, identity_id: str) -> NDArray[np.bool_]:
        """Which items belong to a persona, shape (N,)."""
        return np.asarray(self._identities == identity_id)

    def features(self, view: FeatureView) -> NDArray[np.float32]:
        """Features of the items by one model, shape (N, D)."""
        if not self._splits:
            raise QueryError(f"The gallery {self.name} of {self.data.name} is empty; choose another.")
        column = view.captions if self.content == "captions" else view.images
        return np.concatenate([column(split) for split in self._splits])[self._kept]

    def trials(self, view: FeatureView) -> NDArray[np.float32]:
        """Features of what such items are searched with, rows of the other modality spread over a split."""
        split = self._splits[0]
        column = view.images if self.content == "captions" else view.captions
        chosen: NDArray[np.float32] = column(split)[np.linspace(0, len(split) - 1, min(TRIALS, len(split))).astype(int)]
        return chosen


@dataclass(frozen=True)
class Hits:
    """Search result of one query with one model: item numbers and exact cosines, best first."""

    items: NDArray[np.int64]
    scores: NDArray[np.float32]


class SearchableGallery:
    """A gallery indexed with one model's features: exactly, or by lists if it has more than `exact_items`.

    Attributes:
        gallery: its items.
        recall: share of the best ten that a search finds, by measurement; None if it is exact.
    """

    def __init__(
        self, gallery: Gallery, features: NDArray[np.float32], trials: Callable[[], NDArray[np.float32]] | None = None
    ) -> None:
        """Index the features.

        Args:
            gallery: the items, of which there are N.
            features: theirs, shape (N, D).
            trials: returns queries to measure the recall of a large gallery with, shape (Q, D); without them any
                gallery is searched exactly.

        Raises:
            MetricError: if features are not finite.
            QueryError: if the environment does not say what is large.
        """
        check_finite(features, f"The features of the gallery {gallery.name}")
        self.gallery = gallery
        self._index: FaissIndex | TorchIndex | LargeIndex
        self.recall: float | None = None
        if trials is None or len(features) <= exact_items():
            self._index, _ = exact_index(features)
        else:
            asked = trials()
            check_finite(asked, f"The features that the recall of the gallery {gallery.name} is measured with")
            self._index = LargeIndex(features, asked)
            self.recall = self._index.recall

    @property
    def nbytes(self) -> int:
        """Bytes of the features, of which there is one copy, and in a large gallery one more in half precision."""
        size = self._index.features.nbytes
        return size if self.recall is None else size * 3 // 2

    def search(self, query: NDArray[np.float32], k: int) -> Hits:
        """The best `k` items for one query of shape (1, D); raises `QueryError` and `MetricError`."""
        check_finite(query, "The feature of the query")
        scores, items = self._index.search(query, check_k(k, len(self.gallery)))
        return Hits(items[0], scores[0])

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of every item with one query of shape (1, D); shape (N,)."""
        result: NDArray[np.float32] = self._index.features @ query[0]
        return result

    def scores_of(self, query: NDArray[np.float32], items: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosine of some items with one query of shape (1, D), as a large gallery is asked; shape of `items`."""
        result: NDArray[np.float32] = self._index.features[items] @ query[0]
        return result
