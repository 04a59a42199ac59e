"""Tables to take away: every line says on what data, and no cell can start a formula."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from salmu_demo.data import layout
from salmu_demo.data.dataset import Split
from salmu_demo.reports.tables import comparison_text, csv_tables
from salmu_demo.results.analysis import Analysis, analyse, grouped_metrics
from salmu_demo.results.records import MeasuredData
from tests.fixtures.results import NAMES, evaluations, valued

SAMPLE = "sampled: 48 of 96 forget rows (50 %), seed 1"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(evaluations())


@pytest.fixture
def by_hand() -> Analysis:
    data = MeasuredData("=data", notice="a miniature")
    return analyse([valued("mini-clean", {"RetFail": 0.25}, data), valued("=cmd|evil", {"RetFail": 0.5}, data)])


def lines(analysis: Analysis, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_tables(analysis)[name])))


def test_csv_lines_hold_values_gaps_and_the_data(by_hand: Analysis) -> None:
    rows = lines(by_hand, "comparison")
    assert [row["value"] for row in rows] == ["0.250000", "0.500000"]
    assert [row["gap_to_target"] for row in rows] == ["0.000000", "0.250000"]
    assert rows[0]["gap_to_compromised"] == rows[0]["interval_low"] == rows[0]["position"] == ""
    assert {row["notice"] for row in rows} == {"a miniature"}
    assert rows[1]["model"] == "'=cmd|evil"
    assert rows[1]["data"] == "'=data"


def test_every_line_of_a_model_says_what_was_assumed_of_it() -> None:
    first, second = evaluations(NAMES[:2])
    assumed = replace(second, model=replace(second.model, remarks=("One.", "Two.")))
    rows = lines(analyse([first, assumed]), "comparison")
    assert {(row["model"], row["remarks"]) for row in rows} == {(NAMES[0], ""), (NAMES[1], "One. Two.")}


def test_intervals_and_positions_stand_beside_the_values(analysis: Analysis) -> None:
    row = next(r for r in lines(analysis, "comparison") if (r["metric"], r["model"]) == ("AssocStr", NAMES[2]))
    model = analysis.models[2]
    found = model.intervals["AssocStr"]
    assert (row["interval_low"], row["interval_high"]) == (f"{found.low:.6f}", f"{found.high:.6f}")
    assert row["position"] == f"{model.positions['AssocStr']:.6f}"
    assert row["scaled_distance"] == f"{model.distances['AssocStr']:.6f}"


def test_differences_name_both_models(analysis: Analysis) -> None:
    row = lines(analysis, "differences")[0]
    first, second = (analysis.comparison.rows[0].cells[n].value for n in (0, 1))
    assert (row["metric"], row["first"], row["second"]) == ("RetFail", *NAMES[:2])
    assert float(row["difference"]) == pytest.approx(first - second, abs=1e-6)


def test_groups_have_a_line_for_each_model_metric_and_group(analysis: Analysis) -> None:
    kinds = lines(analysis, "by_kind")
    assert len(kinds) == 3 * len(grouped_metrics()) * len(layout.KINDS)
    wanted = analysis.models[1].by_kind["LeakRate"]["iban"]
    row = next(r for r in kinds if (r["metric"], r["model"], r["kind"]) == ("LeakRate", NAMES[1], "iban"))
    assert (row["rows"], row["mean"]) == (str(wanted.count), f"{wanted.mean:.6f}")
    assert len(lines(analysis, "by_persona")) == 3 * len(grouped_metrics()) * 6


def test_exposure_has_a_line_for_each_cell_with_rows(analysis: Analysis) -> None:
    rows = lines(analysis, "caption_exposure")
    assert len(rows) == 3 * 6 * len(layout.KINDS)
    assert rows[0]["caption_exposure_bits"] == f"{analysis.models[0].exposure.bits[0, 0]:.6f}"


def test_disagreements_hold_caption_and_both_ranks(analysis: Analysis) -> None:
    row, example = lines(analysis, "disagreements")[0], analysis.disagreements[0].examples[0]
    assert (row["caption"], float(row["first_rank"])) == (example.text, example.first)


def test_every_line_of_every_table_of_a_sample_says_so() -> None:
    tables = csv_tables(analyse(evaluations(data=MeasuredData("mini", sample=SAMPLE))))
    assert len(tables) == 7
    for table in tables.values():
        assert all(SAMPLE in line for line in table.splitlines()[1:])


def test_tables_without_lines_are_left_out(by_hand: Analysis) -> None:
    assert list(csv_tables(by_hand)) == ["comparison", "diagnosis"]


def test_text_shows_the_distance_to_the_target(by_hand: Analysis) -> None:
    assert "0.5000 (+0.2500)" in comparison_text(by_hand.comparison)
    assert "0.2500 clean" in comparison_text(by_hand.comparison)


def test_a_split_is_an_arrow_table_too() -> None:
    split = Split("forget", "forget", np.arange(2), ["a", "b"], ["1", None], ["x.jpg", "y.jpg"])
    table = split.to_arrow()
    assert table.column_names == [layout.TEXT, layout.IDENTITY, layout.FILE_NAME]
    assert table.to_pylist()[1] == {"text": "b", "identity_id": None, "file_name": "y.jpg"}
