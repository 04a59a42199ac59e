"""The one rule of ranks and ties, whatever sums equal cosines in whatever order."""

import numpy as np
import pytest
from numpy.typing import NDArray

from salmu_demo.metrics import ranking
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.ranking import tied_ranks


def plain_rank(own: float, rivals: list[float]) -> float:
    """The rule in words: one more than the higher ones, and half a place for each that ties."""
    return 1.0 + sum(1.0 if r - own > TIE_TOLERANCE else 0.5 if r - own >= -TIE_TOLERANCE else 0.0 for r in rivals)


@pytest.mark.parametrize("seed", range(8))
def test_ranks_equal_a_loop_with_and_without_rivals_that_do_not_compete(seed: int):
    rng = np.random.default_rng(seed)
    rows, candidates = rng.integers(1, 20), rng.integers(1, 60)
    # A coarse grid, so that ties occur, and noise far below the tolerance, so that no tie is exact.
    own, rivals = (rng.integers(-4, 5, shape) / 8 for shape in (rows, (rows, candidates)))
    rivals += rng.uniform(-1, 1, rivals.shape) * TIE_TOLERANCE / 4
    competes = rng.random(rivals.shape) < 0.7
    assert tied_ranks(own, rivals).tolist() == [plain_rank(o, r) for o, r in zip(own, rivals.tolist(), strict=True)]
    assert tied_ranks(own, rivals, competes).tolist() == [
        plain_rank(o, r[c].tolist()) for o, r, c in zip(own, rivals, competes, strict=True)
    ]
    assert tied_ranks(own[0], rivals[0]) == plain_rank(own[0], rivals[0].tolist())


def test_a_difference_beyond_the_tolerance_decides_and_one_within_does_not():
    for lead, rank in ((2e-6, 2.0), (5e-7, 1.5), (0.0, 1.5), (-5e-7, 1.5), (-2e-6, 1.0)):
        assert tied_ranks(0.25, np.array([0.25 + lead])) == rank, lead


def test_scores_just_the_tolerance_apart_are_equal(monkeypatch: pytest.MonkeyPatch):
    # Tolerances that binary numbers hold, so that a difference can be as large.
    monkeypatch.setattr(ranking, "TIE_TOLERANCE", 0.25)
    assert tied_ranks(0.5, np.array([0.75, 0.25])) == 2.0
    monkeypatch.setattr(ranking, "TIE_TOLERANCE", 1.0)
    credit, predictions = ranking.top1_credit(np.array([[1.0, 0.0]]), np.eye(2)[::-1], np.array([0]))
    assert (credit.tolist(), predictions.tolist()) == ([0.5], [0])


def collapsed_scores(rng: np.random.Generator) -> NDArray[np.float32]:
    """Cosines of an image with equal features, in single precision, whose sums come out unequal."""
    width, candidates = int(rng.integers(2, 700)), int(rng.integers(2, 400))
    # Equal directions of unequal length: normalising leaves the last bits different, as batches do.
    features = rng.normal(size=width) * rng.uniform(0.5, 2.0, (candidates, 1))
    unit = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    image = rng.normal(size=width).astype(np.float32)
    return unit @ (image / np.linalg.norm(image))


def test_a_collapsed_model_ranks_in_the_middle_of_any_number_of_candidates():
    rng = np.random.default_rng(5)
    unequal = 0
    for _ in range(60):
        scores = collapsed_scores(rng)
        unequal += len(set(scores.tolist())) > 1
        own = int(rng.integers(len(scores)))
        assert tied_ranks(scores[own], np.delete(scores, own)) == (len(scores) + 1) / 2
    assert unequal > 30
