"""Whether a local row still describes what its references name; no weights are loaded and no network is asked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from salmu_demo.core.errors import SalmuError
from salmu_demo.core.settings import assets_dir
from salmu_demo.data import layout
from salmu_demo.data.dataset import BenchmarkData, load_folder
from salmu_demo.data.source import MINI
from salmu_demo.hub.reference import HF_HUB
from salmu_demo.leaderboard.rows import Row, RowSource, Staleness, plain_text
from salmu_demo.models.references import find_models
from salmu_demo.models.source import ModelSource
from salmu_demo.results.kept import measuring_key

FindModels = Callable[[Sequence[str], str | None], list[ModelSource]]

DataState = tuple[str, tuple[tuple[str, int, int], ...]]
"""Name of data, and names, times and sizes of the files that their fingerprint covers."""

BY_OTHERS: Final = Staleness(
    "stale", "Another version of this program or its libraries measured it; evaluate the model again."
)

OLDER: Final = Staleness("stale", "An older version of this program wrote it; evaluate the model again.")


class Freshness:
    """Compares the fingerprints in local rows with those of today; what was hashed is hashed again when it changes."""

    def __init__(self, models: FindModels = find_models, data: BenchmarkData | None = None) -> None:
        """Nothing is hashed yet.

        Args:
            models: finds checkpoints, for example `Workbench.models`, which remembers fingerprints.
            data: data that are loaded already.
        """
        self._models = models
        self._hashed: dict[DataState, str] = {}
        self._loaded = data
        self._loaded_state = None if data is None else _state(data.name, data.root)

    def mark(self, rows: Iterable[Row]) -> list[Row]:
        """The rows, those of local results with a mark where something is doubtful; nothing is raised."""
        models: dict[tuple[str, str | None], str | None] = {}
        data: dict[str, str | None] = {}
        marked = []
        for row in rows:
            if row.source not in (RowSource.LOCAL, RowSource.SCORED) or row.model is None:
                marked.append(row)
                continue
            checkpoint = (row.model.reference, row.model.architecture)
            if checkpoint not in models:
                models[checkpoint] = self._model(*checkpoint)
            if row.data.name not in data:
                data[row.data.name] = self._data(row.data.name)
            marked.append(replace(row, mark=_mark(row, models[checkpoint], data[row.data.name])))
        return marked

    def _model(self, reference: str, architecture: str | None) -> str | None:
        """Today's fingerprint of a checkpoint, or None if it is gone or lies on the Hub."""
        if reference.startswith(HF_HUB):
            return None
        try:
            return self._models([reference], architecture)[0].fingerprint
        except (SalmuError, OSError, ValueError):
            return None

    def _data(self, name: str) -> str | None:
        """Today's fingerprint of local data, or None if they are gone or lie on the Hub."""
        try:
            root = assets_dir() / "salmu-mini" if name == MINI else Path(name).expanduser()
            if not root.is_dir():
                return None
            state = _state(name, root)
            if self._loaded is not None and state == self._loaded_state:
                return self._loaded.fingerprint
            if state not in self._hashed:
                self._hashed[state] = load_folder(root, name).fingerprint
            return self._hashed[state]
        except (SalmuError, OSError, RuntimeError, ValueError):
            return None


def _state(name: str, root: Path) -> DataState:
    files = sorted([*root.glob("*.json"), *(root / layout.DATA_FOLDER).glob("*.parquet")])
    return name, tuple((path.name, status.st_mtime_ns, status.st_size) for path in files for status in [path.stat()])


def _mark(row: Row, model: str | None, data: str | None) -> Staleness | None:
    """The most serious doubt: what has changed before what cannot be known."""
    assert row.model is not None
    if row.older:
        return OLDER
    doubts = []
    for what, measured, today, revision in (
        (f"The model {plain_text(row.model.reference)}", row.model.fingerprint, model, row.model.revision),
        (f"The data {row.data.name}", row.data.fingerprint, data, row.data.revision),
    ):
        if measured is not None and today is not None and measured != today:
            return Staleness("stale", f"{what} changed since; evaluate the model again.")
        if measured is None:
            doubts.append(Staleness("cannot be checked", f"{what}: the file does not give its fingerprint."))
        elif today is None:
            where = "on the Hub, which is not asked" if revision else "no longer on this machine"
            doubts.append(Staleness("cannot be checked", f"{what} is {where}."))
    if row.measured_by and row.measured_by != measuring_key():
        return BY_OTHERS
    return doubts[0] if doubts else None
