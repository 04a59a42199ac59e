"""A benchmark in a browser: start it, leave, come back, cancel, resume, read the results, take every file away."""

import csv
import io
import json
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pypdf import PdfReader

from salmu_demo.core.progress import Progress
from salmu_demo.jobs import plan as benchmark_plan
from salmu_demo.jobs.job import Job, JobState
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER, BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.jobs.store import JobStore, new_id, now
from salmu_demo.metrics import all_metrics
from salmu_demo.reports.files import find_reports
from salmu_demo.ui.tabs.benchmark.text import FORM
from salmu_demo.workbench.bench import Workbench
from tests.fixtures import tiny
from tests.ui.axe import LOOKS, show_as, violations
from tests.ui.conftest import PATIENCE_MS, PHONE, OpenPage, served_app, windows
from tests.ui.test_app import sideways_scroll

MODELS = tiny.MODELS
SPEC = BenchmarkSpec(MODELS, tuple(spec.name for spec in all_metrics()))
TABS = ("Metrics", "Figures", "Attacks", "Two models", "Attributes and personas", "Downloads")


@pytest.fixture(scope="module")
def _plain_figures() -> None:
    """Here the figures are drawn: every format is opened."""


@pytest.fixture(scope="module")
def runs(tiny_assets, tmp_path_factory) -> Iterator[Path]:
    """A folder of jobs for these tests alone."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SALMU_RUNS_DIR", str(folder))
        yield folder


@pytest.fixture(scope="module")
def app_url(runs, tmp_path_factory) -> Iterator[str]:
    with served_app(tmp_path_factory.mktemp("gradio")) as url:
        yield url


@pytest.fixture(scope="module")
def finished(runs) -> str:
    """The id of a finished job of all models and metrics, run by another process as it were."""
    workbench = Workbench()
    manager = JobManager(runs, lambda data: workbench)
    job = manager.submit(SPEC)
    assert manager.wait(job.id, 120).state is JobState.DONE
    manager.close()
    return job.id


@pytest.fixture(scope="module")
def shown(app_url: str, browser: Browser, visitors: list[BrowserContext], finished: str) -> Iterator[Page]:
    """The results of the finished job in one window, for tests of what they can be downloaded as."""
    with windows(app_url, browser, visitors) as open_:
        page = open_(f"job={finished}")
        page.get_by_role("tab", name="Downloads").click()
        yield page


class Gate:
    """Holds every evaluation at its first batches until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def wait(self, progress) -> None:
        for _ in range(int(PATIENCE_MS / 50)):
            progress(Progress("held: images of forget", 1, 4))
            if self.open.wait(0.05):
                return


