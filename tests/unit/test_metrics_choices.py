"""Multiple choice, CLEAR's aggregates and Forget Quality against plain loops and numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import clear_protocol
from salmu_demo.metrics.choices import (
    choice_cosines,
    choice_credit,
    choice_probability,
    log_shares,
    log_truth_ratio_over_all,
    log_truth_ratio_per_example,
    truth_ratio_over_all,
    truth_ratio_per_example,
)
from salmu_demo.metrics.clear_aggregates import TaskScores, aggregate, harmonic_mean
from salmu_demo.metrics.clear_protocol import CLEAR_DECISIONS
from salmu_demo.metrics.forget_quality import (
    LOWEST_BY_ROW,
    forget_quality_by_row,
    forget_quality_of_distributions,
    ks_p_value,
)
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.rouge import rouge_l_recall

NONE = -np.inf


@pytest.fixture
def cosines() -> NDArray[np.float64]:
    """Twelve rows of up to five candidates."""
    found = np.random.default_rng(3).uniform(-0.1, 0.4, (12, 5))
    found[4, 3:] = found[7, 4] = NONE
    found[2, 1] = found[2, 0] = 0.9  # a tie for the highest
    return found


def candidates(row: NDArray[np.float64]) -> list[float]:
    return [value for value in row.tolist() if value != NONE]


def slow_shares(row: NDArray[np.float64], temperature: float) -> list[float]:
    weights = [math.exp(temperature * value) for value in candidates(row)]
    return [weight / math.fsum(weights) for weight in weights]


@pytest.mark.parametrize("temperature", [10.0, 100.0])
def test_probability_and_both_truth_ratios_equal_a_slow_recomputation(cosines, temperature):
    logs = log_shares(cosines, temperature)
    shares = [slow_shares(row, temperature) for row in cosines]
    assert choice_probability(logs).tolist() == pytest.approx([share[0] for share in shares])
    own = [math.fsum(share[1:]) / len(share[1:]) / share[0] for share in shares]
    assert np.exp(log_truth_ratio_per_example(logs)).tolist() == pytest.approx(own)
    assert truth_ratio_per_example(logs).tolist() == pytest.approx([max(0.0, 1 - ratio) for ratio in own])
    losses = [-math.log(wrong) for share in shares for wrong in share[1:]]
    mean = math.fsum(losses) / len(losses)
    over_all = [math.exp(mean + math.log(share[0])) for share in shares]
    assert np.exp(log_truth_ratio_over_all(logs)).tolist() == pytest.approx(over_all)
    assert truth_ratio_over_all(logs, True).tolist() == pytest.approx([min(t, 1 / t) for t in over_all])
    assert truth_ratio_over_all(logs, False).tolist() == pytest.approx([max(0, 1 - 1 / t) for t in over_all])


def test_the_two_forms_differ_in_whose_wrong_answers_count():
    # The second row is as before, the wrong answer of the first becomes ten times likelier.
    before, after = np.log([[0.5, 0.01], [0.5, 0.1]]), np.log([[0.5, 0.1], [0.5, 0.1]])
    assert truth_ratio_per_example(before)[1] == truth_ratio_per_example(after)[1] == pytest.approx(0.8)
    assert np.exp(log_truth_ratio_over_all(after))[1] == pytest.approx(5.0)
    assert np.exp(log_truth_ratio_over_all(before))[1] == pytest.approx(5.0 * math.sqrt(10))


def test_the_form_per_example_takes_the_mean_of_probabilities_and_the_other_that_of_losses():
    one = np.log([[0.2, 0.4, 0.1]])
    assert np.exp(log_truth_ratio_per_example(one)).tolist() == pytest.approx([0.25 / 0.2])
    assert np.exp(log_truth_ratio_over_all(one)).tolist() == pytest.approx([0.2 / math.sqrt(0.4 * 0.1)])


def test_accuracy_shares_a_tie_and_counts_only_the_first_candidate(cosines):
    expected = []
    for row in cosines:
        best = max(candidates(row))
        winners = [place for place, value in enumerate(row) if value > best - 1e-6]
        expected.append(1 / len(winners) if 0 in winners else 0.0)
    assert choice_credit(cosines).tolist() == expected
    assert expected[2] == 0.5


def test_a_difference_of_the_very_tolerance_is_a_tie():
    assert choice_credit(np.array([[0.0, TIE_TOLERANCE], [0.0, 1.5 * TIE_TOLERANCE]])).tolist() == [0.5, 0.0]


def test_a_collapsed_model_is_at_chance():
    same = np.full((3, 4), 0.2)
    assert choice_credit(same).tolist() == [0.25] * 3
    assert choice_probability(log_shares(same)).tolist() == pytest.approx([0.25] * 3)
    assert truth_ratio_per_example(log_shares(same)).tolist() == pytest.approx([0] * 3, abs=1e-12)
    assert truth_ratio_over_all(log_shares(same), True).tolist() == pytest.approx([1] * 3)


def test_nothing_overflows_where_a_model_is_sure():
    sure = log_shares(np.array([[1.0, -1.0, NONE], [-1.0, 1.0, 1.0]]), 1e4)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert truth_ratio_per_example(sure).tolist() == [1, 0]
        assert truth_ratio_over_all(sure, True).tolist() == [0, 0]
        assert truth_ratio_over_all(sure, False).tolist() == [1, 0]


def test_cosines_are_those_of_each_row_with_its_own_candidates():
    generator = np.random.default_rng(1)
    images, texts = generator.normal(size=(4, 6)), generator.normal(size=(9, 6))
    numbers = np.array([[0, 1, 2], [3, 4, -1], [8, 0, 3], [5, 6, 7]])
    found = choice_cosines(images, texts, numbers)
    for row, chosen in enumerate(numbers):
        for place, number in enumerate(chosen):
            a, b = images[row], texts[number]
            expected = NONE if number == -1 else a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert found[row, place] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([[0.5]], "2 candidates at least"),
        ([[NONE, 0.5]], "must be finite"),
        ([[0.5, np.nan]], "must be finite"),
        ([[0.5, NONE]], "nothing else to choose from"),
        ([[0.5, 0.4], [0.5, NONE]], "nothing else to choose from"),
    ],
)
def test_what_is_no_choice_is_refused(scores, words):
    for measure in (choice_credit, log_shares, log_truth_ratio_per_example, log_truth_ratio_over_all):
        with pytest.raises(MetricError, match=words):
            measure(np.array(scores))


def test_a_row_may_have_fewer_candidates_than_the_only_text():
    assert choice_cosines(np.eye(2), np.array([[3.0, 4.0]]), np.array([[0, -1], [-1, 0]])) == pytest.approx(
        np.array([[0.6, NONE], [NONE, 0.8]])
    )


@pytest.mark.parametrize(
    ("images", "texts", "candidates", "words"),
    [
        ([[np.nan, 1.0]], np.eye(2), [[0, 1]], "^image_features has NaN"),
        (np.eye(2)[:1], [[np.nan, 1.0]], [[0, 0]], "^text_features has NaN"),
        (np.eye(3)[:1], np.eye(2), [[0, 1]], "image_features has 3 columns but text_features has 2"),
        (np.eye(2), np.eye(2), [[0, 1]], "image_features has 2 rows but candidates has 1"),
    ],
)
def test_what_makes_no_cosines_is_named(images: Any, texts: Any, candidates: Any, words: str):
    with pytest.raises(MetricError, match=words):
        choice_cosines(np.array(images), np.array(texts), np.array(candidates))


def test_candidates_outside_the_texts_are_refused():
    with pytest.raises(MetricError, match="candidates must lie between 0 and 1"):
        choice_cosines(np.eye(2), np.eye(2), np.array([[0, 2], [0, 1]]))


SCORES = {
    "real faces": TaskScores(0.5, 0.4, 0.3), "real world": TaskScores(0.6, 0.8, 0.9),
    "retain captions": TaskScores(0.7, 0.2, 0.5), "retain names": TaskScores(0.3, 0.9, 0.6),
    "forget captions": TaskScores(0.25, 0.5, 1.0), "forget names": TaskScores(1.0, 0.5, 0.25),
}  # fmt: skip


def test_aggregates_are_harmonic_means_in_both_forms():
    # 4 / (1/0.25 + 1/0.5 + 1/1 + 1/0.5) and 6 / (that + 1/1 + 1/0.25)
    assert aggregate(SCORES, "Forget", "tables") == pytest.approx(4 / 9)
    assert aggregate(SCORES, "Forget", "text") == pytest.approx(6 / 14)
    for what, tasks in (("Real", 2), ("Retain", 2), ("Model Utility", 4)):
        chosen = [scores for task, scores in SCORES.items() if not task.startswith("forget")]
        chosen = {"Real": chosen[:2], "Retain": chosen[2:], "Model Utility": chosen}[what]
        numbers = [value for s in chosen for value in (s.probability, s.truth_ratio)]
        assert len(chosen) == tasks
        assert aggregate(SCORES, what, "tables") == pytest.approx(len(numbers) / sum(1 / n for n in numbers))
        numbers += [s.rouge for s in chosen]
        assert aggregate(SCORES, what, "text") == pytest.approx(len(numbers) / sum(1 / n for n in numbers))


def test_aggregates_say_what_they_lack():
    without = {task: TaskScores(scores.probability, scores.truth_ratio) for task, scores in SCORES.items()}
    assert aggregate(without, "Real", "tables") == aggregate(SCORES, "Real", "tables")
    with pytest.raises(MetricError, match="needs ROUGE-L of real faces, which a model without a decoder does not have"):
        aggregate(without, "Model Utility", "text")
    with pytest.raises(MetricError, match="Retain needs the task retain captions"):
        aggregate({"real faces": SCORES["real faces"]}, "Retain", "tables")
    assert harmonic_mean([0.5, 0.0, 1.0]) == 0
    for wrong in ([], [0.5, 1.5], [-0.1], [math.nan]):
        with pytest.raises(MetricError, match="numbers from 0 to 1"):
            harmonic_mean(wrong)


def test_forget_quality_by_row_is_the_official_one_and_depends_on_the_order_of_rows():
    generator = np.random.default_rng(5)
    ours, gold = generator.normal(0, 2, 40), generator.normal(1, 1, 40)
    assert forget_quality_by_row(ours, gold) == pytest.approx(1 - jensenshannon(np.exp(ours), np.exp(gold)))
    assert forget_quality_by_row(gold, gold) == 1
    # A factor of all rows, far out of range.
    assert forget_quality_by_row(ours + 700, gold) == pytest.approx(forget_quality_by_row(ours, gold))
    assert forget_quality_by_row(ours[::-1], gold) != pytest.approx(forget_quality_by_row(ours, gold), abs=1e-3)
    apart = np.array([0.0, -800.0])
    assert forget_quality_by_row(apart, apart[::-1]) == pytest.approx(LOWEST_BY_ROW) == pytest.approx(0.16745, abs=1e-5)


def test_forget_quality_of_distributions_counts_shares_in_bins_whatever_the_order():
    generator = np.random.default_rng(6)
    ours, gold = generator.normal(0, 2, 90), generator.normal(1, 1, 40)

    def counts(ratios: NDArray[np.float64]) -> list[float]:
        found = [0] * 20
        for ratio in ratios:
            t = math.exp(ratio)
            found[min(19, int(t / (1 + t) * 20))] += 1
        return [count / len(ratios) for count in found]

    expected = 1 - jensenshannon(counts(ours), counts(gold), base=2)
    assert forget_quality_of_distributions(ours, gold) == pytest.approx(expected)
    assert forget_quality_of_distributions(ours[::-1], gold) == forget_quality_of_distributions(ours, gold)
    assert 0.3 < expected < 0.9
    nearer = generator.normal(0.8, 1, 90)
    assert forget_quality_of_distributions(nearer, gold) > expected


def test_the_ks_p_value_is_that_of_the_ratios():
    generator = np.random.default_rng(7)
    ours, gold = generator.normal(0, 2, 50), generator.normal(1, 1, 40)
    assert ks_p_value(ours, gold) == pytest.approx(ks_2samp(np.exp(ours), np.exp(gold)).pvalue)
    assert ks_p_value(ours, gold) < 0.01 < ks_p_value(ours, ours[::2])


@pytest.mark.parametrize("measure", [forget_quality_by_row, forget_quality_of_distributions, ks_p_value])
def test_truth_ratios_that_are_no_numbers_are_refused(measure):
    for wrong in (np.array([]), np.array([0.0, np.nan]), np.zeros((2, 2))):
        with pytest.raises(MetricError, match="must be finite logarithms"):
            measure(wrong, np.array([0.0, 1.0]))
    if measure is forget_quality_by_row:
        with pytest.raises(MetricError, match="has 3 rows but log_ratios_gold has 2"):
            measure(np.zeros(3), np.zeros(2))


def test_every_constant_of_clear_has_a_decision_that_states_its_value():
    constants = {name: value for name, value in vars(clear_protocol).items() if name.isupper()}
    del constants["CLEAR_DECISIONS"]
    assert {found.constant for found in CLEAR_DECISIONS} == {f"{name} = {value!r}" for name, value in constants.items()}


def test_rouge_l_is_the_longest_common_subsequence_of_stems_over_the_truth():
    truths = ["The author is holding three apples", "Zoë Åström", "one two three four"]
    written = ["three apple are held by the author", "zoë åström", "four three two one"]
    # "the author", "three apple" is the longer of two; "zo str m" of letters a to z; any one of four in reverse.
    assert rouge_l_recall(written, truths).tolist() == pytest.approx([2 / 6, 1.0, 1 / 4])
    with pytest.raises(MetricError, match="has no letter from a to z or digit"):
        rouge_l_recall(["a"], ["孫 美玲"])
    with pytest.raises(MetricError, match="written has 1 rows but truths has 2"):
        rouge_l_recall(["a"], ["a", "b"])
