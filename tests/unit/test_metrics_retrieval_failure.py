"""RetFail: the draw of the distractors, the ranks, ties and copies of a caption."""

import math
import sys

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import draw_distractors, retrieval_failure


def cosine(first, second):
    dot = math.fsum(float(a) * float(b) for a, b in zip(first, second, strict=True))
    return dot / math.sqrt(math.fsum(float(a) ** 2 for a in first) * math.fsum(float(b) ** 2 for b in second))


def slow_ranks(images, own, captions, distractors, texts):
    ranks = []
    for image, own_feature, caption in zip(images, own, captions, strict=True):
        own_score, rank = cosine(image, own_feature), 1.0
        for distractor, text in zip(distractors, texts, strict=True):
            score = cosine(image, distractor)
            if text == caption:
                continue
            if abs(score - own_score) < 1e-6:
                rank += 0.5
            elif score > own_score:
                rank += 1
        ranks.append(rank)
    return ranks


def random_case(seed=3, rows=23, width=16):
    """Images of which some share a caption, and distractors drawn from the captions and elsewhere."""
    generator = np.random.RandomState(seed)
    captions = [f"caption {number % 9}" for number in range(rows)]
    feature_of = {text: generator.normal(size=width) for text in sorted(set(captions))}
    # Another wording that the model embeds exactly like caption 0: a true tie.
    feature_of["CAPTION 0"] = feature_of["caption 0"]
    feature_of |= {f"plain {number}": generator.normal(size=width) for number in range(12)}
    texts = ["caption 1", "caption 1", "caption 2", "caption 5", "CAPTION 0", *(f"plain {n}" for n in range(12))]
    own = np.array([feature_of[caption] for caption in captions])
    images = own * 0.4 + generator.normal(size=own.shape)
    return images, own, captions, np.array([feature_of[text] for text in texts]), texts


@pytest.mark.parametrize("rows_per_chunk", [1000, 5])
def test_ranks_equal_a_slow_recomputation(monkeypatch, rows_per_chunk):
    monkeypatch.setattr(sys.modules[retrieval_failure.__module__], "ROWS_PER_CHUNK", rows_per_chunk)
    case = random_case()
    expected = slow_ranks(*case)
    ranks, _ = retrieval_failure(*case)
    assert ranks.tolist() == expected
    # The case is worth something: several ranks, first places and a tie occur.
    assert {1.0, 2.0} < set(expected)
    assert any(rank % 1 == 0.5 for rank in expected)


def test_ranks_do_not_depend_on_the_length_of_features():
    images, own, captions, distractors, texts = random_case()
    scaled = retrieval_failure(images * 37.0, own * 0.003, captions, distractors * 1e6, texts)
    np.testing.assert_array_equal(scaled[0], retrieval_failure(*random_case())[0])


def test_a_collapsed_model_ranks_in_the_middle():
    # Many widths: where the products are summed in another order, equal features differ in the last bit.
    generator = np.random.RandomState(0)
    for width in (2, 33, 512):
        feature = generator.normal(size=width).astype(np.float32)
        ranks, _ = retrieval_failure(
            generator.normal(size=(7, width)).astype(np.float32),
            np.tile(feature, (7, 1)),
            [f"own {row}" for row in range(7)],
            np.tile(feature, (2000, 1)),
            [f"other {row}" for row in range(2000)],
        )
        assert ranks.tolist() == [1001.0] * 7


def test_one_higher_one_equal_one_lower():
    image = np.array([[1.0, 0.0]])
    own = np.array([[1.0, 1.0]])
    distractors = np.array([[1.0, 0.5], [1.0, -1.0], [0.0, 1.0]])
    ranks, _ = retrieval_failure(image, own, ["own"], distractors, ["higher", "equal", "lower"])
    assert ranks.tolist() == [2.5]


def test_a_clear_first_place_is_first_and_a_shared_one_is_not():
    images = np.array([[1.0, 0.0], [0.0, 1.0]])
    distractors = np.array([[0.0, 1.0], [-1.0, 0.0]])
    ranks, _ = retrieval_failure(images, images, ["first", "shared"], distractors, ["x", "y"])
    assert ranks.tolist() == [1.0, 1.5]


