"""What an `attacks.json` comes to for a model: the attacker's choices, and the most that any attack brings back."""

from collections.abc import Sequence

from salmu_demo.attacks.schema import AttackRecord, AttacksDocument


def attackers_choice(records: Sequence[AttackRecord]) -> list[AttackRecord]:
    """Of the forms of an attack, in each gallery and measure, the one that recovers most; in the order they come.

    Of forms that cannot tell the first stands for all.

    Args:
        records: those of one model.
    """
    chosen: dict[tuple[str, str, str], AttackRecord] = {}
    for record in records:
        key = record.attack, record.gallery, record.measure
        if key not in chosen or _share(record) > _share(chosen[key]):
            chosen[key] = record
    return list(chosen.values())


def most_recovered(document: AttacksDocument, model: str) -> AttackRecord | None:
    """The record of a model with the largest recovered share of all that count; None if no attack can tell.

    Args:
        document: what attacks found.
        model: name of the model.
    """
    telling = [
        record
        for record in document.records
        if record.model == model and record.counts and record.recovered is not None
    ]
    return max(telling, key=_share, default=None)


def _share(record: AttackRecord) -> float:
    return float("-inf") if record.recovered is None else record.recovered.value
