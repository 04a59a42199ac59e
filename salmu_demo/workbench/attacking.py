"""Attacks as the command line and the library ask for them: who is compared with whom."""

from collections.abc import Sequence

from salmu_demo.attacks.base import choose_attacks
from salmu_demo.attacks.runner import References, run_attacks
from salmu_demo.attacks.schema import AttacksDocument
from salmu_demo.core.progress import ProgressCallback, ignore_progress
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.checkpoint import builtin_models
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, ReferenceName, Told, find_reference
from salmu_demo.models.source import ModelSource
from salmu_demo.workbench.bench import Workbench


def attack_references(bench: Workbench, models: Sequence[ModelSource], told: Told = NOTHING_TOLD) -> References:
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

    return References(chosen(CLEAN), chosen(COMPROMISED), chosen(GOLD))


def attack(
    bench: Workbench,
    models: Sequence[ModelSource],
    references: References,
    names: Sequence[str] | None = None,
    seed: int = SEED,
    thorough: bool = False,
    progress: ProgressCallback = ignore_progress,
) -> AttacksDocument:
    """Run attacks of the given names, all for None, see `run_attacks`; raises `SalmuError`."""
    attacks = choose_attacks(names)
    return run_attacks(models, lambda model: bench.view(model, progress), attacks, references, seed, thorough)
