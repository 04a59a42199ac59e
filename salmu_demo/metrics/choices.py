"""Multiple choice: the right text among wrong ones, by a softmax over cosines or by a decoder's losses.

The measures are those of CLEAR (arXiv 2410.18057, section 5.1, after TOFU, arXiv 2401.06121): accuracy, Probability and
Truth Ratio. The Truth Ratio has two forms. The paper compares each example with its own wrong answers (R, wrong to
right); the official code compares it with the mean over all examples (t, right to wrong).

Everywhere the first of C columns is the right answer, and -inf stands for a candidate that a row does not have.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.checks import Features, Index, check_index, check_same_rows, check_same_width, normalised
from salmu_demo.metrics.clear_protocol import CHOICE_TEMPERATURE
from salmu_demo.metrics.protocol import TIE_TOLERANCE

NO_CANDIDATE: Final = -1
"""Stands in a row of candidate numbers for none."""


def choice_cosines(image_features: Features, text_features: Features, candidates: Index) -> NDArray[np.float64]:
    """Cosines of images with the texts that each chooses from.

    Args:
        image_features: shape ``(N, D)``.
        text_features: shape ``(K, D)``.
        candidates: shape ``(N, C)``, rows of ``text_features``, the right one first; `NO_CANDIDATE` fills up.

    Returns:
        Array of shape ``(N, C)``, -inf where there is no candidate.

    Raises:
        MetricError: if features are not usable, or ``candidates`` does not fit them.

    Example:
        >>> import numpy as np
        >>> choice_cosines(np.eye(2), np.eye(2), np.array([[0, 1], [1, -1]])).tolist()
        [[1.0, 0.0], [1.0, -inf]]
    """
    images, texts = normalised(image_features, "image_features"), normalised(text_features, "text_features")
    check_same_width(images, "image_features", texts, "text_features")
    check_same_rows(images, "image_features", candidates, "candidates")
    none = candidates == NO_CANDIDATE
    numbers = np.where(none, 0, candidates)
    check_index(numbers.ravel(), "candidates", below=len(texts))
    cosines: NDArray[np.float64] = np.einsum("nd,ncd->nc", images, texts[numbers], dtype=np.float64)
    cosines[none] = -np.inf
    return cosines


def choice_credit(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    """What rows earn whose right answer has the highest cosine, shape ``(N,)``, from 0 to 1; the mean is the accuracy.

    Where it ties for the highest within ``TIE_TOLERANCE``, a row counts as one divided by the number that tie.

    Args:
        cosines: shape ``(N, C)``.

    Raises:
        MetricError: if there is no right answer, nothing to choose from, or a number that is none.

    Example:
        >>> choice_credit(np.array([[0.9, 0.1, -np.inf], [0.5, 0.5, 0.2], [0.1, 0.9, 0.2]])).tolist()
        [1.0, 0.5, 0.0]
    """
    _check(cosines)
    best = cosines >= cosines.max(axis=1, keepdims=True) - TIE_TOLERANCE
    credit: NDArray[np.float64] = best[:, 0] / best.sum(axis=1)
    return credit


def log_shares(scores: NDArray[np.float64], temperature: float = CHOICE_TEMPERATURE) -> NDArray[np.float64]:
    """Logarithms of the probabilities of candidates, by a softmax over them.

    Args:
        scores: shape ``(N, C)``, cosines, or log-likelihoods with a temperature of 1.
        temperature: what scores are multiplied by, as by CLIP's logit scale.

    Returns:
        Array of shape ``(N, C)``, -inf where there is no candidate.

    Raises:
        MetricError: as `choice_credit`.

    Example:
        >>> np.exp(log_shares(np.array([[np.log(3), 0.0]]), temperature=1)).round(6).tolist()
        [[0.75, 0.25]]
    """
    _check(scores)
    logits = temperature * scores
    logits = logits - logits.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return shares


def choice_probability(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """CLEAR's Probability with options: p(right) / sum of p over all candidates, shape ``(N,)``.

    Args:
        log_probabilities: shape ``(N, C)``, of `log_shares`, or minus a decoder's loss per token.

    Raises:
        MetricError: as `choice_credit`.

    Example:
        >>> choice_probability(np.log(np.array([[0.2, 0.1, 0.1]]))).round(6).tolist()
        [0.5]
    """
    return np.exp(log_shares(log_probabilities, temperature=1)[:, 0])


def log_truth_ratio_per_example(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the paper's Truth Ratio before it is rescaled, shape ``(N,)``.

    ``R = mean of p(wrong) / p(right)`` of each row: small where the model knows the answer.

    Args:
        log_probabilities: shape ``(N, C)``, of the paraphrased right answer and of the wrong ones.

    Raises:
        MetricError: as `choice_credit`.

    Example:
        >>> np.exp(log_truth_ratio_per_example(np.log(np.array([[0.4, 0.3, 0.1]])))).round(6).tolist()
        [0.5]
    """
    _check(log_probabilities)
    right, wrong = log_probabilities[:, :1], log_probabilities[:, 1:]
    # Relative to the largest wrong one, so that nothing overflows.
    largest = wrong.max(axis=1, keepdims=True)
    mean = np.exp(wrong - largest).sum(axis=1) / np.isfinite(wrong).sum(axis=1)
    ratio: NDArray[np.float64] = np.log(mean) + (largest - right)[:, 0]
    return ratio


