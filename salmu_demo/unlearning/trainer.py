"""Runs a method: batches, schedule, readings, stop rules, checkpoints; equal plans give equal weights."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from salmu_demo.core.errors import QueryError, TrainingError
from salmu_demo.core.files import check_writable
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data.forget_requests import Round
from salmu_demo.features.view import FeatureView
from salmu_demo.models.optimisation import make_optimizer, set_learning_rate
from salmu_demo.unlearning import UNRELATED
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.checkpoint import STATE_FILE, Checkpoint, load_checkpoint, save_checkpoint
from salmu_demo.unlearning.forms import open_source, probe_of, steps_of
from salmu_demo.unlearning.methods import OneShotMethod, SteppedMethod
from salmu_demo.unlearning.output import CHECKPOINTS_FOLDER, Record, check_output, write_model
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.rows import UnlearningRows, rows_of_run
from salmu_demo.unlearning.step import Steps
from salmu_demo.unlearning.text_step import TextSteps
from salmu_demo.unlearning.texts import TextSource
from salmu_demo.unlearning.towers import State, TrainedModel
from salmu_demo.unlearning.training_metrics import AnyReading, best_reading, retain_shift

ReadingCallback = Callable[[AnyReading], None]


@dataclass(frozen=True)
class Run:
    """Inputs of `unlearn`.

    Attributes:
        features: those of the base model; their `progress` is told about every step too, and may raise to stop the run,
            which can be taken up again.
        rows: what the method may read.
        plan: what to do.
        output: folder of the result.
        on_reading: called with every reading.
    """

    features: FeatureView
    rows: UnlearningRows
    plan: UnlearningPlan
    output: Path
    on_reading: ReadingCallback


def unlearn(
    features: FeatureView,
    plan: UnlearningPlan,
    output: Path,
    on_reading: ReadingCallback = lambda reading: None,
    requests: Round = (),
) -> Record:
    """Make an unlearned model and write it as an open_clip `local-dir`, or as a folder of PEFT where it trains LoRA.

    Called again with the same arguments, a run that was killed, or stopped by the `progress` of the features, is
    resumed and ends with the same weights as an uninterrupted one.

    Args:
        features: those of the base model.
        plan: what to do.
        output: folder of the result.
        on_reading: called with every reading.
        requests: whom to forget; nobody stands for the whole split `forget`.

    Raises:
        SalmuError: of the kind that fits: the folder already holds a model or another run, the data or model lacks what
            the method needs, or the loss is not finite; the last good model is then kept in the folder.
    """
    check_output(output)
    check_writable(output, "The model")
    if features.model.precision is not None:
        raise QueryError(f"{features.model.reference}: unlearning takes single precision; leave --precision out.")
    rows = rows_of_run(features.model, features.data, requests, modality=plan.modality)
    plan.check(rows)
    run = Run(features, rows, plan, output, on_reading)
    model = TrainedModel(features.model, plan.towers, plan.lora)
    plan.method.check(model)
    with open_source(plan, rows, model, features) as source:
        size = min(plan.method.batch_size, len(source.forget))
        steps = steps_of(source, model, plan.method.batch_size, plan.steps(len(source.forget)), plan.seed)
        if isinstance(plan.method, OneShotMethod):
            return _OneShot(run, model, source, steps, size).work(plan.method)
        return _Training(run, model, source, steps, size).work(cast("SteppedMethod[Any]", plan.method))


def keep_model_so_far(features: FeatureView, plan: UnlearningPlan, output: Path, requests: Round = ()) -> Record:
    """Write the model of a stopped run's last or best checkpoint; the run can still be resumed and then replaces it.

    Args:
        features, plan, output, requests: what the run was started with, see `unlearn`.

    Raises:
        TrainingError: if the run has no checkpoint yet.
        StorageError: if the folder holds another run, or cannot be written.
    """
    rows = rows_of_run(features.model, features.data, requests, modality=plan.modality)
    run = Run(features, rows, plan, output, lambda reading: None)
    found = load_checkpoint(output, plan.key(features.model.fingerprint, rows.key))
    if found is None:
        raise TrainingError(f"The run in {output} has no checkpoint yet, so there is no model to keep.")
    model = TrainedModel(features.model, plan.towers, plan.lora)
    model.load(found.weights)
    return _write_result(run, model, found.curve, found.best, f"stopped by the user after step {found.step}")


def _write_result(run: Run, model: TrainedModel, curve: list[AnyReading], best: State | None, ended: str) -> Record:
    """Write the best checkpoint as the result of a run if it keeps that one, else the model in its current state."""
    if best is None:
        return _write(run, model, curve, ended, run.output)
    model.load(best)
    return _write(run, model, curve, ended, run.output, best_reading(curve).step)


def _write(
    run: Run,
    model: TrainedModel,
    curve: list[AnyReading],
    ended: str,
    folder: Path,
    kept_step: int | None = None,
) -> Record:
    """Write a model in its current state."""
    record = Record.of(run.plan, run.features.model, run.rows, ended, curve, kept_step)
    state = run.plan.method.deploy(model.start, model.state())
    write_model(folder, model, state, run.features.model, run.plan.method.spec, record)
    return record


class _Worker:
    """Shared by training and one-shot edits: readings and writing the result."""

    def __init__(
        self,
        run: Run,
        model: TrainedModel,
        source: BatchSource | TextSource,
        steps: Steps | TextSteps,
        batch_size: int,
    ) -> None:
        self.run = run
        self.model = model
        self.steps = steps
        self.batch_size = batch_size
        self.source = source
        self.probe = probe_of(source, run.plan.seed)
        self.curve: list[AnyReading] = []
        self.best: State | None = None

    def read(self, step: int, loss: float | None) -> AnyReading:
        """Read the model that would be the result now."""
        method = self.run.plan.method
        with self.model.holding(method.deploy(self.model.start, self.model.state())):
            reading = self.probe.read(self.model, step, step * self.batch_size, loss)
        self.curve.append(reading)
        self.run.on_reading(reading)
        return reading

    def report(self, step: int) -> None:
        """Report progress; may raise to stop the run."""
        stage = f"{self.run.plan.method.spec.name}: steps"
        self.run.features.progress(Progress(stage, step, len(self.steps), unit=Unit.STEPS))

    def finish(self, ended: str) -> Record:
        """Write the result and remove the run's state."""
        record = _write_result(self.run, self.model, self.curve, self.best, ended)
        (self.run.output / STATE_FILE).unlink(missing_ok=True)
        return record


