"""Unlearning as a job: it leaves a model that is found by its name, goes on where it stopped, and can be kept early."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from salmu_demo.core.errors import JobError, ModelError, SalmuError
from salmu_demo.core.progress import Unit
from salmu_demo.features.view import FeatureView
from salmu_demo.jobs.job import (
    Estimate,
    Job,
    JobKind,
    JobProgress,
    JobProgressCallback,
    JobState,
    job_document,
    read_job,
)
from salmu_demo.jobs.kinds import KINDS
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.kinds.unlearning import (
    OTHER_SECONDS,
    READINGS_FILE,
    UNLEARN,
    Unlearning,
    UnlearningOptions,
    UnlearningSpec,
    model_folder,
    read_readings,
    save_reading,
    unlearning_plan,
)
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.made import made_in
from salmu_demo.models.references import find_model
from salmu_demo.unlearning import UNRELATED, Towers, timing
from salmu_demo.unlearning.methods import find_method
from salmu_demo.unlearning.plan import StopRules, UnlearningPlan
from salmu_demo.unlearning.rows import unlearning_rows
from salmu_demo.unlearning.timing import RunTiming
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.trainer import unlearn
from salmu_demo.unlearning.training_metrics import TrainingMetrics
from salmu_demo.unlearning.training_probe import READ_PAIRS
from salmu_demo.workbench.bench import Workbench

TIMEOUT = 30
SPEC = UnlearningSpec(
    ("mini-compromised",),
    UnlearningOptions("npo", "both", 32, {"batch_size": 8, "learning_rate": 1e-3}),
    seed=3,
)
"""4 steps, with a reading after each."""


@pytest.fixture(scope="module")
def workbench(tiny_assets: Path) -> Workbench:
    return Workbench()


@pytest.fixture(scope="module")
def undisturbed(workbench: Workbench, eager_jobs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that ran to its end."""
    folder = tmp_path_factory.mktemp("runs")
    manager = JobManager(folder, lambda data: workbench)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.DONE, job.error
    manager.close()
    return folder / job.id


