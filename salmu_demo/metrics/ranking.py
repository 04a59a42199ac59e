"""Zero-shot classification, shared by IdZSC and GenKnow."""

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import Features, Index, check_index, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.protocol import TIE_TOLERANCE

ROWS_PER_CHUNK = 4096
"""Images scored at a time: 2,000 texts then take about 33 MB of scores, whatever the size of the data set."""


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
