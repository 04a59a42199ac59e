"""The results as markup: every number against the analysis it comes from, and nothing a file holds becomes markup."""

from dataclasses import replace

import pytest

from salmu_demo.data.dataset import Persona
from salmu_demo.metrics import all_metrics
from salmu_demo.reports.report import MissingFigure, ReportFigure, Table
from salmu_demo.reports.text import interval_cell, signed, unsigned
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.questions import Label
from salmu_demo.results.records import MeasuredData
from salmu_demo.ui.jobs.outcomes import Drawing
from salmu_demo.ui.shell.view import PagePersonas
from salmu_demo.ui.tabs.benchmark.results import (
    MOST_PERSONAS,
    diagnosis_cards,
    figures_view,
    group_choices,
    groups_view,
    metric_tables,
    pair_choices,
    pair_view,
    results_title,
)
from tests.fixtures import results

HOSTILE = '<img src=x onerror="alert(1)">'
SAMPLED = MeasuredData("mini", "d" * 64, None, "A notice.", "sampled: 40 of 96 forget rows (42 %), seed 7")


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(results.evaluations())


@pytest.fixture(scope="module")
def people() -> PagePersonas:
    return PagePersonas([Persona(f"{n:08d}", {"name": f"Person {n}"}) for n in range(1, results.PERSONAS + 1)])


def everything(analysis: Analysis, people: PagePersonas) -> str:
    """All markup of an analysis."""
    return "".join(
        [
            results_title(analysis),
            diagnosis_cards(analysis),
            metric_tables(analysis),
            pair_view(analysis, 0, 1, people, lambda name: "data:,"),
            groups_view(analysis, "RetFail", 0, people),
        ]
    )


def test_every_model_has_a_card_with_its_label_in_words(analysis):
    html = diagnosis_cards(analysis)
    assert html.count("<article") == len(results.NAMES)
    assert html.count(">reference</span>") == 2
    diagnosis = analysis.models[2].diagnosis
    assert diagnosis.label is Label.INEFFECTIVE
    assert f'<span aria-hidden="true">✗</span> {diagnosis.label}' in html
    for question in diagnosis.questions:
        assert f"<b>{question.words}</b> {question.answer.capitalize()}." in html
        assert question.deciding.sentence in html
        margin = question.deciding.margin
        assert margin is None or f"{abs(margin) * 100:.1f} points {'to spare' if margin >= 0 else 'short'}" in html
    assert "not enough metrics" not in html


def test_a_missing_reference_gives_no_guess_but_says_what_is_needed():
    html = diagnosis_cards(analyse(results.evaluations(("mini-unlearned-finetune",))))
    assert "not enough metrics" in html
    assert "A diagnosis needs Clean and Compromised" in html


def test_the_table_shows_value_interval_target_and_both_distances(analysis):
    html = metric_tables(analysis)
    assert html.count('<tr role="row"><th scope="row"') == len(all_metrics())
    model = analysis.models[2]
    row = analysis.comparison.rows[0]
    cell = html.split("1.1 RetFail")[1].split("</tr>")[0].split("<td")[-1]
    assert f"<b>{unsigned(row.cells[2].value)}</b>" in cell
    assert interval_cell(model.intervals["RetFail"]) in cell
    assert f"{abs(row.distance(2)):.4f} {'above' if row.distance(2) > 0 else 'below'} target" in cell
    assert f"{model.distances['RetFail']:.2f} on the scale" in cell
    assert f'style="width:{100 * min(1.0, abs(model.distances["RetFail"])):.0f}%"' in cell
    assert f"<b>{unsigned(row.target)}</b><small>Clean</small>" in html
    assert "on target" in html
    assert "Without" not in html


def test_what_was_assumed_of_a_model_is_said_as_text():
    first, second = results.evaluations(results.NAMES[:2])
    remarked = replace(second, model=replace(second.model, remarks=(f"Assumed: {HOSTILE}",)))
    title = results_title(analyse([first, remarked]))
    assert "Assumed: &lt;img" in title
    assert "<img" not in title


def test_missing_references_and_values_are_said():
    [evaluation] = results.evaluations(("mini-unlearned-finetune",))
    skipped = replace(evaluation.results["GenKnow"], value=None)
    html = metric_tables(analyse([replace(evaluation, results=evaluation.results | {"GenKnow": skipped})]))
    assert "Without Clean and Compromised among the models" in html
    assert "<b>not measured</b>" in html
    assert " target</small>" not in html


def test_a_sampled_run_says_so_in_every_heading(people):
    html = everything(analyse(results.evaluations(data=SAMPLED)), people)
    assert (html.count("<h2>"), html.count("<h3>")) == (1, 7)
    assert (html.count(">sampled</span></h2>"), html.count(">sampled</span></h3>")) == (1, 7)
    assert "Sampled: 40 of 96 forget rows (42 %), seed 7." in html
    assert "sampled" not in everything(analyse(results.evaluations()), people)


def test_a_pair_can_be_read_both_ways(analysis, people):
    there, back = (pair_view(analysis, *pair, people, None) for pair in ((0, 2), (2, 0)))
    difference = next(d.difference for d in analysis.differences if (d.metric, d.first, d.second) == ("RetFail", 0, 2))
    assert f"<b>{signed(difference.value, 4)}</b>" in there
    assert f"<b>{signed(-difference.value, 4)}</b>" in back
    assert interval_cell(difference.interval) in there
    assert f"{unsigned(-difference.interval.high)} to {unsigned(-difference.interval.low)}" in back
    assert "mini-clean minus mini-unlearned-finetune" in there


