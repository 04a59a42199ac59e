"""How a line-up is read: standardised scores of the candidates, ranked from both ends."""

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.ranking import tied_ranks


def standardised_scores(
    image_features: NDArray[np.float32], candidate_features: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Mean standardised score of each candidate.

    For each row, an image with a sentence, the cosines of the candidates get mean 0 and standard deviation 1, so that
    no image and no sentence outweighs the others. A row whose candidates all score alike counts as 0.

    Args:
        image_features: shape (M, D).
        candidate_features: every sentence with every candidate, shape (S, C, D).

    Returns:
        Shape (C,): the mean over the M x S rows.
    """
    images = normalised(image_features, "image_features").astype(np.float64)
    _, candidates, width = candidate_features.shape
    texts = normalised(candidate_features.reshape(-1, width), "candidate_features").astype(np.float64)
    cosines = (images @ texts.T).reshape(-1, candidates)
    centred = cosines - cosines.mean(axis=1, keepdims=True)
    deviations = centred.std(axis=1, keepdims=True)
    scores = np.divide(centred, deviations, out=np.zeros_like(centred), where=deviations > 0)
    means: NDArray[np.float64] = scores.mean(axis=0)
    return means


def value_rank(scores: NDArray[np.float64], true: NDArray[np.bool_]) -> tuple[float, int]:
    """Rank of the best true candidate among the false ones, from 1 and by `tied_ranks`, and the number of candidates.

    Further true candidates take no part.
    """
    best = float(scores[true].max())
    return float(tied_ranks(best, scores[~true])), int((~true).sum()) + 1
