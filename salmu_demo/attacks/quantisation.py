"""Do rounded weights, or weights pulled back towards the original, show what the model hides?"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import numpy as np

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.depth import same_architecture
from salmu_demo.attacks.pairs import PairFeatures
from salmu_demo.attacks.target import Target

MOST_PAIRS: Final = 400
"""Pairs that are read, of whole personas: each form of the attack encodes them, and all distractors, anew."""
BITS: Final = (8, 4)
PULLS: Final = (0.25, 0.5)
"""Shares of the way back to the original."""


@register
class Quantisation(Attack):
    """INT8 and INT4 weights, and weights on the way back to the original."""

    name = "quantisation"
    title = "Rounded weights, and weights on the way back"
    attacker = (
        "Has the weights, and rounds every matrix to 8 or 4 bits, as many do to save memory; or, with the original, "
        "moves all weights a part of the way back. Whoever has the original needs no attack, so it does not count."
    )
    source = "Rounding undoes small edits (arXiv 2410.16454)"
    needs = frozenset({AttackerNeed.WEIGHTS})
    counts = False

    def omissions(self, target: Target) -> Sequence[str]:
        """See `Attack`."""
        if target.original is None:
            return ["no weights are on the way back to the original model, because none is given"]
        if same_architecture(target.view, target.original):
            return []
        return [f"{target.name} has another architecture than the original {target.original.model.name}"]

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        # torch takes seconds to import, which lists of attacks and finished ones do not need.
        from salmu_demo.attacks.networks.network import IMAGE, TEXT, Network  # noqa: PLC0415

        chosen = target.sampled(MOST_PAIRS)
        forms: dict[str, Callable[[Network], None]] = {
            f"INT{bits}": partial(Network.quantise, bits=bits) for bits in BITS
        }
        if target.original is not None and same_architecture(target.view, target.original):
            original = Network(target.original)
            for share in PULLS:
                forms[f"{share:.0%} of the way back"] = partial(Network.pull, original=original, share=share)
        for number, (variant, change) in enumerate(forms.items()):
            target.tell("quantisation", number, len(forms))
            network = Network(target.view)
            change(network)
            drawn = [network.features(TEXT, split) for split in chosen.pairs.distractor_splits]
            split = chosen.pairs.split
            found = PairFeatures(network.features(IMAGE, split), network.features(TEXT, split), np.concatenate(drawn))
            yield from chosen.readings(found, variant)
