"""What is taken away from the leaderboard, by its functions and by the command."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.cli.main import run
from salmu_demo.core.errors import ResultError
from salmu_demo.core.settings import leaderboard_dir, runs_dir
from salmu_demo.leaderboard.export import board_csv, submission
from salmu_demo.leaderboard.groups import group_rows
from salmu_demo.leaderboard.rows import Row, RowSource, file_rows, published_rows
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import read_results, write_results
from salmu_demo.results.official import write_official
from salmu_demo.results.published import PUBLISHED
from salmu_demo.results.records import MeasuredData, MeasuredModel
from tests.fixtures.leaderboard import row
from tests.fixtures.results import DATA, NAMES, evaluation, evaluations

FOLDER = MeasuredData("/home/somebody/secret/data", "d" * 64)


def local_row(folder: Path, reference: str = "local-dir:/home/somebody/secret/my-model") -> Row:
    made = evaluation("mini-unlearned-finetune", FOLDER)
    genknow = replace(made.results["GenKnow"], measured_on=f"{FOLDER.name} genknow (9 classes)")
    remarks = (f"{reference} was guessed.",)
    model = replace(made.model, reference=reference, name="my-model", remarks=remarks)
    path = write_official(replace(made, model=model, results=made.results | {"GenKnow": genknow}), folder)
    [found] = file_rows(path, RowSource.LOCAL)
    return found


def test_every_csv_line_says_on_what_data_and_whence_and_no_cell_starts_a_formula():
    sample = MeasuredData("=data", "d" * 64, "+r", sample="@sample")
    model = MeasuredModel("m", "m", remarks=("=remark", "two"))
    evil = row("-cmd|evil", {"RetFail": -0.5}, data=sample, origin="=file", model=model)
    groups = group_rows([*published_rows(), evil])
    lines = list(csv.DictReader(io.StringIO(board_csv([(group, group.rows) for group in groups]))))
    assert len(lines) == len(PUBLISHED) + 1
    assert all(line["data"] and line["sample"] and line["source"] and line["origin"] for line in lines)
    assert all(line["revision"] for line in lines)
    [line] = [line for line in lines if line["source"] == "local"]
    assert [line[column] for column in ("data", "revision", "sample", "model", "origin", "remarks")] == [
        "'=data", "'+r", "'@sample", "'-cmd|evil", "'=file", "'=remark two",
    ]  # fmt: skip
    assert line["RetFail"] == "-0.500000"
    assert line["ACS"] == ""


def test_a_submission_has_the_official_shape_and_reads_back_as_the_same_result(tmp_path: Path):
    found = local_row(tmp_path)
    file = submission(found)
    document = json.loads(file.text)
    assert {"efficacy", "utility", "salmu_demo", "submission"} == set(document)
    path = tmp_path / file.name
    path.write_text(file.text)
    [again] = read_results(path)
    [original] = read_results(found.file)
    assert {name: r.value for name, r in again.results.items()} == {n: r.value for n, r in original.results.items()}
    assert again.model.fingerprint == original.model.fingerprint
    assert document["submission"]["values"] == dict(found.values)


def test_a_submission_is_the_same_whoever_hands_it_in_and_names_no_folder(tmp_path: Path):
    first = submission(local_row(tmp_path / "a"))
    second = submission(local_row(tmp_path / "b", "local-dir:/elsewhere/my-model"))
    assert first == second
    assert "secret" not in first.text
    assert "somebody" not in first.text
    assert "my-model was guessed." in first.text
    assert first.name == "submission_my-model.json"


def test_the_digest_follows_values_and_fingerprints_only(tmp_path: Path):
    digests = []
    for number, made in enumerate(
        (
            evaluation("m"),
            replace(evaluation("m"), made=replace(evaluation("m").made, date="2026-09-09T00:00:00+00:00")),
            evaluation("m", seed=1),
            evaluation("m", replace(DATA, fingerprint="e" * 64)),
        )
    ):
        [found] = file_rows(write_official(made, tmp_path / str(number)), RowSource.LOCAL)
        digests.append(json.loads(submission(found).text)["submission"]["digest"])
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_name_from_a_stranger_makes_no_path_of_a_submission(tmp_path: Path):
    path = write_official(evaluation("m"), tmp_path)
    document = json.loads(path.read_text())
    document["salmu_demo"]["model"]["reference"] = "hf-hub:../../x\0y"
    path.write_text(json.dumps(document))
    file = submission(file_rows(path, RowSource.IMPORTED)[0])
    assert Path(file.name).name == file.name
    assert "\0" not in file.name


def test_published_and_unidentified_rows_cannot_be_submitted(tmp_path: Path):
    with pytest.raises(ResultError, match="CLIPErase is a published row"):
        submission(next(row for row in published_rows() if row.name == "CLIPErase"))
    path = tmp_path / "evaluation_x.json"
    path.write_text(json.dumps({"efficacy": {"1.3_ACS": {"acs_accuracy": 0.5}}}))
    with pytest.raises(ResultError, match="does not identify both the model and the data"):
        submission(file_rows(path, RowSource.IMPORTED)[0])


def test_a_file_that_changed_since_the_table_was_made_is_not_submitted(tmp_path: Path):
    found = local_row(tmp_path)
    made = evaluation("mini-unlearned-finetune", FOLDER, seed=5)
    write_official(replace(made, model=replace(made.model, reference=found.model.reference)), tmp_path)
    with pytest.raises(ResultError, match="has changed"):
        submission(found)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of official files; no jobs, and no sweeps that are shipped."""
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "own" / "runs"))
    monkeypatch.setenv("SALMU_ASSETS_DIR", str(tmp_path / "own" / "assets"))
    for made in evaluations():
        write_official(made, tmp_path / "results")
    return tmp_path / "results"


