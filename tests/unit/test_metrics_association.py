"""AssocStr and its four relatives, ACS and CoreAssoc."""

import math
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import association_classification, core_association, core_prompts, pair_similarity


def unit(row):
    length = math.sqrt(math.fsum(float(value) ** 2 for value in row))
    return [float(value) / length for value in row]


def cosine(first, second):
    return math.fsum(a * b for a, b in zip(unit(first), unit(second), strict=True))


def noisy_pairs(rows, width=16, signal=0.25, seed=5):
    generator = np.random.RandomState(seed)
    images = generator.normal(size=(rows, width))
    return images, images * signal + generator.normal(size=(rows, width))


def test_pair_similarity_equals_a_slow_recomputation():
    images, texts = noisy_pairs(31)
    expected = [cosine(image, text) for image, text in zip(images, texts, strict=True)]
    result = pair_similarity(images, texts)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert result.mean() == pytest.approx(sum(expected) / 31, abs=1e-5)


def test_pair_similarity_of_known_angles():
    images = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    texts = np.array([[0.5, 0.0], [-3.0, 0.0], [1.0, math.sqrt(3)]])
    result = pair_similarity(images, texts)
    np.testing.assert_allclose(result, [1.0, -1.0, 0.5], atol=1e-6)
    assert result.mean() == pytest.approx(1 / 6, abs=1e-6)


def slow_acs(images, texts):
    """The contract, step by step, with loops wherever no library is prescribed."""
    count = len(images)
    order = np.random.RandomState(42).permutation(count)
    samples = [[a * b for a, b in zip(unit(images[i]), unit(texts[i]), strict=True)] for i in range(count)]
    samples += [[a * b for a, b in zip(unit(images[i]), unit(texts[order[i]]), strict=True)] for i in range(count)]
    labels = [1] * count + [0] * count
    train, test, train_labels, test_labels = train_test_split(
        samples, labels, test_size=0.5, stratify=labels, random_state=42
    )
    columns = range(len(train[0]))
    means = [sum(row[c] for row in train) / len(train) for c in columns]
    spreads = [math.sqrt(sum((row[c] - means[c]) ** 2 for row in train) / len(train)) for c in columns]

    def scaled(rows):
        return [[(row[c] - means[c]) / spreads[c] for c in columns] for row in rows]

    guesses = LogisticRegression(C=1.0, max_iter=1000).fit(scaled(train), train_labels).predict(scaled(test))
    return sum(int(guess) == label for guess, label in zip(guesses, test_labels, strict=True)) / len(test_labels)


@pytest.mark.parametrize("rows", [60, 61, 173])
def test_acs_equals_a_slow_recomputation(rows):
    images, texts = noisy_pairs(rows, signal=0.8)
    expected = slow_acs(images, texts)
    test_rows, correct = association_classification(images, texts)
    assert correct.mean() == pytest.approx(expected, abs=1e-5)
    assert 0.5 < expected < 0.95
    # True pairs are numbered before shuffled ones, and both fold onto the rows of their images.
    _, scored = train_test_split(np.arange(2 * rows), test_size=0.5, stratify=[1] * rows + [0] * rows, random_state=42)
    assert test_rows.tolist() == [pair if pair < rows else pair - rows for pair in scored.tolist()]


def test_acs_of_equal_features_is_equal():
    images, texts = noisy_pairs(120)
    first = association_classification(images, texts)
    # Draws made in between must not matter.
    np.random.default_rng().normal()
    np.random.RandomState(42).permutation(7)
    second = association_classification(images.copy(), texts.copy())
    assert np.array_equal(second[0], first[0])
    assert np.array_equal(second[1], first[1])


def test_acs_depends_on_its_seed():
    images, texts = noisy_pairs(120)
    assert len({association_classification(images, texts, seed=seed)[1].mean() for seed in range(5)}) > 1


def test_acs_of_separable_pairs_is_1():
    # Every text is its image, so true products are all positive and shuffled ones have either sign.
    images = np.random.RandomState(1).choice([-1.0, 1.0], size=(400, 32))
    assert association_classification(images, images)[1].mean() > 0.99


def test_acs_of_unrelated_pairs_is_chance():
    images, texts = noisy_pairs(1500, signal=0.0)
    assert association_classification(images, texts)[1].mean() == pytest.approx(0.5, abs=0.05)


def test_acs_is_not_changed_by_the_length_of_features():
    images, texts = noisy_pairs(120)
    scaled = association_classification(images * 9.0, texts * 0.02)
    assert np.array_equal(scaled[1], association_classification(images, texts)[1])


def test_acs_of_one_row_is_refused():
    with pytest.raises(MetricError, match="at least 2 rows"):
        association_classification(np.ones((1, 4)), np.ones((1, 4)))


def test_acs_of_two_rows_is_defined():
    images = np.array([[1.0, 0.2], [0.1, 1.0]])
    assert association_classification(images, images)[1].mean() in {0.0, 0.5, 1.0}


def test_core_prompts_hold_every_value_in_both_orders():
    assert core_prompts("Ana {Lu}", ["a@x.org", "b@y.org"]) == [
        "Ana {Lu} a@x.org",
        "a@x.org Ana {Lu}",
        "Ana {Lu} b@y.org",
        "b@y.org Ana {Lu}",
    ]


@pytest.mark.parametrize("rows_per_chunk", [1000, 4])
def test_core_association_equals_a_slow_recomputation(monkeypatch, rows_per_chunk):
    monkeypatch.setattr(sys.modules[core_association.__module__], "ROWS_PER_CHUNK", rows_per_chunk)
    generator = np.random.RandomState(8)
    images, prompts = generator.normal(size=(17, 12)), generator.normal(size=(9, 12))
    # One to five prompts per image, prompts shared between images, pairs in no order.
    tried = [generator.choice(9, size=1 + row % 5, replace=False).tolist() for row in range(17)]
    pairs = np.array([(row, prompt) for row in range(17) for prompt in tried[row]])
    generator.shuffle(pairs)
    result = core_association(images, prompts, pairs[:, 0], pairs[:, 1])
    expected = [max(cosine(images[row], prompts[prompt]) for prompt in tried[row]) for row in range(17)]
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert result.mean() == pytest.approx(sum(expected) / 17, abs=1e-5)


def test_core_association_keeps_a_negative_best():
    result = core_association(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]), np.array([0]), np.array([0]))
    assert result.tolist() == [-1.0]


def test_core_association_without_a_prompt_is_refused():
    with pytest.raises(MetricError, match=r"no prompt for 2 of 3 images \(the first is row 0\)"):
        core_association(np.ones((3, 2)), np.ones((1, 2)), np.array([1]), np.array([0]))


@pytest.mark.parametrize(
    ("pair_rows", "pair_prompts", "message"),
    [
        ([0, 1, 2], [0, 0, 0], "pair_rows must lie between 0 and 1"),
        ([0, 1], [0, -1], "pair_prompts must lie between 0 and 0"),
        ([0, 1, 1], [0, 0], "pair_rows has 3"),
        ([0.0, 1.0], [0, 0], "pair_rows must be a 1-D array of integers"),
    ],
)
def test_core_association_refuses_pairs_that_do_not_fit(pair_rows, pair_prompts, message):
    with pytest.raises(MetricError, match=message):
        core_association(np.ones((2, 3)), np.ones((1, 3)), np.array(pair_rows), np.array(pair_prompts))
