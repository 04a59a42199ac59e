"""The rule of the diagnosis: the published table, every edge, and what it refuses to guess."""

import doctest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.attacks.membership import AUC, UNSEEN
from salmu_demo.attacks.schema import HOLDOUTS, TPR, TPR_BELOW, RecoveredShare
from salmu_demo.metrics.intervals import Interval
from salmu_demo.results import diagnosis
from salmu_demo.results.diagnosis import Diagnosis, scale_position, scaled_distance
from salmu_demo.results.diagnosis import diagnose as diagnose_evidence
from salmu_demo.results.evidence import NOTHING, ClusterSums, Evidence, ForgetGroup, Values, cluster_sums
from salmu_demo.results.published import PUBLISHED, PublishedModel
from salmu_demo.results.questions import (
    FORGETS,
    GENKNOW_DROP,
    HOLDOUT_KEPT,
    MARKED,
    MEMBERSHIP,
    MIN_REFERENCE_GAP,
    PUSHED_BELOW,
    RECOVERED,
    RULE,
    Answer,
    Criterion,
    DiagnosisQuestion,
    Label,
)
from salmu_demo.results.records import RecordedAttack

CLEAN, COMPROMISED = (next(p for p in PUBLISHED if p.role == role) for role in ("clean", "compromised"))
METHODS = [p for p in PUBLISHED if p.role is None]


def diagnose(model: Values, clean: Values, compromised: Values) -> Diagnosis:
    return diagnose_evidence(Evidence(model), Evidence(clean), Evidence(compromised))


def published(name: str) -> PublishedModel:
    return next(p for p in PUBLISHED if p.name == name)


def label_of(values: dict[str, float]) -> Label:
    return diagnose(values, CLEAN.values, COMPROMISED.values).label


AT_EDGE = {"clean": {"RetFail": 0.0, "InterIdSim": 0.25, "IntraIdSim": 0.25},
           "compromised": {"RetFail": 0.5, "GenKnow": 0.5, "InterIdSim": 0.75, "IntraIdSim": 0.75}}  # fmt: skip
GOOD = {"RetFail": 0.02, "GenKnow": 0.495, "InterIdSim": 0.7, "IntraIdSim": 0.7}
"""0.96 of the leak gone, 0.01 of the knowledge lost, 0.9 of the holdouts kept."""


def at_edge(**changes: float | None) -> Label:
    return diagnose({**GOOD, **changes}, AT_EDGE["clean"], AT_EDGE["compromised"]).label


def test_the_published_table_is_complete():
    assert len(PUBLISHED) == 10
    main = {p.name: (p.values.get("RetFail"), p.values.get("GenKnow"), p.values.get("InterIdSim"),
                     p.values.get("IntraIdSim")) for p in METHODS}  # fmt: skip
    assert main == {
        "CLIPErase": (0.001, 0.634, 0.024, 0.024),
        "DELETE": (0.001, 0.632, 0.023, 0.023),
        "VLUnlearn": (0.001, 0.638, 0.210, 0.210),
        "Finetuning": (0.003, 0.638, 0.209, 0.209),
        "Neg. Gradient": (0.009, 0.630, 0.063, 0.061),
        "Shuffled Captions": (0.004, 0.548, 0.212, 0.212),
        "Direct Sim. Min.": (0.001, 0.615, -0.420, -0.425),
        "Generic Captions": (None, None, None, None),
    }
    assert {p.name: p.label for p in METHODS if p.label} == {
        "CLIPErase": Label.OVER_GENERALISED,
        "DELETE": Label.OVER_GENERALISED,
        "Shuffled Captions": Label.CATASTROPHIC,
        "Direct Sim. Min.": Label.CATASTROPHIC,
        "Generic Captions": Label.INEFFECTIVE,
    }


@pytest.mark.parametrize("row", [p for p in METHODS if p.label and p.values], ids=lambda p: p.name)
def test_a_published_row_is_labelled_as_its_authors_do(row: PublishedModel):
    assert label_of(row.values) is row.label


def test_a_published_row_without_numbers_is_not_guessed():
    row = published("Generic Captions")
    assert not row.values
    found = diagnose(row.values, CLEAN.values, COMPROMISED.values)
    assert found.label is Label.UNKNOWN
    assert found.sentence == "RetFail of the model is missing."
    assert (found.utility_efficient, found.below_clean) == (None, None)


