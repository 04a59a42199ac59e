"""What every metric refuses, and the normalisation they share."""

import subprocess
import sys

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import (
    association_classification,
    core_association,
    general_knowledge,
    identity_zero_shot,
    pair_similarity,
    retrieval_failure,
)
from salmu_demo.metrics.checks import normalised

ROWS = np.arange(4)

# Every metric as a function of nothing but its feature arguments, each of which has 4 rows here.
METRICS = {
    "RetFail": (
        lambda image_features, caption_features, distractor_features: retrieval_failure(
            image_features, caption_features, list("abcd"), distractor_features, list("wxyz")
        ),
        ("image_features", "caption_features", "distractor_features"),
    ),
    "pairs": (pair_similarity, ("image_features", "text_features")),
    "ACS": (association_classification, ("image_features", "text_features")),
    "IdZSC": (
        lambda image_features, name_features: identity_zero_shot(image_features, ROWS, name_features),
        ("image_features", "name_features"),
    ),
    "CoreAssoc": (
        lambda image_features, prompt_features: core_association(image_features, prompt_features, ROWS, ROWS),
        ("image_features", "prompt_features"),
    ),
    "GenKnow": (
        lambda image_features, class_features: general_knowledge(image_features, ROWS, class_features),
        ("image_features", "class_features"),
    ),
}
EVERY_ARGUMENT = [
    pytest.param(metric, names, name, id=f"{title}-{name}")
    for title, (metric, names) in METRICS.items()
    for name in names
]


def good_features(names):
    generator = np.random.RandomState(7)
    return {name: generator.normal(size=(4, 6)) for name in names}


def with_row_2(value):
    def spoil(features):
        features[2] = value
        return features

    return spoil


def with_one_nan(features):
    features[1, 3] = np.nan
    features[3, 0] = np.nan
    return features


SPOILERS = {
    "NaN": (with_one_nan, r"has NaN or infinite numbers in 2 of 4 rows \(the first is row 1\)"),
    "infinity": (with_row_2(-np.inf), r"has NaN or infinite numbers in 1 of 4 rows \(the first is row 2\)"),
    "too large for float32": (with_row_2(1e200), r"has NaN or infinite numbers in 1 of 4 rows"),
    "zero row": (with_row_2(0.0), r"is zero, which has no direction, in 1 of 4 rows \(the first is row 2\)"),
    "empty": (lambda features: features[:0], "has no rows"),
    "1-D": (lambda features: features[0], r"must be a 2-D array .* shape \(6,\)"),
    "3-D": (lambda features: features[None], r"must be a 2-D array .* shape \(1, 4, 6\)"),
    "integers": (
        lambda features: np.ones_like(features, dtype=np.int64),
        r"must be a 2-D array of floating numbers.* type int64",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILERS.values(), ids=SPOILERS.keys())
@pytest.mark.parametrize(("metric", "names", "spoilt"), EVERY_ARGUMENT)
def test_unusable_features_are_refused_by_name(metric, names, spoilt, spoil, message):
    features = good_features(names)
    features[spoilt] = spoil(features[spoilt])
    with pytest.raises(MetricError, match=f"{spoilt} {message}"):
        metric(**features)


@pytest.mark.parametrize(("metric", "names", "other"), EVERY_ARGUMENT)
def test_features_of_another_width_are_refused(metric, names, other):
    features = good_features(names)
    features[other] = features[other][:, :5]
    with pytest.raises(MetricError, match=f"{other} has 5 columns|but {other} has 5: take both from one model"):
        metric(**features)


@pytest.mark.parametrize("metric", [pair_similarity, association_classification])
def test_pairs_of_different_number_are_refused(metric):
    with pytest.raises(MetricError, match="image_features has 4 rows but text_features has 3"):
        metric(np.ones((4, 2)), np.ones((3, 2)))


@pytest.mark.parametrize(("metric", "names"), METRICS.values(), ids=METRICS.keys())
def test_features_are_left_as_they_were(metric, names):
    features = {name: array.astype(np.float32) for name, array in good_features(names).items()}
    metric(**features)
    for name, array in good_features(names).items():
        np.testing.assert_array_equal(features[name], array.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_normalised_rows_are_float32_of_length_1(dtype):
    rows = normalised(np.array([[3.0, 4.0], [0.0, -2.0]], dtype=dtype), "rows")
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, -1.0]], atol=1e-6)
    np.testing.assert_allclose(normalised(rows, "rows"), rows, atol=1e-6)


@pytest.mark.parametrize("length", [1e-30, 1e30])
def test_normalised_survives_squares_outside_float32(length):
    rows = normalised(np.array([[3.0, 4.0]]) * length, "rows")
    np.testing.assert_allclose(rows, [[0.6, 0.8]], atol=1e-6)


def test_the_metrics_need_no_model_library():
    code = "import sys, salmu_demo.metrics; print([m for m in ('torch', 'open_clip', 'gradio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


WIDE, NARROW = np.ones((2, 4)), np.ones((2, 3))


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda: retrieval_failure(WIDE, WIDE[:1], ["a"], WIDE, ["a", "b"]), "image_features has 2 rows but caption_f"),
        (lambda: retrieval_failure(WIDE, WIDE, ["a"], WIDE, ["a", "b"]), "image_features has 2 rows but captions has"),
        (lambda: retrieval_failure(WIDE, WIDE, ["a", "b"], WIDE, ["a"]), "distractor_features has 2 rows but distract"),
        (lambda: retrieval_failure(WIDE, WIDE, ["a", "b"], NARROW, ["c", "d"]), "image_features has 4 columns but dis"),
        (lambda: identity_zero_shot(WIDE, np.array([0]), WIDE), "image_features has 2 rows but identity_index has 1"),
    ],
)
def test_inputs_that_do_not_fit_are_both_named(compute, message):
    with pytest.raises(MetricError, match=f"^{message}"):
        compute()


def test_cosines_of_single_precision_are_summed_in_double():
    rng = np.random.default_rng(6)
    images, texts = (normalised(rng.normal(size=(50, 64)).astype(np.float32), "features") for _ in range(2))
    exact = (images.astype(np.float64) * texts).sum(axis=1)
    np.testing.assert_allclose(pair_similarity(images, texts), exact, rtol=0, atol=1e-14)
    rows = np.arange(50)
    np.testing.assert_allclose(core_association(images, texts, rows, rows), exact, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("bad", "advice"), [(0.0, "weights are not zero"), (np.nan, "weights are finite")])
def test_a_refusal_says_what_to_do(bad, advice):
    with pytest.raises(MetricError, match=f"{advice}.$"):
        normalised(np.full((2, 3), bad), "features")
