"""The Benchmark tab for every state of a job, without a browser: what a visitor sees, may do and may not see."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.schema import AttackedModel
from salmu_demo.core.errors import QueryError, ResultError
from salmu_demo.jobs.job import JobSpec, JobState
from salmu_demo.jobs.kinds.attack import ATTACK, AttackSpec
from salmu_demo.jobs.kinds.benchmark import BENCHMARK, REPORT_FOLDER, BenchmarkSpec, attach
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import Told
from salmu_demo.reports.files import write_reports
from salmu_demo.results.analysis import analyse
from salmu_demo.results.document import RESULTS_FILE
from salmu_demo.results.records import Evaluation, MeasuredData
from salmu_demo.ui.jobs import outcomes
from salmu_demo.ui.jobs.outcomes import BUILT_IN
from salmu_demo.ui.jobs.page import MOST_JOBS, JobMoment, own_ids, with_job
from salmu_demo.ui.tabs.benchmark.page import BenchmarkPages
from salmu_demo.ui.widgets.components import served
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import results, tiny
from tests.fixtures.jobs import SPEC, TIMEOUT, StepwiseWork, at_once, doing, jobs_of
from tests.unit.test_reports_attacks import document as attacks_document
from tests.unit.test_reports_attacks import record


@pytest.fixture(scope="module")
def workbench(tiny_assets) -> Workbench:
    return Workbench()


@pytest.fixture(scope="module")
def made(workbench, plain_figures, tmp_path_factory) -> Path:
    """The reports of three models on the page's data."""
    folder = tmp_path_factory.mktemp("made")
    here = MeasuredData("mini", workbench.data.fingerprint)
    write_reports(analyse(results.evaluations(data=here)), folder)
    return folder


@contextmanager
def jobs_with(made: Path, workbench, root: Path) -> Iterator[tuple[JobManager, list[str]]]:
    """A manager and the ids of two finished jobs with the same numbers: on the page's data, and on other data."""

    def work(spec: JobSpec, bench, folder: Path, report) -> tuple[str, ...]:
        shutil.copytree(made, folder / REPORT_FOLDER)
        if spec.data != "mini":
            document = folder / REPORT_FOLDER / RESULTS_FILE
            text = document.read_text("utf-8").replace(workbench.data.fingerprint, "d" * 64)
            document.write_text(text, "utf-8")
        return ()

    with jobs_of(root / "runs", work) as manager:
        ids = [manager.submit(BenchmarkSpec(("a",), ("RetFail",), data=data)).id for data in ("mini", "elsewhere")]
        for job_id in ids:
            assert manager.wait(job_id, TIMEOUT).state is JobState.DONE
        yield manager, ids


