"""The sentences that attacks fill in."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.wordings import NAMELESS, fill
from salmu_demo.features.view import FeatureView
from salmu_demo.probes.attacks.base import Variant

NAME_SENTENCES: Final = ("{value}", "A photo of {value}", "This is {value}")
"""Sentences that say who somebody is and nothing else; the name goes where the candidate goes."""


def wordings(data: BenchmarkData, kind: str, variant: Variant) -> tuple[str, ...]:
    """The wordings of a kind that a variant uses, with `{person}` and `{value}`."""
    found = data.probe_wordings[kind]
    return found.unseen if variant.unseen_wordings else found.trained


def nameless(data: BenchmarkData, kind: str, variant: Variant) -> tuple[str, ...]:
    """The same without a name, with `{value}` alone."""
    return tuple(fill(wording, NAMELESS, "{value}") for wording in wordings(data, kind, variant))


def name_texts(names: Sequence[str]) -> list[str]:
    """All names in the first sentence, then all in the second, and so on."""
    return [sentence.replace("{value}", name) for sentence in NAME_SENTENCES for name in names]


def filled(view: FeatureView, texts: Sequence[str], candidates: int) -> NDArray[np.float32]:
    """Features of every sentence with every candidate, shape (S, C, D)."""
    features = np.asarray(view.prompts(texts))
    return features.reshape(-1, candidates, features.shape[1])
