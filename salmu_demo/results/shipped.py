"""Evaluations that are shipped with the built-in models, so that nothing has to be encoded and measured to show them.

A file is found by the fingerprints of model and data and by the code that measured it; versions of libraries do not
count, as with `salmu_demo.probes.shipped`.
"""

import json
import logging
import lzma
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import atomic_path, portable_digest
from salmu_demo.core.plugins import outside_code
from salmu_demo.data.dataset import BenchmarkData
from salmu_demo.features.store import ENCODING_CODE
from salmu_demo.metrics import Metric, known_metrics
from salmu_demo.models.source import ModelSource
from salmu_demo.results.document import metric_document, read_metric
from salmu_demo.results.evaluation import measured_data
from salmu_demo.results.inputs import MetricInputs
from salmu_demo.results.kept import MEASURING_CODE
from salmu_demo.results.records import Evaluation, MeasuredModel, Provenance

SHIPPED_CODE: Final = (*ENCODING_CODE, *MEASURING_CODE, "results/shipped.py")
"""Our code that decides what is in such a file."""

_log = logging.getLogger(__name__)


@cache
def shipped_code() -> str:
    """Digest of the code that measures what is shipped."""
    return portable_digest(SHIPPED_CODE)


def evaluation_file(model: str, data: str) -> str:
    """Name of the file about a model on a data set, by their fingerprints."""
    return f"{model[:16]}-{data[:16]}.json.xz"


def read_evaluation(
    folder: Path, model: ModelSource, data: BenchmarkData, gold: ModelSource | None = None
) -> Evaluation | None:
    """What a folder has of a model on a data set, or None if it has nothing or other code made it.

    Args:
        folder: where the files are.
        model: the model.
        data: the data set.
        gold: the Gold model; metrics that compare with it are left out if they were measured with another one.
    """
    path = folder / evaluation_file(model.fingerprint, data.fingerprint)
    if not path.is_file():
        return None
    try:
        document = json.loads(lzma.decompress(path.read_bytes()))
        if document["key"] != [model.fingerprint, data.fingerprint, shipped_code()]:
            return None
        parts = document["metrics"]
        same_gold = document["gold"] == (gold and gold.fingerprint)
        specs = [spec for spec in known_metrics() if spec.name in parts and (same_gold or not spec.against_gold)]
        results = {spec.name: read_metric(parts[spec.name], spec) for spec in specs}
        subject = MeasuredModel.of(model, document["parameters"], document["device"])
        made = Provenance(**document["made"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, lzma.LZMAError, ResultError) as error:
        _log.warning("The file %s is damaged (%s); what it held is measured.", path, error)
        return None
    inputs = MetricInputs(data)
    rows = {result.spec.split: inputs.rows(result.spec.split) for result in results.values() if not result.skipped}
    subject = replace(subject, remarks=(*subject.remarks, *data.remarks, *document["remarks"]))
    return Evaluation(subject, measured_data(data, None), results, rows, made)


def write_evaluation(
    folder: Path, model: ModelSource, data: BenchmarkData, evaluation: Evaluation, gold: ModelSource | None = None
) -> Path:
    """Write the file about a model into a folder; metrics of plug-ins are left out.

    Args:
        folder: the file is written there.
        model: the model.
        data: the data set.
        evaluation: what was measured.
        gold: the Gold model that it was compared with.

    Raises:
        StorageError: if it cannot be written.
    """
    known = {*model.remarks, *data.remarks}
    document: dict[str, Any] = {
        "key": [model.fingerprint, data.fingerprint, shipped_code()],
        "gold": gold and gold.fingerprint,
        "parameters": evaluation.model.parameters,
        "device": evaluation.model.device,
        "remarks": [remark for remark in evaluation.model.remarks if remark not in known],
        "made": vars(evaluation.made),
        "metrics": {
            name: metric_document(result)
            for name, result in evaluation.results.items()
            if not outside_code(type(result.spec))
        },
    }
    path = folder / evaluation_file(model.fingerprint, data.fingerprint)
    with atomic_path(path, "What is shipped") as temporary:
        temporary.write_bytes(lzma.compress(json.dumps(document).encode()))
    return path


def of_metrics(evaluation: Evaluation, metrics: Iterable[Metric]) -> Evaluation | None:
    """An evaluation with some of its metrics alone, or None if it lacks one."""
    chosen = list(metrics)
    if any(metric.name not in evaluation.results for metric in chosen):
        return None
    results = {metric.name: evaluation.results[metric.name] for metric in chosen}
    splits = {result.spec.split for result in results.values() if not result.skipped}
    rows = {split: rows for split, rows in evaluation.rows.items() if split in splits}
    return replace(evaluation, results=results, rows=rows)
