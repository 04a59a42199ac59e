"""What evaluations say together: intervals, differences, break-downs, exposure, disagreements and the diagnosis.

Everything is computed from the evaluations alone, so a result file read again says the same as a fresh run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from salmu_demo.core.notices import left_out_metrics
from salmu_demo.data import layout
from salmu_demo.metrics import all_metrics, find_metric
from salmu_demo.metrics.intervals import Difference, Interval, cluster_numbers, interval, resampled_means
from salmu_demo.models.roles import CLEAN, COMPROMISED, GOLD, NOTHING_TOLD, REFERENCES, SCALE, ModelRole, Told
from salmu_demo.results.breakdown import ExposureGrid, GroupMean, disagreements, exposure_grid, group_means
from salmu_demo.results.comparison import Comparison, compare, target_role
from salmu_demo.results.diagnosis import Diagnosis, diagnose, least_gap, scale_position, scaled_distance
from salmu_demo.results.evidence import NOTHING, Evidence, ForgetGroup, interval_of
from salmu_demo.results.records import Evaluation

DISAGREEMENTS: Final = 8
"""Examples shown for each pair of models."""

Standing = Literal["better", "worse", "no clear difference"]
OPPOSITE: Final[dict[Standing, Standing]] = {
    "better": "worse",
    "worse": "better",
    "no clear difference": "no clear difference",
}
"""What the second of two models is if the first is this."""


def grouped_metrics() -> list[str]:
    """Names of the metrics that are broken down by attribute kind and persona, those of efficacy first."""
    return [metric.name for metric in sorted(all_metrics(), key=lambda metric: metric.pillar) if metric.grouped]


@dataclass(frozen=True)
class SideMean:
    """A metric over the people of one side, see `ForgetGroup`.

    Attributes:
        people: how many they are.
        mean: mean of their rows.
        interval: its interval; None for a single person.
    """

    people: int
    mean: float
    interval: Interval | None


@dataclass(frozen=True)
class ModelAnalysis:
    """One model among those it was measured with.

    Attributes:
        evaluation: what was measured.
        intervals: by metric: 95 % interval of its value, None where the rows are unknown.
        positions: by metric: 0 where Clean is and 1 where Compromised is; None without both or if they hardly differ.
        distances: by metric: distance to the target on the same scale, 0 on target.
        diagnosis: what the model did, or None for Clean and Compromised themselves.
        by_kind: by metric, then attribute kind.
        by_persona: by metric, then persona id.
        by_side: by metric, then people with nothing kept and those with pairs on both sides.
        exposure: bits by persona and kind, or None without RetFail's ranks.
    """

    evaluation: Evaluation
    intervals: dict[str, Interval | None]
    positions: dict[str, float | None]
    distances: dict[str, float | None]
    diagnosis: Diagnosis | None
    by_kind: dict[str, dict[str, GroupMean]]
    by_persona: dict[str, dict[str, GroupMean]]
    by_side: dict[str, dict[ForgetGroup, SideMean]]
    exposure: ExposureGrid | None


@dataclass(frozen=True)
class PairedDifference:
    """One metric of two models: value of the first minus value of the second.

    Attributes:
        metric: name of the metric.
        first: number of the first model.
        second: number of the second model.
        difference: value and 95 % interval over the same resampled personas.
        farther: how much farther the first is from the target than the second, on the same resamples; None without a
            target whose rows are known.
    """

    metric: str
    first: int
    second: int
    difference: Difference
    farther: Difference | None = None

    @property
    def standing(self) -> Standing:
        """What the first model is beside the second.

        Better is nearer to the target, without one lower in efficacy and higher in utility. The difference is clear if
        the intervals of both, the values' and the distances', leave out 0: on either side of a target two values can
        differ and be equally far from it, and nothing is nearer to a target than the model that sets it.
        """
        if not self.difference.significant or (self.farther is not None and not self.farther.significant):
            return "no clear difference"
        if self.farther is not None:
            return "better" if self.farther.value < 0 else "worse"
        is_lower = self.difference.value < 0
        return "better" if is_lower is (find_metric(self.metric).pillar == "efficacy") else "worse"


@dataclass(frozen=True)
class DisputedRow:
    """A forget row that two models see differently.

    Attributes:
        file_name: its image.
        identity: its persona.
        kind: its attribute kind.
        text: its caption.
        first: rank of the caption by the first model.
        second: rank of the caption by the second model.
    """

    file_name: str
    identity: str | None
    kind: str | None
    text: str
    first: float
    second: float


@dataclass(frozen=True)
class Disagreement:
    """The rows on which two models differ most in 1 / rank of RetFail.

    Attributes:
        first: number of the first model.
        second: number of the second model.
        examples: the rows, the largest difference first.
    """

    first: int
    second: int
    examples: tuple[DisputedRow, ...]


@dataclass(frozen=True)
class Analysis:
    """Several models on the same rows.

    Attributes:
        comparison: values, targets and gaps.
        models: one for each model, in order.
        differences: of every two models, metric by metric.
        disagreements: of every two models.
    """

    comparison: Comparison
    models: tuple[ModelAnalysis, ...]
    differences: tuple[PairedDifference, ...]
    disagreements: tuple[Disagreement, ...]

    @property
    def names(self) -> list[str]:
        """Short names of the models."""
        return [model.name for model in self.comparison.models]

    @property
    def remarks(self) -> list[str]:
        """What was assumed of the models, and what of their files is left out, each sentence once."""
        own = (remark for model in self.comparison.models for remark in model.remarks)
        left_out = left_out_metrics(name for model in self.models for name in model.evaluation.left_out)
        return list(dict.fromkeys([*self.comparison.remarks, *own, *left_out]))

    @property
    def roles(self) -> list[ModelRole]:
        """What each model is to the comparison."""
        return [model.own_role for model in self.comparison.models]


def analyse(evaluations: Sequence[Evaluation], told: Told = NOTHING_TOLD) -> Analysis:
    """Analyse evaluations of the same data; raises `SalmuError` as `compare` does."""
    comparison = compare(evaluations, told)
    evaluations = [replace(e, model=model) for e, model in zip(evaluations, comparison.models, strict=True)]
    intervals, differences = _intervals(comparison, evaluations)
    roles = [model.own_role.name for model in comparison.models]
    evidence = [Evidence.of(evaluation) for evaluation in evaluations]
    held = [evidence[roles.index(role)] if role in roles else NOTHING for role in (CLEAN, COMPROMISED, GOLD)]
    at = {
        role: {row.spec.name: row.cells[roles.index(role)].value for row in comparison.rows} if role in roles else {}
        for role in REFERENCES
    }
    models = []
    for number, evaluation in enumerate(evaluations):
        values = {row.spec.name: row.cells[number].value for row in comparison.rows}
        scale = [
            (row, values[row.spec.name], at["clean"].get(row.spec.name), at["compromised"].get(row.spec.name))
            for row in comparison.rows
        ]
        models.append(
            ModelAnalysis(
                evaluation=evaluation,
                intervals=intervals[number],
                positions={
                    row.spec.name: scale_position(value, low, high, least_gap(row.spec.name))
                    for row, value, low, high in scale
                },
                distances={
                    row.spec.name: scaled_distance(value, row.target, low, high, least_gap(row.spec.name))
                    for row, value, low, high in scale
                },
                diagnosis=None if roles[number] in SCALE else diagnose(evidence[number], *held),
                by_kind=_grouped(evaluation, evaluation.kinds),
                by_persona=_grouped(evaluation, evaluation.identities),
                by_side=_by_side(evidence[number]),
                exposure=_exposure(evaluation),
            )
        )
    pairs = combinations(range(len(evaluations)), 2)
    disagreeing = [d for first, second in pairs if (d := _disagreement(evaluations, first, second))]
    return Analysis(comparison, tuple(models), tuple(differences), tuple(disagreeing))


def _intervals(
    comparison: Comparison, evaluations: Sequence[Evaluation]
) -> tuple[list[dict[str, Interval | None]], list[PairedDifference]]:
    """Intervals of all values and of all differences; one draw of personas serves every model of a metric."""
    found: list[dict[str, Interval | None]] = [{} for _ in evaluations]
    differences = []
    roles = [model.own_role.name for model in comparison.models]
    for row in comparison.rows:
        name = row.spec.name
        known = [n for n, evaluation in enumerate(evaluations) if evaluation.clusters(name) is not None]
        for number in range(len(evaluations)):
            found[number][name] = None
        if not known:
            continue
        scores = np.stack([_scores(evaluations[n], name) for n in known])
        clusters = cluster_numbers(evaluations[known[0]].clusters(name) or [])
        means = resampled_means(scores, clusters)
        if means is None:
            continue
        for position, number in enumerate(known):
            found[number][name] = interval(means[:, position])
        target = next((n for n, number in enumerate(known) if roles[number] == target_role(row.spec)), None)
        values = scores.mean(axis=1)
        for (a, first), (b, second) in combinations(enumerate(known), 2):
            difference = Difference(float(values[a] - values[b]), interval(means[:, a] - means[:, b]))
            farther = None
            if target is not None:
                off, drawn = np.abs(values - values[target]), np.abs(means - means[:, [target]])
                farther = Difference(float(off[a] - off[b]), interval(drawn[:, a] - drawn[:, b]))
            differences.append(PairedDifference(name, first, second, difference, farther))
    return found, differences


def _scores(evaluation: Evaluation, metric: str) -> NDArray[np.float64]:
    scores = evaluation.results[metric].scores
    assert scores is not None
    return scores


def _grouped(
    evaluation: Evaluation, groups_of: Callable[[str], list[str | None] | None]
) -> dict[str, dict[str, GroupMean]]:
    grouped = {}
    for metric in grouped_metrics():
        groups = groups_of(metric)
        if groups is not None:
            grouped[metric] = group_means(_scores(evaluation, metric), groups)
    return grouped


def _by_side(evidence: Evidence) -> dict[str, dict[ForgetGroup, SideMean]]:
    """The metrics over the forget rows, by what else is to be kept of a person."""
    found: dict[str, dict[ForgetGroup, SideMean]] = {}
    for metric in grouped_metrics():
        sides = evidence.sides(metric) if find_metric(metric).split == layout.FORGET else ()
        for side in sides:
            mean = evidence.mean(metric, side)
            if side is not ForgetGroup.ALL and mean is not None and mean.clusters is not None:
                people = len(mean.clusters.names)
                part = SideMean(people, mean.value, interval_of(lambda own: own, (mean,)))
                found.setdefault(metric, {})[side] = part
    return found


def _exposure(evaluation: Evaluation) -> ExposureGrid | None:
    result = evaluation.results.get("RetFail")
    identities, kinds = evaluation.identities("RetFail"), evaluation.kinds("RetFail")
    if result is None or result.ranks is None or result.candidates is None or identities is None or kinds is None:
        return None
    return exposure_grid(result.ranks, result.candidates, identities, kinds, layout.KINDS)


def _disagreement(evaluations: Sequence[Evaluation], first: int, second: int) -> Disagreement | None:
    results = [evaluations[number].results.get("RetFail") for number in (first, second)]
    rows = evaluations[first].rows.get(layout.FORGET)
    if rows is None or any(r is None or r.scores is None or r.ranks is None or r.rows is None for r in results):
        return None
    a, b = (r for r in results if r is not None)
    assert a.scores is not None
    assert b.scores is not None
    assert a.rows is not None
    assert a.ranks is not None
    assert b.ranks is not None
    examples = tuple(
        DisputedRow(
            rows.file_names[row], rows.identities[row], rows.kinds[row], rows.texts[row],
            float(a.ranks[position]), float(b.ranks[position]),
        )
        for position in disagreements(a.scores, b.scores, DISAGREEMENTS)
        for row in [int(a.rows[position])]
    )  # fmt: skip
    return Disagreement(first, second, examples)
