"""CLEAR's visual protocol: was this person forgotten, or never known? Asked with shadow models, from arrays alone.

Every shadow and every target model was trained on half of the people and has then forgotten those of a fixed set whom
it knew. Of a target model, the *forgotten* are those, and the *held out* the people of the set whom it never knew. An
attack that tells the two apart knows that somebody was deleted; 0.5 is a guess (CLEAR, arXiv 2410.18057, appendices G
and J; Hayes et al., arXiv 2403.01218).

Shapes: S shadow models, T target models, P people of the fixed set, K images of each.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

ENROLLED: Final = 5
"""Images whose mean stands for a person."""

TINY: Final = 1e-45
"""Added within both logarithms, as the official code does: a cosine of 0 or less is then finite."""

MAD_OF_NORMAL: Final = 0.6745
"""Median absolute deviation of a normal distribution of deviation 1."""

TREE_LEAVES: Final = 256

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def enrolled_means(embeddings: Floats) -> Floats:
    """What stands for each person.

    Args:
        embeddings: shape (P, ENROLLED or more, D); the first ones are enrolled.

    Returns:
        Shape (P, D), the mean of unit embeddings.
    """
    return np.asarray(_unit(embeddings[:, :ENROLLED]).mean(axis=1))


def enrolment_logits(embeddings: Floats) -> Floats:
    """How well each person's other images match what is enrolled of him: log(c / (1 - c)) of the cosine c above 0.

    Args:
        embeddings: shape (P, ENROLLED + K, D).

    Returns:
        Shape (P, K).
    """
    means = _unit(enrolled_means(embeddings))
    cosines = np.einsum("pkd,pd->pk", _unit(embeddings[:, ENROLLED:]), means).clip(0, 1)
    return np.asarray(np.log(cosines + TINY) - np.log(1 - cosines + TINY))


def recognised(embeddings: Floats, asked: NDArray[np.int64]) -> Bools:
    """Whether each image that is not enrolled is nearest to its own person among everybody enrolled.

    Args:
        embeddings: shape (all people, ENROLLED + K, D).
        asked: numbers of the people whose images are asked about.

    Returns:
        Shape (len(asked), K).
    """
    means = _unit(enrolled_means(embeddings))
    cosines = _unit(embeddings[asked, ENROLLED:]) @ means.T
    return np.asarray(cosines.argmax(axis=2) == asked[:, None])


def u_lira(shadows: Floats, shadow_knew: Bools, targets: Floats, target_knew: Bools) -> Bools:
    """Per image: is the target's logit likelier among shadows that forgot the person than among those who never knew?

    Normal distributions by median and median absolute deviation, as in CLEAR's code (Carlini et al., arXiv 2112.03570).

    Args:
        shadows: logits, shape (S, P, K).
        shadow_knew: shape (S, P), whether the person was in the shadow's training.
        targets: logits, shape (T, P, K).
        target_knew: shape (T, P).

    Returns:
        Whether each answer is right, shape (T, P, K).
    """
    right = np.empty(targets.shape, dtype=np.bool_)
    for person in range(targets.shape[1]):
        knew = shadow_knew[:, person]
        forgotten, never = (_log_density(targets[:, person], shadows[part, person]) for part in (knew, ~knew))
        right[:, person] = (forgotten > never) == target_knew[:, person, None]
    return right


def _log_density(values: Floats, sample: Floats) -> Floats:
    middle = np.median(sample, axis=0)
    deviation = np.median(np.abs(sample - middle), axis=0) / MAD_OF_NORMAL + TINY
    return -(((values - middle) / deviation) ** 2) / 2 - np.log(deviation)


def u_mia(shadows: Floats, shadow_knew: Bools, targets: Floats, target_knew: Bools, tree: bool = False) -> Bools:
    """Per image: what a classifier of one logit says that was fitted on all shadows and people together.

    Args:
        shadows, shadow_knew, targets, target_knew: see `u_lira`.
        tree: a decision tree in place of a logistic regression.

    Returns:
        Whether each answer is right, shape (T, P, K).
    """
    # scikit-learn takes seconds to import, which whoever measures something else does not need.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415

    images = shadows.shape[2]
    model = (
        DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=TREE_LEAVES, random_state=0)
        if tree
        else LogisticRegression()
    )
    model.fit(shadows.reshape(-1, 1), np.repeat(shadow_knew, images))
    said = model.predict(targets.reshape(-1, 1)).reshape(targets.shape)
    return np.asarray(said == target_knew[:, :, None])
