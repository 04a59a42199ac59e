"""Many tests at once: p-values adjusted so that chance alone seldom, or in few places, looks like a finding."""

import math
from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p-values; all those up to a level hold but for that chance that any of them is false.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure. It needs no independence.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjusted p-values; of all those up to a level, about that share is expected to be false.

    Source: Benjamini and Hochberg 1995, Controlling the false discovery rate.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    [0.04, 0.05333333333333334, 0.05333333333333334, 0.5]
    """
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    steps = np.minimum.accumulate(values[order] * len(values) / np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def binomial_tail(found: int, trials: int, rate: float) -> float:
    """The probability of at least so many successes of independent trials.

    >>> binomial_tail(2, 2, 0.5), binomial_tail(0, 2, 0.5)
    (0.25, 1.0)
    """
    chances = (math.comb(trials, hit) * rate**hit * (1 - rate) ** (trials - hit) for hit in range(found, trials + 1))
    return min(1.0, math.fsum(chances))
