"""A kind of job is one class: registered, it is queued, kept, resumed and told about like the others."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from salmu_demo.core.errors import JobError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.jobs.job import KINDS, Estimate, JobKind, JobProgress, JobProgressCallback, JobSpec, JobState, register
from salmu_demo.jobs.kinds import facts_of, failed_of, title_of, words_of
from salmu_demo.jobs.manager import JobManager
from salmu_demo.ui.jobs.status import job_panel
from tests.fixtures.jobs import TIMEOUT


@dataclass(frozen=True)
class CountSpec(JobSpec):
    """How far to count."""

    to: int
    kind: str = field(default="count", kw_only=True)


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(KINDS, "count", None)  # Removed again after the test.

    @register
    class Count(JobKind[CountSpec]):
        """Counts, and fails at every third number."""

        name = "count"
        title = "Counting"
        failed = "Not every number could be said"
        spec = CountSpec

        def check(self, spec: CountSpec) -> None:
            if spec.to < 1:
                raise JobError("There is nothing to count; count to 1 at least.")

        def run(self, spec: CountSpec, workbench: Any, folder: Path, report: JobProgressCallback) -> tuple[str, ...]:
            failures = []
            for number in range(1, spec.to + 1):
                step = Progress("numbers", number, spec.to, unit=Unit.PARTS, model=spec.models[0])
                report(JobProgress.of(step, number / spec.to))
                (folder / f"{number}.txt").touch()
                if number % 3 == 0:
                    failures.append(f"{number} is hard to say.")
            return tuple(failures)

        def estimate(self, spec: CountSpec, workbench: Any) -> Estimate:
            return Estimate(float(spec.to), 0, 0)

        def words(self, spec: CountSpec) -> str:
            return f"counts to {spec.to}"

        def files(self, folder: Path) -> list[Path]:
            return sorted(folder.glob("[0-9].txt"))

    manager = JobManager(tmp_path, lambda data: None)  # type: ignore[arg-type, return-value]
    yield manager
    manager.close(0)


def test_a_third_kind_runs_is_kept_and_has_its_own_words(manager: JobManager):
    spec = CountSpec(("someone",), 4, data="folder")
    assert manager.estimate(spec).seconds == 4.0
    job = manager.wait(manager.submit(spec).id, TIMEOUT)
    assert (job.state, job.failures) == (JobState.DONE, ("3 is hard to say.",))
    # Another process that knows the kind reads the same from the disk.
    again = JobManager(manager.folder(job.id).parent, lambda data: None)  # type: ignore[arg-type, return-value]
    assert again.job(job.id) == job
    assert again.job(job.id).spec == spec
    files, model = again.results(job)
    assert ([file.name for file in files], model) == (["1.txt", "2.txt", "3.txt", "4.txt"], None)
    assert (title_of(spec), words_of(spec), failed_of(spec)) == (
        "Counting",
        "counts to 4",
        "Not every number could be said",
    )
    assert facts_of(spec) == {"models": "someone", "data": "folder"}
    panel = job_panel(job, None)
    assert 'aria-label="Counting job"' in panel
    assert "counts to 4" in panel
    assert "Not every number could be said:" in panel
    assert "someone: numbers" in (manager.folder(job.id) / "log.txt").read_text("utf-8")


def test_its_own_rules_hold(manager: JobManager):
    with pytest.raises(JobError, match="nothing to count"):
        manager.submit(CountSpec(("someone",), 0))
    job = manager.wait(manager.submit(CountSpec(("someone",), 1)).id, TIMEOUT)
    status = manager.folder(job.id) / "status.json"
    document = json.loads(status.read_text("utf-8"))
    document["spec"]["to"] = "far"
    status.write_text(json.dumps(document), "utf-8")
    assert 'spec.to is "far"; it must be a whole number' in (manager.job(job.id).error or "")


def test_where_it_is_not_registered_its_jobs_are_shown_but_not_run(
    manager: JobManager, monkeypatch: pytest.MonkeyPatch
):
    job = manager.wait(manager.submit(CountSpec(("someone",), 1)).id, TIMEOUT)
    monkeypatch.delitem(KINDS, "count")
    found = manager.job(job.id)
    assert (found.state, type(found.spec), title_of(found.spec)) == (JobState.DONE, JobSpec, "Unknown")
    assert facts_of(found.spec) == {"models": "someone", "data": "mini"}
    assert manager.results(found) == ([], None)
    with pytest.raises(JobError, match="There is no kind of job 'count'; known: benchmark, attack, unlearn"):
        manager.submit(found.spec)
