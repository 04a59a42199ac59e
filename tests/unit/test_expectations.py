"""The released references beside what was published about them."""

from dataclasses import replace

import pytest

from salmu_demo.hub.reference import OFFICIAL_DATA
from salmu_demo.results.analysis import analyse
from salmu_demo.results.expectations import expectations
from salmu_demo.results.published import OFFICIAL_ZERO_SHOT, THIRD_PARTY
from salmu_demo.results.records import MeasuredData
from tests.fixtures.results import valued

CLEAN = "hf-hub:cvc-mmu/clip-vit-b-16-salmu-clean@main"
COMPROMISED = "cvc-mmu/clip-vit-b-16-salmu-compromised"
DATA = MeasuredData(OFFICIAL_DATA, "f" * 64, "b" * 40)


def found(data: MeasuredData = DATA, **values: float):
    return expectations(analyse([valued(CLEAN, values, data), valued("another-model", values, data)]))


def test_only_the_released_reference_is_held_against_its_numbers():
    (expectation,) = found(AssocStr=0.142)
    assert (expectation.model, expectation.metric, expectation.published) == (CLEAN, "AssocStr", 0.141701)
    assert expectation.difference == pytest.approx(0.000299)
    assert expectation.is_met
    assert expectation.source == THIRD_PARTY


@pytest.mark.parametrize(
    ("metric", "value", "is_met"),
    [
        ("AssocStr", 0.142701, True),
        ("AssocStr", 0.142702, False),
        ("AssocStr", 0.1406, False),
        ("ACS", 0.606943, True),
        ("ACS", 0.596942, False),
        ("RetFail", 0.001815, True),
    ],
)
def test_means_may_differ_by_a_thousandth_and_acs_by_five(metric: str, value: float, is_met: bool):
    (expectation,) = found(**{metric: value})
    assert expectation.is_met is is_met


def test_compromised_has_numbers_of_its_own():
    (expectation,) = expectations(analyse([valued(COMPROMISED, {"RetFail": 0.2361}, DATA)]))
    assert expectation.published == 0.236102


def test_general_knowledge_counts_only_on_the_whole_imagenet_set():
    assert found(GenKnow=0.633) == ()
    made = valued(CLEAN, {"GenKnow": 0.634}, DATA)
    whole = replace(made.results["GenKnow"], measured_on=OFFICIAL_ZERO_SHOT)
    (expectation,) = expectations(analyse([replace(made, results={"GenKnow": whole})]))
    assert (expectation.metric, expectation.published, expectation.is_met) == ("GenKnow", 0.633, True)


@pytest.mark.parametrize(
    "data", [MeasuredData("mini"), MeasuredData(OFFICIAL_DATA, sample="sampled: 1 of 2 forget rows, seed 1")]
)
def test_other_data_and_samples_have_no_published_numbers(data: MeasuredData):
    assert found(data, AssocStr=0.1417) == ()


def test_a_revision_in_the_name_of_the_data_changes_nothing():
    assert len(found(MeasuredData(f"{OFFICIAL_DATA}@main"), AssocStr=0.1417)) == 1
