"""What attacks found, put beside what was measured of the same models on the same data."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from salmu_demo.attacks.schema import AttackedModel, AttacksDocument
from salmu_demo.core.documents import check_model
from salmu_demo.core.errors import ResultError
from salmu_demo.results.records import Evaluation, MeasuredModel, RecordedAttack


def with_attacks(evaluations: Sequence[Evaluation], found: AttacksDocument) -> list[Evaluation]:
    """The evaluations with what attacks found in their models, in place of what was known of the attacked ones.

    Models are recognised by their fingerprints; those of a result file without any, by how they are called.

    Raises:
        ResultError: if the attacks were run on other data, or on none of the models.
    """
    for evaluation in evaluations:
        if evaluation.data.fingerprint not in (None, found.data.fingerprint):
            raise ResultError(
                f"The attacks were run on {found.data.name} and not on the data that was measured, "
                f"{evaluation.data.name}; run them on that."
            )
    named = [{other.name for other in found.models if _is_same(evaluation.model, other)} for evaluation in evaluations]
    if not any(named):
        models = ", ".join(model.name for model in found.models)
        raise ResultError(f"The attacks were run on {models:.200}, and on none of the evaluated models.")
    return [
        replace(evaluation, attacks=records_of(found, names)) if names else evaluation
        for evaluation, names in zip(evaluations, named, strict=True)
    ]


def records_of(found: AttacksDocument, models: Collection[str] | None = None) -> tuple[RecordedAttack, ...]:
    """What attacks found, as results keep it: of the models of some names, or of all."""
    records = (record for record in found.records if models is None or record.model in models)
    return tuple(check_model(record.model_dump(), RecordedAttack) for record in records)


def joined(earlier: AttacksDocument, later: AttacksDocument) -> AttacksDocument:
    """What two runs found, of an attack on a model the later; the later run alone if they cannot be compared."""
    if any(
        getattr(earlier, fact) != getattr(later, fact)
        for fact in ("data", "references", "seed", "thorough", "attacked_by")
    ):
        return later
    attacked = {model.name: model for model in later.models}
    if any(attacked.get(model.name, model) != model for model in earlier.models):
        return later
    again = {(model.name, attack.name) for model in later.models for attack in later.attacks}
    attacks = {attack.name for attack in later.attacks}
    return later.model_copy(
        update={
            "models": list({model.name: model for model in [*earlier.models, *later.models]}.values()),
            "attacks": [*(attack for attack in earlier.attacks if attack.name not in attacks), *later.attacks],
            "records": [*(r for r in earlier.records if (r.model, r.attack) not in again), *later.records],
            "skipped": [*(s for s in earlier.skipped if (s.model, s.attack) not in again), *later.skipped],
            "controls": [*(c for c in earlier.controls if c.attack not in attacks), *later.controls],
        }
    )


def _is_same(measured: MeasuredModel, attacked: AttackedModel) -> bool:
    if measured.fingerprint is not None:
        return measured.fingerprint == attacked.fingerprint
    return measured.name == attacked.name or measured.reference == attacked.reference
