"""The Unlearn tab for every state of a run, without a browser: readings, what may be kept, the model that was made."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.jobs.job import JobProgress, JobProgressCallback, JobState
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, BenchmarkSpec
from salmu_demo.jobs.kinds.unlearning import UNLEARN, UnlearningOptions, UnlearningSpec, model_folder, save_reading
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.lineage import RECORD_FILE
from salmu_demo.models.roles import NOTHING_TOLD
from salmu_demo.ui.app import tab_of_job
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.ui.tabs.unlearn.view import UnlearnPages
from salmu_demo.unlearning.training_metrics import TrainingMetrics
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.jobs import TIMEOUT, StepwiseWork, at_once, doing
from tests.fixtures.tiny import IN_BOTH, MODELS

SPEC = UnlearningSpec(("mini-compromised",), UnlearningOptions("npo", "both", 64))
READING = TrainingMetrics(0, 0, None, 0.8, 1.0, 0.9, 0.1, {"00000001": 1.0}, 96)


@pytest.fixture(scope="module")
def workbench(tiny_assets: Path) -> Workbench:
    return Workbench()


@pytest.fixture
def work() -> StepwiseWork:
    return StepwiseWork()


@pytest.fixture
def manager(tmp_path: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch, work: StepwiseWork):
    monkeypatch.setenv("SALMU_RUNS_DIR", str(tmp_path))

    def run(spec: UnlearningSpec, bench: object, folder: Path, report: JobProgressCallback) -> tuple[str, ...]:
        def told(progress: JobProgress) -> None:
            save_reading(folder, replace(READING, step=progress.done, forget_pairs=8 * progress.done))
            report(progress)

        work(spec, bench, folder, told)
        shutil.copytree(tiny_assets / "models" / "mini-clean", model_folder(spec, folder))
        return ()

    kinds = {name: doing(name, own) for name, own in ((UNLEARN, run), (BENCHMARK, at_once))}
    manager = JobManager(tmp_path, lambda data: None, kinds=kinds)  # type: ignore[arg-type, return-value]
    yield manager
    manager.close(0)


def test_a_run_can_be_kept_once_there_is_a_checkpoint(
    workbench: Workbench, manager: JobManager, work: StepwiseWork, monkeypatch: pytest.MonkeyPatch
):
    pages = UnlearnPages(workbench, manager)
    assert "No model made yet" in pages.page(None, []).panel
    job = manager.submit(SPEC)
    work.reach()
    first = pages.page(job.id, [job.id])
    assert (first.can_cancel, first.can_keep, first.finished) == (True, False, "")
    assert "Zoë Åström" in first.live
    work.permit()
    work.reach()
    moment = pages.progress(job.id)
    assert moment is not None
    assert moment.can_keep
    assert moment.live != first.live
    work.permit(100)
    manager.wait(job.id, TIMEOUT)
    done = pages.page(job.id, [job.id])
    assert (done.can_cancel, done.can_keep, done.finished) == (False, False, job.id)
    made = pages.made(job.id)
    assert made.base == "mini-compromised"
    assert made.reference.startswith("made:npo-")
    assert "unlearned here" in made.facts
    assert made.card.startswith("### mini-clean")
    assert f"`salmu-demo models push {made.reference} ORG/NAME`" in made.card
    monkeypatch.setenv("SPACE_ID", "org/space")
    assert "models push" not in pages.made(job.id).card
    assert pages.made_by([job.id, "A" * 22]) == [made.reference]
    shutil.rmtree(model_folder(SPEC, manager.folder(job.id)))
    assert pages.page(job.id, [job.id]).finished == ""
    with pytest.raises(ResultError, match="model of this job is gone"):
        pages.made(job.id)


def test_a_model_that_was_asked_to_forget_somebody_tells_what_became_of_it(
    workbench: Workbench, manager: JobManager, work: StepwiseWork, tiny_assets: Path
):
    work.permit(100)
    spec = replace(SPEC, unlearning=replace(SPEC.unlearning, forget=(IN_BOTH[0],)))
    job = manager.wait(manager.submit(spec).id, TIMEOUT)
    pages, folder = UnlearnPages(workbench, manager), model_folder(spec, manager.folder(job.id))
    assert not pages.made(job.id).was_asked
    shutil.rmtree(folder)
    shutil.copytree(tiny_assets / "models" / MODELS[2], folder)
    (base,) = workbench.models(["mini-compromised"])

    def record(fingerprint: str) -> None:
        written = {
            "base": {"name": base.name, "fingerprint": fingerprint},
            "data": {"fingerprint": workbench.data.fingerprint},
            "requests": [[IN_BOTH[0]]],
        }
        (folder / RECORD_FILE).write_text(json.dumps(written), "utf-8")

    record(base.fingerprint)
    assert pages.made(job.id).was_asked
    # What it was made from need not be listed, and what is gone is of no importance.
    shown = pages.followed(job.id, ["mini-clean", "local-dir:gone"], NOTHING_TOLD)
    assert f"Asked for, run 1 ({folder.name}): 孫 美玲 ({IN_BOTH[0]})." in shown
    for head in ("mini-compromised", folder.name, "run 1", "everybody else"):
        assert f'<th scope="col" role="columnheader">{head}</th>' in shown
    assert "mini-clean" not in shown
    record("b" * 64)
    with pytest.raises(QueryError, match="which is not among these models; name it with them"):
        pages.followed(job.id, ["mini-clean"], NOTHING_TOLD)


def test_each_tab_shows_the_jobs_of_its_kind(workbench: Workbench, manager: JobManager, work: StepwiseWork):
    work.permit(100)
    measured, made = (manager.submit(spec).id for spec in (BenchmarkSpec(("a",), ("RetFail",)), SPEC))
    for job_id in (measured, made):
        assert manager.wait(job_id, TIMEOUT).state is JobState.DONE
    own = [measured, made]
    for pages, shown, other in (
        (BenchmarkPages(workbench, manager), measured, made),
        (UnlearnPages(workbench, manager), made, measured),
    ):
        page = pages.page(None, own, latest=True)
        assert page.job_id == shown
        assert other not in page.jobs
        assert pages.page(other, own, latest=True).job_id == shown
        assert pages.page(other, own).job_id == ""
    # A damaged job has forgotten its kind: no link to it may lead nowhere.
    (manager.folder(measured) / "status.json").write_text("{", "utf-8")
    for pages in (BenchmarkPages(workbench, manager), UnlearnPages(workbench, manager)):
        page = pages.page(measured, own)
        assert (page.job_id, page.can_resume) == (measured, False)
        assert "is damaged" in page.panel
    measured = manager.wait(manager.submit(BenchmarkSpec(("a",), ("RetFail",))).id, TIMEOUT).id
    tabs = [tab_of_job(manager, View(tab="benchmark", job=job_id)) for job_id in (measured, made, "A" * 22)]
    assert tabs == ["benchmark", "unlearn", "benchmark"]
    assert tab_of_job(manager, View(tab="about", job=made)) == "about"