@pytest.fixture
def gate(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate, evaluate = Gate(), Workbench.evaluate

    def held(self, model, metrics, imagenet, progress, sample, kept, gold):
        gate.wait(progress)
        return evaluate(self, model, metrics, imagenet, progress, sample, kept, gold)

    monkeypatch.setattr(Workbench, "evaluate", held)
    yield gate
    gate.open.set()
    # Whatever a failed test left behind would keep the next one's job waiting.
    store = JobStore(runs)
    for job in store.ids():
        if not store.read(job).state.over:
            store.ask_to_cancel(job)
    end = time.monotonic() + PATIENCE_MS / 1000
    while any(not store.settled(job).state.over for job in store.ids()) and time.monotonic() < end:
        time.sleep(0.05)


def unfold_form(page: Page) -> None:
    """Unfold the form, which is folded while a job is shown."""
    page.get_by_role("button", name=FORM).click()
    expect(page.locator("#benchmark-run")).to_be_visible()


def start(page: Page) -> None:
    page.locator("#benchmark-run").click()
    expect(page.locator("#job")).to_contain_text("held: images of forget, 1 of 4")


def choose_one_metric(page: Page, name: str) -> None:
    page.get_by_text("Metrics (all, unless you choose)").click()
    for metric in all_metrics():
        if metric.name != name:
            page.get_by_label(f"({metric.name})").uncheck()


def cancel(page: Page) -> None:
    page.locator("#job-cancel").click()
    expect(page.locator("#job")).to_contain_text("It was stopped after")
    expect(page.locator("#job-cancel")).to_be_hidden()


def download(page: Page, label: str) -> bytes:
    """What one click on a link of the open tab saves, which has the name that the link says."""
    link = page.locator("#results-downloads").get_by_role("link", name=re.compile(f"^{re.escape(label)} [0-9.]+ "))
    with page.expect_download() as waiting:
        link.click()
    assert waiting.value.suggested_filename == link.get_attribute("download")
    return Path(waiting.value.path()).read_bytes()


def test_start_leave_come_back_cancel_start_again_finish(open_page: OpenPage, gate: Gate):
    page = open_page("tab=benchmark")
    expect(page.get_by_text("No results yet")).to_be_visible()
    start(page)
    panel = page.locator("#job")
    expect(panel.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("held: .* elapsed"))
    expect(page.locator("#job-estimate")).to_contain_text("Estimated before the start: ")
    expect(page).to_have_url(re.compile(r"tab=benchmark&job=[\w-]{22}$"))

    page.reload()
    expect(panel).to_contain_text("held: images of forget")
    tab = page.context.new_page()
    tab.goto(re.sub(r"\?.*", "?tab=benchmark", page.url))
    expect(tab.locator("#job")).to_contain_text("held: images of forget")

    other = open_page("tab=benchmark")
    expect(other.locator("#queue")).to_contain_text("1 job of other visitors is running or waiting")
    expect(other.get_by_text("No results yet")).to_be_visible()
    expect(other.locator("#job-cancel")).to_be_hidden()
    expect(other.locator("#own-jobs")).to_be_hidden()

    tab.locator("#job-cancel").click()
    expect(tab.locator("#job")).to_contain_text("It was stopped after")
    tab.close()
    expect(panel).to_contain_text("It was stopped after")
    unfold_form(page)
    choose_one_metric(page, "AssocStr")
    start(page)
    page.get_by_text("Your jobs").click()
    expect(page.locator(".job-button")).to_contain_text(["Under way", "Cancelled"])
    page.get_by_role("tab", name="Probe").click()
    page.locator("#probe-text").get_by_role("textbox").fill("anybody")
    page.locator("#probe-text").get_by_role("textbox").press("Enter")
    expect(page.locator("#probe-results tbody tr")).to_have_count(10 * len(MODELS))
    page.get_by_role("tab", name="Benchmark").click()
    gate.open.set()
    expect(panel).to_contain_text("It took")
    expect(page.locator("#results-metrics tbody tr")).to_have_count(1)
    expect(page.locator("#results-head")).to_contain_text("not enough metrics")

    page.locator(".job-button").nth(1).click()
    expect(panel).to_contain_text("It was stopped after")
    expect(page.locator("#results")).to_be_hidden()


def test_every_format_is_one_click_away_and_opens(shown: Page, browser: Browser):
    page = shown
    expect(page.locator("#results-head")).to_contain_text("3 models on mini")
    results = json.loads(download(page, "Everything as JSON"))
    assert [model["model"]["name"] for model in results["models"]] == list(MODELS)
    value = results["models"][0]["metrics"]["RetFail"]["value"]
    for name in MODELS:
        official = json.loads(download(page, f"evaluation_{name}.json"))
        assert {"1.1_RetFail", "1.5_CoreAssoc"} <= official["efficacy"].keys(), name
    table = list(csv.DictReader(io.StringIO(download(page, "comparison.csv").decode("utf-8-sig"))))
    assert len(table) == len(all_metrics()) * len(MODELS)
    assert float(table[0]["value"]) == pytest.approx(value, abs=1e-6)
    assert f"{value:.4f}" in download(page, "Report as Markdown").decode().replace("\\", "")
    pdf = "".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(download(page, "Report as PDF"))).pages)
    assert "mini-unlearned-finetune" in pdf
    assert f"{value:.4f}" in pdf
    with zipfile.ZipFile(io.BytesIO(download(page, "All files (ZIP)"))) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    endings = {Path(name).suffix for name in names}
    assert endings >= {".json", ".csv", ".md", ".html", ".pdf", ".png", ".svg"}

    html = download(page, "Report as HTML").decode()
    context = browser.new_context()
    report, failed = context.new_page(), []
    report.on("requestfailed", lambda request: failed.append(request.url))
    context.set_offline(True)
    report.set_content(html, wait_until="load")
    expect(report.get_by_text(f"{value:.4f}").first).to_be_visible()
    broken = "images => images.filter(image => !image.naturalWidth).length"
    assert report.locator("img").evaluate_all(broken) == 0
    context.close()
    assert failed == []


def test_each_file_of_a_report_has_a_link(shown: Page, app_url: str, runs: Path, finished: str):
    files = find_reports(runs / finished / REPORT_FOLDER)
    assert files is not None
    groups = {"For a paper": files.paper, "Official result files": files.official, "Tables": files.tables}
    for title, paths in groups.items():
        links = shown.locator("#results-downloads").get_by_role("group", name=title).get_by_role("link")
        expect(links).to_have_count(len(paths))
        for path, link in zip(paths, links.all(), strict=True):
            expect(link).to_have_text(re.compile(rf"^{re.escape(path.name)} [\d.]+ (Bytes|kB|MB)$"))
            answer = shown.request.get(f"{app_url}{link.get_attribute('href')}")
            assert answer.body() == path.read_bytes(), path.name


