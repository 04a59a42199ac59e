"""Results of several files or jobs as one table, and what its models are called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from salmu_demo.models.names import display_names
from salmu_demo.results.document import distinct
from salmu_demo.results.records import Evaluation


def with_others(evaluations: Sequence[Evaluation], others: Iterable[Evaluation]) -> list[Evaluation]:
    """The evaluations, and of the others those of the same data and sample; each model once."""
    keys = {evaluation.data.key for evaluation in evaluations}
    return distinct([*evaluations, *(other for other in others if other.data.key in keys)])


def renamed(evaluations: Sequence[Evaluation], names: Mapping[str, str]) -> list[Evaluation]:
    """The evaluations with names for tables; files of official results are named by references as before.

    Args:
        evaluations: one for each model.
        names: what models are to be called, by their names or references.

    Raises:
        QueryError: as `display_names` does.
    """
    called = display_names([evaluation.model for evaluation in evaluations], names)
    return [replace(e, model=replace(e.model, name=name)) for e, name in zip(evaluations, called, strict=True)]