@pytest.fixture
def runs(eager_jobs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def finished(undisturbed: Path, runs: Path) -> Path:
    """The folder, among the jobs of a test, of one that ran to its end."""
    return Path(shutil.copytree(undisturbed, runs / undisturbed.name))


@pytest.fixture
def kinds() -> dict[str, JobKind[Any]]:
    return dict(KINDS)


@pytest.fixture
def manager(runs: Path, workbench: Workbench, kinds: dict[str, JobKind[Any]]) -> Iterator[JobManager]:
    manager = JobManager(runs, lambda data: workbench, kinds=kinds)
    yield manager
    manager.close()


def cancel_at(step: int, manager: JobManager, kinds: dict[str, JobKind[Any]], keep: bool = False) -> None:
    """Let the next run that comes to a step be cancelled there."""
    wanted = True

    class Cancelled(Unlearning):
        def run(
            self, spec: UnlearningSpec, bench: Workbench, folder: Path, report: JobProgressCallback
        ) -> tuple[str, ...]:
            def told(progress: JobProgress) -> None:
                nonlocal wanted
                if wanted and progress.unit is Unit.STEPS and progress.done == step:
                    wanted = False
                    manager.cancel(folder.name, keep)
                report(progress)

            return super().run(spec, bench, folder, told)

    kinds[UNLEARN] = Cancelled()


def test_a_specification_survives_its_file_and_benchmarks_keep_their_shape() -> None:
    job = Job("k3Jf0-_aZ9qLmN4tRv7wXy", SPEC, JobState.QUEUED, "2026-01-02T03:04:05+00:00")
    assert read_job(json.dumps(job_document(job))) == job
    for stop in ({"forget_level": UNRELATED}, {"forget_level": 0.25, "retain_drop": 0.1}):
        stopping = replace(job, spec=replace(SPEC, unlearning=replace(SPEC.unlearning, **stop)))
        assert read_job(json.dumps(job_document(stopping))) == stopping
    assert "unlearning" not in job_document(replace(job, spec=BenchmarkSpec(("a",), ("RetFail",))))["spec"]
    before = json.loads(json.dumps(job_document(job)))
    for later in ("forget_level", "retain_drop", "forget"):
        del before["spec"]["unlearning"][later]
    assert read_job(json.dumps(before)) == job
    for key, wrong in (
        ("budget", "64"),
        ("method", 7),
        ("settings", {"beta": [1]}),
        ("settings", {"beta": True}),
        ("forget_level", [0.1]),
        ("retain_drop", "a tenth"),
        ("forget", [7]),
    ):
        document = json.loads(json.dumps(job_document(job)))
        document["spec"]["unlearning"][key] = wrong
        with pytest.raises(JobError, match=key):
            read_job(json.dumps(document))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "magic"}, "There is no unlearning method 'magic'"),
        ({"towers": "left"}, "There are no towers 'left'"),
        ({"budget": 3}, "A budget of 3 is less than one batch of 8"),
        ({"settings": {"gamma": 1.0}}, "npo has no hyperparameter 'gamma'"),
        ({"settings": {"beta": 1e6}}, "beta of npo is 1000000.0; it must be 0.001 to 10"),
        ({"settings": {"beta": float("nan")}}, "beta of npo is nan"),
        ({"forget_level": "clean"}, "The level to stop at is 'clean'"),
        ({"forget_level": float("nan")}, "The level to stop at is nan; it must be a cosine"),
        ({"retain_drop": 0.0}, "The drop to stop at is 0.0"),
        (
            {"method": "ssd", "settings": {"batch_size": 8}, "forget_level": UNRELATED},
            "ssd edits the model once",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_starts(
    manager: JobManager, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SalmuError, match=sentence):
        manager.submit(replace(SPEC, unlearning=replace(SPEC.unlearning, **changes)))
    for wrong in (replace(SPEC, models=("a", "b")), replace(SPEC, models=())):
        with pytest.raises(JobError):
            manager.submit(wrong)
    assert manager.jobs() == []


def test_a_job_leaves_a_model_that_is_found_by_a_name_that_hides_the_job(
    finished: Path, workbench: Workbench, tmp_path: Path
) -> None:
    [reference] = made_in(finished)
    assert reference.startswith("made:npo-")
    assert finished.name not in reference
    assert find_model(reference).name == reference.removeprefix("made:")
    # The same weights as from the command line.
    [base] = workbench.models(["mini-compromised"])
    unlearn(FeatureView(base, workbench.data), unlearning_plan(SPEC), tmp_path / "plain")
    assert find_model(reference).fingerprint == find_model(f"local-dir:{tmp_path / 'plain'}").fingerprint
    readings = read_readings(finished)
    assert [reading.forget_pairs for reading in readings] == list(range(0, 33, 8))
    assert len(readings[0].persona_ranks) == 4
    assert all(1 <= rank <= reading.candidates for reading in readings for rank in reading.persona_ranks.values())
    for gone in ("made:npo-00000000", "made:../../etc", "made:"):
        with pytest.raises(ModelError, match="There is no model"):
            find_model(gone)


def test_a_job_stops_by_its_rules_and_reports_an_oracle(manager: JobManager) -> None:
    # Every pair is below this cosine, so the first reading after a step ends the run.
    asked = replace(SPEC.unlearning, forget_level=1.0, retain_drop=0.5)
    spec = replace(SPEC, unlearning=asked)
    assert unlearning_plan(spec).stop == StopRules(1.0, 0.5)
    job = manager.wait(manager.submit(spec).id, TIMEOUT)
    assert job.state is JobState.DONE, job.error
    assert job.progress is not None
    assert job.progress.fraction == 1.0
    folder = model_folder(spec, manager.folder(job.id))
    record = json.loads((folder / "unlearning.json").read_text("utf-8"))
    assert (record["ended"], record["plan"]["oracle_level"]) == ("the forget similarity reached 1.000", 1.0)
    assert [reading.step for reading in read_readings(manager.folder(job.id))] == [0, 1]
    card = (folder / "README.md").read_text("utf-8")
    assert "told to stop at a forget similarity of 1.0" in card
    assert "--oracle-stop 1.0 --stop-retain-drop 0.5 --output DIR`" in card


def test_a_cancelled_job_goes_on_and_ends_as_if_undisturbed(
    manager: JobManager, kinds: dict[str, JobKind[Any]], finished: Path
) -> None:
    cancel_at(3, manager, kinds)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    assert job.progress is not None
    assert job.progress.fraction == 0.5
    assert made_in(manager.folder(job.id)) == []
    resumed = manager.wait(manager.resume(job.id).id, TIMEOUT)
    assert resumed.state is JobState.DONE, resumed.error
    folder = manager.folder(resumed.id)
    prints = [find_model(reference).fingerprint for one in (finished, folder) for reference in made_in(one)]
    assert len(prints) == 2
    assert prints[0] == prints[1]
    assert read_readings(finished) == read_readings(folder)


def test_a_job_that_is_resumed_by_another_version_begins_anew(
    manager: JobManager, kinds: dict[str, JobKind[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel_at(3, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    readings = manager.folder(job.id) / "readings.json"
    assert len(made_in(manager.folder(job.id))) == 1
    readings.write_text(readings.read_text("utf-8").replace('"step": 3', '"step": 99'), "utf-8")
    monkeypatch.setattr("salmu_demo.unlearning.plan.code_of", lambda method: "another version")
    resumed = manager.wait(manager.resume(job.id).id, TIMEOUT)
    assert resumed.state is JobState.DONE, resumed.error
    [reference] = made_in(manager.folder(job.id))
    record = json.loads((find_model(reference).weights.parent / "unlearning.json").read_text("utf-8"))
    assert record["ended"] == "the budget is spent"
    assert [reading.step for reading in read_readings(manager.folder(job.id))] == list(range(5))


def test_cancel_and_keep_leaves_the_model_of_the_last_reading_and_resume_replaces_it(
    manager: JobManager, kinds: dict[str, JobKind[Any]]
) -> None:
    cancel_at(3, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    [reference] = made_in(manager.folder(job.id))
    kept = find_model(reference)
    record = json.loads((kept.weights.parent / "unlearning.json").read_text("utf-8"))
    assert record["ended"] == "stopped by the user after step 3"
    assert [reading["step"] for reading in record["curve"]] == list(range(4))
    before = kept.fingerprint
    assert manager.wait(manager.resume(job.id).id, TIMEOUT).state is JobState.DONE
    assert find_model(reference).fingerprint != before


def test_before_the_first_reading_there_is_nothing_to_keep(manager: JobManager, kinds: dict[str, JobKind[Any]]) -> None:
    cancel_at(0, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    assert made_in(manager.folder(job.id)) == []


def test_a_plain_cancel_after_a_wish_to_keep_keeps_nothing(manager: JobManager, kinds: dict[str, JobKind[Any]]) -> None:
    cancel_at(0, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    cancel_at(3, manager, kinds)
    assert manager.wait(manager.resume(job.id).id, TIMEOUT).state is JobState.CANCELLED
    assert made_in(manager.folder(job.id)) == []


def test_a_process_killed_after_the_model_was_written_has_nothing_left_to_do(
    finished: Path, workbench: Workbench
) -> None:
    weights = model_folder(SPEC, finished) / "open_clip_model.safetensors"
    before = weights.stat().st_mtime_ns
    assert Unlearning().run(SPEC, workbench, finished, lambda progress: None) == ()
    assert weights.stat().st_mtime_ns == before


def test_an_estimate_is_of_what_is_not_encoded_and_of_the_steps_and_readings(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, [base] = unlearning_rows(workbench.data), workbench.models(SPEC.models)
    for part in (*rows.forget, *rows.retain):
        workbench.view(base).images(part.split)
        workbench.view(base).captions(part.split)
    assert rows.generic is not None
    workbench.embedder.prompts(base, rows.generic)
    monkeypatch.setattr(timing, "time_run", lambda *of: RunTiming(loading=10.0, step=0.5, once=0.25, reading=2.0))
    # Loading and writing, 4 steps, and readings before them and after each.
    assert Unlearning().estimate(SPEC, workbench) == Estimate(20 + 4 * 0.5 + 0.25 + 5 * 2 + OTHER_SECONDS, 0, 0)
    # 3 steps give 4 readings, and an edit gives 2 whatever its budget.
    for method, readings in (("npo", 4), ("ssd", 2)):
        asked = replace(SPEC.unlearning, method=method, budget=24, settings={"batch_size": 8})
        seconds = 20 + 3 * 0.5 + 0.25 + readings * 2 + OTHER_SECONDS
        assert Unlearning().estimate(replace(SPEC, unlearning=asked), workbench).seconds == seconds


@pytest.mark.parametrize("second", [1e-6, 1.0], ids=["until a full batch", "until long enough"])
@pytest.mark.parametrize(
    ("method", "towers", "step", "once"),
    [
        ("finetune", "both", 2, 0),  # retain images and captions
        ("npo", "both", 4, 0),  # and forget images and captions
        ("npo", "text", 2, 0),  # frozen images cost nothing
        ("idk", "both", 5, 0),  # and generic captions
        ("ssd", "both", 4, 0),
        ("slug", "both", 4, 2 * 11),  # and 10 tries and the final step on one batch of forget pairs
        ("null-space", "image", 0, 0),
    ],
)
def test_a_pace_counts_all_that_the_method_itself_encodes(
    workbench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    towers: str,
    step: int,
    once: int,
    second: float,
) -> None:
    now, largest = 0.0, 0
    for tower in ("images", "texts"):
        encode = getattr(TrainedModel, tower)

        def passing(model: TrainedModel, inputs: torch.Tensor, encode: Any = encode) -> torch.Tensor:
            nonlocal now, largest
            now, largest = now + second * len(inputs), max(largest, len(inputs))
            encoded: torch.Tensor = encode(model, inputs)
            return encoded

        monkeypatch.setattr(TrainedModel, tower, passing)
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))
    [base] = workbench.models(SPEC.models)
    plan = UnlearningPlan(find_method(method).configure({"batch_size": 18}), Towers(towers))
    rows_of = partial(unlearning_rows, workbench.data)
    timed = timing.time_run(plan, FeatureView(base, workbench.data, workbench.embedder), rows_of)
    assert (timed.step / second, timed.once / second) == (pytest.approx(18 * step), pytest.approx(18 * once))
    assert timed.reading / second == pytest.approx(READ_PAIRS * (2 if towers == "both" else 1))
    assert largest == (18 if second < timing.LONG_ENOUGH else timing.FIRST_BATCH)


def test_readings_of_a_step_replace_each_other_and_a_damaged_file_starts_anew(tmp_path: Path) -> None:
    first = TrainingMetrics(0, 0, None, 0.8, 1.0, 0.8, 0.1, {"1": 1.0}, 10)
    later = replace(first, step=4, forget_pairs=32, loss=0.5)
    for reading in (later, first, replace(later, loss=0.4)):
        save_reading(tmp_path, reading)
    assert read_readings(tmp_path) == [first, replace(later, loss=0.4)]
    for damaged in ("[{", '[{"step": 1}]', "7"):
        (tmp_path / READINGS_FILE).write_text(damaged)
        assert read_readings(tmp_path) == []
