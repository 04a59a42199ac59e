"""Unlearning as a job: it leaves a model that is found by its name, goes on where it stopped, and can be kept early."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.errors import JobError, ModelError, SalmuError
from salmu_demo.jobs.estimate import Estimate
from salmu_demo.jobs.job import (
    UNLEARN,
    Job,
    JobProgress,
    JobSpec,
    JobState,
    Report,
    UnlearningSpec,
    job_document,
    read_job,
)
from salmu_demo.jobs.kinds import KINDS, JobKind
from salmu_demo.jobs.manager import JobManager
from salmu_demo.jobs.readings import READINGS_FILE, keep_reading, read_readings
from salmu_demo.jobs.unlearning import OTHER_SECONDS, estimate_unlearning, model_folder, run_unlearning, unlearning_plan
from salmu_demo.models.made import made_in, made_models
from salmu_demo.models.source import find_model
from salmu_demo.progress import ignore_progress
from salmu_demo.unlearning import timing
from salmu_demo.unlearning.reading import Reading
from salmu_demo.unlearning.rows import unlearning_rows
from salmu_demo.unlearning.towers import Towers
from salmu_demo.unlearning.trainer import unlearn
from salmu_demo.workbench import Workbench

TIMEOUT = 30
SPEC = JobSpec(
    ("mini-compromised",),
    (),
    kind=UNLEARN,
    seed=3,
    unlearning=UnlearningSpec("npo", "both", 64, {"batch_size": 8, "learning_rate": 1e-3}),
)
"""8 steps, with a reading after each."""


@pytest.fixture(scope="module")
def workbench(tiny_assets: Path) -> Workbench:
    return Workbench()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def kinds() -> dict[str, JobKind]:
    return dict(KINDS)


@pytest.fixture
def manager(runs: Path, workbench: Workbench, kinds: dict[str, JobKind]) -> Iterator[JobManager]:
    manager = JobManager(runs, lambda data: workbench, kinds=kinds)
    yield manager
    manager.close()


def cancel_at(step: int, manager: JobManager, kinds: dict[str, JobKind], keep: bool = False) -> None:
    """Let the next run that comes to a step be cancelled there."""
    wanted = True

    def run(spec: JobSpec, bench: Workbench, folder: Path, report: Report) -> tuple[str, ...]:
        def told(progress: JobProgress) -> None:
            nonlocal wanted
            if wanted and progress.stage.endswith("steps") and progress.done == step:
                wanted = False
                manager.cancel(folder.name, keep)
            report(progress)

        return run_unlearning(spec, bench, folder, told)

    kinds[UNLEARN] = replace(KINDS[UNLEARN], run=run)


def test_a_specification_survives_its_file_and_benchmarks_keep_their_shape() -> None:
    job = Job("k3Jf0-_aZ9qLmN4tRv7wXy", SPEC, JobState.QUEUED, "2026-01-02T03:04:05+00:00")
    assert read_job(json.loads(json.dumps(job_document(job)))) == job
    assert "unlearning" not in job_document(replace(job, spec=JobSpec(("a",), ("RetFail",))))["spec"]
    for key, wrong in (("budget", "64"), ("method", 7), ("settings", {"beta": [1]}), ("settings", {"beta": True})):
        document = job_document(job)
        document["spec"]["unlearning"][key] = wrong
        with pytest.raises(JobError):
            read_job(document)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "magic"}, "There is no unlearning method 'magic'"),
        ({"towers": "left"}, "There are no towers 'left'"),
        ({"budget": 3}, "A budget of 3 is less than one batch of 8"),
        ({"settings": {"gamma": 1.0}}, "npo has no hyperparameter 'gamma'"),
        ({"settings": {"beta": 1e6}}, "beta of npo is 1000000.0; it must be 0.001 to 10"),
        ({"settings": {"beta": float("nan")}}, "beta of npo is nan"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_starts(
    manager: JobManager, changes: dict[str, Any], sentence: str
) -> None:
    assert SPEC.unlearning is not None
    with pytest.raises(SalmuError, match=sentence):
        manager.submit(replace(SPEC, unlearning=replace(SPEC.unlearning, **changes)))
    for wrong in (replace(SPEC, models=("a", "b")), replace(SPEC, unlearning=None)):
        with pytest.raises(JobError):
            manager.submit(wrong)
    assert manager.jobs() == []


def test_a_job_leaves_a_model_that_is_found_by_a_name_that_hides_the_job(
    manager: JobManager, workbench: Workbench, tmp_path: Path
) -> None:
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.DONE, job.error
    folder = manager.folder(job.id)
    [reference] = made_in(folder)
    assert reference.startswith("made:npo-")
    assert job.id not in reference
    assert made_models() == [reference]
    assert find_model(reference).name == reference.removeprefix("made:")
    # The same weights as from the command line.
    [base] = workbench.models(["mini-compromised"])
    unlearn(base, workbench.data, unlearning_plan(SPEC), tmp_path / "plain")
    assert find_model(reference).fingerprint == find_model(f"local-dir:{tmp_path / 'plain'}").fingerprint
    readings = read_readings(folder)
    assert [reading.forget_pairs for reading in readings] == list(range(0, 65, 8))
    assert len(readings[0].persona_ranks) == 4
    assert all(1 <= rank <= reading.candidates for reading in readings for rank in reading.persona_ranks.values())
    for gone in ("made:npo-00000000", "made:../../etc", "made:"):
        with pytest.raises(ModelError, match="There is no model"):
            find_model(gone)


def test_a_cancelled_job_goes_on_and_ends_as_if_undisturbed(manager: JobManager, kinds: dict[str, JobKind]) -> None:
    whole = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    cancel_at(5, manager, kinds)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    assert job.progress is not None
    assert job.progress.fraction == 0.5
    assert made_in(manager.folder(job.id)) == []
    resumed = manager.wait(manager.resume(job.id).id, TIMEOUT)
    assert resumed.state is JobState.DONE, resumed.error
    references = [made_in(manager.folder(one.id))[0] for one in (whole, resumed)]
    prints = [find_model(reference).fingerprint for reference in references]
    assert prints[0] == prints[1]
    assert read_readings(manager.folder(whole.id)) == read_readings(manager.folder(resumed.id))


def test_cancel_and_keep_leaves_the_model_of_the_last_reading_and_resume_replaces_it(
    manager: JobManager, kinds: dict[str, JobKind]
) -> None:
    cancel_at(5, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    [reference] = made_in(manager.folder(job.id))
    kept = find_model(reference)
    record = json.loads((kept.weights.parent / "unlearning.json").read_text("utf-8"))
    assert record["ended"] == "stopped by the user after step 5"
    assert [reading["step"] for reading in record["curve"]] == list(range(6))
    before = kept.fingerprint
    assert manager.wait(manager.resume(job.id).id, TIMEOUT).state is JobState.DONE
    assert find_model(reference).fingerprint != before


def test_before_the_first_reading_there_is_nothing_to_keep(manager: JobManager, kinds: dict[str, JobKind]) -> None:
    cancel_at(0, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert job.state is JobState.CANCELLED
    assert made_in(manager.folder(job.id)) == []


def test_a_plain_cancel_after_a_wish_to_keep_keeps_nothing(manager: JobManager, kinds: dict[str, JobKind]) -> None:
    cancel_at(0, manager, kinds, keep=True)
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    cancel_at(5, manager, kinds)
    assert manager.wait(manager.resume(job.id).id, TIMEOUT).state is JobState.CANCELLED
    assert made_in(manager.folder(job.id)) == []


def test_a_process_killed_after_the_model_was_written_has_nothing_left_to_do(
    manager: JobManager, workbench: Workbench
) -> None:
    job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    weights = model_folder(SPEC, manager.folder(job.id)) / "open_clip_model.safetensors"
    before = weights.stat().st_mtime_ns
    assert run_unlearning(SPEC, workbench, manager.folder(job.id), lambda progress: None) == ()
    assert weights.stat().st_mtime_ns == before


def test_an_estimate_is_of_what_is_not_encoded_and_of_the_timed_budget(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, [base] = unlearning_rows(workbench.data), workbench.models(SPEC.models)
    assert all(timing.seconds_per_pair(base, towers, workbench.data, rows) > 0 for towers in Towers)
    for part in (rows.forget, *rows.retain):
        part.features(workbench.embedder, base, ignore_progress)
    monkeypatch.setattr(timing, "seconds_per_pair", lambda *of: 0.25)
    # Two pairs of a step for one of the budget; 9 readings of 256 pairs, forward only.
    assert estimate_unlearning(SPEC, workbench) == Estimate(0.25 * (2 * 64 + 9 * 256 / 3) + OTHER_SECONDS, 0, 0)


def test_readings_of_a_step_replace_each_other_and_a_damaged_file_starts_anew(tmp_path: Path) -> None:
    first = Reading(0, 0, None, 0.8, 1.0, 0.8, 0.1, {"1": 1.0}, 10)
    later = replace(first, step=4, forget_pairs=32, loss=0.5)
    for reading in (later, first, replace(later, loss=0.4)):
        keep_reading(tmp_path, reading)
    assert read_readings(tmp_path) == [first, replace(later, loss=0.4)]
    for damaged in ("[{", '[{"step": 1}]', "7"):
        (tmp_path / READINGS_FILE).write_text(damaged)
        assert read_readings(tmp_path) == []
