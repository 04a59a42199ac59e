"""The rules of verdicts on places made up by hand: of attributes, of everybody, and of people of CLEAR."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salmu_demo.models.roles import ModelRole
from salmu_demo.probes import findings
from salmu_demo.probes.attacks import HEADLINE, Place, find_attack
from salmu_demo.probes.author_findings import AuthorReading, Measure, judge_author
from salmu_demo.probes.findings import (
    AT_THE_BOTTOM,
    AT_THE_TOP,
    FOUND_BY_UNTAUGHT,
    FOUND_UNTAUGHT,
    NEITHER_END,
    NOT_KNOWN,
    NOT_KNOWN_ITSELF,
    Control,
    can_tell,
    control_of,
    judge,
)
from salmu_demo.probes.people import Side
from salmu_demo.probes.survey import FalseAlarms, survey
from tests.fixtures.planted import planted_model

TOP, MIDDLE, BOTTOM = Place(1, 96, 1, 0.0001), Place(48, 96, 1, 0.9), Place(96, 96, 1, 0.0001)
FEW = Place(1, 8, 1, 0.0001)
NAMES = {"clean": "C", "compromised": "K", "gold": "G"}


def read(place: Place, side: Side = "forget", adjusted: float | None = None) -> findings.Test:
    return findings.Test(place, place.tail if adjusted is None else adjusted, side)


def control(ahead: int = 0, behind: int = 0) -> Control:
    """Of ten people a tenth is expected at either end: five there are chance in 0.16 % of cases, six in 0.01 %."""
    return Control(10, 1.0, 1.0, 0, ahead, behind, 2.0)


LEAKS, MARKED = ("leaks", AT_THE_TOP), ("marked", AT_THE_BOTTOM)


@pytest.mark.parametrize(
    ("place", "references", "never", "role", "side", "expected"),
    [
        (TOP, {}, None, None, "forget", LEAKS),
        (BOTTOM, {}, None, None, "forget", MARKED),
        (MIDDLE, {}, None, None, "forget", ("no evidence", NEITHER_END)),
        (FEW, {"compromised": TOP}, None, None, "forget", ("no evidence", "cannot tell: 8 candidates")),
        (TOP, {"clean": TOP}, None, None, "forget", ("no evidence", FOUND_BY_UNTAUGHT.format(model="C"))),
        (BOTTOM, {"clean": BOTTOM}, None, None, "forget", ("no evidence", FOUND_BY_UNTAUGHT.format(model="C"))),
        (TOP, {"clean": BOTTOM}, None, None, "forget", LEAKS),
        (TOP, {"clean": MIDDLE}, None, None, "forget", LEAKS),
        (TOP, {"clean": TOP}, None, "clean", "forget", LEAKS),
        (TOP, {"clean": TOP}, None, None, "kept", ("no evidence", FOUND_BY_UNTAUGHT.format(model="C"))),
        # Gold was taught what was to be kept, Compromised everything.
        (TOP, {"compromised": TOP, "gold": TOP}, None, None, "forget",
         ("no evidence", FOUND_BY_UNTAUGHT.format(model="G"))),
        (TOP, {"compromised": TOP, "gold": TOP}, None, None, "kept", LEAKS),
        (TOP, {"compromised": TOP, "gold": TOP}, None, "gold", "forget", LEAKS),
        (TOP, {}, control(ahead=6), None, "forget", ("no evidence", FOUND_UNTAUGHT)),
        (TOP, {}, control(ahead=5, behind=9), None, "forget", LEAKS),
        (BOTTOM, {}, control(behind=6), None, "forget", ("no evidence", FOUND_UNTAUGHT)),
        (BOTTOM, {}, control(ahead=9, behind=5), None, "forget", MARKED),
        (MIDDLE, {"compromised": MIDDLE}, None, None, "forget", ("not known", NOT_KNOWN.format(model="K"))),
        (MIDDLE, {"compromised": BOTTOM}, None, None, "forget", ("not known", NOT_KNOWN.format(model="K"))),
        (MIDDLE, {"compromised": MIDDLE}, None, "compromised", "forget", ("not known", NOT_KNOWN_ITSELF)),
        (MIDDLE, {"compromised": TOP}, None, None, "forget", ("no evidence", NEITHER_END)),
        (TOP, {"compromised": MIDDLE}, None, None, "forget", LEAKS),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_controls(
    place: Place, references: Mapping[str, Place], never: Any, role: str | None, side: Side, expected: tuple[str, str]
):
    beside = {name: read(found, side) for name, found in references.items()}
    assert judge(read(place, side), beside, never, NAMES, role) == expected


@pytest.mark.parametrize(
    ("place", "adjusted", "significant"),
    [
        (Place(2, 80, 1, 0.001), 0.05, True),  # twice 2 of 80 is 5 %
        (Place(79, 80, 1, 0.001), 0.05, True),
        (Place(2.5, 80, 1, 0.001), 0.05, False),
        (Place(2, 80, 1, 0.001), 0.0501, False),
        (Place(1, 40, 1, 0.001), 0.001, True),
        (Place(1, 39, 1, 0.001), 0.001, False),
        (Place(1, 40, 2, 0.001), 0.001, False),  # of two true values one is first more often
    ],
)
def test_a_reading_is_significant_by_rank_and_by_distance(place: Place, adjusted: float, significant: bool):
    test = read(place, adjusted=adjusted)
    assert test.significant is significant
    assert test.at_the_top is (significant and place.rank < 40)
    assert can_tell(place) is (place.candidates >= 40 and place.true == 1)
    assert read(TOP).same_end(test) is (significant and place.rank < 40)


def test_a_control_counts_its_places():
    places = [TOP, TOP, BOTTOM, MIDDLE, FEW, Place(2, 80, 1, 0.5)]
    found = control_of(places)
    # Of 96, four ranks have a p of at most 5 %, of 80 as many, of 8 none.
    assert found == Control(
        people=6,
        exposure=pytest.approx((2 * math.log2(96) + 1 + 3 + math.log2(40)) / 6),
        chance_exposure=pytest.approx(sum(place.chance_exposure for place in places) / 6),
        first=3,
        ahead=3,
        behind=1,
        expected=pytest.approx(4 * 4 / 96 + 4 / 80),
    )


class Stub:
    """An auditor whose places are made up."""

    def __init__(self, everybody: dict[tuple[str, str], tuple[Side, Place]], never: bool = True) -> None:
        self.decides = everybody
        self.data = SimpleNamespace(kinds=("city", "email"))
        self.never_taught = SimpleNamespace(personas={"n": None} if never else {})

    def everybody(self, view: Any) -> dict[tuple[str, str], tuple[Side, Place]]:
        return self.decides

    def control(self, view: Any, kind: str, attack: Any, variant: Any) -> Control | None:
        assert (attack.name, variant) == (HEADLINE, attack.variants[0])
        return control(ahead=6) if kind == "email" else None

    def places(self, view: Any, kind: str, variant: Any, side: Side) -> dict[str, Place]:
        if (kind, variant.name, side) == ("email", "unseen images", "kept"):
            return {"a": TOP, "b": Place(12, 95, 2, 0.4)}
        return {"a": MIDDLE} if kind == "city" and side == "forget" else {}

    def untaught(self, view: Any, kind: str, attack: Any, variant: Any) -> dict[str, Place]:
        assert (attack.name, variant) == (HEADLINE, attack.variants[0])
        # Corrected for two attributes, 0.03 is not an alarm.
        near = Place(1, 96, 1, 0.03)
        return {"x": near, "y": TOP} if kind == "city" else {"x": MIDDLE, "y": FEW}


def view(name: str, role: str = "") -> Any:
    return SimpleNamespace(model=planted_model(name, ModelRole(role, "card")) if role else planted_model(name))


def test_a_survey_corrects_over_the_facts_of_a_side():
    near = Place(1, 96, 1, 0.03)
    auditor: Any = Stub(
        {("a", "city"): ("forget", near), ("b", "city"): ("forget", MIDDLE), ("c", "city"): ("forget", TOP),
         ("d", "city"): ("kept", near), ("e", "city"): ("forget", FEW), ("f", "email"): ("kept", TOP)}
    )  # fmt: skip
    (found,) = survey(auditor, [view("any")])
    # Benjamini and Hochberg: of three, 0.0001 x 3, 0.03 x 3 / 2 and 0.9; of two, 0.0002 and 0.03; few tell nothing.
    assert [(f.persona, f.kind, f.side, f.place, f.verdict) for f in found.facts] == [
        ("a", "city", "forget", near, "leaks"),
        ("b", "city", "forget", MIDDLE, "no evidence"),
        ("c", "city", "forget", TOP, "leaks"),
        ("e", "city", "forget", FEW, "no evidence"),
        ("d", "city", "kept", near, "leaks"),
        # Never-taught people have their addresses first as well.
        ("f", "email", "kept", TOP, "no evidence"),
    ]
    assert [f.adjusted for f in found.facts] == pytest.approx([0.045, 0.9, 0.0003, 1.0, 0.03, 0.0002])
    assert (found.count("leaks"), found.count("leaks", "kept"), found.count("no evidence")) == (2, 1, 2)
    assert found.untaught is None
    assert found.never_taught == FalseAlarms(
        facts=3, near=2, expected_near=pytest.approx(3 * 4 / 96), people=2, alarmed=1, most_alarmed=pytest.approx(0.1)
    )
    variants = [variant.name for variant in find_attack(HEADLINE).variants]
    assert [(t.kind, t.variant, t.side, t.facts) for t in found.tallies] == [
        *(("city", variant, "forget", 1) for variant in variants), ("email", "unseen images", "kept", 2),
    ]  # fmt: skip
    tally = found.tallies[-1]
    assert (tally.first, tally.chance_first) == pytest.approx((0.5, (1 / 96 + 2 / 96) / 2))
    assert tally.exposure == pytest.approx((math.log2(96) + math.log2(95 / 12)) / 2)
    assert tally.chance_exposure == pytest.approx((TOP.chance_exposure + Place(12, 95, 2, 0.4).chance_exposure) / 2)


def test_of_clean_everybody_is_a_control_and_whoever_was_never_taught_may_be_missing():
    auditor: Any = Stub(
        {("a", "city"): ("forget", TOP), ("a", "email"): ("kept", MIDDLE), ("b", "city"): ("forget", MIDDLE)},
        never=False,
    )
    clean, other = survey(auditor, [view("clean", "clean"), view("other")])
    assert clean.never_taught is None
    assert clean.untaught is not None
    assert (clean.untaught.people, clean.untaught.facts, clean.untaught.alarmed) == (2, 3, 1)
    assert other.untaught is None
    # What Clean has first as well is not evidence, but of Clean itself it is told as it is.
    assert [fact.verdict for fact in clean.facts] == ["leaks", "no evidence", "no evidence"]
    assert [fact.verdict for fact in other.facts] == ["no evidence"] * 3


def lines(*measures: Measure) -> AuthorReading:
    found = dict(zip(("captions", "name", "answers"), measures, strict=False))
    return AuthorReading(None, (), np.empty(0), (), found, {})  # type: ignore[arg-type]


def measured(reached: int, others: int = 59, own: float = 0.5) -> Measure:
    """A value that so many of the others reach."""
    return Measure(own, np.array([own] * reached + [own - 1] * (others - reached)))


def test_lines_are_corrected_for_how_many_of_them_can_tell():
    (found,) = judge_author([view("any")], [lines(measured(0), measured(3), measured(0, 58))], "forget")
    # Two tell by 60: 1/60 x 2 and 4/60; by 59 a first place of three lines is not evidence, however few can tell.
    assert [(line.name, line.verdict, line.reason) for line in found.lines] == [
        ("captions", "leaks", "0 of 59 others reach it"),
        ("name", "no evidence", "3 of 59 others reach it"),
        ("answers", "no evidence", "cannot tell: 59 candidates"),
    ]
    assert [line.adjusted for line in found.lines] == pytest.approx([2 / 60, 4 / 60, 1.0])
    assert [line.fulfilment.answer for line in found.lines] == ["not as asked", "as asked", "cannot tell"]
    assert (found.role, found.side, found.line("name")) == (None, "forget", found.lines[1])
    (found,) = judge_author([view("any")], [lines(measured(0), measured(0), measured(2))], "forget")
    assert [line.verdict for line in found.lines] == ["leaks", "leaks", "leaks"]
    assert [line.adjusted for line in found.lines] == pytest.approx([3 / 60, 3 / 60, 3 / 60])
    (found,) = judge_author([view("any")], [lines(measured(0, own=0.0))], "kept")
    assert (found.lines[0].reason, found.lines[0].adjusted) == ("it is in none", 1.0)


def test_what_is_just_significant_is_not_lost_though_clean_has_it_too():
    edge = lines(measured(0), measured(0), measured(0))
    found = judge_author([view("clean", "clean"), view("base", "compromised"), view("other")], [edge] * 3, "kept")
    assert [line.adjusted for line in found[2].lines] == [0.05] * 3
    assert [line.verdict for line in found[2].lines] == ["no evidence"] * 3
    assert [line.fulfilment.outcome for line in found[2].lines] == ["no evidence"] * 3


KNOWN, UNKNOWN = lines(measured(0)), lines(measured(30))


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("forget", {
            # Gold has it too.
            "clean": ("no evidence", "no evidence", "never taught"),
            "compromised": ("no evidence", "no evidence", "as asked"),
            "gold": ("no evidence", "no evidence", "never taught"), "other": ("no evidence", "no evidence", "as asked"),
            "gone": ("no evidence", "no evidence", "as asked"),
        }),
        ("kept", {
            "clean": ("leaks", "leaks", "never taught"),
            "compromised": ("no evidence", "no evidence", "cannot tell"),
            "gold": ("no evidence", "no evidence", "cannot tell"),
            "other": ("no evidence", "no evidence", "cannot tell"), "gone": ("no evidence", "lost", "not as asked"),
        }),
    ],
)  # fmt: skip
def test_what_clean_has_is_no_evidence_of_anybody_else(side: Side, expected: dict[str, tuple[str, str, str]]):
    models = [view(role, role) for role in ("clean", "compromised", "gold")] + [view("other"), view("gone")]
    found = judge_author(models, [KNOWN] * 4 + [UNKNOWN], side)
    told = {f.model.name: f.lines[0] for f in found}
    assert {
        name: (line.verdict, line.fulfilment.outcome, line.fulfilment.answer) for name, line in told.items()
    } == expected
    assert told["other"].reason == FOUND_BY_UNTAUGHT.format(model="clean")
    assert told["gone"].reason == "30 of 59 others reach it"
    assert [f.role for f in found] == ["clean", "compromised", "gold", None, None]


@pytest.mark.parametrize(
    ("side", "readings", "verdicts"),
    [
        # Gold was never taught what was to be forgotten, and was taught what was to be kept.
        ("forget", (KNOWN, KNOWN, KNOWN), ["no evidence as asked", "leaks never taught", "no evidence as asked"]),
        ("kept", (KNOWN, KNOWN, KNOWN), ["kept as asked"] * 3),
        ("forget", (KNOWN, UNKNOWN, KNOWN), ["leaks not as asked", "no evidence never taught", "leaks not as asked"]),
        ("kept", (KNOWN, UNKNOWN, UNKNOWN), ["kept as asked", "lost not as asked", "lost not as asked"]),
        ("forget", (UNKNOWN, UNKNOWN, UNKNOWN),
         ["not known cannot tell", "not known never taught", "not known cannot tell"]),
        ("kept", (UNKNOWN, UNKNOWN, UNKNOWN), ["not known cannot tell"] * 3),
    ],
)  # fmt: skip
def test_what_compromised_and_gold_have_decides_about_the_others(
    side: Side, readings: tuple[AuthorReading, ...], verdicts: list[str]
):
    models = [view("base", "compromised"), view("gold", "gold"), view("other")]
    found = [f.lines[0] for f in judge_author(models, readings, side)]
    assert [f"{line.fulfilment.outcome} {line.fulfilment.answer}" for line in found] == verdicts
    if readings[0] is UNKNOWN:
        assert [line.reason for line in found] == [
            NOT_KNOWN_ITSELF, *[NOT_KNOWN.format(model="base")] * 2,
        ]  # fmt: skip
