"""Dossiers that visitors make of the persona they look at."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from salmu_demo.core.errors import QueryError
from salmu_demo.core.progress import ProgressCallback
from salmu_demo.models.names import distinct_names
from salmu_demo.models.roles import Told
from salmu_demo.models.source import ModelSource
from salmu_demo.reports.dossier import write_dossier
from salmu_demo.ui.shell.view import View
from salmu_demo.ui.tabs.audit import text
from salmu_demo.ui.widgets.components import served
from salmu_demo.workbench.bench import Workbench
from salmu_demo.workbench.dossiers import dossier, thumbnails
from salmu_demo.workbench.warmup import WarmUp

ENDINGS: Final = {"PDF": ".pdf", "HTML": ".html", "JSON": ".json"}
"""What can be downloaded, and how its file ends."""

_KEPT: Final = 16
"""Dossiers that are handed out again, the latest ones: nobody fills the disk by asking for one many times."""


class Dossiers:
    """Makes the files of dossiers, one at a time, and hands out those it has without waiting for any."""

    def __init__(self, workbench: Workbench, warm_up: WarmUp) -> None:
        self._workbench = workbench
        self._warm_up = warm_up
        self._made: OrderedDict[object, list[str]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def files(self, view: View, references: Sequence[str], progress: ProgressCallback) -> list[str]:
        """Addresses of the files about the chosen persona with the chosen models, in the order of `ENDINGS`.

        Raises:
            QueryError: if no persona or no model is chosen, or a model is still being prepared.
            SalmuError: if a model is unusable.
        """
        if view.persona is None or not references:
            raise QueryError(text.NOTHING_TO_REPORT)
        if pending := [reference for reference in references if reference in self._warm_up.pending]:
            raise QueryError(text.STILL_PREPARING.format(models=", ".join(pending)))
        told = view.told.among(references)
        models = self._workbench.models(references)
        key = (view.persona, tuple((model.reference, model.fingerprint) for model in models), told)
        found = self._kept(key)
        if found is None:
            with self._making:
                # Whoever asked for the same a moment before has it made by now.
                found = self._kept(key) or self._keep(key, self._make(view.persona, models, told, progress))
        return found

    def _kept(self, key: object) -> list[str] | None:
        with self._lock:
            made = self._made.get(key)
            # What nobody asked for in a day is swept away.
            if made is None or not all(Path(file).exists() for file in made):
                return None
            self._made.move_to_end(key)
            return made

    def _keep(self, key: object, made: list[str]) -> list[str]:
        with self._lock:
            self._made[key] = made
            self._made.move_to_end(key)
            if len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return made

    def _make(self, persona: str, models: Sequence[ModelSource], told: Told, progress: ProgressCallback) -> list[str]:
        document = dossier(self._workbench, persona, models, distinct_names(models), told, progress=progress)
        with TemporaryDirectory() as folder:
            written = write_dossier(document, thumbnails(self._workbench.data, document), (), Path(folder))
            by_ending = {path.suffix: served(path) for path in written}
        return [by_ending[ending] for ending in ENDINGS.values()]
