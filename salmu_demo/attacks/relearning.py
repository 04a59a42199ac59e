"""Do a few steps on the pairs of some of the people to be forgotten bring back those of the others?

A model that never knew them learns those few and knows no other; one whose knowledge is only hidden gives back what it
knows of all.
"""

from collections.abc import Iterable
from itertools import chain, zip_longest
from typing import Final

import numpy as np

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.recipe import BATCH, DEFAULT, MOST_PAIRS, THOROUGH, AttackRecipe
from salmu_demo.attacks.retraining import best_reading, no_retain_rows, retain_rows
from salmu_demo.attacks.target import Target
from salmu_demo.data import layout

PEOPLE: Final = 4
PEOPLE_TRIED: Final = (1, 4, 10, 25)
"""How many are relearned in the thorough attack."""


@register
class Relearning(Attack):
    """Training on forget and retain pairs alike."""

    name = "relearning"
    title = "Relearning"
    attacker = (
        "Has the weights and the sensitive pairs of four of the people to be forgotten, trains the text tower on them "
        "and on pairs that were to be kept for twenty steps, and asks for the others."
    )
    source = "Hu et al., arXiv 2406.13356; Siddiqui et al., arXiv 2505.22310"
    needs = frozenset({AttackerNeed.GRADIENTS})

    def obstacle(self, target: Target) -> str | None:
        """Without other people there is nobody to be read, and without rows to be kept nothing to train on."""
        if not relearned_people(target, PEOPLE):
            return f"{target.data.name} has too few people in {layout.FORGET} to train on {PEOPLE} and read others"
        return no_retain_rows(target)

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        target = target.sampled(MOST_PAIRS)
        if not target.thorough:
            yield from _relearn(target, PEOPLE, {"": [DEFAULT]})
            return
        for people in PEOPLE_TRIED:
            who = "1 person" if people == 1 else f"{people} people"
            yield from _relearn(target, people, {f"{who}, {towers}": tried for towers, tried in THOROUGH.items()})


def _relearn(target: Target, people: int, variants: dict[str, list[AttackRecipe]]) -> Iterable[AttackReading]:
    seen = relearned_people(target, people)
    forget = target.data.split(layout.FORGET)
    rows = [row for row, identity in enumerate(forget.identities) if identity in seen]
    sides = ((forget.take(layout.FORGET, rows), BATCH // 2), (retain_rows(target.data), BATCH // 2))
    for variant, recipes in variants.items() if rows else ():
        yield from best_reading(target, recipes, sides, variant, seen)


def relearned_people(target: Target, count: int) -> frozenset[str]:
    """Whom the attacker trains on: by turns somebody with pairs in forget alone and somebody with kept pairs as well.

    Fewer of them are among those of more. Nobody, if nobody else were left to be read.
    """
    data = target.data
    kept = set(data.split(layout.HOLDOUT_ASSOCIATION).identities)
    people = sorted({identity for identity in target.pairs.identities if identity is not None})
    generator = np.random.default_rng(target.seed)
    roles = [[person for person in people if (person in kept) is role] for role in (False, True)]
    shuffled = [[role[place] for place in generator.permutation(len(role))] for role in roles]
    turns = [person for person in chain.from_iterable(zip_longest(*shuffled)) if person is not None]
    return frozenset(turns[:count]) if count < len(turns) else frozenset()
