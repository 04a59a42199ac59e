"""Forget Quality: how near an unlearned model's truth ratios are to those of Gold (arXiv 2410.18057, section 5.1).

All take logarithms of `log_truth_ratio_over_all`, because its exponentials can leave the range of numbers.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.checks import check_same_rows
from salmu_demo.metrics.clear_protocol import FORGET_QUALITY_BINS

LOWEST_BY_ROW: Final = 1 - math.sqrt(math.log(2))
"""The lowest `forget_quality_by_row` of any two models, 0.167."""


def forget_quality_by_row(log_ratios: NDArray[np.float64], log_ratios_gold: NDArray[np.float64]) -> float:
    """Forget Quality as the official code runs it: 1 - Jensen-Shannon distance of the two vectors over rows.

    Each vector of truth ratios is divided by its sum and taken for a distribution *over rows*. The result therefore
    depends on which row has which ratio, ignores a factor that all rows share, and lies between `LOWEST_BY_ROW` and 1:
    the distance is the square root of the divergence in natural logarithms (scipy's `jensenshannon`).

    Args:
        log_ratios: shape ``(N,)``, of the unlearned model.
        log_ratios_gold: shape ``(N,)``, of Gold, the same rows in the same order.

    Raises:
        MetricError: if the vectors are not finite, are empty or differ in length.

    Example:
        >>> same = np.log(np.array([1.0, 2.0, 3.0]))
        >>> round(forget_quality_by_row(same, same + 5), 6), round(forget_quality_by_row(same, same[::-1]), 3)
        (1.0, 0.705)
    """
    _check(log_ratios)
    _check(log_ratios_gold)
    check_same_rows(log_ratios, "log_ratios", log_ratios_gold, "log_ratios_gold")
    shares = [np.exp(values - values.max()) for values in (log_ratios, log_ratios_gold)]
    return 1 - _distance(shares[0] / shares[0].sum(), shares[1] / shares[1].sum())


def forget_quality_of_distributions(log_ratios: NDArray[np.float64], log_ratios_gold: NDArray[np.float64]) -> float:
    """Forget Quality as the paper says it: 1 - Jensen-Shannon distance of the two distributions of truth ratios.

    A ratio t becomes the share t / (1 + t); shares are counted in `FORGET_QUALITY_BINS` bins of equal width. The order
    of rows does not matter. With logarithms to base 2 it lies between 0, for distributions that have no bin in common,
    and 1. Two samples of one distribution fall short of 1, the more the fewer rows there are: compare with the value of
    two Gold models.

    Args:
        log_ratios: shape ``(N,)``, of the unlearned model.
        log_ratios_gold: shape ``(M,)``, of Gold.

    Raises:
        MetricError: if the vectors are not finite or are empty.

    Example:
        >>> low, high = np.full(4, -9.0), np.full(9, 9.0)
        >>> forget_quality_of_distributions(low, low[:2]), forget_quality_of_distributions(low, high)
        (1.0, 0.0)
    """
    _check(log_ratios)
    _check(log_ratios_gold)
    counted = []
    for values in (log_ratios, log_ratios_gold):
        shares = (1 + np.tanh(values / 2)) / 2  # t / (1 + t)
        counts, _ = np.histogram(shares, FORGET_QUALITY_BINS, (0.0, 1.0))
        counted.append(counts / counts.sum())
    return 1 - _distance(counted[0], counted[1]) / math.sqrt(math.log(2))


def ks_p_value(log_ratios: NDArray[np.float64], log_ratios_gold: NDArray[np.float64]) -> float:
    """p-value of the two-sided Kolmogorov-Smirnov test that both samples of truth ratios have one distribution.

    It is TOFU's Forget Quality (arXiv 2401.06121): near 0 where the models can be told apart.

    Args:
        log_ratios: shape ``(N,)``, of the unlearned model; the logarithm keeps the order, and so the test.
        log_ratios_gold: shape ``(M,)``, of Gold.

    Raises:
        MetricError: if the vectors are not finite or are empty.

    Example:
        >>> ks_p_value(np.arange(5.0), np.arange(5.0))
        1.0
    """
    from scipy.stats import ks_2samp  # noqa: PLC0415 (takes a second to import)

    _check(log_ratios)
    _check(log_ratios_gold)
    return float(ks_2samp(log_ratios, log_ratios_gold).pvalue)


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Jensen-Shannon distance of two distributions in natural logarithms."""
    middle = (first + second) / 2
    halves = [
        float((values[values > 0] * np.log(values[values > 0] / middle[values > 0])).sum())
        for values in (first, second)
    ]
    return math.sqrt(max(0.0, sum(halves) / 2))


def _check(log_ratios: NDArray[np.float64]) -> None:
    if log_ratios.ndim != 1 or not len(log_ratios) or not np.isfinite(log_ratios).all():
        raise MetricError("Truth ratios must be finite logarithms, one for each row; measure the model again.")
