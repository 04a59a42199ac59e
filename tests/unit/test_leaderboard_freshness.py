"""Marks of local rows: what changed, what is gone, and what is never asked."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.data.source import load_data
from salmu_demo.leaderboard import freshness
from salmu_demo.leaderboard.freshness import Freshness
from salmu_demo.leaderboard.rows import Row, RowSource
from salmu_demo.models.references import find_model
from salmu_demo.models.source import LOCAL_DIR
from salmu_demo.results.kept import measuring_key
from salmu_demo.results.records import MeasuredData, MeasuredModel
from tests.fixtures.leaderboard import row


@pytest.fixture
def model(tiny_assets: Path, tmp_path: Path) -> MeasuredModel:
    """A copy of a checkpoint that a test may change."""
    shutil.copytree(tiny_assets / "models" / "mini-clean", tmp_path / "model")
    found = find_model(f"{LOCAL_DIR}{tmp_path / 'model'}")
    return MeasuredModel(found.reference, found.name, found.fingerprint)


@pytest.fixture
def data(tiny_assets: Path, tmp_path: Path) -> MeasuredData:
    """A copy of the data that a test may change."""
    shutil.copytree(tiny_assets / "salmu-mini", tmp_path / "data")
    return MeasuredData(str(tmp_path / "data"), load_data(str(tmp_path / "data")).fingerprint)


def mark(row: Row, checker: Freshness | None = None) -> str:
    [marked] = (checker or Freshness()).mark([row])
    return marked.marked


def measured(model: MeasuredModel, data: MeasuredData, **changes: object) -> Row:
    return row("m", {}, model=model, data=data, **changes)


def test_an_unchanged_model_on_unchanged_data_has_no_mark(model: MeasuredModel, data: MeasuredData):
    assert mark(measured(model, data)) == ""


def test_a_checkpoint_that_was_saved_again_is_stale(model: MeasuredModel, data: MeasuredData, tmp_path: Path):
    checker = Freshness()
    assert mark(measured(model, data), checker) == ""
    config = tmp_path / "model" / "open_clip_config.json"
    config.write_text(config.read_text().replace("{", '{"another": 1, ', 1))
    assert mark(measured(model, data), checker).startswith("stale: The model local-dir:")


def test_what_another_formula_measured_is_stale_and_what_does_not_say_is_not(model: MeasuredModel, data: MeasuredData):
    assert mark(measured(model, data, measured_by=measuring_key())) == ""
    assert mark(measured(model, data)) == ""
    by_others = measured(model, data, measured_by="another version")
    assert mark(by_others).startswith("stale: Another version of this program or its libraries measured it")
    assert mark(replace(by_others, source=RowSource.IMPORTED)) == ""


def test_changed_data_are_noticed_by_a_checker_that_hashed_them_before(
    model: MeasuredModel, data: MeasuredData, tmp_path: Path
):
    checkers = [Freshness(), Freshness(data=load_data(data.name))]
    for checker in checkers:
        assert mark(measured(model, data), checker) == ""
    with (tmp_path / "data" / "identities_metadata.json").open("a") as file:
        file.write("\n")
    for checker in checkers:
        assert mark(measured(model, data), checker).startswith("stale: The data ")


def test_what_was_hashed_is_not_hashed_again(model: MeasuredModel, data: MeasuredData, monkeypatch: pytest.MonkeyPatch):
    checker = Freshness(data=load_data(data.name))
    monkeypatch.setattr(freshness, "load_folder", None)  # Loaded data are not read again.
    assert mark(measured(model, data), checker) == ""


def test_a_model_or_data_that_are_gone_cannot_be_checked(model: MeasuredModel, data: MeasuredData, tmp_path: Path):
    shutil.rmtree(tmp_path / "data")
    assert mark(measured(model, data)).startswith("cannot be checked: The data")
    shutil.rmtree(tmp_path / "model")
    assert mark(measured(model, data)).startswith("cannot be checked: The model")


def test_what_changed_weighs_more_than_what_is_gone(model: MeasuredModel, data: MeasuredData, tmp_path: Path):
    shutil.rmtree(tmp_path / "model")
    assert mark(measured(model, replace(data, fingerprint="0" * 64))).startswith("stale: The data")


@pytest.mark.parametrize(
    "reference",
    ["", "x\0y", "local-dir:x\0y", "~nobody-of-that-name/model", "x" * 5000, "local-dir:", "weights.safetensors"],
)
def test_no_reference_raises(data: MeasuredData, reference: str):
    for name in (data.name, reference):
        hostile = measured(MeasuredModel(reference, "m", "0" * 64), MeasuredData(name, data.fingerprint))
        assert mark(hostile).startswith("cannot be checked: The model")


def test_damaged_data_cannot_be_checked(model: MeasuredModel, data: MeasuredData, tmp_path: Path):
    (tmp_path / "data" / "identities_metadata.json").write_text("{")
    assert mark(measured(model, data)).startswith("cannot be checked: The data")


def test_the_hub_is_never_asked(data: MeasuredData, monkeypatch: pytest.MonkeyPatch):
    asked: list[object] = []
    checker = Freshness(models=lambda *question: asked.append(question) or [])
    hub = measured(
        MeasuredModel("hf-hub:org/name", "name", "0" * 64, "c" * 40), MeasuredData("org/data", "1" * 64, "r")
    )
    assert mark(hub, checker) == "cannot be checked: The model hf-hub:org/name is on the Hub, which is not asked."
    assert asked == []


def test_imported_rows_are_never_looked_up(model: MeasuredModel, data: MeasuredData):
    asked: list[object] = []
    checker = Freshness(models=lambda *question: asked.append(question) or [])
    foreign = measured(replace(model, fingerprint="0" * 64), data, source=RowSource.IMPORTED)
    assert mark(foreign, checker) == ""
    assert asked == []


def test_a_file_without_fingerprints_cannot_be_checked(model: MeasuredModel, data: MeasuredData):
    unknown = measured(replace(model, fingerprint=None), data)
    assert "the file does not give its fingerprint" in mark(unknown)
