"""CLEAR's visual protocol by hand: logits, recognition and the two attacks."""

import math
import statistics

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from salmu_demo.metrics.shadow_membership import ENROLLED, MAD_OF_NORMAL, enrolment_logits, recognised, u_lira, u_mia


def images(angles: list[float], others: list[float]) -> np.ndarray:
    """Embeddings of one person at these angles in degrees, the enrolled ones first."""
    return np.array([[3 * math.cos(math.radians(a)), 3 * math.sin(math.radians(a))] for a in [*angles, *others]])


def test_a_logit_is_that_of_the_cosine_with_the_mean_of_five() -> None:
    person = images([-20, -10, 0, 10, 20], [60, 0, 120])
    found = enrolment_logits(person[None])[0]
    assert ENROLLED == 5
    assert found[0] == pytest.approx(math.log(0.5 / 0.5), abs=1e-9)
    assert found[1] > 30  # In line: finite all the same.
    assert found[2] == pytest.approx(math.log(1e-45))  # Beyond a right angle.


def test_the_logit_of_the_very_embedding_that_is_enrolled_is_finite() -> None:
    # Rounding takes some of these cosines beyond 1.
    people = np.random.default_rng(0).normal(size=(200, 1, 7)).repeat(ENROLLED + 1, axis=1)
    assert np.isfinite(enrolment_logits(people)).all()
    assert (enrolment_logits(people) > 30).all()


def test_an_image_is_recognised_where_its_own_person_is_nearest() -> None:
    embeddings = np.stack([images([0] * 5, [10, 50]), images([90] * 5, [80, 20])])
    assert recognised(embeddings, np.array([1, 0])).tolist() == [[True, False], [True, False]]


def test_u_lira_compares_two_normal_densities_of_each_image() -> None:
    rng = np.random.default_rng(0)
    people, images = 2, 3
    shadow_knew = np.array([[True, False], [False, False], [True, True], [False, True]] * 3)
    # Every image has a level of its own, and is as spread out where its person was known as half of that elsewhere.
    level = 5 * np.arange(images)
    spread = np.where(shadow_knew, 0.5, 1.0)[:, :, None]
    shadows = level + spread * rng.normal(size=(12, people, images)) + shadow_knew[:, :, None]
    targets = level + 1.5 * rng.normal(size=(40, people, images)) + 0.5
    target_knew = rng.integers(0, 2, (40, people)).astype(bool)
    found = u_lira(shadows, shadow_knew, targets, target_knew)
    for target, person, image in np.ndindex(found.shape):
        densities = []
        for knew in (True, False):
            sample = [float(shadows[s, person, image]) for s in range(12) if shadow_knew[s, person] == knew]
            middle = statistics.median(sample)
            deviation = statistics.median(abs(value - middle) for value in sample) / MAD_OF_NORMAL
            densities.append(statistics.NormalDist(middle, deviation).pdf(float(targets[target, person, image])))
        said = densities[0] > densities[1]
        assert bool(found[target, person, image]) is (said == bool(target_knew[target, person]))
    assert 0.2 < found.mean() < 0.8


def test_u_lira_of_shadows_that_all_say_the_same_takes_the_side_that_says_so() -> None:
    shadow_knew = np.array([[True], [False]] * 3)
    shadows = np.where(shadow_knew, 1.0, 0.0)[:, :, None]
    with np.errstate(over="ignore"):
        said = u_lira(shadows, shadow_knew, np.array([[[1.0]], [[0.0]], [[0.5]]]), np.ones((3, 1), dtype=bool))
    # A third value is as impossible on either side, and then nobody is said to be forgotten.
    assert said.ravel().tolist() == [True, False, False]


@pytest.mark.parametrize("tree", [False, True])
def test_u_mia_tells_what_shadows_tell_and_guesses_where_they_do_not(tree: bool) -> None:
    rng = np.random.default_rng(1)
    knew = rng.permutation(np.repeat([True, False], 120)).reshape(40, 6)
    apart = rng.normal(size=(40, 6, 3)) + np.where(knew, 8.0, 0.0)[:, :, None]
    alike = rng.normal(size=(40, 6, 3))
    for logits, low, high in ((apart, 0.98, 1.0), (alike, 0.35, 0.65)):
        share = u_mia(logits[:20], knew[:20], logits[20:], knew[20:], tree).mean()
        assert low <= share <= high


def test_a_tree_tells_what_lies_between_and_a_regression_does_not() -> None:
    logits = np.linspace(-3, 3, 240).reshape(20, 4, 3)
    knew = np.abs(logits[:, :, 0]) < 1.5
    assert u_mia(logits, knew, logits, knew, tree=True).mean() > 0.98
    assert u_mia(logits, knew, logits, knew).mean() < 0.7


def test_the_tree_is_grown_by_entropy_to_at_most_256_leaves() -> None:
    rng = np.random.default_rng(2)
    logits, knew = rng.normal(size=(50, 20, 1)), rng.integers(0, 2, (50, 20)).astype(bool)
    tree = DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=256, random_state=0)
    expected = tree.fit(logits.reshape(-1, 1), knew.ravel()).predict(logits.reshape(-1, 1)) == knew.ravel()
    assert tree.get_n_leaves() == 256
    assert u_mia(logits, knew, logits, knew, tree=True).ravel().tolist() == expected.tolist()
