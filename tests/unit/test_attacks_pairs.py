"""The galleries and the linear algebra of attacks, against cases computed by hand."""

import numpy as np

from salmu_demo.attacks.pairs import rank_among_kind
from salmu_demo.attacks.ridge import fit


def test_captions_of_the_same_fact_or_another_kind_do_not_compete_and_each_text_once():
    images = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.2], [1.0, 0.1]])
    # The image of row 0 is nearest to the captions of rows 1 (of its own fact), 2 and 3 (equal texts), then its own.
    captions = np.array([[1.0, 0.8], [1.0, 0.0], [1.0, 0.1], [1.0, 0.1]])
    kinds = ["city", "city", "city", "city"]
    facts = [("city", "x"), ("city", "x"), ("city", "y"), ("city", "y")]
    found = rank_among_kind(images, captions, kinds, facts, ["a", "b", "c", "c"])
    # Row 0: its own, and the text "c" once, which scores higher. Rows 2 and 3: "a" and "b" compete.
    assert found.ranks.tolist() == [2.0, 2.0, 1.0, 1.0]
    assert found.candidates.tolist() == [2, 2, 3, 3]
    assert found.scores("MRR").tolist() == [0.5, 0.5, 1.0, 1.0]
    assert found.scores("bits").tolist() == [0.0, 0.0, np.log2(3), np.log2(3)]
    other = rank_among_kind(images, captions, ["city", "city", "job", "job"], facts, ["a", "b", "c", "c"])
    assert other.candidates.tolist() == [1, 1, 1, 1]


def test_a_planted_map_is_found_and_its_images_have_length_1():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5))
    weights, shift = rng.normal(size=(5, 3)), rng.normal(size=3)
    found = fit(x, x @ weights + shift, ridge=1e-9)
    wanted = x @ weights + shift
    np.testing.assert_allclose(found(x), wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-9)


def test_the_ridge_is_added_to_the_diagonal_of_centred_rows():
    x, y = np.array([[1.0], [3.0]]), np.array([[0.0], [4.0]])
    # Centred: x = -1, 1 and y = -2, 2, so that W = 4 / (2 + 2).
    assert fit(x, y, ridge=2.0).weights.tolist() == [[1.0]]
