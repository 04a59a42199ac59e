"""How line-ups are read, against plain loops and complete enumeration."""

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import line_up
from salmu_demo.metrics.line_up import (
    alarm_rate,
    chance_beyond,
    chance_exposure,
    exposure,
    image_scores,
    standardised_scores,
    two_sided_p,
    value_rank,
)
from salmu_demo.metrics.multiple_tests import benjamini_hochberg, binomial_tail, holm
from salmu_demo.metrics.protocol import SEED
from salmu_demo.probes.attacks.base import Background, exposure_interval, place_of, wrong_distances

Array = NDArray[np.float32]


def plain_scores(images: Any, sentences: Any) -> list[list[float]]:
    """Mean standardised cosine of each candidate for each image, with loops."""
    found = []
    for image in images:
        totals = [0.0] * len(sentences[0])
        for sentence in sentences:
            cosines = [float(image @ text / np.linalg.norm(image) / np.linalg.norm(text)) for text in sentence]
            mean = sum(cosines) / len(cosines)
            deviation = math.sqrt(sum((c - mean) ** 2 for c in cosines) / len(cosines))
            totals = [total + (c - mean) / deviation / len(sentences) for total, c in zip(totals, cosines, strict=True)]
        found.append(totals)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_plain_loops(seed: int):
    rng = np.random.default_rng(seed)
    images, sentences = rng.normal(size=(4, 5)), rng.normal(size=(3, 7, 5))
    expected = plain_scores(images, sentences)
    found = image_scores(images.astype(np.float32), sentences.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    means = standardised_scores(images.astype(np.float32), sentences.astype(np.float32))
    np.testing.assert_allclose(means, np.mean(expected, axis=0), atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 14, 70])
def test_scores_are_the_same_bits_however_many_are_standardised_at_a_time(at_once: int, monkeypatch):
    rng = np.random.default_rng(3)
    images, sentences = rng.normal(size=(2, 5)).astype(np.float32), rng.normal(size=(5, 7, 5)).astype(np.float32)
    expected = image_scores(images, sentences)
    monkeypatch.setattr(line_up, "_SCORES_AT_ONCE", at_once)
    assert np.array_equal(image_scores(images, sentences), expected)


def collapsed(rng: np.random.Generator, count: int, width: int) -> Array:
    """Equal directions of unequal length, whose cosines with anything come out unequal in the last bits."""
    return (rng.normal(size=width) * rng.uniform(0.5, 2, (count, 1))).astype(np.float32)


def test_a_collapsed_model_is_placed_in_the_middle_of_any_line_up():
    rng = np.random.default_rng(11)
    for _ in range(40):
        faces, sentences, candidates, width = (int(n) for n in rng.integers((1, 1, 4, 2), (9, 4, 200, 600)))
        images = rng.normal(size=(faces, width)).astype(np.float32)
        texts = np.stack([collapsed(rng, candidates, width) for _ in range(sentences)])
        true = rng.permutation(candidates)[: rng.integers(1, 3)].tolist()
        place = place_of(standardised_scores(images, texts), true, Background(np.zeros(50)))
        assert place.candidates == candidates - len(true) + 1
        assert place.rank == (place.candidates + 1) / 2
        assert place.tail == 1


@pytest.mark.parametrize("place", ["image_features", "candidate_features"])
def test_features_that_are_not_finite_are_refused_by_name(place: str):
    features = {"image_features": np.ones((2, 3)), "candidate_features": np.ones((1, 2, 3))}
    features[place][..., 0] = np.nan
    with pytest.raises(MetricError, match=f"^{place} has NaN"):
        image_scores(*features.values())


def test_ties_count_half_and_further_true_values_take_no_part():
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5, 0.2])
    assert value_rank(scores, np.array([True, False, False, False, False, True])) == (1 + 1 + 2 * 0.5, 5)
    assert value_rank(scores, np.array([False, False, True, False, False, False])) == (1 + 1 + 2 * 0.5, 6)


def ranks_by_enumeration(candidates: int, true: int) -> list[int]:
    """Rank of the best true value among the false ones, for every way to lay out true and false ones."""
    total = candidates - 1 + true
    return [min(places) + 1 for places in combinations(range(total), true)]


@pytest.mark.parametrize(("candidates", "true"), [(1, 1), (2, 1), (7, 1), (2, 2), (6, 2), (5, 3)])
def test_p_and_chance_equal_complete_enumeration(candidates: int, true: int):
    ranks = ranks_by_enumeration(candidates, true)
    for rank in range(1, candidates + 1):
        ahead = sum(r <= rank for r in ranks) / len(ranks)
        behind = sum(r >= rank for r in ranks) / len(ranks)
        assert two_sided_p(rank, candidates, true) == pytest.approx(min(1, 2 * min(ahead, behind)), abs=1e-12)
    bits = [math.log2(candidates / rank) for rank in ranks]
    assert chance_exposure(candidates, true) == pytest.approx(sum(bits) / len(bits), abs=1e-12)
    if true == 1:
        assert chance_exposure(candidates) == chance_exposure(candidates, 1)
        assert chance_beyond(1, candidates) == chance_beyond(1, candidates, 1) == (candidates - 1) / candidates
    for level in (0.05, 0.4, 0.7):
        alarms = sum(two_sided_p(rank, candidates, true) <= level for rank in ranks) / len(ranks)
        assert alarm_rate(candidates, true, level) == pytest.approx(alarms, abs=1e-12)


