"""Attack jobs: attack several models, compare them with Clean and Compromised, and write `attacks.json` and reports."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from salmu_demo.attacks.base import Attack, AttackerNeed, choose_attacks
from salmu_demo.attacks.recipe import trained_texts
from salmu_demo.attacks.runner import AttackReferences, finished
from salmu_demo.core.errors import JobError, ResultError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data import layout
from salmu_demo.features.rates import Rates, rates_of
from salmu_demo.jobs.job import Estimate, JobKind, JobProgress, JobProgressCallback, JobSpec, register
from salmu_demo.jobs.kinds.benchmark import REPORT_FOLDER, attach, encoding_seconds
from salmu_demo.jobs.store import check_id
from salmu_demo.models.roles import NOTHING_TOLD, REFERENCES, Told
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.text import counted
from salmu_demo.workbench.attacking import attack, attack_references
from salmu_demo.workbench.bench import Workbench

ATTACK: Final = "attack"

LOOKING_SECONDS: Final = 2.0
"""An attack on features that are there. Rough, like the next one: most time goes into encoding and training."""
WEIGHTS_SECONDS: Final = 10.0
"""One that needs the weights and does not train them."""
SLOW_SECONDS: Final = 120.0
"""One that is not run by default; the original's decoder takes most of it, and is trained once for all models."""
REPORT_SECONDS: Final = 1.0

_READ: Final = (layout.FORGET, layout.RETAIN_SYNTH, layout.HOLDOUT_IDENTITY, layout.HOLDOUT_ASSOCIATION)
"""Splits whose images and captions attacks read; the few further texts are not counted."""


@dataclass(frozen=True)
class AttackSpec(JobSpec):
    """Specification of attacks; the seed draws everything random in them.

    Attributes:
        attacks: names of the attacks.
        told: the references, where the user named them; they need not be among the models.
        thorough: whether to try more than the defaults do.
        evaluation: id of a finished benchmark of these models, whose results then also say what the attacks found.
    """

    attacks: tuple[str, ...]
    kind: str = field(default=ATTACK, kw_only=True)
    told: Told = field(default=NOTHING_TOLD, kw_only=True)
    thorough: bool = field(default=False, kw_only=True)
    evaluation: str | None = field(default=None, kw_only=True)


