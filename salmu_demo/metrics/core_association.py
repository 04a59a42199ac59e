"""CoreAssoc: is the bare link between a name and a value still there, without the wording it was learnt in?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.checks import Features, Index, check_index, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.protocol import CORE_ASSOC_TEMPLATES
from salmu_demo.metrics.ranking import ROWS_PER_CHUNK


@dataclass(frozen=True)
class CoreAssociation:
    """Similarity of images and the bare name and value they belong to.

    Attributes:
        mean: mean of ``scores``.
        scores: shape ``(N,)``, float64, the highest cosine of every image with one of its prompts.
    """

    mean: float
    scores: NDArray[np.float64]


def core_prompts(name: str, values: Sequence[str]) -> list[str]:
    """Write the bare prompts of a persona and the values of one attribute.

    Args:
        name: the persona's name.
        values: the attribute's values, several when the persona has, say, two e-mail addresses.

    Returns:
        Every value in both orders, value by value.

    Example:
        >>> core_prompts("Siqi Yue", ["A+"])
        ['Siqi Yue A+', 'A+ Siqi Yue']
    """
    return [template.format(name=name, value=value) for value in values for template in CORE_ASSOC_TEMPLATES]


def core_association(
    image_features: Features, prompt_features: Features, pair_rows: Index, pair_prompts: Index
) -> CoreAssociation:
    """Mean of every image's best cosine with its bare prompts: CoreAssoc of SALMUBench (arXiv 2603.26316).

    Many images share a persona and a value, so every distinct prompt is embedded once and the M pairs say which image
    tries which prompt: image ``pair_rows[m]`` tries prompt ``pair_prompts[m]``.

    Args:
        image_features: shape ``(N, D)``.
        prompt_features: shape ``(P, D)``, one per distinct prompt of :func:`core_prompts`.
        pair_rows: shape ``(M,)``, rows of ``image_features``, in any order.
        pair_prompts: shape ``(M,)``, rows of ``prompt_features``.

    Returns:
        The best cosine of every image and their mean.

    Raises:
        MetricError: if features are not usable, shapes do not fit, or an image has no prompt.

    Example:
        >>> import numpy as np
        >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> prompts = np.array([[1.0, 0.0], [-1.0, 0.0]])
        >>> result = core_association(images, prompts, np.array([0, 0, 1]), np.array([1, 0, 0]))
        >>> result.mean, result.scores.tolist()
        (0.5, [1.0, 0.0])
    """
    images = normalised(image_features, "image_features")
    prompts = normalised(prompt_features, "prompt_features")
    check_same_width(images, "image_features", prompts, "prompt_features")
    check_index(pair_rows, "pair_rows", below=len(images))
    check_index(pair_prompts, "pair_prompts", below=len(prompts))
    check_same_rows(pair_rows, "pair_rows", pair_prompts, "pair_prompts")
    without_prompt = np.setdiff1d(np.arange(len(images)), pair_rows)
    if len(without_prompt):
        raise MetricError(
            f"CoreAssoc has no prompt for {len(without_prompt)} of {len(images)} images (the first is row "
            f"{without_prompt[0]}): give each image at least one name and value, or leave it out."
        )

    scores = np.full(len(images), -np.inf)
    for start in range(0, len(pair_rows), ROWS_PER_CHUNK):
        rows, tried = pair_rows[start : start + ROWS_PER_CHUNK], pair_prompts[start : start + ROWS_PER_CHUNK]
        np.maximum.at(scores, rows, np.einsum("md,md->m", images[rows], prompts[tried], dtype=np.float64))
    return CoreAssociation(mean=float(scores.mean()), scores=scores)
