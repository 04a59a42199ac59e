"""How well a score tells two groups apart, told for each of them: AUC, and what is found at few false positives.

An attack that says who was in the training is judged by the second, because being sure of a few is worse than being
half sure of all (Carlini et al., arXiv 2112.03570, section III).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.intervals import CHUNK_BYTES, RESAMPLES, cluster_numbers, draws
from salmu_demo.metrics.protocol import SEED, TIE_SHARE, TIE_TOLERANCE

Scores = NDArray[np.float64]

FALSE_POSITIVES: Final = 0.01
"""The share of negatives that may be taken for positives."""


def placements(scores: Scores, others: Scores) -> Scores:
    """Share of the other scores that each score is above; those within `TIE_TOLERANCE` count by `TIE_SHARE`.

    Args:
        scores: shape (N,).
        others: shape (M,), at least one.

    Returns:
        Shape (N,).

    >>> placements(np.array([3.0, 2.0]), np.array([1.0, 2.0])).tolist()
    [1.0, 0.75]
    """
    rising = np.sort(others)
    below = np.searchsorted(rising, scores - TIE_TOLERANCE, side="left")
    not_above = np.searchsorted(rising, scores + TIE_TOLERANCE, side="right")
    shares: Scores = (below + TIE_SHARE * (not_above - below)) / len(rising)
    return shares


def auc_parts(positives: Scores, negatives: Scores) -> tuple[Scores, Scores]:
    """What each score contributes to the AUC, the chance that a positive is above a negative.

    The mean of both parts together is the AUC, and its spread over resamples that of the AUC to first order, because
    both sides vary (the components of DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44).

    Args:
        positives: shape (N,), at least one.
        negatives: shape (M,), at least one.

    Returns:
        Shapes (N,) and (M,).

    >>> ours, theirs = auc_parts(np.array([3.0, 2.0]), np.array([1.0, 2.0]))
    >>> float(np.concatenate([ours, theirs]).mean())
    0.875
    """
    above = placements(positives, negatives)
    below = 1 - placements(negatives, positives)
    auc, total = above.mean(), len(positives) + len(negatives)
    return auc + total / len(positives) * (above - auc), auc + total / len(negatives) * (below - auc)


def detected(positives: Scores, negatives: Scores) -> Scores:
    """Which positives are found by the threshold that takes `FALSE_POSITIVES` of the negatives for one.

    Their mean is the true-positive rate. Lots are drawn among scores that tie with the threshold, so that a score that
    tells nothing finds as many positives as negatives, however few there are.

    Args:
        positives: shape (N,).
        negatives: shape (M,), at least one.

    Returns:
        Shape (N,), from 0 to 1.

    >>> detected(np.array([3.0, 2.0, 0.0]), np.array([1.0, 2.0])).tolist()
    [1.0, 0.02, 0.0]
    """
    allowed = FALSE_POSITIVES * len(negatives)
    threshold = np.sort(negatives)[-1 - int(allowed)]
    higher = np.count_nonzero(negatives > threshold + TIE_TOLERANCE)
    equal = np.count_nonzero(np.abs(negatives - threshold) <= TIE_TOLERANCE)
    tied = np.abs(positives - threshold) <= TIE_TOLERANCE
    return np.where(tied, (allowed - higher) / equal, (positives > threshold).astype(np.float64))


def resampled_rates(
    positives: Scores, negatives: Scores, identities: Sequence[str | None], resamples: int = RESAMPLES, seed: int = SEED
) -> Scores | None:
    """The true-positive rate of `detected` when other people are drawn, and with them another threshold.

    The threshold lies among so few negatives that it depends on who is drawn more than the rate beyond it does: at a
    fixed one the spread would be too small. The draws are those of `metrics.intervals.resampled_means`.

    Args:
        positives: shape (N,).
        negatives: shape (M,), at least one.
        identities: N + M people, of the positives first; a score of nobody is drawn by itself.
        resamples: how many to draw.
        seed: seed of the draws.

    Returns:
        Shape (R,), fewer than drawn where some have no positives or no negatives; None if nothing can be said.

    >>> found = resampled_rates(np.array([3.0, 0.0]), np.array([1.0, 1.0]), ["a", "b", "a", "b"], resamples=6)
    >>> None if found is None else found.tolist()
    [0.5, 0.5, 0.5, 0.5, 1.0, 0.0]
    """
    clusters = cluster_numbers(identities)
    count = len(np.unique(clusters))
    if count < 2:
        return None
    falling, others = np.argsort(-positives, kind="stable"), np.argsort(-negatives, kind="stable")
    ours, theirs = positives[falling], negatives[others]
    our_clusters, their_clusters = clusters[: len(ours)][falling], clusters[len(ours) :][others]
    # For each negative as the threshold: how many of either side are above it, and how many above or tied with it.
    (above, reached), (higher, equal) = (
        (np.searchsorted(-each, -theirs - TIE_TOLERANCE), np.searchsorted(-each, -theirs + TIE_TOLERANCE, "right"))
        for each in (ours, theirs)
    )
    found = []
    step = max(1, CHUNK_BYTES // (8 * len(clusters)))
    for drawn in draws(count, resamples, seed):
        for start in range(0, len(drawn), step):
            weights = drawn[start : start + step]
            taken, rest = _running(weights[:, our_clusters]), _running(weights[:, their_clusters])
            usable = (taken[:, -1] > 0) & (rest[:, -1] > 0)
            taken, rest = taken[usable], rest[usable]
            allowed = FALSE_POSITIVES * rest[:, -1]
            at = (rest[:, 1:] > allowed[:, None]).argmax(axis=1)
            row = np.arange(len(at))
            lots = (allowed - rest[row, higher[at]]) / (rest[row, equal[at]] - rest[row, higher[at]])
            sure = taken[row, above[at]]
            found.append((sure + lots * (taken[row, reached[at]] - sure)) / taken[:, -1])
    rates = np.concatenate(found)
    return rates if len(rates) else None


def _running(weights: Scores) -> Scores:
    """Running sums of rows, from 0 on."""
    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))


def privacy_leak(auc: Scores | float, retrained: float) -> Scores | float:
    """PrivLeak of MUSE (arXiv 2407.06460, section 3): an AUC relative to that of a model that never saw the positives.

    The authors' code takes both as 1 - AUC. So a model that still knows the positives is below 0, and one that pushed
    them away above; 0 is ideal. Theirs is in per cent.

    >>> round(privacy_leak(0.75, 0.5), 3), round(privacy_leak(0.4, 0.5), 3)
    (-0.5, 0.2)
    """
    return (retrained - auc) / (1 - retrained)