@pytest.mark.parametrize("name", ["VLUnlearn", "Finetuning", "Neg. Gradient"])
def test_published_rows_without_a_class_lose_the_holdouts(name: str):
    """The authors gave them none. They forget and keep GenKnow, and the holdouts are far from Compromised's."""
    assert published(name).label is None
    assert label_of(published(name).values) is Label.OVER_GENERALISED


def test_the_rounding_of_the_published_numbers_decides_no_label():
    for row in METHODS:
        if not row.values:
            continue
        for step in (-0.0005, 0.0005):
            moved = {name: value + step for name, value in row.values.items()}
            assert label_of(moved) is label_of(row.values), row.name


def test_the_references_themselves_would_be_told_apart():
    assert label_of(COMPROMISED.values) is Label.INEFFECTIVE
    # Clean forgets by never having learned, and knows nothing of the holdouts.
    assert label_of(CLEAN.values) is Label.OVER_GENERALISED


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, Label.PASS),
        ({"RetFail": 0.025}, Label.PASS),  # exactly 0.95 of the leak gone
        ({"RetFail": 0.0251}, Label.INEFFECTIVE),
        ({"GenKnow": 0.4901}, Label.PASS),
        ({"GenKnow": 0.49}, Label.CATASTROPHIC),  # exactly 0.02 lost
        ({"GenKnow": 0.4899}, Label.CATASTROPHIC),
        ({"InterIdSim": 0.6501}, Label.PASS),
        ({"InterIdSim": 0.6499}, Label.OVER_GENERALISED),
        ({"IntraIdSim": 0.6499}, Label.OVER_GENERALISED),
        # The first criterion that fails decides.
        ({"RetFail": 0.3, "GenKnow": 0.1, "InterIdSim": 0.0}, Label.INEFFECTIVE),
        ({"GenKnow": 0.1, "InterIdSim": 0.0}, Label.CATASTROPHIC),
        # Beyond a reference is not a fault: more forgotten than Clean, better than Compromised.
        ({"RetFail": -0.1, "GenKnow": 0.6, "InterIdSim": 0.9}, Label.PASS),
        ({"RetFail": 0.6}, Label.INEFFECTIVE),
    ],
)
def test_each_criterion_decides_at_its_edge(changes: dict[str, float], label: Label):
    assert at_edge(**changes) is label


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"RetFail": None}, Label.UNKNOWN),
        ({"GenKnow": None}, Label.UNKNOWN),
        ({"InterIdSim": None}, Label.UNKNOWN),
        ({"IntraIdSim": None}, Label.UNKNOWN),
        # What failed before the gap still decides; what would fail after it does not.
        ({"RetFail": 0.3, "GenKnow": None}, Label.INEFFECTIVE),
        ({"GenKnow": 0.1, "InterIdSim": None}, Label.CATASTROPHIC),
        ({"GenKnow": None, "InterIdSim": 0.0}, Label.UNKNOWN),
        # One holdout that is known to be lost does not stand for the other.
        ({"InterIdSim": None, "IntraIdSim": 0.0}, Label.UNKNOWN),
    ],
)
def test_a_missing_metric_is_never_guessed(changes: dict[str, float | None], label: Label):
    assert at_edge(**changes) is label


@pytest.mark.parametrize(
    ("clean", "compromised", "sentence"),
    [
        ({"RetFail": None}, {}, "RetFail of Clean is missing."),
        ({}, {"RetFail": None}, "RetFail of Compromised is missing."),
        ({"RetFail": 0.49}, {}, "RetFail of Clean and of Compromised hardly differ."),
        ({"RetFail": 0.9}, {}, "RetFail of Compromised is below that of Clean."),
        ({}, {"GenKnow": None}, "GenKnow of Compromised is missing."),
        ({}, {"GenKnow": 0.0}, "GenKnow of Compromised is too low for any of it to be lost."),
        ({"IntraIdSim": 0.749}, {}, "IntraIdSim of Clean and of Compromised hardly differ."),
        ({"InterIdSim": 0.9}, {}, "InterIdSim of Compromised is below that of Clean."),
    ],
)
def test_references_without_a_scale_say_why(
    clean: dict[str, float | None], compromised: dict[str, float | None], sentence: str
):
    found = diagnose(GOOD, {**AT_EDGE["clean"], **clean}, {**AT_EDGE["compromised"], **compromised})
    assert found.label is Label.UNKNOWN
    assert found.sentence == sentence


