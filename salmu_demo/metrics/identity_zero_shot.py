"""IdZSC: does the model still know who is in the image?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.metrics.checks import Features, Index
from salmu_demo.metrics.ranking import top1_credit


@dataclass(frozen=True)
class IdentityZeroShot:
    """How often images are given the right name.

    Attributes:
        accuracy: share of right names; ties count in part.
        credit: shape ``(N,)``, float64, what every image earns, from 0 to 1; its mean is ``accuracy``.
        predictions: shape ``(N,)``, int64, the name given to every image, the first of those that tie.
    """

    accuracy: float
    credit: NDArray[np.float64]
    predictions: NDArray[np.int64]


def identity_zero_shot(image_features: Features, identity_index: Index, name_features: Features) -> IdentityZeroShot:
    """Zero-shot classification of images into persona names: IdZSC of SALMUBench (arXiv 2603.26316).

    An image is given the name with the highest cosine. Where the right name ties for the highest with others, the row
    counts as one divided by the number of names that tie, so a collapsed model scores at chance. With a single
    candidate the accuracy is 1 by definition.

    Args:
        image_features: shape ``(N, D)``.
        identity_index: shape ``(N,)``, row of ``name_features`` that holds the image's true name.
        name_features: shape ``(C, D)``, one per candidate, embedded with ``IDZSC_PROMPT``.

    Returns:
        The accuracy, and the credit and the name of every image.

    Raises:
        MetricError: if features are not usable, differ in width, or ``identity_index`` does not fit them.

    Example:
        >>> import numpy as np
        >>> names = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> result = identity_zero_shot(np.array([[3.0, 1.0], [2.0, 1.0]]), np.array([0, 1]), names)
        >>> result.accuracy, result.predictions.tolist()
        (0.5, [0, 0])
    """
    credit, predictions = top1_credit(image_features, name_features, identity_index, "name_features", "identity_index")
    return IdentityZeroShot(accuracy=float(credit.mean()), credit=credit, predictions=predictions)
