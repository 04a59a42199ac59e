"""Finished metrics on disk, so that a run that was killed does not compute them again."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from salmu_demo.core.errors import ResultError
from salmu_demo.core.files import code_digest, read_checked, write_checked
from salmu_demo.core.plugins import outside_code
from salmu_demo.features.store import encoding_key
from salmu_demo.metrics import Metric, MetricResult
from salmu_demo.models.source import ModelSource
from salmu_demo.results.document import metric_document, read_metric
from salmu_demo.results.records import MeasuredData

MEASURING_CODE: Final = (
    "metrics/*.py",
    "data/*.py",
    "features/embedder.py",
    "features/view.py",
    "features/writing.py",
    "models/captioner.py",
    *(f"results/{name}.py" for name in ("document", "evaluation", "inputs", "kept", "records", "schema")),
)
"""Our code that decides a metric of given features."""

MEASURING_PACKAGES: Final = ("numpy", "scipy", "scikit-learn", "pyarrow")
"""Libraries that decide one."""


@cache
def measuring_key() -> str:
    """What metrics depend on besides model and data: code and libraries that encode and measure."""
    return encoding_key() + code_digest(MEASURING_CODE, MEASURING_PACKAGES)


def key_of(metrics: Iterable[Metric]) -> str:
    """The same of some metrics: of a plug-in its own code counts too."""
    return measuring_key() + "".join(outside_code(type(metric)) for metric in metrics)


class KeptMetrics:
    """One file for each finished metric of a model on data, in a folder of its own.

    One that was measured by other code, with other libraries or on other images of ImageNet is not found; nor is a
    damaged one, and the log says so.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, model: ModelSource, data: MeasuredData, spec: Metric, images: str = "") -> MetricResult | None:
        """The metric as it was measured, or None if it has to be measured.

        Args:
            model: the model.
            data: the data.
            spec: the metric.
            images: fingerprint of what else was read, images that are not part of the data or Gold; or an empty text.
        """
        document = read_checked(self._path(model, spec))
        try:
            if document is None or document["measured"] != _measured(data, spec, images):
                return None
            return read_metric(document["result"], spec)
        except (ValueError, TypeError, KeyError, ResultError):
            return None

    def save(self, model: ModelSource, data: MeasuredData, result: MetricResult, images: str = "") -> None:
        """Keep a metric, see `load`; raises `StorageError`."""
        document = {"measured": _measured(data, result.spec, images), "result": metric_document(result)}
        write_checked(self._path(model, result.spec), document, "The finished metric")

    def _path(self, model: ModelSource, spec: Metric) -> Path:
        return self._folder / model.fingerprint[:32] / f"{spec.name}.json"


def _measured(data: MeasuredData, spec: Metric, images: str) -> dict[str, Any]:
    return {"data": list(data.key), "images": images, "by": key_of([spec])}
