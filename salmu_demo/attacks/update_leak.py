"""Who was deleted, told from the models before and after?"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.schema import TPR
from salmu_demo.attacks.target import Target
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.checks import normalised
from salmu_demo.metrics.separation import auc_parts, detected, resampled_rates

GALLERY: Final = "people"
AUC: Final = "AUC"


@register
class UpdateLeak(Attack):
    """The people whose pairs lost most similarity between the two models."""

    name = "update-leak"
    title = "Update leak"
    attacker = (
        "Has both models, before and after, and pairs of people; calls those deleted whose pairs lost most similarity. "
        "A model that erases perfectly shows it as well: only who never sees both models is safe from it."
    )
    source = "Chen et al., arXiv 2005.02205"
    needs = frozenset({AttackerNeed.ORIGINAL})
    counts = False

    def obstacle(self, target: Target) -> str | None:
        """Without people who were to be kept nobody stands out."""
        if len(target.data.split(layout.HOLDOUT_IDENTITY)):
            return None
        return f"{target.data.name} has nobody in {layout.HOLDOUT_IDENTITY} who was to be kept"

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        assert target.original is not None
        before, after = (people_similarity(target.data, side) for side in (target.original, target))
        kept = set(target.data.split(layout.HOLDOUT_IDENTITY).identities)
        deleted, others = (
            {person: before[person] - after[person] for person in before if (person in kept) is side}
            for side in (False, True)
        )
        lost, lost_by_others = (np.array(list(changes.values())) for changes in (deleted, others))
        people = (*deleted, *others)
        yield AttackReading("", GALLERY, AUC, np.concatenate(auc_parts(lost, lost_by_others)), None, people)
        drawn = resampled_rates(lost, lost_by_others, people)
        yield AttackReading("", GALLERY, TPR, detected(lost, lost_by_others), None, tuple(deleted), drawn)


def people_similarity(data: BenchmarkData, view: FeatureView | Target) -> dict[str, float]:
    """Mean cosine of each persona's sensitive pairs, whatever was to become of them."""
    scores: dict[str, list[float]] = {}
    for name in layout.SENSITIVE_SPLITS:
        split = data.split(name)
        if not len(split):
            continue
        images = normalised(view.images(split), "image_features").astype(np.float64)
        cosines = np.einsum("nd,nd->n", images, normalised(view.captions(split), "caption_features"))
        for identity, cosine in zip(split.identities, cosines.tolist(), strict=True):
            if identity is not None:
                scores.setdefault(identity, []).append(cosine)
    return {identity: float(np.mean(own)) for identity, own in scores.items()}
