"""Results of several files or jobs as one table, and what its models are called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from salmu_demo.core.errors import QueryError, quoted
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
        QueryError: if a model is not among them, or two are to be called the same.
    """
    found = []
    for evaluation in evaluations:
        model = evaluation.model
        wanted = [names[known] for known in dict.fromkeys((model.reference, model.name)) if known in names]
        found.append(replace(evaluation, model=replace(model, name=wanted[0])) if wanted else evaluation)
    known = {name for e in evaluations for name in (e.model.name, e.model.reference)}
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise QueryError(f"No model in these results is called {quoted(unknown)}; name one that was measured.")
    called = [e.model.name for e in found]
    twice = next((name for name in names.values() if called.count(name) > 1), None)
    if twice is not None:
        raise QueryError(f"Two models would be called {quoted(twice)}; give each a name of its own.")
    return found
