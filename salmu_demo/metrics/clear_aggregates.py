"""CLEAR's Real, Retain and Forget metric and Model Utility (arXiv 2410.18057, section 5.1): harmonic means of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from salmu_demo.core.errors import MetricError
from salmu_demo.metrics.clear_protocol import TABLES_HAVE_ROUGE

TaskName: TypeAlias = Literal["real faces", "real world", "retain captions", "retain names", "forget captions",
                              "forget names"]  # fmt: skip
Aggregate: TypeAlias = Literal["Real", "Retain", "Forget", "Model Utility"]
Form: TypeAlias = Literal["text", "tables"]
"""`text`: ROUGE-L, Probability and Truth Ratio, as the paper says; `tables`: as it makes its tables."""

TASKS_OF: Final[dict[Aggregate, tuple[TaskName, ...]]] = {
    "Real": ("real faces", "real world"),
    "Retain": ("retain captions", "retain names"),
    "Forget": ("forget captions", "forget names"),
    "Model Utility": ("real faces", "real world", "retain captions", "retain names"),
}
"""The tasks that each takes together; `names` is face recognition."""


@dataclass(frozen=True)
class TaskScores:
    """Means over the rows of a task, each from 0 to 1.

    Attributes:
        probability: Probability.
        truth_ratio: Truth Ratio, in one of its forms.
        rouge: recall of ROUGE-L; None of a model that generates nothing.
    """

    probability: float
    truth_ratio: float
    rouge: float | None = None


def aggregate(scores: Mapping[TaskName, TaskScores], what: Aggregate, form: Form) -> float:
    """One of CLEAR's aggregates, from 0 to 1.

    The official Model Utility has the form `text`: twelve numbers. In the form `tables` it is that of a model without a
    decoder: eight.

    Args:
        scores: scores by task.
        what: which aggregate.
        form: which numbers of a task go into it.

    Raises:
        MetricError: if a task is missing, was measured without ROUGE-L where the form needs it, or has a score outside
            0..1.

    Example:
        >>> names = {"forget names": TaskScores(0.5, 1.0), "forget captions": TaskScores(1.0, 0.5)}
        >>> round(aggregate(names, "Forget", "tables"), 6)
        0.666667
    """
    missing = [task for task in TASKS_OF[what] if task not in scores]
    if missing:
        raise MetricError(f"{what} needs the task {missing[0]}, which was not measured.")
    values: list[float] = []
    for task in TASKS_OF[what]:
        values += (scores[task].probability, scores[task].truth_ratio)
        if form == "text" or TABLES_HAVE_ROUGE:
            rouge = scores[task].rouge
            if rouge is None:
                raise MetricError(
                    f"{what} in the form of the paper's text needs ROUGE-L of {task}, which a model without a decoder "
                    "does not have; take the form of its tables."
                )
            values.append(rouge)
    return harmonic_mean(values)


def harmonic_mean(values: Sequence[float]) -> float:
    """The harmonic mean of numbers from 0 to 1; 0 if one of them is.

    Raises:
        MetricError: if there are none, or one lies outside.

    Example:
        >>> harmonic_mean([0.5, 0.25]), harmonic_mean([1.0, 0.0])
        (0.3333333333333333, 0.0)
    """
    if not values or not all(0 <= value <= 1 for value in values):
        raise MetricError("A harmonic mean needs one or more numbers from 0 to 1.")
    return 0.0 if min(values) == 0 else len(values) / sum(1 / value for value in values)
