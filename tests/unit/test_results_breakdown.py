"""Break-downs against plain loops."""

import math
import random

import numpy as np
import pytest

from salmu_demo.metrics.ranking import exposure
from salmu_demo.results.breakdown import disagreements, exposure_grid, group_means


@pytest.fixture(params=range(4))
def rows(request: pytest.FixtureRequest) -> list[tuple[str | None, str | None, float, int]]:
    """Persona, kind, rank and candidates of each row, some without a persona or a kind."""
    draw = random.Random(request.param)
    return [
        (
            draw.choice(["p2", "p1", "p3", None]),
            draw.choice(["job", "city", "shoe_size", "hobby", None]),
            1 + draw.randrange(800) / 2,
            draw.randrange(500, 2002),
        )
        for _ in range(60)
    ]


def test_group_means_equal_a_plain_loop(rows):
    scores = np.array([1 / rank for _, _, rank, _ in rows])
    found = group_means(scores, [persona for persona, *_ in rows])
    assert list(found) == list(dict.fromkeys(persona for persona, *_ in rows if persona is not None))
    for persona, mean in found.items():
        own = [1 / rank for other, _, rank, _ in rows if other == persona]
        assert mean.count == len(own)
        assert mean.mean == pytest.approx(sum(own) / len(own), rel=1e-12)


def test_group_means_without_any_group_are_empty():
    assert group_means(np.array([0.5]), [None]) == {}
    assert group_means(np.array([]), []) == {}


def test_exposure_is_the_entropy_that_a_rank_saves():
    bits = exposure(np.array([1.0, 2.5, 2001.0]), np.array([2001, 1000, 2001]))
    assert bits.tolist() == pytest.approx([math.log2(2001), math.log2(400), 0.0])


def test_the_exposure_grid_equals_a_plain_loop(rows):
    personas, kinds, ranks, candidates = zip(*rows, strict=True)
    grid = exposure_grid(np.array(ranks), np.array(candidates), personas, kinds, ("city", "iban", "job"))
    assert grid.personas == ("p1", "p2", "p3")
    # Known kinds in the given order, further ones by name, and none without rows.
    assert grid.kinds == ("city", "job", "hobby", "shoe_size")
    for i, persona in enumerate(grid.personas):
        for j, kind in enumerate(grid.kinds):
            own = [math.log2(c / r) for p, k, r, c in rows if (p, k) == (persona, kind)]
            if own:
                assert grid.bits[i, j] == pytest.approx(sum(own) / len(own), rel=1e-12)
            else:
                assert math.isnan(grid.bits[i, j])


def test_a_cell_of_the_grid_without_rows_is_nan():
    grid = exposure_grid(np.array([1.0, 1.0]), np.array([8, 4]), ["a", "b"], ["x", "y"], ())
    np.testing.assert_array_equal(grid.bits, [[3.0, np.nan], [np.nan, 2.0]])


def test_rows_without_a_persona_or_a_kind_are_in_no_cell():
    grid = exposure_grid(np.array([1.0, 2.0, 1.0]), np.array([8, 8, 2]), ["a", None, "a"], ["x", "x", None], ("x",))
    assert (grid.personas, grid.kinds, grid.bits.tolist()) == (("a",), ("x",), [[3.0]])
    empty = exposure_grid(np.array([1.0]), np.array([8]), [None], [None], ("x",))
    assert (empty.personas, empty.kinds, empty.bits.shape) == ((), (), (0, 0))


def test_equal_disagreements_keep_the_order_of_many_rows():
    first = np.tile([0.25, 0.5, 0.75, 1.0], 250)
    assert disagreements(first, np.zeros(1000), 600) == [
        row + start for start, count in ((3, 250), (2, 250), (1, 100)) for row in range(0, 4 * count, 4)
    ]


def test_disagreements_are_the_largest_differences_either_way():
    first, second = np.array([0.5, 0.1, 0.9, 0.0, 0.3]), np.array([0.5, 0.8, 0.4, 0.5, 0.3])
    # Differences 0, 0.7, 0.5, 0.5, 0: of equal ones the earlier row comes first.
    assert disagreements(first, second, 3) == [1, 2, 3]
    assert disagreements(first, second, 99) == [1, 2, 3, 0, 4]
