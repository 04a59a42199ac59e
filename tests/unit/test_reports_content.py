"""What a report says: hand-computed values in the right cells, and everything a reader must know first."""

from dataclasses import replace

import pytest

from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_REVISION
from salmu_demo.metrics import DECISIONS
from salmu_demo.reports.content import build_report, data_line
from salmu_demo.reports.report import Block, Report, ReportFigure, Table
from salmu_demo.results.analysis import analyse
from salmu_demo.results.records import MeasuredData
from tests.fixtures.results import DATA, NAMES, evaluations, valued, with_settings

CLEAN = {"RetFail": 0.1, "AssocStr": 0.3, "GenKnow": 0.6, "InterIdSim": 0.2, "IntraIdSim": 0.2}
COMPROMISED = {"RetFail": 0.5, "AssocStr": 0.8, "GenKnow": 0.8, "InterIdSim": 0.6, "IntraIdSim": 0.7}
PROVENANCE = "What was measured on what"
BETWEEN = {"RetFail": 0.2, "AssocStr": 0.2, "GenKnow": 0.76, "InterIdSim": 0.5, "IntraIdSim": 0.6}


@pytest.fixture(scope="module")
def report() -> Report:
    return build_report(analyse(evaluations()))


@pytest.fixture(scope="module")
def by_hand() -> Report:
    values = (CLEAN, COMPROMISED, BETWEEN)
    return build_report(analyse([valued(name, metrics) for name, metrics in zip(NAMES, values, strict=True)]))


def blocks(report: Report, title: str) -> tuple[Block, ...]:
    return next(section.blocks for section in report.sections if section.title == title)


def tables(report: Report, title: str) -> list[Table]:
    return [block for block in blocks(report, title) if isinstance(block, Table)]


def words(report: Report, title: str) -> str:
    return " ".join(block for block in blocks(report, title) if isinstance(block, str))


def test_it_says_how_inputs_are_computed_and_who_says_so():
    clean, *others = evaluations()
    models, settings, *_ = tables(build_report(analyse([with_settings(clean), *others])), PROVENANCE)
    assert isinstance(models, Table)
    assert isinstance(settings, Table)
    [row] = settings.rows
    assert row[1:] == ("activation", "QuickGELU", "assumed")
    assert row[0] in models.rows[0][0]


def test_it_opens_with_the_verdicts_and_one_figure(report: Report):
    verdicts, figure = report.sections[0].blocks
    assert report.head == ()
    assert [row[:2] for row in verdicts.rows] == [(NAMES[2], "ineffective forgetting")]
    assert isinstance(figure, ReportFigure)
    assert figure.name == "forgetting-utility"


def test_it_ends_with_what_was_measured_on_what(report: Report):
    assert report.sections[-1].title == PROVENANCE
    models, facts = report.sections[-1].blocks
    assert models.rows[1] == (
        "■ mini-compromised · Compromised reference",
        NAMES[1],
        f"{1:064d}",
        "–",
        "–",
        "1,000,000",
        "cpu",
    )
    known = {row[0]: row[1] for row in facts.rows}
    assert known["Data fingerprint (SHA-256)"] == "d" * 64
    assert known["Rows"] == "all"
    assert known["General knowledge measured on"] == "invented images"
    assert known["Date (UTC)"] == "2026-01-02T03:04:05+00:00"
    assert (known["Seed"], known["Versions"]) == ("42", "salmu-demo 0.0.0")
    assert str(len(DECISIONS)) in known["Protocol"]
    assert report.notices == (DATA.notice, SCORES_NOTICE)


def test_what_was_assumed_of_a_model_stands_under_the_verdicts():
    first, second = evaluations(NAMES[:2])
    assumed = replace(second, model=replace(second.model, remarks=("The second was guessed.",)))
    assert "The second was guessed." in build_report(analyse([first, assumed])).sections[0].blocks


def test_facts_that_differ_between_models_are_told_of_each():
    first, second = evaluations(NAMES[:2])
    second = replace(second, made=replace(second.made, date="2027"))
    facts = {row[0]: row[1] for row in tables(build_report(analyse([first, second])), PROVENANCE)[1].rows}
    assert facts["Date (UTC)"] == "mini-clean: 2026-01-02T03:04:05+00:00; mini-compromised: 2027"


def test_the_summary_shows_the_diagnosis_with_its_margins(by_hand: Report):
    (table,), (answers,) = tables(by_hand, "Verdicts"), tables(by_hand, "What the verdicts rest on")
    assert [row[:6] for row in table.rows] == [
        (NAMES[2], "ineffective forgetting", "no: 75.0 % (−20.0 points)", "no: 5.0 % (−3.0 points)",
         "no: 75.0 % (−5.0 points)", "not measured"),
    ]  # fmt: skip
    assert answers.rows[0] == ("forgetting", "RetFail", "75.0 %", "–", "at least 95 %", "–", "no")
    assert answers.rows[1][-1] == "not measured: RetFailBits of the model is missing"
    said = words(by_hand, "What the verdicts rest on")
    assert "75.0 % of the leak is gone (at least 95 % wanted)" in said
    assert "does not meet the published criterion" in said
    assert "AssocStr is below Clean's" in said