def test_better_worse_or_no_clear_difference_is_said_in_words_and_turned_round(analysis, people):
    there, back = pair_view(analysis, 0, 2, people, None), pair_view(analysis, 2, 0, people, None)
    turned = {"better": "worse", "worse": "better", "no clear difference": "no clear difference"}
    found = {d.metric: d.standing for d in analysis.differences if (d.first, d.second) == (0, 2)}
    # Clean is the target of AssocStr, and far from that of InterIdSim; GenKnow is invented alike.
    assert [found[m] for m in ("AssocStr", "InterIdSim", "GenKnow")] == ["better", "worse", "no clear difference"]
    for metric, standing in found.items():
        for html, words in ((there, standing), (back, turned[standing])):
            row = html.split(f">{metric}<small>")[1].split("</tr>")[0]
            assert f"</span> {words}</span>" in row, metric


def test_examples_show_image_caption_persona_and_both_ranks(analysis, people):
    html = pair_view(analysis, 1, 0, people, lambda name: f"data:{name}")
    example = next(d for d in analysis.disagreements if (d.first, d.second) == (0, 1)).examples[0]
    item = html.split('class="card example">')[1]
    assert f'src="data:{example.file_name}"' in item
    assert example.text in item
    assert f'<a href="?persona={example.identity}">Person {int(example.identity)}</a>' in item
    assert item.index(f"rank {example.second:,g}") < item.index(f"rank {example.first:,g}")


def test_pairs_that_are_none_say_what_to_do(analysis, people):
    assert "Choose two different models" in pair_view(analysis, 1, 1, people, None)
    assert "Measure two or more models" in pair_view(analyse(results.evaluations(("a",))), 0, 0, people, None)
    assert [number for _, number in pair_choices(analysis)] == [0, 1, 2]


def test_results_without_rows_have_no_pairs_and_no_groups(people):
    bare = [replace(e, rows={}) for e in results.evaluations()]
    analysis = analyse(bare)
    assert "do not say which rows" in pair_view(analysis, 0, 1, people, None)
    assert group_choices(analysis) == []
    assert "Nothing to break down" in groups_view(analysis, None, 0, people)


def test_groups_show_the_mean_of_every_kind_and_persona_highest_first(analysis, people):
    html = groups_view(analysis, "RetFail", 1, people)
    kinds, personas = html.split("By persona")
    for kind, mean in analysis.models[1].by_kind["RetFail"].items():
        assert f"<b>{unsigned(mean.mean)}</b>" in kinds, kind
    means = analysis.models[1].by_persona["RetFail"]
    expected = sorted(means, key=lambda persona: -means[persona].mean)
    assert sorted(expected, key=lambda persona: personas.index(f"?persona={persona}")) == expected


def test_many_personas_are_cut_to_both_ends(people):
    [evaluation] = results.evaluations(("mini-clean",))
    [model] = analyse([evaluation]).models
    mean = model.by_persona["RetFail"]["00000001"]
    many = {f"{n:04d}": replace(mean, mean=n / 100) for n in range(50)}
    analysis = analyse([evaluation])
    crowded = replace(analysis, models=(replace(model, by_persona={"RetFail": many}),))
    html = groups_view(crowded, "RetFail", 0, people).split("By persona")[1]
    assert html.count("persona 00") == MOST_PERSONAS
    assert "persona 0049" in html
    assert "persona 0000" in html
    assert "persona 0025" not in html
    assert "The 10 highest and the 10 lowest of 50 personas" in html


def test_a_figure_comes_with_its_sentence_and_table():
    table = Table("Behind <it>", ("Model", "Value"), ((HOSTILE, "0.5"),))
    figure = ReportFigure("plane", f"Plane {HOSTILE}", f"It shows {HOSTILE}.", table, lambda: None)
    missing = MissingFigure("Another", f"Because {HOSTILE}")
    html = figures_view([figure, missing], lambda figure: Drawing(b"<?xml?><svg>...</svg>", b"pdf"), SAMPLED)
    assert "<img src=x" not in html
    assert "<svg>...</svg>" in html
    assert "<?xml" not in html
    assert 'download="plane.svg" href="data:image/svg+xml;base64,' in html
    assert 'download="plane-landscape.pdf" href="data:application/pdf;base64,cGRm"' in html
    assert html.count("It shows &lt;img") == 2
    assert "Behind &lt;it&gt;" in html
    assert "Because &lt;img" in html
    assert html.count(">sampled</span>") == 2


def test_nothing_a_result_file_holds_becomes_markup():
    data = MeasuredData(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    evaluations = results.evaluations(data=data)
    hostile = []
    for evaluation in evaluations:
        rows = {
            split: replace(
                found,
                file_names=[HOSTILE] * len(found),
                texts=[HOSTILE] * len(found),
                identities=[identity and HOSTILE + identity for identity in found.identities],
                kinds=[kind and HOSTILE for kind in found.kinds],
            )
            for split, found in evaluation.rows.items()
        }
        model = replace(evaluation.model, name=HOSTILE + evaluation.model.name, revision=HOSTILE, device=HOSTILE)
        made = replace(evaluation.made, date=HOSTILE, versions={HOSTILE: HOSTILE})
        measured = replace(evaluation.results["GenKnow"], measured_on=HOSTILE)
        found = evaluation.results | {"GenKnow": measured}
        hostile.append(replace(evaluation, model=model, made=made, rows=rows, results=found))
    html = everything(analyse(hostile), PagePersonas())
    assert "&lt;img" in html
    assert "<img src=x" not in html
    assert 'onerror="' not in html
