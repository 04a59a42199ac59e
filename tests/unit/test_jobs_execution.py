"""The clock of a job: how long it has worked, how long it will, and what of that is on disk."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.jobs.execution import Execution, RemainingTime
from salmu_demo.jobs.job import Job, JobProgress, JobProgressCallback, JobState
from salmu_demo.jobs.store import JobStore, new_id
from tests.fixtures.jobs import SPEC

JOB = Job(new_id(), SPEC, JobState.QUEUED, "2026-01-02T03:04:05+00:00")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_seconds_are_summed_over_all_times_a_job_was_resumed(tmp_path: Path):
    clock = Clock()

    def work(report: JobProgressCallback) -> tuple[str, ...]:
        clock.now += 30
        report(JobProgress("stage", 1, 2, 0.5))
        clock.now += 12
        return ()

    job = JOB
    for times in (1, 2, 3):
        clock.now += 5000  # Nobody works between two times.
        job = Execution(job, JobStore(tmp_path), lambda: None, clock).run(work)
        assert job.seconds == 42 * times


def test_remaining_time_is_the_estimate_first_and_then_follows_the_pace(tmp_path: Path):
    clock = Clock()
    shown: list[float | None] = []

    def work(report: JobProgressCallback) -> tuple[str, ...]:
        for seconds, fraction in ((0, 0.0), (4, 0.0), (10, 0.1), (10, 0.2), (10, 0.3)):
            clock.now += seconds
            report(JobProgress("stage", 0, 1, fraction, remaining=77.0))
            assert execution.job.progress is not None
            shown.append(execution.job.progress.remaining)
        return ()

    execution = Execution(JOB, JobStore(tmp_path), lambda: None, clock)
    execution.run(work)
    assert shown[:2] == [77.0, 77.0]
    # A tenth in ten seconds.
    assert shown[2:] == pytest.approx([90.0, 80.0, 70.0])


def test_a_resumed_job_counts_the_pace_of_the_rest_only(tmp_path: Path):
    clock = Clock()
    shown: list[JobProgress | None] = []

    def work(report: JobProgressCallback) -> tuple[str, ...]:
        for fraction in (0.0, 0.5):
            report(JobProgress("stage", 0, 1, fraction))
            shown.append(execution.job.progress)
            clock.now += 10
        return ()

    before = replace(JOB, seconds=600.0, progress=JobProgress("stage", 0, 1, 0.8))
    execution = Execution(before, JobStore(tmp_path), lambda: None, clock)
    execution.run(work)
    assert [progress and (progress.fraction, progress.remaining) for progress in shown] == [
        (0.8, None), (pytest.approx(0.9), pytest.approx(10.0))
    ]  # fmt: skip


def test_a_slower_pace_raises_the_remaining_time_gradually():
    time = RemainingTime()
    steady = time.update(10, 0.1)
    slower = time.update(20, 0.11)
    much_later = time.update(320, 0.41)
    assert steady == pytest.approx(90)
    # At the new pace alone it would be 890 s.
    assert slower is not None
    assert 90 < slower < 890
    assert much_later == pytest.approx(590, rel=0.01)


def test_the_status_on_disk_follows_but_not_with_every_batch(tmp_path: Path):
    clock = Clock()
    written: list[int] = []

    def work(report: JobProgressCallback) -> tuple[str, ...]:
        for batch in range(6):
            clock.now += 0.9
            report(JobProgress("stage", batch, 6, batch / 6))
            status = json.loads((tmp_path / JOB.id / "status.json").read_text("utf-8"))
            written.append(-1 if status["progress"] is None else status["progress"]["done"])
        return ()

    Execution(JOB, JobStore(tmp_path), lambda: None, clock).run(work)
    assert written == [-1, -1, 2, 2, 2, 5]


def test_the_log_names_each_stage_of_a_model_once(tmp_path: Path):
    def work(report: JobProgressCallback) -> tuple[str, ...]:
        for model, stage in (("a", "first"), ("a", "first"), ("b", "first"), ("", "second")):
            report(JobProgress(stage, 0, 1, 0.0, model=model))
        return ("one failure",)

    Execution(JOB, JobStore(tmp_path), lambda: None).run(work)
    lines = (tmp_path / JOB.id / "log.txt").read_text("utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "running",
        "a: first",
        "b: first",
        "second",
        "done one failure",
    ]
