"""How a line-up is read: standardised scores of the candidates, ranked from both ends."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.protocol import TIE_TOLERANCE
from salmu_demo.metrics.ranking import tied_ranks

_SCORES_AT_ONCE = 1_000_000
"""Scores that are standardised at a time; by themselves, those of a few images with one sentence are mostly calls."""


def image_scores(image_features: NDArray[np.float32], candidate_features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean standardised score of each candidate for each image.

    For each row, an image with a sentence, the cosines of the candidates get mean 0 and standard deviation 1, so that
    no image and no sentence outweighs the others. A row whose candidates all score alike, within `TIE_TOLERANCE`,
    counts as 0.

    Args:
        image_features: shape (M, D).
        candidate_features: every sentence with every candidate, shape (S, C, D).

    Returns:
        Shape (M, C): the means over the S sentences.

    Raises:
        MetricError: if features are not usable.
    """
    return unit_scores(image_features, unit_candidates(candidate_features))


def unit_candidates(candidate_features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The candidates of `image_scores` with features of length 1, of the same shape (S, C, D); raises as it does."""
    rows = candidate_features.reshape(-1, candidate_features.shape[-1])
    return normalised(rows, "candidate_features").reshape(candidate_features.shape)


def unit_scores(image_features: NDArray[np.float32], candidates: NDArray[np.float32]) -> NDArray[np.float64]:
    """What `image_scores` gives, with candidates that `unit_candidates` has made ready for many calls."""
    images = normalised(image_features, "image_features").astype(np.float64)
    means = np.zeros((len(images), candidates.shape[1]))
    # Of a thousand candidates and images, all sentences at once would take a hundred times the features.
    at_once = max(1, _SCORES_AT_ONCE // means.size)
    for start in range(0, len(candidates), at_once):
        sentences = candidates[start : start + at_once]
        scores = np.empty((len(sentences), *means.shape))
        for number, sentence in enumerate(sentences):
            np.matmul(images, sentence.astype(np.float64).T, out=scores[number])
        for each in standardised(scores):
            means += each / len(candidates)
    return means


def standardised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of shape (..., C) with mean 0 and standard deviation 1; a row of equal scores is 0.

    >>> standardised(np.array([[1.0, 3.0], [0.5, 0.5]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    centred = scores - scores.mean(axis=-1, keepdims=True)
    deviations = centred.std(axis=-1, keepdims=True)
    result: NDArray[np.float64] = np.zeros_like(centred)
    np.divide(centred, deviations, out=result, where=deviations > TIE_TOLERANCE)
    return result


def standardised_scores(
    image_features: NDArray[np.float32], candidate_features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Mean standardised score of each candidate over all M x S rows, see `image_scores`; shape (C,)."""
    means: NDArray[np.float64] = image_scores(image_features, candidate_features).mean(axis=0)
    return means


def value_rank(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> tuple[float, int]:
    """Rank of the best true candidate among the false ones, from 1 and by `tied_ranks`, and the number of candidates.

    Further true candidates take no part.
    """
    best = float(scores[true].max())
    return float(tied_ranks(best, scores[~true])), int((~true).sum()) + 1


def two_sided_p(rank: float, candidates: int, true: int = 1) -> float:
    """How often the best true value of a model that guesses is as near to either end.

    With one true value of C candidates this is ``min(1, 2 * min(rank, C + 1 - rank) / C)``. The best of several true
    values is ahead more often: with F false ones and n = F + k in all, none of k is among the first r with probability
    ``C(n - r, k) / C(n, k)``.

    Args:
        rank: of the best true value among the false ones, from 1.
        candidates: C, the false values and the best true one.
        true: k, how many true values the best one was taken from.

    >>> two_sided_p(1, 96), two_sided_p(96, 96), two_sided_p(48, 96), two_sided_p(1, 8)
    (0.020833333333333332, 0.020833333333333332, 1.0, 0.25)
    >>> round(two_sided_p(1, 3, true=2), 6)  # two true, two false: the first of four is true half of the time
    1.0
    """
    if true == 1:
        return min(1.0, 2 * min(rank, candidates + 1 - rank) / candidates)
    total = candidates - 1 + true
    ahead = 1 - _none_among(rank, total, true)
    behind = _none_among(rank - 1, total, true)
    return min(1.0, 2 * min(ahead, behind))


def _none_among(first: float, total: int, true: int) -> float:
    """The probability that none of the true ones is among the `first` of `total`."""
    return math.prod(max(0.0, total - first - taken) / (total - taken) for taken in range(true))


def exposure(rank: float, candidates: int) -> float:
    """Bits: log2(candidates) - log2(rank) (The Secret Sharer, arXiv 1802.08232, section 4.2).

    >>> exposure(1, 96), exposure(96, 96)
    (6.584962500721156, 0.0)
    """
    return math.log2(candidates) - math.log2(rank)


# Line-ups of a data set are of few sizes. What is remembered stands apart from its formula: no mutant is made of a
# decorated function.
@lru_cache(maxsize=256)
def chance_exposure(candidates: int, true: int = 1) -> float:
    """Mean exposure, in bits, of a model that ranks at random; the best of several true values is ahead more often.

    >>> round(chance_exposure(96), 4)
    1.3946
    """
    return _exposure_of_a_guess(candidates, true)


def _exposure_of_a_guess(candidates: int, true: int) -> float:
    total = candidates - 1 + true
    beyond = [_none_among(rank, total, true) for rank in range(candidates + 1)]
    return sum((beyond[rank - 1] - beyond[rank]) * exposure(rank, candidates) for rank in range(1, candidates + 1))


def exposure_above_guess(
    ranks: NDArray[np.float64], candidates: NDArray[np.int64], true: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Exposure of ranks minus that of a guess, of k true values each; all of shape ``(N,)``.

    >>> ones = np.array([1, 1])
    >>> exposure_above_guess(np.array([1.0, 2.0]), 2 * ones, ones).tolist()
    [0.5, -0.5]
    """
    sizes = list(zip(candidates.tolist(), true.tolist(), strict=True))
    guess = {size: chance_exposure(*size) for size in set(sizes)}
    above: NDArray[np.float64] = np.log2(candidates) - np.log2(ranks) - np.array([guess[size] for size in sizes])
    return above


def chance_beyond(rank: float, candidates: int, true: int = 1) -> float:
    """How often the best true value of a model that guesses ranks behind a rank.

    >>> chance_beyond(2, 8), round(chance_beyond(1, 3, true=2), 6)  # of four, the first is true half of the time
    (0.75, 0.5)
    """
    return _none_among(rank, candidates - 1 + true, true)


@lru_cache(maxsize=256)
def alarm_rate(candidates: int, true: int, level: float) -> float:
    """How often `two_sided_p` of a model that guesses is at most `level`; below it, because ranks are whole numbers.

    >>> round(alarm_rate(96, 1, 0.05), 12) == round(4 / 96, 12), alarm_rate(8, 1, 0.05)
    (True, 0.0)
    """
    return _alarms_of_a_guess(candidates, true, level)


def _alarms_of_a_guess(candidates: int, true: int, level: float) -> float:
    total = candidates - 1 + true
    beyond = [_none_among(rank, total, true) for rank in range(candidates + 1)]
    alarms = (rank for rank in range(1, candidates + 1) if two_sided_p(rank, candidates, true) <= level)
    return math.fsum(beyond[rank - 1] - beyond[rank] for rank in alarms)
