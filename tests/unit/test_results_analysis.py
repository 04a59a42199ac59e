"""What several evaluations say together, computed again slowly from their rows."""

import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.core.errors import MetricError
from salmu_demo.data import layout
from salmu_demo.metrics import MetricResult, Rows, all_metrics
from salmu_demo.metrics.intervals import Difference, Interval
from salmu_demo.models.roles import Told
from salmu_demo.results.analysis import DISAGREEMENTS, Analysis, PairedDifference, analyse, grouped_metrics
from salmu_demo.results.document import read_results, results_document, write_results
from salmu_demo.results.questions import LEAKS, Label
from salmu_demo.results.records import Evaluation
from tests.fixtures.results import DATA, NAMES, PERSONAS, evaluation, evaluations

CLEAN, COMPROMISED, UNLEARNED = range(3)
METRICS = [spec.name for spec in all_metrics()]


@pytest.fixture(scope="module")
def measured() -> list[Evaluation]:
    return evaluations()


# Made anew for each test: a mutant is tried on the tests that run it, and what is shared is run by the first alone.
@pytest.fixture
def analysis(measured: list[Evaluation]) -> Analysis:
    return analyse(measured)


def scores(evaluation: Evaluation, metric: str) -> list[float]:
    found = evaluation.results[metric].scores
    assert found is not None
    return found.tolist()


def plain_draws(evaluation: Evaluation, metric: str) -> list[list[int]]:
    """Rows of 1,000 resamples, persona by persona."""
    members: dict[object, list[int]] = {}
    for row, persona in enumerate(evaluation.rows[evaluation.results[metric].spec.split].identities):
        members.setdefault(row if persona is None else persona, []).append(row)
    groups = list(members.values())
    drawn = np.random.default_rng(42).integers(0, len(groups), (1000, len(groups)))
    return [[row for group in line for row in groups[group]] for line in drawn.tolist()]


def percentiles(values: list[float]) -> tuple[float, float]:
    """At 2.5 and 97.5 of 100, between the two nearest of the sorted values."""
    ordered = sorted(values)
    ends = []
    for share in (0.025, 0.975):
        place = share * (len(ordered) - 1)
        low = math.floor(place)
        ends.append(ordered[low] + (place - low) * (ordered[low + 1] - ordered[low]))
    return ends[0], ends[1]


@pytest.mark.parametrize("metric", ["RetFail", "ACS", "GenKnow", "InterIdSim"])
def test_intervals_and_paired_differences_equal_a_plain_bootstrap(
    analysis: Analysis, measured: list[Evaluation], metric: str
):
    draws = plain_draws(measured[0], metric)
    means = []
    for one in measured:
        values = scores(one, metric)
        means.append([sum(values[row] for row in rows) / len(rows) for rows in draws])
    for number in range(3):
        found = analysis.models[number].intervals[metric]
        assert found is not None
        assert (found.low, found.high) == pytest.approx(percentiles(means[number]), rel=1e-12)
    pairs = {(d.first, d.second): d.difference for d in analysis.differences if d.metric == metric}
    assert list(pairs) == list(combinations(range(3), 2))
    for (first, second), difference in pairs.items():
        gaps = [a - b for a, b in zip(means[first], means[second], strict=True)]
        assert (difference.interval.low, difference.interval.high) == pytest.approx(percentiles(gaps), rel=1e-9)
        assert difference.value == pytest.approx(
            measured[first].results[metric].value - measured[second].results[metric].value, abs=1e-12
        )


