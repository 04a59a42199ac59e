"""CKA: how alike two models see the same things, whatever directions their features happen to use."""

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.checks import Features, check_same_rows


def linear_cka(first: Features, second: Features) -> float:
    """Linear centred kernel alignment of two sets of features of the same items.

    With the columns of X and Y centred, ``‖YᵀX‖² / (‖XᵀX‖ · ‖YᵀY‖)`` in Frobenius norms (Kornblith et al. 2019,
    Similarity of Neural Network Representations Revisited, arXiv 1905.00414). 1 for features that differ by a rotation
    or a factor, 0 for unrelated ones. With few items and many dimensions it is near 1 for any two models.

    Args:
        first: shape ``(N, D)``.
        second: shape ``(N, E)``, the same items in the same order.

    Raises:
        MetricError: if rows do not fit, or all items of a model have the same feature.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> linear_cka(x, x[:, ::-1] * 2)
        1.0
    """
    check_same_rows(first, "first", second, "second")
    x, y = _centred(first), _centred(second)
    own = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    if own == 0:
        raise MetricError("CKA is not defined, because a model gives all items the same feature.")
    return min(1.0, float(np.linalg.norm(y.T @ x) ** 2) / own)


def _centred(features: Features) -> NDArray[np.float64]:
    values = np.asarray(features, dtype=np.float64)
    centred: NDArray[np.float64] = values - values.mean(axis=0)
    # What rounding leaves of constant columns is not a signal.
    centred[:, np.ptp(values, axis=0) <= np.finfo(np.float32).eps] = 0.0
    return centred
