"""The official result file: one JSON for each model, with a block of our own that says how it was made."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.files import write_text
from salmu_demo.core.notices import SCORES_NOTICE
from salmu_demo.metrics import DECISIONS, MetricResult
from salmu_demo.metrics.protocol import GENKNOW_SKIPPED
from salmu_demo.models.names import Referred, distinct_slugs
from salmu_demo.results.records import Evaluation, MeasuredData

SCHEMA_VERSION: Final = 2


def official_result(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation in the official shape, plus the block `salmu_demo`.

    The date and the timings are in that block only; everything else is the same for equal models and data.
    """
    document: dict[str, Any] = {"efficacy": {}, "utility": {}}
    for result in evaluation.results.values():
        if result.spec.official:
            document[result.spec.pillar][result.spec.json_key] = _official_metric(result)
    document["salmu_demo"] = _provenance(evaluation)
    return document


def _official_metric(result: MetricResult) -> dict[str, Any]:
    """A metric by its official keys; the official file lists the outcomes of three metrics only."""
    document: dict[str, Any] = {result.spec.value_key: GENKNOW_SKIPPED if result.skipped else result.value}
    if result.r_at_1 is not None:
        document["R@1"] = result.r_at_1
    if result.ranks is not None:
        document["outcomes"] = result.ranks.tolist()
    if result.spec.lists_scores and result.scores is not None:
        document["scores"] = result.scores.tolist()
    return document


def _provenance(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "date": evaluation.made.date,
        "model": asdict(evaluation.model),
        "data": asdict(evaluation.data),
        "genknow_measured_on": evaluation.zero_shot,
        "leakage_rate": evaluation.value("LeakRate"),
        "seed": evaluation.made.seed,
        "versions": evaluation.made.versions,
        "measured_by": evaluation.made.measured_by,
        "seconds": {name: round(result.seconds, 3) for name, result in evaluation.results.items()},
        "decisions": [asdict(decision) for decision in DECISIONS],
        "notice": SCORES_NOTICE,
    }


def official_names(models: Sequence[Referred], data: MeasuredData) -> list[str]:
    """Names of the official result files, `evaluation_<slug>`, without their ending; those of a sample say so.

    They depend on which models are measured together and not on their order, see `distinct_slugs`; the same model
    twice gets a number.
    """
    names: list[str] = []
    for slug in distinct_slugs(models):
        name, number = f"evaluation_{slug}{data.file_mark}", 1
        while name in names:
            number += 1
            name = f"evaluation_{slug}_{number}{data.file_mark}"
        names.append(name)
    return names


def write_official(evaluation: Evaluation, folder: Path, name: str | None = None) -> Path:
    """Write the official result file atomically and return its path; raises `StorageError`.

    Args:
        evaluation: what was measured.
        folder: its folder.
        name: one of `official_names`; None for a model that is measured alone.
    """
    path = folder / f"{name or official_names([evaluation.model], evaluation.data)[0]}.json"
    write_text(path, json.dumps(official_result(evaluation), indent=1) + "\n", "The result file")
    return path
