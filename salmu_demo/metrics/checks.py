"""The input checks every metric shares, and the one place where features are normalised."""

from collections.abc import Sized
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError

Features: TypeAlias = NDArray[np.floating[Any]]
"""Embeddings, one per row, of any floating type."""

Index: TypeAlias = NDArray[np.integer[Any]]
"""Row or class numbers, of any integer type."""


def normalised(features: Features, argument: str) -> NDArray[np.float32]:
    """Check features and scale every row to length 1.

    Every metric does this itself, so that its result never depends on whether the caller already has; doing it twice
    is harmless.

    Args:
        features: shape ``(N, D)``, floating type.
        argument: what the features are called in an error message.

    Returns:
        Array of shape ``(N, D)``, float32, every row of length 1.

    Raises:
        MetricError: if ``features`` is not a 2-D floating array, is empty, or has a row that is not finite or is zero.

    Example:
        >>> import numpy as np
        >>> normalised(np.array([[3.0, 4.0], [0.0, 2.0]]), "image_features").round(2).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 1.0]]
    """
    if features.ndim != 2 or not np.issubdtype(features.dtype, np.floating):
        raise MetricError(
            f"{argument} must be a 2-D array of floating numbers, one embedding per row, "
            f"but it has shape {features.shape} and type {features.dtype}."
        )
    if len(features) == 0:
        raise MetricError(f"{argument} has no rows: choose a split or filter that leaves at least one.")
    # A float64 number too large for float32 becomes infinite and is reported below with the others.
    with np.errstate(over="ignore"):
        rows = np.asarray(features, dtype=np.float32)
    check_finite(rows, argument)
    # Summed in float64: squares of float32 numbers can leave the range of float32.
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
    _refuse_rows(
        lengths == 0.0,
        f"{argument} is zero, which has no direction,",
        "embed these rows again, and check that the model's weights are not zero.",
    )
    unit = np.empty_like(rows)
    np.divide(rows, lengths[:, None], out=unit, casting="same_kind")
    return unit


def check_finite(features: Features, argument: str) -> None:
    """Refuse features with NaN or infinite numbers.

    Args:
        features: shape ``(N, D)``.
        argument: what the features are called in an error message.

    Raises:
        MetricError: if a number is not finite.

    Example:
        >>> import numpy as np
        >>> check_finite(np.array([[1.0, np.nan]]), "image_features")
        Traceback (most recent call last):
            ...
        salmu_demo.core.errors.MetricError: image_features has NaN or infinite numbers in 1 of 1 rows (the first is \
row 0): embed these rows again, and check that the model's weights are finite.
    """
    _refuse_rows(
        np.logical_not(np.isfinite(features).all(axis=1)),
        f"{argument} has NaN or infinite numbers",
        "embed these rows again, and check that the model's weights are finite.",
    )


def _refuse_rows(bad: NDArray[np.bool_], problem: str, remedy: str) -> None:
    if bad.any():
        raise MetricError(
            f"{problem} in {np.count_nonzero(bad)} of {len(bad)} rows (the first is row {bad.argmax()}): {remedy}"
        )


def check_same_width(first: Features, first_argument: str, second: Features, second_argument: str) -> None:
    """Refuse two checked feature arrays of different widths.

    Args:
        first: shape ``(N, D)``.
        first_argument: what ``first`` is called in an error message.
        second: shape ``(M, D)``.
        second_argument: what ``second`` is called in an error message.

    Raises:
        MetricError: if the two differ in width.

    Example:
        >>> import numpy as np
        >>> check_same_width(np.ones((1, 3)), "image_features", np.ones((5, 2)), "name_features")
        Traceback (most recent call last):
            ...
        salmu_demo.core.errors.MetricError: image_features has 3 columns but name_features has 2: take both \
from one model.
    """
    if first.shape[1] != second.shape[1]:
        raise MetricError(
            f"{first_argument} has {first.shape[1]} columns but {second_argument} has {second.shape[1]}: "
            "take both from one model."
        )


def check_same_rows(first: Sized, first_argument: str, second: Sized, second_argument: str) -> None:
    """Refuse two paired arguments of different lengths.

    Args:
        first: array or list.
        first_argument: what ``first`` is called in an error message.
        second: array or list.
        second_argument: what ``second`` is called in an error message.

    Raises:
        MetricError: if the two differ in length.

    Example:
        >>> check_same_rows(["a", "b"], "captions", ["c"], "image_features")
        Traceback (most recent call last):
            ...
        salmu_demo.core.errors.MetricError: captions has 2 rows but image_features has 1: give one of each per pair.
    """
    if len(first) != len(second):
        raise MetricError(
            f"{first_argument} has {len(first)} rows but {second_argument} has {len(second)}: "
            "give one of each per pair."
        )


def check_index(index: Index, argument: str, below: int) -> None:
    """Refuse an index that is not a 1-D array of integers from 0 to ``below`` - 1.

    Args:
        index: shape ``(N,)``, integer type.
        argument: what ``index`` is called in an error message.
        below: number of things it may point at.

    Raises:
        MetricError: if the shape, the type or an entry is wrong. Negative entries are refused, not counted from the
            end.

    Example:
        >>> import numpy as np
        >>> check_index(np.array([0, 3]), "labels", below=3)
        Traceback (most recent call last):
            ...
        salmu_demo.core.errors.MetricError: labels must lie between 0 and 2, but it reaches from 0 to 3.
    """
    if index.ndim != 1 or not np.issubdtype(index.dtype, np.integer):
        raise MetricError(
            f"{argument} must be a 1-D array of integers, but it has shape {index.shape} and type {index.dtype}."
        )
    if len(index) and (index.min() < 0 or index.max() >= below):
        raise MetricError(
            f"{argument} must lie between 0 and {below - 1}, but it reaches from {index.min()} to {index.max()}."
        )
