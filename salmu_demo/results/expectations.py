"""Whether the released reference models score here what was published about them: a check of this evaluator."""

from dataclasses import dataclass
from typing import Final

from salmu_demo.hub.reference import OFFICIAL_DATA, OFFICIAL_MODELS
from salmu_demo.metrics import find_metric
from salmu_demo.results.analysis import Analysis
from salmu_demo.results.published import OFFICIAL_ZERO_SHOT, PUBLISHED, PublishedModel
from salmu_demo.results.records import Evaluation, MeasuredData

TOLERANCE: Final = 0.001
"""Largest difference of a mean that another library or device explains; general knowledge is published this fine."""

ACS_TOLERANCE: Final = 0.005
"""ACS depends on a draw of negatives, which the official evaluator repeats for no model."""

_TOLERANCES: Final = {"ACS": ACS_TOLERANCE}


@dataclass(frozen=True)
class Expectation:
    """A value beside the published one.

    Attributes:
        model: name of the model.
        metric: name of the metric.
        value: what was measured here.
        published: what was published.
        tolerance: largest difference that is expected.
        source: where it was published.
    """

    model: str
    metric: str
    value: float
    published: float
    tolerance: float
    source: str

    @property
    def difference(self) -> float:
        """Ours minus the published one."""
        return self.value - self.published

    @property
    def is_met(self) -> bool:
        """Whether the two agree within the tolerance; published numbers have six decimals at most."""
        return round(abs(self.difference), 6) <= self.tolerance


def is_official_data(data: MeasuredData) -> bool:
    """Whether results were made on the released benchmark, of any revision.

    >>> is_official_data(MeasuredData("cvc-mmu/salmubench-512-redistributed@main")), is_official_data(MeasuredData("a"))
    (True, False)
    """
    return data.name.partition("@")[0] == OFFICIAL_DATA


def expectations(analysis: Analysis) -> tuple[Expectation, ...]:
    """Every published value of the released references that was measured on all rows of the official data."""
    data = analysis.comparison.data
    if not is_official_data(data) or data.sample:
        return ()
    return tuple(
        Expectation(name, metric, value, wanted, _TOLERANCES.get(metric, TOLERANCE), published.source)
        for name, model in zip(analysis.names, analysis.models, strict=True)
        if (published := _published(model.evaluation)) is not None
        for metric, wanted in published.values.items()
        if (value := model.evaluation.value(metric)) is not None
        and (not find_metric(metric).on_zero_shot_set or model.evaluation.zero_shot == OFFICIAL_ZERO_SHOT)
    )


def _published(evaluation: Evaluation) -> PublishedModel | None:
    """The published row of a released reference, or None for any other model."""
    repository = evaluation.model.reference.removeprefix("hf-hub:").partition("@")[0]
    return next((row for row in PUBLISHED if row.role and OFFICIAL_MODELS[f"official-{row.role}"] == repository), None)
