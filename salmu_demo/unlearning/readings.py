"""Quick readings while a method works: not the benchmark, only what its own rows tell."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from salmu_demo.unlearning.material import Material, PairSet
from salmu_demo.unlearning.sampling import Rows
from salmu_demo.unlearning.towers import Towers, TrainedModel

PROBE_ROWS: Final = 128
"""Pairs of each side that are read."""


@dataclass(frozen=True)
class Reading:
    """Where a run stands.

    Attributes:
        step: steps taken.
        forget_pairs: forget pairs spent of the budget.
        loss: of the latest step, or None before the first.
        forget_similarity: mean cosine of the probe's forget pairs.
        forget_mrr: mean of 1 / rank of their captions among all captions of the probe.
        retain_similarity: mean cosine of the probe's retain pairs.
        unrelated_similarity: mean cosine of forget pictures with captions of other personas.
    """

    step: int
    forget_pairs: int
    loss: float | None
    forget_similarity: float
    forget_mrr: float
    retain_similarity: float
    unrelated_similarity: float

    @property
    def is_finite(self) -> bool:
        """Whether the model still gives numbers."""
        return math.isfinite(self.forget_similarity + self.retain_similarity)


class Probe:
    """A fixed sample of the rows a method may see."""

    def __init__(self, material: Material, seed: int) -> None:
        self._material = material
        generator = np.random.default_rng(seed)
        self._forget, self._retain = (
            np.sort(generator.permutation(len(pairs))[:PROBE_ROWS]) for pairs in (material.forget, material.retain)
        )

    @torch.no_grad()
    def read(self, model: TrainedModel, step: int, forget_pairs: int, loss: float | None) -> Reading:
        """Read a model."""
        images, texts = _encode(model, self._material.forget, self._forget)
        retain_images, retain_texts = _encode(model, self._material.retain, self._retain)
        scores = images @ torch.cat([texts, retain_texts]).T
        own = scores.diagonal()
        ranks = 1 + (scores > own[:, None]).sum(dim=1)
        groups = self._material.forget.frozen.groups[self._forget].to(scores.device)
        strangers = groups[:, None] != groups[None, :]
        return Reading(
            step,
            forget_pairs,
            None if loss is None else round(loss, 6),
            _rounded(own),
            _rounded(1 / ranks),
            _rounded((retain_images * retain_texts).sum(dim=1)),
            _rounded(scores[:, : len(own)][strangers]) if strangers.any() else 0.0,
        )


def _encode(model: TrainedModel, pairs: PairSet, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    # A tower that never changes gives the features that are known already.
    known = pairs.frozen
    images = (
        known.images[rows].to(model.device)
        if model.towers is Towers.TEXT
        else model.images(model.encoder.inputs(pairs.pixels(rows)))
    )
    texts = known.texts[rows].to(model.device) if model.towers is Towers.IMAGE else model.texts(pairs.tokens[rows])
    return images, texts


def _rounded(values: torch.Tensor) -> float:
    return round(float(values.float().mean()), 6)
