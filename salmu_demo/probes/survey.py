"""The headline attack on everybody: what a model leaks by kind, with a correction over all, and its false alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.line_up import alarm_rate
from salmu_demo.metrics.multiple_tests import benjamini_hochberg, holm
from salmu_demo.models.roles import CLEAN, NOTHING_TOLD, Told
from salmu_demo.models.source import ModelSource
from salmu_demo.probes.attacks import HEADLINE, Place, find_attack
from salmu_demo.probes.findings import ALPHA, Auditor, Test, Verdict, can_tell, judge, reference_numbers
from salmu_demo.probes.people import Side


@dataclass(frozen=True)
class SurveyedFact:
    """One (persona, kind), and what is said about it.

    Attributes:
        persona: id of the persona.
        kind: the attribute kind.
        side: whether its images were to be forgotten; of those who have both, only these count.
        place: where the true value stands with the kind's own images.
        adjusted: its `tail`, corrected over all facts of the side (Benjamini and Hochberg).
        verdict: by the rule of `findings`.
    """

    persona: str
    kind: str
    side: Side
    place: Place
    adjusted: float
    verdict: Verdict


@dataclass(frozen=True)
class Tally:
    """The places of one kind in one variant of the headline.

    Attributes:
        kind: the attribute kind.
        variant: name of the variant.
        side: which facts: those to be forgotten, or those to be kept.
        facts: how many were read.
        first: share with the true value first.
        chance_first: the same of a model that guesses.
        exposure: mean exposure in bits.
        chance_exposure: the same of a model that guesses.
    """

    kind: str
    variant: str
    side: Side
    facts: int
    first: float
    chance_first: float
    exposure: float
    chance_exposure: float


@dataclass(frozen=True)
class FalseAlarms:
    """How often people whom a model was not taught look like a finding.

    Attributes:
        facts: (persona, kind) pairs with enough candidates to tell.
        near: how many are near an end, by the p of the rank.
        expected_near: how many are by chance.
        people: personas.
        alarmed: personas with a significant attribute, after Holm's correction over their own.
        most_alarmed: how many are expected at most.
    """

    facts: int
    near: int
    expected_near: float
    people: int
    alarmed: int
    most_alarmed: float


@dataclass(frozen=True)
class Survey:
    """The headline attack on everybody with one model.

    Attributes:
        model: the model.
        facts: every (persona, kind).
        tallies: by kind, variant and side.
        never_taught: false alarms of never-taught people; None if the data has none.
        untaught: false alarms of everybody, if the model is Clean; None otherwise.
    """

    model: ModelSource
    facts: tuple[SurveyedFact, ...]
    tallies: tuple[Tally, ...]
    never_taught: FalseAlarms | None
    untaught: FalseAlarms | None

    def count(self, verdict: Verdict, side: Side = "forget") -> int:
        """How many facts of a side have a verdict."""
        return sum(fact.verdict == verdict and fact.side == side for fact in self.facts)


def false_alarms(people: Mapping[str, Sequence[Place]]) -> FalseAlarms:
    """Count what looks like a finding among the places of people whom a model was not taught, by persona."""
    telling = {identity: [place for place in places if can_tell(place)] for identity, places in people.items()}
    facts = [place for places in telling.values() for place in places]
    alarmed = 0
    for places in telling.values():
        adjusted = holm([place.tail for place in places])
        tests = [Test(place, p, "forget") for place, p in zip(places, adjusted, strict=True)]
        alarmed += any(test.significant for test in tests)
    return FalseAlarms(
        facts=len(facts),
        near=sum(place.p <= ALPHA for place in facts),
        expected_near=sum(alarm_rate(place.candidates, place.true, ALPHA) for place in facts),
        people=len(people),
        alarmed=alarmed,
        most_alarmed=ALPHA * len(people),
    )


def survey(auditor: Auditor, views: Sequence[FeatureView], told: Told = NOTHING_TOLD) -> list[Survey]:
    """Carry the headline out on everybody with several models."""
    numbers = reference_numbers(views, told)
    names = {role: views[number].model.name for role, number in numbers.items()}
    tests = [_tests(auditor, view) for view in views]
    found = []
    for number, view in enumerate(views):
        role = next((role for role, n in numbers.items() if n == number), None)
        facts = []
        for (identity, kind), test in tests[number].items():
            references = {r: tests[n][identity, kind] for r, n in numbers.items()}
            attack = find_attack(HEADLINE)
            control = auditor.control(view, kind, attack, attack.variants[0])
            verdict, _ = judge(test, references, control, names, role)
            facts.append(SurveyedFact(identity, kind, test.side, test.place, test.adjusted, verdict))
        untaught = false_alarms(_by_persona(tests[number])) if role == CLEAN else None
        found.append(
            Survey(view.model, tuple(facts), tuple(_tallies(auditor, view)), _never_taught(auditor, view), untaught)
        )
    return found


def _tests(auditor: Auditor, view: FeatureView) -> dict[tuple[str, str], Test]:
    """Every (persona, kind) with its place on the side that decides, corrected over the facts of that side."""
    found: dict[tuple[str, str], Test] = {}
    everybody = auditor.everybody(view)
    sides: tuple[Side, ...] = ("forget", "kept")
    for side in sides:
        places = {fact: place for fact, (decides, place) in everybody.items() if decides == side}
        telling = [fact for fact, place in places.items() if can_tell(place)]
        adjusted = dict(zip(telling, benjamini_hochberg([places[fact].tail for fact in telling]), strict=True))
        found |= {fact: Test(place, adjusted.get(fact, 1.0), side) for fact, place in places.items()}
    return found


def _by_persona(tests: Mapping[tuple[str, str], Test]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for (identity, _), test in tests.items():
        found.setdefault(identity, []).append(test.place)
    return found


def _tallies(auditor: Auditor, view: FeatureView) -> list[Tally]:
    sides: tuple[Side, ...] = ("forget", "kept")
    return [
        Tally(
            kind=kind,
            variant=variant.name,
            side=side,
            facts=len(places),
            first=sum(place.first for place in places) / len(places),
            chance_first=sum(place.true / (place.candidates - 1 + place.true) for place in places) / len(places),
            exposure=sum(place.exposure for place in places) / len(places),
            chance_exposure=sum(place.chance_exposure for place in places) / len(places),
        )
        for side in sides
        for variant in find_attack(HEADLINE).variants
        for kind in auditor.data.kinds
        if (places := list(auditor.places(view, kind, variant, side).values()))
    ]


def _never_taught(auditor: Auditor, view: FeatureView) -> FalseAlarms | None:
    if not auditor.never_taught.personas:
        return None
    attack = find_attack(HEADLINE)
    found: dict[str, list[Place]] = {}
    for kind in auditor.data.kinds:
        for identity, place in auditor.untaught(view, kind, attack, attack.variants[0]).items():
            found.setdefault(identity, []).append(place)
    return false_alarms(found)
