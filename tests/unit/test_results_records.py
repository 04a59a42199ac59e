"""What an evaluation says of itself: its model, how it was made, and whose rows its scores are."""

import platform
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from salmu_demo import __version__
from salmu_demo.metrics import MetricResult, Rows, find_metric
from salmu_demo.models.roles import ModelRole
from salmu_demo.models.source import ModelSource
from salmu_demo.results import records
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel, Provenance
from tests.fixtures.results import evaluation

RETFAIL, GENKNOW = find_metric("RetFail"), find_metric("GenKnow")
ROWS = Rows(["a.jpg", "b.jpg", "c.jpg"], ["p1", None, "p2"], ["job", "city", None], ["A", "B", "C"])


def measured(**changes: Any) -> Evaluation:
    """RetFail of the third and the first of three rows."""
    result = replace(evaluation("mini-clean").results["RetFail"], **changes)
    return Evaluation(MeasuredModel("m", "m"), MeasuredData("d"), {"RetFail": result}, {"forget": ROWS})


def turned() -> dict[str, Any]:
    result = evaluation("mini-clean").results["RetFail"]
    assert result.scores is not None
    assert result.rows is not None
    return {"scores": result.scores[:2], "rows": result.rows[[2, 0]]}


def test_a_measured_model_has_every_fact_of_its_source(tmp_path: Path):
    (tmp_path / "weights").write_bytes(b"w")
    source = ModelSource(
        "local-dir:runs/a", tmp_path / "weights", {"model_cfg": {"text_cfg": {}}}, architecture="ViT-B-16",
        revision="r" * 40, remarks=("One.",), card_role="clean",
    )  # fmt: skip
    assert MeasuredModel.of(source, 7, "cuda:0") == MeasuredModel(
        reference="local-dir:runs/a",
        name="a",
        fingerprint=source.fingerprint,
        revision="r" * 40,
        architecture="ViT-B-16",
        parameters=7,
        device="cuda:0",
        remarks=("One.",),
        role=ModelRole("clean", "card"),
        settings=source.settings,
    )


def test_numbers_are_dated_to_the_second_in_utc():
    made = Provenance.now("c" * 128)
    date = datetime.fromisoformat(made.date)
    assert date.utcoffset() == timedelta(0)
    assert (made.date[10], len(made.date)) == ("T", len("2026-01-02T03:04:05+00:00"))
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=1)
    assert (made.seed, made.measured_by) == (42, "c" * 128)


def test_numbers_name_the_versions_of_the_packages_that_are_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, "PACKAGES", ("numpy", "no-such-package-1f", "pillow"))
    assert Provenance.now("").versions == {
        "salmu-demo": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "pillow": version("pillow"),
    }


def test_every_score_has_the_persona_kind_and_image_of_its_row():
    made = measured(**turned())
    assert made.identities("RetFail") == ["p2", "p1"]
    assert made.kinds("RetFail") == [None, "job"]
    assert made.file_names("RetFail") == ["c.jpg", "a.jpg"]


@pytest.mark.parametrize("unknown", ["scores", "rows"])
def test_scores_of_unknown_rows_belong_to_nobody(unknown: str):
    made = measured(**{**turned(), unknown: None})
    assert (made.identities("RetFail"), made.kinds("RetFail"), made.file_names("RetFail")) == (None, None, None)


def test_scores_of_a_split_without_rows_belong_to_nobody():
    made = replace(measured(**turned()), rows={"retain": ROWS})
    assert made.identities("RetFail") is None


def test_a_metric_that_was_not_run_has_neither_value_nor_rows():
    made = measured(value=0.25)
    assert (made.value("RetFail"), made.value("GenKnow"), made.file_names("GenKnow")) == (0.25, None, None)


def test_the_zero_shot_set_is_the_first_that_a_metric_was_measured_on():
    results = {"RetFail": MetricResult(RETFAIL, 0.5), "GenKnow": MetricResult(GENKNOW, 0.5, measured_on="ten classes")}
    made = Evaluation(MeasuredModel("m", "m"), MeasuredData("d"), results)
    assert made.zero_shot == "ten classes"
    assert measured().zero_shot is None


@pytest.mark.parametrize(
    ("data", "key", "title", "mark"),
    [
        (MeasuredData("mini", "f" * 64), ("f" * 64, ""), "mini", ""),
        (MeasuredData("mini", None, sample="4 of 9"), ("mini", "4 of 9"), "mini (4 of 9)", "-sampled"),
    ],
)
def test_data_are_told_apart_by_content_or_name_and_by_sample(
    data: MeasuredData, key: tuple[str, str], title: str, mark: str
):
    assert (data.key, data.title, data.file_mark) == (key, title, mark)


def test_a_recorded_role_counts_before_that_of_the_name():
    assert MeasuredModel("mini-clean", "mini-clean").own_role == ModelRole("clean", "name")
    assert MeasuredModel("mini-clean", "m", role=ModelRole("other", "told")).own_role == ModelRole("other", "told")
    assert MeasuredModel("local-dir:runs/a", "a").slug == "local-dir_runs_a"
