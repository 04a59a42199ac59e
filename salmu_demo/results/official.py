"""The official result file: one JSON for each model, with a block of our own that says how it was made."""

import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from salmu_demo import __version__
from salmu_demo.files import write_text
from salmu_demo.metrics import DECISIONS
from salmu_demo.metrics.protocol import SEED
from salmu_demo.notices import MINI_NOTICE, SCORES_NOTICE
from salmu_demo.results.evaluation import Evaluation

SCHEMA_VERSION: Final = 1
_PACKAGES: Final = ("torch", "open_clip_torch", "numpy", "scikit-learn", "pillow")


def official_result(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation in the official shape, plus the block `salmu_demo`.

    The date and the timings are in that block only; everything else is the same for equal models and data.
    """
    document: dict[str, Any] = {"efficacy": {}, "utility": {}}
    for result in evaluation.results.values():
        spec = result.spec
        document[spec.pillar][spec.json_key] = {spec.value_key: result.value, **result.details}
    document["salmu_demo"] = _provenance(evaluation)
    return document


def _provenance(evaluation: Evaluation) -> dict[str, Any]:
    model, data = evaluation.model, evaluation.data
    return {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": {
            "reference": model.reference,
            "name": model.name,
            "fingerprint": model.fingerprint,
            "revision": model.revision,
            "architecture": model.architecture,
            "parameters": evaluation.facts.parameters,
        },
        "data": {
            "name": data.name,
            "fingerprint": data.fingerprint,
            "revision": data.revision,
            "notice": MINI_NOTICE if data.is_mini else None,
        },
        "genknow_measured_on": evaluation.zero_shot,
        "seed": SEED,
        "device": evaluation.facts.device,
        "versions": {"salmu-demo": __version__, "python": platform.python_version(), **_versions()},
        "seconds": {name: round(result.seconds, 3) for name, result in evaluation.results.items()},
        "decisions": [asdict(decision) for decision in DECISIONS],
        "notice": SCORES_NOTICE,
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_official(evaluation: Evaluation, folder: Path) -> Path:
    """Write `evaluation_<slug>.json` atomically and return its path; raises :class:`StorageError`."""
    path = folder / f"evaluation_{evaluation.model.slug}.json"
    write_text(path, json.dumps(official_result(evaluation), indent=1) + "\n", "The result file")
    return path