@pytest.mark.parametrize(("metric", "target"), [("AssocStr", 0), ("GenKnow", 1)])
def test_distances_to_the_target_are_compared_on_the_same_draws(
    analysis: Analysis, measured: list[Evaluation], metric: str, target: int
):
    draws = plain_draws(measured[0], metric)
    means = [[sum(scores(one, metric)[row] for row in rows) / len(rows) for rows in draws] for one in measured]
    for found in (d for d in analysis.differences if d.metric == metric):
        off = [[abs(a - b) for a, b in zip(means[n], means[target], strict=True)] for n in (found.first, found.second)]
        gaps = [a - b for a, b in zip(*off, strict=True)]
        assert (found.farther.interval.low, found.farther.interval.high) == pytest.approx(percentiles(gaps), rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "difference", "farther", "standing"),
    [
        # Without a target lower is better in efficacy, higher in utility.
        ("RetFail", (-0.2, -0.3, -0.1), None, "better"),
        ("GenKnow", (-0.2, -0.3, -0.1), None, "worse"),
        ("RetFail", (-0.2, -0.3, 0.1), None, "no clear difference"),
        # With one, lower may be too low.
        ("RetFail", (-0.2, -0.3, -0.1), (0.2, 0.1, 0.3), "worse"),
        ("RetFail", (-0.2, -0.3, -0.1), (0.01, -0.1, 0.1), "no clear difference"),
        ("RetFail", (-0.2, -0.3, 0.1), (-0.2, -0.3, -0.1), "no clear difference"),
        ("GenKnow", (0.2, 0.1, 0.3), (-0.2, -0.3, -0.1), "better"),
    ],
)
def test_better_is_nearer_to_the_target_and_clear(
    metric: str, difference: tuple[float, float, float], farther: tuple[float, float, float] | None, standing: str
):
    value, far = (d and Difference(d[0], Interval(*d[1:])) for d in (difference, farther))
    assert PairedDifference(metric, 0, 1, value, far).standing == standing


def test_positions_and_distances_follow_from_the_three_values(analysis: Analysis, measured: list[Evaluation]):
    for spec in all_metrics():
        clean, compromised, own = (evaluation.results[spec.name].value for evaluation in measured)
        model = analysis.models[UNLEARNED]
        if abs(compromised - clean) < 0.02:
            assert (model.positions[spec.name], model.distances[spec.name]) == (None, None)
            continue
        place = (own - clean) / (compromised - clean)
        assert model.positions[spec.name] == pytest.approx(place)
        target = 0.0 if spec.pillar == "efficacy" else 1.0
        assert model.distances[spec.name] == pytest.approx(abs(place - target))
        assert analysis.models[CLEAN].positions[spec.name] == 0
        assert analysis.models[COMPROMISED].positions[spec.name] == 1
    positions = analysis.models[UNLEARNED].positions.values()
    assert None in positions
    assert len(set(positions)) > 5  # else this would compare nothing


def test_gaps_are_differences_to_the_references(analysis: Analysis, measured: list[Evaluation]):
    rows = {row.spec.name: row for row in analysis.comparison.rows}
    assert rows.keys() == measured[0].results.keys()
    for name, row in rows.items():
        values = [one.value(name) for one in measured]
        assert [cell.value for cell in row.cells] == values
        assert [cell.gap_to_clean for cell in row.cells] == [value - values[CLEAN] for value in values]
        assert [cell.gap_to_compromised for cell in row.cells] == [value - values[COMPROMISED] for value in values]


def test_only_models_that_are_no_reference_are_diagnosed(analysis: Analysis):
    labels = [model.diagnosis and model.diagnosis.label for model in analysis.models]
    assert labels == [None, None, Label.INEFFECTIVE]
    criteria = {c.measure: c.value for c in analysis.models[UNLEARNED].diagnosis.questions[0].criteria}
    assert set(criteria) == set(LEAKS)
    for metric, gone in criteria.items():
        assert gone == pytest.approx(1 - analysis.models[UNLEARNED].positions[metric])


def test_groups_equal_plain_means(analysis: Analysis, measured: list[Evaluation]):
    for number, one in enumerate(measured):
        model = analysis.models[number]
        assert set(model.by_kind) == set(model.by_persona) == set(grouped_metrics())
        for metric in grouped_metrics():
            rows = one.rows[one.results[metric].spec.split]
            for column, groups in ((rows.kinds, model.by_kind), (rows.identities, model.by_persona)):
                wanted: dict[object, list[float]] = {}
                for group, score in zip(column, scores(one, metric), strict=True):
                    wanted.setdefault(group, []).append(score)
                found = {name: (mean.count, mean.mean) for name, mean in groups[metric].items()}
                assert found == {
                    name: (len(v), pytest.approx(sum(v) / len(v), rel=1e-12)) for name, v in wanted.items()
                }


