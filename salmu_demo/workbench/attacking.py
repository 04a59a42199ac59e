"""Attacks as the command line and the library ask for them: who is compared with whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.runner import AttackReferences, run_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.executor import Executor
from salmu_demo.core.progress import Progress, ProgressCallback, Unit, ignore_progress
from salmu_demo.features.embedder import Embedder
from salmu_demo.features.store import ArrayStore
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, ReferenceName, Told, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.results.spread import NamedModel, name_for_workers, other_data
from salmu_demo.workbench.bench import Workbench


def attack_references(bench: Workbench, models: Sequence[ModelSource], told: Told = NOTHING_TOLD) -> AttackReferences:
    """Clean, Compromised and gold of attacks: those told, else those among the models, else the miniature's own.

    Args:
        bench: the data set and the models found so far.
        models: the models to attack.
        told: references or names of the three; a reference need not be among the models.

    Raises:
        ModelError: if one that is told cannot be found.
    """

    def chosen(role: ReferenceName) -> ModelSource | None:
        wanted = told.of(role)
        if wanted is not None:
            named = next((model for model in models if wanted in (model.reference, model.name)), None)
            return named or bench.models([wanted])[0]
        own = f"mini-{role}"
        is_there = bench.data.is_mini and own in builtin_models()
        return find_reference(models, role) or (bench.models([own])[0] if is_there else None)

    return AttackReferences(chosen(CLEAN), chosen(COMPROMISED), chosen(GOLD))


@dataclass(frozen=True)
class _AttackTask:
    """One attack on one model, for a worker."""

    data: tuple[str, str]
    model: NamedModel
    attack: str
    references: tuple[NamedModel | None, ...]
    seed: int
    thorough: bool
    store: Path
    trust_pickle: bool


def _attack_one(task: _AttackTask) -> str:
    """Attack, and leave what was found in the cache; returns the name of the attack."""
    bench = _bench(task.data[0], task.store)
    if bench.data.fingerprint != task.data[1]:
        raise other_data(task.data[0])
    found = [None if named is None else named.found(task.trust_pickle) for named in task.references]
    references = AttackReferences(*found)
    model = task.model.found(task.trust_pickle)
    run_attacks([model], bench.view, choose_attacks([task.attack]), references, task.seed, task.thorough)
    return task.attack


@cache
def _bench(data: str, store: Path) -> Workbench:
    return Workbench(data, Embedder(ArrayStore(store)))


def attack(
    bench: Workbench,
    models: Sequence[ModelSource],
    references: AttackReferences,
    names: Sequence[str] | None = None,
    seed: int = SEED,
    thorough: bool = False,
    progress: ProgressCallback = ignore_progress,
    executor: Executor | None = None,
    trust_pickle: bool = False,
) -> AttacksDocument:
    """Run attacks of the given names, see `choose_attacks` and `run_attacks`; raises `SalmuError`.

    With an executor each attack on each model is a task, whose result is kept in the cache that all workers share;
    those on the references come first, since all others are compared with them.
    """
    attacks = choose_attacks(names, thorough)
    if executor is not None:
        known = (references.clean, references.compromised, references.gold)
        named = tuple(None if model is None else NamedModel.of(model) for model in known)
        task = partial(
            _AttackTask, (name_for_workers(bench.data), bench.data.fingerprint), references=named, seed=seed,
            thorough=thorough, store=bench.embedder.store.root.resolve(), trust_pickle=trust_pickle,
        )  # fmt: skip
        first = list({model.fingerprint: model for model in known if model is not None}.values())
        rest = [model for model in models if model.fingerprint not in {had.fingerprint for had in first}]
        total, done = (len(first) + len(rest)) * len(attacks), 0
        for wave in (first, rest):
            tasks = [task(NamedModel.of(model), each.name) for model in wave for each in attacks]
            for name in executor.run(_attack_one, tasks):
                done += 1
                progress(Progress(f"{name}, by workers", done, total, unit=Unit.PARTS))
    return run_attacks(models, lambda model: bench.view(model, progress), attacks, references, seed, thorough)
