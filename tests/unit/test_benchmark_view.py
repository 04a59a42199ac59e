import csv
import json
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from salmu_demo.background import Cancelled, State, Status
from salmu_demo.embeddings.embedder import Embedder
from salmu_demo.embeddings.store import ArrayStore
from salmu_demo.errors import MetricError, QueryError
from salmu_demo.metrics import METRICS
from salmu_demo.models.source import ModelSource
from salmu_demo.notices import MINI_NOTICE
from salmu_demo.results.comparison import compare
from salmu_demo.ui.benchmark_run import BenchmarkRunner, Outcome, Step, benchmark_work, write_outcome
from salmu_demo.ui.benchmark_view import (
    metric_choices,
    page_of,
    progress_html,
    progress_words,
    results_html,
)
from salmu_demo.workbench import Workbench

TIMEOUT = 120
MODELS = ["mini-clean", "mini-compromised"]
NAMES = [spec.name for spec in METRICS]


@pytest.fixture(scope="module")
def workbench(tiny_assets, tmp_path_factory) -> Workbench:
    """With a cache of its own: these tests see how features are computed for the first time."""
    return Workbench(embedder=Embedder(ArrayStore(tmp_path_factory.mktemp("cache"))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("benchmark") / "latest"


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return []


@pytest.fixture(scope="module")
def outcome(workbench, folder, steps) -> Outcome:
    return benchmark_work(workbench, MODELS, NAMES, folder)(steps.append)


def step(**changes) -> Step:
    return replace(
        Step("a: pictures of forget", 640, 1536, "a: pictures of forget, 640 of 1,536", 1, 3, 0.25), **changes
    )


def test_progress_in_words():
    status = Status(State.RUNNING, step(), 42.4)
    assert progress_words(status) == "a: pictures of forget, 640 of 1,536; model 1 of 3; 0:42 elapsed"
    assert progress_words(Status(State.CANCELLING, step(), 1)).startswith("Cancelling after this batch. a: pictures")
    assert progress_words(Status(State.RUNNING, None, 0)) == "Starting; 0:00 elapsed"


def test_progress_bar_escapes_names_and_has_a_value():
    html = progress_html(Status(State.RUNNING, step(words='<b>"x"'), 1))
    assert 'aria-valuenow="25"' in html
    assert "<b>&" not in html
    assert "&lt;b&gt;&quot;x&quot;" in html


def test_the_bar_never_goes_back_and_counts_models(outcome, steps):
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert {(step.model, step.models) for step in steps} == {(1, 2), (2, 2)}
    by_words = {step.words: step.fraction for step in steps}
    assert by_words["mini-clean: RetFail, metric 1 of 10"] == 0.0
    # Pictures move the bar within a metric: here to the end of the first of ten metrics of the first of two models.
    assert by_words["mini-clean: pictures of forget, 56 of 56"] == pytest.approx(0.05)


def test_the_outcome_compares_all_models(outcome):
    assert [model.name for model in outcome.comparison.models] == MODELS
    assert [row.spec.name for row in outcome.comparison.rows] == NAMES
    assert outcome.failures == ()
    assert outcome.is_mini
    assert "genknow" in outcome.genknow


def test_files_open_and_hold_the_same_numbers(outcome):
    with zipfile.ZipFile(outcome.official) as archive:
        assert archive.namelist() == [f"evaluation_{name}.json" for name in MODELS]
        official = json.loads(archive.read("evaluation_mini-clean.json"))
    value = outcome.comparison.rows[0].cells[0].value
    assert official["efficacy"]["1.1_RetFail"]["MRR"] == value
    with outcome.table.open(encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(NAMES) * len(MODELS)
    assert rows[0]["value"] == f"{value:.6f}"
    with Image.open(outcome.figure) as image:
        assert image.format == "PNG"
    assert outcome.sentence.startswith("Dot plot of 10 metrics for mini-clean and mini-compromised")


def test_one_model_gives_one_json_file(workbench, tmp_path):
    outcome = benchmark_work(workbench, MODELS[:1], ["AssocStr"], tmp_path / "one")(lambda step: None)
    assert outcome.official.name == "evaluation_mini-clean.json"
    assert json.loads(outcome.official.read_text())["efficacy"].keys() == {"1.2_AssocStr"}


def test_equal_official_names_do_not_overwrite_each_other(workbench, tmp_path):
    evaluation = workbench.evaluate(workbench.models(MODELS)[0], ["AssocStr"])
    twins = [replace(evaluation, model=replace(evaluation.model, reference=f"hf-hub:o/m-v1.{n}")) for n in (5, 6)]
    assert len({twin.model.slug for twin in twins}) == 1
    with zipfile.ZipFile(write_outcome(twins, [], tmp_path / "twins").official) as archive:
        assert len(set(archive.namelist())) == 2


def test_files_of_an_earlier_run_are_removed(workbench, tmp_path):
    stale = tmp_path / "run" / "stale.json"
    stale.parent.mkdir()
    stale.touch()
    benchmark_work(workbench, MODELS[:1], ["AssocStr"], tmp_path / "run")(lambda step: None)
    assert not stale.exists()


def test_a_model_that_fails_is_named_and_the_others_are_measured(workbench, tmp_path):
    work = benchmark_work(workbench, ["nonesuch", *MODELS], ["AssocStr"], tmp_path / "run")
    outcome = work(lambda step: None)
    assert [model.name for model in outcome.comparison.models] == MODELS
    (failure,) = outcome.failures
    assert failure.startswith("nonesuch: There is no model 'nonesuch'")


def test_no_usable_model_fails_with_the_reason(workbench, tmp_path):
    with pytest.raises(MetricError, match="There is no model 'nonesuch'"):
        benchmark_work(workbench, ["nonesuch"], ["AssocStr"], tmp_path)(lambda step: None)


def test_nothing_chosen_is_refused_before_the_run(workbench, tmp_path):
    with pytest.raises(QueryError, match="No model is chosen"):
        benchmark_work(workbench, [], NAMES, tmp_path)
    with pytest.raises(MetricError, match="No metric is chosen"):
        benchmark_work(workbench, MODELS, [], tmp_path)


def test_cancelling_stops_the_work_and_leaves_no_files(workbench, tmp_path):
    def report(step: Step) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        benchmark_work(workbench, MODELS, NAMES, tmp_path / "run")(report)
    assert not (tmp_path / "run").exists()


def test_the_table_shows_value_target_and_distance(outcome):
    html = results_html(outcome)
    row = outcome.comparison.rows[0]
    assert html.count("<table") == 3
    assert all(spec.explanation.replace("'", "&#x27;") in html for spec in METRICS)
    assert f'<span class="value">{row.target:.4f}</span><span class="gap">Clean</span>' in html
    assert "on target" in html
    assert "Gaps to both references" in html
    assert MINI_NOTICE.replace("'", "&#x27;") in html
    assert "Without" not in html


def test_missing_references_and_values_are_said(workbench):
    evaluation = workbench.evaluate(workbench.models(["mini-unlearned-finetune"])[0], ["AssocStr"])
    empty = Path("none")
    html = results_html(Outcome(compare([evaluation]), (), None, False, empty, empty, empty, ""))
    assert "Without Clean and Compromised among the models" in html
    assert "off<" not in html


def test_names_of_models_are_escaped(outcome):
    models = (ModelSource("<script>x", Path("w"), {}), *outcome.comparison.models[1:])
    html = results_html(replace(outcome, comparison=replace(outcome.comparison, models=models)))
    assert "<script>" not in html
    assert "&lt;script&gt;x" in html


def test_every_metric_can_be_chosen_in_plain_words():
    choices = metric_choices("efficacy") + metric_choices("utility")
    assert [name for _, name in choices] == NAMES
    assert choices[0][0] == "Retrieval of the sensitive caption (RetFail)"


def test_the_page_before_during_and_after_a_run(outcome):
    assert page_of(None, None).can_run
    go_on, started = threading.Event(), threading.Event()

    def work(report):
        report(step())
        started.set()
        go_on.wait(TIMEOUT)
        return outcome

    runner = BenchmarkRunner()
    run = runner.start(work)
    assert started.wait(TIMEOUT)
    own, other = page_of(run, run.id), page_of(run, "someone else")
    assert (own.polling, own.can_run, own.can_cancel, own.outcome) == (True, False, True, None)
    assert (other.polling, other.can_run, other.can_cancel) == (True, False, False)
    assert "Another visitor" in other.status
    assert "Another visitor" not in own.status
    go_on.set()
    run.wait(TIMEOUT)
    own, other = page_of(run, run.id), page_of(run, None)
    assert (own.polling, own.can_run, own.can_cancel) == (False, True, False)
    assert own.outcome is outcome
    assert "Finished in 0:" in own.status
    assert (other.status, other.outcome, other.can_run) == ("", None, True)


@pytest.mark.parametrize("error", ["The cache is full.", "<b>"])
def test_a_failed_run_shows_its_sentence_escaped(error):
    class Failed:
        id = "x"

        def status(self):
            return Status(State.FAILED, None, 3, error=error)

    page = page_of(Failed(), "x")
    assert "failed after 0:03" in page.status
    assert "<b>" not in page.status
    assert page.can_run


def test_a_cancelled_run_says_so():
    runner = BenchmarkRunner()
    asked = threading.Event()

    def work(report):
        asked.wait(TIMEOUT)
        report(step())

    run = runner.start(work)
    run.cancel()
    cancelling = page_of(run, run.id)
    assert (cancelling.can_cancel, cancelling.polling) == (False, True)
    asked.set()
    run.wait(TIMEOUT)
    assert "Cancelled after" in page_of(run, run.id).status
