"""Open retrieval: face to captions, text or caption to faces, over a whole gallery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.ranking import tied_ranks
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.gallery import Item, SearchableGallery


@dataclass(frozen=True)
class Retrieved:
    """One result of one model.

    Attributes:
        rank: 1-based place.
        item: the caption or face.
        score: exact cosine with the query.
        hit: whether it belongs to the persona in question.
        change: score minus Clean's score of the same item for the same query; None without Clean.
        shared: whether every model of the comparison returned it too.
    """

    rank: int
    item: Item
    score: float
    hit: bool
    change: float | None
    shared: bool


@dataclass(frozen=True)
class Retrieval:
    """Results of one model for one query.

    Attributes:
        model: the model.
        results: best first.
        own_rank: rank of the persona's best item among the items of all others, from 1, by `tied_ranks`; None if
            it has none or no persona was given.
        gallery_size: number of items searched.
        recall: share of the ten best that the search finds, by measurement; None if it is exact. `own_rank` always is.
    """

    model: ModelSource
    results: tuple[Retrieved, ...]
    own_rank: float | None
    gallery_size: int
    recall: float | None = None


def mean_query(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """One query for several images of one person: their mean direction, shape (1, D)."""
    return normalised(features.mean(axis=0, keepdims=True), "features")


def compare_retrieval(
    galleries: Sequence[tuple[ModelSource, SearchableGallery]],
    queries: Mapping[str, NDArray[np.float32]],
    k: int,
    own: NDArray[np.bool_] | None = None,
    clean: str | None = None,
) -> list[Retrieval]:
    """Search the same gallery for the same query with several models.

    Args:
        galleries: each model and the gallery indexed with its features, in the order of the answer.
        queries: the query's feature by each model, shape (1, D), by model fingerprint.
        k: number of results.
        own: which items of the gallery belong to the persona in question, shape (N,).
        clean: fingerprint of the model that changes are measured against.

    Raises:
        QueryError: if `k` is out of range.
    """
    ranked = own is not None and bool(own.any())
    # Every item of a large gallery is compared with the query only where a rank asks for it.
    scores = {
        model.fingerprint: gallery.scores(queries[model.fingerprint])
        for model, gallery in galleries
        if ranked or gallery.recall is None
    }
    hits = [gallery.search(queries[model.fingerprint], k) for model, gallery in galleries]
    common = set.intersection(*(set(h.items.tolist()) for h in hits)) if hits else set()
    by_clean = next((gallery for model, gallery in galleries if model.fingerprint == clean), None)

    def clean_scores(items: NDArray[np.int64]) -> NDArray[np.float32] | None:
        if clean is None or by_clean is None:
            return None
        return scores[clean][items] if clean in scores else by_clean.scores_of(queries[clean], items)

    answer = []
    for (model, searchable), found in zip(galleries, hits, strict=True):
        reference = clean_scores(found.items)
        results = tuple(
            Retrieved(
                rank=rank,
                item=searchable.gallery.items[number],
                score=float(score),
                hit=bool(own is not None and own[number]),
                change=_change(float(score), None if reference is None else float(reference[rank - 1]), model, clean),
                shared=number in common,
            )
            for rank, (number, score) in enumerate(zip(found.items.tolist(), found.scores, strict=True), start=1)
        )
        own_rank = None
        if own is not None and ranked:
            own_scores = scores[model.fingerprint]
            own_rank = float(tied_ranks(own_scores[own].max(), own_scores[~own]))
        answer.append(Retrieval(model, results, own_rank, len(searchable.gallery), searchable.recall))
    return answer


def _change(score: float, reference: float | None, model: ModelSource, clean: str | None) -> float | None:
    """Change against Clean; Clean's own is 0, not the rounding between two ways to compute the same cosine."""
    if reference is None:
        return None
    return 0.0 if model.fingerprint == clean else score - reference
