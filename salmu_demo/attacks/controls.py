"""Cases whose answer is known, for attacks that read features: a leak that is hidden, and one that is gone."""

import numpy as np

from salmu_demo.attacks.pairs import Floats
from salmu_demo.attacks.target import Edit
from salmu_demo.data import layout
from salmu_demo.data.dataset import Split


class Hidden(Edit):
    """A copy of a model whose text features are turned by a random rotation: nothing matches, and nothing is lost.

    An attack that undoes what is linear scores 1 on a copy of Compromised.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def captions(self, split: Split, features: Floats) -> Floats:
        """See `Edit`."""
        width = features.shape[1]
        turned, _ = np.linalg.qr(np.random.default_rng(self._seed).normal(size=(width, width)))
        rotated: Floats = features @ turned
        return rotated


class Erased(Edit):
    """A copy of a model without the facts: images of people to be forgotten lose what tells one person from another.

    Each persona's mean is replaced by the mean of all, which projects the features of these rows onto what is
    orthogonal to every indicator of a persona; no linear map of them tells people apart (compare LEACE,
    arXiv 2306.03819). An attack scores near 0 on it.
    """

    def images(self, split: Split, features: Floats) -> Floats:
        """See `Edit`."""
        if split.name != layout.FORGET:
            return features
        people, number = np.unique([identity or "" for identity in split.identities], return_inverse=True)
        sums = np.zeros((len(people), features.shape[1]))
        np.add.at(sums, number, features)
        means = sums / np.bincount(number)[:, None]
        erased: Floats = features - means[number] + features.mean(axis=0)
        return erased
