"""What attacks that train have in common: the pairs to be kept, and the best that is read on the way."""

from collections.abc import Iterable, Iterator, Sequence

from salmu_demo.attacks.base import AttackReading
from salmu_demo.attacks.recipe import AttackRecipe
from salmu_demo.attacks.target import Target
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, Split


def retain_rows(data: BenchmarkData) -> Split:
    """Pairs to be kept that show no persona; there may be none."""
    return data.split(layout.RETAIN_DISJOINT)


def no_retain_rows(target: Target) -> str | None:
    """Why nothing can be trained on pairs to be kept, or None."""
    if len(retain_rows(target.data)):
        return None
    return f"{target.data.name} has no rows to be kept that show no persona"


def best_reading(
    target: Target,
    recipes: Iterable[AttackRecipe],
    sides: Sequence[tuple[Split, int]],
    variant: str = "",
    seen: frozenset[str] = frozenset(),
) -> list[AttackReading]:
    """Train by each recipe and take the best reading for the attacker, that of the untrained model among them.

    Every gallery and measure has its own. As the controls are read in the same way, what is lucky in it is theirs too.

    Args:
        target: the model.
        recipes: how it is trained, each time anew.
        sides: rows, and how many of them are in a batch.
        variant: see `AttackReading`.
        seen: personas that it is trained on, whose pairs are not read.
    """
    # See `salmu_demo.attacks.networks`.
    from salmu_demo.attacks.networks.training import Trainee  # noqa: PLC0415

    def readings() -> Iterator[AttackReading]:
        yield from target.readings(target.features, variant, seen)
        for recipe in recipes:
            with Trainee(target, recipe) as trainee:
                for _ in trainee.train(sides, target.seed):
                    yield from target.readings(trainee.features(), variant, seen)

    chosen: dict[tuple[str, str, str], AttackReading] = {}
    for reading in readings():
        known = chosen.get(reading.key)
        if known is None or reading.scores.mean() > known.scores.mean():
            chosen[reading.key] = reading
    return list(chosen.values())
