"""The work of a benchmark: measure every model, compare them, write the reports."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import JobError, SalmuError, StorageError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.jobs.estimate import (
    ModelPlan,
    encoding_seconds,
    measured_rows,
    plan_model,
    total_seconds,
)
from salmu_demo.jobs.job import JobProgress, JobSpec, Report
from salmu_demo.models.roles import check_told
from salmu_demo.models.source import name_of
from salmu_demo.results.analysis import analyse
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.results.kept import KeptMetrics
from salmu_demo.results.records import Evaluation, MeasuredModel
from salmu_demo.workbench.bench import Workbench

METRICS_FOLDER: Final = "metrics"
REPORT_FOLDER: Final = "report"


def check_benchmark(spec: JobSpec) -> None:
    """Refuse a benchmark of nothing.

    Raises:
        JobError: if no model is named.
        MetricError: if no metric is named, or one is unknown.
        QueryError: if a model that is none of them is told to be a reference.
    """
    if not spec.models:
        raise JobError("No model is chosen; choose at least one.")
    check_told([MeasuredModel(reference, name_of(reference)) for reference in dict.fromkeys(spec.models)], spec.told)
    choose_metrics(spec.metrics)


def run_benchmark(spec: JobSpec, workbench: Workbench, folder: Path, report: Report) -> tuple[str, ...]:
    """Measure the models and leave finished metrics and reports in the folder.

    A model that cannot be measured does not stop the others; a full disk does, because it stops them all.

    Returns:
        One sentence for each model that could not be measured.

    Raises:
        JobError: if none could.
        DataError: if the sample cannot be taken.
        StorageError: if a file cannot be written.
    """
    inputs = measured_rows(spec, workbench.data)
    plans: list[ModelPlan] = []
    evaluations: list[Evaluation] = []
    failures: list[str] = []
    references = list(dict.fromkeys(spec.models))
    for number, reference in enumerate(references):
        report(JobProgress("what there is to do", number, len(references), 0.0, unit=Unit.MODELS, model=reference))
        with _noted(failures, reference):
            plans.append(plan_model(spec, workbench, inputs, reference))
    if not plans:
        raise JobError(" ".join(failures))
    kept = KeptMetrics(folder / METRICS_FOLDER)
    total, before = total_seconds(plans), 0.0
    for plan in plans:
        told = _BenchmarkProgress(report, plan, before / total, total)
        with _noted(failures, plan.model.reference):
            evaluations.append(workbench.evaluate(plan.model, spec.metrics, inputs.imagenet, told, inputs.sample, kept))
        before += plan.encoding + plan.measuring
    if not evaluations:
        raise JobError(" ".join(failures))
    report(JobProgress("comparison and reports", 0, 1, before / total))
    # matplotlib and the PDF writer take a second to import, which whoever only lists jobs does not need.
    from salmu_demo.reports.files import write_reports  # noqa: PLC0415

    write_reports(analyse(evaluations, spec.told), folder / REPORT_FOLDER)
    return tuple(failures)


@contextmanager
def _noted(failures: list[str], reference: str) -> Iterator[None]:
    """Note the failure of one model and go on."""
    try:
        yield
    except StorageError:
        raise
    except SalmuError as error:
        failures.append(f"{reference}: {error}")


class _BenchmarkProgress:
    """Turns the reports about one model into progress of the whole benchmark, by the seconds each part takes."""

    def __init__(self, report: Report, plan: ModelPlan, before: float, total: float) -> None:
        self._report = report
        self._plan = plan
        self._before = before
        self._total = total
        self._measured = 0.0
        self._encoded = 0.0
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.unit is Unit.METRICS:
            self._measured = progress.done / progress.total
        elif self._last is not None and self._last.text == progress.text:
            # What was on disk before is in the first report of a stage, so only the growth is work that was done.
            new = max(0, progress.done - self._last.done)
            images = new if progress.unit is Unit.IMAGES else 0
            texts = new if progress.unit is Unit.TEXTS else 0
            self._encoded += encoding_seconds(images, texts, self._plan.rates)
        self._last = progress
        seconds = min(self._encoded, self._plan.encoding) + self._measured * self._plan.measuring
        fraction = self._before + seconds / self._total
        remaining = (1 - fraction) * self._total
        self._report(JobProgress.of(progress, fraction, remaining))
