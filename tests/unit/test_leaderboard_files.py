"""Result files of others: what is hostile is refused in one sentence, what is good is kept once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.core.errors import ResultError, StorageError
from salmu_demo.leaderboard.board import read_board
from salmu_demo.leaderboard.files import (
    MAX_MODELS,
    given_results,
    import_result,
    imported_results,
    job_results,
    safe_name,
)
from salmu_demo.leaderboard.freshness import OLDER, Freshness
from salmu_demo.leaderboard.groups import group_rows
from salmu_demo.leaderboard.ranking import ranked
from salmu_demo.leaderboard.rows import RowSource, file_rows
from salmu_demo.metrics import official_metrics
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import RESULTS_FILE, write_results
from salmu_demo.results.official import official_result, write_official
from tests.fixtures.results import NAMES, evaluation, evaluations


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_results(analyse(evaluations()), folder)
    return folder


@pytest.fixture
def official() -> dict[str, Any]:
    return official_result(evaluation("mini-clean"))


def write(path: Path, document: Any) -> Path:
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def test_rows_of_both_shapes_hold_the_values_of_the_evaluation(written: Path):
    rows = file_rows(written / RESULTS_FILE, RowSource.LOCAL)
    assert [row.name for row in rows] == list(NAMES)
    assert [row.role for row in rows] == ["clean", "compromised", None]
    for row, wanted in zip(rows, evaluations(), strict=True):
        assert row.values == {name: wanted.value(name) for name in wanted.results}
        assert row.zero_shot == wanted.zero_shot
        [single] = file_rows(written / f"evaluation_{row.name}.json", RowSource.IMPORTED)
        official = {metric.name for metric in official_metrics()}
        assert single.values == {name: value for name, value in row.values.items() if name in official}
        assert (single.data, single.date, single.zero_shot) == (row.data, row.date, row.zero_shot)
        assert single.measured_by == row.measured_by == wanted.made.measured_by != ""
        assert single.id != row.id


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(tmp_path: Path, official: dict[str, Any]):
    path = write(tmp_path / "a.json", official)
    first = file_rows(path, RowSource.LOCAL)
    assert file_rows(path, RowSource.LOCAL)[0] is first[0]
    official["efficacy"]["1.3_ACS"]["acs_accuracy"] = 0.125
    write(path, official)
    assert file_rows(path, RowSource.LOCAL)[0].values["ACS"] == 0.125


def test_an_import_is_a_copy_named_by_its_content_and_kept_once(tmp_path: Path, written: Path):
    path, folder = written / f"evaluation_{NAMES[0]}.json", tmp_path / "imports"
    copy = import_result(path, folder)
    assert copy.read_bytes() == path.read_bytes()
    assert copy.relative_to(folder).parts[1:] == (path.name,)
    renamed = tmp_path / "other-name.json"
    renamed.write_bytes(path.read_bytes())
    assert import_result(renamed, folder) == copy
    assert imported_results(folder) == [copy]


def test_a_file_of_another_program_keeps_its_name_and_is_a_group_of_its_own(tmp_path: Path):
    for name in ("one", "two"):
        content = {"efficacy": {"1.2_AssocStr": {"mean": 0.25 if name == "one" else 0.5}}}
        import_result(write(tmp_path / f"evaluation_{name}.json", content), tmp_path / "imports")
    board = read_board([], imported_results(tmp_path / "imports"), Freshness())
    unknown = [group for group in board.groups if not group.identified]
    assert sorted(row.name for group in unknown for row in group.rows) == ["one", "two"]
    assert [len(group.rows) for group in unknown] == [1, 1]


@pytest.mark.parametrize(
    "name",
    [
        "evaluation_<img src=x onerror=alert(1)>.json",
        "evaluation_..json",
        "-rf.json",
        "孫 美玲" * 15 + ".json",
        ".json",
    ],
)
def test_names_of_files_stay_inside_the_folder(tmp_path: Path, official: dict[str, Any], name: str):
    copy = import_result(write(tmp_path / name, official), tmp_path / "imports")
    assert copy.resolve().parent.parent == (tmp_path / "imports").resolve()
    assert safe_name(copy.stem) == copy.stem
    assert imported_results(tmp_path / "imports") == [copy]


def test_markup_in_names_is_kept_as_text(tmp_path: Path, official: dict[str, Any]):
    official["salmu_demo"]["model"]["name"] = "<script>alert(1)</script>\x1b[0m"
    [row] = file_rows(write(tmp_path / "a.json", official), RowSource.IMPORTED)
    assert row.name == "<script>alert(1)</script> [0m"


def change(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        place: Any = document
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "sentence"),
    [
        (
            change("efficacy", "1.3_ACS", "acs_accuracy", value=float("nan")),
            "ACS.value is .*; it must be a finite number",
        ),
        (change("efficacy", "1.3_ACS", "acs_accuracy", value=10**400), "ACS.value is .*; it must be a finite number"),
        (change("efficacy", "1.3_ACS", "acs_accuracy", value=1e300), "must lie between -1 and 1"),
        (change("efficacy", "1.3_ACS", "acs_accuracy", value="0.5"), 'ACS.value is "0.5"; it must be a finite number'),
        (change("efficacy", "1.3_ACS", value=[0.5]), "1.3_ACS is .*; it must be an object"),
        (change("efficacy", value="high"), 'efficacy is "high"; it must be an object'),
        (change("efficacy", "1.1_RetFail", "outcomes", value=[10**400]), "ranks"),
        (change("salmu_demo", value=[1]), "salmu_demo is .*; it must be an object"),
        (change("salmu_demo", "model", "name", value={"a": 1}), "model.name is .*; it must be a string"),
        (change("salmu_demo", "schema_version", value="new"), 'schema_version is "new"; it must be a finite number'),
        (change("salmu_demo", "genknow_measured_on", value=7), "genknow_measured_on is 7; it must be a string"),
    ],
)
def test_a_hostile_value_is_named_and_nothing_is_kept(tmp_path: Path, official: dict[str, Any], apply, sentence: str):
    apply(official)
    path = write(tmp_path / "bad.json", official)
    with pytest.raises(ResultError, match=sentence) as refused:
        import_result(path, tmp_path / "imports")
    assert str(refused.value).startswith("bad.json")
    assert str(tmp_path) not in str(refused.value)
    assert not (tmp_path / "imports").exists()


@pytest.mark.parametrize("column", ["rows", "candidates"])
@pytest.mark.parametrize("value", [1e300, 0.5])
def test_numbers_that_count_must_be_whole_and_small(tmp_path: Path, written: Path, column: str, value: float):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    document["models"][0]["metrics"]["RetFail"][column][0] = value
    with pytest.raises(ResultError, match=f"RetFail.{column} must hold whole numbers"):
        import_result(write(tmp_path / "a.json", document), tmp_path / "imports")


@pytest.mark.parametrize("content", ["", "null", "{}", "[" * 100_000, '{"efficacy": {}, "utility": {}}', "\ufeff{}"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: str):
    with pytest.raises(ResultError, match=r"^file\.json"):
        import_result(write(tmp_path / "file.json", content), tmp_path / "imports")


def test_fifty_megabytes_of_nothing_and_a_file_beyond_the_limit_are_refused(tmp_path: Path):
    big, huge = tmp_path / "big.json", tmp_path / "huge.json"
    big.write_bytes(b"[" + b" " * 50_000_000 + b"]")
    with huge.open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(ResultError, match=r"big\.json is neither"):
        import_result(big, tmp_path / "imports")
    with pytest.raises(ResultError, match="larger than 400 MB"):
        import_result(huge, tmp_path / "imports")


def test_a_file_with_too_many_models_is_refused(tmp_path: Path, written: Path):
    document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
    document["rows"] = {}
    document["models"] = [{**document["models"][0], "metrics": {}}] * (MAX_MODELS + 1)
    with pytest.raises(ResultError, match=f"holds {MAX_MODELS + 1} models"):
        import_result(write(tmp_path / "many.json", document), tmp_path / "imports")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "nothing.json"):
        with pytest.raises(ResultError, match="cannot be read"):
            import_result(path, tmp_path / "imports")


def test_a_full_disk_leaves_no_half_copy(tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch):
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("salmu_demo.leaderboard.files.shutil.copyfile", full)
    with pytest.raises(StorageError, match="No space left"):
        import_result(written / RESULTS_FILE, tmp_path / "imports")
    assert imported_results(tmp_path / "imports") == []
    assert [path for path in (tmp_path / "imports").rglob("*") if path.is_file()] == []


def test_only_finished_jobs_are_found_and_only_those_that_are_asked_for(tmp_path: Path):
    evaluations_ = evaluations()[:1]
    for job in ("job-one", "job-two"):
        write_results(analyse(evaluations_), tmp_path / "runs" / job / "report")
    (tmp_path / "runs" / "unfinished").mkdir()
    outside = tmp_path / "outside" / "report"
    write_results(analyse(evaluations_), outside)
    found = [tmp_path / "runs" / job / "report" / RESULTS_FILE for job in ("job-one", "job-two")]
    assert job_results(tmp_path / "runs") == found
    assert job_results(tmp_path / "runs", ["job-two", "../outside", "*", ""]) == found[1:]
    assert job_results(tmp_path / "nothing") == []
    assert given_results([found[0].parent, found[1]]) == found


def test_a_damaged_file_is_left_out_and_named(tmp_path: Path, written: Path):
    bad = write(tmp_path / "bad.json", "{")
    board = read_board([written / RESULTS_FILE, bad], [tmp_path / "gone.json"], Freshness())
    assert len(board.problems) == 2
    assert "bad.json is not JSON" in board.problems[0]
    assert sum(len(group.rows) for group in board.groups if group.rows[0].source is not RowSource.PUBLISHED) == len(
        NAMES
    )


def test_metrics_without_their_plug_in_are_named_once_for_all_files(tmp_path: Path, written: Path):
    paths = []
    for number, name in enumerate(("Mine", "Other", "Mine")):
        document = json.loads((written / RESULTS_FILE).read_text("utf-8"))
        for part in document["models"]:
            part["metrics"][name] = {"value": 0.5}
        paths.append(write(tmp_path / f"{number}.json", document))
    [problem] = read_board(paths[:1], paths[1:], Freshness()).problems
    assert 'unknown here and left out: "Mine", "Other"; load the plug-ins' in problem
    assert read_board([written / RESULTS_FILE], [], Freshness()).problems == ()


def test_dates_of_all_zones_are_put_in_order(tmp_path: Path, official: dict[str, Any]):
    rows = []
    dates = ("2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00Z", "2026-01-01T20:00:00", "yesterday", "9999-99-99")
    for number, date in enumerate(dates):
        official["salmu_demo"]["date"] = date
        rows += file_rows(write(tmp_path / f"{number}.json", official), RowSource.LOCAL)
    [group] = group_rows(rows)
    assert [row.origin[0] for row in ranked(group, "date")][:3] == ["1", "0", "2"]
    assert [row.date for row in ranked(group, "date")][3:] == ["", ""]


def test_a_fingerprint_that_is_none_identifies_nothing(tmp_path: Path, official: dict[str, Any]):
    official["salmu_demo"]["data"]["fingerprint"] = "mini"
    [group] = group_rows(file_rows(write(tmp_path / "a.json", official), RowSource.IMPORTED))
    assert not group.identified


def test_the_name_of_data_is_whole_where_it_is_looked_up_and_cut_where_it_is_shown(
    tmp_path: Path, official: dict[str, Any]
):
    official["salmu_demo"]["data"]["name"] = name = "/folder" * 40
    [group] = group_rows(file_rows(write(tmp_path / "a.json", official), RowSource.LOCAL))
    assert group.rows[0].data.name == name
    assert len(group.title) < len(name)


def test_an_older_schema_is_stale(tmp_path: Path, official: dict[str, Any]):
    official["salmu_demo"]["schema_version"] = 1
    [row] = Freshness().mark(file_rows(write(tmp_path / "a.json", official), RowSource.LOCAL))
    assert row.mark == OLDER
    [current] = Freshness().mark(file_rows(write_official(evaluation("mini-clean"), tmp_path), RowSource.LOCAL))
    assert current.mark != OLDER
