"""Forget requests, one run after another, in words: is it still forgotten, and who was hurt when whom was erased?"""

from collections.abc import Sequence
from typing import Final

from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.forget_requests import Round, request_words
from salmu_demo.probes.persistence import Effect, FactStanding, Persistence

STANDINGS: Final = (
    "What the audit still finds of what was asked for: attributes that leak, and mean bits beyond a guess"
)
EFFECTS: Final = "What each run did, to whom: mean change in bits, and attributes no longer (-) or again (+) found"
OTHERS: Final = "everybody else"

Lines = tuple[list[str], list[list[str]]]
"""The head and the rows of a table."""


def asked_sentences(data: BenchmarkData, found: Persistence, names: Sequence[str]) -> list[str]:
    """What each run was asked for; `names` are those of the models, in their order."""
    return [
        f"Asked for, {run} ({name}): {_words(data, asked)}."
        for run, asked, name in zip(_runs(found), found.rounds, names[1:], strict=True)
    ]


def standing_lines(found: Persistence, names: Sequence[str]) -> Lines:
    """A row for each run with what every model has of what it was asked to forget."""
    lines = zip(_runs(found), found.standings, strict=True)
    return ["asked in", *names], [[run, *map(_standing, line)] for run, line in lines]


def effect_lines(found: Persistence) -> Lines:
    """A row for each run with what it did to what each was asked to forget, and to all that nobody asked for."""
    runs = _runs(found)
    return ["erased in", *runs, OTHERS], [
        [run, *map(effect_words, line)] for run, line in zip(runs, found.effects, strict=True)
    ]


def hurt_sentences(found: Persistence) -> list[str]:
    """Who lost most in each run, of those who had not asked until then."""
    return [
        f"Hurt most in {run}, of those who had not asked: "
        f"{'; '.join(f'{p.persona.name} ({p.persona.identity_id}) {effect_words(p.effect)}' for p in people)}."
        for run, people in zip(_runs(found), found.hurt, strict=True)
        if people
    ]


def effect_words(effect: Effect | None) -> str:
    """What one run did to some facts.

    >>> effect_words(Effect(facts=16, change=-1.25, lost=3, back=0)), effect_words(None)
    ('-1.25 (-3 of 16)', '-')
    """
    if effect is None:
        return "-"
    counts = ", ".join(f"{sign}{count}" for sign, count in (("-", effect.lost), ("+", effect.back)) if count)
    return f"{effect.change:+.2f}" + (f" ({counts} of {effect.facts})" if counts else "")


def _runs(found: Persistence) -> list[str]:
    return [f"run {number}" for number in range(1, len(found.rounds) + 1)]


def _words(data: BenchmarkData, asked: Round) -> str:
    return "; ".join(request_words(data, request) for request in asked) or "the whole split forget"


def _standing(standing: FactStanding | None) -> str:
    return "-" if standing is None else f"{standing.found} of {standing.facts} ({standing.bits:+.2f})"
