"""Requests one after another: is what was asked for before still forgotten, and who was hurt when whom was erased?

All of it follows from the matrices of the models in the order they were made in: the headline attack on everybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from salmu_demo.data.dataset import Persona
from salmu_demo.data.forget_requests import Round, are_covered
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.matrix import Matrix, MatrixCell

MOST_HURT: Final = 5
"""People who lost most and are named, for each run."""

Facts = dict[tuple[str, str], MatrixCell]
"""(persona, kind) to its cell with one model."""


@dataclass(frozen=True)
class FactStanding:
    """What one model has of the facts that one run was asked to forget.

    Attributes:
        facts: how many.
        found: how many of them leak.
        bits: their mean exposure in bits beyond that of a guess.
    """

    facts: int
    found: int
    bits: float


@dataclass(frozen=True)
class Effect:
    """What one run did to some facts.

    Attributes:
        facts: how many.
        change: mean exposure after the run minus before it, in bits.
        lost: how many leaked before and do not after.
        back: how many leak after and did not before.
    """

    facts: int
    change: float
    lost: int
    back: int


@dataclass(frozen=True)
class Hurt:
    """What one run did to somebody of whom nobody had asked until then."""

    persona: Persona
    effect: Effect


@dataclass(frozen=True)
class Persistence:
    """A model that is the product of several runs, and those before it.

    Attributes:
        models: the model that the first run started from, and the result of each run.
        rounds: what each run was asked for.
        standings: for each run, and for each model, what it has of the run's facts; None if none of them is audited.
        effects: for each run, what it did to the facts of each run, and at the end to all that nobody asked for; None
            if there are none.
        hurt: for each run, the people whose facts nobody had asked for until then and who lost most, the worst first.
    """

    models: tuple[ModelSource, ...]
    rounds: tuple[Round, ...]
    standings: tuple[tuple[FactStanding | None, ...], ...]
    effects: tuple[tuple[Effect | None, ...], ...]
    hurt: tuple[tuple[Hurt, ...], ...]


def persistence(matrices: Sequence[Matrix], rounds: Sequence[Round]) -> Persistence:
    """Follow requests through the runs that were asked for them.

    Args:
        matrices: of the model that the first run started from, and of the result of each run.
        rounds: what each run was asked for.
    """
    every = [_facts(matrix) for matrix in matrices]
    asked = [[fact for fact in every[0] if _is_asked(each, *fact, every[0][fact])] for each in rounds]
    others = [fact for fact in every[0] if not any(fact in each for each in asked)]
    people = {row.persona.identity_id: row.persona for row in matrices[0].rows}
    hurt = []
    for number, (before, after) in enumerate(pairwise(every)):
        known = [fact for fact in every[0] if not any(fact in each for each in asked[: number + 1])]
        hurt.append(_hurt(people, known, before, after))
    return Persistence(
        models=tuple(matrix.model for matrix in matrices),
        rounds=tuple(rounds),
        standings=tuple(tuple(_standing(facts, each) for each in every) for facts in asked),
        effects=tuple(
            tuple(_effect(facts, before, after) for facts in (*asked, others)) for before, after in pairwise(every)
        ),
        hurt=tuple(hurt),
    )


def _facts(matrix: Matrix) -> Facts:
    return {(row.persona.identity_id, cell.kind): cell for row in matrix.rows for cell in row.cells}


def _is_asked(asked: Round, identity: str, kind: str, cell: MatrixCell) -> bool:
    return are_covered(asked, identity, kind) if asked else cell.side == "forget"


def _standing(facts: Sequence[tuple[str, str]], cells: Facts) -> FactStanding | None:
    if not facts:
        return None
    found = sum(cells[fact].verdict == "leaks" for fact in facts)
    return FactStanding(len(facts), found, sum(cells[fact].bits for fact in facts) / len(facts))


def _effect(facts: Sequence[tuple[str, str]], before: Facts, after: Facts) -> Effect | None:
    if not facts:
        return None
    leaks = [(before[fact].verdict == "leaks", after[fact].verdict == "leaks") for fact in facts]
    return Effect(
        facts=len(facts),
        change=sum(after[fact].bits - before[fact].bits for fact in facts) / len(facts),
        lost=sum(was and not now for was, now in leaks),
        back=sum(now and not was for was, now in leaks),
    )


def _hurt(
    people: dict[str, Persona], facts: Sequence[tuple[str, str]], before: Facts, after: Facts
) -> tuple[Hurt, ...]:
    found = []
    for identity in dict.fromkeys(identity for identity, _ in facts):
        effect = _effect([fact for fact in facts if fact[0] == identity], before, after)
        if effect is not None and effect.change < 0:
            found.append(Hurt(people[identity], effect))
    return tuple(sorted(found, key=lambda each: each.effect.change)[:MOST_HURT])
