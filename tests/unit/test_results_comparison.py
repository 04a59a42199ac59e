"""Values, targets and gaps of a few models, by hand."""

from dataclasses import replace

import pytest

from salmu_demo.metrics import find_metric
from salmu_demo.models.roles import ModelRole, Told
from salmu_demo.results.comparison import ComparisonCell, ComparisonRow, compare, target_role
from salmu_demo.results.records import Evaluation
from tests.fixtures.results import evaluations, valued

CLEAN = valued("mini-clean", {"AssocStr": 0.25, "GenKnow": 0.5})
COMPROMISED = valued("mini-compromised", {"AssocStr": 0.75, "GenKnow": 1.0, "FragSim": 0.5})
MINE = valued("mine", {"AssocStr": 0.125, "FragSim": 0.25})


def rows(*measured: Evaluation) -> dict[str, ComparisonRow]:
    return {row.spec.name: row for row in compare(measured).rows}


def test_each_metric_has_values_and_gaps_to_both_references():
    found = rows(MINE, CLEAN, COMPROMISED)
    assert list(found) == ["AssocStr", "GenKnow", "FragSim"]
    assert found["AssocStr"].cells == (
        ComparisonCell(0.125, -0.125, -0.625),
        ComparisonCell(0.25, 0.0, -0.5),
        ComparisonCell(0.75, 0.5, 0.0),
    )
    # What a model or a reference was not measured on has no gap.
    assert found["GenKnow"].cells == (
        ComparisonCell(None, None, None),
        ComparisonCell(0.5, 0.0, -0.5),
        ComparisonCell(1.0, 0.5, 0.0),
    )
    assert found["FragSim"].cells == (
        ComparisonCell(0.25, None, -0.25),
        ComparisonCell(None, None, None),
        ComparisonCell(0.5, None, 0.0),
    )


def test_the_target_is_cleans_of_efficacy_and_compromiseds_of_utility():
    found = rows(MINE, CLEAN, COMPROMISED)
    assert [row.target for row in found.values()] == [0.25, 1.0, 0.5]
    assert [found["AssocStr"].distance(number) for number in range(3)] == [-0.125, 0.0, 0.5]
    assert [found["GenKnow"].distance(number) for number in range(3)] == [None, -0.5, 0.0]


def test_what_is_to_be_forgotten_of_clear_aims_at_gold():
    names = ("AssocStr", "GenKnow", "ForgetTables", "ForgetFaceAcc", "RetainTables", "ModelUtility")
    assert [target_role(find_metric(name)) for name in names] == [
        "clean", "compromised", "gold", "gold", "compromised", "compromised",
    ]  # fmt: skip


def test_without_a_reference_there_is_neither_target_nor_gap():
    found = rows(MINE, COMPROMISED)
    assert (found["AssocStr"].target, found["FragSim"].target) == (None, 0.5)
    assert found["AssocStr"].cells[0] == ComparisonCell(0.125, None, -0.625)
    assert found["AssocStr"].distance(0) is None
    found = rows(MINE, CLEAN)
    assert (found["AssocStr"].target, found["FragSim"].target) == (0.25, None)


def test_models_have_the_roles_they_are_told_and_names_that_differ():
    one, other = (replace(MINE, model=replace(MINE.model, reference=f"local-dir:{run}/m", name="m")) for run in "ab")
    found = compare([one, CLEAN, other], Told("local-dir:b/m"))
    assert [model.name for model in found.models] == ["a/m", "mini-clean", "b/m"]
    assert [model.role for model in found.models] == [
        ModelRole(), ModelRole("other", "name", "clean"), ModelRole("clean", "told")
    ]  # fmt: skip
    assert found.remarks == ("mini-clean is Clean by its name, but here m is: it counts as any other model.",)
    assert found.data == MINE.data


def test_rows_are_compared_where_files_say_which_they_were():
    """One whose file does not say is believed, wherever it stands."""
    first, second = evaluations()[:2]
    silent = replace(first, model=replace(first.model, reference="s", name="s"), rows={})
    for order in ([silent, first, second], [first, silent, second], [first, second, silent]):
        assert len(compare(order).rows) == len(first.results)


@pytest.mark.parametrize("number", [0, 1])
def test_one_model_is_a_comparison(number: int):
    alone = compare([(CLEAN, MINE)[number]])
    assert [row.target for row in alone.rows] == [[0.25, None], [None, None]][number]
    assert alone.remarks == ()


def test_metrics_that_are_the_same_for_every_model_are_named():
    first, second, third = (
        valued(name, {"RetFail": value, "ACS": 0.5, "GenKnow": 0.1})
        for name, value in (("a", 0.2), ("b", 0.2), ("c", 0.3))
    )
    same = "The same number for every model, so that it tells none from another: {}."
    assert compare([first, second]).remarks == (same.format("RetFail, ACS, GenKnow"),)
    assert compare([first, second, third]).remarks == (same.format("ACS, GenKnow"),)
    lacking = replace(third, results={"RetFail": third.results["RetFail"]})
    assert compare([first, lacking]).remarks == ()
    # A model beside itself.
    assert compare([first, replace(first, model=replace(first.model, name="again"))]).remarks == ()
