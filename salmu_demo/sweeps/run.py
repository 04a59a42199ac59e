"""Runs and measures the runs of a sweep that have no result yet."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from salmu_demo.attacks import runner as attack_runner
from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.document import write_attacks
from salmu_demo.attacks.kept import attacking_key
from salmu_demo.attacks.schema import FILE, AttacksDocument
from salmu_demo.attacks.summary import most_recovered
from salmu_demo.core.documents import document_of, read_cached, read_model
from salmu_demo.core.errors import SalmuError, StorageError, SweepError, TrainingError
from salmu_demo.core.files import write_text
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.data.source import load_data
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics import all_metrics
from salmu_demo.models.lineage import RECORD_FILE
from salmu_demo.models.references import find_model
from salmu_demo.models.roles import CLEAN, COMPROMISED
from salmu_demo.models.source import LOCAL_DIR, ModelSource
from salmu_demo.results.evaluation import choose_metrics, each_model, evaluate
from salmu_demo.results.kept import key_of
from salmu_demo.results.records import Evaluation
from salmu_demo.sweeps.config import EqualForgetting, Sweep, SweepJob
from salmu_demo.sweeps.executor import Executor
from salmu_demo.unlearning.output import CHECKPOINTS_FOLDER, Record
from salmu_demo.unlearning.plan import code_of
from salmu_demo.unlearning.trainer import unlearn
from salmu_demo.unlearning.training_metrics import TrainingMetrics

RUNS_FOLDER: Final = "runs"
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
        final: metric values by name at the end; None where one was not measured.
        at_level: the same at the first checkpoint that forgets enough, or None if none does or none was wanted.
        level_pairs: forget pairs spent until then, or None.
        problem: why there is no result, or an empty string.
        recovered: largest recovered share of the attacks that count on the result; None if no attack was asked for, or
            none can tell.
    """

    job: SweepJob
    steps: int
    seconds: float
    final: dict[str, float | None]
    at_level: dict[str, float | None] | None
    level_pairs: int | None
    problem: str = ""
    recovered: float | None = None


@dataclass(frozen=True)
class References:
    """The models that runs are compared with.

    Attributes:
        measured: what the values depend on: fingerprints of data and models, and the key of the measuring code.
        models: reference of the model that has each role, "clean" and "compromised".
        values: metric values by role.
        remarks: sentences on what was assumed of these models and of the data, and on texts that they read in part.
    """

    measured: dict[str, str]
    models: dict[str, str]
    values: dict[str, dict[str, float | None]]
    remarks: tuple[str, ...]


