"""Told references and cards on the command line, in jobs and in the app: the same numbers as under built-in names."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.cli.main import run
from salmu_demo.jobs.job import JobSpec, JobState
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.jobs.plan import make_plan
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import ModelRole, Told
from salmu_demo.results.document import RESULTS_FILE, read_results
from salmu_demo.ui.shell.bar import keep_told, tell
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit.tab import AuditPages, Search
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.search import Query, answer_document, search, settings_of
from salmu_demo.workbench.warmup import WarmUp
from tests.fixtures.tiny import MODELS

METRICS = "RetFail,GenKnow"


@pytest.fixture
def folders(tiny_assets: Path, plain_figures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The three tiny models in folders `clean`, `compromised` and `mine`, and jobs in a folder of their own."""
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    references = []
    for built_in, name in zip(MODELS, ("clean", "compromised", "mine"), strict=True):
        shutil.copytree(tiny_assets / "models" / built_in, tmp_path / "models" / name)
        references.append(f"local-dir:{tmp_path / 'models' / name}")
    return references


def write_card(reference: str, role: str) -> None:
    (Path(reference.removeprefix("local-dir:")) / "README.md").write_text(f"---\nsalmu_role: {role}\n---\n# A model\n")


def evaluated(output: Path, capsys: pytest.CaptureFixture[str], models: Sequence[str], *more: str) -> dict[str, Any]:
    assert run(["evaluate", *models, "--metrics", METRICS, "--output", str(output), "--json", *more]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    assert run(command) == 2
    return capsys.readouterr().err


def test_told_and_carded_folders_are_the_targets_and_plain_ones_are_not(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    wanted = evaluated(tmp_path / "built-in", capsys, MODELS)
    plain = evaluated(tmp_path / "plain", capsys, folders)
    assert [row["target"] for row in plain["rows"]] == [None, None]
    told = evaluated(tmp_path / "told", capsys, folders, "--clean", folders[0], "--compromised", "compromised")
    for reference, role in zip(folders, ("clean", "compromised", "unlearned"), strict=True):
        write_card(reference, role)
    carded = evaluated(tmp_path / "carded", capsys, folders)
    for found, origin in ((told, "told"), (carded, "card")):
        assert [row["target"] for row in found["rows"]] == [row["target"] for row in wanted["rows"]]
        assert [list(row["values"].values()) for row in found["rows"]] == [
            list(row["values"].values()) for row in wanted["rows"]
        ]
        assert list(found["diagnoses"].values()) == list(wanted["diagnoses"].values())
        assert found["roles"]["clean"] == {"name": "clean", "origin": origin, "refused": None}
    assert carded["roles"]["mine"]["name"] == "unlearned"
    # A report of both says once more who is who, and a word settles it where they differ.
    files = [str(tmp_path / "told"), "--output", str(tmp_path / "report")]
    assert run(["report", *files, "--clean", "mine", "--compromised", "compromised"]) == 0
    assert "Note" not in capsys.readouterr().err
    assert read_results(tmp_path / "report" / RESULTS_FILE)[2].model.role == ModelRole("clean", "told")


def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    output = ["--output", str(tmp_path / "out")]
    evaluate = ["evaluate", *folders, *output]
    twice = refused(capsys, *evaluate, "--clean", folders[0], "--clean", folders[1])
    assert f"--clean names {folders[0]} and {folders[1]}; there is one Clean at most." in twice
    assert '"gone" is told to be Compromised and is not among' in refused(capsys, *evaluate, "--compromised", "gone")
    assert "is told to be both" in refused(capsys, *evaluate, "--clean", "mine", "--compromised", folders[2])
    jobs = ["jobs", "run", *folders]
    assert '"gone" is told to be Clean and is not among' in refused(capsys, *jobs, "--clean", "gone")
    probe = ["probe", *folders, "--text", "a person"]
    assert '"gone" is told to be Clean and is not among' in refused(capsys, *probe, "--clean", "gone")
    write_card(folders[0], "boss")
    assert "says salmu_role: 'boss'; write one of clean, compromised, gold, unlearned" in refused(capsys, *evaluate)
    assert not (tmp_path / "out").exists()


def test_a_probe_measures_changes_against_the_told_model(folders: list[str], capsys: pytest.CaptureFixture[str]):
    command = ["probe", *folders[:2], "--text", "a person"]
    assert run([*command, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert {result["change_to_clean"] for entry in plain["retrieval"] for result in entry["results"]} == {None}
    assert run([*command, "--clean", "clean", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["models"][0]["role_from"] == "told"
    assert {result["change_to_clean"] for result in told["retrieval"][0]["results"]} == {0.0}
    assert any(result["change_to_clean"] for result in told["retrieval"][1]["results"])
    assert run([*command, "--clean", "clean"]) == 0
    assert "Clean reference (as told): clean\n" in capsys.readouterr().out


def test_a_job_keeps_what_it_was_told_when_it_is_resumed(folders: list[str]):
    spec = BenchmarkSpec(tuple(folders), ("RetFail", "GenKnow"), told=Told(folders[0], folders[1]))
    manager = JobManager()
    job = manager.submit(spec)
    manager.cancel(job.id)
    assert manager.wait(job.id, 60).state.over
    manager.close()
    # Another process finds it on disk.
    with_told = JobManager()
    assert with_told.job(job.id).spec == spec
    if with_told.job(job.id).state is not JobState.DONE:
        with_told.resume(job.id)
    assert with_told.wait(job.id, 60).state is JobState.DONE
    with_told.close()
    roles = [made.model.own_role for made in read_results(with_told.folder(job.id) / "report" / RESULTS_FILE)]
    assert roles == [ModelRole("clean", "told"), ModelRole("compromised", "told"), ModelRole()]


def test_folders_that_agree_up_to_the_dot_are_evaluated_together(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    versions = []
    for reference, version in zip(folders[:2], ("v1.0", "v1.1"), strict=True):
        versions.append(f"local-dir:{tmp_path / version}")
        shutil.copytree(reference.removeprefix("local-dir:"), tmp_path / version)
    found = evaluated(tmp_path / "out", capsys, versions)
    assert list(found["rows"][0]["values"]) == ["v1.0", "v1.1"]
    names = {Path(path).name for path in found["files"]}
    assert len(names) == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    again = evaluated(tmp_path / "again", capsys, versions[::-1])
    assert {Path(path).name for path in again["files"]} == names


def test_folders_of_one_name_are_told_apart(folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    models = []
    for reference, run_name in zip(folders[:2], "ab", strict=True):
        models.append(f"local-dir:{tmp_path / run_name / 'model'}")
        shutil.copytree(reference.removeprefix("local-dir:"), tmp_path / run_name / "model")
    found = evaluated(tmp_path / "out", capsys, models, "--clean", models[1])
    assert list(found["rows"][0]["values"]) == ["a/model", "b/model"]
    assert found["roles"]["b/model"]["origin"] == "told"
    assert run(["probe", *models, "--persona", "00000001", "--json"]) == 0
    assert [entry["model"] for entry in json.loads(capsys.readouterr().out)["retrieval"]] == ["a/model", "b/model"]


def test_the_adapter_or_base_of_a_reference_is_none_itself(folders: list[str]):
    write_card(folders[1], "compromised")
    weights = Path(folders[2].removeprefix("local-dir:")) / "open_clip_model.safetensors"
    assert find_model(folders[1]).own_role == ModelRole("compromised", "card")
    assert find_model(f"delta:{folders[1]}+{weights}").own_role == ModelRole()
    assert find_model(str(weights), "mini-clean").own_role == ModelRole()


# The app


@pytest.fixture
def bench(folders: list[str]) -> Workbench:
    return Workbench()


def test_the_app_takes_what_makes_sense_and_takes_back_the_rest(folders: list[str], monkeypatch: pytest.MonkeyPatch):
    warnings: list[str] = []
    monkeypatch.setattr("salmu_demo.ui.shell.messages.gr.Warning", lambda message, **_: warnings.append(message))
    view, clean, compromised, gold = tell(folders[0], "", folders[2], folders, View("7"))
    assert view == View("7", told=Told(folders[0], None, folders[2]))
    assert (clean.value, compromised.value, gold.value) == (folders[0], "", folders[2])
    again, clean, compromised, _ = tell(folders[0], folders[0], "", folders, view)
    assert (again, clean.value, compromised.value) == (view, folders[0], "")
    forged, *_ = tell("<b>" * 1_000_000, "", "", folders, view)
    assert forged == view
    assert len(warnings) == 2
    assert all(len(warning) < 1500 and "<b>" not in warning for warning in warnings)
    kept, clean, *_ = keep_told(folders[1:], view)
    assert kept.told == Told(None, None, folders[2])
    assert [value for _, value in clean.choices] == ["", *folders[1:]]


def test_the_choice_of_the_app_reaches_audit_probe_and_benchmark(folders: list[str], bench: Workbench):
    view = View("00000001", "city", told=Told(folders[0], folders[1]))
    pages = AuditPages(bench, WarmUp(bench))
    search_for = Search("forget", 3, False)
    told, detail = pages.page(view, folders), pages.detail(view, folders, search_for)
    untold = replace(view, told=Told())
    plain, plainly = pages.page(untold, folders), pages.detail(untold, folders, search_for)
    assert detail is not None
    assert plainly is not None
    for part in (told.table, told.line_ups, detail.line_ups, detail.captions):
        assert "Clean reference (as told)" in part
    assert ">Clean</th>" in told.line_ups
    assert "to Clean</span>" in detail.captions
    assert "reference" not in plain.table
    assert ">Clean</th>" not in plain.line_ups + plainly.line_ups
    assert "to Clean</span>" not in plainly.captions
    # One that is not shown is nobody's reference, and nothing fails.
    assert "as told" not in pages.page(view, folders[2:]).table

    answer = search(bench, folders, Query("a person"), settings_of("captions", "all", 3), told=view.told)
    assert [model["role"] for model in answer_document(answer)["models"]] == ["clean", "compromised", "other"]

    class Estimates:
        def estimate(self, spec: JobSpec) -> Any:
            return type("Estimate", (), {"seconds": 1.0, "sampled": None})()

    plan = make_plan(bench, Estimates(), folders, ["RetFail"], told=view.told)  # type: ignore[arg-type]
    assert plan.asked.spec.told == view.told
