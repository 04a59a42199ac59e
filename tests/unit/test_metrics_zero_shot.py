"""IdZSC and GenKnow."""

import math

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import class_weights, general_knowledge, identity_zero_shot
from salmu_demo.metrics.ranking import top1_credit


def unit(row):
    length = math.sqrt(math.fsum(float(value) ** 2 for value in row))
    return [float(value) / length for value in row]


def slow_credit(images, classes, truth):
    credits, predictions = [], []
    for image, true_class in zip(images, truth, strict=True):
        scores = [math.fsum(a * b for a, b in zip(unit(image), unit(row), strict=True)) for row in classes]
        winners = [number for number, score in enumerate(scores) if score > max(scores) - 1e-6]
        credits.append(1 / len(winners) if true_class in winners else 0.0)
        predictions.append(winners[0])
    return credits, predictions


@pytest.fixture
def case():
    generator = np.random.RandomState(11)
    classes = generator.normal(size=(7, 10))
    classes[5] = classes[2]  # two personas of one name
    truth = generator.randint(0, 7, size=60)
    return classes[truth] * 0.5 + generator.normal(size=(60, 10)), truth, classes


@pytest.mark.parametrize("rows_per_chunk", [1000, 7])
def test_identity_zero_shot_equals_a_slow_recomputation(case, monkeypatch, rows_per_chunk):
    monkeypatch.setattr("salmu_demo.metrics.ranking.ROWS_PER_CHUNK", rows_per_chunk)
    images, truth, names = case
    credits, predictions = slow_credit(images, names, truth)
    result = identity_zero_shot(images, truth, names)
    assert result.mean() == pytest.approx(sum(credits) / len(credits), abs=1e-5)
    assert top1_credit(images, names, truth)[1].tolist() == predictions
    assert set(credits) == {0.0, 0.5, 1.0}


def test_general_knowledge_equals_a_slow_recomputation(case):
    images, labels, classes = case
    credits, _ = slow_credit(images, classes, labels)
    result = general_knowledge(images, labels, classes)
    assert result.tolist() == credits
    assert result.mean() == pytest.approx(sum(credits) / len(credits), abs=1e-5)


def test_a_collapsed_model_scores_at_chance():
    generator = np.random.RandomState(0)
    feature = generator.normal(size=512).astype(np.float32)
    images = generator.normal(size=(40, 512)).astype(np.float32)
    names = np.tile(feature, (193, 1))
    # All rows belong to the first persona, the one a plain argmax would name.
    truth = np.zeros(40, dtype=np.int64)
    assert identity_zero_shot(images, truth, names).mean() == pytest.approx(1 / 193)
    assert general_knowledge(images, truth, names).mean() == pytest.approx(1 / 193)


@pytest.mark.parametrize(("difference", "accuracy", "named"), [(4e-7, 0.5, 0), (4e-5, 0.0, 1)])
def test_cosines_that_differ_by_rounding_only_are_equal(difference, accuracy, named):
    # The second name is nearer to the image, by about a third of the difference.
    names = np.array([[1.0, 1.0], [1.0, 1.0 - difference]])
    credit, predictions = top1_credit(np.array([[1.0, 0.0]]), names, np.array([0]))
    assert credit.tolist() == [accuracy]
    assert predictions.tolist() == [named]


def test_one_persona_is_always_named():
    result = identity_zero_shot(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0, 0]), np.array([[1.0, 1.0]]))
    assert result.tolist() == [1.0, 1.0]


def test_a_wrong_name_earns_nothing_even_next_to_a_tie():
    names = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    credit, predictions = top1_credit(np.array([[1.0, 0.1], [1.0, 0.1]]), names, np.array([2, 1]))
    assert credit.tolist() == [0.0, 0.5]
    assert predictions.tolist() == [0, 0]


def test_accuracy_is_not_changed_by_the_length_of_features(case):
    images, truth, names = case
    lengths = np.arange(1, 8)[:, None]
    assert identity_zero_shot(images * 55.0, truth, names * lengths).mean() == pytest.approx(
        identity_zero_shot(images, truth, names).mean()
    )
    assert general_knowledge(images * 0.01, truth, names * lengths).mean() == pytest.approx(
        general_knowledge(images, truth, names).mean()
    )


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ([0, 3], "must lie between 0 and 2, but it reaches from 0 to 3"),
        ([-1, 0], "must lie between 0 and 2"),
        ([0, 1, 2], "has 3"),
        ([0.0, 1.0], "1-D array of integers"),
        ([[0, 1]], "1-D array of integers"),
    ],
)
def test_true_classes_that_do_not_fit_are_refused(truth, message):
    with pytest.raises(MetricError, match=f"identity_index .*{message}"):
        identity_zero_shot(np.ones((2, 3)), np.array(truth), np.ones((3, 3)))
    with pytest.raises(MetricError, match=f"labels .*{message}"):
        general_knowledge(np.ones((2, 3)), np.array(truth), np.ones((3, 3)))


def test_class_weights_equal_a_slow_recomputation():
    # Lengths differ a lot between prompts: averaging before normalising would give another direction.
    templates = np.random.RandomState(2).normal(size=(4, 3, 6)) * np.array([1.0, 10.0, 100.0])[None, :, None]
    expected = []
    for prompts in templates:
        units = [unit(prompt) for prompt in prompts]
        expected.append(unit([sum(column) / len(units) for column in zip(*units, strict=True)]))
    weights = class_weights(templates)
    assert weights.shape == (4, 6)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_class_weights_refuse_prompts_that_cancel_out():
    with pytest.raises(MetricError, match=r"mean of template_features is zero.* 1 of 2 rows"):
        class_weights(np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [-1.0, 0.0]]]))


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 3), (0, 2, 3)])
def test_class_weights_refuse_other_shapes(shape):
    with pytest.raises(MetricError, match="template_features"):
        class_weights(np.ones(shape))


def test_class_weights_refuse_a_nan():
    templates = np.ones((2, 2, 3))
    templates[1, 0, 2] = np.nan
    with pytest.raises(MetricError, match="template_features has NaN"):
        class_weights(templates)
