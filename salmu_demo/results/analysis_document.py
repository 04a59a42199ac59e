"""An analysis as JSON: the part `analysis` of `results.json`, described in `docs/results-schema.md`."""

import math
from dataclasses import asdict
from typing import Any

from salmu_demo.results.analysis import Analysis, ModelAnalysis
from salmu_demo.results.breakdown import ExposureGrid, GroupMean
from salmu_demo.results.diagnosis import Diagnosis
from salmu_demo.results.intervals import LEVEL, RESAMPLES, Interval


def analysis_document(analysis: Analysis) -> dict[str, Any]:
    """Everything an analysis says, with finite numbers or null only."""
    return {
        "intervals": {"level": LEVEL, "resamples": RESAMPLES, "drawn": "personas"},
        "targets": {row.spec.name: row.target for row in analysis.comparison.rows},
        "models": [_model(model) for model in analysis.models],
        "differences": [
            {
                "metric": d.metric,
                "first": d.first,
                "second": d.second,
                "value": d.difference.value,
                "interval": _interval(d.difference.interval),
                "significant": d.difference.significant,
            }
            for d in analysis.differences
        ],
        "disagreements": [asdict(d) for d in analysis.disagreements],
    }


def _model(model: ModelAnalysis) -> dict[str, Any]:
    return {
        "name": model.evaluation.model.name,
        "fingerprint": model.evaluation.model.fingerprint,
        "intervals": {name: _interval(found) for name, found in model.intervals.items()},
        "positions": model.positions,
        "distances": model.distances,
        "diagnosis": model.diagnosis and _diagnosis(model.diagnosis),
        "by_kind": _groups(model.by_kind),
        "by_persona": _groups(model.by_persona),
        "exposure": model.exposure and _exposure(model.exposure),
    }


def _interval(found: Interval | None) -> list[float] | None:
    return None if found is None else [found.low, found.high]


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "label": diagnosis.label,
        "utility_efficient": diagnosis.utility_efficient,
        "assocstr_below_clean": diagnosis.below_clean,
        "criteria": [
            {
                "name": c.name,
                "value": c.value,
                "threshold": c.threshold,
                "margin": c.margin,
                "passed": c.passed,
                "sentence": c.sentence,
            }
            for c in diagnosis.criteria
        ],
    }


def _groups(groups: dict[str, dict[str, GroupMean]]) -> dict[str, dict[str, dict[str, float]]]:
    return {metric: {name: asdict(mean) for name, mean in found.items()} for metric, found in groups.items()}


def _exposure(grid: ExposureGrid) -> dict[str, Any]:
    bits = [[None if math.isnan(value) else value for value in row] for row in grid.bits.tolist()]
    return {"personas": grid.personas, "kinds": grid.kinds, "bits": bits}
