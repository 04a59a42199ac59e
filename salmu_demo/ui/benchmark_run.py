"""A benchmark of several models as background work: measure, compare, write the files to download."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from salmu_demo.background import BackgroundRun, Runner, Status
from salmu_demo.errors import MetricError, QueryError, SalmuError
from salmu_demo.files import atomic_path, write_text
from salmu_demo.metrics import MetricSpec
from salmu_demo.models.source import ModelSource
from salmu_demo.progress import Progress
from salmu_demo.reports.figures import figure_png, figure_sentence, metric_figure
from salmu_demo.reports.tables import comparison_csv
from salmu_demo.results.comparison import Comparison, compare
from salmu_demo.results.evaluation import choose_metrics
from salmu_demo.results.official import write_official
from salmu_demo.results.records import Evaluation
from salmu_demo.workbench import Workbench

_PICTURES: Final = ": pictures of "
"""In the stage of an embedder that encodes pictures: nearly all of the time, so only it moves the bar in a metric."""


@dataclass(frozen=True)
class Step(Progress):
    """Progress of one model among several.

    Attributes:
        words: what is done and how far, in words.
        model: 1-based number of the model.
        models: how many there are.
        fraction: how much of the whole run is done, 0 to 1; it never goes back.
    """

    words: str
    model: int
    models: int
    fraction: float


@dataclass(frozen=True)
class Outcome:
    """What a benchmark leaves.

    Attributes:
        comparison: all models that could be measured.
        failures: one sentence for each model that could not.
        genknow: what GenKnow was measured on, or None.
        official: the official result file, or a zip of several.
        table: the comparison as CSV.
        figure: the plot as PNG.
        sentence: what the plot shows.
    """

    comparison: Comparison
    failures: tuple[str, ...]
    genknow: str | None
    official: Path
    table: Path
    figure: Path
    sentence: str


BenchmarkRun = BackgroundRun[Step, Outcome]
BenchmarkRunner = Runner[Step, Outcome]
BenchmarkStatus = Status[Step, Outcome]


def benchmark_work(
    workbench: Workbench, references: Sequence[str], metrics: Sequence[str], folder: Path
) -> Callable[[Callable[[Step], None]], Outcome]:
    """The work of a benchmark, for :class:`Runner`.

    Args:
        workbench: data and models.
        references: models to measure.
        metrics: names of the metrics.
        folder: folder of the files to download; what an earlier run left there goes first.

    Raises:
        QueryError: if no model is chosen.
        MetricError: if no metric is chosen or one is unknown.
    """
    if not references:
        raise QueryError("No model is chosen; choose at least one at the top of the page.")
    specs = choose_metrics(metrics)

    def work(report: Callable[[Step], None]) -> Outcome:
        evaluations: list[Evaluation] = []
        failures: list[str] = []
        wanted = list(dict.fromkeys(references))
        for number, reference in enumerate(wanted):
            try:
                (model,) = workbench.models([reference])
                told = _Told(report, model, specs, number, len(wanted))
                evaluations.append(workbench.evaluate(model, [spec.name for spec in specs], progress=told))
            except SalmuError as error:
                # The others are measured all the same; the failure is shown beside their results.
                failures.append(f"{reference}: {error}")
        if not evaluations:
            raise MetricError(" ".join(failures))
        report(Step("result files", 0, 1, "writing the result files", len(wanted), len(wanted), 1.0))
        return write_outcome(evaluations, failures, folder)

    return work


def write_outcome(evaluations: Sequence[Evaluation], failures: Sequence[str], folder: Path) -> Outcome:
    """Compare evaluations and write what can be downloaded; raises :class:`StorageError`."""
    shutil.rmtree(folder, ignore_errors=True)
    comparison = compare(evaluations)
    table, figure = folder / "benchmark.csv", folder / "benchmark.png"
    write_text(table, "\ufeff" + comparison_csv(comparison), "The table")
    with atomic_path(figure, "The plot") as temporary:
        temporary.write_bytes(figure_png(metric_figure(comparison, comparison.data.notice or None)))
    return Outcome(
        comparison=comparison,
        failures=tuple(failures),
        genknow=next((e.zero_shot for e in evaluations if e.value("GenKnow") is not None), None),
        official=_write_official(evaluations, folder),
        table=table,
        figure=figure,
        sentence=figure_sentence(comparison),
    )


def _write_official(evaluations: Sequence[Evaluation], folder: Path) -> Path:
    # A folder for each: different models may have the same official file name, such as two revisions of one.
    files = [write_official(evaluation, folder / str(n)) for n, evaluation in enumerate(evaluations, start=1)]
    if len(files) == 1:
        return files[0]
    names = [path.name for path in files]
    archive = folder / "evaluations.zip"
    with atomic_path(archive, "The result archive") as temporary, zipfile.ZipFile(temporary, "w") as content:
        for path in files:
            unique = names.count(path.name) == 1
            content.write(path, path.name if unique else f"{path.parent.name}_{path.name}", zipfile.ZIP_DEFLATED)
    return archive


class _Told:
    """Turns the reports about one model into steps of the whole run."""

    def __init__(
        self, report: Callable[[Step], None], model: ModelSource, specs: Sequence[MetricSpec], before: int, models: int
    ) -> None:
        self._report = report
        self._metrics = {f"{model.name}: {spec.name}" for spec in specs} | {f"{model.name}: all metrics"}
        self._count = len(specs)
        self._before = before
        self._models = models
        self._done = 0.0
        self._within = 0.0

    def __call__(self, progress: Progress) -> None:
        words = f"{progress.stage}, {progress.done:,} of {progress.total:,}"
        if progress.stage in self._metrics:
            self._done, self._within = float(progress.done), 0.0
            words = f"{progress.stage}, metric {min(progress.done + 1, progress.total)} of {progress.total}"
        elif _PICTURES in progress.stage and progress.total:
            self._within = max(self._within, progress.done / progress.total)
        share = min(1.0, (self._done + self._within) / self._count)
        fraction = (self._before + share) / self._models
        self._report(
            Step(progress.stage, progress.done, progress.total, words, self._before + 1, self._models, fraction)
        )