def test_exposure_follows_from_ranks_and_candidates(analysis: Analysis, measured: list[Evaluation]):
    grid = analysis.models[UNLEARNED].exposure
    assert grid is not None
    assert grid.personas == tuple(f"{number:08d}" for number in range(1, PERSONAS + 1))
    assert grid.kinds == layout.KINDS
    rows, result = measured[UNLEARNED].rows["forget"], measured[UNLEARNED].results["RetFail"]
    bits = [
        math.log2(c / r)
        for r, c, p, k in zip(result.ranks, result.candidates, rows.identities, rows.kinds, strict=True)
        if (p, k) == (grid.personas[2], grid.kinds[4])
    ]
    assert len(bits) == 2
    assert grid.bits[2, 4] == pytest.approx(sum(bits) / 2)


def test_disagreements_name_the_rows_with_the_largest_gap(analysis: Analysis, measured: list[Evaluation]):
    assert [(d.first, d.second) for d in analysis.disagreements] == list(combinations(range(3), 2))
    for found in analysis.disagreements:
        first, second = measured[found.first], measured[found.second]
        rows = first.rows["forget"]
        gaps = [abs(a - b) for a, b in zip(scores(first, "RetFail"), scores(second, "RetFail"), strict=True)]
        order = sorted(range(len(gaps)), key=lambda row: (-gaps[row], row))[:DISAGREEMENTS]
        assert [example.file_name for example in found.examples] == [rows.file_names[row] for row in order]
        example, row = found.examples[0], order[0]
        assert (example.identity, example.kind, example.text) == (
            rows.identities[row], rows.kinds[row], rows.texts[row]
        )  # fmt: skip
        ranks = [e.results["RetFail"].ranks[row] for e in (first, second)]
        assert [example.first, example.second] == ranks


def test_examples_are_the_rows_the_scores_belong_to(measured: list[Evaluation]):
    """Scores may be listed in another order than the rows of the split."""
    turned = []
    for one in measured[:2]:
        result = one.results["RetFail"]
        backwards = {name: getattr(result, name)[::-1] for name in ("scores", "rows", "ranks", "candidates")}
        turned.append(replace(one, results={**one.results, "RetFail": replace(result, **backwards)}))
    straight, other = analyse(measured[:2]).disagreements[0], analyse(turned).disagreements[0]
    assert {e.file_name: (e.first, e.second) for e in other.examples}.items() <= {
        name: (measured[0].results["RetFail"].ranks[row], measured[1].results["RetFail"].ranks[row])
        for row, name in enumerate(measured[0].rows["forget"].file_names)
    }.items()
    assert straight.examples[0].file_name == other.examples[0].file_name


def test_without_a_reference_there_is_no_scale_and_no_guess(measured: list[Evaluation]):
    alone = analyse([measured[UNLEARNED]]).models[0]
    assert set(alone.positions.values()) == set(alone.distances.values()) == {None}
    assert alone.diagnosis is not None
    assert alone.diagnosis.label is Label.UNKNOWN
    assert alone.diagnosis.sentence == "RetFail of Clean is missing."
    assert alone.intervals["RetFail"] is not None
    assert alone.exposure is not None


def test_official_files_of_others_give_values_without_intervals(measured: list[Evaluation], tmp_path: Path):
    write_results(analyse(measured), tmp_path)
    read = [read_results(tmp_path / f"evaluation_{name}.json")[0] for name in NAMES]
    analysis = analyse(read)
    model = analysis.models[UNLEARNED]
    assert set(model.intervals.values()) == {None}
    assert (model.by_kind, model.by_persona, model.exposure) == ({}, {}, None)
    assert (analysis.differences, analysis.disagreements) == ((), ())
    assert model.positions["RetFail"] == analyse(measured).models[UNLEARNED].positions["RetFail"]
    assert model.diagnosis is not None
    assert model.diagnosis.label is Label.INEFFECTIVE


