"""Benchmark jobs: measure every model, compare them, write the reports, and estimate how long that takes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from filelock import FileLock

from salmu_demo.attacks.schema import FILE as ATTACKS_FILE
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.documents import read_cached
from salmu_demo.core.errors import JobError
from salmu_demo.core.executor import RayCluster
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.sample import Sample
from salmu_demo.features.rates import Rates, rates_of
from salmu_demo.jobs.job import Estimate, JobKind, JobProgress, JobProgressCallback, JobSpec, SampledEstimate, register
from salmu_demo.models.roles import GOLD, NOTHING_TOLD, REFERENCES, Told, check_told, find_reference
from salmu_demo.models.source import ModelSource, name_of
from salmu_demo.reports.text import counted
from salmu_demo.results.analysis import analyse
from salmu_demo.results.attacked import joined, with_attacks
from salmu_demo.results.document import RESULTS_FILE, read_results
from salmu_demo.results.evaluation import choose_metrics, each_model
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.kept import KeptMetrics
from salmu_demo.results.records import Evaluation, MeasuredModel
from salmu_demo.results.workload import Workload, workload
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.people import found_again, persona_names, verdicts_at_hand

BENCHMARK: Final = "benchmark"
METRICS_FOLDER: Final = "metrics"
REPORT_FOLDER: Final = "report"
ATTACKED_FOLDER: Final = "attacked"
"""Of the report that also says what attacks found; the one of the benchmark stays as it was."""

_ATTACHING_LOCK: Final = "attached.lock"

METRICS_SECONDS: Final = 0.1
METRICS_SECONDS_PER_ROW: Final = 0.0002
"""Computing one model's metrics from cached features: fixed, and per `forget` row. Rough, like the next two: most time
goes into encoding, which is measured."""

REPORT_SECONDS: Final = 3.0
REPORT_SECONDS_PER_ROW: Final = 0.0005
"""Comparison, intervals, figures and reports: fixed, and per `forget` row and model."""

VERDICT_SECONDS: Final = 30.0
"""Encoding of one model that the verdicts about everybody are worth in the report of all rows, when only images and
values of never-taught people are missing; in that of a sample they are worth none."""

SUGGESTED_SHARE: Final = 0.1
"""Share of the rows in the sample that is suggested instead of a full run."""


@dataclass(frozen=True)
class BenchmarkSpec(JobSpec):
    """Specification of a benchmark; the seed draws the sample.

    Attributes:
        metrics: names of the metrics.
        sample: number of `forget` rows to measure, or None for all.
        imagenet: ImageNet-1k validation folder for GenKnow, or None.
        told: the references, where the user named them.
        ray_workers: workers of a Ray cluster that encode, or 0 to do so here.
        on_board: whether it was submitted to a board that scores, where everybody sees its rows.
    """

    metrics: tuple[str, ...]
    kind: str = field(default=BENCHMARK, kw_only=True)
    sample: int | None = field(default=None, kw_only=True)
    imagenet: str | None = field(default=None, kw_only=True)
    told: Told = field(default=NOTHING_TOLD, kw_only=True)
    ray_workers: int = field(default=0, kw_only=True)
    on_board: bool = field(default=False, kw_only=True)


@register
class Benchmark(JobKind[BenchmarkSpec]):
    """Official metrics of several models."""

    name = BENCHMARK
    title = "Benchmark"
    failed = "Not every model could be measured"
    spec = BenchmarkSpec

    def check(self, spec: BenchmarkSpec) -> None:
        """Reject a benchmark without models or metrics.

        Raises:
            JobError: if no model is named.
            MetricError: if no metric is named, or one is unknown.
            QueryError: if a reference is not one of the models.
        """
        if not spec.models:
            raise JobError("No model is chosen; choose at least one.")
        models = [MeasuredModel(reference, name_of(reference)) for reference in dict.fromkeys(spec.models)]
        check_told(models, spec.told)
        choose_metrics(spec.metrics)

    def run(
        self, spec: BenchmarkSpec, workbench: Workbench, folder: Path, report: JobProgressCallback
    ) -> tuple[str, ...]:
        """Measure the models and write metrics and reports into the folder.

        A model that cannot be measured does not stop the others; a full disk stops them all.

        Raises:
            JobError: if no model could be measured.
            DataError: if the sample cannot be drawn.
            StorageError: if a file cannot be written.
        """
        inputs = measured_rows(spec, workbench.data)
        references = list(dict.fromkeys(spec.models))

        def plan(reference: str) -> ModelPlan:
            done, total = references.index(reference), len(references)
            step = Progress("what there is to do", done, total, unit=Unit.MODELS, model=reference)
            report(JobProgress.of(step, 0.0))
            return plan_model(spec, workbench, inputs, reference)

        if spec.ray_workers:
            # What cannot be found is said of each model below.
            found, _ = each_model(references, partial(_model, spec, workbench), str)
            chosen, cluster = choose_metrics(spec.metrics), RayCluster(spec.ray_workers, 1)
            workbench.spread(
                found, chosen, cluster, inputs.imagenet, inputs.sample,
                lambda step: report(JobProgress.of(step, 0.0)), spec.trust_pickle,
            )  # fmt: skip
        plans, unplanned = each_model(references, plan, str)
        cached = KeptMetrics(folder / METRICS_FOLDER)
        total, before = total_seconds(plans), 0.0
        gold = find_reference([plan.model for plan in plans], GOLD, spec.told)

        def measure(plan: ModelPlan) -> Evaluation:
            nonlocal before
            progress = _BenchmarkProgress(report, plan, before / total, total)
            before += plan.encoding + plan.measuring
            return workbench.evaluate(plan.model, spec.metrics, inputs.imagenet, progress, inputs.sample, cached, gold)

        evaluations, unmeasured = each_model(plans, measure, lambda plan: plan.model.reference)
        failures = tuple(failure.sentence for failure in (*unplanned, *unmeasured))
        if not evaluations:
            raise JobError(" ".join(failures))
        report(JobProgress("comparison and reports", 0, 1, before / total))
        # matplotlib and the PDF writer take a second to import; listing jobs needs neither.
        from salmu_demo.reports.files import write_reports  # noqa: PLC0415

        analysis = analyse(evaluations, spec.told)
        write_reports(
            analysis,
            folder / REPORT_FOLDER,
            people=persona_names(workbench.data.personas),
            everybody=verdicts_at_hand(
                workbench,
                analysis,
                [plan.model for plan in plans],
                partial(is_affordable, workbench, VERDICT_SECONDS if spec.sample is None else 0.0),
            ),
        )
        return failures

    def estimate(self, spec: BenchmarkSpec, workbench: Workbench) -> Estimate:
        """Estimate the benchmark and a sampled alternative; raises as `plan_model` does."""
        full = _estimate(spec, workbench)
        rows = None if full.cached or spec.sample else suggested_rows(workbench.data)
        if rows is None:
            return full
        return replace(full, sampled=SampledEstimate(rows, _estimate(replace(spec, sample=rows), workbench).seconds))

    def words(self, spec: BenchmarkSpec) -> str:
        """Describe a benchmark.

        >>> Benchmark().words(BenchmarkSpec(("a", "b"), ("RetFail",)))
        '2 models, 1 metric, mini, all rows'
        >>> Benchmark().words(BenchmarkSpec(("a",), ("RetFail",), sample=1200, seed=7))
        '1 model, 1 metric, mini, sampled: 1,200 forget rows, seed 7'
        """
        rows = "all rows" if spec.sample is None else f"sampled: {spec.sample:,} forget rows, seed {spec.seed}"
        return ", ".join([counted(len(spec.models), "model"), counted(len(spec.metrics), "metric"), spec.data, rows])

    def facts(self, spec: BenchmarkSpec) -> dict[str, str | None]:
        """The models, their references, the data and the sample."""
        return {
            "models": ", ".join(spec.models),
            **{role: spec.told.of(role) for role in REFERENCES},
            "data": spec.data,
            "sample": None if spec.sample is None else f"{spec.sample:,} forget rows, seed {spec.seed}",
        }

    def files(self, folder: Path) -> list[Path]:
        """The reports."""
        return sorted(path for path in report_folder(folder).rglob("*") if path.is_file())


def is_affordable(workbench: Workbench, seconds: float, model: ModelSource, missing: Workload) -> bool:
    """Whether what a model lacks is encoded in so many seconds; who lacks nothing is not timed."""
    rates = rates_of(workbench.view(model)) if missing.images or missing.texts else None
    return encoding_seconds(missing.images, missing.texts, rates) <= seconds


def report_folder(folder: Path) -> Path:
    """Where the reports of a job lie: with what attacks found, once that is attached."""
    attacked = folder / ATTACKED_FOLDER
    # The archive is written last, and removed first when another one is to come.
    return attacked if any(attacked.glob("*.zip")) else folder / REPORT_FOLDER


def attach(found: AttacksDocument, folder: Path, workbench: Workbench) -> None:
    """Write the reports of a finished benchmark once more, with what attacks found in its models.

    What was attached before stays, unless the same attack was run on the same model again, or in another way.

    Args:
        found: what attacks found.
        folder: of the benchmark.
        workbench: with the data that were measured.

    Raises:
        ResultError: if its results are gone or damaged, or the attacks were run on other data or models.
        StorageError: if a file cannot be written.
    """
    # matplotlib and the PDF writer take a second to import; listing jobs needs neither.
    from salmu_demo.reports.files import write_reports  # noqa: PLC0415

    evaluations = read_results(folder / REPORT_FOLDER / RESULTS_FILE)
    attacked = folder / ATTACKED_FOLDER
    with FileLock(folder / _ATTACHING_LOCK):
        earlier = read_cached(attacked / ATTACKS_FILE, AttacksDocument)
        found = found if earlier is None else joined(earlier, found)
        analysis = analyse(with_attacks(evaluations, found))
        everybody = verdicts_at_hand(workbench, analysis, found_again(workbench, analysis))
        write_reports(analysis, attacked, found, persona_names(workbench.data.personas), everybody)


@dataclass(frozen=True)
class ModelPlan:
    """Work that one model adds to a benchmark.

    Attributes:
        model: the model.
        workload: what has to be encoded.
        rates: its encoding speed; None if there is nothing to encode, because timing it means loading the model.
        rows: number of measured `forget` rows.
    """

    model: ModelSource
    workload: Workload
    rates: Rates | None
    rows: int

    @property
    def encoding(self) -> float:
        """Seconds of encoding."""
        return encoding_seconds(self.workload.images, self.workload.texts, self.rates)

    @property
    def measuring(self) -> float:
        """Seconds of computing metrics from features."""
        return METRICS_SECONDS + METRICS_SECONDS_PER_ROW * self.rows


def encoding_seconds(images: int, texts: int, rates: Rates | None) -> float:
    """Seconds of encoding; 0 without rates, which are only unknown if there is nothing to encode.

    >>> encoding_seconds(100, 30, Rates(images=4.0, texts=10.0))
    28.0
    """
    return images / rates.images + texts / rates.texts if rates else 0.0


def total_seconds(plans: Sequence[ModelPlan]) -> float:
    """Seconds of a whole benchmark."""
    rows = max((plan.rows for plan in plans), default=0)
    reporting = REPORT_SECONDS + REPORT_SECONDS_PER_ROW * rows * len(plans)
    return sum(plan.encoding + plan.measuring for plan in plans) + reporting


def measured_rows(spec: BenchmarkSpec, data: BenchmarkData) -> MetricInputs:
    """The rows that a benchmark measures.

    Raises:
        DataError: if the sample cannot be drawn or the ImageNet folder cannot be used.
    """
    sample = None if spec.sample is None else Sample(spec.sample, spec.seed)
    if sample:
        sample.check(data)
    return MetricInputs(data, Path(spec.imagenet) if spec.imagenet else None, sample)


def plan_model(spec: BenchmarkSpec, workbench: Workbench, inputs: MetricInputs, reference: str) -> ModelPlan:
    """Plan the work of one model; loads the model if it has something to encode and was never timed.

    There is nothing to encode of what is shipped.

    Raises:
        SalmuError: of the kind that fits, if the model or data is unusable.
    """
    model = _model(spec, workbench, reference)
    metrics = choose_metrics(spec.metrics)
    whole = spec.sample is None and spec.imagenet is None
    # Whatever Gold it is compared with, what that reads is encoded for the other metrics too.
    alone = [metric for metric in metrics if not metric.against_gold]
    is_shipped = whole and workbench.shipped_evaluation(model, alone) is not None
    load = Workload(0, 0) if is_shipped else workload(workbench.view(model), inputs, metrics)
    rates = rates_of(workbench.view(model)) if load.images or load.texts else None
    return ModelPlan(model, load, rates, len(inputs.split(layout.FORGET)))


def _model(spec: BenchmarkSpec, workbench: Workbench, reference: str) -> ModelSource:
    (model,) = workbench.models([reference], spec.architectures.get(reference), spec.trust_pickle)
    return model


def suggested_rows(data: BenchmarkData) -> int | None:
    """Sample size for a first answer, or None if the data is too small for a sample."""
    forget = data.split(layout.FORGET)
    rows = max(len(set(forget.identities)), round(SUGGESTED_SHARE * len(forget)))
    return rows if rows < len(forget) else None


def _estimate(spec: BenchmarkSpec, workbench: Workbench) -> Estimate:
    inputs = measured_rows(spec, workbench.data)
    plans = [plan_model(spec, workbench, inputs, reference) for reference in dict.fromkeys(spec.models)]
    loads = [plan.workload for plan in plans]
    return Estimate(total_seconds(plans), sum(load.images for load in loads), sum(load.texts for load in loads))


class _BenchmarkProgress:
    """Converts the progress of one model into that of the benchmark, weighted by the seconds each part takes."""

    def __init__(self, report: JobProgressCallback, plan: ModelPlan, before: float, total: float) -> None:
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
        elif self._last is not None and self._last.stage == progress.stage:
            # The first report of a stage counts what was cached before; only the increase is work.
            new = max(0, progress.done - self._last.done)
            images = new if progress.unit is Unit.IMAGES else 0
            texts = new if progress.unit is Unit.TEXTS else 0
            self._encoded += encoding_seconds(images, texts, self._plan.rates)
        self._last = progress
        seconds = min(self._encoded, self._plan.encoding) + self._measured * self._plan.measuring
        fraction = self._before + seconds / self._total
        self._report(JobProgress.of(progress, fraction, (1 - fraction) * self._total))