def test_metrics_stand_beside_target_signed_distance_and_position(by_hand: Report):
    overview, *single = tables(by_hand, "Metrics")
    assert overview.header[2:] == (
        "Target",
        f"{NAMES[0]} · Clean reference",
        f"{NAMES[1]} · Compromised reference",
        NAMES[2],
    )
    assert overview.rows[0][2:] == ("0.1000", "0.1000", "0.5000", "0.2000")
    assert [table.caption.split(":")[0] for table in single] == list(NAMES)
    assert single[2].rows[0] == ("1.1 RetFail", "0.2000", "–", "0.1000", "+0.1000", "0.2500", "0.2500")
    assert single[2].rows[2] == ("2.1 GenKnow", "0.7600", "–", "0.8000", "−0.0400", "0.8000", "0.2000")


def test_intervals_and_differences_are_those_of_the_analysis(report: Report):
    analysis = analyse(evaluations())
    found = analysis.models[0].intervals["ACS"]
    row = next(r for r in tables(report, "Metrics")[1].rows if r[0] == "1.3 ACS")
    assert row[2] == f"{found.low:.4f} to {found.high:.4f}"
    pairs = tables(report, "Differences between models")
    assert [table.caption for table in pairs] == [
        "mini-clean minus mini-compromised.",
        "mini-clean minus mini-unlearned-finetune.",
        "mini-compromised minus mini-unlearned-finetune.",
    ]
    assert next(r for r in pairs[0].rows if r[0] == "AssocStr")[3] == "better"
    assert next(r for r in pairs[0].rows if r[0] == "InterIdSim")[3] == "worse"


def test_break_downs_show_every_kind_and_the_ends_of_the_personas(report: Report):
    kinds = tables(report, "By attribute")
    assert [table.caption.split()[0] for table in kinds][:2] == ["RetFail", "AssocStr"]
    assert [row[0] for row in kinds[0].rows][:3] == ["City", "Job", "Blood type"]
    (personas,) = tables(report, "By persona")
    means = [sum(float(cell) for cell in row[2:]) for row in personas.rows]
    assert means == sorted(means, reverse=True)
    assert len(personas.rows) == 6


def test_personas_are_called_by_their_names_where_these_are_known():
    people = {f"{n:08d}": f"Person {n}" for n in range(1, 6)}
    named = build_report(analyse(evaluations()), people=people)
    (personas,) = tables(named, "By persona")
    assert {row[0] for row in personas.rows} == {*people.values(), "00000006"}
    exposed = next(figure for figure in named.figures if figure.name == "exposure")
    assert {row[0] for row in exposed.table.rows} == {*people.values(), "00000006"}
    assert "persona 0000000" not in exposed.sentence


def test_figures_come_with_sentence_and_table_or_with_a_reason(report: Report, by_hand: Report):
    figures = report.figures
    assert len(figures) == 6
    assert [figure for figure in figures if figure in blocks(report, "Figures")] == figures[1:]
    assert all(figure.sentence and figure.table.rows for figure in figures)
    assert "Caption exposure by persona and attribute is not drawn. No model has" in words(by_hand, "Figures")


def test_rule_intervals_decisions_and_citation_are_told(report: Report):
    assert tables(report, "How the diagnosis is made")[0].rows[0][2:] == ("at least 0.95", "ineffective forgetting")
    assert "95 % of 1,000 bootstrap resamples" in words(report, "How sure the numbers are")
    assert len(tables(report, "Protocol decisions")[0].rows) == len(DECISIONS)
    assert "arXiv 2603.26316" in words(report, "How to cite")
    assert words(report, "How to cite").endswith("salmu-demo 0.0.0.")


def test_a_sample_is_named_in_the_title_and_in_every_caption():
    data = MeasuredData("mini", sample="sampled: 48 of 96 forget rows (50 %), seed 1")
    sampled = build_report(analyse(evaluations(data=data)))
    assert "sampled: 48 of 96" in sampled.title
    assert "sampled: 48 of 96" in sampled.notices[0]
    every = [b for s in sampled.sections for b in s.blocks if not isinstance(b, str)]
    captions = [b.caption if isinstance(b, Table) else b.table.caption for b in every]
    assert len(captions) > 20
    assert all(caption.endswith("(sampled).") for caption in captions)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (MeasuredData("mini", notice="A miniature."), "A miniature."),
        (MeasuredData(OFFICIAL_DATA, revision=OFFICIAL_REVISION), "at the revision the published numbers were made on"),
        (MeasuredData(OFFICIAL_DATA, revision="a" * 40), "at another revision than the published numbers"),
        (MeasuredData("folder"), "folder, which is not the official benchmark data"),
    ],
)
def test_the_data_is_called_what_it_is(data: MeasuredData, line: str):
    assert line in data_line(data)


def test_published_numbers_appear_for_the_released_references_only(by_hand: Report):
    data = MeasuredData(OFFICIAL_DATA)
    values = {"AssocStr": 0.1417, "RetFail": 0.3}
    report = build_report(analyse([valued("hf-hub:cvc-mmu/clip-vit-b-16-salmu-clean", values, data)]))
    (table,) = tables(report, "Agreement with published numbers")
    assert [row[1:] for row in table.rows] == [
        ("RetFail", "0.3000", "0.0008", "+0.2992", "NO"),
        ("AssocStr", "0.1417", "0.1417", "±0.0000", "yes"),
    ]
    assert "Further off: RetFail of" in words(report, "Agreement with published numbers")
    assert "Agreement with published numbers" not in {section.title for section in by_hand.sections}


def test_more_models_than_a_page_is_wide_for_are_split_over_tables():
    names = tuple(f"model-{n}" for n in range(7))
    report = build_report(analyse([valued(name, BETWEEN) for name in names]))
    first, second, *_ = tables(report, "Metrics")
    assert first.header[3:] + second.header[3:] == names
    assert report.title.startswith("What 7 models forgot")