@pytest.mark.parametrize("rank", [1, 1.5, 2, 48.5, 95, 96])
def test_p_of_one_true_value_is_the_stated_formula(rank: float):
    assert two_sided_p(rank, 96) == min(1, 2 * min(rank, 97 - rank) / 96)
    assert exposure(rank, 96) == pytest.approx(math.log2(96 / rank), abs=1e-12)


def test_corrections_equal_plain_loops():
    rng = np.random.default_rng(5)
    for _ in range(20):
        p = rng.uniform(size=rng.integers(1, 9)).round(1).tolist()
        count, order = len(p), sorted(p)
        for value, adjusted, discovered in zip(p, holm(p), benjamini_hochberg(p), strict=True):
            last = max(i for i, other in enumerate(order) if other == value)
            steps = [(count - i) * order[i] for i in range(last + 1)]
            assert adjusted == pytest.approx(min(1, max(steps)))
            steps = [count / (i + 1) * order[i] for i in range(order.index(value), count)]
            assert discovered == pytest.approx(min(1, min(steps)))
    assert holm([]) == benjamini_hochberg([]) == []


def test_a_binomial_tail_is_that_of_all_outcomes():
    for found in range(6):
        chance = sum(
            0.3 ** bin(outcome).count("1") * 0.7 ** (5 - bin(outcome).count("1"))
            for outcome in range(32)
            if bin(outcome).count("1") >= found
        )
        assert binomial_tail(found, 5, 0.3) == pytest.approx(chance)
    # Whatever rounding adds up to.
    assert {binomial_tail(0, trials, 0.1) <= 1 for trials in range(1, 90)} == {True}


def test_distances_of_wrong_candidates_leave_each_out():
    scores = np.random.default_rng(1).normal(size=9)
    for number, found in enumerate(wrong_distances(scores)):
        others = np.delete(scores, number)
        assert found == pytest.approx((scores[number] - others.mean()) / others.std())
    assert wrong_distances(np.array([3.0])).tolist() == [0.0]
    assert wrong_distances(np.array([3.0, 4.0])).tolist() == [0.0, 0.0]


def test_a_tail_counts_the_background_and_itself():
    background = Background(np.array([-2.0, -1.0, 0.0, 1.0, 1.0, 2.0, 3.0]))
    # Of eight with itself, two are at least 3.0, and eight at most.
    assert background.tail(3.0, 1) == 2 * 2 / 8
    assert background.tail(4.0, 1) == 2 * 1 / 8
    assert background.tail(-3.0, 1) == 2 * 1 / 8
    assert background.tail(1.0, 1) == 1.0
    # The best of two is ahead if either is, and behind if both are.
    assert background.tail(4.0, 2) == pytest.approx(2 * (1 - (7 / 8) ** 2))
    assert background.tail(-3.0, 2) == pytest.approx(2 * (1 / 8) ** 2)
    assert Background(np.empty(0)).tail(9.0, 1) == 1.0


def test_the_place_of_the_best_true_value():
    scores = np.array([0.0, 4.0, 1.0, 2.0, 3.0])
    place = place_of(scores, (2, 4), Background(np.array([-1.0, 0.0, 0.5, 2.0])))
    assert (place.rank, place.candidates, place.true, place.end) == (2, 4, 2, "top")
    # The wrong ones are 0, 4 and 2: mean 2, deviation 1.633; the best true one is 0.612 above.
    assert place.tail == min(1, 2 * min(1 - (1 - 2 / 5) ** 2, (4 / 5) ** 2))
    assert (place.from_nearer_end, place.first) == (2, False)
    assert place_of(scores, (1,), Background(np.empty(0))).first
    assert place_of(scores, (0,), Background(np.empty(0))).end == "bottom"
    assert place_of(scores, (0,), Background(np.empty(0))).from_nearer_end == 1


def test_an_interval_is_that_of_drawn_images():
    per_query = np.random.default_rng(4).normal(size=(3, 9))
    drawn = np.random.default_rng(SEED).integers(0, 3, (1000, 3))
    bits = []
    for images in drawn:
        scores = per_query[images].mean(axis=0)
        rank = 1 + sum(scores > scores[2]) - 0
        bits.append(math.log2(9 / rank))
    expected = np.quantile(bits, [0.025, 0.975])
    assert exposure_interval(per_query, (2,)) == pytest.approx(tuple(expected))
    assert exposure_interval(per_query[:1], (2,)) is None
