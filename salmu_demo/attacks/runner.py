"""Run attacks on models, on Clean and on Compromised, and put what they find side by side."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from salmu_demo.attacks.base import Attack, AttackerNeed, AttackReading
from salmu_demo.attacks.controls import Erased, Hidden
from salmu_demo.attacks.kept import KeptReadings, attacking_key
from salmu_demo.attacks.pairs import MIXED, MRR, ForgetPairs
from salmu_demo.attacks.recovery import Recovery, recovery
from salmu_demo.attacks.schema import (
    AttackedModel,
    AttackFacts,
    AttackRecord,
    AttacksDocument,
    ControlName,
    ControlRecord,
    RecoveredShare,
    ReferenceModels,
    SkippedAttack,
)
from salmu_demo.attacks.target import Target
from salmu_demo.core.errors import SalmuError, StorageError
from salmu_demo.core.progress import Progress, Unit
from salmu_demo.data import layout
from salmu_demo.data.record import DataRecord
from salmu_demo.features.view import FeatureView
from salmu_demo.metrics.intervals import Interval
from salmu_demo.metrics.protocol import SEED
from salmu_demo.models.source import ModelSource


@dataclass(frozen=True)
class AttackReferences:
    """What attacks are compared with, and what the attacker has.

    Attributes:
        clean: the control, which never saw a persona, or None.
        compromised: the ceiling, and the original of the attacker, or None.
        gold: retrained without the pairs to be forgotten, or None.
    """

    clean: ModelSource | None = None
    compromised: ModelSource | None = None
    gold: ModelSource | None = None


@dataclass(frozen=True)
class _AttackRun:
    """What an attack found in one model."""

    readings: dict[tuple[str, str, str], AttackReading]
    seconds: float


def run_attacks(
    models: Sequence[ModelSource],
    view: Callable[[ModelSource], FeatureView],
    attacks: Sequence[Attack],
    references: AttackReferences,
    seed: int = SEED,
    thorough: bool = False,
) -> AttacksDocument:
    """Attack models.

    Finished attacks are kept beside the models' features: a run that was killed goes on with the attack it was at, and
    Clean and Compromised are attacked once for all models.

    Args:
        models: the models to attack, at least one.
        view: gives the features of a model on the data set.
        attacks: the attacks.
        references: Clean, Compromised and gold.
        seed: seed of everything random.
        thorough: whether to try more than the defaults.

    Raises:
        SalmuError: if the data cannot be used, a file cannot be written, or the caller stops the work.
    """
    first = view(models[0])
    session = _Session(view, ForgetPairs.of(first.data), references, seed, thorough, KeptReadings(first.embedder.store))
    records: list[AttackRecord] = []
    skipped: list[SkippedAttack] = []
    for number, model in enumerate(models):
        for place, attack in enumerate(attacks):
            done = number * len(attacks) + place
            first.progress(Progress(attack.name, done, len(models) * len(attacks), unit=Unit.PARTS, model=model.name))
            found = session.attack(attack, model)
            if isinstance(found, str):
                skipped.append(SkippedAttack(model=model.name, attack=attack.name, reason=found))
            else:
                records += session.records(attack, model, found)
                skipped += session.omitted(attack, model)
    first.progress(Progress("all attacks", len(models) * len(attacks), len(models) * len(attacks), unit=Unit.PARTS))
    return AttacksDocument(
        data=DataRecord.of(first.data),
        models=[AttackedModel.of(model) for model in models],
        references=ReferenceModels(
            clean=_model(references.clean), compromised=_model(references.compromised), gold=_model(references.gold)
        ),
        attacks=[
            AttackFacts(
                name=attack.name, title=attack.title, attacker=attack.attacker,
                needs=sorted(need.value for need in attack.needs), counts=attack.counts,
            )
            for attack in attacks
        ],
        seed=seed,
        thorough=thorough,
        records=records,
        skipped=skipped,
        controls=[control for attack in attacks for control in session.controls(attack)],
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        attacked_by=attacking_key(),
    )  # fmt: skip


def finished(
    attack: Attack,
    model: ModelSource,
    view: Callable[[ModelSource], FeatureView],
    references: AttackReferences,
    seed: int = SEED,
    thorough: bool = False,
) -> bool:
    """Whether an attack on a model is kept from an earlier run; arguments as of `run_attacks`."""
    data, store = view(model).data, view(model).embedder.store
    return _Session(view, ForgetPairs.of(data), references, seed, thorough, KeptReadings(store)).has(attack, model)


class _Session:
    """One run: what all its attacks share."""

    def __init__(
        self,
        view: Callable[[ModelSource], FeatureView],
        pairs: ForgetPairs,
        references: AttackReferences,
        seed: int,
        thorough: bool,
        kept: KeptReadings,
    ) -> None:
        self._view, self._pairs, self._references = view, pairs, references
        self._seed, self._thorough, self._kept = seed, thorough, kept
        self._targets: dict[str, Target] = {}
        self._runs: dict[tuple[str, str], _AttackRun | str] = {}

    def attack(self, attack: Attack, model: ModelSource) -> _AttackRun | str:
        """What an attack finds in a model, or a sentence that says why it cannot be run."""
        key = (attack.name, model.fingerprint)
        if key not in self._runs:
            self._runs[key] = self._attacked(attack, self._target(model))
        return self._runs[key]

    def omitted(self, attack: Attack, model: ModelSource) -> Iterator[SkippedAttack]:
        """What an attack that was run left out."""
        for clause in attack.omissions(self._target(model)):
            yield SkippedAttack(model=model.name, attack=attack.name, reason=f"{attack.name} is run in part: {clause}.")

    def has(self, attack: Attack, model: ModelSource) -> bool:
        """Whether what an attack found in a model is on disk."""
        return self._kept.load(attack, self._target(model)) is not None

    def _attacked(self, attack: Attack, target: Target) -> _AttackRun | str:
        reason = _lacking(attack, target) or attack.obstacle(target)
        if reason:
            return f"{attack.name} is skipped: {reason}."
        found = self._kept.load(attack, target)
        if found is None:
            start = time.perf_counter()
            try:
                readings = list(attack.run(target))
            except StorageError:
                raise
            except SalmuError as error:
                return f"{attack.name} is skipped: {str(error).rstrip('.')}."
            found = readings, time.perf_counter() - start
            self._kept.save(attack, target, *found)
        return _AttackRun({reading.key: reading for reading in found[0]}, found[1])

    def _target(self, model: ModelSource) -> Target:
        if model.fingerprint not in self._targets:
            had = self._references
            original, clean, gold = (
                None if other is None else self._view(other) for other in (had.compromised, had.clean, had.gold)
            )
            self._targets[model.fingerprint] = Target(
                self._view(model), self._pairs, original, clean, gold, self._seed, self._thorough
            )
        return self._targets[model.fingerprint]

    def _reference(self, attack: Attack, role: ModelSource | None) -> _AttackRun | None:
        found = role and self.attack(attack, role)
        return found if isinstance(found, _AttackRun) else None

    def records(self, attack: Attack, model: ModelSource, run: _AttackRun) -> Iterator[AttackRecord]:
        """One record for each reading."""
        for reading in run.readings.values():
            found = self._recovery(attack, reading)
            low, high = _ends(found.spread)
            yield AttackRecord(
                model=model.name, attack=attack.name, variant=reading.variant, gallery=reading.gallery,
                measure=reading.measure, value=found.value, low=low, high=high, as_is=found.as_is,
                clean=found.clean, compromised=found.compromised, share=found.share, left=found.left,
                recovered=_recovered(found),
                reason=found.reason or None, counts=attack.counts, pairs=len(reading.scores),
                personas=len({identity for identity in reading.identities if identity is not None}),
                seed=self._seed, seconds=round(run.seconds, 3),
            )  # fmt: skip

    def _recovery(self, attack: Attack, reading: AttackReading) -> Recovery:
        runs = [self._reference(attack, role) for role in (self._references.clean, self._references.compromised)]
        clean, compromised = (None if run is None else run.readings.get(reading.key) for run in runs)
        return recovery(reading, clean, compromised)

    def controls(self, attack: Attack) -> Iterator[ControlRecord]:
        """The attack on cases whose answer is known."""
        compromised = self._references.compromised
        if compromised is None or self._references.clean is None or _lacking(attack, self._target(compromised)):
            return
        run = self._reference(attack, compromised)
        if run is not None:
            yield from self._control(attack, "copy", 1.0, run.readings.values())
        if attack.reads_features_only and attack.counts:
            copy = self._target(compromised)
            hidden, erased = (copy.edited(edit) for edit in (Hidden(self._seed), Erased()))
            yield from self._control(attack, "hidden", 1.0, attack.run(hidden))
            yield from self._control(attack, "erased", 0.0, attack.run(erased))

    def _control(
        self, attack: Attack, control: ControlName, expected: float, readings: Iterable[AttackReading]
    ) -> Iterator[ControlRecord]:
        for reading in readings:
            if (reading.gallery, reading.measure) == (MIXED, MRR):
                share = self._recovery(attack, reading).share
                yield ControlRecord(
                    attack=attack.name, variant=reading.variant, control=control, expected=expected, share=share
                )


def _lacking(attack: Attack, target: Target) -> str | None:
    """What an attack needs and a target does not have, as a clause."""
    if AttackerNeed.ORIGINAL in attack.needs and target.original is None:
        return "it needs the original model, and none is given; name it with --compromised"
    if AttackerNeed.EXTENSION in attack.needs and layout.UNSEEN_IMAGES not in target.data.stored_splits:
        return f"it needs images that no model was trained on, and {target.data.name} has none"
    return None


def _recovered(found: Recovery) -> RecoveredShare | None:
    if found.recovered is None:
        return None
    low, high = _ends(found.interval)
    return RecoveredShare(value=found.recovered, low=low, high=high)


def _ends(found: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if found is None else (found.low, found.high)


def _model(model: ModelSource | None) -> AttackedModel | None:
    return None if model is None else AttackedModel.of(model)
