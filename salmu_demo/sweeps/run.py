"""Runs and measures the runs of a sweep that have no result yet."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from salmu_demo.attacks import runner as attack_runner
from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.document import read_attacks, write_attacks
from salmu_demo.attacks.kept import attacking_key
from salmu_demo.attacks.schema import FILE, AttacksDocument
from salmu_demo.core.documents import document_of, read_cached, read_model
from salmu_demo.core.errors import SalmuError, StorageError, SweepError, TrainingError
from salmu_demo.core.executor import Executor
from salmu_demo.core.files import write_text
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import all_metrics
from salmu_demo.models.lineage import RECORD_FILE
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.results.attacked import records_of
from salmu_demo.results.evaluation import choose_metrics, each_model, evaluate
from salmu_demo.results.evidence import Evidence
from salmu_demo.results.kept import key_of
from salmu_demo.results.records import RecordedAttack
from salmu_demo.sweeps.config import EqualForgetting, Sweep, SweepJob
from salmu_demo.sweeps.measured import Measured
from salmu_demo.unlearning.plan import code_of
from salmu_demo.unlearning.training_metrics import AnyReading

RUNS_FOLDER: Final = "runs"
MODEL_FOLDER: Final = "model"
"""The result of a run."""
LEVEL_FOLDER: Final = "level"
"""The first checkpoint on the way that forgets enough."""
RESULT_FILE: Final = "result.json"
REFERENCES_FILE: Final = "references.json"
MADE_FROM_FILE: Final = "made_from.json"
"""Beside a run's result: the data, model and code it was made from; the folder's name holds the settings."""


@dataclass(frozen=True)
class RunResult:
    """Result of a run.

    Attributes:
        job: the run.
        steps: steps taken.
        seconds: how long unlearning took, measuring left out; of its last part, if it was interrupted.
        final: what was measured at the end; None if nothing could be.
        at_level: the same at the first checkpoint that forgets enough, or None if none does or none was wanted.
        level_pairs: forget pairs spent until then, or None.
        problem: why there is no result, or an empty string.
        attacks: what attacks recovered of the result.
        level_attacks: the same of the checkpoint that forgets enough.
    """

    job: SweepJob
    steps: int
    seconds: float
    final: Measured | None
    at_level: Measured | None
    level_pairs: int | None
    problem: str = ""
    attacks: tuple[RecordedAttack, ...] = ()
    level_attacks: tuple[RecordedAttack, ...] = ()

    @property
    def is_forgetting_before_its_end(self) -> bool:
        """Whether the first checkpoint that forgets enough is another model than the result."""
        return self.at_level is not None and self.at_level != self.final


@dataclass(frozen=True)
class SweepReferences:
    """The models that runs are compared with.

    Attributes:
        measured_from: what it depends on: fingerprints of data and models, and keys of the measuring and attacking
            code; empty for values that are taken as they are.
        models: reference of the model that has each role: "compromised", and perhaps "clean" and "gold".
        measured: what was measured, by role.
        attacks: what attacks recovered of Gold.
        remarks: sentences on what was assumed of these models and of the data, and on texts that they read in part.
    """

    measured_from: dict[str, str]
    models: dict[str, str]
    measured: dict[str, Measured]
    attacks: tuple[RecordedAttack, ...]
    remarks: tuple[str, ...]

    @property
    def evidence(self) -> dict[str, Evidence]:
        """What a diagnosis holds a model against, by role."""
        return {role: found.evidence(self.attacks if role == GOLD else ()) for role, found in self.measured.items()}


def run_sweep(sweep: Sweep, output: Path, executor: Executor, report: Callable[[RunResult], None]) -> list[RunResult]:
    """Run everything that has no result in `output` yet, and return all results in the sweep's order.

    A result of another model, data or code does not count; one that does not say what it was made from does.

    A run that fails for a reason of its own, such as a loss that is not finite or a model that cannot be measured, is a
    result with a problem.

    Raises:
        SalmuError: if the model or data cannot be used.
    """
    data, base = load_data(sweep.data), find_model(sweep.model)
    done = {job.key: found for job in sweep.jobs if (found := _read(job, output, _made_from(job, data, base)))}
    missing = [job for job in sweep.jobs if job.key not in done]
    for result in executor.run(partial(do_run, output=output), missing):
        done[result.job.key] = result
        report(result)
    return [done[job.key] for job in sweep.jobs]


def measure_references(sweep: Sweep, output: Path) -> SweepReferences:
    """Measure the base model, as Compromised, and Clean and Gold if there are, of which Gold is attacked as runs are.

    What was found is cached beside the results.

    Raises:
        SweepError: if one of them cannot be measured; the sentence names all that cannot.
        SalmuError: if a model or the data cannot be used.
    """
    data, embedder = load_data(sweep.data), Embedder()
    names = {CLEAN: sweep.clean, COMPROMISED: sweep.model, GOLD: sweep.gold}
    models = {role: find_model(name) for role, name in names.items() if name}
    measured_from = {"data": data.fingerprint, "by": key_of(all_metrics())}
    measured_from |= {role: model.fingerprint for role, model in models.items()}
    attacks = sweep.attacks if sweep.gold else ()
    if attacks:
        measured_from |= {"attacks": ", ".join(attacks), "attacked_by": attacking_key()}
    path = output / REFERENCES_FILE
    cached = read_cached(path, SweepReferences)
    names = {role: model.reference for role, model in models.items()}
    if cached and cached.measured_from in ({}, measured_from) and cached.models == names:
        return cached
    view = partial(FeatureView, data=data, embedder=embedder)
    gold = models.get(GOLD) if data.benchmark == "CLEAR" else None
    found, failures = each_model(models.values(), lambda model: evaluate(view(model), gold=gold))
    if failures:
        raise SweepError(" ".join(failure.sentence for failure in failures))
    measured = {role: Measured.of(evaluation) for role, evaluation in zip(models, found, strict=True)}
    records: tuple[RecordedAttack, ...] = ()
    if attacks:
        document = attack_runner.run_attacks(
            [models[GOLD]],
            view,
            choose_attacks(attacks),
            attack_runner.AttackReferences(models[CLEAN], models[COMPROMISED], models[GOLD]),
        )
        write_attacks(document, output / GOLD)
        records = records_of(document)
    remarks = tuple(dict.fromkeys(remark for evaluation in found for remark in evaluation.model.remarks))
    references = SweepReferences(measured_from, names, measured, records, remarks)
    _write(references, path, "The references")
    return references


def do_run(job: SweepJob, output: Path) -> RunResult:
    """Run, measure, attack and write the result; raises `SalmuError` if model or data cannot be used.

    What is there already is not done again.
    """
    data, base = load_data(job.data), find_model(job.model)
    features, made_from = FeatureView(base, data), _made_from(job, data, base)
    folder = output / RUNS_FOLDER / job.key
    result = _read_result(job, folder, made_from) or _made(job, folder, features, made_from)
    try:
        return _attacked(result, folder, features) if _is_to_be_attacked(result) else result
    except StorageError:
        raise
    except SalmuError as error:
        return replace(result, problem=str(error))
    finally:
        for made in (MODEL_FOLDER, LEVEL_FOLDER):
            if (folder / made / RECORD_FILE).exists():
                _forget(_view(folder / made, features))


def _made(job: SweepJob, folder: Path, features: FeatureView, made_from: dict[str, str]) -> RunResult:
    """Run, measure and write the result."""
    # torch takes seconds to import, which the process that hands out the runs does not need.
    from salmu_demo.unlearning.output import CHECKPOINTS_FOLDER, Record  # noqa: PLC0415
    from salmu_demo.unlearning.trainer import unlearn  # noqa: PLC0415

    start, model = time.monotonic(), folder / MODEL_FOLDER
    # An interrupted run is resumed if it was made from the same model, data and code.
    if read_cached(folder / MADE_FROM_FILE, dict[str, str]) != made_from:
        shutil.rmtree(model, ignore_errors=True)
        _write(made_from, folder / MADE_FROM_FILE, "The result of the run")
    if not (model / RECORD_FILE).exists():
        try:
            unlearn(features, job.plan(), model)
        except TrainingError as error:
            return _keep(RunResult(job, 0, round(time.monotonic() - start, 1), None, None, None, str(error)), folder)
    seconds = round(time.monotonic() - start, 1)
    curve = read_model(model / RECORD_FILE, Record, TrainingError, "The record of the run").curve
    pairs, at_level = None, None
    try:
        final = Measured.of(evaluate(_view(model, features), gold=_compared_with(job, features.data)))
        if job.equal_forgetting is not None:
            pairs, at_level = first_at_level(folder, job.equal_forgetting, features, final, curve)
    except StorageError:
        raise
    except SalmuError as error:
        return _keep(RunResult(job, curve[-1].step, seconds, None, None, None, str(error)), folder)
    shutil.rmtree(model / CHECKPOINTS_FOLDER, ignore_errors=True)
    return _keep(RunResult(job, curve[-1].step, seconds, final, at_level, pairs), folder)


def first_at_level(
    folder: Path,
    wanted: EqualForgetting,
    features: FeatureView,
    final: Measured,
    curve: Sequence[AnyReading],
) -> tuple[int | None, Measured | None]:
    """Forget pairs spent by, and what was measured of, the first checkpoint that forgets enough.

    It becomes the run's second model, unless it is the last one, which is the result. It is found by halving, which
    takes forgetting to grow along a run; one that forgets too little at its end has none.
    """
    from salmu_demo.unlearning.output import CHECKPOINTS_FOLDER  # noqa: PLC0415 - as above

    checkpoints = sorted((folder / MODEL_FOLDER / CHECKPOINTS_FOLDER).glob("step-*"))
    value = final.values[wanted.metric]
    if value is None or value > wanted.level:
        return None, None
    first, last = 0, max(len(checkpoints) - 1, 0)
    while first < last:
        middle = (first + last) // 2
        view = _view(checkpoints[middle], features)
        value = evaluate(view, choose_metrics([wanted.metric])).value(wanted.metric)
        if value is not None and value <= wanted.level:
            last = middle
        else:
            first = middle + 1
            _forget(view)
    if last + 1 >= len(checkpoints):
        return curve[-1].forget_pairs, final
    pairs = {reading.step: reading.forget_pairs for reading in curve}
    spent = pairs[int(checkpoints[last].name.removeprefix("step-"))]
    level = folder / LEVEL_FOLDER
    shutil.rmtree(level, ignore_errors=True)
    checkpoints[last].rename(level)
    return spent, Measured.of(evaluate(_view(level, features)))


def _view(folder: Path, features: FeatureView) -> FeatureView:
    return features.of(find_model(f"{LOCAL_DIR}{folder}"))


def _forget(view: FeatureView) -> None:
    view.embedder.store.clear(view.model.fingerprint[:32])


def _keep(result: RunResult, folder: Path) -> RunResult:
    write_text(folder / RESULT_FILE, json.dumps(document_of(result)) + "\n", "The result of the run")
    return result


def _write(content: object, path: Path, what: str) -> None:
    write_text(path, json.dumps(document_of(content), indent=1) + "\n", what)


def _is_to_be_attacked(result: RunResult) -> bool:
    return bool(result.job.attacks) and not result.problem


def _attacked(result: RunResult, folder: Path, features: FeatureView) -> RunResult:
    """Attack the models of a run, and keep beside each what was found."""
    clean, gold = find_model(result.job.clean), find_model(result.job.gold) if result.job.gold else None
    references = attack_runner.AttackReferences(clean, features.model, gold)
    for model in _models(result, folder):
        view = _view(model, features)
        document = attack_runner.run_attacks([view.model], view.of, choose_attacks(result.job.attacks), references)
        write_attacks(document, model)
    return _keep(_with_attacks(result, folder), folder)


def _models(result: RunResult, folder: Path) -> list[Path]:
    """Folders of the result and, if a checkpoint before it forgets enough, of that one."""
    return [folder / MODEL_FOLDER] + ([folder / LEVEL_FOLDER] if result.is_forgetting_before_its_end else [])


def _with_attacks(result: RunResult, folder: Path) -> RunResult:
    """The result with what was kept beside its models."""
    found = [records_of(read_attacks(model / FILE)) for model in _models(result, folder)]
    return replace(result, attacks=found[0], level_attacks=found[-1] if result.at_level else ())


def _read(job: SweepJob, output: Path, made_from: dict[str, str]) -> RunResult | None:
    """The cached result of a run, or None if something of it is missing, damaged or made from something else."""
    folder = output / RUNS_FOLDER / job.key
    found = _read_result(job, folder, made_from)
    if found is None or not _is_to_be_attacked(found):
        return found and replace(found, attacks=(), level_attacks=())
    if not (folder / MADE_FROM_FILE).exists():
        return found if found.attacks else None
    for model in _models(found, folder):
        kept = read_cached(model / FILE, AttacksDocument)
        if kept is None or not _is_of(kept, job):
            return None
    return _with_attacks(found, folder)


def _is_of(kept: AttacksDocument, job: SweepJob) -> bool:
    """Whether kept attacks are those that a run asks for, by today's code, compared with today's references."""
    had = (kept.references.clean, kept.references.compromised, kept.references.gold)
    wanted = tuple(find_model(name).fingerprint if name else None for name in (job.clean, job.model, job.gold))
    names = {attack.name for attack in kept.attacks}
    return (
        kept.attacked_by == attacking_key()
        and names == set(job.attacks)
        and tuple(model.fingerprint if model else None for model in had) == wanted
    )


def _read_result(job: SweepJob, folder: Path, made_from: dict[str, str]) -> RunResult | None:
    """The cached result of a run; its attacks may be others' than today's."""
    if (folder / MADE_FROM_FILE).exists() and read_cached(folder / MADE_FROM_FILE, dict[str, str]) != made_from:
        return None
    found = read_cached(folder / RESULT_FILE, RunResult)
    return found and replace(found, job=job)


def _made_from(job: SweepJob, data: BenchmarkData, base: ModelSource) -> dict[str, str]:
    """What a run's numbers depend on besides its settings."""
    code = code_of(type(job.plan().method))
    content = {"data": data.fingerprint, "model": base.fingerprint, "code": code, "by": key_of(all_metrics())}
    gold = _compared_with(job, data)
    return content if gold is None else {**content, "gold": gold.fingerprint}


def _compared_with(job: SweepJob, data: BenchmarkData) -> ModelSource | None:
    """The Gold model that metrics of CLEAR compare a run's model with; SALMUBench's compare with none."""
    return find_model(job.gold) if job.gold and data.benchmark == "CLEAR" else None
