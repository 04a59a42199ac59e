"""What a visitor asks the benchmark for: started at once if it is quick, otherwise a choice of all rows or a sample."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import duration_words
from salmu_demo.data.sample import Sample
from salmu_demo.jobs.kinds.benchmark import BenchmarkSpec
from salmu_demo.jobs.manager import JobManager
from salmu_demo.models.roles import NOTHING_TOLD, Told
from salmu_demo.workbench.bench import Workbench

LONG_SECONDS: Final = 120
"""From here on a visitor is asked before a job starts."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that could be started, and how long it takes here in seconds."""

    spec: BenchmarkSpec
    seconds: float

    @property
    def label(self) -> str:
        """What the button that starts it says."""
        time = duration_words(self.seconds)
        if self.spec.sample is None:
            return f"All rows ({time})"
        return f"A sample of {self.spec.sample:,} forget rows ({time})"


@dataclass(frozen=True)
class BenchmarkPlan:
    """Answer to a wish.

    Attributes:
        asked: the job that was asked for.
        choices: what the visitor is to choose from before anything starts; empty if `asked` is quick.
    """

    asked: PlannedJob
    choices: tuple[PlannedJob, ...] = ()


def make_plan(
    workbench: Workbench,
    manager: JobManager,
    references: Sequence[str],
    metrics: Sequence[str],
    sample: Sample | None = None,
    told: Told = NOTHING_TOLD,
) -> BenchmarkPlan:
    """Say how long a benchmark will take; may load models and time a few batches.

    Args:
        workbench: data and models.
        manager: estimates jobs.
        references: models to measure.
        metrics: names of the metrics.
        sample: the sample that was asked for, or None for all rows.
        told: which of the models are the references.

    Raises:
        SalmuError: of the kind that fits, if nothing is chosen or something does not exist.
    """
    if not references:
        raise QueryError("No model is chosen; choose at least one at the top of the page.")
    if sample is not None:
        sample.check(workbench.data)
    models = workbench.models(references)
    all_rows = BenchmarkSpec(
        models=tuple(model.reference for model in models),
        metrics=tuple(metrics),
        data=workbench.data.name,
        architectures={model.reference: model.architecture for model in models if model.architecture},
        told=told,
    )
    if sample is not None:
        part = replace(all_rows, sample=sample.size, seed=sample.seed)
        asked = PlannedJob(part, manager.estimate(part).seconds)
        if asked.seconds <= LONG_SECONDS:
            return BenchmarkPlan(asked)
        return BenchmarkPlan(asked, (PlannedJob(all_rows, manager.estimate(all_rows).seconds), asked))
    estimate = manager.estimate(all_rows)
    asked = PlannedJob(all_rows, estimate.seconds)
    if estimate.seconds <= LONG_SECONDS:
        return BenchmarkPlan(asked)
    shorter = estimate.sampled
    if shorter is None:
        return BenchmarkPlan(asked, (asked,))
    return BenchmarkPlan(asked, (asked, PlannedJob(replace(all_rows, sample=shorter.rows), shorter.seconds)))
