"""CKA: by its definition, and by hand."""

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.representation import linear_cka


def test_cka_equals_its_definition_by_gram_matrices_and_ignores_rotations_and_factors():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)), rng.normal(size=(40, 9))
    centre = np.eye(40) - np.full((40, 40), 1 / 40)
    k, m = centre @ x @ x.T @ centre, centre @ y @ y.T @ centre
    expected = np.sum(k * m) / np.sqrt(np.sum(k * k) * np.sum(m * m))
    assert linear_cka(x, y) == pytest.approx(expected, rel=1e-9)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert linear_cka(x, 3 * x @ rotation + 5) == pytest.approx(1.0)
    assert linear_cka(x, y) < 0.5


def test_cka_of_hand_made_features_is_of_what_differs_from_their_mean():
    # One column each: centred they are (-1, 0, 1) and (-1, 1, 0), whose squared correlation is (1 / 2) ** 2.
    x, y = np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [3.0], [2.0]])
    assert linear_cka(x, y) == pytest.approx(0.25, rel=1e-12)
    # Features of a real model share a large mean, which says nothing about how alike two models are.
    assert linear_cka(x + 100, y + 100) == pytest.approx(0.25, rel=1e-9)
    # Orthogonal columns (1, -1, 0, 0) and (0, 0, 1, -1) about a mean: no common direction at all.
    first, second = np.array([[6.0], [4.0], [5.0], [5.0]]), np.array([[5.0], [5.0], [6.0], [4.0]])
    assert linear_cka(first, second) == pytest.approx(0.0, abs=1e-12)
    # Of two equal columns, one is lost: ‖YᵀX‖² = 4, ‖XᵀX‖ = √8, ‖YᵀY‖ = 2.
    both = np.concatenate([first, second], axis=1)
    assert linear_cka(both, first) == pytest.approx(4 / (np.sqrt(8) * 2), rel=1e-12)


def test_cka_of_features_that_are_all_equal_is_refused():
    x = np.random.default_rng(0).normal(size=(5, 3))
    with pytest.raises(MetricError, match="gives all items the same feature"):
        linear_cka(x, np.full((5, 3), 0.577))
    with pytest.raises(MetricError, match="first has 5 rows but second has 4"):
        linear_cka(x, x[:4])


def test_cka_of_features_that_differ_by_rounding_only_is_refused():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 3))
    with pytest.raises(MetricError, match="gives all items the same feature"):
        linear_cka(x, np.array([0.5, -0.3, 0.8]) + rng.uniform(-1e-9, 1e-9, (5, 3)))


def test_cka_of_single_precision_is_computed_in_double_and_is_never_above_one():
    rng = np.random.default_rng(2)
    for _ in range(50):
        x, y = (rng.normal(size=(30, 5)).astype(np.float32) for _ in range(2))
        assert linear_cka(x, y) == linear_cka(x.astype(np.float64), y.astype(np.float64))
        # A rotation changes nothing, but for a rounding.
        turned = x.astype(np.float64) @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
        assert 1 - 1e-12 < linear_cka(x, turned) <= 1
