"""AUC and the rate at few false positives against counting all pairs and trying all thresholds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.metrics.intervals import cluster_numbers, draws
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.separation import auc_parts, detected, placements, privacy_leak, resampled_rates


def counted_auc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positives for n in negatives]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("seed", range(5))
def test_the_auc_is_the_share_of_pairs_in_order(seed: int):
    generator = np.random.default_rng(seed)
    positives = generator.integers(0, 9, 31).astype(float)
    negatives = generator.integers(-2, 6, 17).astype(float)
    ours, theirs = auc_parts(positives, negatives)
    expected = counted_auc(positives, negatives)
    assert (len(ours), len(theirs)) == (31, 17)
    assert np.concatenate([ours, theirs]).mean() == pytest.approx(expected)
    # Each side on its own has the same mean: the other half of the parts measures its own spread.
    assert ours.mean() == pytest.approx(expected)
    assert theirs.mean() == pytest.approx(expected)


def test_the_parts_by_hand():
    # 3 is above both negatives, 2 above one and a half of them; 1 is below both positives, 2 below one and a half.
    ours, theirs = auc_parts(np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0]))
    auc = (1 + 0.75 + 0.75) / 3
    assert ours == pytest.approx([auc + 5 / 3 * (1 - auc), *[auc + 5 / 3 * (0.75 - auc)] * 2])
    assert theirs == pytest.approx([auc + 5 / 2 * (1 - auc), auc + 5 / 2 * (2 / 3 - auc)])


def test_the_parts_vary_as_the_auc_does_when_rows_are_drawn():
    generator = np.random.default_rng(0)
    positives, negatives = generator.normal(0.8, 1, 120), generator.normal(0, 1, 60)
    parts = np.concatenate(auc_parts(positives, negatives))
    drawn = [counted_auc(generator.choice(positives, 120), generator.choice(negatives, 60)) for _ in range(300)]
    linear = [generator.choice(parts, 180).mean() for _ in range(300)]
    assert np.std(linear) == pytest.approx(np.std(drawn), rel=0.25)


def test_placements_count_ties_by_half():
    assert placements(np.array([1.0, 1.0 + 1e-8, 2.0]), np.array([0.0, 1.0, 1.0, 3.0])).tolist() == [0.5, 0.5, 0.75]


def test_one_per_cent_of_the_negatives_may_be_above_the_threshold():
    negatives = np.arange(200.0)
    # Two of 200 are allowed: those of 198 and 199. The threshold is 197, which lots of none decide.
    positives = np.array([300.0, 198.5, 197.5, 197.0, 196.0])
    assert detected(positives, negatives).tolist() == [1, 1, 1, 0, 0]


def test_with_few_negatives_none_may_be_above():
    positives = np.array([5.0, 4.0, 3.0])
    # Of 24 negatives 0.24 are allowed: the best positive that ties with the best negative is found in 24 % of all lots.
    assert detected(positives, np.array([4.0, *np.zeros(23)])) == pytest.approx([1.0, 0.24, 0.0])


def test_scores_within_the_tolerance_of_the_threshold_tie_with_it():
    near, beyond = TIE_TOLERANCE, 1.5 * TIE_TOLERANCE
    assert detected(np.array([near, -near, beyond]), np.zeros(24)) == pytest.approx([0.01, 0.01, 1.0])
    # 0.02 negatives of two are allowed, which tie.
    assert detected(np.zeros(1), np.array([0.0, -near])) == pytest.approx([0.01])
    # Two of 200 are allowed, and three are no higher than the threshold: lots of two are drawn for three.
    negatives = np.concatenate([[near, near, 0.0], -np.ones(197)])
    assert detected(np.zeros(1), negatives) == pytest.approx([2 / 3])
    assert placements(np.array([near, beyond]), np.zeros(2)).tolist() == [0.5, 1.0]
    assert placements(np.array([-near, -beyond]), np.zeros(2)).tolist() == [0.5, 0.0]


def test_scores_that_tell_nothing_find_as_many_positives_as_negatives():
    assert detected(np.zeros(7), np.zeros(50)) == pytest.approx(np.full(7, 0.01))
    generator = np.random.default_rng(1)
    rates = [detected(generator.normal(size=400), generator.normal(size=400)).mean() for _ in range(200)]
    # The fifth best of 400 negatives has, on average, 5 / 401 of all scores above it.
    assert np.mean(rates) == pytest.approx(5 / 401, abs=0.001)


def test_privacy_leak_is_below_zero_where_members_are_still_known():
    # MUSE: (AUC' - AUC'_retrained) / AUC'_retrained with AUC' = 1 - AUC.
    assert privacy_leak(0.9, 0.6) == pytest.approx((0.1 - 0.4) / 0.4)
    assert privacy_leak(0.6, 0.6) == 0
    assert privacy_leak(0.3, 0.6) == pytest.approx((0.7 - 0.4) / 0.4)


def test_a_drawn_rate_is_that_of_the_drawn_people_with_their_own_threshold():
    generator = np.random.default_rng(0)
    # Rounded, so that many tie; three rows in ten are nobody's.
    positives, negatives = generator.normal(1, 1, 200).round(1), generator.normal(0, 1, 150).round(1)
    identities = [None if n < 3 else f"person {n}" for n in generator.integers(0, 10, 350).tolist()]
    clusters = cluster_numbers(identities)
    expected = []
    for drawn in draws(int(clusters.max()) + 1, 40, 7):
        expected += [
            detected(np.repeat(positives, often[:200]), np.repeat(negatives, often[200:])).mean()
            for often in drawn.astype(np.int64)[:, clusters]
        ]
    found = resampled_rates(positives, negatives, identities, 40, 7)
    assert found == pytest.approx(expected)
    assert np.std(expected) > 0.01


def test_a_draw_of_one_side_says_nothing_about_the_rate():
    # The positives are one person's and the negatives the other's: half of the draws have both.
    found = resampled_rates(np.array([2.0]), np.array([1.0]), ["a", "b"], resamples=100)
    assert found is not None
    assert 30 < len(found) < 70
    assert set(found.tolist()) == {1.0}
    assert resampled_rates(np.array([2.0]), np.array([1.0]), ["a", "a"]) is None
