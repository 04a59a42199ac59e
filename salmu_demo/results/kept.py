"""Finished metrics on disk, so that a run that was killed does not compute them again."""

import json
from pathlib import Path

from salmu_demo import __version__
from salmu_demo.errors import ResultError
from salmu_demo.files import write_text
from salmu_demo.metrics import MetricSpec
from salmu_demo.models.source import ModelSource
from salmu_demo.results.document import metric_document, read_metric
from salmu_demo.results.records import MeasuredData, MetricResult


class KeptMetrics:
    """One file for each finished metric of a model on data, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, model: ModelSource, data: MeasuredData, spec: MetricSpec) -> MetricResult | None:
        """The metric as it was measured, or None if it has to be measured; a damaged file counts as absent."""
        try:
            document = json.loads(self._path(model, data, spec).read_text("utf-8"))
            if document["data"] != list(data.key) or document["version"] != __version__:
                return None
            return read_metric(document["result"], spec)
        except (OSError, ValueError, TypeError, KeyError, ResultError):
            return None

    def save(self, model: ModelSource, data: MeasuredData, result: MetricResult) -> None:
        """Keep a metric; raises :class:`StorageError`."""
        document = {"version": __version__, "data": data.key, "result": metric_document(result)}
        write_text(self._path(model, data, result.spec), json.dumps(document), "The finished metric")

    def _path(self, model: ModelSource, data: MeasuredData, spec: MetricSpec) -> Path:
        return self._folder / model.fingerprint[:32] / f"{spec.name}.json"