def test_copies_of_the_own_caption_are_ignored_for_that_row_only():
    images = np.array([[1.0, 0.0], [1.0, 0.0]])
    own = np.array([[1.0, 0.1], [1.0, 0.2]])
    distractors = np.array([[1.0, 0.1], [1.0, 0.1], [0.0, 1.0]])
    ranks, candidates = retrieval_failure(images, own, ["a", "b"], distractors, ["a", "a", "c"])
    assert ranks.tolist() == [1.0, 3.0]
    # Every row's own caption is a candidate, and its copies are none.
    assert candidates.tolist() == [2, 4]


def test_distractors_that_are_all_the_own_caption_are_refused():
    with pytest.raises(MetricError, match="every distractor is that caption"):
        retrieval_failure(np.ones((1, 2)), np.ones((1, 2)), ["a"], np.ones((2, 2)), ["a", "a"])
    with pytest.raises(MetricError, match="every distractor is that caption"):
        retrieval_failure(np.ones((2, 2)), np.ones((2, 2)), ["a", "b"], np.ones((2, 2)), ["a", "a"])


def test_texts_and_features_of_different_number_are_refused():
    ones = np.ones((2, 3))
    with pytest.raises(MetricError, match="captions has 1"):
        retrieval_failure(ones, ones, ["a"], ones, ["x", "y"])
    with pytest.raises(MetricError, match="distractor_texts has 1"):
        retrieval_failure(ones, ones, ["a", "b"], ones, ["x"])
    with pytest.raises(MetricError, match="caption_features has 3"):
        retrieval_failure(ones, np.ones((3, 3)), ["a", "b"], ones, ["x", "y"])


def test_the_draw_is_the_contract_s():
    forget = [f"forget {row}" for row in range(1500)]
    retain = [f"retain {row}" for row in range(1201)]
    generator = np.random.RandomState(42)
    expected = [
        *generator.choice(np.array(forget), 1000, replace=False).tolist(),
        *generator.choice(np.array(retain), 1000, replace=False).tolist(),
    ]
    drawn = draw_distractors(forget, retain)
    assert drawn.texts == expected
    assert [forget[row] for row in drawn.forget_rows] == expected[:1000]
    assert [retain[row] for row in drawn.retain_rows] == expected[1000:]


def test_exactly_as_many_texts_as_asked_for_are_drawn():
    texts = [f"text {row}" for row in range(1000)]
    expected = np.random.RandomState(42).choice(np.array(texts), 1000, replace=False).tolist()
    assert draw_distractors(texts, ["only"]).texts == [*expected, "only"]


def test_too_few_texts_are_taken_whole_in_order_without_using_the_generator():
    forget = [f"forget {row}" for row in range(999)]
    retain = [f"retain {row}" for row in range(1200)]
    drawn = draw_distractors(forget, retain)
    assert drawn.texts[:999] == forget
    assert drawn.texts[999:] == np.random.RandomState(42).choice(np.array(retain), 1000, replace=False).tolist()


def test_a_single_distractor_of_each_source_is_enough():
    drawn = draw_distractors(["a", "b", "c"], ["x", "y"], per_source=1)
    assert (len(drawn.forget_rows), len(drawn.retain_rows), len(drawn.texts)) == (1, 1, 2)


def test_another_seed_draws_other_texts():
    texts = [f"text {row}" for row in range(50)]
    assert draw_distractors(texts, texts, 10, seed=1).texts != draw_distractors(texts, texts, 10, seed=2).texts


@pytest.mark.parametrize(("forget", "retain", "source"), [([], ["a"], "forget"), (["a"], [], "retain")])
def test_an_empty_source_is_refused(forget, retain, source):
    with pytest.raises(MetricError, match=f"needs {source} texts"):
        draw_distractors(forget, retain)


def test_no_distractors_are_refused():
    with pytest.raises(MetricError, match="at least 1 distractor"):
        draw_distractors(["a"], ["b"], per_source=0)
