"""How a benchmark's work is weighed: seconds from what is to be encoded, and progress in those seconds."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from salmu_demo.core.errors import JobError, MetricError, StorageError
from salmu_demo.core.progress import Progress, ProgressCallback, Unit
from salmu_demo.features.rates import Rates
from salmu_demo.jobs.job import Estimate, JobProgress, SampledEstimate
from salmu_demo.jobs.kinds import benchmark
from salmu_demo.jobs.kinds.benchmark import (
    METRICS_SECONDS,
    METRICS_SECONDS_PER_ROW,
    REPORT_SECONDS,
    REPORT_SECONDS_PER_ROW,
    VERDICT_SECONDS,
    Benchmark,
    BenchmarkSpec,
    ModelPlan,
    total_seconds,
)
from salmu_demo.models.source import ModelSource
from salmu_demo.results.records import Evaluation
from salmu_demo.results.workload import Workload
from salmu_demo.workbench.bench import Workbench
from tests.fixtures.results import evaluation


def plan(name: str, images: int, texts: int, rates: Rates | None) -> ModelPlan:
    return ModelPlan(ModelSource(name, Path("weights"), {}), Workload(images, texts), rates, rows=1000)


def test_a_benchmark_takes_its_encoding_its_metrics_and_its_reports():
    plans = [plan("a", 900, 40, Rates(images=4.5, texts=20.0)), plan("b", 0, 0, None)]
    metrics = METRICS_SECONDS + 1000 * METRICS_SECONDS_PER_ROW
    reports = REPORT_SECONDS + 2 * 1000 * REPORT_SECONDS_PER_ROW
    assert total_seconds(plans) == pytest.approx(200 + 2 + 2 * metrics + reports)


def test_an_estimate_in_words():
    estimate = Estimate(7000, 30_000, 500, SampledEstimate(3000, 700))
    assert not estimate.cached
    assert estimate.words == (
        "It takes about 1 h 55 min here: 30,000 images and 500 texts have to be encoded. "
        "A sample of 3,000 forget rows takes about 12 min."
    )
    assert Estimate(3, 0, 0).cached
    assert Estimate(3, 0, 0).words == "It takes a few seconds here: everything is encoded already."


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> "Models":
    return Models(monkeypatch)


class Models:
    """Models whose evaluation is a list of reports or an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plans: dict[str, ModelPlan | Exception] = {}
        self.evaluations: dict[str, list[Progress] | Exception] = {}
        self.shown: list[JobProgress] = []
        self.reported: list[str] = []
        monkeypatch.setattr(benchmark, "measured_rows", lambda *_: SimpleNamespace(imagenet=None, sample=None))
        monkeypatch.setattr(benchmark, "plan_model", lambda *arguments: self._answer(self.plans[arguments[-1]]))
        monkeypatch.setattr(benchmark, "verdicts_at_hand", lambda *_: [])
        monkeypatch.setattr(benchmark, "analyse", lambda evaluations, told: [e.model.name for e in evaluations])
        monkeypatch.setattr(
            "salmu_demo.reports.files.write_reports",
            lambda names, folder, people, everybody: self.reported.extend(names),
        )

    def run(self, *metrics: str) -> tuple[str, ...]:
        workbench = cast(Workbench, SimpleNamespace(data=SimpleNamespace(personas=()), evaluate=self._evaluate))
        return Benchmark().run(BenchmarkSpec(tuple(self.plans), metrics), workbench, Path("job"), self.shown.append)

    def _evaluate(
        self, model: ModelSource, metrics: Any, imagenet: Any, progress: ProgressCallback, *_: Any
    ) -> Evaluation:
        for step in self._answer(self.evaluations[model.name]):
            progress(step)
        return evaluation(model.name)

    @staticmethod
    def _answer(answer: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_progress_is_counted_in_seconds_of_work_and_old_features_do_not_count(models: Models):
    models.plans = {
        "a": plan("a", images=100, texts=50, rates=Rates(images=2.0, texts=5.0)),
        "b": plan("b", images=0, texts=0, rates=None),
    }
    metrics = ("RetFail", "ACS")
    models.evaluations = {
        "a": [
            Progress("RetFail", 0, 2, unit=Unit.METRICS, model="a"),
            Progress("images of forget", 60, 160, unit=Unit.IMAGES, model="a"),  # 60 were on disk.
            Progress("images of forget", 160, 160, unit=Unit.IMAGES, model="a"),
            Progress("texts", 0, 50, unit=Unit.TEXTS, model="a"),
            Progress("texts", 50, 50, unit=Unit.TEXTS, model="a"),
            Progress("ACS", 1, 2, unit=Unit.METRICS, model="a"),
            Progress("all metrics", 2, 2, unit=Unit.METRICS, model="a"),
        ],
        "b": [
            Progress("RetFail", 0, 2, unit=Unit.METRICS, model="b"),
            Progress("ACS", 1, 2, unit=Unit.METRICS, model="b"),
            Progress("all metrics", 2, 2, unit=Unit.METRICS, model="b"),
        ],
    }
    assert models.run(*metrics) == ()
    measuring = METRICS_SECONDS + 1000 * METRICS_SECONDS_PER_ROW
    total = 50 + 10 + 2 * measuring + REPORT_SECONDS + 2 * 1000 * REPORT_SECONDS_PER_ROW
    seconds = [
        0, 0, 0, 0, 50, 50, 60, 60 + measuring / 2, 60 + measuring,
        *(60 + measuring + part * measuring for part in (0, 0.5, 1)), 60 + 2 * measuring,
    ]  # fmt: skip
    assert [step.fraction for step in models.shown] == pytest.approx([second / total for second in seconds])
    encoded = models.shown[4]
    assert (encoded.text, encoded.done, encoded.total) == ("a: images of forget", 160, 160)
    assert encoded.remaining == pytest.approx(total - 50)
    assert models.reported == ["a", "b"]


def test_what_verdicts_lack_is_encoded_if_that_takes_no_longer_than_they_are_worth(monkeypatch: pytest.MonkeyPatch):
    rates: list[Rates] = []
    monkeypatch.setattr(benchmark, "rates_of", lambda _: rates[0])
    workbench = cast(Workbench, SimpleNamespace(view=lambda model: model))
    # Whoever lacks nothing is not timed, which would load the model.
    model = plan("a", 0, 0, None).model
    assert benchmark.is_affordable(workbench, 0.0, model, Workload(0, 0))
    rates.append(Rates(images=2.0, texts=10.0))
    for images, texts, is_worth_it in ((58, 10, True), (58, 20, False), (0, 299, True), (61, 0, False)):
        assert benchmark.is_affordable(workbench, VERDICT_SECONDS, model, Workload(images, texts)) == is_worth_it
    assert not benchmark.is_affordable(workbench, 0.0, model, Workload(0, 1))


def test_a_model_that_fails_does_not_stop_the_others(models: Models):
    models.plans = {"a": MetricError("There is no a."), "b": plan("b", 0, 0, None), "c": plan("c", 0, 0, None)}
    models.evaluations = {"b": MetricError("It broke."), "c": []}
    assert models.run("RetFail") == ("a: There is no a.", "b: It broke.")
    assert models.reported == ["c"]


def test_models_that_all_fail_fail_the_job_with_their_sentences(models: Models):
    models.plans = {"a": MetricError("There is no a."), "b": plan("b", 0, 0, None)}
    models.evaluations = {"b": MetricError("It broke.")}
    with pytest.raises(JobError, match=r"a: There is no a\. b: It broke\."):
        models.run("RetFail")
    models.plans.pop("b")
    with pytest.raises(JobError, match=r"^a: There is no a\.$"):
        models.run("RetFail")
    assert models.reported == []


def test_a_full_disk_stops_the_benchmark_at_once(models: Models):
    models.plans = {"a": plan("a", 0, 0, None), "b": plan("b", 0, 0, None)}
    models.evaluations = {"a": StorageError("The disk is full."), "b": []}
    with pytest.raises(StorageError, match="The disk is full"):
        models.run("RetFail")
    assert not any(step.text.startswith("b: RetFail") for step in models.shown)
