"""The matrix of everybody as a report: every mark is there, and in HTML leads to the row that it rests on."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.probes.findings import Fulfilment
from salmu_demo.probes.matrix import Matrix, count_sentences
from salmu_demo.reports.everybody import MARKS, everybody_csv, everybody_report, write_everybody
from salmu_demo.reports.files import write_reports
from salmu_demo.reports.html import report_html
from salmu_demo.results.analysis import analyse
from salmu_demo.results.records import Evaluation, MeasuredData
from tests.fixtures.results import valued
from tests.unit.test_matrix import CLEAN, LEAK, MATRIX, ROWS, cell, row

DATA = MeasuredData("mini", "d" * 64)
NAMES = {"clean": "Clean", "unlearned": "<b>Ours</b>"}
UNTAUGHT = Matrix(CLEAN, "clean", (row("1", "forget", cell("city", "leaks", Fulfilment("leaks", "never taught"))),))
EVERY = [UNTAUGHT, MATRIX]


def fingerprinted(reference: str, data: MeasuredData = DATA) -> Evaluation:
    """An evaluation of the model of that name in `EVERY`, whose fingerprint is its name."""
    found = valued(reference, {"AssocStr": 0.25}, data)
    return replace(found, model=replace(found.model, fingerprint=reference))


def test_the_report_has_counts_marks_and_what_each_rests_on():
    report = everybody_report(EVERY, NAMES, DATA)
    section = next(s for s in report.sections if s.title == "<b>Ours</b>")
    sentence, marks, evidence = section.blocks
    assert sentence == " ".join(count_sentences(MATRIX, EVERY, NAMES))
    assert marks.rows[0][0] == "N4"
    city = marks.header.index("City")
    assert marks.rows[0][city] == f"{MARKS['leaks']} leaks"
    assert marks.looks[0][city] == "bad"
    assert marks.links[0][city] == "m1-4-city"
    assert len(evidence.rows) == len(evidence.anchors) == sum(len(r.cells) for r in ROWS)
    assert report.sections[-1].title == "What was measured on what"


def test_in_html_every_mark_leads_to_one_row():
    html = report_html(everybody_report(EVERY, NAMES, DATA), {})
    links = re.findall(r'<a href="#(m[^"]*)">', html)
    anchors = re.findall(r'<tr id="([^"]*)">', html)
    assert sorted(links) == sorted(anchors)
    assert len(set(anchors)) == len(anchors) == 1 + sum(len(r.cells) for r in ROWS)
    assert 'class="words look-bad"><a href="#m1-4-city">✗ leaks</a>' in html
    assert "<b>Ours" not in html
    # Folded: a browser unfolds what a link leads to.
    assert html.count("<details><summary>") == len(EVERY)


def test_many_people_are_cut_but_in_the_csv_file():
    many = replace(MATRIX, rows=tuple(row(f"{n:04d}", "forget", cell("city", *LEAK)) for n in range(130)))
    section = everybody_report([many], {"unlearned": "Ours"}, DATA).sections[0]
    assert "The first 100 of 130 personas; all are in the CSV file." in section.blocks
    lines = list(csv.DictReader(io.StringIO(everybody_csv([many], {"unlearned": "Ours"}, DATA))))
    assert len(lines) == 130
    assert {(line["model"], line["outcome"], line["rank"], line["data"]) for line in lines} == {
        ("Ours", "leaks", "1", "mini")
    }


def test_all_formats_are_written(tmp_path: Path):
    paths = write_everybody(EVERY, NAMES, DATA, tmp_path)
    assert [path.name for path in paths] == [f"everybody{ending}" for ending in (".html", ".md", ".csv", ".pdf")]
    assert paths[-1].read_bytes().startswith(b"%PDF-")
    assert "✗ leaks" in paths[1].read_text("utf-8")


@pytest.mark.usefixtures("plain_figures")
def test_an_evaluation_carries_the_marks_of_its_models_under_the_names_of_its_tables(tmp_path: Path):
    sampled = replace(DATA, sample="sampled: 4 of 9 forget rows, seed 1")
    measured = [fingerprinted(name, sampled) for name in ("clean", "unlearned")]
    measured[1] = replace(measured[1], model=replace(measured[1].model, name="Ours"))
    files = write_reports(analyse(measured), tmp_path, everybody=EVERY)
    html = files.html.read_text("utf-8")
    links, anchors = (re.findall(pattern, html) for pattern in (r'href="#(m[^"]*)"', r'<tr id="([^"]*)"'))
    assert sorted(links) == sorted(anchors)
    assert len(anchors) == 1 + sum(len(r.cells) for r in ROWS)
    text = files.markdown.read_text("utf-8")
    assert "Ours: people by attributes, the worst leak first." in text
    assert "no verdicts about each person" not in text
    # What links lead to is on the screen alone.
    assert "what each mark rests on" in html
    assert "what each mark rests on" not in text
    (table,) = (path for path in files.tables if path.name.startswith("everybody"))
    lines = list(csv.DictReader(io.StringIO(table.read_text("utf-8-sig"))))
    assert {(line["model"], line["data"]) for line in lines} == {("clean", "mini"), ("Ours", "mini")}


@pytest.mark.usefixtures("plain_figures")
def test_of_whom_nothing_is_known_an_evaluation_says_so(tmp_path: Path):
    saved_again = fingerprinted("unlearned")
    saved_again = replace(saved_again, model=replace(saved_again.model, fingerprint="another"))
    measured = [fingerprinted("clean"), saved_again, fingerprinted("elsewhere")]
    files = write_reports(analyse(measured), tmp_path, everybody=EVERY[:1])
    text = files.markdown.read_text("utf-8")
    assert "Of unlearned and elsewhere no verdicts about each person are shown" in text
    assert "clean: people by attributes, the worst leak first." in text
    nobody = write_reports(analyse(measured), tmp_path)
    assert "Of clean, unlearned and elsewhere no verdicts" in nobody.markdown.read_text("utf-8")
    assert not [path for path in nobody.tables if path.name.startswith("everybody")]
    # Data of CLEAR has no attributes to line up.
    of_clear = write_reports(analyse([fingerprinted("clean", MeasuredData("clear:there", "d" * 64))]), tmp_path)
    assert "no verdicts about each person" not in of_clear.markdown.read_text("utf-8")