def run_sweep(sweep: Sweep, output: Path, executor: Executor, report: Callable[[RunResult], None]) -> list[RunResult]:
    """Run everything that has no result in `output` yet, and return all results in the sweep's order.

    A result of another model, data or code does not count; one of an older version, which does not say, does.

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


def measure_references(sweep: Sweep, output: Path) -> References:
    """Measure the base model, as Compromised, and Clean; the values are cached beside the results.

    Raises:
        SweepError: if one of them cannot be measured; the sentence names both if neither can.
        SalmuError: if a model or the data cannot be used.
    """
    data, embedder = load_data(sweep.data), Embedder()
    models = {role: find_model(model) for role, model in {CLEAN: sweep.clean, COMPROMISED: sweep.model}.items()}
    names = {role: model.reference for role, model in models.items()}
    measured = {"data": data.fingerprint, "by": key_of(all_metrics())}
    measured |= {role: model.fingerprint for role, model in models.items()}
    path = output / REFERENCES_FILE
    cached = read_cached(path, References)
    if cached and (cached.measured, cached.models) == (measured, names):
        return cached
    found, failures = each_model(models.values(), lambda model: evaluate(FeatureView(model, data, embedder)))
    if failures:
        raise SweepError(" ".join(failure.sentence for failure in failures))
    values = {role: _values(evaluation) for role, evaluation in zip(models, found, strict=True)}
    remarks = tuple(dict.fromkeys(remark for evaluation in found for remark in evaluation.model.remarks))
    references = References(measured, names, values, remarks)
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
    if not _is_to_be_attacked(result):
        return result
    try:
        return replace(result, recovered=_attacked_once(job, folder / "model", features))
    except StorageError:
        raise
    except SalmuError as error:
        return replace(result, problem=str(error))


def _made(job: SweepJob, folder: Path, features: FeatureView, made_from: dict[str, str]) -> RunResult:
    """Run, measure and write the result."""
    start = time.monotonic()
    # An interrupted run is resumed if it was made from the same model, data and code.
    if read_cached(folder / MADE_FROM_FILE, dict[str, str]) != made_from:
        shutil.rmtree(folder / "model", ignore_errors=True)
        _write(made_from, folder / MADE_FROM_FILE, "The result of the run")
    if not (folder / "model" / RECORD_FILE).exists():
        try:
            unlearn(features, job.plan(), folder / "model")
        except TrainingError as error:
            return _keep(RunResult(job, 0, round(time.monotonic() - start, 1), {}, None, None, str(error)), folder)
    seconds = round(time.monotonic() - start, 1)
    curve = read_model(folder / "model" / RECORD_FILE, Record, TrainingError, "The record of the run").curve
    pairs, at_level = None, None
    try:
        final = _measured_once(folder / "model", features)
        if job.equal_forgetting is not None:
            pairs, at_level = first_at_level(folder / "model", job.equal_forgetting, features, final, curve)
    except StorageError:
        raise
    except SalmuError as error:
        return _keep(RunResult(job, curve[-1].step, seconds, {}, None, None, str(error)), folder)
    shutil.rmtree(folder / "model" / CHECKPOINTS_FOLDER, ignore_errors=True)
    return _keep(RunResult(job, curve[-1].step, seconds, final, at_level, pairs), folder)


def first_at_level(
    folder: Path,
    wanted: EqualForgetting,
    features: FeatureView,
    final: dict[str, float | None],
    curve: list[TrainingMetrics],
) -> tuple[int | None, dict[str, float | None] | None]:
    """Forget pairs spent by, and values of, the first checkpoint that forgets enough; the last one is the result.

    It is found by halving, which takes forgetting to grow along a run; one that forgets too little at its end has none.
    """
    checkpoints = sorted((folder / CHECKPOINTS_FOLDER).glob("step-*"))
    value = final[wanted.metric]
    if value is None or value > wanted.level:
        return None, None
    first, last = 0, max(len(checkpoints) - 1, 0)
    while first < last:
        middle = (first + last) // 2
        view = features.of(find_model(f"{LOCAL_DIR}{checkpoints[middle]}"))
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
    return spent, _measured_once(checkpoints[last], features)


def _measured_once(folder: Path, features: FeatureView) -> dict[str, float | None]:
    """Metric values of a model whose features are not needed again."""
    view = features.of(find_model(f"{LOCAL_DIR}{folder}"))
    values = _values(evaluate(view))
    _forget(view)
    return values


def _forget(view: FeatureView) -> None:
    view.embedder.store.clear(view.model.fingerprint[:32])


def _values(evaluation: Evaluation) -> dict[str, float | None]:
    return {name: evaluation.value(name) for name in evaluation.results}


def _keep(result: RunResult, folder: Path) -> RunResult:
    _write(result, folder / RESULT_FILE, "The result of the run")
    return result


def _write(content: object, path: Path, what: str) -> None:
    write_text(path, json.dumps(document_of(content), indent=1) + "\n", what)


def _is_to_be_attacked(result: RunResult) -> bool:
    return bool(result.job.attacks) and not result.problem


def _attacked_once(job: SweepJob, folder: Path, features: FeatureView) -> float | None:
    """Attack the result of a run, and keep what was found beside it; the most that an attack brings back."""
    clean = find_model(job.clean)
    view = features.of(find_model(f"{LOCAL_DIR}{folder}"))
    references = attack_runner.References(clean, features.model)
    document = attack_runner.run_attacks([view.model], view.of, choose_attacks(job.attacks), references)
    write_attacks(document, folder)
    _forget(view)
    return _recovered(document)


def _recovered(document: AttacksDocument) -> float | None:
    most = most_recovered(document, document.models[0].name)
    return None if most is None or most.recovered is None else most.recovered.value


def _read(job: SweepJob, output: Path, made_from: dict[str, str]) -> RunResult | None:
    """The cached result of a run, or None if something of it is missing, damaged or made from something else."""
    folder = output / RUNS_FOLDER / job.key
    found = _read_result(job, folder, made_from)
    if found is None or not _is_to_be_attacked(found):
        return found
    kept = read_cached(folder / "model" / FILE, AttacksDocument)
    if kept is None or not _is_of(kept, job):
        return None
    return replace(found, recovered=_recovered(kept))


def _is_of(kept: AttacksDocument, job: SweepJob) -> bool:
    """Whether kept attacks are those that a run asks for, by today's code, compared with today's references."""
    had = (kept.references.clean, kept.references.compromised)
    wanted = (find_model(job.clean).fingerprint, find_model(job.model).fingerprint)
    names = {attack.name for attack in kept.attacks}
    return (
        kept.attacked_by == attacking_key()
        and names == set(job.attacks)
        and tuple(model.fingerprint if model else None for model in had) == wanted
    )


def _read_result(job: SweepJob, folder: Path, made_from: dict[str, str]) -> RunResult | None:
    """The cached result of a run without its attacks."""
    if (folder / MADE_FROM_FILE).exists() and read_cached(folder / MADE_FROM_FILE, dict[str, str]) != made_from:
        return None
    found = read_cached(folder / RESULT_FILE, RunResult)
    return found and replace(found, job=job)


def _made_from(job: SweepJob, data: BenchmarkData, base: ModelSource) -> dict[str, str]:
    """What a run's numbers depend on besides its settings."""
    code = code_of(type(job.plan().method))
    return {"data": data.fingerprint, "model": base.fingerprint, "code": code, "by": key_of(all_metrics())}
