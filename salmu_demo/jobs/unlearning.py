"""The work of an unlearning job: make a model, keep readings on the way, and keep what there is if that is wanted."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from salmu_demo.core.errors import JobError, TrainingError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.features.rates import rates_of
from salmu_demo.jobs.estimate import Estimate, encoding_seconds
from salmu_demo.jobs.execution import Stopped
from salmu_demo.jobs.job import JobProgress, JobSpec, JobState, Report, UnlearningSpec
from salmu_demo.jobs.readings import READINGS_FILE, keep_reading
from salmu_demo.jobs.store import keep_asked
from salmu_demo.models.made import MODEL_FOLDER, made_name
from salmu_demo.models.source import ModelSource
from salmu_demo.workbench.bench import Workbench

if TYPE_CHECKING:
    from salmu_demo.unlearning.plan import Plan

# torch takes seconds to import, which whoever only lists jobs does not need: it is imported by what needs it.

OTHER_SECONDS: Final = 1.0
"""What is neither timed nor encoded: tokens, checkpoints, the card."""


def check_unlearning(spec: JobSpec) -> None:
    """Refuse a run that makes no sense; raises as :func:`unlearning_plan` does."""
    unlearning_plan(spec)


def unlearning_plan(spec: JobSpec) -> "Plan":
    """What a job is to do, as the trainer takes it.

    Raises:
        JobError: unless it names one base model and a method.
        QueryError: if there is no such method, or a setting is unknown or out of range.
    """
    from salmu_demo.unlearning.plan import StopRules, make_plan  # noqa: PLC0415

    asked = _asked(spec)
    if len(spec.models) != 1:
        raise JobError(f"Unlearning starts from one model, and {len(spec.models)} are named; choose one.")
    stop = StopRules(asked.forget_level, asked.retain_drop)
    return make_plan(asked.method, asked.settings, asked.towers, asked.budget, spec.seed, stop)


def model_folder(spec: JobSpec, folder: Path) -> Path:
    """Where a job in a folder leaves its model; raises :class:`JobError` for a job of another kind."""
    return folder / MODEL_FOLDER / made_name(_asked(spec).method, folder.name)


def run_unlearning(spec: JobSpec, workbench: Workbench, folder: Path, report: Report) -> tuple[str, ...]:
    """Make the model, or go on where an earlier run of the job has stopped; the weights are the same either way.

    Raises:
        SalmuError: of the kind that fits, see :func:`salmu_demo.unlearning.trainer.unlearn`.
    """
    from salmu_demo.unlearning.checkpoint import AnotherRunError  # noqa: PLC0415
    from salmu_demo.unlearning.output import is_finished  # noqa: PLC0415
    from salmu_demo.unlearning.trainer import keep_model_so_far, unlearn  # noqa: PLC0415

    plan, output, base = unlearning_plan(spec), model_folder(spec, folder), _base(spec, workbench)
    data = workbench.data
    # The process may have been killed after the model was written and before its end was.
    if is_finished(output):
        return ()

    def work() -> None:
        told = _UnlearningProgress(report)
        unlearn(base, data, plan, output, workbench.embedder, told, lambda reading: keep_reading(folder, reading))

    try:
        try:
            work()
        except AnotherRunError:
            # The folder is the job's own: only model, data or code can have changed since, so the run begins anew.
            shutil.rmtree(output, ignore_errors=True)
            (folder / READINGS_FILE).unlink(missing_ok=True)
            work()
    except Stopped as stopped:
        if stopped.state is JobState.CANCELLED and keep_asked(folder):
            with suppress(TrainingError):  # Before the first checkpoint there is nothing to keep.
                keep_model_so_far(base, data, plan, output)
        raise
    return ()


def estimate_unlearning(spec: JobSpec, workbench: Workbench) -> Estimate:
    """How long a run takes if nothing stops it early: what the original has not encoded yet, and the timed work.

    Raises:
        SalmuError: of the kind that fits, if the specification makes no sense or data or model is unusable.
    """
    from salmu_demo.unlearning.rows import unlearning_rows  # noqa: PLC0415
    from salmu_demo.unlearning.timing import pace_of  # noqa: PLC0415

    plan, base = unlearning_plan(spec), _base(spec, workbench)
    rows = unlearning_rows(workbench.data)
    plan.check(rows)
    embedder, data = workbench.embedder, workbench.data
    splits = [part.split for part in (rows.forget, *rows.retain)]
    images = sum(embedder.missing_images(base, data, split) for split in splits)
    texts = sum(embedder.missing_captions(base, data, split) for split in splits)
    texts += embedder.missing_prompts(base, rows.generic or [])
    rates = rates_of(embedder, base, data) if images or texts else None
    work = pace_of(plan, base, data, embedder).seconds(plan, len(rows.forget.split))
    return Estimate(encoding_seconds(images, texts, rates) + work + OTHER_SECONDS, images, texts)


class _UnlearningProgress:
    """Turns the trainer's reports into progress of the job; the steps are all of it, because they take the time."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._first: int | None = None

    def __call__(self, progress: Progress) -> None:
        fraction = 0.0
        if progress.unit is Unit.STEPS:
            # A run that is taken up begins in the middle, and only the rest is this run's work.
            if self._first is None:
                self._first = progress.done
            left = progress.total - self._first
            fraction = (progress.done - self._first) / left if left else 1.0
        self._report(JobProgress.of(progress, fraction))


def _asked(spec: JobSpec) -> UnlearningSpec:
    if spec.unlearning is None:
        raise JobError(f"The job names no unlearning method, and its kind is {spec.kind!r:.40}; start it anew.")
    return spec.unlearning


def _base(spec: JobSpec, workbench: Workbench) -> ModelSource:
    [base] = workbench.models(spec.models, spec.architectures.get(spec.models[0]), spec.trust_pickle)
    return base
