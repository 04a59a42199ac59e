"""The table of metrics and the table of decisions."""

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import DECISIONS, all_metrics, find_metric, official_metrics, protocol


def test_the_ten_metrics_have_the_paths_of_the_official_result_file():
    assert [f"{metric.pillar}.{metric.json_key}.{metric.value_key}" for metric in official_metrics()] == [
        "efficacy.1.1_RetFail.MRR",
        "efficacy.1.2_AssocStr.mean",
        "efficacy.1.3_ACS.acs_accuracy",
        "efficacy.1.4_IdZSC.identity_classification_accuracy",
        "efficacy.1.5_CoreAssoc.mean",
        "utility.2.1_GenKnow.ImageNet1k_Accuracy",
        "utility.2.2_InterIdSim.mean",
        "utility.2.3_IntraIdSim.mean",
        "utility.2.4_VisIdInt.mean",
        "utility.2.5_FragSim.mean",
    ]


def test_every_metric_reads_the_rows_of_the_contract():
    assert {metric.name: metric.split for metric in official_metrics()} == {
        "RetFail": "forget",
        "AssocStr": "forget",
        "ACS": "forget",
        "IdZSC": "forget_identity",
        "CoreAssoc": "forget",
        "GenKnow": "genknow",
        "InterIdSim": "holdout_identity",
        "IntraIdSim": "holdout_association",
        "VisIdInt": "retain_joint",
        "FragSim": "fragile_set",
    }


def test_efficacy_aims_at_clean_and_utility_at_compromised():
    assert {(metric.pillar, metric.reference) for metric in official_metrics()} == {
        ("efficacy", "clean"),
        ("utility", "compromised"),
    }


def test_explanations_are_one_sentence():
    for metric in official_metrics():
        assert metric.explanation.endswith(".")
        assert ". " not in metric.explanation


FURTHER = ["LeakRate", "RetFailBits", "RetFailKind", "ValExp", "ValExpUnseenImg", "ValExpUnseenTxt", "Marked"]


def test_further_measures_stand_behind_the_official_ones_and_say_so():
    assert [metric.name for metric in all_metrics()] == [metric.name for metric in official_metrics()] + FURTHER
    for name in FURTHER:
        metric = find_metric(name)
        assert not metric.official
        assert metric.explanation.endswith("Not one of the ten official metrics.")


@pytest.mark.parametrize("name", ["InterIdSim", "interidsim", "INTERIDSIM"])
def test_a_metric_is_found_in_any_case(name):
    assert find_metric(name).number == "2.2"


def test_an_unknown_metric_is_refused_with_the_valid_names():
    with pytest.raises(MetricError, match=r"'MRR'.*RetFail, AssocStr, ACS, .*FragSim"):
        find_metric("MRR")


def test_the_constants_of_the_contract():
    assert protocol.SEED == 42
    assert protocol.DISTRACTORS_PER_SOURCE == 1000
    assert (protocol.EQUAL_TEXTS_COMPETE, protocol.TIE_SHARE) == (False, 0.5)
    assert (protocol.ACS_TEST_SIZE, protocol.ACS_C, protocol.ACS_MAX_ITER) == (0.5, 1.0, 1000)
    assert protocol.ACS_PAIR_FEATURES is np.multiply
    assert protocol.IDZSC_PROMPT.format(name="Siqi Yue") == "a photo of Siqi Yue"
    assert protocol.CORE_ASSOC_TEMPLATES == ("{name} {value}", "{value} {name}")
    assert protocol.GENKNOW_SKIPPED == -1.0


def test_every_constant_has_a_decision_that_states_its_value():
    stated = {decision.constant for decision in DECISIONS}
    constants = {name: value for name, value in vars(protocol).items() if name.isupper()}
    del constants["DECISIONS"]
    assert stated == {f"{name} = {value!r}" for name, value in constants.items()}
