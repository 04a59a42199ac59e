"""Does a new head on the model's own images bring the leak back, without the original?"""

from collections.abc import Iterable

from salmu_demo.attacks.base import Attack, AttackReading, register
from salmu_demo.attacks.fitting import fitting_rows, stacked
from salmu_demo.attacks.pairs import PairFeatures
from salmu_demo.attacks.ridge import fit
from salmu_demo.attacks.target import Target


@register
class OwnHead(Attack):
    """One map from images to texts."""

    name = "own-head"
    title = "New head on the model's own features"
    attacker = (
        "Has nothing but the model and pairs that were to be kept, and fits a ridge map from its images to its own "
        "captions of them."
    )
    source = "The linear map without the original"

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        for variant, splits in fitting_rows(target.data).items():
            head = fit(stacked(target.images, splits), stacked(target.captions, splits))
            own = target.features
            yield from target.readings(PairFeatures(head(own.images), own.captions, own.distractors), variant)
