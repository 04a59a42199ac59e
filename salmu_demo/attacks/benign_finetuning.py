"""Does ordinary training on pairs that were to be kept bring the others back?"""

from collections.abc import Iterable

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading, register
from salmu_demo.attacks.recipe import BATCH, DEFAULT, MOST_PAIRS, THOROUGH
from salmu_demo.attacks.retraining import best_reading, no_retain_rows, retain_rows
from salmu_demo.attacks.target import Target


@register
class BenignFinetuning(Attack):
    """Relearning with retain rows only: nobody needs to want the leak back."""

    name = "benign-finetuning"
    title = "Benign fine-tuning"
    attacker = (
        "Has the weights and pairs that were to be kept, trains the text tower on these alone for twenty steps, and "
        "asks for people to be forgotten."
    )
    source = "Siddiqui et al., arXiv 2505.22310"
    needs = frozenset({AttackerNeed.GRADIENTS})

    def obstacle(self, target: Target) -> str | None:
        """Without rows to be kept there is nothing to train on."""
        return no_retain_rows(target)

    def run(self, target: Target) -> Iterable[AttackReading]:
        """See `Attack`."""
        target = target.sampled(MOST_PAIRS)
        sides = ((retain_rows(target.data), BATCH),)
        for variant, recipes in THOROUGH.items() if target.thorough else (("", [DEFAULT]),):
            yield from best_reading(target, recipes, sides, variant)
