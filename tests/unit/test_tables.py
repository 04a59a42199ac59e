"""Tables to take away: every line says on what data, and no cell can start a formula."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from salmu_demo.data import layout
from salmu_demo.data.dataset import Split
from salmu_demo.metrics import METRICS
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.tables import comparison_csv, comparison_text
from salmu_demo.results.comparison import Cell, Comparison, ComparisonRow


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    weights = tmp_path / "weights"
    weights.write_bytes(b"x")
    models = tuple(ModelSource(name, weights, {}) for name in ("mini-clean", "=cmd|evil"))
    cells = (Cell(0.25, 0.0, None), Cell(0.5, 0.25, None))
    return Comparison(models, (ComparisonRow(METRICS[0], 0.25, cells),), "=data", "a miniature")


def test_csv_lines_hold_values_gaps_and_the_data(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    assert [row["value"] for row in rows] == ["0.250000", "0.500000"]
    assert [row["gap_to_target"] for row in rows] == ["0.000000", "0.250000"]
    assert rows[0]["gap_to_compromised"] == ""
    assert {row["notice"] for row in rows} == {"a miniature"}
    assert rows[1]["model"] == "'=cmd|evil"
    assert rows[1]["data"] == "'=data"


def test_text_shows_the_distance_to_the_target(comparison: Comparison) -> None:
    assert "0.5000 (+0.2500)" in comparison_text(comparison)
    assert "0.2500 clean" in comparison_text(comparison)


def test_a_split_is_an_arrow_table_too() -> None:
    split = Split("forget", "forget", np.arange(2), ["a", "b"], ["1", None], ["x.jpg", "y.jpg"])
    table = split.to_arrow()
    assert table.column_names == [layout.TEXT, layout.IDENTITY, layout.FILE_NAME]
    assert table.to_pylist()[1] == {"text": "b", "identity_id": None, "file_name": "y.jpg"}