class _OneShot(_Worker):
    """An edit of the weights without training."""

    def work(self, method: OneShotMethod) -> Record:
        """Edit, read and write."""
        self.report(0)
        self.read(0, None)
        method.edit(cast(Steps, self.steps), self.model)
        reading = self.read(len(self.steps), None)
        self.report(len(self.steps))
        if not reading.is_finite:
            raise TrainingError(f"{method.spec.name} made weights that are not finite; choose milder hyperparameters.")
        return self.finish("edited once")


class _Training(_Worker):
    """Steps down an objective, with checkpoints on the way."""

    def work(self, method: SteppedMethod[Any]) -> Record:
        """Take the remaining steps and write the result."""
        run, total = self.run, len(self.steps)
        optimizer = make_optimizer(self.model.parameters(), method.learning_rate, method.weight_decay)
        key = run.plan.key(run.features.model.fingerprint, run.rows.key)
        first = self._take_up(optimizer, key)
        every = run.plan.steps_between(total)
        # The run may have been killed between its last checkpoint and its result.
        reason = self._stop_reason(self.curve[-1]) if first else ""
        if reason:
            return self.finish(reason)
        for number in range(first, total):
            self.report(number)
            set_learning_rate(optimizer, number, total, method.learning_rate, method.warm_up)
            optimizer.zero_grad(set_to_none=True)
            loss = method.backward(self.steps[number])
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), method.clip_norm)
            if not (math.isfinite(loss) and bool(norm.isfinite())):
                raise self._not_finite(number, key)
            optimizer.step()
            if (number + 1) % every == 0 or number + 1 == total:
                reading = self.read(number + 1, loss)
                if not reading.is_finite:
                    raise self._not_finite(number, key)
                weights, state = self.model.state(), optimizer.state_dict()
                if run.plan.keep_best and best_reading(self.curve) is reading:
                    self.best = weights
                save_checkpoint(run.output, Checkpoint(key, number + 1, weights, state, self.curve, self.best))
                if run.plan.keep_checkpoints:
                    folder = run.output / CHECKPOINTS_FOLDER / f"step-{number + 1:05d}"
                    _write(run, self.model, self.curve, "a checkpoint on the way", folder)
                reason = self._stop_reason(reading)
                if reason:
                    self.report(total)
                    return self.finish(reason)
        self.report(total)
        return self.finish("the budget is spent")

    def _take_up(self, optimizer: torch.optim.Optimizer, key: str) -> int:
        """Restore an interrupted run and return its next step, 0 for a new run."""
        found = load_checkpoint(self.run.output, key)
        if found is None:
            self.read(0, None)
            return 0
        self.model.load(found.weights)
        optimizer.load_state_dict(found.optimizer)
        self.curve, self.best = found.curve, found.best
        return found.step

    def _stop_reason(self, reading: AnyReading) -> str:
        """Why to stop now, or an empty string."""
        stop, quantity = self.run.plan.stop, reading.quantity
        forget, retain, _ = reading.sides
        level = self._unrelated_level() if stop.forget_level == UNRELATED else stop.oracle
        if level is not None and forget <= level:
            return f"the forget {quantity} reached {level:.3f}"
        if stop.retain_drop is not None:
            _, start, _ = self.curve[0].sides
            shift = retain_shift(start)
            least = (1 - stop.retain_drop) * (start + shift) - shift
            if retain < least:
                return f"the retain {quantity} fell below {least:.3f}"
        return ""

    def _unrelated_level(self) -> float:
        """What unrelated pairs, or texts, had in the original."""
        if isinstance(self.source, BatchSource):
            return self.source.unrelated_level
        _, _, level = self.curve[0].sides
        return level

    def _not_finite(self, number: int, key: str) -> TrainingError:
        """Keep the last good model and return the error that says where."""
        name = self.run.plan.method.spec.name
        found = load_checkpoint(self.run.output, key)
        problem = f"The loss of {name} is not finite at step {number + 1}; lower the learning rate"
        if found is None:
            return TrainingError(f"{problem}. No model was kept, because there was no checkpoint before.")
        self.model.load(found.weights)
        self.curve, self.best = found.curve, found.best
        record = self.finish(f"stopped because the loss was not finite at step {number + 1}")
        return TrainingError(f"{problem}. The model of step {record.reading.step} was kept in {self.run.output}.")