def test_one_official_file_among_full_results_leaves_those_their_intervals(measured: list[Evaluation], tmp_path: Path):
    write_results(analyse(measured), tmp_path)
    (official,) = read_results(tmp_path / f"evaluation_{NAMES[CLEAN]}.json")
    analysis = analyse([official, *measured[1:]])
    assert analysis.models[0].intervals["AssocStr"] is None
    assert analysis.models[1].intervals == analyse(measured).models[1].intervals
    assert {(d.first, d.second) for d in analysis.differences} == {(1, 2)}
    assert [(d.first, d.second) for d in analysis.disagreements] == [(1, 2)]


def test_a_skipped_metric_is_no_value(measured: list[Evaluation]):
    spec = measured[0].results["GenKnow"].spec
    without = [replace(e, results={**e.results, "GenKnow": MetricResult(spec, None)}) for e in measured]
    analysis = analyse(without)
    model = analysis.models[UNLEARNED]
    assert (model.intervals["GenKnow"], model.positions["GenKnow"]) == (None, None)
    assert "GenKnow" not in {d.metric for d in analysis.differences}
    forgotten = {name: without[CLEAN].results[name] for name in LEAKS}
    forgetful = replace(without[UNLEARNED], results={**without[UNLEARNED].results, **forgotten})
    diagnosis = analyse([*without[:2], forgetful]).models[UNLEARNED].diagnosis
    assert diagnosis is not None
    assert (diagnosis.label, diagnosis.sentence) == (Label.UNKNOWN, "GenKnow of the model is missing.")


def without(evaluation: Evaluation, metric: str, **facts: object) -> Evaluation:
    """The evaluation without some facts of one metric."""
    changed = replace(evaluation.results[metric], **facts)  # type: ignore[arg-type]
    return replace(evaluation, results={**evaluation.results, metric: changed})


def test_efficacy_comes_first_among_the_metrics_that_are_broken_down():
    further = ["LeakRate", "RetFailBits", "RetFailKind", "ValExp", "ValExpUnseenImg", "ValExpUnseenTxt", "Marked"]
    assert grouped_metrics() == ["RetFail", "AssocStr", "CoreAssoc", *further, "InterIdSim", "IntraIdSim"]


def test_a_metric_of_unknown_rows_ends_no_other(measured: list[Evaluation], analysis: Analysis):
    found = analyse([without(one, "RetFail", rows=None) for one in measured])
    for model, whole in zip(found.models, analysis.models, strict=True):
        assert model.intervals == {**whole.intervals, "RetFail": None}
        assert model.by_kind == {name: groups for name, groups in whole.by_kind.items() if name != "RetFail"}
        assert model.by_persona.keys() == model.by_kind.keys()
        assert model.exposure is None
    assert found.differences == tuple(d for d in analysis.differences if d.metric != "RetFail")


def test_a_metric_of_one_persona_ends_no_other(measured: list[Evaluation]):
    facts = ("scores", "rows", "ranks", "candidates")
    one_row = {name: getattr(measured[0].results["RetFail"], name)[:1] for name in facts}
    intervals = analyse([without(measured[0], "RetFail", **one_row)]).models[0].intervals
    assert {name: found is None for name, found in intervals.items()} == {name: name == "RetFail" for name in METRICS}


def test_models_that_lack_a_metric_have_no_interval_of_it(measured: list[Evaluation], analysis: Analysis):
    """The numbers of the models of a difference count all models, also those without scores."""
    found = analyse([measured[0], without(measured[1], "AssocStr", scores=None), measured[2]])
    assert [model.intervals["AssocStr"] for model in found.models] == [
        analysis.models[0].intervals["AssocStr"], None, analysis.models[2].intervals["AssocStr"]
    ]  # fmt: skip
    assert [d for d in found.differences if d.metric == "AssocStr"] == [
        d for d in analysis.differences if (d.metric, d.first, d.second) == ("AssocStr", 0, 2)
    ]


