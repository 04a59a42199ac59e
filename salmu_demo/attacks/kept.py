"""Finished attacks on disk, beside the features of the model, so that a run that was killed goes on where it was."""

import json
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from salmu_demo.attacks.base import Attack, AttackReading
from salmu_demo.attacks.target import Target
from salmu_demo.core.files import atomic_path, code_digest
from salmu_demo.core.plugins import outside_code
from salmu_demo.features.store import ArrayStore, encoding_key

ATTACKING_CODE: Final = (
    "attacks/**/*.py", "data/*.py", "features/embedder.py", "features/view.py",
    "metrics/checks.py", "metrics/clear_protocol.py", "metrics/protocol.py", "metrics/ranking.py",
    "metrics/retrieval_failure.py", "metrics/rouge.py", "metrics/separation.py", "models/captioner.py",
    "models/coca.py", "models/optimisation.py",
)  # fmt: skip
"""Our code that decides what an attack finds in given features and weights."""

ATTACKING_PACKAGES: Final = ("numpy", "scipy", "scikit-learn", "pyarrow", "rouge-score")
"""Libraries that decide it, besides those that encode."""

_HEAD: Final = "head"
_log = logging.getLogger(__name__)


@cache
def attacking_key() -> str:
    """What attacks depend on besides models and data: code and libraries that encode, attack and measure."""
    return encoding_key() + code_digest(ATTACKING_CODE, ATTACKING_PACKAGES)


class KeptReadings:
    """One file for each finished attack on a model; what other code, references or seeds made is not found."""

    def __init__(self, store: ArrayStore) -> None:
        self._store = store

    def load(self, attack: Attack, target: Target) -> tuple[list[AttackReading], float] | None:
        """The readings and the seconds they took, or None if the attack has to be run."""
        path = self._path(attack, target)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                head = json.loads(str(arrays[_HEAD]))
                if head["key"] != self._key(attack, target):
                    return None
                readings = [
                    AttackReading(
                        entry["variant"], entry["gallery"], entry["measure"], arrays[f"scores{number}"],
                        arrays[f"as_is{number}"] if entry["changes"] else None, tuple(entry["identities"]),
                        arrays.get(f"drawn{number}"),
                    )
                    for number, entry in enumerate(head["readings"])
                ]  # fmt: skip
                return readings, float(head["seconds"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile):
            _log.warning("The file %s is damaged; the attack is run again.", path)
            return None

    def save(self, attack: Attack, target: Target, readings: Sequence[AttackReading], seconds: float) -> None:
        """Keep readings, see `load`; raises `StorageError`."""
        entries = [
            {
                "variant": reading.variant,
                "gallery": reading.gallery,
                "measure": reading.measure,
                "changes": reading.as_is is not None,
                "identities": list(reading.identities),
            }
            for reading in readings
        ]
        head = {"key": self._key(attack, target), "seconds": seconds, "readings": entries}
        arrays: dict[str, Any] = {_HEAD: np.array(json.dumps(head))}
        for number, reading in enumerate(readings):
            arrays[f"scores{number}"] = reading.scores
            if reading.as_is is not None:
                arrays[f"as_is{number}"] = reading.as_is
            if reading.drawn is not None:
                arrays[f"drawn{number}"] = reading.drawn
        with atomic_path(self._path(attack, target), "The finished attack") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def _path(self, attack: Attack, target: Target) -> Path:
        model, data = target.view.model.fingerprint, target.data.fingerprint
        return self._store.feature_path(model, data, f"attacks/{attack.name}").with_suffix(".npz")

    def _key(self, attack: Attack, target: Target) -> list[object]:
        had = [view and view.model.fingerprint for view in (target.original, target.clean, target.gold)]
        return [attacking_key() + outside_code(type(attack)), *had, target.seed, target.thorough]