@register
class Attacks(JobKind[AttackSpec]):
    """Is what models were to forget gone, or only hidden?"""

    name = ATTACK
    title = "Attack"
    failed = "Not every attack could be run"
    spec = AttackSpec

    def check(self, spec: AttackSpec) -> None:
        """Reject attacks on nothing, or without one.

        Raises:
            JobError: if no model is named, or the evaluation is not a job.
            QueryError: if no attack is named, or one is unknown.
        """
        if not spec.models:
            raise JobError("No model is chosen; choose at least one.")
        choose_attacks(spec.attacks)
        if spec.evaluation is not None:
            check_id(spec.evaluation)

    def run(self, spec: AttackSpec, workbench: Workbench, folder: Path, report: JobProgressCallback) -> tuple[str, ...]:
        """Attack the models and write what was found into the folder, and into that of their evaluation.

        Finished attacks are kept beside the models' features, so that a resumed job does only the others.

        Returns:
            A sentence for each attack that was skipped, which says what it lacks, and one if the evaluation is gone.

        Raises:
            SalmuError: of the kind that fits, if a model or the data cannot be used, or a file cannot be written.
        """
        models, references = models_to_attack(spec, workbench)
        progress = _AttackProgress(report)
        document = attack(workbench, models, references, spec.attacks, spec.seed, spec.thorough, progress)
        report(JobProgress("reports", 0, 1, progress.fraction))
        # The PDF writer takes a second to import; listing jobs does not need it.
        from salmu_demo.reports.attacks import write_attack_reports  # noqa: PLC0415

        write_attack_reports(document, folder / REPORT_FOLDER)
        failures = [f"{skipped.model}: {skipped.reason}" for skipped in document.skipped]
        if spec.evaluation is not None:
            try:
                attach(document, folder.parent / spec.evaluation, workbench)
            except ResultError as error:
                failures.append(f"The evaluation does not tell of it: {error}")
        return tuple(dict.fromkeys(failures))

    def estimate(self, spec: AttackSpec, workbench: Workbench) -> Estimate:
        """Estimate what is not encoded and not attacked yet, the references included.

        Raises:
            SalmuError: of the kind that fits, if a model or the data cannot be used.
        """
        models, references = models_to_attack(spec, workbench)
        attacks = choose_attacks(spec.attacks)
        seconds, images, texts = REPORT_SECONDS, 0, 0
        attacked = [*models, *filter(None, (references.clean, references.compromised))]
        for model in {model.fingerprint: model for model in attacked}.values():
            view = workbench.view(model)
            own_images, own_texts = (
                sum(missing(split) for split in _READ if split in workbench.data.stored_splits)
                for missing in (view.missing_images, view.missing_captions)
            )
            left = [
                each
                for each in attacks
                if not finished(each, model, workbench.view, references, spec.seed, spec.thorough)
            ]
            trains = any(AttackerNeed.GRADIENTS in each.needs for each in left)
            rates = rates_of(view) if own_images or own_texts or trains else None
            seconds += encoding_seconds(own_images, own_texts, rates)
            trained = trained_texts(workbench.data, spec.thorough)
            seconds += sum(_seconds(each, trained, rates) for each in left)
            images, texts = images + own_images, texts + own_texts
        return Estimate(seconds, images, texts)

    def words(self, spec: AttackSpec) -> str:
        """Describe attacks.

        >>> Attacks().words(AttackSpec(("a", "b"), ("linear-map",)))
        '2 models, 1 attack, mini'
        >>> Attacks().words(AttackSpec(("a",), ("linear-map", "relearning"), thorough=True))
        '1 model, 2 attacks, thorough, mini'
        """
        parts = [counted(len(spec.models), "model"), counted(len(spec.attacks), "attack")]
        return ", ".join([*parts, *(["thorough"] if spec.thorough else []), spec.data])

    def facts(self, spec: AttackSpec) -> dict[str, str | None]:
        """The models, their references, the attacks and the data."""
        return {
            "models": ", ".join(spec.models),
            **{role: spec.told.of(role) for role in REFERENCES},
            "attacks": ", ".join(spec.attacks),
            "evaluation": spec.evaluation,
            "data": spec.data,
        }

    def files(self, folder: Path) -> list[Path]:
        """What was found, and its reports."""
        return sorted(path for path in (folder / REPORT_FOLDER).rglob("*") if path.is_file())


def models_to_attack(spec: AttackSpec, workbench: Workbench) -> tuple[list[ModelSource], AttackReferences]:
    """The models, and what they are compared with."""
    # The workbench remembers them, also for references that are none of the models.
    for reference, architecture in spec.architectures.items():
        workbench.models([reference], architecture, spec.trust_pickle)
    models = workbench.models(spec.models, trust_pickle=spec.trust_pickle)
    return models, attack_references(workbench, models, spec.told)


def _seconds(attack: Attack, trained: int, rates: Rates | None) -> float:
    """Seconds of one attack on one model, whose rates are known if it is to be trained."""
    if AttackerNeed.GRADIENTS in attack.needs and rates is not None:
        return encoding_seconds(0, trained, rates)
    if not attack.by_default:
        return SLOW_SECONDS
    return WEIGHTS_SECONDS if AttackerNeed.WEIGHTS in attack.needs else LOOKING_SECONDS


class _AttackProgress:
    """Converts the progress of attacks into that of the job: each counts alike, and images and texts within it none."""

    def __init__(self, report: JobProgressCallback) -> None:
        self.fraction = 0.0
        self._report = report

    def __call__(self, progress: Progress) -> None:
        if progress.unit is Unit.PARTS:
            self.fraction = progress.done / progress.total
        self._report(JobProgress.of(progress, self.fraction))
