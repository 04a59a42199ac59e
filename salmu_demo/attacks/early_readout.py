"""Do earlier blocks of a tower still hold what its output does not show?"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.fitting import fitting_rows, stacked
from salmu_demo.attacks.pairs import Floats, PairFeatures
from salmu_demo.attacks.ridge import fit
from salmu_demo.attacks.target import Target

MOST_PAIRS: Final = 1600
"""Pairs that are read, of whole personas; a larger data set is sampled, because a network runs on each."""
MOST_ROWS: Final = 1500
"""Rows of each split that heads are fitted to, drawn as above."""


@register
class EarlyReadout(Attack):
    """A ridge head on each block of each tower."""

    name = "early-readout"
    title = "Read-out of earlier blocks"
    attacker = (
        "Has the weights of the model and the features of the original for images and captions that were to be kept, "
        "and fits a ridge head from each block of a tower to the original's features; the other tower is mapped as in "
        "linear-map."
    )
    source = "Linear probes of intermediate layers (Alain and Bengio, arXiv 1610.01644)"
    needs = frozenset({AttackerNeed.ORIGINAL, AttackerNeed.WEIGHTS})

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        # torch takes seconds to import, which lists of attacks and finished ones do not need.
        from salmu_demo.attacks.networks.network import IMAGE, TEXT, TOWERS, Network  # noqa: PLC0415

        original = target.original
        assert original is not None
        chosen = target.sampled(MOST_PAIRS)
        splits = list(fitting_rows(target.data, MOST_ROWS).values())[-1]
        network, own = Network(target.view), chosen.features
        wanted = {tower: stacked(original.images if tower == IMAGE else original.captions, splits) for tower in TOWERS}
        image_map = fit(stacked(target.images, splits), wanted[IMAGE])
        caption_map = fit(stacked(target.captions, splits), wanted[TEXT])
        mapped = PairFeatures(image_map(own.images), caption_map(own.captions), caption_map(own.distractors))
        for tower in TOWERS:
            fitted = [network.states(tower, split) for split in splits]
            read = network.states(tower, chosen.pairs.split)
            drawn = [] if tower == IMAGE else [network.states(tower, split) for split in chosen.pairs.distractor_splits]
            for block, states in enumerate(read):
                target.tell(f"early-readout, {tower} tower", block, len(read))
                head = fit(_below(fitted, block), wanted[tower])
                if tower == IMAGE:
                    found = PairFeatures(head(states), mapped.captions, mapped.distractors)
                else:
                    found = PairFeatures(mapped.images, head(states), head(_below(drawn, block)))
                yield from chosen.readings(found, f"block {block + 1} of the {tower} tower")


def _below(parts: Sequence[Sequence[Floats]], block: int) -> Floats:
    """The states of one block, those of several splits one below the other."""
    return np.concatenate([states[block] for states in parts])
