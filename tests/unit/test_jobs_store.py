"""Jobs on disk: what is written is read again, what is damaged harms nothing else, a dead process is noticed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import Unit
from salmu_demo.jobs.job import Job, JobProgress, JobSpec, JobState, job_document, read_job
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.kinds.unlearning import UnlearningOptions, UnlearningSpec
from salmu_demo.jobs.store import JobStore, new_id
from salmu_demo.models.roles import Told
from tests.fixtures.jobs import SPEC, TIMEOUT, StepwiseWork, at_once, jobs_of

JOB = Job(
    id=new_id(),
    spec=BenchmarkSpec(
        ("a", "local-dir:caf\udce9"),
        ("RetFail", "ACS"),
        data="folder",
        sample=40,
        seed=7,
        imagenet="val",
        architectures={"a": "ViT-B-16"},
        trust_pickle=True,
        told=Told("a"),
    ),
    state=JobState.INTERRUPTED,
    submitted="2026-01-02T03:04:05+00:00",
    started="2026-01-02T03:04:06+00:00",
    ended="2026-01-02T03:04:09.123+00:00",
    seconds=3.5,
    progress=JobProgress("images of forget", 64, 128, 0.25, 12.5, unit=Unit.IMAGES, model="a"),
    error="An error.",
    failures=("b: no such model",),
    owner="hash",
)


def test_a_job_that_was_written_is_read_again(tmp_path: Path):
    store = JobStore(tmp_path)
    for job in (JOB, replace(JOB, started=None, ended=None, progress=None, error=None, failures=())):
        store.write(job)
        assert store.read(JOB.id) == job
    assert store.ids() == [JOB.id]


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("id", 1), ("state", "dancing"), ("state", None), ("submitted", "yesterday"), ("started", 5), ("seconds", "3"),
        ("seconds", float("nan")), ("seconds", True), ("progress", []), ("progress", {"stage": "x"}), ("error", {}),
        ("failures", "text"), ("failures", [1]), ("owner", None), ("spec", None), ("spec", {}),
        ("spec", {**job_document(JOB)["spec"], "models": "a"}),
        ("spec", {**job_document(JOB)["spec"], "sample": 1.5}),
        ("spec", {**job_document(JOB)["spec"], "architectures": {"a": 1}}),
        ("spec", {**job_document(JOB)["spec"], "told": {"clean": 1}}),
    ],
)  # fmt: skip
def test_every_value_is_checked_and_the_wrong_one_named(where: str, value: Any):
    document = job_document(JOB)
    assert read_job(json.dumps(document)) == JOB
    with pytest.raises(JobError, match=where):
        read_job(json.dumps({**document, where: value}))


def test_a_job_of_a_version_that_was_told_nothing_is_read():
    document = job_document(JOB)
    del document["spec"]["told"]
    assert read_job(json.dumps(document)) == replace(JOB, spec=replace(JOB.spec, told=Told()))


def test_a_job_of_an_unknown_kind_keeps_what_all_kinds_have_in_common():
    document = job_document(JOB)
    document["spec"]["kind"] = "dance"
    found = read_job(json.dumps(document))
    assert found.spec == JobSpec(
        JOB.spec.models, kind="dance", data="folder", seed=7, architectures={"a": "ViT-B-16"}, trust_pickle=True
    )


OLD_BENCHMARK = """{
 "id": "k3Jf0-_aZ9qLmN4tRv7wXy",
 "spec": {
  "models": ["mini-clean", "mini-compromised"],
  "metrics": ["RetFail", "ACS"],
  "data": "mini",
  "sample": 40,
  "seed": 7,
  "imagenet": null,
  "architectures": {},
  "kind": "benchmark",
  "trust_pickle": false,
  "told": {"clean": "mini-clean", "compromised": null}
 },
 "state": "interrupted",
 "submitted": "2026-01-02T03:04:05.000000+00:00",
 "started": "2026-01-02T03:04:06.000000+00:00",
 "ended": "2026-01-02T03:04:09.123000+00:00",
 "seconds": 3.5,
 "progress": {
  "stage": "mini-clean: images of forget",
  "done": 64,
  "total": 128,
  "fraction": 0.25,
  "remaining": 12.5
 },
 "error": null,
 "failures": [],
 "owner": ""
}
"""
OLD_UNLEARNING = """{
 "id": "k3Jf0-_aZ9qLmN4tRv7wXy",
 "spec": {
  "models": ["mini-compromised"],
  "metrics": [],
  "data": "mini",
  "sample": null,
  "seed": 3,
  "imagenet": null,
  "architectures": {},
  "kind": "unlearn",
  "trust_pickle": false,
  "unlearning": {
   "method": "npo",
   "towers": "both",
   "budget": 640,
   "settings": {"batch_size": 8, "beta": 0.1},
   "forget_level": "unrelated",
   "retain_drop": 0.1
  },
  "told": {"clean": null, "compromised": null}
 },
 "state": "cancelled",
 "submitted": "2026-01-02T03:04:05.000000+00:00",
 "started": "2026-01-02T03:04:06.000000+00:00",
 "ended": "2026-01-02T03:04:09.123000+00:00",
 "seconds": 3.5,
 "progress": {"stage": "npo: steps", "done": 3, "total": 80, "fraction": 0.0375, "remaining": null},
 "error": null,
 "failures": [],
 "owner": "hash"
}
"""


def test_the_jobs_of_version_0_1_are_read():
    found = read_job(OLD_BENCHMARK)
    assert found.spec == BenchmarkSpec(
        ("mini-clean", "mini-compromised"), ("RetFail", "ACS"), sample=40, seed=7, told=Told("mini-clean")
    )
    assert (found.state, found.seconds) == (JobState.INTERRUPTED, 3.5)
    assert found.progress is not None
    assert (found.progress.text, found.progress.fraction) == ("mini-clean: images of forget", 0.25)
    found = read_job(OLD_UNLEARNING)
    options = UnlearningOptions("npo", "both", 640, {"batch_size": 8, "beta": 0.1}, "unrelated", 0.1)
    assert found.spec == UnlearningSpec(("mini-compromised",), options, seed=3)
    assert (found.owner, found.state) == ("hash", JobState.CANCELLED)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_damaged_status_is_a_failed_job_that_says_so_and_harms_no_other(tmp_path: Path, content: bytes):
    with jobs_of(tmp_path, at_once) as manager:
        good, bad = (manager.wait(manager.submit(SPEC).id, TIMEOUT) for _ in range(2))
        path = manager.folder(bad.id) / "status.json"
        path.write_bytes(content)
        found = manager.job(bad.id)
        assert found.state is JobState.FAILED
        assert found.error is not None
        assert found.error.startswith(f"The status file {path} is damaged (")
        assert found.error.endswith("; start the job anew.")
        assert {job.id: job.state for job in manager.jobs()} == {good.id: JobState.DONE, bad.id: JobState.FAILED}
        assert manager.cancel(bad.id) == found
        with pytest.raises(JobError, match="is damaged"):
            manager.resume(bad.id)
        assert manager.wait(manager.submit(SPEC).id, TIMEOUT).state is JobState.DONE
    assert path.read_bytes() == content


def test_a_status_that_was_moved_to_another_job_is_damaged(tmp_path: Path):
    store = JobStore(tmp_path)
    other = new_id()
    store.write(JOB)
    (tmp_path / JOB.id).rename(tmp_path / other)
    assert "it belongs to another job" in (store.read(other).error or "")


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_job_whose_process_died_is_interrupted_and_can_be_resumed(tmp_path: Path, state: JobState):
    JobStore(tmp_path).write(replace(JOB, state=state, ended=None, error=None))
    with jobs_of(tmp_path, StepwiseWork(4)) as manager:
        stored = json.loads((manager.folder(JOB.id) / "status.json").read_text("utf-8"))
        assert stored["state"] == "interrupted"
        job = manager.job(JOB.id)
        assert (job.state, job.seconds, job.progress) == (JobState.INTERRUPTED, JOB.seconds, JOB.progress)
        manager.resume(JOB.id)
        assert manager.wait(JOB.id, TIMEOUT).state is JobState.DONE


def test_a_job_that_was_to_be_cancelled_when_its_process_died_is_cancelled(tmp_path: Path):
    store = JobStore(tmp_path)
    store.write(replace(JOB, state=JobState.RUNNING))
    store.ask_to_cancel(JOB.id)
    assert store.settled(JOB.id).state is JobState.CANCELLED


def test_a_job_whose_lock_is_held_is_left_alone(tmp_path: Path):
    store = JobStore(tmp_path)
    running = replace(JOB, state=JobState.RUNNING)
    store.write(running)
    lock = store.acquire(JOB.id)
    assert store.settled(JOB.id) == running
    with pytest.raises(JobError, match="is running in another process"):
        store.acquire(JOB.id)
    lock.release()
    assert store.settled(JOB.id).state is JobState.INTERRUPTED


def test_other_things_in_the_folder_are_no_jobs(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    for name in ("short", JOB.id):
        (tmp_path / name).mkdir()
    (tmp_path / "short" / "status.json").write_text("{}")
    assert JobStore(tmp_path).ids() == []
    assert JobStore(tmp_path / "absent").ids() == []