@pytest.fixture(scope="module")
def finished(workbench, made, tmp_path_factory) -> Iterator[tuple[JobManager, list[str]]]:
    """Jobs with the reports of all metrics."""
    with jobs_with(made, workbench, tmp_path_factory.mktemp("jobs")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(workbench, finished) -> BenchmarkPages:
    return BenchmarkPages(workbench, finished[0])


def test_without_a_job_the_page_says_what_to_do(workbench, tmp_path):
    with jobs_of(tmp_path, at_once) as manager:
        page = BenchmarkPages(workbench, manager).page(None, [], latest=True)
    assert "No results yet" in page.panel
    assert (page.job_id, page.jobs, page.queue, page.polling, page.finished) == ("", "", "", False, "")


def test_a_job_that_is_not_there_is_said_and_not_asked_for_again(workbench, tmp_path):
    with jobs_of(tmp_path, at_once) as manager:
        pages = BenchmarkPages(workbench, manager)
        page = pages.page("A" * 22, ["A" * 22])
        assert "There is no job" in page.panel
        assert (page.job_id, page.jobs, page.polling) == ("", "", False)
        assert pages.progress("A" * 22) is None
        assert pages.progress("") is None


def test_from_waiting_to_the_end_through_cancel_and_resume(workbench, tmp_path):
    work = StepwiseWork()
    with jobs_of(tmp_path, work) as manager:
        pages = BenchmarkPages(workbench, manager)
        first, second = (manager.submit(SPEC).id for _ in range(2))
        work.reach()
        running, waiting = pages.page(first, [first]), pages.page(second, [second])
        assert (running.polling, running.can_cancel, running.can_resume, running.finished) == (True, True, False, "")
        assert "Running" in running.panel
        assert "Yours is next" in waiting.panel
        assert pages.progress(first) == JobMoment(running.panel, "", can_cancel=True, can_keep=False)
        assert "1 job of other visitors" in running.queue
        assert second not in running.jobs + running.panel

        manager.cancel(first)
        assert "Cancelling" in pages.page(first, [first]).panel
        work.permit()
        manager.wait(first, TIMEOUT)
        cancelled = pages.page(first, [first])
        assert (cancelled.polling, cancelled.can_cancel, cancelled.can_resume) == (False, False, True)
        assert pages.progress(first) is None

        work.permit(100)
        manager.wait(second, TIMEOUT)
        manager.resume(first)
        manager.wait(first, TIMEOUT)
        done = pages.page(first, [first, second])
        assert (done.polling, done.can_cancel, done.can_resume, done.finished) == (False, False, False, first)
        assert done.queue == ""


def test_a_browser_finds_its_latest_job_and_keeps_a_few(workbench, tmp_path):
    with jobs_of(tmp_path, at_once) as manager:
        pages = BenchmarkPages(workbench, manager)
        old, new = (manager.submit(SPEC).id for _ in range(2))
        page = pages.page(None, ["A" * 22, new, old], latest=True)
        assert page.job_id == new
        assert page.jobs.index(new) < page.jobs.index(old)
        assert "A" * 22 not in page.jobs
        assert pages.page(None, [new], latest=False).job_id == ""
    many = [f"{n:022d}" for n in range(30)]
    assert with_job(many[25], many)[:2] == [many[25], many[0]]
    assert len(with_job("B" * 22, many)) == len(own_ids(many)) == MOST_JOBS


def test_a_finished_job_is_analysed_once(finished, workbench, monkeypatch):
    manager, (here, _) = finished
    counted = []
    monkeypatch.setattr(outcomes, "analyse", lambda read: counted.append(1) or analyse(read))
    fresh = BenchmarkPages(workbench, manager)
    for _ in range(3):
        fresh.results(here)
        fresh.pair(here, 0, 1)
        fresh.groups(here, "RetFail", 0)
    assert len(counted) == 1


def test_results_come_with_diagnosis_tables_and_every_figure(finished, pages):
    page, figures = pages.results(finished[1][0]), pages.figures(finished[1][0])
    assert "3 models on mini" in page.head
    assert "ineffective forgetting" in page.head
    assert "1.1 RetFail" in page.metrics
    assert figures.count("<svg ") == figures.count("-landscape.pdf") == len(page.outcome.files.figures) > 4
    assert '<a href="?persona=00000001&amp;kind=city" tabindex="-1"' in figures
    assert "?persona=" not in pages.figures(finished[1][1])
    assert page.groups[0] == "RetFail"
    assert page.pair == (0, 2)


@pytest.fixture
def shipped(workbench, monkeypatch) -> dict[str, Evaluation]:
    """What is shipped of the built-in models, by name."""
    here = MeasuredData(workbench.data.name, workbench.data.fingerprint)
    built_in = [
        replace(evaluation, model=replace(evaluation.model, name=name, reference=name, fingerprint=f"{number:064d}"))
        for number, (name, evaluation) in enumerate(zip(tiny.MODELS, results.evaluations(data=here), strict=True), 7)
    ]
    found = dict(zip(tiny.MODELS, built_in, strict=True))
    monkeypatch.setattr(workbench, "shipped_evaluation", lambda model, metrics, gold: found[model.reference])
    return found


def test_what_is_shipped_is_shown_without_a_job(finished, workbench, shipped, monkeypatch):
    manager, ids = finished
    pages = BenchmarkPages(workbench, manager)
    page = pages.page(None, [])
    assert (page.job_id, page.panel, page.finished) == ("", "", BUILT_IN)
    assert pages.page(ids[0], []).finished == ids[0]
    assert "Job not found" in pages.page("A" * 22, []).panel

    found = pages.results(BUILT_IN)
    assert "3 models on mini" in found.head
    assert "shipped with the built-in models" in found.head
    assert (found.outcome.files, found.can_attack) == (None, False)
    drawn = pages.figures(BUILT_IN)
    assert drawn.count("<svg ") > 4
    # Drawn once for all visitors.
    monkeypatch.setattr(outcomes, "figure_svg", lambda figure: pytest.fail("drawn again"))
    assert pages.figures(BUILT_IN) == drawn
    # No job of attacks is to belong to it.
    assert not pages.measured(BUILT_IN, tiny.MODELS)

    monkeypatch.setattr(workbench, "shipped_evaluation", lambda model, metrics, gold: None)
    assert "No results yet" in pages.page(None, []).panel
    with pytest.raises(ResultError, match="No results of the built-in models are shipped"):
        BenchmarkPages(workbench, manager).results(BUILT_IN)


def test_what_is_shipped_stands_beside_a_job(workbench, plain_figures, shipped, tmp_path):
    # A table of all models is written anew, as quick as one metric makes it.
    shipped |= {name: results.only(evaluation, "AssocStr") for name, evaluation in shipped.items()}
    here = MeasuredData("mini", workbench.data.fingerprint)
    few = [results.only(evaluation, "AssocStr") for evaluation in results.evaluations(data=here)]
    write_reports(analyse(few), tmp_path / "made")
    with jobs_with(tmp_path / "made", workbench, tmp_path) as (manager, ids):
        pages = BenchmarkPages(workbench, manager)
        assert pages.companions(ids[0], ids) == [("The built-in models", BUILT_IN)]
        assert pages.companions(ids[1], ids) == []
        assert [job for _, job in pages.companions(BUILT_IN, ids)] == [ids[0]]
        for job_id, other in ((BUILT_IN, ids[0]), (ids[0], BUILT_IN)):
            names = [label.split()[1] for label, _ in pages.results(job_id, [other]).models]
            assert names[: len(tiny.MODELS)] == list(tiny.MODELS)
            assert len(names) == len(tiny.MODELS) + len(results.NAMES)


def test_images_and_names_only_for_the_data_of_the_page(finished, pages):
    here, elsewhere = finished[1]
    assert '<a href="?persona=00000001">' in pages.groups(here, "RetFail", 0)
    assert "no-image" in pages.pair(here, 0, 1)  # These files are not in the data set.
    assert "<a " not in pages.groups(elsewhere, "RetFail", 0)
    assert "for the data set of this page only" in pages.pair(elsewhere, 0, 1)


def test_attacks_on_an_evaluation_are_told_in_its_place(workbench, made, tmp_path):
    found = attacks_document(record("linear-map", 0.4, model=results.NAMES[2]))
    found.data.fingerprint = workbench.data.fingerprint
    found.models = [AttackedModel(name=results.NAMES[2], reference=results.NAMES[2], fingerprint=f"{2:064d}")]

    def evaluate(spec: JobSpec, bench, folder: Path, report) -> tuple[str, ...]:
        shutil.copytree(made, folder / REPORT_FOLDER)
        return ()

    def attack(spec: AttackSpec, bench, folder: Path, report) -> tuple[str, ...]:
        write_attacks(found, folder / REPORT_FOLDER)
        return ()

    kinds = {BENCHMARK: doing(BENCHMARK, evaluate), ATTACK: doing(ATTACK, attack)}
    manager = JobManager(tmp_path, lambda data: None, kinds=kinds)
    try:
        evaluation = manager.wait(manager.submit(SPEC).id, TIMEOUT).id
        pages = BenchmarkPages(workbench, manager)
        before = pages.results(evaluation)
        assert (before.can_attack, "no attack was run" in before.head, "Attack these models" in before.attacks) == (
            True, True, True,
        )  # fmt: skip
        assert pages.compared(evaluation) == (list(results.NAMES), Told(*results.NAMES[:2]))
        assert pages.measured(evaluation, ["another", results.NAMES[2]])
        assert not pages.measured(evaluation, ["another"])
        assert not pages.measured("", [results.NAMES[2]])
        attacks = manager.wait(manager.submit(AttackSpec(("m",), ("a",), evaluation=evaluation)).id, TIMEOUT).id
        assert not pages.tells_of(evaluation, attacks)
        attach(found, manager.folder(evaluation), workbench)
        after = pages.results(evaluation)
        assert "40.0 % of the leak comes back by linear-map" in after.head
        assert "The most that any attack that counts brings back" in after.attacks
        assert after.outcome.files.attacks is not None
        # A link to the attacks shows the evaluation too, and does not show them twice.
        assert pages.page(attacks, []).finished == evaluation
        assert pages.tells_of(evaluation, attacks)
        assert not pages.tells_of("", attacks)
        # Without the evaluation they are on their own.
        shutil.rmtree(manager.folder(evaluation))
        assert not pages.tells_of(evaluation, attacks)
        assert pages.page(attacks, []).finished == ""
    finally:
        manager.close(0)


def test_models_measured_on_other_data_are_not_attacked_here(finished, pages):
    assert not pages.results(finished[1][1]).can_attack
    with pytest.raises(QueryError, match="on other data than that of this page"):
        pages.compared(finished[1][1])


def test_models_of_several_jobs_on_the_same_rows_stand_in_one_table(workbench, plain_figures, tmp_path):
    names = ("mini-clean", "mini-compromised", "a", "b", "c", "d")
    here = MeasuredData("mini", workbench.data.fingerprint)
    asked = [(names[:4], here), (("mini-clean", "c", "d"), here), (("e",), results.DATA)]
    for number, (models, data) in enumerate(asked):
        found = [
            results.valued(name, {"AssocStr": names.index(name) / 8 if name in names else 1.0}, data) for name in models
        ]
        write_reports(analyse(found), tmp_path / f"{number}")

    def work(spec: JobSpec, bench, folder: Path, report) -> tuple[str, ...]:
        shutil.copytree(tmp_path / f"{spec.seed}", folder / REPORT_FOLDER)
        return ()

    def spec(number: int) -> BenchmarkSpec:
        models, data = asked[number]
        return BenchmarkSpec(models, ("AssocStr",), data=data.name if number < 2 else "elsewhere", seed=number)

    with jobs_of(tmp_path / "runs", work) as manager:
        first, second, other = ids = [manager.submit(spec(number)).id for number in range(3)]
        for job_id in ids:
            assert manager.wait(job_id, TIMEOUT).state is JobState.DONE
        pages = BenchmarkPages(workbench, manager)
        assert pages.companions(first, ["A" * 22, *ids]) == [(f"mini-clean, c and d, job {second[:6]}", second)]
        merged = pages.results(first, [second])
        assert [label.split()[1] for label, _ in merged.models] == list(names)
        assert "6 models on mini" in merged.head
        assert "    d & 0.625" in merged.outcome.files.paper[0].read_text("utf-8")
        assert "Choose two different models" in pages.pair(first, 5, 5, [second])
        assert len(pages.results(first).models) == 4
        # What is forged: a job of other data adds nothing, one that does not exist is said.
        assert len(pages.results(first, [other]).models) == 4
        with pytest.raises(ResultError, match="results of this job are gone"):
            pages.results(first, ["A" * 22])
        with pytest.raises(ResultError, match="9 jobs are more than fit"):
            pages.results(first, [second] * 9)


def test_results_that_are_gone_are_said(tmp_path, workbench):
    with jobs_of(tmp_path, at_once) as manager:
        job_id = manager.submit(SPEC).id
        manager.wait(job_id, TIMEOUT)
        with pytest.raises(ResultError, match="results of this job are gone"):
            BenchmarkPages(workbench, manager).results(job_id)


def test_a_download_is_a_copy_under_an_address_nobody_can_guess(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "served"))
    secret = tmp_path / "runs" / "job" / "report.pdf"
    secret.parent.mkdir(parents=True)
    secret.write_bytes(b"content")
    copy = Path(served(secret))
    assert copy.read_bytes() == b"content"
    assert copy.is_relative_to(tmp_path / "served")
    assert copy.name == "report.pdf"
    assert len(copy.parent.name) == 64