def log_truth_ratio_over_all(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm of the Truth Ratio of the official code before it is rescaled, shape ``(N,)``.

    ``t = exp(mean loss of the wrong answers of all rows - loss of the right answer of the row)``: large where the model
    knows the answer. Changing one row changes all.

    Args:
        log_probabilities: shape ``(N, C)``, minus the losses of the paraphrased right answer and of the wrong ones.

    Raises:
        MetricError: as `choice_credit`.

    Example:
        >>> log_truth_ratio_over_all(np.array([[-1.0, -2.0], [-3.0, -6.0]])).tolist()
        [3.0, 1.0]
    """
    _check(log_probabilities)
    wrong = log_probabilities[:, 1:]
    ratio: NDArray[np.float64] = log_probabilities[:, 0] - wrong[np.isfinite(wrong)].mean()
    return ratio


def truth_ratio_per_example(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The paper's Truth Ratio, rescaled to 0..1 as max(0, 1 - R) of each row: higher where more is known.

    The paper says "rescaled between 0 and 1, with higher values indicating better knowledge retention"; the formula is
    TOFU's. Args and errors as `log_truth_ratio_per_example`.

    Example:
        >>> truth_ratio_per_example(np.log(np.array([[0.4, 0.3, 0.1], [0.1, 0.2, 0.2]]))).round(6).tolist()
        [0.5, 0.0]
    """
    return 0.0 - np.expm1(np.minimum(log_truth_ratio_per_example(log_probabilities), 0.0))


def truth_ratio_over_all(log_probabilities: NDArray[np.float64], forgotten: bool) -> NDArray[np.float64]:
    """The Truth Ratio as the official code rescales it, from 0 to 1 for each row.

    ``min(t, 1/t)`` on what is to be forgotten, which is 1 where right and wrong answers are equally likely, and
    ``max(0, 1 - 1/t)`` elsewhere, which is higher where more is known.

    Args:
        log_probabilities: as `log_truth_ratio_over_all`.
        forgotten: whether the rows are to be forgotten.

    Raises:
        MetricError: as `choice_credit`.

    Example:
        >>> two = np.log(np.array([[0.4, 0.1], [0.1, 0.4]]))
        >>> truth_ratio_over_all(two, True).round(6).tolist(), truth_ratio_over_all(two, False).round(6).tolist()
        ([0.5, 0.5], [0.5, 0.0])
    """
    ratio = log_truth_ratio_over_all(log_probabilities)
    if forgotten:
        return np.exp(-np.abs(ratio))
    return 0.0 - np.expm1(-np.maximum(ratio, 0.0))


def _check(scores: NDArray[np.float64]) -> None:
    if scores.ndim != 2 or scores.shape[0] == 0 or scores.shape[1] < 2:
        raise MetricError(
            f"Choices must have shape (rows, candidates) with a row and 2 candidates at least, but have {scores.shape}."
        )
    if np.isnan(scores).any() or np.isposinf(scores).any() or not np.isfinite(scores[:, 0]).all():
        raise MetricError("Choices must be finite, or -inf for a wrong answer that a row does not have.")
    if not np.isfinite(scores[:, 1:]).any(axis=1).all():
        raise MetricError("A row has a right answer and nothing else to choose from; leave it out.")
