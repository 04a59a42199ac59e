"""The queue: what is run when, stopped, resumed, refused, and what other processes see."""

import json
import os
import sys
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.core.errors import JobError, MetricError, QueryError, StorageError
from salmu_demo.jobs import store
from salmu_demo.jobs.execution import FAULT
from salmu_demo.jobs.job import JobProgress, JobSpec, JobState
from salmu_demo.jobs.manager import NICENESS, JobManager
from tests.fixtures.jobs import PARTS, SPEC, TIMEOUT, StepwiseWork, at_once, jobs_of


def test_a_job_is_queued_runs_and_is_done(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job = manager.submit(SPEC, "someone")
        assert (job.state, job.spec, job.owner, job.started) == (JobState.QUEUED, SPEC, "someone", None)
        work.reach()
        running = manager.job(job.id)
        assert (running.state, running.ended) == (JobState.RUNNING, None)
        assert running.progress is not None
        assert (running.progress.stage, running.progress.fraction) == ("part 0", 0.0)
        work.permit(PARTS)
        done = manager.wait(job.id, TIMEOUT)
    assert (done.state, done.error, done.failures) == (JobState.DONE, None, ())
    assert done.submitted <= (done.started or "") <= (done.ended or "")
    assert done.progress is not None
    assert (done.progress.fraction, done.progress.remaining) == (1.0, None)
    with jobs_of(tmp_path, work) as later:
        assert later.jobs() == [done]


def test_what_could_not_be_done_is_kept_with_the_job(tmp_path: Path):
    with jobs_of(tmp_path, lambda *_: ("b: There is no model b.",)) as manager:
        done = manager.wait(manager.submit(SPEC).id, TIMEOUT)
        assert (done.state, done.failures) == (JobState.DONE, ("b: There is no model b.",))
        assert "There is no model b." in (manager.folder(done.id) / "log.txt").read_text("utf-8")


def test_jobs_run_one_after_another_in_the_order_they_came(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        first, second, third = (manager.submit(SPEC).id for _ in range(3))
        work.reach()
        assert [manager.position(job) for job in (first, second, third)] == [None, 0, 1]
        assert manager.waiting == 2
        work.permit(PARTS)
        manager.wait(first, TIMEOUT)
        for _ in range(PARTS):
            work.reach()
        assert [manager.position(job) for job in (second, third)] == [None, 0]
        assert [job.id for job in manager.jobs()] == [third, second, first]
        work.permit(2 * PARTS)
        assert manager.wait(third, TIMEOUT).state is JobState.DONE


def test_five_submit_and_twenty_poll_and_no_job_is_lost(tmp_path: Path):
    work = StepwiseWork()
    submitted: list[str] = []
    refused: list[str] = []
    seen: Counter[JobState] = Counter()
    problems: list[BaseException] = []
    over = threading.Event()
    with jobs_of(tmp_path, work, max_queued=6) as manager:
        blocking = manager.submit(SPEC).id
        work.reach()

        def submit() -> None:
            for _ in range(4):
                try:
                    submitted.append(manager.submit(SPEC).id)
                except JobError as error:
                    refused.append(str(error))

        def poll() -> None:
            try:
                while not over.is_set():
                    assert manager.waiting <= 6
                    seen.update(job.state for job in manager.jobs())
                    over.wait(0.01)
            except BaseException as error:
                problems.append(error)

        threads = [threading.Thread(target=submit) for _ in range(5)]
        threads += [threading.Thread(target=poll) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads[:5]:
            thread.join(TIMEOUT)
        assert len(submitted) == 6
        assert refused == ["6 jobs are waiting already; try again when one of them has begun."] * 14
        work.permit(7 * PARTS)
        ended = [manager.wait(job_id, TIMEOUT) for job_id in [blocking, *submitted]]
        over.set()
        for thread in threads[5:]:
            thread.join(TIMEOUT)
        assert problems == []
        assert seen.keys() <= {JobState.QUEUED, JobState.RUNNING, JobState.DONE}
        assert [job.state for job in ended] == [JobState.DONE] * 7
        assert {job.id for job in manager.jobs()} == {blocking, *submitted}
    assert work.done == list(range(PARTS)) * 7


def test_an_owner_has_one_job_at_a_time(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work, one_per_owner=True) as manager:
        first = manager.submit(SPEC, "someone")
        manager.submit(SPEC, "another")
        with pytest.raises(JobError, match="You have a job that is not over yet"):
            manager.submit(SPEC, "someone")
        work.permit(PARTS)
        manager.wait(first.id, TIMEOUT)
        assert manager.submit(SPEC, "someone").state is JobState.QUEUED


def test_cancelling_a_waiting_job_ends_it_at_once(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        manager.submit(SPEC)
        work.reach()
        waiting = manager.submit(SPEC).id
        assert manager.cancel(waiting).state is JobState.CANCELLED
        assert (manager.position(waiting), manager.waiting) == (None, 0)
    with jobs_of(tmp_path, work) as later:
        assert later.job(waiting).state is JobState.CANCELLED


def test_cancelling_a_running_job_stops_it_at_its_next_report(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job = manager.submit(SPEC)
        work.reach()
        assert manager.cancel(job.id).state is JobState.CANCELLING
        work.permit(PARTS)
        ended = manager.wait(job.id, TIMEOUT)
        assert (ended.state, ended.error) == (JobState.CANCELLED, None)
        assert work.done == [0]
        assert manager.cancel(job.id) == ended


def test_a_resumed_job_goes_on_where_it_stopped(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job = manager.submit(SPEC)
        work.permit(2)
        for _ in range(3):
            work.reach()
        manager.cancel(job.id)
        work.permit()
        stopped = manager.wait(job.id, TIMEOUT)
        assert stopped.progress is not None
        assert stopped.progress.fraction == 0.5
        assert work.done == [0, 1, 2]
        resumed = manager.resume(job.id)
        assert (resumed.state, resumed.ended, resumed.started) == (JobState.QUEUED, None, stopped.started)
        work.reach()
        running = manager.job(job.id).progress
        assert running is not None
        assert running.fraction == 0.5
        work.permit()
        done = manager.wait(job.id, TIMEOUT)
        assert done.state is JobState.DONE
        assert work.done == [0, 1, 2, 3]
        assert done.seconds >= stopped.seconds
        with pytest.raises(JobError, match="is done; only one that was stopped can be resumed"):
            manager.resume(job.id)


def test_a_job_that_is_not_over_cannot_be_resumed(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job = manager.submit(SPEC)
        work.reach()
        with pytest.raises(JobError, match="is running; only one"):
            manager.resume(job.id)


def test_an_error_of_the_user_becomes_the_jobs_sentence(tmp_path: Path):
    def work(*_: object) -> tuple[str, ...]:
        raise QueryError("Choose a model.")

    with jobs_of(tmp_path, work) as manager:
        job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
        assert (job.state, job.error) == (JobState.FAILED, "Choose a model.")
        # The next one runs all the same.
        assert manager.wait(manager.submit(SPEC).id, TIMEOUT).state is JobState.FAILED


def test_a_fault_of_ours_is_told_by_the_log_only(tmp_path: Path):
    def work(*_: object) -> tuple[str, ...]:
        raise ZeroDivisionError("secret detail")

    with jobs_of(tmp_path, work) as manager:
        job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
        assert (job.state, job.error) == (JobState.FAILED, FAULT)
        assert "secret detail" not in (manager.folder(job.id) / "status.json").read_text("utf-8")
        log = (manager.folder(job.id) / "log.txt").read_text("utf-8")
        assert "Traceback" in log
        assert "secret detail" in log


def test_closing_interrupts_what_runs_and_what_waits(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        running, waiting = (manager.submit(SPEC).id for _ in range(2))
        work.reach()
        work.permit(PARTS)
        manager.close(TIMEOUT)
        assert [manager.job(job_id).state for job_id in (running, waiting)] == [JobState.INTERRUPTED] * 2
        with pytest.raises(JobError, match="is being closed"):
            manager.submit(SPEC)
    with jobs_of(tmp_path, StepwiseWork(2 * PARTS)) as later:
        for job_id in (running, waiting):
            later.resume(job_id)
        assert [later.wait(job_id, TIMEOUT).state for job_id in (running, waiting)] == [JobState.DONE] * 2


def test_closing_does_not_wait_for_a_long_batch_and_marks_its_job_all_the_same(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job_id = manager.submit(SPEC).id
        work.reach()
        manager.close(0)
        status = json.loads((tmp_path / job_id / "status.json").read_text("utf-8"))
        assert (status["state"], status["ended"] is None) == ("interrupted", False)
        assert not (tmp_path / job_id / "reserve").exists()
        work.permit(PARTS)


def test_another_manager_sees_a_job_run_and_can_cancel_but_not_resume_it(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager, jobs_of(tmp_path, at_once) as other:
        job = manager.submit(SPEC)
        work.reach()
        assert other.job(job.id).state is JobState.RUNNING
        with pytest.raises(JobError, match="is running"):
            other.resume(job.id)
        assert other.cancel(job.id).state is JobState.CANCELLING
        assert manager.job(job.id).state is JobState.CANCELLING
        work.permit(PARTS)
        assert other.wait(job.id, TIMEOUT).state is JobState.CANCELLED
        assert work.done == [0]
        # The wish to cancel does not outlive the resumption.
        other.resume(job.id)
        assert other.wait(job.id, TIMEOUT).state is JobState.DONE


@pytest.mark.parametrize("job_id", ["", "..", "../../etc/passwd", "a" * 22 + "\n", "a" * 21 + "/", "é" * 22, "x" * 400])
def test_what_is_no_id_is_refused_before_it_becomes_a_path(tmp_path: Path, job_id: str):
    with jobs_of(tmp_path / "runs", at_once) as manager:
        for method in (manager.job, manager.cancel, manager.resume, manager.folder, manager.wait):
            with pytest.raises(JobError, match="is not a job id"):
                method(job_id)


def test_an_unknown_id_is_refused(tmp_path: Path):
    with jobs_of(tmp_path, at_once) as manager:
        for method in (manager.job, manager.cancel, manager.resume):
            with pytest.raises(JobError, match=f"There is no job {'a' * 22}"):
                method("a" * 22)
    assert list(tmp_path.iterdir()) == []


def test_ids_cannot_be_guessed(tmp_path: Path):
    with jobs_of(tmp_path, at_once, max_queued=50) as manager:
        ids = {manager.submit(SPEC).id for _ in range(30)}
    assert len(ids) == 30
    assert all(len(job_id) == 22 and job_id[0].isalnum() for job_id in ids)


def test_a_job_that_makes_no_sense_is_refused(tmp_path: Path):
    manager = JobManager(tmp_path)
    with pytest.raises(JobError, match="No model is chosen"):
        manager.submit(replace(SPEC, models=()))
    with pytest.raises(MetricError, match="retfale"):
        manager.submit(replace(SPEC, metrics=("retfale",)))
    with pytest.raises(JobError, match="no kind of job 'dance'; known: benchmark"):
        manager.submit(replace(SPEC, kind="dance"))
    assert manager.jobs() == []


def test_a_folder_that_cannot_be_written_refuses_jobs_with_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with jobs_of(tmp_path / "file" / "runs", at_once) as manager:
        assert manager.jobs() == []
        with pytest.raises(StorageError, match=r"cannot be written: .*; set SALMU_RUNS_DIR"):
            manager.submit(SPEC)
        assert (manager.waiting, manager.jobs()) == (0, [])


def test_a_full_disk_fails_the_job_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        before = manager.submit(SPEC)
        work.permit(PARTS)
        before = manager.wait(before.id, TIMEOUT)
        for _ in range(PARTS):
            work.reach()
        job = manager.submit(SPEC)
        work.reach()
        with monkeypatch.context() as patch:
            patch.setattr("salmu_demo.jobs.store.write_text", _no_room)
            patch.setattr("salmu_demo.jobs.execution.WRITE_SECONDS", 0)
            work.permit()
            failed = manager.wait(job.id, TIMEOUT)
            assert (failed.state, failed.error) == (JobState.FAILED, "The disk is full.")
            with pytest.raises(StorageError, match="The disk is full"):
                manager.submit(SPEC)
            assert [(found.id, found.state) for found in manager.jobs()] == [
                (job.id, JobState.FAILED), (before.id, JobState.DONE)
            ]  # fmt: skip
        assert manager.job(job.id) == failed
        manager.resume(job.id)
        work.permit(PARTS)
        assert manager.wait(job.id, TIMEOUT).state is JobState.DONE
        assert work.done == [*range(PARTS), *range(PARTS)]
        assert manager.job(before.id) == before


class FullDisk:
    """A disk with no room for the job's writes from a certain one on, but for what is made by removing files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
        self._left = first
        self._write = store.write_text
        monkeypatch.setattr(store, "write_text", self._write_text)

    def _write_text(self, target: Path, text: str, what: str) -> None:
        self._left -= 1
        if self._left < 0 and (target.parent / "reserve").exists():
            raise StorageError("The disk is full.")
        self._write(target, text, what)


def test_a_job_that_cannot_be_written_at_all_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    FullDisk(monkeypatch, 0)
    with jobs_of(tmp_path, at_once) as manager, pytest.raises(StorageError, match="The disk is full"):
        manager.submit(SPEC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", range(1, PARTS + 4))
def test_whenever_the_disk_becomes_full_the_state_on_disk_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
):
    monkeypatch.setattr("salmu_demo.jobs.execution.WRITE_SECONDS", 0)
    with monkeypatch.context() as patch, jobs_of(tmp_path, StepwiseWork(PARTS)) as manager:
        FullDisk(patch, first)
        told = manager.wait(manager.submit(SPEC).id, TIMEOUT)
    # The last write, of what is done, has the room that was kept for it.
    expected = (JobState.FAILED, "The disk is full.") if first < PARTS + 2 else (JobState.DONE, None)
    assert (told.state, told.error) == expected
    [status] = tmp_path.glob("*/status.json")
    assert json.loads(status.read_text("utf-8"))["state"] == told.state
    assert not (status.parent / "reserve").exists()
    with jobs_of(tmp_path, at_once) as later:
        assert later.job(told.id) == told


def test_a_done_job_whose_end_cannot_be_written_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def work(spec: JobSpec, workbench: object, folder: Path, report: object) -> tuple[str, ...]:
        monkeypatch.setattr("salmu_demo.jobs.store.write_text", _no_room)
        return ()

    with jobs_of(tmp_path, work) as manager:
        job = manager.wait(manager.submit(SPEC).id, TIMEOUT)
        assert (job.state, job.error) == (JobState.FAILED, "The disk is full.")
    monkeypatch.undo()
    with jobs_of(tmp_path, at_once) as later:
        assert later.job(job.id).state is JobState.INTERRUPTED
        later.resume(job.id)
        assert later.wait(job.id, TIMEOUT).state is JobState.DONE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priority belongs to the process")
def test_a_process_that_is_nicer_still_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def set_priority(which: int, who: int, priority: int) -> None:
        if priority < 19:
            raise PermissionError("Only root may be less nice than before.")

    monkeypatch.setattr("os.getpriority", lambda which, who: 19)
    monkeypatch.setattr("os.setpriority", set_priority)
    with jobs_of(tmp_path, at_once) as manager:
        assert manager.wait(manager.submit(SPEC).id, TIMEOUT).state is JobState.DONE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere priority belongs to the process")
def test_work_and_the_threads_it_starts_have_a_lower_priority_than_the_rest(tmp_path: Path):
    found: list[int] = []

    def work(spec: JobSpec, workbench: object, folder: Path, report: object) -> tuple[str, ...]:
        def look() -> None:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

        look()
        helper = threading.Thread(target=look)
        helper.start()
        helper.join()
        return ()

    with jobs_of(tmp_path, work) as manager:
        manager.wait(manager.submit(SPEC).id, TIMEOUT)
    assert found == [NICENESS, NICENESS]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < NICENESS


def test_several_workers_run_several_jobs_at_a_time(tmp_path: Path):
    together = threading.Barrier(2)

    def work(spec: JobSpec, workbench: object, folder: Path, report: object) -> tuple[str, ...]:
        together.wait(TIMEOUT)
        return ()

    with jobs_of(tmp_path, work, workers=2) as manager:
        ids = [manager.submit(SPEC).id for _ in range(2)]
        assert [manager.wait(job_id, TIMEOUT).state for job_id in ids] == [JobState.DONE] * 2


def test_waiting_ends_after_its_time(tmp_path: Path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        job = manager.submit(SPEC)
        work.reach()
        assert manager.wait(job.id, 0.01).state is JobState.RUNNING


def test_progress_never_goes_back(tmp_path: Path):
    shown: list[float] = []

    def work(spec: JobSpec, workbench: object, folder: Path, report: object) -> tuple[str, ...]:
        for fraction in (0.4, 0.2, 0.6):
            report(JobProgress("stage", 0, 1, fraction))  # type: ignore[operator]
            (job,) = manager.jobs()
            assert job.progress is not None
            shown.append(job.progress.fraction)
        return ()

    with jobs_of(tmp_path, work) as manager:
        assert manager.wait(manager.submit(SPEC).id, TIMEOUT).error is None
    assert shown == [0.4, 0.4, 0.6]


def _no_room(*_: object) -> None:
    raise StorageError("The disk is full.")
