"""LeakRate."""

import math
import sys

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import leakage_rate


def cosine(first, second):
    lengths = math.sqrt(math.fsum(float(a) ** 2 for a in first)) * math.sqrt(math.fsum(float(b) ** 2 for b in second))
    return math.fsum(float(a) * float(b) for a, b in zip(first, second, strict=True)) / lengths


def test_leakage_rate_equals_a_slow_recomputation():
    generator = np.random.RandomState(4)
    images, sensitive, generic = (generator.normal(size=(80, 12)) * generator.uniform(0.1, 9) for _ in range(3))
    generic[::7] = sensitive[::7] * 3.0  # ties: the same direction, another length
    expected = []
    for image, own, plain in zip(images, sensitive, generic, strict=True):
        lead = cosine(image, own) - cosine(image, plain)
        expected.append(0.5 if abs(lead) <= 1e-6 else float(lead > 0))
    assert set(expected) == {0.0, 0.5, 1.0}
    result = leakage_rate(images, sensitive, generic)
    assert result.tolist() == expected
    assert result.mean() == pytest.approx(sum(expected) / len(expected))


def test_a_collapsed_model_leaks_in_half_of_the_rows():
    images = np.random.RandomState(1).normal(size=(9, 5))
    texts = np.tile(np.arange(1.0, 6.0), (9, 1))
    assert leakage_rate(images, texts, texts.copy()).mean() == 0.5


@pytest.mark.parametrize(("difference", "outcome"), [(4e-7, 0.5), (4e-5, 1.0), (-4e-5, 0.0)])
def test_cosines_that_differ_by_rounding_only_tie(difference, outcome):
    sensitive, generic = np.array([[1.0, 1.0 - difference]]), np.array([[1.0, 1.0]])
    assert leakage_rate(np.array([[1.0, 0.0]]), sensitive, generic).tolist() == [outcome]


def test_cosines_just_the_tolerance_apart_tie(monkeypatch):
    # A tolerance that binary numbers hold, so that a difference can be as large.
    monkeypatch.setattr(sys.modules[leakage_rate.__module__], "TIE_TOLERANCE", 1.0)
    assert leakage_rate(np.eye(2)[:1], np.eye(2)[:1], np.eye(2)[1:]).mean() == 0.5


@pytest.mark.parametrize("place", range(3))
def test_features_that_are_not_finite_are_refused_by_name(place):
    features = [np.ones((2, 4)) for _ in range(3)]
    features[place][1, 1] = np.nan
    name = ("image_features", "sensitive_features", "generic_features")[place]
    with pytest.raises(MetricError, match=f"^{name} has NaN"):
        leakage_rate(*features)


@pytest.mark.parametrize(
    ("sensitive", "generic", "message"),
    [
        ((3, 4), (2, 4), "image_features has 2 rows but sensitive_features has 3"),
        ((2, 4), (1, 4), "image_features has 2 rows but generic_features has 1"),
        ((2, 4), (2, 5), "image_features has 4 columns but generic_features has 5"),
    ],
)
def test_features_that_do_not_fit_are_refused(sensitive, generic, message):
    with pytest.raises(MetricError, match=message):
        leakage_rate(np.ones((2, 4)), np.ones(sensitive), np.ones(generic))