def test_margins_are_shown_for_every_criterion_also_after_the_one_that_failed():
    found = diagnose({**GOOD, "RetFail": 0.1, "InterIdSim": 0.5}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert [c.name for c in found.criteria] == [q.name for q in found.questions] == [name for name, *_ in RULE]
    assert [c.value for c in found.criteria[:3]] == pytest.approx([0.8, 0.01, 0.5])
    assert [c.margin for c in found.criteria[:3]] == pytest.approx([-0.15, 0.01, -0.3])
    assert [c.passed for c in found.criteria] == [False, True, False, None, None]
    assert [q.answer for q in found.questions] == ["no", "yes", "no", "not measured", "not measured"]
    assert found.sentence == "80.0 % of the leak is gone (at least 95 % wanted)."
    assert found.criteria[1].sentence == "1.0 % of the general knowledge is lost (less than 2 % wanted)."


def test_a_threshold_that_must_be_reached_may_be_met_and_one_to_stay_below_may_not():
    reached = Criterion("any", 0.5, 0.5, True, "of it is gone")
    below = Criterion("any", 0.5, 0.5, False, "of it is lost")
    assert (reached.passed, reached.margin) == (True, 0)
    assert (below.passed, below.margin) == (False, 0)


@pytest.mark.parametrize(
    ("changes", "efficient"),
    [
        ({"RetFail": 0.0049, "GenKnow": 0.49501}, True),
        ({"RetFail": 0.0051, "GenKnow": 0.49501}, False),
        ({"RetFail": 0.0049, "GenKnow": 0.49499}, False),
        ({"RetFail": 0.0049, "GenKnow": None}, None),
        ({"RetFail": None}, None),
    ],
)
def test_utility_efficient_deletion_is_more_than_99_percent_for_less_than_1(
    changes: dict[str, float | None], efficient: bool | None
):
    found = diagnose({**GOOD, **changes}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.utility_efficient is efficient


@pytest.mark.parametrize(
    ("left", "known", "efficient"),
    [(0.125, 0.375, False), (0.0625, 0.4375, True), (0.125, 0.4375, False), (0.0625, 0.375, False)],
)
def test_utility_efficient_deletion_is_beyond_both_of_its_edges(
    monkeypatch: pytest.MonkeyPatch, left: float, known: float, efficient: bool
):
    # Edges that binary numbers hold, so that a value can lie on them: three quarters gone, a quarter lost.
    monkeypatch.setattr(diagnosis, "EFFICIENT_REDUCTION", 0.75)
    monkeypatch.setattr(diagnosis, "EFFICIENT_DROP", 0.25)
    found = diagnose({"RetFail": left, "GenKnow": known}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.utility_efficient is efficient


def test_references_just_far_enough_apart_span_a_scale(monkeypatch: pytest.MonkeyPatch):
    assert scale_position(0.375, 0.25, 0.5, least=0.25) == 0.5
    assert scale_position(0.375, 0.25, 0.49, least=0.25) is None
    monkeypatch.setattr(diagnosis, "MIN_REFERENCE_GAP", 0.25)
    found = diagnose({"GenKnow": 0.125}, {}, {"GenKnow": 0.25})
    assert found.criteria[1].value == 0.5


def test_assocstr_below_clean_is_said_and_far_below_it_is_conspicuous():
    clean, compromised = {**AT_EDGE["clean"], "AssocStr": 0.25}, {**AT_EDGE["compromised"], "AssocStr": 0.5}
    for value, below, label in (
        (0.24, True, Label.PASS),  # a twenty-fifth of the way below
        (0.25, False, Label.PASS),
        (0.235, True, Label.CONSPICUOUS),
        (None, None, Label.PASS),
    ):
        found = diagnose({**GOOD, "AssocStr": value}, clean, compromised)
        assert (found.below_clean, found.label) == (below, label)
    found = diagnose({**GOOD, "AssocStr": 0.29}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.below_clean is None


def test_a_pass_says_all_that_was_met():
    found = diagnose(GOOD, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.sentence == (
        "96.0 % of the leak is gone (at least 95 % wanted). "
        "1.0 % of the general knowledge is lost (less than 2 % wanted). "
        "90.0 % of the holdout similarity is kept (at least 80 % wanted)."
    )
    assert [c.missing for c in found.criteria[:3]] == ["", "", ""]
    assert "gone or hidden (no attack was run)" in found.proviso
    assert "RetFailBits of the model is missing; " in found.proviso


def test_of_two_missing_holdouts_the_first_is_named():
    found = diagnose({**GOOD, "InterIdSim": None, "IntraIdSim": None}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.sentence == "InterIdSim of the model is missing."
    found = diagnose({**GOOD, "IntraIdSim": None}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert (found.sentence, found.criteria[2].value) == ("IntraIdSim of the model is missing.", None)


def test_the_scale_runs_from_clean_to_compromised_whichever_is_higher():
    assert scale_position(0.3, 0.2, 0.6) == pytest.approx(0.25)
    assert scale_position(0.5, 0.6, 0.2) == pytest.approx(0.25)
    assert scale_position(0.1, 0.2, 0.6) == pytest.approx(-0.25)
    assert scale_position(0.3, 0.2, 0.219) is None
    assert scale_position(None, 0.2, 0.6) is None
    assert scaled_distance(0.3, 0.6, 0.2, 0.6) == pytest.approx(0.75)
    assert scaled_distance(0.1, 0.2, 0.2, 0.6) == pytest.approx(0.25)
    assert scaled_distance(0.1, None, 0.2, 0.6) is None
    assert scaled_distance(None, 0.6, 0.2, 0.6) is None
    assert scaled_distance(0.3, 0.6, None, 0.6) is None
    assert scaled_distance(0.3, 0.6, 0.2, None) is None


def test_the_table_in_the_documentation_is_what_the_rule_says():
    failed, tried = doctest.testfile(str(Path(__file__).parents[2] / "docs" / "diagnosis.md"), module_relative=False)
    assert (failed, tried) == (0, 5)


def test_the_documentation_states_the_margins_of_the_rule():
    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text("utf-8")
    shares = [f"less than {share:.0%}" for share in (GENKNOW_DROP, RECOVERED, PUSHED_BELOW, MARKED, MEMBERSHIP)]
    for wanted in (f"at least {FORGETS:.0%}", f"at least {HOLDOUT_KEPT:.0%}", *shares):
        assert wanted.replace("%", " %") in text
    assert f"less than {MIN_REFERENCE_GAP} apart" in text


# People: a and b have nothing kept, c and d have pairs on both sides; each has one forget row.
PEOPLE = ("a", "b", "c", "d")
CLASSES = tuple(f"class {number}" for number in range(10))


SIDES = (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH)


def clusters(*values: float, names: tuple[str, ...] = PEOPLE) -> ClusterSums:
    return ClusterSums(names, np.array(values), np.ones(len(values)))


def evidence(attacks: tuple[RecordedAttack, ...] = (), alone: str = "ab", **scores: tuple[float, ...]) -> Evidence:
    """What four people contribute to metrics; ten classes to GenKnow."""
    found = {name: clusters(*values, names=CLASSES if name == "GenKnow" else PEOPLE) for name, values in scores.items()}
    values = {name: part.mean for name, part in found.items()}
    return Evidence(values, found, frozenset(alone), {}, attacks)


LOW, HIGH = (0.0,) * 4, (0.5,) * 4
KNOWS = (0.5,) * 10
REFERENCES = {
    "clean": evidence(RetFail=LOW, InterIdSim=LOW, IntraIdSim=LOW, GenKnow=KNOWS, ValExp=LOW, AssocStr=LOW),
    "compromised": evidence(RetFail=HIGH, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS, ValExp=HIGH, AssocStr=HIGH),
    # Retrained without the forget rows it still knows c and d, from the pairs that are kept.
    "gold": evidence(
        RetFail=(0.0, 0.0, 0.25, 0.25), InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS, ValExp=(0.0, 0.0, 0.45, 0.45),
        AssocStr=(0.0, 0.0, 0.25, 0.25),
    ),
}  # fmt: skip


def against(model: Evidence, gold: bool = True) -> Diagnosis:
    return diagnose_evidence(
        model, REFERENCES["clean"], REFERENCES["compromised"], REFERENCES["gold"] if gold else NOTHING
    )


def test_gold_itself_passes_though_it_knows_people_with_pairs_on_both_sides():
    found = against(REFERENCES["gold"])
    assert found.label is Label.PASS
    values = {c.measure: c.value for c in found.questions[0].criteria if c.value is not None}
    assert values == {
        f"RetFail, {ForgetGroup.NOTHING_KEPT}": 1.0,
        f"RetFail, {ForgetGroup.BOTH}": 1.0,
        f"ValExp, {ForgetGroup.NOTHING_KEPT}": 1,
    }
    # What Gold knows of the values is too near to Compromised for 95 % of the rest to be told.
    assert f"ValExp of {ForgetGroup.BOTH} of Gold and of Compromised hardly differ" in found.questions[0].missing
    # By the whole of RetFail, held against Clean, it would not: a quarter of the leak is left.
    assert diagnose(
        REFERENCES["gold"].values, REFERENCES["clean"].values, REFERENCES["compromised"].values
    ).label is Label.INEFFECTIVE  # fmt: skip


def test_people_with_pairs_on_both_sides_are_held_against_gold_and_not_against_clean():
    half = evidence(RetFail=(0.0, 0.0, 0.375, 0.375), InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS)
    found = against(half)
    assert found.label is Label.INEFFECTIVE
    assert found.sentence == (
        f"50.0 % of the leak is gone for {ForgetGroup.BOTH} "
        "(interval 50.0 to 50.0 %, at least 95 % wanted, Gold 100.0 %)."
    )
    assert against(half, gold=False).label is Label.PASS
    assert f"RetFail of {ForgetGroup.BOTH} of Gold is missing" in against(half, gold=False).proviso


def test_the_worst_of_the_measures_decides_whether_the_leak_is_gone():
    model = evidence(RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS, ValExp=(0.25, 0.25, 0.0, 0.0))
    found = against(model)
    assert (found.label, found.criteria[0].measure) == (Label.INEFFECTIVE, f"ValExp, {ForgetGroup.NOTHING_KEPT}")
    assert found.criteria[0].value == 0.5


def test_a_threshold_inside_the_interval_is_undecided():
    # a has lost all, b has kept a tenth: 95 % on average, and 90 to 100 % in resamples of two people.
    model = evidence(RetFail=(0.0, 0.05, 0.0, 0.0), InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS)
    found = against(model)
    decides = found.criteria[0]
    assert (decides.value, decides.interval) == (pytest.approx(0.95), Interval(pytest.approx(0.9), pytest.approx(1.0)))
    assert (decides.answer, decides.passed, found.label) == (Answer.UNDECIDED, None, Label.UNDECIDED)
    assert found.sentence.endswith(": undecided.")
    # A clear no after it gives its label all the same, and what is missing still stops the rule.
    lost = evidence(RetFail=(0.0, 0.05, 0.0, 0.0), InterIdSim=LOW, IntraIdSim=HIGH, GenKnow=KNOWS)
    assert against(lost).label is Label.OVER_GENERALISED
    unknown = evidence(RetFail=(0.0, 0.05, 0.0, 0.0), InterIdSim=HIGH, GenKnow=KNOWS)
    assert against(unknown).label is Label.UNKNOWN


def test_an_interval_of_a_loss_is_over_classes_of_both_models_drawn_together():
    # Nine classes as before and one lost: every resample loses its share of the drawn classes.
    model = evidence(RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=(*KNOWS[:9], 0.4))
    found = against(model).criteria[1]
    assert found.value == pytest.approx(0.02)
    draws = np.random.default_rng(42).integers(0, 10, (1000, 10))
    lost = (draws == 9).sum(axis=1) * 0.1 / 5
    low, high = np.quantile(lost, [0.025, 0.975])
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))
    assert found.answer is Answer.UNDECIDED


@pytest.mark.parametrize(
    ("inside", "answer"),
    [((0.95, 0.99), "yes"), ((0.94, 0.99), "undecided"), ((0.94, 0.95), "undecided"), ((0.9, 0.949), "no")],
)
def test_the_ends_of_an_interval_that_must_reach_a_threshold(inside: tuple[float, float], answer: str):
    assert Criterion("any", 0.95, 0.95, True, "of it is gone", interval=Interval(*inside)).answer == answer


@pytest.mark.parametrize(
    ("inside", "answer"),
    [((0.0, 0.09), "yes"), ((0.0, 0.1), "undecided"), ((0.1, 0.2), "no"), ((0.05, 0.2), "undecided")],
)
def test_the_ends_of_an_interval_that_must_stay_below(inside: tuple[float, float], answer: str):
    assert Criterion("any", 0.05, 0.1, False, "of it is back", interval=Interval(*inside)).answer == answer


def attack(value: float | None, low: float = 0.0, high: float = 0.0, **facts: str) -> RecordedAttack:
    recovered = None if value is None else RecoveredShare(value=value, low=low, high=high)
    known = {"model": "m", "attack": "linear-map", "gallery": "mixed", "measure": "MRR", **facts}
    reason = None if recovered else "Clean scores as Compromised."
    return RecordedAttack(counts=known["attack"] != "tower-swap", recovered=recovered, reason=reason, **known)


@pytest.mark.parametrize(
    ("attacks", "label", "value"),
    [
        ((), Label.PASS, None),
        ((attack(0.05, 0.0, 0.09),), Label.PASS, 0.05),
        ((attack(0.05, 0.0, 0.09), attack(0.6, 0.5, 0.7, attack="own-head")), Label.HIDDEN, 0.6),
        ((attack(0.12, 0.05, 0.2),), Label.UNDECIDED, 0.12),
        # What is reported only, and what cannot tell, decides nothing.
        ((attack(0.9, 0.8, 1.0, attack="tower-swap"),), Label.PASS, None),
        ((attack(None), attack(0.01, 0.0, 0.02, measure="bits")), Label.PASS, 0.01),
    ],
)
def test_what_an_attack_brings_back_was_hidden(attacks: tuple[RecordedAttack, ...], label: Label, value: float | None):
    model = evidence(attacks, RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS)
    found = against(model)
    assert (found.label, found.criteria[3].value) == (label, value)


def test_an_attack_that_cannot_tell_says_why():
    reason = "Cannot tell here: Compromised leaks no more than Clean."
    again = replace(attack(None, attack="own-head"), reason=reason)
    model = evidence((attack(None), again), RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS)
    question = against(model).questions[3]
    assert question.answer is Answer.NOT_MEASURED
    assert question.missing == (
        "linear-map (mixed, MRR) cannot tell here: Clean scores as Compromised",
        "own-head (mixed, MRR) cannot tell here: Compromised leaks no more than Clean",
    )


def test_what_gold_brings_back_stands_beside_the_same_attack_alone():
    again = attack(0.02, 0.01, 0.03, measure="bits")
    model = evidence((attack(0.05, 0.0, 0.09), again, attack(0.06, 0.0, 0.09, attack="own-head")), RetFail=LOW)
    gold = evidence((attack(0.03, variant="other"), attack(None, measure="bits"), attack(0.04)), RetFail=LOW)
    criteria = diagnose_evidence(model, gold=gold).questions[3].criteria
    assert [(c.measure, c.value, c.interval, c.gold, c.words, c.threshold, c.required) for c in criteria] == [
        (where, value, Interval(low, high), beside, f"of the leak comes back by {where}", RECOVERED, False)
        for where, value, low, high, beside in (
            ("linear-map (mixed, MRR)", 0.05, 0.0, 0.09, 0.04),
            ("linear-map (mixed, bits)", 0.02, 0.01, 0.03, None),
            ("own-head (mixed, MRR)", 0.06, 0.0, 0.09, None),
        )
    ]
    # A file may know a share and not its interval.
    without = RecordedAttack(
        "m", "own-head", "mixed", "MRR", True, recovered=RecoveredShare(value=0.05, low=None, high=None)
    )
    (criterion,) = diagnose_evidence(Evidence({}, attacks=(without,))).questions[3].criteria
    assert (criterion.value, criterion.interval) == (0.05, None)
    (criterion,) = diagnose_evidence(Evidence({}, attacks=(replace(without, recovered=None),))).questions[3].criteria
    assert criterion.missing == "own-head (mixed, MRR) cannot tell here: no share"
    (criterion,) = diagnose_evidence(Evidence({})).questions[3].criteria
    assert (criterion.measure, criterion.missing, criterion.value) == ("attacks", "no attack was run", None)
    assert not criterion.at_least


def test_what_is_conspicuous_is_told_beside_gold_by_what_else_is_kept():
    members = [
        RecordedAttack("m", "membership", gallery, measure, counts=False, value=value, low=low, high=high)
        for gallery, measure, value, low, high in (
            (UNSEEN, AUC, 0.9, 0.8, 1.0), (UNSEEN, TPR, 0.02, 0.01, 0.04), (UNSEEN, TPR_BELOW, 0.025, None, None),
            (HOLDOUTS, TPR, 0.0, 0.0, 0.01), (HOLDOUTS, TPR_BELOW, 0.8, 0.7, 0.9), (HOLDOUTS, TPR, None, None, None),
        )
    ]  # fmt: skip
    model = evidence(tuple(members), AssocStr=(0.0, 0.1, 0.5, 0.4), Marked=(0.04, 0.02, 0.1, 0.0))
    gold = replace(REFERENCES["gold"], attacks=(replace(members[1], value=0.01),))
    marked = evidence(Marked=(0.0, 0.02, 0.0, 0.06))
    gold = replace(gold, clusters={**gold.clusters, **marked.clusters}, values={**gold.values, **marked.values})
    criteria = diagnose_evidence(model, REFERENCES["clean"], REFERENCES["compromised"], gold).questions[4].criteria
    assert [(c.measure, c.words, c.threshold, c.at_least) for c in criteria] == [
        *((f"AssocStr, {side}", f"of the association is left for {side}", -0.05, True) for side in SIDES),
        *((f"Marked, {side}", f"more of the values than by chance are in the last tenth for {side}", 0.05, False)
          for side in SIDES),
        *((f"membership ({gallery}, {measure})", f"of the forget pairs are told from {gallery} at 1 % false {end}",
           0.03, False)
          for gallery, measure, end in ((UNSEEN, TPR, "positives"), (UNSEEN, TPR_BELOW, "positives, from below"),
                                        (HOLDOUTS, TPR, "positives"))),
    ]  # fmt: skip
    # Of those with pairs on both sides it is a share of what Compromised has beyond Gold.
    assert [c.value for c in criteria] == pytest.approx([0.1, 0.8, 0.03, 0.05, 0.02, 0.025, 0.0])
    assert [c.gold for c in criteria] == [*map(pytest.approx, (0.0, 0.0, 0.01, 0.03, 0.01)), None, None]
    ends = [c.interval and (c.interval.low, c.interval.high) for c in criteria]
    assert ends == [
        pytest.approx((0.0, 0.2)), pytest.approx((0.6, 1.0)), pytest.approx((0.02, 0.04)), pytest.approx((0.0, 0.1)),
        (0.01, 0.04), None, (0.0, 0.01),
    ]  # fmt: skip


def test_of_general_knowledge_lost_gold_has_a_share_too():
    model, gold = evidence(GenKnow=(0.4,) * 10), evidence(GenKnow=(0.45,) * 10)
    lost = diagnose_evidence(model, REFERENCES["clean"], REFERENCES["compromised"], gold).criteria[1]
    assert (lost.value, lost.gold) == pytest.approx((0.2, 0.1))
    assert (lost.measure, lost.words, lost.threshold) == ("GenKnow", "of the general knowledge is lost", GENKNOW_DROP)
    unknown = diagnose_evidence(Evidence({}), NOTHING, REFERENCES["compromised"]).criteria[1]
    assert unknown.missing == "GenKnow of the model is missing"
    assert diagnose_evidence(model).criteria[1].missing == "GenKnow of Compromised is missing"


def test_why_a_metric_was_skipped_is_said():
    skipped = Evidence({}, reasons={"RetFail": "nobody was asked", "Marked": "no value is known"})
    found = diagnose_evidence(skipped, REFERENCES["clean"], REFERENCES["compromised"])
    assert found.questions[0].criteria[0].missing == "RetFail of the model is missing (nobody was asked)"
    assert found.questions[0].criteria[1].missing == "RetFailBits of the model is missing"
    assert "Marked of the model is missing (no value is known)" in found.questions[4].missing


@pytest.mark.parametrize(
    ("marked", "rate", "label"),
    [
        ((0.0, 0.0, 0.0, 0.0), (0.01, 0.0, 0.02), Label.PASS),
        # On one side only: a mean over all people would hide half of it.
        ((0.0, 0.0, 0.06, 0.06), (0.01, 0.0, 0.02), Label.CONSPICUOUS),
        ((0.2, 0.2, 0.0, 0.0), (0.01, 0.0, 0.02), Label.CONSPICUOUS),
        ((0.0, 0.2, 0.0, 0.0), (0.01, 0.0, 0.02), Label.UNDECIDED),
        ((0.0, 0.0, 0.0, 0.0), (0.05, 0.03, 0.08), Label.CONSPICUOUS),
        ((0.0, 0.0, 0.0, 0.0), (0.05, 0.02, 0.08), Label.UNDECIDED),
        # Files of earlier versions have no interval: the value decides.
        ((0.0, 0.0, 0.0, 0.0), (0.03, None, None), Label.CONSPICUOUS),
        ((0.0, 0.0, 0.0, 0.0), (0.02, None, None), Label.PASS),
    ],
)
def test_marks_and_members_are_conspicuous(
    marked: tuple[float, ...], rate: tuple[float, float | None, float | None], label: Label
):
    value, low, high = rate
    test = RecordedAttack("m", "membership", UNSEEN, TPR, counts=False, value=value, low=low, high=high)
    model = evidence((test,), RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS, Marked=marked)
    assert against(model).label is label


def test_a_model_that_never_saw_forgotten_pairs_is_not_conspicuous_for_matching_kept_ones_better():
    # Gold's rate, from below, among pairs of the same people of which it was taught the others.
    test = RecordedAttack("m", "membership", HOLDOUTS, TPR_BELOW, counts=False, value=0.78, low=0.73, high=0.82)
    measured = {"RetFail": LOW, "InterIdSim": HIGH, "IntraIdSim": HIGH, "GenKnow": KNOWS}
    found = against(evidence((test,), **measured))
    assert (found.label, found.questions[4].answer) == (Label.PASS, Answer.NOT_MEASURED)
    leaks = replace(test, measure=TPR)
    assert against(evidence((leaks,), **measured)).label is Label.CONSPICUOUS


def test_hidden_is_said_before_conspicuous():
    model = evidence(
        (attack(0.6, 0.5, 0.7),), RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS, Marked=HIGH
    )
    found = against(model)
    assert (found.label, found.questions[4].answer) == (Label.HIDDEN, Answer.NO)


def test_where_all_people_are_of_one_side_they_are_not_told_apart():
    model = evidence(RetFail=LOW, alone="abcd")
    assert model.sides("RetFail") == (ForgetGroup.ALL,)
    assert evidence(RetFail=LOW).sides("RetFail") == (ForgetGroup.NOTHING_KEPT, ForgetGroup.BOTH)
    assert Evidence({"RetFail": 0.5}).sides("RetFail") == (ForgetGroup.ALL,)


def test_models_measured_on_other_people_have_no_common_interval():
    model = evidence(RetFail=LOW, InterIdSim=HIGH, IntraIdSim=HIGH, GenKnow=KNOWS)
    others = ClusterSums(("a", "b", "c", "x"), np.zeros(4), np.ones(4))
    clean = replace(REFERENCES["clean"], clusters={**REFERENCES["clean"].clusters, "InterIdSim": others})
    found = diagnose_evidence(model, clean, REFERENCES["compromised"])
    assert {c.measure: c.interval is None for c in found.questions[2].criteria} == {
        "InterIdSim": True,
        "IntraIdSim": False,
    }


def test_a_row_of_nobody_is_a_cluster_of_its_own():
    found = cluster_sums(np.array([1.0, 0.5, 0.25, 2.0]), ["a", None, "a", None])
    assert (found.names, found.sums.tolist(), found.sizes.tolist()) == (
        ("a", "row 1", "row 3"),
        [1.25, 0.5, 2],
        [2, 1, 1],
    )


def test_references_whose_distance_may_be_chance_span_no_scale():
    # 0.5 apart on average, because of one person in four.
    model = evidence(ValExp=LOW)
    compromised = evidence(ValExp=(0.0, 2.0, 0.0, 0.0), alone="")
    clean = evidence(ValExp=LOW, alone="")
    found = diagnose_evidence(replace(model, nothing_kept=frozenset()), clean, compromised)
    assert "ValExp of Clean and of Compromised hardly differ" in found.questions[0].missing
    # By a quarter of a bit on average, from 0.5, and not at all in a third of the resamples.
    clean, compromised = evidence(ValExp=HIGH, alone=""), evidence(ValExp=(0.5, 1.5, 0.5, 0.5), alone="")
    found = diagnose_evidence(replace(model, nothing_kept=frozenset()), clean, compromised)
    assert "ValExp of Clean and of Compromised hardly differ" in found.questions[0].missing


def test_of_the_criteria_a_clear_no_decides_before_an_undecided_one_with_less_margin():
    no = Criterion("any", 0.9, 0.95, True, "a", interval=Interval(0.9, 0.9))
    open_ = Criterion("any", 0.85, 0.95, True, "b", interval=Interval(0.7, 0.99))
    lacking = Criterion("any", None, 0.95, True, "c", "c is missing")
    assert DiagnosisQuestion("any", "?", Label.INEFFECTIVE, (lacking, open_, no)).deciding is no
    required = replace(lacking, required=True)
    assert DiagnosisQuestion("any", "?", Label.INEFFECTIVE, (required, open_, no)).answer is Answer.NOT_MEASURED
