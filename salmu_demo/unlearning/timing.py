"""Estimates how long a run takes on this machine by timing its method's steps and a reading on a few rows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch

from salmu_demo.features.view import FeatureView
from salmu_demo.models.optimisation import make_optimizer
from salmu_demo.unlearning.batches import BatchSource
from salmu_demo.unlearning.forms import open_source, steps_of
from salmu_demo.unlearning.methods import OneShotMethod, SteppedMethod
from salmu_demo.unlearning.plan import UnlearningPlan
from salmu_demo.unlearning.rows import UnlearningRows
from salmu_demo.unlearning.texts import TextSource
from salmu_demo.unlearning.towers import TrainedModel
from salmu_demo.unlearning.training_probe import READ_PAIRS, READ_TEXTS, encode_pairs, read_texts

FIRST_BATCH: Final = 16
LONG_ENOUGH: Final = 0.5
"""Pairs of the first trial, and seconds from which a trial counts: a full batch of a large model takes minutes."""


@dataclass(frozen=True)
class RunTiming:
    """Seconds of the parts of a run.

    Attributes:
        loading: loading the model; writing takes about as long.
        step: one step with a full batch.
        once: work of an edit besides its steps, such as searching for its strength.
        reading: one reading.
    """

    loading: float
    step: float
    once: float
    reading: float

    def seconds(self, plan: UnlearningPlan, forget_rows: int) -> float:
        """Seconds of a whole run that no rule stops early."""
        steps = plan.steps(forget_rows)
        return 2 * self.loading + steps * self.step + self.once + plan.readings(steps) * self.reading


def time_run(plan: UnlearningPlan, features: FeatureView, rows_of: Callable[[int | None], UnlearningRows]) -> RunTiming:
    """Time the parts of a run in trials that grow until one takes long enough or uses a full batch.

    Missing features of the few rows are computed and cached.

    Args:
        plan: what to do.
        features: those of the base model.
        rows_of: the run's rows, all of them for None, or at most so many of each split.

    Raises:
        SalmuError: of the kind that fits, if the model does not load or suit the method, or an image is damaged.
    """
    start = time.perf_counter()
    model = TrainedModel(features.model, plan.towers, plan.lora)
    loading = time.perf_counter() - start
    plan.method.check(model)
    full = min(plan.method.batch_size, plan.to_forget(rows_of(None)))
    size = min(FIRST_BATCH, full)
    while True:
        with open_source(plan, rows_of(size), model, features) as source, model.holding(model.start):
            start = time.perf_counter()
            batch, update, once = _work(plan, model, source, size)
            reading = _reading(model, source, size)
        if time.perf_counter() - start >= LONG_ENOUGH or size == full:
            return RunTiming(loading, batch * full / size + update, once * full / size, reading / size)
        size = min(4 * size, full)


@torch.no_grad()
def _reading(model: TrainedModel, source: BatchSource | TextSource, size: int) -> float:
    """Seconds of a reading, times how many rows of a whole one were read."""
    rows = np.arange(size)
    if isinstance(source, TextSource):
        return _seconds(read_texts, model, source.forget, rows, 0, lambda side: side.own) * READ_TEXTS
    return _seconds(encode_pairs, model, source.forget, rows) * READ_PAIRS


def _work(
    plan: UnlearningPlan, model: TrainedModel, source: BatchSource | TextSource, size: int
) -> tuple[float, float, float]:
    """Seconds of a method's gradients on one batch, of the update, and of what it does once per run."""
    method = plan.method

    def steps(count: int) -> Any:
        return steps_of(source, model, size, count, plan.seed)

    # The first of each is a warm-up.
    if isinstance(method, OneShotMethod):
        _, one, two = (_seconds(method.edit, steps(count), model) for count in (1, 1, 2))
        return max(two - one, 0.0), 0.0, max(2 * one - two, 0.0)
    trained = cast("SteppedMethod[Any]", method)
    optimizer = make_optimizer(model.parameters(), method.learning_rate, method.weight_decay)
    _, batch = (_seconds(trained.backward, step) for step in steps(2))
    return batch, _seconds(optimizer.step), 0.0


def _seconds(work: Callable[..., object], *given: object) -> float:
    start = time.perf_counter()
    work(*given)
    return time.perf_counter() - start