def files(folder: Path) -> list[str]:
    return [str(folder / f"evaluation_{name}.json") for name in NAMES]


def test_the_command_prints_a_table_for_each_data_set(results: Path, capsys):
    assert run(["leaderboard", *files(results), "--sort", "genknow"]) == 0
    printed = capsys.readouterr().out
    first, second = printed.split("\nmini, all rows", 1)
    assert "CLIPErase" in first
    assert "mini-clean" not in first
    assert all(name in second for name in NAMES)
    assert "cannot be checked" in second or "stale" in second
    assert "closest to its target" in second


def test_the_command_names_what_it_leaves_out_without_obeying_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    write_results(analyse(evaluations()), tmp_path)
    document = json.loads((tmp_path / "results.json").read_text("utf-8"))
    document["models"][0]["metrics"]["\x1b[2J"] = {"value": 0.5}
    (tmp_path / "results.json").write_text(json.dumps(document), "utf-8")
    assert run(["leaderboard", str(tmp_path)]) == 0
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith('salmu-demo: These metrics of the result files are unknown here and left out: "�[2J"')


def test_the_command_filters_sorts_and_writes_what_it_shows(results: Path, tmp_path: Path, capsys):
    table = tmp_path / "out" / "board.csv"
    arguments = ["--data", "mini", "--sort", "name", "--search", "MINI-C", "--csv", str(table), "--json"]
    assert run(["leaderboard", *files(results), *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    [group] = document["groups"]
    assert [row["model"] for row in group["rows"]] == list(NAMES[:2])
    assert document["written"] == [str(table)]
    assert [line["model"] for line in csv.DictReader(io.StringIO(table.read_text()))] == list(NAMES[:2])


def test_the_command_imports_and_submits(results: Path, tmp_path: Path, capsys):
    arguments = ["--import", *files(results), "--submission", NAMES[2], "--output", str(tmp_path / "out")]
    assert run(["leaderboard", *arguments]) == 0
    assert len(list(leaderboard_dir(runs_dir()).glob("*/*.json"))) == len(NAMES)
    [path] = (tmp_path / "out").iterdir()
    assert json.loads(path.read_text())["submission"]["model"] == NAMES[2]
    capsys.readouterr()
    assert run(["leaderboard", "--source", "imported", "--json"]) == 0
    [group] = json.loads(capsys.readouterr().out)["groups"]
    assert {row["source"] for row in group["rows"]} == {"imported"}
    assert {row["diagnosis"] for row in group["rows"]} >= {"reference (clean)", "reference (compromised)"}


def test_results_that_are_named_twice_are_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    write_results(analyse(evaluations()), tmp_path / "runs" / "job" / "report")
    assert run(["leaderboard", "runs/job/report", "--source", "local", "--json"]) == 0
    [group] = json.loads(capsys.readouterr().out)["groups"]
    assert sorted(row["model"] for row in group["rows"]) == sorted(NAMES)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sort", "size"], "cannot be sorted by 'size'"),
        (["--data", "nowhere"], "No row of the leaderboard matches"),
        (["--submission", "Clean"], "needs both --submission MODEL and --output DIR"),
        (["--submission", "Clean", "--output", "out"], "Clean is a published row"),
        (["--submission", "nobody", "--output", "out"], "no row 'nobody'"),
        (["no-such-folder"], "no-such-folder cannot be read"),
        (["--import", "no-such-file.json"], "no-such-file.json cannot be read"),
    ],
)
def test_bad_input_of_the_command_gives_one_sentence(results: Path, capsys, arguments: list[str], sentence: str):
    assert run(["leaderboard", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