@pytest.mark.parametrize("missing", ["scores", "rows", "ranks", "candidates", None])
def test_exposure_needs_ranks_candidates_and_known_rows(measured: list[Evaluation], missing: str | None):
    one = measured[UNLEARNED]
    if missing is None:
        one = replace(one, results={name: result for name, result in one.results.items() if name != "RetFail"})
    else:
        one = without(one, "RetFail", **{missing: None})
    model = analyse([one]).models[0]
    assert model.exposure is None
    assert ("RetFail" in model.by_kind) is (missing in ("ranks", "candidates"))


@pytest.mark.parametrize("missing", ["scores", "rows", "ranks", None])
@pytest.mark.parametrize("number", [0, 1])
def test_a_disagreement_needs_scores_ranks_and_rows_of_both(
    measured: list[Evaluation], number: int, missing: str | None
):
    pair = measured[:2]
    if missing is None:
        others = {name: result for name, result in pair[number].results.items() if name != "RetFail"}
        pair[number] = replace(pair[number], results=others)
    else:
        pair[number] = without(pair[number], "RetFail", **{missing: None})
    assert analyse(pair).disagreements == ()


def test_a_disagreement_needs_the_rows_of_the_first(measured: list[Evaluation]):
    bare = replace(measured[0], rows={split: rows for split, rows in measured[0].rows.items() if split != "forget"})
    assert analyse([bare, measured[1]]).disagreements == ()
    found = analyse([bare, *measured[1:]])
    assert [(d.first, d.second) for d in found.disagreements] == [(1, 2)]


def test_the_number_of_examples_is_that_of_a_page(analysis: Analysis):
    assert {len(found.examples) for found in analysis.disagreements} == {DISAGREEMENTS}


def test_every_remark_is_said_once(measured: list[Evaluation]):
    remarked = [replace(one, model=replace(one.model, remarks=("All.", one.model.name))) for one in measured]
    found = analyse(remarked)
    assert found.remarks == ["All.", *NAMES]
    assert found.names == list(NAMES)
    assert [role.name for role in found.roles] == ["clean", "compromised", "other"]


def test_the_evaluations_of_an_analysis_have_the_names_and_roles_of_its_comparison(measured: list[Evaluation]):
    alike = [replace(one, model=replace(one.model, reference=f"local-dir:{run}/m", name="m"))
             for one, run in zip(measured, "abc", strict=True)]  # fmt: skip
    found = analyse(alike, Told("local-dir:b/m"))
    assert tuple(model.evaluation.model for model in found.models) == found.comparison.models
    assert [model.evaluation.model.own_role.name for model in found.models] == ["other", "clean", "other"]
    assert [model.diagnosis is None for model in found.models] == [False, True, False]


def test_metrics_on_different_rows_are_not_compared(measured: list[Evaluation]):
    rows = measured[1].rows["genknow"]
    others = [f"n0{number}.JPEG" for number in range(len(rows))]
    changed = replace(
        measured[1], rows={**measured[1].rows, "genknow": Rows(others, rows.identities, rows.kinds, rows.texts)}
    )
    with pytest.raises(
        MetricError, match="GenKnow of mini-clean and of mini-compromised were measured on different rows"
    ):
        analyse([measured[0], changed])
    result = measured[1].results["ACS"]
    shorter = replace(result, scores=result.scores[1:], rows=result.rows[1:])
    with pytest.raises(MetricError, match="ACS of mini-clean and of mini-compromised"):
        analyse([measured[0], replace(measured[1], results={**measured[1].results, "ACS": shorter})])


def test_evaluations_of_different_data_or_samples_are_refused(measured: list[Evaluation]):
    for other in (replace(DATA, fingerprint="e" * 64), replace(DATA, sample="sampled: 1 of 2 forget rows, seed 0")):
        with pytest.raises(MetricError, match="different data sets or samples"):
            analyse([measured[0], evaluation(NAMES[1], other)])
    with pytest.raises(MetricError, match="There are no evaluations"):
        analyse([])


def test_the_document_of_an_analysis_is_the_same_for_the_same_evaluations(analysis: Analysis):
    assert results_document(analyse(evaluations()))["analysis"] == results_document(analysis)["analysis"]
