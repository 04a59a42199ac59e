"""Which tower was edited: each tower of the model beside the other tower of the original."""

from collections.abc import Iterable

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.pairs import PairFeatures
from salmu_demo.attacks.target import Target


@register
class TowerSwap(Attack):
    """The original's image tower with the model's text tower, and the other way round."""

    name = "tower-swap"
    title = "One tower of the original"
    attacker = (
        "Has the original, and puts one of its towers beside the other of the model: where the leak comes back, only "
        "the tower that was replaced was edited. It says where the edit is, so it does not count."
    )
    source = "Compare reloading the original projection, VL-Eraser"
    needs = frozenset({AttackerNeed.ORIGINAL})
    counts = False

    def obstacle(self, target: Target) -> str | None:
        """See `Attack`."""
        if target.original is None:
            return None
        mine, its = (features.images.shape[1] for features in (target.features, target.of(target.original).features))
        return None if mine == its else f"its features have {mine} numbers and those of the original {its}"

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        assert target.original is not None
        own, its = target.features, target.of(target.original).features
        yield from target.readings(
            PairFeatures(its.images, own.captions, own.distractors), "image tower of the original"
        )
        yield from target.readings(
            PairFeatures(own.images, its.captions, its.distractors), "text tower of the original"
        )
