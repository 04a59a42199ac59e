"""Unlearning jobs: make a model, save readings on the way, and on request keep the model of a cancelled run."""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from salmu_demo.core.documents import document_of, read_cached
from salmu_demo.core.errors import JobError, TrainingError
from salmu_demo.core.files import write_text
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.forget_requests import find_requests
from salmu_demo.features.rates import rates_of
from salmu_demo.features.view import FeatureView
from salmu_demo.jobs.execution import Stopped
from salmu_demo.jobs.job import Estimate, JobKind, JobProgress, JobProgressCallback, JobSpec, JobState, register
from salmu_demo.jobs.kinds.benchmark import encoding_seconds
from salmu_demo.jobs.store import keep_asked
from salmu_demo.models.made import MODEL_FOLDER, made_in, made_name
from salmu_demo.models.source import ModelSource
from salmu_demo.unlearning import UNRELATED
from salmu_demo.unlearning.methods import Form
from salmu_demo.unlearning.plan import StopRules, UnlearningPlan, make_plan
from salmu_demo.unlearning.rows import UnlearningRows, rows_of_run
from salmu_demo.unlearning.training_metrics import AnyReading
from salmu_demo.workbench.bench import Workbench

UNLEARN: Final = "unlearn"
READINGS_FILE: Final = "readings.json"

PREPARING_SHARE: Final = 0.1
"""Part of the bar for what has to be encoded before the first step."""

OTHER_SECONDS: Final = 1.0
"""Tokenising, checkpoints and the card, which are not timed."""


@dataclass(frozen=True)
class UnlearningOptions:
    """How the model unlearns.

    Attributes:
        method: name of the method.
        towers: which towers may change.
        budget: forget pairs that pass through the model.
        settings: hyperparameters that differ from their defaults, by name.
        forget_level: stop rule, see `salmu_demo.unlearning.plan.StopRules`.
        retain_drop: stop rule.
        forget: requests as they are written; none stands for the whole split `forget`.
        keep_best: whether the result is the best checkpoint, see `training_metrics.best_reading`.
        modality: which rows of CLEAR are forgotten and retained; None for pairs by SALMUBench's rule.
    """

    method: str
    towers: str
    budget: int
    settings: dict[str, int | float | str] = field(default_factory=dict)
    forget_level: str | int | float | None = None
    retain_drop: float | None = None
    forget: tuple[str, ...] = ()
    keep_best: bool = False
    modality: str | None = None


@dataclass(frozen=True)
class UnlearningSpec(JobSpec):
    """Specification of an unlearning run; its one model is the base model.

    Attributes:
        unlearning: how it unlearns.
    """

    unlearning: UnlearningOptions
    kind: str = field(default=UNLEARN, kw_only=True)


@register
class Unlearning(JobKind[UnlearningSpec]):
    """Make a model that has unlearned the forget split, or the people who asked."""

    name = UNLEARN
    title = "Unlearning"
    spec = UnlearningSpec

    def check(self, spec: UnlearningSpec) -> None:
        """Reject an invalid run; raises as `unlearning_plan` does."""
        unlearning_plan(spec)

    def run(
        self, spec: UnlearningSpec, workbench: Workbench, folder: Path, report: JobProgressCallback
    ) -> tuple[str, ...]:
        """Make the model, or continue an earlier run of the job; the weights are the same either way.

        Raises:
            SalmuError: of the kind that fits, see `salmu_demo.unlearning.trainer.unlearn`.
        """
        # torch takes seconds to import, which whoever only lists jobs does not need.
        from salmu_demo.unlearning.checkpoint import AnotherRunError  # noqa: PLC0415
        from salmu_demo.unlearning.output import is_finished  # noqa: PLC0415
        from salmu_demo.unlearning.trainer import keep_model_so_far, unlearn  # noqa: PLC0415

        plan, output, base = unlearning_plan(spec), model_folder(spec, folder), _base(spec, workbench)
        requests = find_requests(workbench.data, spec.unlearning.forget)
        # The process may have been killed after the model was written and before its end was.
        if is_finished(output):
            return ()

        rows = rows_of_run(base, workbench.data, requests, modality=plan.modality)
        missing = sum(_missing(workbench.view(base), rows, plan))

        def work() -> None:
            features = workbench.view(base, _UnlearningProgress(report, missing))
            unlearn(features, plan, output, lambda found: save_reading(folder, found), requests)

        try:
            try:
                work()
            except AnotherRunError:
                # The folder belongs to this job, so only model, data or code can have changed: start again.
                shutil.rmtree(output, ignore_errors=True)
                (folder / READINGS_FILE).unlink(missing_ok=True)
                work()
        except Stopped as stopped:
            if stopped.state is JobState.CANCELLED and keep_asked(folder):
                with suppress(TrainingError):  # There is nothing to keep before the first checkpoint.
                    keep_model_so_far(workbench.view(base), plan, output, requests)
            raise
        return ()

    def estimate(self, spec: UnlearningSpec, workbench: Workbench) -> Estimate:
        """Estimate a run that no rule stops early: features of the original that are missing, and the timed steps.

        Raises:
            SalmuError: of the kind that fits, if the specification is invalid or model or data cannot be used.
        """
        from salmu_demo.unlearning.timing import time_run  # noqa: PLC0415 - as above

        plan, base = unlearning_plan(spec), _base(spec, workbench)
        requests = find_requests(workbench.data, spec.unlearning.forget)
        rows_of = partial(rows_of_run, base, workbench.data, requests, modality=plan.modality)
        rows = rows_of()
        plan.check(rows)
        features = workbench.view(base)
        images, texts = _missing(features, rows, plan)
        rates = rates_of(features) if images or texts else None
        work = time_run(plan, features, rows_of).seconds(plan, plan.to_forget(rows))
        return Estimate(encoding_seconds(images, texts, rates) + work + OTHER_SECONDS, images, texts)

    def words(self, spec: UnlearningSpec) -> str:
        """Describe a run.

        >>> Unlearning().words(UnlearningSpec(("a",), UnlearningOptions("npo", "both", 6400), seed=3))
        'npo, towers both, 6,400 forget pairs, seed 3, mini'
        >>> stopping = UnlearningOptions("npo", "both", 6400, forget_level=0.2, retain_drop=0.1)
        >>> Unlearning().words(UnlearningSpec(("a",), stopping, seed=3))
        'npo, towers both, 6,400 forget pairs, stops at forget similarity 0.2 (oracle), stops at 10% less retain \
similarity, seed 3, mini'
        >>> asked = UnlearningOptions("npo", "both", 6400, forget=("7", "9:email"))
        >>> Unlearning().words(UnlearningSpec(("a",), asked, seed=3))
        'npo, towers both, 6,400 forget pairs, asked for 7 and 9:email, seed 3, mini'
        """
        options = spec.unlearning
        settings = [f"{key} {value}" for key, value in options.settings.items()]
        parts = [options.method, *settings, f"towers {options.towers}"]
        if options.modality is None:
            parts.append(f"{options.budget:,} forget pairs")
        else:
            parts += [f"modality {options.modality}", f"budget {options.budget:,}"]
        if options.forget_level == UNRELATED:
            parts.append("stops once forget pairs look unrelated")
        elif options.forget_level is not None:
            parts.append(f"stops at forget similarity {options.forget_level} (oracle)")
        if options.retain_drop is not None:
            parts.append(f"stops at {100 * options.retain_drop:g}% less retain similarity")
        if options.forget:
            parts.append(f"asked for {' and '.join(options.forget)}")
        if options.keep_best:
            parts.append("keeps its best checkpoint")
        return ", ".join([*parts, f"seed {spec.seed}", spec.data])

    def model(self, folder: Path) -> str | None:
        """The model of a run, finished or kept when it was cancelled."""
        return next(iter(made_in(folder)), None)


