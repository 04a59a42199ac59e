"""Does a linear map of the model's features to the original's bring the leak back?"""

from collections.abc import Iterable

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.fitting import fitting_rows, stacked
from salmu_demo.attacks.pairs import PairFeatures
from salmu_demo.attacks.ridge import fit
from salmu_demo.attacks.target import Target


@register
class LinearMapAttack(Attack):
    """One map for each tower."""

    name = "linear-map"
    title = "Linear map to the original"
    attacker = (
        "Has the features of both the model and the original for images and captions that were to be kept, fits a "
        "ridge map of each tower to them, and maps the features of people to be forgotten with it."
    )
    source = "Alignment damage rather than deletion; ridge regression on centred unit features"
    needs = frozenset({AttackerNeed.ORIGINAL})

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        original = target.original
        assert original is not None
        for variant, splits in fitting_rows(target.data).items():
            images = fit(stacked(target.images, splits), stacked(original.images, splits))
            captions = fit(stacked(target.captions, splits), stacked(original.captions, splits))
            own = target.features
            mapped = PairFeatures(images(own.images), captions(own.captions), captions(own.distractors))
            yield from target.readings(mapped, variant)
