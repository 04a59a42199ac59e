"""Splits that are drawn: who is forgotten and what is held back, by the stated rule and nothing else."""

import hashlib
from collections import Counter

import pytest

from salmu_demo.core.errors import DataError
from salmu_demo.data.drawn_splits import Pair, draw_splits

PEOPLE = [f"p{number}" for number in range(9)]
FACTS = [
    Pair(person, kind, f"{person} {kind} {number}")
    for person in PEOPLE
    for kind in ("city", "job")
    for number in (0, 1)
]
PLAIN = [Pair(None, None, "wall"), Pair("p3", None, "p3 smiles")]


def in_order(seed: int) -> list[str]:
    """The personas in the order of the SHA-256 of the seed, a null character and their id."""
    return sorted(PEOPLE, key=lambda person: hashlib.sha256(f"{seed}\0{person}".encode()).hexdigest())


@pytest.mark.parametrize("seed", [0, 7])
def test_a_quarter_is_held_back_whole_a_quarter_is_forgotten_whole_and_of_the_others_half(seed: int):
    pairs = [*FACTS, *PLAIN]
    drawn = draw_splits(pairs, seed)
    assert drawn.retained == frozenset()
    assert drawn.splits[-2:] == ("retain_synth", "retain_synth")
    # Nine personas: two, two and five.
    order = in_order(seed)
    splits = dict(zip(FACTS, drawn.splits, strict=False))
    for person in PEOPLE:
        of_kind = {
            kind: Counter(split for pair, split in splits.items() if (pair.persona, pair.kind) == (person, kind))
            for kind in ("city", "job")
        }
        if person in order[:2]:
            expected = {"holdout_identity": 2}
        elif person in order[2:4]:
            expected = {"forget": 2}
        else:
            expected = {"forget": 1, "holdout_association": 1}
        assert of_kind == {"city": expected, "job": expected}


def test_the_order_of_rows_changes_nothing_and_the_seed_does():
    pairs = [*FACTS, *PLAIN]
    split = dict(zip(pairs, draw_splits(pairs, 3).splits, strict=True))
    assert dict(zip(pairs[::-1], draw_splits(pairs[::-1], 3).splits, strict=True)) == split
    assert dict(zip(pairs, draw_splits(pairs, 4).splits, strict=True)) != split


def test_pairs_of_one_image_stay_together():
    pairs = [Pair(person, kind, f"{person} {n}") for person in PEOPLE for n in range(4) for kind in ("city", "job")]
    drawn = draw_splits([*pairs, *PLAIN], 0).splits
    sides: dict[str, set[str]] = {}
    for pair, split in zip(pairs, drawn, strict=False):
        sides.setdefault(pair.image, set()).add(split)
    assert all(len(side) == 1 for side in sides.values())
    assert Counter(next(iter(side)) for side in sides.values()) == {
        "holdout_identity": 8, "forget": 8 + 10, "holdout_association": 10
    }  # fmt: skip


def test_facts_with_one_image_each_are_dealt_in_turn():
    pairs = [Pair(person, kind, f"{person} {kind}") for person in PEOPLE for kind in ("city", "job")]
    drawn = dict(zip(pairs, draw_splits([*pairs, *PLAIN], 0).splits, strict=False))
    assert Counter(drawn.values()) == {"holdout_identity": 4, "forget": 4 + 5, "holdout_association": 5}
    # The kinds are dealt in their order: what comes first is to be forgotten.
    assert {pair.kind for pair, split in drawn.items() if split == "holdout_association"} == {"job"}


def test_without_plain_pairs_every_fifth_persona_is_kept_without_an_id():
    drawn = draw_splits(FACTS, 0)
    assert drawn.retained == {in_order(0)[0]}
    kept = {pair.persona for pair, split in zip(FACTS, drawn.splits, strict=True) if split == "retain_synth"}
    assert kept == drawn.retained


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([*FACTS[:8], *PLAIN], "3 or more personas with a kind, and there are 2"),
        (FACTS[:12], "4 or more personas with a kind, and there are 3"),
        ([Pair(person, "city", person) for person in PEOPLE], "has a second image"),
    ],
    ids=["two", "three and none plain", "one image each"],
)
def test_too_little_is_refused(pairs: list[Pair], says: str):
    with pytest.raises(DataError, match=says):
        draw_splits(pairs, 0)
