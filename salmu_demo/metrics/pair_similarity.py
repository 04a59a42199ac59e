"""AssocStr, InterIdSim, IntraIdSim, VisIdInt and FragSim: how similar are images to their own texts?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import Features, check_same_rows, check_same_width, normalised


@dataclass(frozen=True)
class PairSimilarity:
    """Similarity of images and their own texts.

    Attributes:
        mean: mean of ``scores``.
        scores: shape ``(N,)``, float64, cosine of every pair.
    """

    mean: float
    scores: NDArray[np.float64]


def pair_similarity(image_features: Features, text_features: Features) -> PairSimilarity:
    """Mean cosine of image and text pairs: five metrics of SALMUBench (arXiv 2603.26316) on five splits.

    Args:
        image_features: shape ``(N, D)``.
        text_features: shape ``(N, D)``, the feature of every image's own text.

    Returns:
        The cosine of every pair and their mean.

    Raises:
        MetricError: if features are not usable or shapes do not fit.

    Example:
        >>> import numpy as np
        >>> result = pair_similarity(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[5.0, 0.0], [0.0, 1.0]]))
        >>> result.mean, result.scores.tolist()
        (0.5, [1.0, 0.0])
    """
    images = normalised(image_features, "image_features")
    texts = normalised(text_features, "text_features")
    check_same_rows(images, "image_features", texts, "text_features")
    check_same_width(images, "image_features", texts, "text_features")
    scores = np.einsum("nd,nd->n", images, texts, dtype=np.float64)
    return PairSimilarity(mean=float(scores.mean()), scores=scores)
