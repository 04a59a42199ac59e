"""Several evaluations side by side: targets, and how far each model is from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from salmu_demo.errors import MetricError
from salmu_demo.metrics import METRICS, MetricSpec
from salmu_demo.models.source import ModelSource
from salmu_demo.notices import MINI_NOTICE
from salmu_demo.results.evaluation import Evaluation


def find_reference(models: Sequence[ModelSource], role: str) -> ModelSource | None:
    """The first model whose name ends in the role, `clean` or `compromised`, as the built-in and official ones do."""
    # A Hub model may be pinned: org/name@revision.
    return next((model for model in models if model.name.lower().partition("@")[0].endswith(f"-{role}")), None)


@dataclass(frozen=True)
class Cell:
    """One metric of one model: its value and the signed gaps to both references (None where one is missing)."""

    value: float | None
    gap_to_clean: float | None
    gap_to_compromised: float | None


@dataclass(frozen=True)
class ComparisonRow:
    """One metric of all models.

    Attributes:
        spec: the metric.
        target: the value to reach: Clean's for efficacy, Compromised's for utility; None without that reference.
        cells: one for each model, in order.
    """

    spec: MetricSpec
    target: float | None
    cells: tuple[Cell, ...]

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
        data: name of the data set.
        notice: what every view of these numbers must say about the data, or an empty text.
    """

    models: tuple[ModelSource, ...]
    rows: tuple[ComparisonRow, ...]
    data: str = ""
    notice: str = ""


def compare(evaluations: Sequence[Evaluation]) -> Comparison:
    """Put evaluations of the same data set side by side.

    Raises:
        MetricError: if they were made on different data.
    """
    if len({evaluation.data.fingerprint for evaluation in evaluations}) > 1:
        raise MetricError("These evaluations were made on different data sets; compare results of the same data.")
    models = [evaluation.model for evaluation in evaluations]
    by_print = {evaluation.model.fingerprint: evaluation for evaluation in evaluations}
    clean, compromised = (find_reference(models, role) for role in ("clean", "compromised"))

    def reference_value(reference: ModelSource | None, metric: str) -> float | None:
        return by_print[reference.fingerprint].value(metric) if reference else None

    rows = []
    for spec in METRICS:
        values = [evaluation.value(spec.name) for evaluation in evaluations]
        if not any(spec.name in evaluation.results for evaluation in evaluations):
            continue
        at_clean, at_compromised = (reference_value(model, spec.name) for model in (clean, compromised))
        cells = tuple(Cell(v, _gap(v, at_clean), _gap(v, at_compromised)) for v in values)
        rows.append(ComparisonRow(spec, at_clean if spec.reference == "clean" else at_compromised, cells))
    data = evaluations[0].data if evaluations else None
    notice = MINI_NOTICE if data and data.is_mini else ""
    return Comparison(tuple(models), tuple(rows), data.name if data else "", notice)


def _gap(value: float | None, reference: float | None) -> float | None:
    return None if value is None or reference is None else value - reference
