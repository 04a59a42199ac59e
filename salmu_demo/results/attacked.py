"""What attacks have recovered, read from `attacks.json` and put beside what was measured of each model."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from salmu_demo.core.documents import read_model
from salmu_demo.core.errors import ResultError
from salmu_demo.results.records import AttackRecord, Evaluation


class _AttacksFile(BaseModel):
    """What of `attacks.json` a diagnosis needs."""

    records: list[AttackRecord]


def read_attacks(path: Path) -> list[AttackRecord]:
    """The records of an `attacks.json`.

    Raises:
        ResultError: if it cannot be read, or a value does not fit.
    """
    return read_model(path, _AttacksFile, ResultError, "The file of attacks").records


def with_attacks(evaluations: Iterable[Evaluation], records: Sequence[AttackRecord]) -> list[Evaluation]:
    """The evaluations with the records of their models, which name them as tables do or as the user typed.

    Raises:
        ResultError: if no record is about any of the models.
    """
    found = [
        replace(e, attacks=tuple(r for r in records if r.model in (e.model.name, e.model.reference)))
        for e in evaluations
    ]
    if records and not any(evaluation.attacks for evaluation in found):
        raise ResultError(
            f"The file of attacks is about other models, such as {records[0].model}; give that of the evaluated ones."
        )
    return found