def test_results_explain_themselves(open_page: OpenPage, finished: str):
    page = open_page(f"job={finished}")
    expect(page.locator("#results-head article")).to_have_count(len(MODELS))
    expect(page.locator("#results-metrics tbody tr")).to_have_count(len(all_metrics()))
    page.get_by_role("tab", name="Figures").click()
    figures = page.locator("#results-figures figure")
    expect(figures.first).to_be_visible()
    for figure in figures.all():
        words = figure.locator("figcaption").inner_text()
        expect(figure.get_by_role("group").first).to_have_attribute("aria-label", words)
        expect(figure.locator("svg").first).to_be_visible()
    figures.first.get_by_text("The table behind it").click()
    expect(figures.first.locator("table")).to_be_visible()

    page.get_by_role("tab", name="Two models").click()
    pair = page.locator("#results-pair")
    expect(pair).to_contain_text("mini-clean minus mini-unlearned-finetune")
    expect(pair.locator(".example img").first).to_be_visible()
    page.get_by_label("Second model").click()
    page.get_by_role("option", name="mini-compromised").click()
    expect(pair).to_contain_text("mini-clean minus mini-compromised")

    page.get_by_role("tab", name="Attributes and personas").click()
    groups = page.locator("#results-groups")
    page.get_by_label("Metric", exact=True).click()
    page.get_by_role("option", name="InterIdSim").click()
    expect(groups).to_contain_text("Other personas.")
    persona = tiny.PERSONAS[tiny.HOLDOUT_ONLY[0]]["name"]
    groups.get_by_role("link", name=persona).click()
    expect(page.locator("#persona h2")).to_have_text(persona)


def test_a_long_job_asks_first_and_the_sample_is_marked(
    open_page: OpenPage, gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(benchmark_plan, "LONG_SECONDS", -1)
    page = open_page("tab=benchmark", size=PHONE)
    page.get_by_label("A sample").check()
    page.get_by_label("Forget rows").fill("1")
    page.locator("#benchmark-run").click()
    expect(page.get_by_text("A sample of 1 forget rows cannot be taken")).to_be_visible()
    page.get_by_label("Forget rows").fill("24")
    page.locator("#benchmark-run").click()
    offer = page.locator("#benchmark-offer")
    expect(offer).to_contain_text("on this machine. What would you like to run?")
    expect(offer.get_by_role("button", name=re.compile(r"All rows \("))).to_be_visible()
    assert sideways_scroll(page) <= 0
    offer.get_by_role("button", name="Neither").click()
    expect(offer).to_be_hidden()
    page.locator("#benchmark-run").click()
    offer.get_by_role("button", name="A sample of 24 forget rows").click()
    expect(offer).to_be_hidden()
    expect(page.locator("#job")).to_contain_text("sampled: 24 forget rows, seed 42")
    cancel(page)


def test_an_interrupted_job_is_found_by_its_link_and_goes_on(open_page: OpenPage, runs: Path):
    job = Job(new_id(), BenchmarkSpec(MODELS[:1], ("AssocStr",)), JobState.RUNNING, now(), seconds=75.0)
    JobStore(runs).write(job)
    page = open_page(f"job={job.id}")
    expect(page.locator("#job")).to_contain_text("The server stopped before this job was over, after 1:15 of work.")
    page.get_by_text("Link to this job").click()
    expect(page.locator("#job-link textarea")).to_have_value(re.compile(rf"^http://[^?]+\?job={job.id}$"))
    page.locator("#job-resume").click()
    expect(page.locator("#job")).to_contain_text(re.compile(r"It took 1:[12]\d"))
    expect(page.locator("#results-head")).to_contain_text("1 model on mini")
    page.get_by_role("tab", name="Two models").click()
    expect(page.locator("#results-pair")).to_contain_text("Measure two or more models")


def test_what_cannot_be_run_is_said(open_page: OpenPage):
    page = open_page(f"job={'A' * 22}")
    expect(page.locator("#job")).to_contain_text("Job not found")
    choose_one_metric(page, "RetFail")
    page.get_by_label("(RetFail)").uncheck()
    page.locator("#benchmark-run").click()
    expect(page.get_by_text("No metric is chosen")).to_be_visible()
    expect(page.locator("#job")).to_contain_text("Job not found")


def test_files_of_a_job_cannot_be_fetched_by_their_place(shown: Page, app_url: str, runs: Path, finished: str):
    for name in ("status.json", "report/results.json", "report/report.pdf"):
        path = runs / finished / name
        assert path.is_file()
        assert shown.request.get(f"{app_url}gradio_api/file={path}").status == 403


def test_axe_finds_nothing_in_progress_and_results(open_page: OpenPage, finished: str, gate: Gate):
    page = open_page(f"job={finished}")
    expect(page.locator("#results-head h2")).to_be_visible()
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        expect(page.locator("#results-tabs [role=tabpanel]:visible")).to_have_count(1)
        for summary in page.locator("#results-tabs summary:visible").all():
            summary.click()
        # Thousands of strokes that axe would look at for nothing.
        page.evaluate("document.querySelectorAll('#results-tabs figure svg').forEach((svg) => svg.replaceChildren())")
        for look in LOOKS:
            show_as(page, *look)
            assert violations(page, "#results-tabs") == [], (name, look)
            assert sideways_scroll(page) <= 0, (name, look)
    unfold_form(page)
    start(page)
    page.get_by_text("Your jobs").click()
    expect(page.locator(".job-button").first).to_be_visible()
    for look in LOOKS:
        show_as(page, *look)
        assert violations(page) == [], look
    cancel(page)
