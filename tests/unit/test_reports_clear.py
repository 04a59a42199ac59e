"""Reports of results on data of CLEAR: its aggregates in place of diagnoses, and no word of the other benchmark."""

from dataclasses import replace

from salmu_demo.metrics import MetricResult, find_metric
from salmu_demo.models.roles import ModelRole
from salmu_demo.reports.content import build_report
from salmu_demo.reports.report import Table
from salmu_demo.results.analysis import Analysis, analyse
from salmu_demo.results.records import MeasuredData
from salmu_demo.ui.tabs.benchmark.clear import summary
from salmu_demo.ui.tabs.benchmark.results import metric_tables
from tests.fixtures.results import evaluations

FORGET = find_metric("ForgetTables")


def analysis(data: str) -> Analysis:
    """Base, Gold and another model, each with a Forget metric."""
    roles = [ModelRole("compromised", "card"), ModelRole("gold", "card"), ModelRole()]
    return analyse([
        replace(
            made,
            model=replace(made.model, reference=f"m{number}", name=f"m{number}", role=role),
            data=MeasuredData(data, "c" * 64),
            results={FORGET.name: MetricResult(FORGET, (number + 2) / 10)},
        )
        for number, (made, role) in enumerate(zip(evaluations(), roles, strict=True))
    ])  # fmt: skip


def test_a_report_opens_with_the_aggregates_and_diagnoses_nothing():
    report = build_report(analysis("clear-mini"))
    titles = [section.title for section in report.sections]
    assert "How the diagnosis is made" not in titles
    assert "What the verdicts rest on" not in titles
    table = report.sections[0].blocks[0]
    assert isinstance(table, Table)
    assert [(row[0], row[3]) for row in table.rows] == [("m0", "0.2000"), ("m1", "0.3000"), ("m2", "0.4000")]
    assert "CLEAR-Mini is this project's own miniature" in report.notices[0]
    words = repr(report)
    assert "SALMUBench" not in words
    assert "arXiv 2410.18057" in words
    assert "How the diagnosis is made" in [section.title for section in build_report(analysis("mini")).sections]


def test_what_is_to_be_forgotten_aims_at_gold_in_the_page():
    found = analysis("clear:somewhere")
    [row] = found.comparison.rows
    assert (row.target, row.distance(2)) == (0.3, 0.4 - 0.3)
    page = str(metric_tables(found))
    assert "Wanted: the value of Gold" in page
    assert "0.1000 above target" in page
    assert "Without" not in page
    assert "0.4000" in str(summary(found)).replace("<wbr>", "")
