"""The rule of the diagnosis: the published table, every edge, and what it refuses to guess."""

import doctest
from pathlib import Path

import pytest

from salmu_demo.results import diagnosis
from salmu_demo.results.diagnosis import (
    FORGETS,
    GENKNOW_DROP,
    HOLDOUT_KEPT,
    MIN_REFERENCE_GAP,
    RULE,
    Criterion,
    Label,
    diagnose,
    scale_position,
    scaled_distance,
)
from salmu_demo.results.published import PUBLISHED, PublishedModel

CLEAN, COMPROMISED = (next(p for p in PUBLISHED if p.role == role) for role in ("clean", "compromised"))
METHODS = [p for p in PUBLISHED if p.role is None]


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
        # Beyond a reference is no fault: more forgotten than Clean, better than Compromised.
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
    assert [c.name for c in found.criteria] == [name for name, _, _, _ in RULE]
    assert [c.value for c in found.criteria] == pytest.approx([0.8, 0.01, 0.5])
    assert [c.margin for c in found.criteria] == pytest.approx([-0.15, 0.01, -0.3])
    assert [c.passed for c in found.criteria] == [False, True, False]
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
    monkeypatch.setattr(diagnosis, "MIN_REFERENCE_GAP", 0.25)
    assert scale_position(0.375, 0.25, 0.5) == 0.5
    found = diagnose({"GenKnow": 0.125}, {}, {"GenKnow": 0.25})
    assert found.criteria[1].value == 0.5


def test_assocstr_below_clean_is_said_and_does_not_change_the_label():
    clean = {**AT_EDGE["clean"], "AssocStr": 0.3}
    for value, below in ((0.29, True), (0.3, False), (None, None)):
        found = diagnose({**GOOD, "AssocStr": value}, clean, AT_EDGE["compromised"])
        assert (found.below_clean, found.label) == (below, Label.PASS)
    found = diagnose({**GOOD, "AssocStr": 0.29}, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.below_clean is None


def test_a_pass_says_all_that_was_met():
    found = diagnose(GOOD, AT_EDGE["clean"], AT_EDGE["compromised"])
    assert found.sentence == (
        "96.0 % of the leak is gone (at least 95 % wanted). "
        "1.0 % of the general knowledge is lost (less than 2 % wanted). "
        "90.0 % of the holdout similarity is kept (at least 80 % wanted)."
    )
    assert [c.missing for c in found.criteria] == ["", "", ""]


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
    assert (failed, tried) == (0, 4)


def test_the_documentation_states_the_margins_of_the_rule():
    text = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text("utf-8")
    for wanted in (f"at least {FORGETS:.0%}", f"less than {GENKNOW_DROP:.0%}", f"at least {HOLDOUT_KEPT:.0%}"):
        assert wanted.replace("%", " %") in text
    assert f"less than {MIN_REFERENCE_GAP} apart" in text
