"""What ties mean: the ranks of RetFail, probes and readings, and the zero-shot classification of IdZSC and GenKnow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import Features, Index, check_index, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.protocol import TIE_SHARE, TIE_TOLERANCE

MOST_BITS = 64.0
"""More exposure than any number of candidates can give."""

ROWS_PER_CHUNK = 4096
"""Images scored at a time: 2,000 texts then take about 33 MB of scores, whatever the size of the data set."""


def tied_ranks(
    own: NDArray[np.floating[Any]] | float,
    rivals: NDArray[np.floating[Any]],
    competes: NDArray[np.bool_] | bool = True,
) -> NDArray[np.float64]:
    """Rank scores among those of their rivals, by the one rule of all metrics, probes and readings.

    ``rank = 1 + number scored higher + TIE_SHARE * number scored equal``; scores within ``TIE_TOLERANCE`` of each other
    are equal. A collapsed model thus ranks in the middle, at (C + 2) / 2 of C rivals, however its products are summed.

    Args:
        own: cosines to rank, shape ``(...)``, finite.
        rivals: cosines that each is ranked among, shape ``(..., C)``, finite.
        competes: which rivals count, broadcast to the shape of ``rivals``.

    Returns:
        Ranks counted from 1, of the shape of ``own``.

    Example:
        >>> import numpy as np
        >>> tied_ranks(np.array([0.5, 0.1]), np.array([[0.5, 0.9], [0.0, 0.1 + 1e-9]])).tolist()
        [2.5, 1.5]
    """
    lead = rivals - np.expand_dims(own, -1)
    higher = np.count_nonzero((lead > TIE_TOLERANCE) & competes, axis=-1)
    at_least_equal = np.count_nonzero((lead >= -TIE_TOLERANCE) & competes, axis=-1)
    return np.asarray(1 + higher + TIE_SHARE * (at_least_equal - higher), dtype=np.float64)


def exposure(ranks: NDArray[np.float64], candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Exposure in bits, log2(candidates) - log2(rank), of shape ``(N,)`` (Carlini et al. 2019, The Secret Sharer, 4.3).

    >>> exposure(np.array([1.0, 4.0]), np.array([1024, 1024])).tolist()
    [10.0, 8.0]
    """
    bits: NDArray[np.float64] = np.log2(candidates) - np.log2(ranks)
    return bits


def top1_credit(
    image_features: Features,
    class_features: Features,
    truth: Index,
    class_argument: str = "class_features",
    truth_argument: str = "truth",
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Classify images into the class with the most similar feature, and credit right answers.

    A row whose true class shares the best cosine with others is credited one divided by the number of classes that
    share it: what a fair draw among them would earn. A collapsed model thus scores at chance. Cosines within
    ``TIE_TOLERANCE`` of the best share it.

    Args:
        image_features: shape ``(N, D)``.
        class_features: shape ``(C, D)``.
        truth: shape ``(N,)``, number of the true class of every image.
        class_argument: what ``class_features`` is called in an error message.
        truth_argument: what ``truth`` is called in an error message.

    Returns:
        Credits of shape ``(N,)``, float64, from 0 to 1, and predicted classes of shape ``(N,)``, int64, the first of
        those that share the best cosine.

    Raises:
        MetricError: if features are not usable, differ in width, or ``truth`` does not fit them.

    Example:
        >>> import numpy as np
        >>> classes = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> images = np.array([[2.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
        >>> credit, predictions = top1_credit(images, classes, np.array([0, 1, 1]))
        >>> credit.tolist(), predictions.tolist()
        ([1.0, 0.5, 0.0], [0, 0, 0])
    """
    images = normalised(image_features, "image_features")
    classes = normalised(class_features, class_argument)
    check_same_width(images, "image_features", classes, class_argument)
    check_index(truth, truth_argument, below=len(classes))
    check_same_rows(images, "image_features", truth, truth_argument)

    credit = np.empty(len(images), dtype=np.float64)
    predictions = np.empty(len(images), dtype=np.int64)
    for start in range(0, len(images), ROWS_PER_CHUNK):
        rows = slice(start, start + ROWS_PER_CHUNK)
        scores = images[rows] @ classes.T
        best = scores >= scores.max(axis=1, keepdims=True) - TIE_TOLERANCE
        is_best = np.take_along_axis(best, truth[rows, None], axis=1)[:, 0]
        credit[rows] = is_best / best.sum(axis=1)
        predictions[rows] = best.argmax(axis=1)
    return credit, predictions
