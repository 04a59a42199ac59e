"""CLEAR's visual protocol by hand: logits, recognition and the two attacks."""

import math
import statistics

import numpy as np
import pytest

from salmu_demo.metrics.shadow_membership import ENROLLED, MAD_OF_NORMAL, enrolment_logits, recognised, u_lira, u_mia


def pictures(angles: list[float], others: list[float]) -> np.ndarray:
    """Embeddings of one person at these angles in degrees, the enrolled ones first."""
    return np.array([[3 * math.cos(math.radians(a)), 3 * math.sin(math.radians(a))] for a in [*angles, *others]])


def test_a_logit_is_that_of_the_cosine_with_the_mean_of_five() -> None:
    person = pictures([-20, -10, 0, 10, 20], [60, 0, 120])
    found = enrolment_logits(person[None])[0]
    assert ENROLLED == 5
    assert found[0] == pytest.approx(math.log(0.5 / 0.5), abs=1e-9)
    assert found[1] > 30  # In line: finite all the same.
    assert found[2] == pytest.approx(math.log(1e-45))  # Beyond a right angle.


def test_a_picture_is_recognised_where_its_own_person_is_nearest() -> None:
    embeddings = np.stack([pictures([0] * 5, [10, 50]), pictures([90] * 5, [80, 20])])
    assert recognised(embeddings, np.array([1, 0])).tolist() == [[True, False], [True, False]]


def test_u_lira_compares_two_normal_densities() -> None:
    rng = np.random.default_rng(0)
    shadow_knew = np.array([[True], [False], [True], [False], [True], [False], [True], [False]])
    shadows = rng.normal(size=(8, 1, 2)) + 2 * shadow_knew[:, :, None]
    targets, target_knew = rng.normal(size=(6, 1, 2)) + 1, np.array([[True], [False]] * 3)
    found = u_lira(shadows, shadow_knew, targets, target_knew)
    for target in range(6):
        for picture in range(2):
            densities = []
            for knew in (True, False):
                sample = [float(shadows[s, 0, picture]) for s in range(8) if bool(shadow_knew[s, 0]) is knew]
                middle = statistics.median(sample)
                deviation = statistics.median(abs(value - middle) for value in sample) / MAD_OF_NORMAL
                densities.append(statistics.NormalDist(middle, deviation).pdf(float(targets[target, 0, picture])))
            said = densities[0] > densities[1]
            assert bool(found[target, 0, picture]) is (said == bool(target_knew[target, 0]))


@pytest.mark.parametrize("tree", [False, True])
def test_u_mia_tells_what_shadows_tell_and_guesses_where_they_do_not(tree: bool) -> None:
    rng = np.random.default_rng(1)
    knew = rng.permutation(np.repeat([True, False], 120)).reshape(40, 6)
    apart = rng.normal(size=(40, 6, 3)) + np.where(knew, 8.0, 0.0)[:, :, None]
    alike = rng.normal(size=(40, 6, 3))
    for logits, low, high in ((apart, 0.98, 1.0), (alike, 0.35, 0.65)):
        share = u_mia(logits[:20], knew[:20], logits[20:], knew[20:], tree).mean()
        assert low <= share <= high
