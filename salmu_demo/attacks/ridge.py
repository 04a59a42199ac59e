"""Ridge regression between features: all that a linear attacker does."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RIDGE: Final = 0.1
"""Added to the diagonal: features have length 1, so that it is small beside thousands of rows."""


@dataclass(frozen=True)
class LinearMap:
    """An affine map: ``(x - x_mean) W + y_mean``.

    Attributes:
        weights: W, shape (D, E).
        x_mean: shape (D,).
        y_mean: shape (E,).
    """

    weights: NDArray[np.float64]
    x_mean: NDArray[np.float64]
    y_mean: NDArray[np.float64]

    def __call__(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map features of shape (N, D) to shape (N, E), each of length 1."""
        mapped: NDArray[np.float64] = (features - self.x_mean) @ self.weights + self.y_mean
        mapped /= np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return mapped


def fit(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], ridge: float = RIDGE) -> LinearMap:
    """The map from x to y, W = (X'X + ridge I)^-1 X'Y of the centred rows.

    Args:
        x: shape (N, D).
        y: shape (N, E).
        ridge: what is added to the diagonal.

    Example:
        >>> found = fit(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), np.array([[0.0], [2.0], [4.0]]), ridge=0.0)
        >>> found.weights.round(6).tolist()
        [[1.0], [2.0]]
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    centred = x - x_mean
    weights = np.linalg.solve(centred.T @ centred + ridge * np.eye(x.shape[1]), centred.T @ (y - y_mean))
    return LinearMap(weights, x_mean, y_mean)
