"""How sure a mean is: bootstrap intervals over personas, and paired differences of two models.

All metrics are means over rows, and the rows of one persona are not independent: so whole personas are drawn, not rows
(the cluster bootstrap; Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8). Of a zero-shot
set whole classes are drawn, whose images share their prompts. `python -m benchmarks.coverage` says how often such an
interval holds the truth.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.protocol import SEED

RESAMPLES: Final = 1000
LEVEL: Final = 0.95

CHUNK_BYTES: Final = 64_000_000
KEPT_CLUSTERS: Final = 2000
"""Draws of at most so many clusters are remembered, 16 MB each: many values are resampled with the same ones."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval of `LEVEL`."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """A mean of one model minus the same mean of another, on the same rows.

    Attributes:
        value: the difference.
        interval: where it lies when other personas are drawn.
    """

    value: float
    interval: Interval

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval.low > 0 or self.interval.high < 0


def cluster_numbers(identities: Sequence[str | None]) -> NDArray[np.int64]:
    """Number the personas of rows; a row of no persona is a cluster of its own.

    >>> cluster_numbers(["b", None, "a", "b", None]).tolist()
    [0, 1, 2, 0, 3]
    """
    known: dict[str, int] = {}
    numbers = []
    count = 0
    for identity in identities:
        if identity is None or identity not in known:
            numbers.append(count)
            if identity is not None:
                known[identity] = count
            count += 1
        else:
            numbers.append(known[identity])
    return np.array(numbers, dtype=np.int64)


def resampled_means(
    scores: NDArray[np.float64], clusters: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64] | None:
    """Means of scores over resampled clusters.

    Every resample draws as many clusters as there are, with replacement; its mean is the sum over all rows of the drawn
    clusters divided by their number, so that clusters of different size weigh what they weigh in the metric. The draws
    depend on the seed and the number of clusters only: what is compared in pairs is drawn in pairs. For ACS the fitted
    probe stays as it is and only its scored pairs are drawn.

    Args:
        scores: shape ``(M, N)``, the rows of M models.
        clusters: shape ``(N,)``, from `cluster_numbers`.
        resamples: R, how many to draw.
        seed: seed of the draws.

    Returns:
        Array of shape ``(R, M)``, or None if there are fewer than 2 clusters, which say nothing about others.

    Example:
        >>> resampled_means(np.array([[1.0, 1.0, 0.0]]), np.array([0, 0, 1]), resamples=3).round(3).tolist()
        [[0.667], [0.667], [0.667]]
    """
    count = len(np.unique(clusters))
    if count < 2:
        return None
    sums = np.stack([np.bincount(clusters, weights=row).astype(np.float64) for row in scores], axis=1)
    return resampled_sums(sums, np.bincount(clusters).astype(np.float64), resamples, seed)


def resampled_sums(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """`resampled_means` of what clusters sum up to.

    Args:
        sums: shape ``(C, M)``, the sum of each model's scores over the rows of each cluster.
        sizes: shape ``(C,)``, the rows of each cluster.
        resamples: R, how many to draw.
        seed: seed of the draws.

    Returns:
        Array of shape ``(R, M)``.
    """
    count = len(sizes)
    drawn = [kept_draws(count, resamples, seed)] if count <= KEPT_CLUSTERS else draws(count, resamples, seed)
    return np.concatenate([(weights @ sums) / (weights @ sizes)[:, None] for weights in drawn])


@lru_cache(maxsize=4)
def kept_draws(count: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """All of `draws` at once, shape (resamples, count), remembered."""
    return np.concatenate(list(draws(count, resamples, seed)))


def draws(count: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each cluster is drawn, a few resamples at a time.

    Of 1,000 resamples of 50,000 single images all at once they would take 400 MB.
    """
    generator = np.random.default_rng(seed)
    step = max(1, CHUNK_BYTES // (8 * count))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = generator.integers(0, count, (size, count))
        drawn += np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)


def interval(samples: NDArray[np.float64]) -> Interval:
    """The central `LEVEL` of resampled values of shape ``(R,)``.

    >>> found = interval(np.arange(1001.0))
    >>> round(found.low, 6), round(found.high, 6)
    (25.0, 975.0)
    """
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