def unlearning_plan(spec: UnlearningSpec) -> UnlearningPlan:
    """The trainer's plan for a job.

    Raises:
        JobError: unless it names one base model.
        QueryError: if there is no such method, or a setting is unknown or out of range.
    """
    if len(spec.models) != 1:
        raise JobError(f"Unlearning starts from one model, and {len(spec.models)} are named; choose one.")
    options = spec.unlearning
    stop = StopRules(options.forget_level, options.retain_drop)
    return make_plan(
        options.method,
        options.settings,
        options.towers,
        options.budget,
        spec.seed,
        stop,
        keep_best=options.keep_best,
        modality=options.modality,
    )


def model_folder(spec: UnlearningSpec, folder: Path) -> Path:
    """Folder of the model that a job makes in its folder."""
    return folder / MODEL_FOLDER / made_name(spec.unlearning.method, folder.name)


def save_reading(folder: Path, reading: AnyReading) -> None:
    """Add a reading to a job's, in place of that of the same step from an earlier run.

    It is written at once, so that the page can draw the curve while the run goes on; raises `StorageError`.
    """
    readings = {known.step: known for known in read_readings(folder)} | {reading.step: reading}
    document = document_of([readings[step] for step in sorted(readings)], list[AnyReading])
    write_text(folder / READINGS_FILE, json.dumps(document, indent=1) + "\n", "The reading")


def read_readings(folder: Path) -> list[AnyReading]:
    """A job's readings by step; empty if the file is missing or damaged, because a resumed run reads them again."""
    return read_cached(folder / READINGS_FILE, list[AnyReading]) or []


def _base(spec: UnlearningSpec, workbench: Workbench) -> ModelSource:
    [base] = workbench.models(spec.models, spec.architectures.get(spec.models[0]), spec.trust_pickle)
    return base


def _missing(features: FeatureView, rows: UnlearningRows, plan: UnlearningPlan) -> tuple[int, int]:
    """How many images and texts a run has to encode before its first step."""
    # What a decoder writes rests on no feature.
    parts = () if plan.method.spec.form is Form.GENERATIVE else (*rows.forget, *rows.retain)
    splits = [part.split for part in parts]
    images = sum(features.missing_images(split) for split in splits)
    texts = sum(features.missing_captions(split) for split in splits)
    return images, texts + features.missing_prompts(rows.generic or [])


class _UnlearningProgress:
    """Converts the trainer's progress into that of the job: steps, after a first part for what has to be encoded."""

    def __init__(self, report: JobProgressCallback, missing: int) -> None:
        self._report = report
        self._missing = missing
        self._share = PREPARING_SHARE if missing else 0.0
        self._encoded = 0
        self._last: Progress | None = None
        self._first: int | None = None

    def __call__(self, progress: Progress) -> None:
        if progress.unit is Unit.STEPS:
            # A resumed run starts in the middle; only the rest is its work.
            if self._first is None:
                self._first = progress.done
            left = progress.total - self._first
            trained = (progress.done - self._first) / left if left else 1.0
            fraction = self._share + (1 - self._share) * trained
        else:
            if self._last is not None and self._last.stage == progress.stage:
                # The first report of a stage counts what was cached before; only the increase is work.
                self._encoded += max(0, progress.done - self._last.done)
            self._last = progress
            fraction = self._share * min(1.0, self._encoded / self._missing) if self._missing else 0.0
        self._report(JobProgress.of(progress, fraction))
