"""Where a metric's value comes from: by attribute kind, by persona, by both, and row by row between two models."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.ranking import exposure

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class GroupMean:
    """Mean of the rows of one group.

    Attributes:
        count: number of rows.
        mean: mean of their scores.
    """

    count: int
    mean: float


@dataclass(frozen=True)
class ExposureGrid:
    """How exposed each attribute of each persona is.

    Attributes:
        personas: P persona ids, sorted.
        kinds: K attribute kinds.
        bits: shape (P, K), mean exposure of the rows of a persona and kind; nan where there are none.
    """

    personas: tuple[str, ...]
    kinds: tuple[str, ...]
    bits: NDArray[np.float64]


def group_means(scores: NDArray[np.float64], groups: Sequence[Group | None]) -> dict[Group, GroupMean]:
    """Mean of scores of shape ``(N,)`` by the group of each row, in the order of appearance; rows of None are left out.

    >>> group_means(np.array([1.0, 0.0, 0.5]), ["b", "a", "b"])
    {'b': GroupMean(count=2, mean=0.75), 'a': GroupMean(count=1, mean=0.0)}
    """
    names = list(dict.fromkeys(group for group in groups if group is not None))
    number = {name: n for n, name in enumerate(names)}
    known = np.array([group is not None for group in groups], dtype=bool)
    numbers = np.array([number[group] for group in groups if group is not None], dtype=np.int64)
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, weights=scores[known])
    return {
        name: GroupMean(int(count), float(total / count))
        for name, count, total in zip(names, counts, sums, strict=True)
    }


def exposure_grid(
    ranks: NDArray[np.float64],
    candidates: NDArray[np.int64],
    personas: Sequence[str | None],
    kinds: Sequence[str | None],
    order: Sequence[str],
) -> ExposureGrid:
    """Mean exposure by persona and kind; rows without either are left out.

    Args:
        ranks: shape ``(N,)``, ranks of RetFail.
        candidates: shape ``(N,)``, number of captions each was ranked among.
        personas: persona of every row.
        kinds: attribute kind of every row.
        order: kinds in the order of the columns; further ones follow by name.
    """
    names = sorted({p for p in personas if p is not None})
    found = {k for k in kinds if k is not None}
    columns = [kind for kind in order if kind in found] + sorted(found - set(order))
    row_of = {name: n for n, name in enumerate(names)}
    column_of = {kind: n for n, kind in enumerate(columns)}
    cells = [
        (row_of[p], column_of[k]) if p is not None and k is not None else None
        for p, k in zip(personas, kinds, strict=True)
    ]
    bits = np.full((len(names), len(columns)), np.nan)
    for cell, mean in group_means(exposure(ranks, candidates), cells).items():
        bits[cell] = mean.mean
    return ExposureGrid(tuple(names), tuple(columns), bits)


def disagreements(first: NDArray[np.float64], second: NDArray[np.float64], count: int) -> list[int]:
    """Rows on which two arrays of shape ``(N,)`` differ most, the largest difference first; equal ones by row.

    >>> disagreements(np.array([0.0, 1.0, 0.5]), np.array([0.1, 0.0, 0.5]), 2)
    [1, 0]
    """
    return [int(row) for row in np.argsort(-np.abs(first - second), kind="stable")[:count]]
