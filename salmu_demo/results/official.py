"""The official result file: one JSON for each model, with a block of our own that says how it was made."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from salmu_demo.files import write_text
from salmu_demo.metrics import DECISIONS
from salmu_demo.notices import SCORES_NOTICE
from salmu_demo.results.records import Evaluation, MetricResult

SCHEMA_VERSION: Final = 2
_LONGEST_SLUG: Final = 180
"""Bytes; file systems allow 255 for a name, and a file that is being written has a longer one."""

_WITH_SCORES: Final = ("AssocStr", "CoreAssoc")


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
    document: dict[str, Any] = {result.spec.value_key: result.value}
    if result.r_at_1 is not None:
        document["R@1"] = result.r_at_1
    if result.ranks is not None:
        document["outcomes"] = result.ranks.tolist()
    if result.spec.name in _WITH_SCORES and result.scores is not None:
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
        "seconds": {name: round(result.seconds, 3) for name, result in evaluation.results.items()},
        "decisions": [asdict(decision) for decision in DECISIONS],
        "notice": SCORES_NOTICE,
    }


def official_name(evaluation: Evaluation) -> str:
    """Name of the official result file, `evaluation_<slug>`, without its ending; one of a sample says so.

    A model of an imported file may be called anything: what no file name can hold is replaced or cut.
    """
    slug = "".join(c if c.isprintable() else "_" for c in evaluation.model.slug)
    short = slug.encode()[:_LONGEST_SLUG].decode(errors="ignore")
    return f"evaluation_{short}{evaluation.data.file_mark}"


def write_official(evaluation: Evaluation, folder: Path) -> Path:
    """Write the official result file atomically and return its path; raises :class:`StorageError`."""
    path = folder / f"{official_name(evaluation)}.json"
    write_text(path, json.dumps(official_result(evaluation), indent=1) + "\n", "The result file")
    return path
