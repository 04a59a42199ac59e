"""What a diagnosis is made of: the metric values of a model, and what the personas contribute to them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data import layout
from salmu_demo.metrics.intervals import Interval, cluster_numbers, interval, resampled_sums
from salmu_demo.results.records import Evaluation, RecordedAttack

Values = Mapping[str, float | None]

Quantity = Callable[..., Any]
"""Elementwise, of the means of several models: the same for single values and for resamples of shape (R,)."""


class ForgetGroup(StrEnum):
    """Whose forget rows: what a model retrained without them would know depends on it."""

    ALL = "all people"
    NOTHING_KEPT = "people with nothing kept"
    BOTH = "people with pairs on both sides"


@dataclass(frozen=True)
class ClusterSums:
    """What each cluster, a persona or a class, contributes to a metric.

    Attributes:
        names: C names; a row of no persona is a cluster of its own.
        sums: shape (C,), sum of the scores of its rows.
        sizes: shape (C,), number of its rows.
    """

    names: tuple[str, ...]
    sums: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """The metric's value."""
        return float(self.sums.sum() / self.sizes.sum())

    def among(self, chosen: frozenset[str], inside: bool) -> "ClusterSums | None":
        """The clusters whose names are chosen, or the others; None if there are none."""
        kept = np.array([(name in chosen) is inside for name in self.names], dtype=bool)
        if not kept.any():
            return None
        names = tuple(name for name, keep in zip(self.names, kept, strict=True) if keep)
        return ClusterSums(names, self.sums[kept], self.sizes[kept])


@dataclass(frozen=True)
class Mean:
    """One metric of one model over the rows of some people.

    Attributes:
        value: the mean.
        clusters: what it consists of; None where only the value is known.
    """

    value: float
    clusters: ClusterSums | None = None


@dataclass(frozen=True)
class Evidence:
    """What is known of a model.

    Attributes:
        values: metric values by name; None or absent where not measured.
        clusters: by metric, where the rows are known.
        nothing_kept: personas all of whose sensitive rows are to be forgotten; None if the results do not say.
        reasons: by metric, why it was skipped.
        attacks: what attacks have recovered.
    """

    values: Values
    clusters: Mapping[str, ClusterSums] = field(default_factory=dict)
    nothing_kept: frozenset[str] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    attacks: tuple[RecordedAttack, ...] = ()

    @classmethod
    def of(cls, evaluation: Evaluation) -> "Evidence":
        """What an evaluation says."""
        clusters = {}
        for name, result in evaluation.results.items():
            found = evaluation.clusters(name)
            if found is not None and result.scores is not None:
                clusters[name] = cluster_sums(result.scores, found)
        alone = evaluation.rows.get(layout.FORGET_IDENTITY)
        return cls(
            {name: result.value for name, result in evaluation.results.items()},
            clusters,
            # Derived splits of a sample hold the sampled rows of forget that belong to them: nobody is missing.
            None if alone is None else frozenset(identity for identity in alone.identities if identity is not None),
            {name: result.reason for name, result in evaluation.results.items() if result.reason},
            evaluation.attacks,
        )

    def sides(self, metric: str) -> tuple[ForgetGroup, ...]:
        """The groups of people that a metric is told by: those of either side, if there are any of both."""
        both = (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH)
        return both if all(self.mean(metric, side) for side in both) else (ForgetGroup.ALL,)

    def mean(self, metric: str, side: ForgetGroup = ForgetGroup.ALL) -> Mean | None:
        """A metric over the rows of some people; None if it is unknown."""
        found, value = self.clusters.get(metric), self.values.get(metric)
        if side is ForgetGroup.ALL:
            return None if value is None else Mean(value, found)
        if found is None or self.nothing_kept is None:
            return None
        part = found.among(self.nothing_kept, side is ForgetGroup.NOTHING_KEPT)
        return None if part is None else Mean(part.mean, part)


NOTHING: Final = Evidence({})


def cluster_sums(scores: NDArray[np.float64], names: Sequence[str | None]) -> ClusterSums:
    """Sum scores of shape (N,) by the cluster of each.

    >>> found = cluster_sums(np.array([1.0, 0.5, 0.25]), ["a", None, "a"])
    >>> found.names, found.sums.tolist(), found.sizes.tolist()
    (('a', 'row 1'), [1.25, 0.5], [2.0, 1.0])
    """
    numbers = cluster_numbers(names)
    _, first = np.unique(numbers, return_index=True)
    titles = tuple(f"row {row}" if (name := names[row]) is None else name for row in first.tolist())
    sums = np.bincount(numbers, weights=scores).astype(np.float64)
    return ClusterSums(titles, sums, np.bincount(numbers).astype(np.float64))


def interval_of(quantity: Quantity, means: Sequence[Mean]) -> Interval | None:
    """Interval of a quantity of several models, all resampled with the same clusters.

    Returns:
        None if the rows of a model are unknown, are others than those of the first, or belong to one cluster only.
    """
    parts = [mean.clusters for mean in means]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or len(known[0].names) < 2 or any(part.names != known[0].names for part in known):
        return None
    if any((part.sizes != known[0].sizes).any() for part in known):
        return None
    resampled = resampled_sums(np.stack([part.sums for part in known], axis=1), known[0].sizes)
    with np.errstate(divide="ignore", invalid="ignore"):
        samples = quantity(*resampled.T)
    samples = samples[np.isfinite(samples)]
    return interval(samples) if len(samples) else None
