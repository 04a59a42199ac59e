"""Splits for data that has none: who is forgotten, what is held back and what is kept follow from a seed.

The rule, in the proportions of the official data:

1. A pair with a persona and a kind tells a fact. Any other pair is plain and goes to `retain_synth`.
2. If no plain pair is without a persona, one persona in five (at least one) becomes `retain_synth`, without its id.
3. Of the other personas one in four (at least one) is held back whole, in `holdout_identity`, and one in four (at
   least one) is forgotten whole. Of all others, half of the images is in `forget` and half in `holdout_association`:
   sorted by their kinds, they are dealt to the two in turn, so that a fact with two images is on both sides. Pairs of
   one image stay together.

Personas, and images of the same kinds, are in the order of a SHA-256 of the seed and their id or content: it depends
neither on the order of the rows nor on a library's generator.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from salmu_demo.core.errors import DataError
from salmu_demo.data import layout


@dataclass(frozen=True)
class Pair:
    """What of a pair decides its split: its persona and kind, or None, and a digest of its image."""

    persona: str | None
    kind: str | None
    image: str


@dataclass(frozen=True)
class Drawn:
    """Splits of pairs.

    Attributes:
        splits: the split of each.
        retained: personas who became `retain_synth`, and whose ids are left out.
    """

    splits: tuple[str, ...]
    retained: frozenset[str]


def draw_splits(pairs: Sequence[Pair], seed: int) -> Drawn:
    """Draw the splits of pairs by the rule of this module; the same pairs and seed give the same splits.

    Raises:
        DataError: if there are too few personas, or images of them, for each split to have one.
    """
    people = _in_drawn_order({pair.persona for pair in pairs if pair.persona is not None and pair.kind}, seed)
    retained = [] if any(pair.persona is None for pair in pairs) else people[: max(1, len(people) // 5)]
    others = people[len(retained) :]
    least = 3 + len(retained[:1])
    if len(people) < least:
        raise DataError(
            f"Splits can be drawn for {least} or more personas with a kind, and there are {len(people)}; add a column "
            "that says the split of each row."
        )
    quarter = max(1, len(others) // 4)
    role = dict.fromkeys(others[:quarter], layout.HOLDOUT_IDENTITY) | dict.fromkeys(
        others[quarter : 2 * quarter], layout.FORGET
    )
    held_back = _held_back(pairs, set(others[2 * quarter :]), seed)
    if not held_back:
        raise DataError(
            "No persona who is partly forgotten has a second image, so holdout_association cannot be drawn; add images "
            "or a column that says the split of each row."
        )

    def split(pair: Pair) -> str:
        if pair.persona is None or pair.persona in retained or not pair.kind:
            return layout.RETAIN_SYNTH
        if (pair.persona, pair.image) in held_back:
            return layout.HOLDOUT_ASSOCIATION
        return role.get(pair.persona, layout.FORGET)

    return Drawn(tuple(map(split, pairs)), frozenset(retained))


def _held_back(pairs: Sequence[Pair], personas: set[str], seed: int) -> set[tuple[str, str]]:
    """Every second image of each of these personas, by persona and image."""
    kinds: dict[str, dict[str, set[str]]] = {}
    for pair in pairs:
        if pair.persona in personas and pair.kind:
            kinds.setdefault(pair.persona, {}).setdefault(pair.image, set()).add(pair.kind)
    return {
        (persona, image)
        for persona, images in kinds.items()
        for image in sorted(_in_drawn_order(images, seed), key=lambda each: sorted(images[each]))[1::2]
    }


def _in_drawn_order(words: Iterable[str], seed: int) -> list[str]:
    return sorted(words, key=lambda word: (hashlib.sha256(f"{seed}\0{word}".encode()).digest(), word))
