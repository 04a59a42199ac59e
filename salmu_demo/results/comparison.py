"""Several evaluations side by side: targets, and how far each model is from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics import Metric, known_metrics
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, REFERENCES, Told, assign_roles
from salmu_demo.results.records import Evaluation, MeasuredData, MeasuredModel


@dataclass(frozen=True)
class ComparisonCell:
    """One metric of one model: its value and the signed gaps to both references (None where one is missing)."""

    value: float | None
    gap_to_clean: float | None
    gap_to_compromised: float | None


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of all models.

    Attributes:
        spec: the metric.
        target: the value to reach, that of `target_role`; None without that reference.
        cells: one for each model, in order.
    """

    spec: Metric
    target: float | None
    cells: tuple[ComparisonCell, ...]

    def distance(self, number: int) -> float | None:
        """Signed gap of one model to the target."""
        value = self.cells[number].value
        return None if value is None or self.target is None else value - self.target


@dataclass(frozen=True)
class Comparison:
    """The table of several models on one data set.

    Attributes:
        models: the models, in order.
        rows: one for each metric.
        data: the data set they were measured on.
        remarks: sentences on roles that models do not have, see `assign_roles`, and on metrics that tell nothing.
    """

    models: tuple[MeasuredModel, ...]
    rows: tuple[ComparisonRow, ...]
    data: MeasuredData
    remarks: tuple[str, ...] = ()


def target_role(spec: Metric) -> str:
    """Whose value a metric aims at: in CLEAR, which knows no Clean, Gold's for what is to be forgotten.

    >>> from salmu_demo.metrics import find_metric
    >>> [target_role(find_metric(name)) for name in ("RetFail", "ForgetTables", "RealText")]
    ['clean', 'gold', 'compromised']
    """
    return GOLD if spec.benchmark == "CLEAR" and spec.pillar == "efficacy" else spec.reference


def compare(evaluations: Sequence[Evaluation], told: Told = NOTHING_TOLD) -> Comparison:
    """Put evaluations of the same data set side by side.

    Args:
        evaluations: one for each model.
        told: which models are the references; otherwise their recorded roles, cards and names say so.

    Raises:
        MetricError: if there are none, or they were made on different data or on different rows.
        QueryError: if it is not clear who is a reference.
    """
    if len({evaluation.data.key for evaluation in evaluations}) != 1:
        raise MetricError(
            "These evaluations were made on different data sets or samples; compare results of the same rows."
            if evaluations
            else "There are no evaluations to compare; give at least one."
        )
    for spec in known_metrics():
        _check_same_rows(spec.name, evaluations)
    measured = [evaluation.model for evaluation in evaluations]
    assigned = assign_roles(measured, told)
    models = [
        replace(model, name=name, role=role)
        for model, name, role in zip(measured, distinct_names(measured), assigned.roles, strict=True)
    ]
    numbers: dict[str, int | None] = {role: assigned.number(role) for role in REFERENCES}

    rows = []
    for spec in known_metrics():
        values = [evaluation.value(spec.name) for evaluation in evaluations]
        if not any(spec.name in evaluation.results for evaluation in evaluations):
            continue
        at = {role: None if number is None else values[number] for role, number in numbers.items()}
        cells = tuple(ComparisonCell(v, _gap(v, at[CLEAN]), _gap(v, at[COMPROMISED])) for v in values)
        rows.append(ComparisonRow(spec, at[target_role(spec)], cells))
    remarks = (*assigned.remarks, *_telling_nothing(measured, rows))
    return Comparison(tuple(models), tuple(rows), evaluations[0].data, remarks)


def _telling_nothing(models: Sequence[MeasuredModel], rows: Sequence[ComparisonRow]) -> Iterator[str]:
    """A sentence on the metrics that are the same number for every one of several models, if there are any."""
    if len({model.fingerprint or model.reference for model in models}) < 2:
        return
    alike = []
    for row in rows:
        values = {cell.value for cell in row.cells}
        if len(values) == 1 and None not in values:
            alike.append(row.spec.name)
    if alike:
        yield f"The same number for every model, so that it tells none from another: {', '.join(alike)}."


def _check_same_rows(metric: str, evaluations: Sequence[Evaluation]) -> None:
    """Refuse a metric that was measured on different rows, such as GenKnow with and without an ImageNet folder."""
    # A file that does not say which rows it was measured on is believed.
    known = [(e.model.name, rows) for e in evaluations if (rows := e.file_names(metric)) is not None]
    for name, rows in known:
        if rows != known[0][1]:
            raise MetricError(
                f"{metric} of {known[0][0]} and of {name} were measured on different rows; measure both alike."
            )


def _gap(value: float | None, reference: float | None) -> float | None:
    return None if value is None or reference is None else value - reference
