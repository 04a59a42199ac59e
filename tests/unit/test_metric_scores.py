"""The scores of our own metrics, from what is kept: the table in the docs, and a case whose answer is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import metric_scores
from salmu_demo.core.files import read_checked, write_checked
from salmu_demo.data.source import load_data
from salmu_demo.models.checkpoint import builtin_models

PAGE = Path(__file__).parents[2] / "docs" / "diagnosis.md"


@pytest.mark.usefixtures("shipped_assets")
def test_the_table_in_the_docs_is_that_of_the_kept_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(*_: object) -> None:
        raise AssertionError("the kept scores are of other models: run `python -m benchmarks.metric_scores`")

    monkeypatch.setattr(metric_scores, "evaluate", measured)
    models = [name for name in builtin_models("SALMUBench") if name not in metric_scores.REFERENCES]
    rows = metric_scores.table(models, load_data("mini"))
    text = PAGE.read_text("utf-8")
    assert len(rows) > 9
    assert [row for row in rows if f"| {' | '.join(row)} |" not in text] == []


def kept(folder: Path, name: str, change: metric_scores.Change, value: float, people: list[float]) -> None:
    """Write the scores of a model as `scores_of` keeps them."""
    path = folder / f"{name}-{change.title}.json"
    known = read_checked(metric_scores.KEPT / path.name)
    assert known is not None
    scores: Mapping[str, Any] = {"values": {"RetFail": value}, "people": {"RetFail": people}}
    write_checked(path, {"key": known["key"], **scores}, "The scores")


@pytest.mark.usefixtures("shipped_assets")
def test_a_metric_that_tells_people_apart_and_one_that_moves(tmp_path: Path) -> None:
    # Compromised is above Gold in 7 of 8 pairs of people; INT4 moves the unlearned model from 0.5 to 0.7 of the scale.
    of_models = {
        "mini-clean": (0.0, 0.0, [0.0]), "mini-compromised": (1.0, 2.0, [0.9, 0.4]),
        "mini-gold": (0.1, 0.1, [0.1, 0.2, 0.3, 0.5]), "mini-unlearned-pinpoint": (0.5, 1.4, [0.5]),
    }  # fmt: skip
    for name, (plain, rounded, people) in of_models.items():
        for change in (metric_scores.AS_IS, *metric_scores.CHANGES):
            kept(tmp_path, name, change, rounded if change.title == "INT4" else plain, people)
    rows = {row[0]: row[1:] for row in metric_scores.table(["mini-unlearned-pinpoint"], load_data("mini"), tmp_path)}
    assert rows["RetFail"] == ["0.875", "1.000", "0.800"]
    assert rows["ACS"] == ["-", "-", "-"]
